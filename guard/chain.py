"""The chain of the audit record: each line holds the MAC of the one before and its own.

Only who has the key can add to it or change it unnoticed. A head file beside the log names the last
record once more, so that the end cannot be cut off unnoticed either.

Between two records a process keeps both files open, and remembers how it left them. As long as they
are as it left them, nobody else wrote, and the last link is known; else the end is read and
checked.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import os
from datetime import UTC, datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from guard.errors import AuditBroken
from guard.files import check_private_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

_MODE: Final = 0o600
# A line is shorter than this, bounded as its fields are, even if all is escaped; so a tail of twice
# as much holds the last whole one.
_LONGEST_LINE: Final = 32 * 1024
_encoded: Final = json.JSONEncoder(separators=(",", ":")).encode
_canonical: Final = json.JSONEncoder(separators=(",", ":"), sort_keys=True).encode
_status: Final = attrgetter(
    "st_dev", "st_ino", "st_mode", "st_uid", "st_nlink", "st_size", "st_mtime_ns", "st_ctime_ns"
)


class Link(NamedTuple):
    """Where the chain is: the number and the MAC of a record."""

    seq: int
    mac: str


BEGINNING: Final = Link(0, "0" * 64)


class Chain:
    """The log and its head file. Whoever calls holds the log's lock.

    Args:
        path: The log.
        key: What its MACs are made with.
        actor: Who mends its end, should that be needed.
    """

    def __init__(self, path: Path, key: bytes, actor: Mapping[str, Any]) -> None:
        self._path = path
        self._key = key
        self._actor = actor
        self._log: _Kept | None = None
        self._head: _Kept | None = None
        self._last = BEGINNING

    def append(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Write records, all of them or none; what was wrong with the end is recorded first.

        With no records at all it shows that there could be some.

        Raises:
            AuditBroken: There is no end to go on from, or no room.
            UnsafeFile: Others have access to a file, or something else stands in its place.
            FileUnwritable: The directory cannot be made.
            OSError: A file cannot be read or written.
        """
        try:
            log, head, found = self._opened()
            mended = [self._mending(what) for what in found]
            if mended or records:
                self._write(log, head, [*mended, *records])
        except BaseException:
            # As nobody knows how the files were left, the next one looks.
            self._log = self._head = None
            raise

    def _opened(self) -> tuple[_Kept, _Kept, list[str]]:
        """Return both files, and in words what was wrong with the end."""
        log, head = self._log, self._head
        if log is not None and head is not None and log.is_as_left() and head.is_as_left():
            return log, head, []
        log = self._log = _Kept(self._path, os.O_RDWR | os.O_APPEND)
        head = self._head = _Kept(head_of(self._path), os.O_RDWR)
        return log, head, self._mended(log, head)

    def _mending(self, what: str) -> dict[str, Any]:
        return {"event": "audit.mended", "actor": self._actor, "reason": what}

    def _mended(self, log: _Kept, head: _Kept) -> list[str]:
        line, torn = self._end(log)
        tail = link_in(line, self._key) if line else BEGINNING
        told = read_head(head.descriptor, self._key)
        known = [link for link in (told, tail) if link is not None]
        if not known:
            raise AuditBroken(self._path, "neither its last record nor its head file is as written")
        self._last = max(known)
        found = []
        if torn:
            os.ftruncate(log.descriptor, log.size() - torn)
            found.append(f"an unfinished record of {torn} bytes was cut off")
        if told is None and tail != BEGINNING:
            found.append("the head file was missing or changed")
        if tail is None:
            found.append("the last record was changed")
        elif tail.seq < self._last.seq:
            found.append(f"records {tail.seq + 1} to {self._last.seq} were missing")
        return found

    def _end(self, log: _Kept) -> tuple[bytes, int]:
        """Return the last whole line, and how many bytes of an unfinished one follow it."""
        os.lseek(log.descriptor, max(0, log.size() - 2 * _LONGEST_LINE), os.SEEK_SET)
        whole, _, torn = os.read(log.descriptor, 2 * _LONGEST_LINE).rpartition(b"\n")
        if len(torn) > _LONGEST_LINE:
            raise AuditBroken(self._path, "it ends in something that is not a record")
        return whole.rpartition(b"\n")[2], len(torn)

    def _write(self, log: _Kept, head: _Kept, records: Sequence[Mapping[str, Any]]) -> None:
        last = self._last
        lines = []
        for facts in records:
            line, last = _chained(facts, last, self._key)
            lines.append(line)
        data = b"".join(lines)
        size = log.size()
        if os.write(log.descriptor, data) != len(data):
            os.ftruncate(log.descriptor, size)
            raise AuditBroken(self._path, "the disk is full")
        self._last = last
        _write_head(head.descriptor, last, self._key)
        log.leave()
        head.leave()


