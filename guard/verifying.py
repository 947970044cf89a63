"""Proving the audit record: its whole chain, and of what breaks it the first, named for what it is.

A record was changed, removed, inserted, moved or repeated, or the newest were cut off. Which it
was, the records behind the first bad one tell, for each holds its own number and the MAC of the
one before.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from guard.audit_files import (
    head_of,
    kept_after,
    lines_in,
    lines_of,
    lock_of,
    set_aside,
    start_link,
    start_note_of,
)
from guard.errors import AuditBroken, Fault
from guard.files import check_private_file, read_private
from guard.links import LONGEST_LINE, keys_of, link_at_end, link_in, prev_in, unsealed
from guard.locks import LockFile
from guard.pen import at_the_edge, locked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from guard.links import Link

_PATIENCE: Final = 30.0
_TOLD_EACH: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A record whose chain is whole.

    Attributes:
        first: The number of the oldest record that is kept; 0 where there is none.
        last: The number of the newest one.
        files: How many files it is in.
        unnamed: How many of the newest the head file does not name yet: a command was killed
            before it could, or an older head file was put back.
    """

    first: int
    last: int
    files: int
    unnamed: int = 0

    @property
    def count(self) -> int:
        """How many records are kept."""
        return self.last - self.first + 1 if self.last else 0


def prove(
    path: Path, key: bytes, *, told: Callable[[int, int], None] = lambda _done, _all: None
) -> Proof:
    """Check the whole record, through all its files.

    Others may append meanwhile; what is there at the start is checked. Nothing but its lock is
    made.

    Args:
        path: The record's current file.
        key: Its keys; see `guard.links`.
        told: Hears now and then how many records are checked, of how many.

    Raises:
        AuditBroken: Naming the first record that was changed, removed, inserted, moved, repeated
            or cut off, or what else is wrong; its `fault` says it for programs.
        AuditBusy: Another process has kept it locked for too long.
        UnsafeFile: Others have access to the log, or something else stands in its place.
    """
    if not is_begun(path):
        return Proof(first=0, last=0, files=0)
    keys = keys_of(key)
    with at_the_edge(path), _opened(path) as log:
        with locked(LockFile(lock_of(path)), path, _PATIENCE):
            size, aside = 0 if log is None else os.fstat(log).st_size, set_aside(path.parent)
            note = read_private(head_of(path))
            head = None if note is None else unsealed("head", note, keys)
            start = start_link(path, keys)
        if start is None:
            removed = start_note_of(path)
            raise AuditBroken(
                path,
                f"the note of what was removed of it, {removed.name}, was changed",
                Fault(kind="start", file=removed),
            )
        if not (size or note or aside or start.seq):
            # It was only shown that it could be written to.
            return Proof(first=0, last=0, files=0)
        files = kept_after(start, aside)
        last = _Way(path, keys, start, head).walk(_places(path, files, log, size), told)
    if head is None:
        name = head_of(path)
        raise AuditBroken(
            path,
            f"its head file {name.name} is missing or was changed",
            Fault(kind="head", file=name),
        )
    return Proof(
        first=min(start.seq + 1, last.seq),
        last=last.seq,
        files=len(files) + 1,
        unnamed=last.seq - head.seq,
    )


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int | None]:
    """Open a file to be read, if it is there; what is missing is not made."""
    if not check_private_file(path):
        yield None
        return
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    descriptor = os.open(path, flags)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def is_begun(path: Path) -> bool:
    """Tell whether anything was ever recorded, as far as what is left shows.

    Args:
        path: The record's current file.

    Raises:
        UnsafeFile: Others have access to what is left, or something else stands in its place.
    """
    # What is left of it alone is told, too, where somebody removed the rest.
    beside = (path, head_of(path), start_note_of(path))
    return any(map(check_private_file, beside)) or bool(set_aside(path.parent))


@dataclass(frozen=True, slots=True)
class _Place:
    """A line and where it stands."""

    file: Path
    number: int
    line: bytes


def _places(path: Path, aside: list[Path], log: int | None, size: int) -> Iterator[_Place]:
    for file in aside:
        for number, line in enumerate(lines_in(file), start=1):
            yield _Place(file, number, line)
    if log is not None:
        for number, line in enumerate(lines_of(log, size), start=1):
            yield _Place(path, number, line)


