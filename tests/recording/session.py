"""The session that is recorded: a shell in a real terminal, and what a person types there."""

from __future__ import annotations

import re
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from tests.rigs.keyring_session import keyring_session
from tests.rigs.parts import program
from tests.rigs.surroundings import clean_env
from tests.rigs.terminal import Terminal
from twg import sandbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

COLUMNS: Final = 90
ROWS: Final = 100
"""High enough that nothing scrolls away."""

TYPED: Final = (
    "twg login --sandbox --no-bitbucket",
    "twg auth status",
    "twg api jira /rest/api/3/myself -o json",
    "twg login --token my-secret-token",
    "twg logout",
)

# What is typed is bold; what is put out is not.
_PROMPT: Final = r"\n\[\e[1;32m\]$\[\e[0;1m\] "
_BEFORE_OUTPUT: Final = r"\e[0m"


async def record(folder: Path, *, port: int | None = None) -> bytes:
    """Type the commands in turn, and return every byte that the terminal was sent.

    Args:
        folder: An empty one, for home, configuration and state.
        port: Where the sandbox listens; None for any port.
    """
    async with (
        keyring_session() as ring,
        _sandbox(folder / "home/.local/state/twg", port),
        Terminal.start(
            [program("bash"), "--noprofile", "--norc", "-i"],
            env=_environment(folder) | ring.env,
            columns=COLUMNS,
            rows=ROWS,
            cwd=folder / "home",
        ) as terminal,
    ):
        for command in TYPED:
            await terminal.until(re.compile(r"(?:\A|\n)\$\Z"))
            await terminal.send(command)
            await terminal.until(re.compile(rf"\$ {re.escape(command)}\Z"))
            await terminal.send_line()
        await terminal.until(re.compile(r"\n\$\Z"))
        return bytes(terminal.raw)


@asynccontextmanager
async def _sandbox(state_dir: Path, port: int | None) -> AsyncIterator[None]:
    await sandbox.start(state_dir, port=port, auto_approve=True)
    try:
        yield
    finally:
        await sandbox.stop(state_dir)


def _environment(folder: Path) -> dict[str, str]:
    browser = folder / "browser"
    browser.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m twg.sandbox.visitor "$1"\n')
    browser.chmod(0o755)
    home = folder / "home"
    return clean_env(
        folder,
        BROWSER=str(browser),
        PS0=_BEFORE_OUTPUT,
        PS1=_PROMPT,
        HISTFILE="",
        TWG_CONFIG_DIR=str(home / ".config/twg"),
        TWG_STATE_DIR=str(home / ".local/state/twg"),
        TZ="UTC",
    )
