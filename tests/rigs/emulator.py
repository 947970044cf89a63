"""What a person sees in a terminal and how it is set: an emulator's screen, and the modes."""

from __future__ import annotations

import termios
from typing import TYPE_CHECKING, NamedTuple

import pyte

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

SCROLL_BACK = 10_000
"""Lines that stay readable after they left the screen."""


class Modes(NamedTuple):
    """A terminal's modes (termios), comparable before and after."""

    input: int
    output: int
    control: int
    local: int
    characters: tuple[int | bytes, ...]

    @classmethod
    def of(cls, terminal: int) -> Self:
        """Read those of an open terminal."""
        input_, output, control, local, _, _, characters = termios.tcgetattr(terminal)
        return cls(input_, output, control, local, tuple(characters))

    @property
    def echo(self) -> bool:
        """Whether typed characters are shown."""
        return bool(self.local & termios.ECHO)

    @property
    def canonical(self) -> bool:
        """Whether input is handed over line by line."""
        return bool(self.local & termios.ICANON)


class _Answering(pyte.HistoryScreen):
    """A screen that answers a program's questions, such as where the cursor is."""

    def __init__(self, columns: int, rows: int, answer: Callable[[bytes], None]) -> None:
        super().__init__(columns, rows, history=SCROLL_BACK)
        self._answer = answer

    def write_process_input(self, data: str) -> None:
        """Send the emulator's own answer to the program."""
        self._answer(data.encode())


class Emulator:
    """An xterm with scroll-back.

    Args:
        columns: The window's width.
        rows: The window's height.
        answer: Called with what the terminal itself says to the program.
    """

    def __init__(self, columns: int, rows: int, answer: Callable[[bytes], None]) -> None:
        self._screen = _Answering(columns, rows, answer)
        self._stream = pyte.ByteStream(self._screen)

    def feed(self, data: bytes) -> None:
        """Show what the program has put out."""
        self._stream.feed(data)

    def resize(self, columns: int, rows: int) -> None:
        """Give the window another size."""
        self._screen.resize(rows, columns)

    def screen(self) -> str:
        """What the window shows now, a line a row, without blanks at the ends of lines."""
        return "\n".join(line.rstrip() for line in self._screen.display).rstrip()

    def transcript(self) -> str:
        """The whole scroll-back, and the window below it."""
        columns = range(self._screen.columns)
        gone = self._screen.history.top
        lines = ("".join(row[column].data for column in columns).rstrip() for row in gone)
        return "\n".join([*lines, self.screen()])
