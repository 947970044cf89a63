"""How a command is declared: global options anywhere, imports late, guards before it runs."""

from __future__ import annotations

import importlib
import os
import sys
from functools import wraps
from typing import TYPE_CHECKING, Any, Final

import asyncclick as click

from twg.cli.stages import work_begins

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from asyncclick.shell_completion import CompletionItem

    from twg.cli.wiring import Wiring

_HELP: Final = ("-h", "--help")
HELP_NAMES: Final = {"help_option_names": _HELP}
_WIDEST: Final = 80
_NARROWEST: Final = 50


class _Helpful(click.Command):
    """A command whose help a program gets as a document."""

    def get_help_option_names(self, ctx: click.Context) -> list[str]:
        """Return the names of ``--help``, in the same order whatever Python's hashes are."""
        del ctx  # it has them as a set
        return list(_HELP)

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """Return ``--help``, which answers as it is asked to."""
        del ctx  # it is the same in each
        # The same object each time, for the parser compares; and not click's own, which looks for
        # translations of its words.
        if self._help_option is None:
            self._help_option = click.Option(
                _HELP,
                is_flag=True,
                expose_value=False,
                is_eager=True,
                callback=_show_help,
                help="Show this message and exit.",
            )
        return self._help_option

    def get_help(self, ctx: click.Context) -> str:
        """Return the help, as wide as the terminal is."""
        if ctx.terminal_width is None:
            ctx.terminal_width = _width()
        return super().get_help(ctx)


class Command(_Helpful):
    """A command that takes the global options too, wherever they stand.

    Args:
        human_only: An agent is refused it.
        takes_secret: It may ask for a secret.
    """

    def __init__(
        self, *args: Any, human_only: bool = False, takes_secret: bool = False, **kwargs: Any
    ) -> None:
        self.human_only = human_only
        self.takes_secret = takes_secret
        kwargs.setdefault("context_settings", HELP_NAMES)
        super().__init__(*args, **kwargs)
        self.params.extend(global_options())


class Group(_Helpful, click.Group):
    """A group whose commands are imported when they are called.

    Args:
        lazy: Command name to (``module:attribute``, one line of help).
        alone: What runs where the group is called and none of its commands is named.
    """

    def __init__(
        self,
        *args: Any,
        lazy: Mapping[str, tuple[str, str]] | None = None,
        alone: Command | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("context_settings", HELP_NAMES)
        if alone is not None:
            kwargs |= {"invoke_without_command": True, "callback": _unless_named(alone)}
        super().__init__(*args, **kwargs)
        self._lazy = dict(lazy or {})
        self.alone = alone
        self.params.extend(global_options() if alone is None else alone.params)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return all names, in the order they were declared in: the order a newcomer needs them."""
        return [*self._lazy, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return the command, or None if there is none of this name."""
        if cmd_name in self._lazy:
            module, _, attribute = self._lazy[cmd_name][0].partition(":")
            found: click.Command = getattr(importlib.import_module(module), attribute)
            return found
        return super().get_command(ctx, cmd_name)

    async def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; for one that is misspelt, the lazy ones are suggested too."""
        try:
            return await super().resolve_command(ctx, args)
        except click.NoSuchCommand as error:
            raise click.NoSuchCommand(
                error.command_name, possibilities=self.list_commands(ctx), ctx=ctx
            ) from None

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        """Return what may stand here, importing none of the lazy commands."""
        from asyncclick.shell_completion import CompletionItem  # noqa: PLC0415 - only for a shell

        rows = {name: line for name, (_, line) in self._lazy.items()}
        rows |= {
            name: command.get_short_help_str()
            for name, command in self.commands.items()
            if not command.hidden
        }
        found = [
            CompletionItem(name, help=line)
            for name, line in rows.items()
            if name.startswith(incomplete)
        ]
        return found + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands' lines of help, importing none of the lazy ones."""
        del ctx  # the lines are known without it
        rows = [(name, line) for name, (_, line) in self._lazy.items()]
        rows += [
            (name, command.get_short_help_str(60))
            for name, command in self.commands.items()
            if not command.hidden
        ]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)


