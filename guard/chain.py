"""Writing the audit record's chain: its current file, the head file, and on from file to file.

The head file names the last record once more, so that the end cannot be cut off unnoticed.

Between two records a process keeps both files open, and remembers how it left them. As long as they
are as it left them, nobody else wrote, and the last link is known; else the end is read and
checked.
"""

from __future__ import annotations

import contextlib
import os
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from guard import events, links, rotation
from guard.audit_files import head_of, lines_in, set_aside, start_link
from guard.errors import AuditBroken
from guard.files import check_private_file, sync_directory
from guard.links import BEGINNING, LONGEST_LINE, fragment
from guard.locks import write_at_start

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from guard.links import Link, Start
    from guard.rotation import Keeping

_MODE: Final = 0o600
_MOST_OF_A_HEAD: Final = 256
# Most records are far shorter than the longest.
_MOST_OF_AN_END: Final = 4096
_nature: Final = attrgetter("st_dev", "st_ino", "st_mode", "st_uid", "st_nlink")
_status: Final = attrgetter(
    "st_dev", "st_ino", "st_mode", "st_uid", "st_nlink", "st_size", "st_mtime_ns", "st_ctime_ns"
)


class Chain:
    """The log and its head file. Whoever calls holds the log's lock.

    Args:
        path: The log.
        key: The keys.
        reload: Gives them anew, where the end is under one that is not known yet.
        actor: Who does what nobody asked for, such as mending the end.
        keeping: How large and how old files get.
    """

    def __init__(
        self,
        path: Path,
        key: bytes,
        *,
        reload: Callable[[], bytes],
        actor: Mapping[str, Any],
        keeping: Keeping,
    ) -> None:
        self._path = path
        self._reload = reload
        self._actor = actor
        self._keeping = keeping
        self._keys = links.keys_of(key)
        self._log: _Kept | None = None
        self._head: _Kept | None = None
        self._first: Start | None = None
        self.last = BEGINNING
        self.rotated = False

    def append(self, records: Sequence[str]) -> None:
        """Write records, all of them or none; what was wrong with the end is recorded first.

        With no records at all it shows that there could be some.

        Args:
            records: Their facts, as `guard.links.fragment` makes them.

        Raises:
            AuditBroken: There is no end to go on from, or no room.
            UnsafeFile: Others have access to a file, or something else stands in its place.
            FileUnwritable: The directory cannot be made.
            OSError: A file cannot be read or written.
        """
        try:
            log, head, found = self._opened()
            noted = Noted(self._actor)
            for what in found:
                events.audit_mended(noted, what=what)
            if records and self._first and self._keeping.is_full(log.known_size, self._first):
                log = self._rotated(log, self._first, noted)
            if noted.facts or records or self._has_new_key():
                self._write(log, head, [*noted.facts, *records])
        except BaseException:
            # As nobody knows how the files were left, the next one looks.
            self._log = self._head = None
            raise

    def sync(self) -> None:
        """Have what was written on the disk. The log's lock is not needed for it.

        Raises:
            OSError: The disk refuses.
        """
        if self._log is not None:
            _sync(self._log.descriptor)

    def _opened(self) -> tuple[_Kept, _Kept, list[str]]:
        """Return both files, and in words what was wrong with the end."""
        log, head = self._log, self._head
        if log is not None and head is not None and log.is_as_left() and head.is_as_left():
            return log, head, []
        if log is None or head is None or not (log.is_there() and head.is_there()):
            log = self._log = _Kept(self._path, os.O_RDWR | os.O_APPEND)
            head = self._head = _Kept(head_of(self._path), os.O_RDWR)
        found = self._mended(log, head)
        self._first = links.start_of(log.beginning())
        return log, head, found

    def _mended(self, log: _Kept, head: _Kept) -> list[str]:
        line, torn = self._end(log)
        told, tail = self._known(line, head)
        if told is None and tail is None:
            raise AuditBroken(self._path, "neither its last record nor its head file is as written")
        self.last = max(link for link in (told, tail) if link is not None)
        found = []
        if torn:
            os.ftruncate(log.descriptor, log.size() - torn)
            log.known_size -= torn
            found.append(f"an unfinished record of {torn} bytes was cut off")
        if told is None and tail != BEGINNING:
            found.append("the head file was missing or changed")
        if tail is None:
            found.append("the last record was changed")
        elif tail.seq < self.last.seq:
            found.append(f"records {tail.seq + 1} to {self.last.seq} were missing")
        return found

    def _known(self, line: bytes, head: _Kept) -> tuple[Link | None, Link | None]:
        """Return the links that the head file and the last line tell, each None if unsound."""
        note = head.beginning()
        found = self._known_by(line, note)
        if found == (None, None):
            # Another process may have changed the key.
            self._keys = links.keys_of(self._reload())
            found = self._known_by(line, note)
        return found

    def _known_by(self, line: bytes, note: bytes) -> tuple[Link | None, Link | None]:
        tail = links.link_at_end(line, self._keys) if line else start_link(self._path, self._keys)
        return links.unsealed("head", note, self._keys), tail

    def _end(self, log: _Kept) -> tuple[bytes, int]:
        """Return the last whole line, and how many bytes of an unfinished one follow it."""
        end = log.ending(_MOST_OF_AN_END)
        if end.count(b"\n") < 2:  # noqa: PLR2004 - one ends the last line, one that before it
            end = log.ending(2 * LONGEST_LINE)
        whole, newline, torn = end.rpartition(b"\n")
        if len(torn) > LONGEST_LINE:
            raise AuditBroken(self._path, "it ends in something that is not a record")
        if newline:
            return whole.rpartition(b"\n")[2] + newline, len(torn)
        # It was just begun; the record before is in the file that was set aside last.
        line = b""
        for path in set_aside(self._path.parent)[-1:]:
            for line in lines_in(path):  # noqa: B007 - the last one is wanted
                pass
        return line, len(torn)

    def _rotated(self, log: _Kept, first: Start, noted: Noted) -> _Kept:
        """Set the full file aside; return the new one."""
        _sync(log.descriptor)
        aside = rotation.put_aside(self._path, first)
        if aside is None:
            return log
        self.rotated = True
        log = self._log = _Kept(self._path, os.O_RDWR | os.O_APPEND)
        ends = f"{aside.name} ends with record {self.last.seq}"
        events.audit_rotated(noted, what=ends)
        if self._keeping.days is not None:
            gone = rotation.remove_old(self._path, self._keeping.days, self._keys)
            if gone is not None:
                why = f"records up to {gone.seq} were older than {self._keeping.days:g} days"
                events.audit_removed(noted, what=why)
        self._first = None
        return log

    def _has_new_key(self) -> bool:
        return self.last.epoch + 1 < len(self._keys)

    def _write(self, log: _Kept, head: _Kept, records: Sequence[str]) -> None:
        last = self.last
        lines = []
        while last.epoch + 1 < len(self._keys):
            handed = Noted(self._actor)
            events.audit_key_changed(handed, **links.hand_over(last, self._keys))
            line, last = links.line_of(handed.facts[0], last, self._keys)
            lines.append(line)
            last = last._replace(epoch=last.epoch + 1)
        for facts in records:
            line, last = links.line_of(facts, last, self._keys)
            lines.append(line)
        data = b"".join(lines)
        size = log.known_size
        if os.write(log.descriptor, data) != len(data):
            os.ftruncate(log.descriptor, size)
            raise AuditBroken(self._path, "the disk is full")
        if size == 0:
            sync_directory(self._path.parent)
        self.last = last
        self._first = self._first or links.start_of(data)
        head.overwrite(links.sealed("head", last, self._keys))
        log.leave()
        head.leave()


