"""What surrounds a program under test: its environment, and a browser that only takes notes."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.rigs.parts import search_path
from tests.rigs.waiting import comes_true

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE = 30.0
"""Seconds that a browser may take to be opened."""


def clean_env(tmp_path: Path, **extra: str) -> dict[str, str]:
    """Return an environment that inherits PATH alone: no agent's marker, no secret, no display.

    Home, configuration and state stand under `tmp_path`; `extra` adds to it or replaces.
    """
    home = tmp_path / "home"
    home.mkdir(exist_ok=True)
    env = {
        "HOME": str(home),
        "PATH": search_path(),
        "LANG": "C.UTF-8",
        "TERM": "xterm-256color",
        "TWG_CONFIG_DIR": str(tmp_path / "config"),
        "TWG_STATE_DIR": str(tmp_path / "state"),
        "PROMPT_TOOLKIT_NO_CPR": "1",
    }
    return env | extra


@dataclass(frozen=True)
class FakeBrowser:
    """A program for `BROWSER` that notes each address it is given.

    Attributes:
        path: The program.
        notes: Where it puts them, a file each.
    """

    path: Path
    notes: Path

    def opened_urls(self) -> list[str]:
        """Every address so far, the first one first."""
        files = sorted(self.notes.glob("*.url"), key=lambda file: int(file.stem))
        return [file.read_text() for file in files]

    async def opened_url(self, timeout: float = PATIENCE) -> str:  # noqa: ASYNC109 - one error for all rigs
        """Return the first address, once there is one.

        Raises:
            AssertionError: None came within `timeout` seconds.
        """
        if not await comes_true(lambda: bool(self.opened_urls()), timeout):
            raise AssertionError(f"no browser was opened within {timeout:g} s")
        return self.opened_urls()[0]


def fake_browser(tmp_path: Path) -> FakeBrowser:
    """Write the program, and return it."""
    notes = tmp_path / "opened"
    notes.mkdir()
    path = tmp_path / "fake-browser"
    # Written aside and linked to the first free number: a note is there whole or not at all.
    path.write_text(
        "#!/bin/sh\n"
        f"cd {shlex.quote(str(notes))} || exit 1\n"
        """printf '%s' "$1" > "$$.part"\n"""
        """n=1; until ln "$$.part" "$n.url" 2>/dev/null; do\n"""
        """  n=$((n + 1)); [ $n -lt 100 ] || exit 1\n"""
        "done\n"
    )
    path.chmod(0o755)
    return FakeBrowser(path, notes)