def links(path: Path, lines: Iterable[bytes], key: bytes) -> Iterator[Link]:
    """Yield the links of the lines of a log, each checked to be as written and to follow.

    Raises:
        AuditBroken: Naming the first that is not.
    """
    last = BEGINNING
    for number, line in enumerate(lines, start=1):
        last = _next_link(path, number, line, last, key)
        yield last


def link_in(line: bytes, key: bytes) -> Link | None:
    """Return the link that a line is; None if it is not as it was written."""
    record = _record_in(line)
    if record is None or _encoded(record).encode() != line:
        return None
    mac = record.pop("mac", None)
    if not isinstance(mac, str) or not hmac.compare_digest(mac, _mac(key, record)):
        return None
    return Link(record["seq"], mac)


def lines_of(log: int, size: int) -> Iterator[bytes]:
    """Yield the lines of an open log's first `size` bytes."""
    with os.fdopen(log, "rb", closefd=False) as file:
        while size > 0 and (line := file.readline(min(size, _LONGEST_LINE))):
            size -= len(line)
            yield line


def keyed(key: bytes, data: bytes) -> str:
    """Return what only who has the key can make of `data`."""
    return hmac.digest(key, data, "sha256").hex()


def head_of(path: Path) -> Path:
    """Return where the head file of a log is."""
    return path.with_suffix(".head")


def read_head(head: int, key: bytes) -> Link | None:
    """Return the link that an open head file names; None if it is not as it was written."""
    os.lseek(head, 0, os.SEEK_SET)
    words, _, seal = os.read(head, 256).strip().rpartition(b" ")
    if not hmac.compare_digest(seal, keyed(key, b"head " + words).encode()):
        return None
    seq, mac = words.decode().split(" ")
    return Link(int(seq), mac)


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


class _Kept:
    """A private file that is kept open, and how it was left.

    Args:
        path: The file, made if it is missing.
        flags: How to open it.
    """

    def __init__(self, path: Path, flags: int) -> None:
        self._name = str(path)
        self._left: Any = None
        self.descriptor = _open(path, flags)

    def size(self) -> int:
        """Return how long it is."""
        return os.fstat(self.descriptor).st_size

    def leave(self) -> None:
        """Remember how it is now."""
        self._left = _status(os.fstat(self.descriptor))

    def is_as_left(self) -> bool:
        """Tell whether what is in its place is the same file, and nobody has touched it since."""
        try:
            return bool(_status(os.lstat(self._name)) == self._left)
        except FileNotFoundError:
            return False

    def __del__(self) -> None:
        if hasattr(self, "descriptor"):
            os.close(self.descriptor)


def _chained(facts: Mapping[str, Any], last: Link, key: bytes) -> tuple[bytes, Link]:
    now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    record = {"ts": now, "seq": last.seq + 1, **facts, "prev": last.mac}
    record["mac"] = _mac(key, record)
    return _encoded(record).encode() + b"\n", Link(record["seq"], record["mac"])


def _next_link(path: Path, number: int, line: bytes, last: Link, key: bytes) -> Link:
    """Check that `line` is as written and follows `last`."""
    if not line.endswith(b"\n"):
        raise AuditBroken(path, f"line {number} is unfinished")
    record = _record_in(line)
    if record is None:
        raise AuditBroken(path, f"line {number} is not a record")
    link = link_in(line[:-1], key)
    if link is None:
        raise AuditBroken(
            path, f"line {number} (record {record.get('seq')}) was changed: wrong mac"
        )
    if link.seq > last.seq + 1:
        missing = f"records {last.seq + 1} to {link.seq - 1} are missing"
        raise AuditBroken(path, f"{missing} before line {number} (record {link.seq})")
    if link.seq <= last.seq:
        raise AuditBroken(path, f"line {number} (record {link.seq}) is repeated or out of order")
    if record["prev"] != last.mac:
        raise AuditBroken(path, f"line {number} (record {link.seq}) does not follow: wrong prev")
    return link


def _record_in(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _mac(key: bytes, record: dict[str, Any]) -> str:
    return keyed(key, _canonical(record).encode())


def _write_head(head: int, link: Link, key: bytes) -> None:
    # Of one size always: written over in place, it is never found empty or half.
    words = f"{link.seq:020d} {link.mac}"
    os.lseek(head, 0, os.SEEK_SET)
    os.write(head, f"{words} {keyed(key, b'head ' + words.encode())}\n".encode())
