r"""Histories of one entry a line: those that GNU Readline and libedit write, and Node's own.

Line ends within an entry: psql writes the byte 1, Python's own reader a carriage return before the
newline, Node a carriage return. libedit, after a heading, writes blanks, line ends and backslashes
as `\040` and the like.
"""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, Final

from guard.history.entry import Entry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from guard.history.entry import Line

_MOST_LINES: Final = 1000
_LIBEDIT: Final = b"_HiStOrY_V2_"
_OCTAL: Final = re.compile(rb"\\([0-3][0-7]{2})")


def entries(lines: Iterator[Line]) -> Iterator[Entry]:
    """Make an entry of each line."""
    escaped = False
    for line in lines:
        if not line.start and line.data.rstrip(b"\r\n") == _LIBEDIT:
            escaped = True
            yield Entry(lines=(line,), command=b"", kept=True)
        else:
            yield _entry([line], escaped=escaped)


def python_entries(lines: Iterator[Line]) -> Iterator[Entry]:
    """Make entries of lines; one that ends with a carriage return goes on in the next.

    Where one goes on without end, some editor has written carriage returns at all line ends.
    """
    first = next(lines, None)
    if first is None:
        return
    lines = itertools.chain((first,), lines)
    if first.data.rstrip(b"\r\n") == _LIBEDIT:
        yield from entries(lines)
        return
    held: list[Line] = []
    for line in lines:
        held.append(line)
        if not line.data.endswith(b"\r\n"):
            yield _entry(held, escaped=False)
            held = []
        elif len(held) > _MOST_LINES:
            yield from (_entry([each], escaped=False) for each in held)
            held = []
    yield from (_entry([each], escaped=False) for each in held)


def _entry(held: list[Line], *, escaped: bool) -> Entry:
    command = b"".join(line.data for line in held).rstrip(b"\r\n")
    command = command.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\x01", b"\n")
    if escaped:
        command = _OCTAL.sub(lambda found: bytes((int(found[1], 8),)), command)
    return Entry(lines=tuple(held), command=command)
