"""Reading the audit record without its key: a span of time, the newest, and what is being added.

What is read is not checked; `guard.audit.verify` does that. A last line that is unfinished is left
out. Times are found by halving, so that a short span of a long record is quick to read; where the
clock was set back meanwhile, records about that moment may be found on either side of it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from guard.audit_files import COMPRESSED, NAME, open_lines, segments
from guard.files import check_private_file
from guard.links import LONGEST_LINE, start_of
from guard.pen import at_the_edge

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from typing import BinaryIO

    from guard.audit_files import Segment

_BLOCK: Final = 64 * 1024


def lines_between(
    directory: Path, since: str | None = None, until: str | None = None
) -> Iterator[bytes]:
    """Yield the lines of a span of time, oldest first.

    Args:
        directory: Where the record is.
        since: The first moment of it, as in a record's ``ts``; None for the beginning.
        until: The moment after its last one; None for the end.

    Raises:
        AuditBroken: A file cannot be read.
        UnsafeFile: Others have access to one, or something else stands in its place.
    """
    for each in _wanted(directory, since, until):
        with at_the_edge(each.path), open_lines(each.path) as file:
            if since is not None and each.path.suffix != COMPRESSED:
                _seek(file, since)
            for line in _whole_lines(file):
                found = start_of(line)
                if found is not None and since is not None and found.ts < since:
                    continue
                if found is not None and until is not None and found.ts >= until:
                    break
                yield line


def lines_backwards(
    directory: Path, since: str | None = None, until: str | None = None
) -> Iterator[bytes]:
    """Yield the lines of a span of time, newest first. Arguments and errors as above."""
    for each in reversed(_wanted(directory, since, until)):
        with at_the_edge(each.path), open_lines(each.path) as file:
            if each.path.suffix == COMPRESSED:
                lines: Iterable[bytes] = reversed([*_whole_lines(file)])
            else:
                lines = _from_the_end(file)
            for line in lines:
                found = start_of(line)
                if found is not None and until is not None and found.ts >= until:
                    continue
                if found is not None and since is not None and found.ts < since:
                    break
                yield line


class Follower:
    """Tells what is added to the record from now on, through files that are set aside meanwhile.

    Args:
        directory: Where the record is.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._file: BinaryIO | None = None
        self._seq = 0

    def start(self) -> int:
        """Begin at the end, and return the number of the record that is last there.

        Raises:
            AuditBroken: A file cannot be read.
            UnsafeFile: Others have access to one, or something else stands in its place.
        """
        for line in lines_backwards(self._directory):
            if self._note(line):
                break
        self._open()
        for _ in self._fresh():
            pass
        return self._seq

    def added(self) -> Iterator[bytes]:
        """Yield the lines that were added since the last time, and what was before.

        Raises:
            AuditBroken: A file cannot be read.
            UnsafeFile: Others have access to one, or something else stands in its place.
        """
        if self._file is None:
            self._open()
        yield from self._fresh()
        while self._file is not None and not self._is_current(self._file):
            # Set aside; it may have got its last line after we looked.
            yield from self._fresh()
            self.close()
            yield from self._between()
            self._open()
            yield from self._fresh()

    def close(self) -> None:
        """Close the file that is followed."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _between(self) -> Iterator[bytes]:
        """Yield what was set aside that is newer than what was told."""
        for each in _segments(self._directory):
            if each.is_current or (each.next is not None and each.next.seq <= self._seq + 1):
                continue
            with at_the_edge(each.path), open_lines(each.path) as file:
                yield from filter(self._note, _whole_lines(file))

    def _fresh(self) -> Iterator[bytes]:
        if self._file is None:
            return
        with at_the_edge(self._directory / NAME):
            place = self._file.tell()
            for line in _whole_lines(self._file):
                place += len(line)
                if self._note(line):
                    yield line
            # An unfinished line is read once more when it is whole.
            self._file.seek(place)

    def _note(self, line: bytes) -> bool:
        """Note how far it came; tell whether a line is new."""
        found = start_of(line)
        if found is None or found.seq <= self._seq:
            return False
        self._seq = found.seq
        return True

    def _open(self) -> None:
        path = self._directory / NAME
        if check_private_file(path):
            flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
            with at_the_edge(path):
                self._file = os.fdopen(os.open(path, flags), "rb")

    def _is_current(self, file: BinaryIO) -> bool:
        try:
            here = os.lstat(self._directory / NAME)
        except FileNotFoundError:
            return True  # between two files: the next look finds the new one
        there = os.fstat(file.fileno())
        return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)


def _segments(directory: Path) -> list[Segment]:
    with at_the_edge(directory / NAME):
        return segments(directory)


def _wanted(directory: Path, since: str | None, until: str | None) -> list[Segment]:
    """Return the files that may hold a part of the span."""
    return [
        each
        for each in _segments(directory)
        if not (since is not None and each.next is not None and each.next.ts < since)
        and not (until is not None and each.first is not None and each.first.ts >= until)
    ]


def _seek(file: BinaryIO, since: str) -> None:
    """Go to the first line that is not before `since`, or to one shortly before it."""
    low, high = 0, file.seek(0, os.SEEK_END)
    while high - low > _BLOCK:
        middle = (low + high) // 2
        file.seek(middle)
        file.readline()
        if _time_behind(file, high) < since:
            low = middle
        else:
            high = middle
    file.seek(low)
    if low:
        file.readline()


def _time_behind(file: BinaryIO, end: int) -> str:
    """Return when the next record was written; what is no record is passed over."""
    while file.tell() < end and (line := file.readline(LONGEST_LINE)):
        if (found := start_of(line)) is not None:
            return found.ts
    return "~"  # after all times


def _whole_lines(file: BinaryIO) -> Iterator[bytes]:
    while (line := file.readline(LONGEST_LINE)) and (
        line.endswith(b"\n") or len(line) == LONGEST_LINE
    ):
        yield line


def _from_the_end(file: BinaryIO) -> Iterator[bytes]:
    """Yield the whole lines of an open file, the last one first."""
    place = file.seek(0, os.SEEK_END)
    before = b""
    while place:
        size = min(_BLOCK, place)
        place -= size
        file.seek(place)
        line, newline, after = (file.read(size) + before).partition(b"\n")
        before = line + newline
        # What follows the last newline is nothing, or unfinished.
        yield from (each + b"\n" for each in reversed(after.split(b"\n")[:-1]))
    if before.endswith(b"\n"):
        yield before
