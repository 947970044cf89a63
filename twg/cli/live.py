"""A table that is redrawn in place, one line a name, on a terminal that can move its cursor."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TextIO

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twg.cli.wiring import Wiring

_ROOM_FOR_A_WORD: Final = 12


class LiveTable:
    """Names with what is going on with each; nothing else may be printed meanwhile.

    Args:
        stream: The terminal.
        rows: What stands beside each name at first; a short word of ours.
    """

    def __init__(self, stream: TextIO, rows: Mapping[str, str]) -> None:
        self._stream = stream
        self._places = {name: len(rows) - place for place, name in enumerate(rows)}
        self._widest = max(map(len, rows))
        self._rows = rows

    def begin(self) -> None:
        """Draw it."""
        self._draw("".join(f"{self._line(name, word)}\n" for name, word in self._rows.items()))

    def show(self, name: str, word: str) -> None:
        """Replace what stands beside `name`."""
        up = self._places[name]
        self._draw(f"\x1b[{up}A\r\x1b[K{self._line(name, word)}\r\x1b[{up}B")

    def _line(self, name: str, word: str) -> str:
        return f"{name:{self._widest}}  {word}"

    def _draw(self, text: str) -> None:
        with suppress(OSError):  # the terminal is gone; the signal that says so is on its way
            self._stream.write(text)
            self._stream.flush()


def live_table(wiring: Wiring, rows: Mapping[str, str]) -> LiveTable | None:
    """Return a table for `rows` if a person watches, on a terminal with room for all of it."""
    stream = wiring.stdout
    if wiring.output.mode != "text" or wiring.agent is not None or not stream.isatty():
        return None
    if not rows or wiring.environ.get("TERM", "dumb") == "dumb":
        return None
    try:
        columns, lines = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        return None
    fits = len(rows) < lines and max(map(len, rows)) + _ROOM_FOR_A_WORD < columns
    return LiveTable(stream, rows) if fits else None
