"""bash's history: a command a line, or several under a line with the time such as `#1700000000`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from guard.history.commands import is_whole
from guard.history.entry import Entry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from guard.history.entry import Line

_MOST_LINES: Final = 200
_STAMP: Final = re.compile(rb"#([0-9]+)[ \t\r]*\n?")


def entries(lines: Iterator[Line]) -> Iterator[Entry]:
    """Make entries of lines.

    A file that begins with a time has one above each command, and the lines up to the next time are
    that command's. But a bash that writes no times may have appended as well, so a command ends
    where a shell would have run it. In any other file each line is a command of its own, as bash
    reads it; a time above it is its.
    """
    held: list[Line] = []
    timed: bool | None = None
    for line in lines:
        stamped = _STAMP.fullmatch(line.data) is not None
        if timed is None:
            timed = stamped
        if held and stamped:
            yield _entry(held)
            held = []
        held.append(line)
        if not stamped and not (timed and _goes_on(held)):
            yield _entry(held)
            held = []
    if held:
        yield _entry(held)


def _goes_on(held: list[Line]) -> bool:
    return len(held) < _MOST_LINES and not is_whole(_command(held))


def _command(held: list[Line]) -> bytes:
    stamped = _STAMP.fullmatch(held[0].data) is not None
    return b"".join(line.data for line in held[stamped:])


def _entry(held: list[Line]) -> Entry:
    stamp = _STAMP.fullmatch(held[0].data)
    when = int(stamp[1][:20]) if stamp else None
    return Entry(lines=tuple(held), command=_command(held).rstrip(b"\r\n"), when=when)