def _width() -> int:
    # As click has it, which imports `shutil` and all its archivers for this.
    try:
        columns = os.get_terminal_size(sys.stdout.fileno()).columns
    except (OSError, ValueError):
        columns = _WIDEST
    return max(min(columns or _WIDEST, _WIDEST) - 2, _NARROWEST)


def _show_help(ctx: click.Context, _param: click.Parameter, value: object) -> None:
    if not value or ctx.resilient_parsing:
        return
    wiring: Wiring = ctx.find_root().obj
    wiring.settle_output()
    if wiring.output.mode == "json":
        from twg.cli.manual import manual_of  # noqa: PLC0415 - only for programs

        # Public, though names of options in it may look like those of secrets.
        wiring.output.published(manual_of(ctx), ())
    else:
        wiring.output.raw(ctx.get_help())
    raise click.exceptions.Exit(0)


def _unless_named(alone: Command) -> Callable[..., Awaitable[None]]:
    """Return a group's callback, which is called before a command of the group's, too."""

    async def callback(**values: Any) -> None:
        context = click.get_current_context()
        named = context.invoked_subcommand
        if named is None:
            await alone.callback(**values)  # type: ignore[misc]  # each has one
        elif given := [name for name, value in values.items() if value]:
            raise click.UsageError(f"--{given[0]} belongs behind {named!r}", ctx=context)

    return callback


def global_options() -> list[click.Option]:
    """Return fresh global options; a later one on the line wins."""
    return [
        click.Option(
            ["-o", "--output"],
            type=click.Choice(["text", "json"]),
            expose_value=False,
            callback=_remember("output"),
            help="Print text or one JSON document.",
        ),
        click.Option(
            ["-v", "--verbose"],
            is_flag=True,
            expose_value=False,
            callback=_remember("verbose"),
            help="Show a structured log on stderr.",
        ),
        click.Option(
            ["--profile"],
            metavar="NAME",
            expose_value=False,
            callback=_remember("profile"),
            shell_complete=stored("profile"),
            help="Use this profile (account).",
        ),
    ]


def stored(
    kind: str,
) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem[str]] | list[str]]:
    """Return what completes a parameter by the names that are stored here, or known.

    Args:
        kind: Of what: ``profile``, ``provider``, ``site``, ``org`` or ``service``.
    """

    def complete(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
        return sorted(
            name for name in ctx.find_root().obj.names(kind) if name.startswith(incomplete)
        )

    return complete


def _remember(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def callback(ctx: click.Context, _param: click.Parameter, value: Any) -> None:
        if value:
            setattr(ctx.find_root().obj.options, name, value)

    return callback


def command(
    name: str,
    *,
    human_only: bool = False,
    takes_secret: bool = False,
    serves_agent: bool = False,
    short: str | None = None,
    params: Sequence[click.Parameter] = (),
) -> Callable[[Callable[..., Awaitable[None]]], Command]:
    """Declare a command; its function gets the `Wiring` first, then the options by name.

    Args:
        name: The word on the command line.
        human_only: An agent is refused before anything else happens.
        takes_secret: A pipe as standard input and secrets in the environment are refused.
        serves_agent: Whoever runs it, what it does is done for an agent.
        short: One line of help; the docstring's first one by default.
        params: Its own options and arguments.
    """

    def declare(function: Callable[..., Awaitable[None]]) -> Command:
        @wraps(function)
        async def callback(**values: Any) -> None:
            context = click.get_current_context()
            wiring: Wiring = context.find_root().obj
            if serves_agent:
                wiring.serve_agent()
            wiring.begin(context.command_path, takes_secret=takes_secret, human_only=human_only)
            await work_begins()
            await function(wiring, **values)

        return Command(
            name,
            callback=callback,
            params=list(params),
            help=_plain_help(function.__doc__),
            short_help=short,
            human_only=human_only,
            takes_secret=takes_secret,
        )

    return declare


def _plain_help(docstring: str | None) -> str:
    # What a reader of the code needs (Args, Raises) is not what a person at a terminal needs.
    return (docstring or "").partition("\n    Args:")[0].partition("\n    Raises:")[0]
