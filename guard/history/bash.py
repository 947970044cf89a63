"""bash's history: a command a line, or several under a line with the time such as `#1700000000`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from guard.history.entry import Entry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from guard.history.entry import Line

_STAMP: Final = re.compile(rb"#([0-9]+)[ \t\r]*\n?")


def entries(lines: Iterator[Line]) -> Iterator[Entry]:
    """Make entries of lines, as bash reads them.

    A file that begins with a time has one above each command, and all lines up to the next time are
    that command's. In any other file each line is a command of its own; a time above it is its.
    """
    held: list[Line] = []
    grouped: bool | None = None
    for line in lines:
        stamped = _STAMP.fullmatch(line.data) is not None
        if grouped is None:
            grouped = stamped
        if held and (stamped or (not grouped and not _is_stamp_alone(held))):
            yield _entry(held)
            held = []
        held.append(line)
    if held:
        yield _entry(held)


def _is_stamp_alone(held: list[Line]) -> bool:
    return len(held) == 1 and _STAMP.fullmatch(held[0].data) is not None


def _entry(held: list[Line]) -> Entry:
    stamp = _STAMP.fullmatch(held[0].data)
    command = b"".join(line.data for line in (held[1:] if stamp else held))
    when = int(stamp[1][:20]) if stamp else None
    return Entry(lines=tuple(held), command=command.rstrip(b"\r\n"), when=when)