@contextlib.contextmanager
def opened(path: Path, flags: int) -> Iterator[int]:
    """Open a private file, which is made if it is missing."""
    descriptor = _open(path, flags)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _open(path: Path, flags: int) -> int:
    check_private_file(path)
    flags |= os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    return os.open(path, flags, _MODE)


def _sync(descriptor: int) -> None:
    # Its length is synced too, as far as it is needed to read it.
    getattr(os, "fdatasync", os.fsync)(descriptor)


class Noted:
    """Gathers what the record notes of itself.

    Args:
        actor: Who had it do that.
    """

    def __init__(self, actor: Mapping[str, Any]) -> None:
        self._actor = actor
        self.facts: list[str] = []

    def record(self, event: str, **facts: Any) -> None:
        """Note an event; see `AuditLog.record`."""
        told = {"event": event, "actor": self._actor, "outcome": "ok", **facts}
        self.facts.append(fragment(told))


class _Kept:
    """A private file that is kept open, and how it was left.

    Args:
        path: The file, made if it is missing.
        flags: How to open it.
    """

    def __init__(self, path: Path, flags: int) -> None:
        self._name = str(path)
        self._left: Any = None
        self.known_size = 0
        self.descriptor = _open(path, flags)
        self._nature = _nature(os.fstat(self.descriptor))

    def size(self) -> int:
        """Return how long it is, and know it from now on."""
        self.known_size = os.fstat(self.descriptor).st_size
        return self.known_size

    def beginning(self) -> bytes:
        """Return its first bytes."""
        os.lseek(self.descriptor, 0, os.SEEK_SET)
        return os.read(self.descriptor, _MOST_OF_A_HEAD)

    def ending(self, most: int) -> bytes:
        """Return its last bytes, at most so many."""
        os.lseek(self.descriptor, max(0, self.size() - most), os.SEEK_SET)
        return os.read(self.descriptor, most)

    def overwrite(self, data: bytes) -> None:
        """Write over its beginning."""
        write_at_start(self.descriptor, data)

    def leave(self) -> None:
        """Remember how it is now."""
        found = os.fstat(self.descriptor)
        self._left, self.known_size = _status(found), found.st_size

    def is_there(self) -> bool:
        """Tell whether what is in its place is the same file, whoever wrote to it since."""
        try:
            return bool(_nature(os.lstat(self._name)) == self._nature)
        except FileNotFoundError:
            return False

    def is_as_left(self) -> bool:
        """Tell whether what is in its place is the same file, and nobody has touched it since."""
        try:
            return bool(_status(os.lstat(self._name)) == self._left)
        except FileNotFoundError:
            return False

    def __del__(self) -> None:
        if hasattr(self, "descriptor"):
            os.close(self.descriptor)
