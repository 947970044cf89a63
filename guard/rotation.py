"""Setting aside a full or old file of the audit record, compressing it, removing the oldest.

Each step leaves a record that is whole, should the process be killed after it: the current file is
renamed, and the chain goes on in a new one; a compressed copy is whole before the plain one goes;
what is removed is noted before it is.
"""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from guard.audit_files import (
    COMPRESSED,
    aside_of,
    kept_after,
    lines_in,
    segments,
    seq_of,
    set_aside,
    start_link,
    start_note_of,
)
from guard.errors import AuditBroken, GuardError
from guard.files import read_private, remove_private, replace_private, sync_directory
from guard.links import links, sealed, stamp
from guard.locks import release, take_now

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from guard.links import Link, Start

_MEGABYTE: Final = 1 << 20
_DAY: Final = 24 * 60 * 60 * 1_000_000_000
# MACs, which nothing compresses, are most of what is left: a higher level gains little.
_LEVEL: Final = 1


class Keeping(NamedTuple):
    """How large and how old files of the record get.

    Attributes:
        bytes_a_file: A file is set aside once it has so many.
        days_a_file: It is set aside once its first record is older than so many days.
        days: Files whose last record is older than so many days are removed; None to keep all.
    """

    bytes_a_file: int = 8 * _MEGABYTE
    days_a_file: float = 30.0
    days: float | None = None

    def is_full(self, size: int, first: Start) -> bool:
        """Tell whether a file is to be set aside.

        Args:
            size: How long it is.
            first: How its first record begins.
        """
        return size >= self.bytes_a_file or _is_before(first, self.days_a_file)


def put_aside(path: Path, first: Start) -> Path | None:
    """Rename the current file after its first record; return how, or None if that name is taken.

    The caller holds the log's lock.
    """
    aside = aside_of(path, first.seq)
    if os.path.lexists(aside) or os.path.lexists(_compressed(aside)):
        return None
    path.rename(aside)
    sync_directory(path.parent)
    return aside


def remove_old(path: Path, days: float, keys: list[bytes]) -> Link | None:
    """Remove the files of a log whose records are all older than so many days.

    The caller holds the log's lock. One that is not sound stays, and all after it: it is evidence.

    Returns:
        The link of the last record removed; None if none was.
    """
    old = [each.path for each in segments(path.parent) if each.next and _is_before(each.next, days)]
    start = start_link(path, keys)
    if start is None:
        return None
    last = _verified(start, kept_after(start, old), keys)
    if last != start:
        replace_private(start_note_of(path), sealed("start", last, keys))
    for each in old:
        if seq_of(each) <= last.seq:
            remove_private(each)
    return None if last == start else last


def _verified(last: Link, files: Sequence[Path], keys: list[bytes]) -> Link:
    """Return the link at the end of the files, or of those before the first that is not sound."""
    with contextlib.suppress(AuditBroken, OSError):
        for each in files:
            for link in links(each, lines_in(each), keys, last):  # noqa: B007 - the last is wanted
                pass
            last = link
    return last


def compress(path: Path) -> None:
    """Compress what was set aside of a log and is plain yet; what fails is left for the next time.

    The caller holds no lock: others may write the log meanwhile, and one alone compresses.
    """
    import gzip  # noqa: PLC0415 - only here and where such a file is read

    with contextlib.suppress(GuardError, OSError):
        lock = take_now(path.with_name(f"{path.name}.gz.lock"))
        if lock is None:
            return
        try:
            for each in set_aside(path.parent):
                if each.suffix != COMPRESSED:
                    replace_private(
                        _compressed(each), gzip.compress(_content(each), _LEVEL, mtime=0)
                    )
                    remove_private(each)
        finally:
            release(lock)


def _content(path: Path) -> bytes:
    content = read_private(path)
    if content is None:
        raise FileNotFoundError(path)
    return content


def _compressed(path: Path) -> Path:
    return path.with_name(path.name + COMPRESSED)


def _is_before(start: Start, days: float) -> bool:
    # Asked for each record: what does not even seem so is left at once.
    if start.ts >= stamp(max(0, time.time_ns() - int(days * _DAY))):
        return False
    from datetime import UTC, datetime, timedelta  # noqa: PLC0415 - slow to load

    try:
        return datetime.fromisoformat(start.ts) < datetime.now(UTC) - timedelta(days=days)
    except (ValueError, TypeError):
        return False  # a time that nobody wrote: it is not to make a file go
