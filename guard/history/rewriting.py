"""Stretches cut out of a file that others write to at the same moment; nothing of theirs is lost.

The new file is written beside the old one and changes places with it in one step, so that each
reader sees the one or the other. Who opened the old one before that may still append to it: once
nobody has it open any more, what was appended is carried over. Only then is the old one
overwritten and removed. (Overwriting destroys no copy that the file system, the disk or a backup
keeps elsewhere: journals, snapshots, wear levelling.)

A program that keeps the file open all along, as Node's REPL does, would go on writing to the old
file; then the stretches are closed up in place.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from guard.files import sync_directory, temporary_name, temporary_of, write_all
from guard.history.quiet import Others, others_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PATIENCE: Final = 5.0
"""Seconds for which an old file is watched for what is still written to it."""

_SETTLED: Final = 0.25
_PAUSE: Final = 0.005
_PIECE: Final = 1 << 20
_FORGOTTEN: Final = 600.0
_FLAGS: Final = (
    getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
)
_POSIX: Final = sys.platform != "win32"
_SHORTER: Final = "another program made it shorter meanwhile"
_AT_WORKING_DIRECTORY: Final = -100
_SWAP: Final = 2  # RENAME_EXCHANGE on Linux, RENAME_SWAP on macOS


class Plan(NamedTuple):
    """What is to be cut out of a file.

    Attributes:
        removed: How many entries are to go.
        end: The offset up to which the file was looked at.
        number: The number of the line that begins there.
        spans: The stretches that they are, from an offset to an offset, in order.
    """

    removed: int
    end: int
    number: int
    spans: tuple[tuple[int, int], ...] = ()

    def kept(self, start: int = 0) -> Iterator[tuple[int, int]]:
        """Yield the stretches from `start` on that stay."""
        for cut_from, cut_to in self.spans:
            if start < cut_from:
                yield start, cut_from
            start = cut_to
        if start < self.end:
            yield start, self.end


class Swapped:
    """An old file that has changed places with its successor; made by `swap`."""

    def __init__(self, target: Path, descriptor: int, aside: Path, plan: Plan) -> None:
        self._target = target
        self._descriptor = descriptor
        self._aside = aside
        self._plan = plan

    def carry_over(self, plan: Callable[[int, int], Plan]) -> int:
        """Append to the new file what is still written to the old one.

        Args:
            plan: Looks at the old file from an offset and a line number on.

        Returns:
            How many entries of that were left out.
        """
        removed = 0
        settled = time.monotonic() + _SETTLED
        until = time.monotonic() + PATIENCE
        while True:
            others = others_of(self._descriptor)
            over = time.monotonic() > until
            if self._has_grown() and (others is not Others.WRITING or over):
                start = self._plan.end
                self._plan = plan(start, self._plan.number)
                removed += self._plan.removed
                self._append(start)
                settled = time.monotonic() + _SETTLED
            closed = others in {Others.NOTHING, Others.READING}
            if closed or over or (others is Others.UNKNOWN and time.monotonic() > settled):
                return removed
            time.sleep(_PAUSE)

    def destroy(self, *, mapped: bool) -> None:
        """Overwrite the old file and remove it; what others still read is removed only.

        Args:
            mapped: Its readers keep it in their memory, where they would see it change.
        """
        others = others_of(self._descriptor)
        if others is Others.NOTHING or (others is Others.UNKNOWN and not mapped):
            _overwrite(self._aside)
        self._aside.unlink(missing_ok=True)
        sync_directory(self._target.parent)

    def _has_grown(self) -> bool:
        return os.fstat(self._descriptor).st_size > self._plan.end

    def _append(self, start: int) -> None:
        flags = os.O_WRONLY | os.O_APPEND | _FLAGS
        descriptor = os.open(self._target, flags)
        try:
            for kept_from, kept_to in self._plan.kept(start):
                _copy(self._descriptor, descriptor, kept_from, kept_to)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def swapped(target: Path, descriptor: int, plan: Plan) -> Iterator[Swapped | None]:
    """Put a file without what `plan` cuts out in the place of `target`.

    Args:
        target: The file.
        descriptor: The same, opened for reading.
        plan: What is to be cut out.

    Yields:
        The old file, for what is still to be done with it, and gone at the end; or None if another
        file had come in its place meanwhile: that one stays, and nothing has changed.

    Raises:
        OSError: The file system refuses; nothing has changed.
    """
    aside = temporary_name(target)
    try:
        status = os.fstat(descriptor)
        _write_beside(aside, descriptor, status, plan)
        new = aside.lstat()
        if not os.path.samestat(target.lstat(), status):
            yield None
            return
        _exchange(aside, target)
        if not os.path.samestat(aside.lstat(), status):
            # Another program put a file of its own there in the very last moment: back with it.
            _exchange(aside, target)
            if not os.path.samestat(aside.lstat(), new):
                _exchange(aside, target)  # and one more meanwhile; the newest stays
            yield None
            return
        sync_directory(target.parent)
        yield Swapped(target, descriptor, aside, plan)
    finally:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)


def close_up(target: Path, descriptor: int, plan: Plan, more: Callable[[int, int], Plan]) -> int:
    """Cut out of `target` in place, for a program that has it open and goes on writing.

    What is written between the last look at the file's size and its cut, a few microseconds, is
    lost. There is no way without that, short of stopping the program.

    Args:
        target: The file.
        descriptor: The same, opened for reading.
        plan: What is to be cut out.
        more: Looks at the file from an offset and a line number on.

    Returns:
        How many entries were cut out besides, of those written meanwhile.
    """
    removed = 0
    start = to = plan.spans[0][0]
    writer = os.open(target, os.O_RDWR | _FLAGS)
    try:
        while True:
            for kept_from, kept_to in plan.kept(start):
                os.lseek(writer, to, os.SEEK_SET)
                _copy(descriptor, writer, kept_from, kept_to)
                to += kept_to - kept_from
            if os.fstat(writer).st_size < plan.end:
                raise OSError(0, _SHORTER)
            _fill(writer, to, plan.end)
            if os.fstat(writer).st_size <= plan.end:
                os.ftruncate(writer, to)
                os.fsync(writer)
                return removed
            start = plan.end
            plan = more(plan.end, plan.number)
            removed += plan.removed
    finally:
        os.close(writer)


def sweep(target: Path) -> None:
    """Destroy what a process that was killed in the middle has left beside `target`."""
    with contextlib.suppress(OSError):
        for other in target.parent.iterdir():
            left = temporary_of(other.name) == target.name
            if left and time.time() - other.lstat().st_ctime > _FORGOTTEN:
                _overwrite(other)
                other.unlink(missing_ok=True)


def _write_beside(aside: Path, source: int, status: os.stat_result, plan: Plan) -> None:
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS, 0o600)
    try:
        for kept_from, kept_to in plan.kept():
            _copy(source, descriptor, kept_from, kept_to)
        _make_alike(descriptor, source, status)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make_alike(descriptor: int, source: int, status: os.stat_result) -> None:
    """Give a new file the owner, mode, attributes and times of the old one, as far as allowed."""
    if not _POSIX:
        return
    with contextlib.suppress(OSError):  # a group that the person is not in
        os.fchown(descriptor, status.st_uid, status.st_gid)
    os.fchmod(descriptor, status.st_mode & 0o7777)
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # a file system without them
            for name in os.listxattr(source):
                with contextlib.suppress(OSError):  # one that is the system's
                    os.setxattr(descriptor, name, os.getxattr(source, name))
    os.utime(descriptor, ns=(status.st_atime_ns, status.st_mtime_ns))


def _copy(source: int, to: int, start: int, end: int) -> None:
    while start < end:
        os.lseek(source, start, os.SEEK_SET)
        piece = os.read(source, min(_PIECE, end - start))
        if not piece:
            raise OSError(0, _SHORTER)
        start += len(piece)
        write_all(to, piece)


def _overwrite(path: Path) -> None:
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_WRONLY | _FLAGS)
        try:
            _fill(descriptor, 0, os.fstat(descriptor).st_size)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _fill(descriptor: int, start: int, end: int) -> None:
    os.lseek(descriptor, start, os.SEEK_SET)
    while start < end:
        start += os.write(descriptor, bytes(min(_PIECE, end - start)))


def _exchange(one: Path, other: Path) -> None:
    """Let two files change their names in one step.

    Where the system has no such step, `other` becomes `one` in one step, and `one` `other` before.
    """
    if _system_exchange(one, other):
        return
    spare = one.with_name(f"{one.name}.tmp")
    os.link(other, spare)
    try:
        one.replace(other)
        spare.replace(one)
    finally:
        spare.unlink(missing_ok=True)


def _system_exchange(one: Path, other: Path) -> bool:
    import ctypes  # noqa: PLC0415 - costs 10 ms, only where something is removed

    names = os.fsencode(one), os.fsencode(other)
    here = _AT_WORKING_DIRECTORY
    calls = {
        "linux": ("renameat2", (here, names[0], here, names[1], _SWAP)),
        "darwin": ("renamex_np", (*names, _SWAP)),
    }
    if sys.platform not in calls:
        return False
    name, arguments = calls[sys.platform]
    try:
        return bool(getattr(ctypes.CDLL(None), name)(*arguments) == 0)
    except (AttributeError, OSError):  # a system library without it
        return False
