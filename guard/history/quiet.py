"""Who else has a file open, asked of the system: what programs without locks need instead.

Linux grants a read lease on a file only while nobody has it open for writing, and a write lease
only while nobody has it open at all; a program that opens it meanwhile waits. Elsewhere, and on
file systems that know no leases, nothing can be said.
"""

from __future__ import annotations

import contextlib
import enum
import errno
import signal
import sys
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

PATIENCE: Final = 1.0
"""Seconds that writers get to close the file; a shell has it open for milliseconds."""

_PAUSE: Final = 0.002


class Others(enum.Enum):
    """What others have the file open for."""

    NOTHING = enum.auto()
    READING = enum.auto()
    WRITING = enum.auto()
    UNKNOWN = enum.auto()


@contextlib.contextmanager
def kept_quiet(descriptor: int, patience: float = PATIENCE) -> Iterator[Others]:
    """Wait until nobody writes to an open file, and keep it so.

    Args:
        descriptor: The file, opened for reading.
        patience: How many seconds to wait.

    Yields:
        Whether it came to that: WRITING if it did not, and then nobody is kept from it.
    """
    others = _lease(descriptor, reading=True)
    until = time.monotonic() + patience
    while others is Others.WRITING and time.monotonic() < until:
        time.sleep(_PAUSE)
        others = _lease(descriptor, reading=True)
    try:
        yield others
    finally:
        _release(descriptor)


def others_of(descriptor: int) -> Others:
    """Return what others have an open file open for, right now."""
    try:
        others = _lease(descriptor, reading=False)
        if others is Others.READING:
            others = _lease(descriptor, reading=True)
            return Others.READING if others is Others.NOTHING else others
        return others
    finally:
        _release(descriptor)


def _lease(descriptor: int, *, reading: bool) -> Others:
    """Take a lease, and return who keeps it from being had."""
    if sys.platform != "linux":
        return Others.UNKNOWN
    import fcntl  # noqa: PLC0415 - not on Windows

    try:
        # By default the signal that somebody waits would end this process; this one ends none.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK if reading else fcntl.F_WRLCK)
    except OSError as error:
        if error.errno in {errno.EAGAIN, errno.EBUSY}:
            return Others.WRITING if reading else Others.READING
        return Others.UNKNOWN
    return Others.NOTHING


def _release(descriptor: int) -> None:
    if sys.platform == "linux":
        import fcntl  # noqa: PLC0415 - not on Windows

        with contextlib.suppress(OSError):
            fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