class _Way:
    """The way along a chain, to its end or to the first that is bad.

    Args:
        path: The record's current file.
        keys: Its keys.
        start: The link that it begins behind.
        head: What its head file names; None where that is unsound.
    """

    def __init__(self, path: Path, keys: list[bytes], start: Link, head: Link | None) -> None:
        self._path = path
        self._keys = keys
        self._last = start
        self._start = start
        self._head = head

    def walk(self, places: Iterator[_Place], told: Callable[[int, int], None]) -> Link:
        """Go to the end, and return its link.

        Raises:
            AuditBroken: Something is wrong.
        """
        last, keys = self._last, self._keys
        head_seq = -1 if self._head is None else self._head.seq
        here = _Place(self._path, 0, b"")
        for here in places:
            link = link_in(here.line, keys, last.epoch)
            if link is None or link.seq != last.seq + 1 or prev_in(here.line) != last.mac:
                self._last = last
                raise self._broken(here, link or link_at_end(here.line, keys), places)
            last = link
            if link.seq == head_seq and link != self._head:
                raise self._other_than_named(here, link.seq)
            if link.seq % _TOLD_EACH == 0:
                told(link.seq - self._start.seq, head_seq - self._start.seq)
        self._last = last
        if last.seq < head_seq:
            raise self._cut_off(here)
        return last

    def _broken(self, here: _Place, link: Link | None, behind: Iterator[_Place]) -> AuditBroken:
        if link is None:
            return self._unsound(here, _next_line(here, behind))
        due = self._last.seq + 1
        if link.seq < due:
            return _error(here, "duplicated", link.seq, f"(record {link.seq}) is repeated")
        if link.seq == due:
            words = f"(record {due}) does not follow: wrong prev"
            return _error(here, "inserted", due, words)
        return self._ahead(here, link.seq, due, behind)

    def _unsound(self, here: _Place, after: _Place | None) -> AuditBroken:
        """Tell of a line that is not as it was written, with the one after it."""
        due = self._last.seq + 1
        if not here.line.endswith(b"\n") and len(here.line) < LONGEST_LINE:
            return self._unfinished(here)
        what = "is not a record" if not here.line.lstrip().startswith(b'{"') else "is not sound"
        if self._follows(after):
            return _error(here, "inserted", due, f"{what}: it was inserted before record {due}")
        if after is None and self._head is not None and self._head.seq == self._last.seq:
            return _error(here, "inserted", due, f"{what}: it was inserted behind the last record")
        words = "was changed" if what == "is not sound" else f"{what}: it was changed"
        return _error(here, "changed", due, f"(record {due}) {words}")

    def _unfinished(self, here: _Place) -> AuditBroken:
        due = self._last.seq + 1
        words = "is unfinished"
        if self._head is not None and self._head.seq >= due:
            words += f": records {due} to {self._head.seq} were cut off its end"
            return _error(here, "cut off", due, words)
        return _error(here, "unfinished", due, words)

    def _follows(self, place: _Place | None) -> bool:
        """Tell whether a line is the one that is due."""
        if place is None:
            return False
        link = link_in(place.line, self._keys, self._last.epoch)
        return link is not None and link.seq == self._last.seq + 1

    def _ahead(self, here: _Place, seq: int, due: int, behind: Iterator[_Place]) -> AuditBroken:
        """Tell of a sound record that stands before its time, by what is behind it."""
        found: _Place | None = None
        distance = 0
        for steps, place in enumerate(behind, start=1):
            link = link_at_end(place.line, self._keys)
            if link is not None and link.seq == seq:
                words = f"(record {seq}) is repeated in {_where(place, here)}"
                return _error(here, "duplicated", seq, words)
            if link is not None and link.seq == due and found is None:
                found, distance = place, steps
        if found is None:
            words = f"records {due} to {seq - 1} are missing before line {here.number}"
            fault = Fault(kind="removed", file=here.file, line=here.number, seq=due)
            return AuditBroken(here.file, f"{words} (record {seq})", fault)
        if distance == seq - due:
            words = f"(record {seq}) was swapped with {_where(found, here)} (record {due})"
            return _error(here, "swapped", seq, words)
        if distance == 1:
            words = f"(record {seq}) was moved here, before record {due}"
            return _error(here, "moved", seq, words)
        words = f"(record {seq}) stands in the place of record {due}, which was moved to"
        return _error(here, "moved", due, f"{words} {_where(found, here)}")

    def _cut_off(self, end: _Place) -> AuditBroken:
        due, head = self._last.seq + 1, self._head
        last = due if head is None else head.seq
        return AuditBroken(
            end.file,
            f"records {due} to {last} were cut off its end, behind line {end.number}",
            Fault(kind="cut off", file=end.file, line=end.number + 1, seq=due),
        )

    def _other_than_named(self, here: _Place, seq: int) -> AuditBroken:
        name = head_of(self._path).name
        words = f"(record {seq}) is not the one that the head file {name} names"
        return _error(here, "head", seq, words)


def _next_line(here: _Place, behind: Iterator[_Place]) -> _Place | None:
    """Return the line after this one, of which there may be more pieces."""
    piece: _Place | None = here
    while piece is not None and not piece.line.endswith(b"\n"):
        piece = next(behind, None)
    return None if piece is None else next(behind, None)


def _error(place: _Place, kind: str, seq: int, words: str) -> AuditBroken:
    return AuditBroken(
        place.file,
        f"line {place.number} {words}",
        Fault(kind=kind, file=place.file, line=place.number, seq=seq),
    )


def _where(place: _Place, seen_from: _Place) -> str:
    beside = "" if place.file == seen_from.file else f" of {place.file.name}"
    return f"line {place.number}{beside}"
