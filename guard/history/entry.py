"""The parts of a history file: its lines, and the entries that a format makes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Final, NamedTuple, TypeAlias

_MOST: Final = 4 * 1024 * 1024

Look: TypeAlias = Callable[[str], Iterable[str]]
"""Given an entry's text, the kinds of the secrets in it; never a value."""


class Line(NamedTuple):
    """A line of a file.

    Attributes:
        start: The offset of its first byte.
        number: Which line it is; the first is 1.
        data: Its bytes, with the newline that ends it.
    """

    start: int
    number: int
    data: bytes


def is_full(lines: list[Line]) -> bool:
    """Tell whether lines are more than any entry has: what goes on without end ends there."""
    return lines[-1].start + len(lines[-1].data) - lines[0].start > _MOST


class Entry(NamedTuple):
    """A command as one program keeps it in its history.

    Attributes:
        lines: Its lines in the file.
        command: What was typed, decoded.
        beside: What else is noted with it, decoded.
        when: When that was, in seconds since 1970, where the format tells.
        kept: It is the file's frame rather than an entry, and never removed.
    """

    lines: tuple[Line, ...]
    command: bytes
    beside: bytes = b""
    when: int | None = None
    kept: bool = False

    @property
    def start(self) -> int:
        """The offset of its first byte."""
        return self.lines[0].start

    @property
    def end(self) -> int:
        """The offset behind its last byte."""
        return self.lines[-1].start + len(self.lines[-1].data)

    @property
    def number(self) -> int:
        """The number of its first line."""
        return self.lines[0].number

    def kinds(self, look: Look) -> list[str]:
        """Return the kinds of secrets in it, however the format or the shell writes them."""
        if self.kept:
            return []
        return list(dict.fromkeys(kind for text in self._readings() for kind in look(text)))

    def time(self) -> datetime | None:
        """Return when it was typed, if that is known and can be."""
        try:
            return None if self.when is None else datetime.fromtimestamp(self.when, UTC)
        except (ValueError, OverflowError, OSError):
            return None

    def _readings(self) -> Iterable[str]:
        readings = [self.command]
        # As it stands in the file; not where that is the same, with at most a time before it.
        raw = b"".join(line.data for line in self.lines).rstrip(b"\r\n")
        if not raw.endswith(self.command):
            readings.append(raw)
        # A shell takes out a backslash at a line's end with the line's end, so a secret may
        # stand on both sides of it.
        if b"\\" in self.command and b"\n" in self.command:
            readings.append(self.command.replace(b"\\\r\n", b"").replace(b"\\\n", b""))
        if self.beside:
            readings.append(self.beside)
        return (reading.decode("utf-8", "replace") for reading in readings)


Format: TypeAlias = Callable[[Iterator[Line]], Iterator[Entry]]
"""What makes entries of lines: in order, each line in one entry, none left out."""
