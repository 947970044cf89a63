"""`twg completion`, and the answer to a shell that asks what may stand next.

A shell asks at each press of Tab, through variables. Names of profiles, providers, sites and
organizations come from the clear headers alone: nothing is sent, no secret is opened and no key
ring is asked. Whatever goes wrong, nothing is shown: it would stand in the midst of a line.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final, TypeVar

import anyio
import asyncclick as click
from asyncclick.shell_completion import get_completion_class, shell_complete

from guard.errors import GuardError
from twg.cli import stages
from twg.cli.command import command
from twg.cli.wiring import Wiring
from twg.errors import TwgError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from asyncclick.shell_completion import ShellComplete

    from twg.cli.command import Group
    from twg.vault import AdminHeader, Header

H = TypeVar("H")

SHELLS: Final = ("bash", "zsh", "fish")

_PROGRAM: Final = "twg"
_VARIABLE: Final = "_TWG_COMPLETE"
_HOW: Final = {
    "bash": 'eval "$(twg completion bash)"   # in ~/.bashrc',
    "zsh": 'eval "$(twg completion zsh)"   # in ~/.zshrc, after compinit',
    "fish": "source (twg completion fish | psub)   # in ~/.config/fish/config.fish",
}


@command("completion", params=[click.Argument(["shell"], type=click.Choice(SHELLS))])
async def completion(wiring: Wiring, *, shell: str) -> None:
    """Print what makes SHELL complete twg's commands, options and names at Tab.

    For bash: `eval "$(twg completion bash)"` in ~/.bashrc; for zsh the same in ~/.zshrc, after
    compinit; for fish: `source (twg completion fish | psub)` in ~/.config/fish/config.fish.
    """
    asked = _class_for(shell)(click.Command(_PROGRAM), {}, _PROGRAM, _VARIABLE)
    # Not `source()`: for bash, that starts one to ask its version.
    script = asked.source_template % asked.source_vars()
    if wiring.output.mode == "json":
        wiring.output.result({"shell": shell, "script": script, "set_up": _HOW[shell]}, ())
    else:
        wiring.output.raw(script)


class Completing(Wiring):
    """What a completion depends on: beside the rest, the names that are stored here."""

    @cached_property
    def header(self) -> Header | None:
        """What stands in clear of sign-ins; None where it cannot be read."""
        return self._read(self._personal)

    @cached_property
    def admin(self) -> AdminHeader | None:
        """The same of Admin API keys."""
        return self._read(self._of_admins)

    async def _personal(self) -> Header:
        return await self.store.summaries()

    async def _of_admins(self) -> AdminHeader:
        return await self.admin_store.summaries()

    def _read(self, summaries: Callable[[], Awaitable[H]]) -> H | None:
        try:
            # A loop for this alone: most completions are of commands and options.
            return anyio.run(summaries)
        except (TwgError, GuardError):
            return None  # the rest is completed all the same

    def names(self, kind: str) -> Collection[str]:
        """Return the names of a kind; see `twg.cli.command.stored`."""
        if kind == "service":
            from twg.policy import SERVICES  # noqa: PLC0415 - only for this

            return SERVICES
        if kind == "org":
            return self.admin.profiles if self.admin else ()
        if self.header is None:
            return ()
        if kind == "site":
            return self._sites(self.header)
        return self.header.profiles if kind == "profile" else self.header.providers

    def _sites(self, header: Header) -> Collection[str]:
        profile = self.options.profile or self.settings.profile or header.active
        known = header.profiles.get(profile or "default")
        return [site.host for site in known.sites] if known else ()


def answer(wiring: Completing, instruction: str, root: Callable[[], Group]) -> int:
    """Answer a shell; return the exit status.

    Args:
        wiring: What the completion depends on.
        instruction: What the shell has put into its variable, such as ``bash_complete``.
        root: Makes the command that is completed.
    """
    try:
        return stages.run(_answer(wiring, instruction, root), _wait_for_nothing)
    except (Exception, BaseExceptionGroup, KeyboardInterrupt):  # noqa: BLE001 - see the module
        return 1


async def _answer(wiring: Completing, instruction: str, root: Callable[[], Group]) -> int:
    return await shell_complete(root(), {"obj": wiring}, _PROGRAM, _VARIABLE, instruction)


def _wait_for_nothing(_rest: object) -> int:
    raise AssertionError  # pragma: no cover - a completion runs no command


def _class_for(shell: str) -> type[ShellComplete]:
    found = get_completion_class(shell)
    if found is None:
        raise AssertionError  # pragma: no cover - click has all of ours
    return found
