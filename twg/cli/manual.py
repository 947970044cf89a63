"""The manual for programs: commands, their words and what comes of them, from the commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import asyncclick as click

from twg import __version__, schemas
from twg.cli.command import Command, Group, global_options
from twg.cli.failure import docs_of
from twg.errors import EXIT_STATUS, Code

if TYPE_CHECKING:
    from collections.abc import Iterator

_ALWAYS: Final = frozenset(
    {
        Code.INTERNAL,
        Code.USAGE,
        Code.SECRET_REFUSED,
        Code.STORE_UNWRITABLE,
        Code.STORE_CORRUPT,
        Code.BUSY,
        Code.CONFIG,
        Code.INTERRUPTED,
    }
)
"""What any command may fail with: each is guarded, settled by files, and recorded."""
_TYPES: Final = {"integer": "integer", "float": "number", "boolean": "boolean"}


def manual_of(ctx: click.Context) -> dict[str, Any]:
    """Return the manual of one command, or of a group and all commands below it."""
    whole = isinstance(ctx.command, Command)
    return _manual(ctx.command, ctx.command_path, with_results=whole)


def whole_manual(ctx: click.Context) -> dict[str, Any]:
    """Return the manual of every command, with the shape of each one's answer."""
    root = ctx.find_root()
    manual = _manual(root.command, root.command_path, with_results=True)
    return manual | {"envelope": schemas.envelope()}


def codes_of(path: str, command: Command) -> list[str]:
    """Return the codes of a command's failures, in the order of exit statuses."""
    found = {*_ALWAYS, *schemas.codes(path)}
    if command.human_only:
        found.add(Code.HUMAN_REQUIRED)
    if command.takes_secret:
        found |= {Code.SECRET_REJECTED, Code.TTY_REQUIRED}
    return [code.value for code in EXIT_STATUS if code in found]


def commands_below(command: click.Command, path: str) -> Iterator[tuple[str, Command]]:
    """Yield every command with the words that call it, in the order in which help lists them.

    Args:
        command: Where to begin: a group, or a command, which is all there is then.
        path: The words that call it.
    """
    if isinstance(command, Command):
        if not command.hidden:
            yield path, command
    elif isinstance(command, click.Group):
        if isinstance(command, Group) and command.alone is not None:
            yield path, command.alone
        context = click.Context(command)
        for name in command.list_commands(context):
            if (inner := command.get_command(context, name)) is not None:
                yield from commands_below(inner, f"{path} {name}")


def _manual(command: click.Command, path: str, *, with_results: bool) -> dict[str, Any]:
    return {
        "version": __version__,
        "commands": [
            _described(path, one) | ({"result": schemas.result(path)} if with_results else {})
            for path, one in commands_below(command, path)
        ],
        "global_options": [_option(each) for each in global_options()],
        "errors": [
            {"code": code.value, "exit_code": status, "docs": docs_of(code)}
            for code, status in EXIT_STATUS.items()
        ],
    }


def _described(path: str, command: Command) -> dict[str, Any]:
    everywhere = {name for each in global_options() for name in each.opts}
    own = [each for each in command.params if not everywhere.intersection(each.opts)]
    return {
        "command": path,
        "summary": command.get_short_help_str(limit=120),
        "help": " ".join((command.help or "").split()),
        "arguments": [_argument(each) for each in own if isinstance(each, click.Argument)],
        "options": [_option(each) for each in own if isinstance(each, click.Option)],
        "persons_only": command.human_only,
        "takes_secret": command.takes_secret,
        "codes": codes_of(path, command),
    }


def _argument(argument: click.Argument) -> dict[str, Any]:
    return {
        "name": (argument.metavar or argument.human_readable_name).strip("[].").upper(),
        **_value(argument),
        "repeatable": argument.nargs != 1,
        "required": argument.required,
    }


def _option(option: click.Option) -> dict[str, Any]:
    return {
        "names": [*option.opts, *option.secondary_opts],
        "value": None if option.is_flag else option.metavar or "VALUE",
        **_value(option),
        "repeatable": option.multiple,
        "required": option.required,
        "help": option.help,
    }


def _value(parameter: click.Parameter) -> dict[str, Any]:
    kind, default = parameter.type, parameter.default
    return {
        "type": _TYPES.get(kind.name, "string"),
        "choices": list(kind.choices) if isinstance(kind, click.Choice) else None,
        # Where there is none, click has a word of its own.
        "default": default if isinstance(default, bool | int | float | str) else None,
    }
