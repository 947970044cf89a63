"""A window of tmux with a shell in it: another terminal than ours, with a history of its own."""

from __future__ import annotations

import tempfile
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from tests.rigs.parts import program
from tests.rigs.waiting import comes_true

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

PATIENCE = 30.0
"""Seconds that what is waited for may take; only a fault needs them."""
HISTORY = 10_000
PROMPT = "$ "


@dataclass(frozen=True)
class Tmux:
    """A server of tmux with one window, in which bash runs; made by `started`.

    Attributes:
        path: The program.
        folder: Where its socket is.
        env: The environment of the shell.
    """

    path: str
    folder: Path
    env: Mapping[str, str]

    @classmethod
    @asynccontextmanager
    async def started(
        cls, env: Mapping[str, str], *, columns: int = 80, rows: int = 24
    ) -> AsyncIterator[Tmux]:
        """Start a server, which cuts itself off from the test runner, and end it."""
        # Its own folder, and a short one: the path of a socket is limited.
        with tempfile.TemporaryDirectory(prefix="tmux-") as folder:
            tmux = cls(program("tmux"), Path(folder), {**env, "PS1": PROMPT, "HISTFILE": ""})
            settings = tmux.folder / "settings"
            settings.write_text(f"set -g history-limit {HISTORY}\n")
            shell = [program("bash"), "--norc", "--noprofile", "-i"]
            size = ["-x", str(columns), "-y", str(rows)]
            await tmux.does("-f", str(settings), "new-session", "-d", *size, *shell)
            try:
                await tmux.until(PROMPT.strip())
                yield tmux
            finally:
                with anyio.CancelScope(shield=True):
                    await tmux.does("kill-server")

    async def does(self, *words: str, given: str = "") -> str:
        """Give tmux an order; return what it prints."""
        done = await anyio.run_process(
            [self.path, "-S", str(self.folder / "socket"), *words],
            input=given.encode(),
            env=dict(self.env),
        )
        return done.stdout.decode()

    async def types(self, text: str) -> None:
        """Type `text`, as it is."""
        await self.does("send-keys", "-l", text)

    async def presses(self, *keys: str) -> None:
        """Press keys by tmux's names, such as ``Enter`` and ``C-z``."""
        await self.does("send-keys", *keys)

    async def pastes(self, text: str) -> None:
        """Paste `text`, marked as a paste if the program has asked for that."""
        await self.does("load-buffer", "-", given=text)
        await self.does("paste-buffer", "-p", "-d")

    async def resizes(self, columns: int, rows: int) -> None:
        """Change the window's size."""
        await self.does("resize-window", "-x", str(columns), "-y", str(rows))

    async def history(self) -> str:
        """Return all that the window has shown and shows, folded lines made whole."""
        return await self.does("capture-pane", "-p", "-J", "-S", "-")

    async def until(self, text: str, times: int = 1) -> str:
        """Wait until the history holds `text` so many times; return the history.

        Raises:
            AssertionError: It did not in time.
        """

        async def seen() -> bool:
            return (await self.history()).count(text) >= times

        if not await comes_true(seen, PATIENCE):
            raise AssertionError(f"no {text!r}; tmux shows:\n{await self.history()}")
        return await self.history()

    async def mode(self, name: str) -> str:
        """Return a fact of the window by tmux's name, such as ``pane_current_command``."""
        return (await self.does("display-message", "-p", f"#{{{name}}}")).strip()
