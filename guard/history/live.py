"""What a program that still runs holds in its memory, and how it is told to let go of it."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class LiveShell(NamedTuple):
    """How one that still runs is told.

    Attributes:
        command: What to type into it.
        effect: What that does, in words.
    """

    command: str
    effect: str


_LEAVES: Final = "it writes its own copy when it ends; scrub the history once more after that"

LIVE: Final[Mapping[str, LiveShell]] = MappingProxyType(
    {
        "bash": LiveShell(
            command="history -d N",
            effect="deletes entry N, the number that `history` shows; else bash writes it at exit",
        ),
        "zsh": LiveShell(
            command="fc -AI; setopt appendhistory",
            effect="writes what it holds, and that never again; scrub the history once more then",
        ),
        "fish": LiveShell(
            command="history clear-session",
            effect="deletes what was typed in that window, from its memory and from the file",
        ),
        "powershell": LiveShell(
            command="[Microsoft.PowerShell.PSConsoleReadLine]::ClearHistory(); Clear-History",
            effect="empties the memory of that window; the file stays",
        ),
        "python": LiveShell(command="exit()", effect=_LEAVES),
        "node": LiveShell(command=".exit", effect=_LEAVES),
        "psql": LiveShell(command="\\q", effect=_LEAVES),
        "mysql": LiveShell(command="\\q", effect=_LEAVES),
        "sqlite": LiveShell(command=".quit", effect=_LEAVES),
        "less": LiveShell(command="q", effect=_LEAVES),
    }
)
"""For each program, how it lets go of what was removed from its file."""
