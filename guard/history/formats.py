"""Which program writes its history in which format."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from guard.history import bash, fish, less, powershell, readline, zsh

if TYPE_CHECKING:
    from collections.abc import Mapping

    from guard.history.entry import Format

FORMATS: Final[Mapping[str, Format]] = MappingProxyType(
    {
        "bash": bash.entries,
        "zsh": zsh.entries,
        "fish": fish.entries,
        "powershell": powershell.entries,
        "python": readline.python_entries,
        "node": readline.entries,
        "psql": readline.entries,
        "mysql": readline.entries,
        "sqlite": readline.entries,
        "less": less.entries,
    }
)
"""What makes entries of the lines, by the program's name."""
