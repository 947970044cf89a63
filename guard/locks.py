"""`LockFile`: one process at a time, waited for in the kernel: in turn, and at no cost.

Who asks for a lock again and again keeps the processor from the one who has it, and gets it by
luck. So where it is taken, a thread waits for it in the kernel, and the caller for the thread; the
thread can be left behind when the caller's time is up, and then gives back what it gets.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FLAGS: Final = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_MODE: Final = 0o600
_PID: Final = b"%-10d\n"
_PAUSE: Final = 0.005


class LockFile:
    """A lock between processes: a file, kept open from one taking to the next.

    The kernel frees a dead holder's. The file stays, and names its last holder. It is for one
    thread at a time, and not for the child of a fork, which would share its parent's hold.

    Args:
        path: The file, made if it is missing; the directory is there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    @contextlib.contextmanager
    def held(self, seconds: float) -> Iterator[None]:
        """Hold the lock.

        Args:
            seconds: How long to wait for it.

        Raises:
            TimeoutError: Another process had it all the time.
            OSError: The file cannot be made, or something else stands in its place.
        """
        until = time.monotonic() + seconds
        while not self._took(max(0.0, until - time.monotonic())):
            # What was taken is not what others take: somebody has removed it in the meantime.
            self.close()
        try:
            yield
        finally:
            if self._descriptor is not None:
                _unlock(self._descriptor)

    @property
    def holder(self) -> int | None:
        """The process that has it, or had it last, if that is known."""
        with contextlib.suppress(OSError, ValueError):
            return int(self._path.read_bytes())
        return None

    def close(self) -> None:
        """Let go of the file; the next taking opens it again."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def __del__(self) -> None:
        self.close()

    def _took(self, seconds: float) -> bool:
        if self._descriptor is None:
            self._descriptor = os.open(self._path, _FLAGS, _MODE)
        if not _lock(self._descriptor, wait=False):
            self._wait(self._descriptor, seconds)
        if not _is_at(self._path, self._descriptor):
            return False
        # A full disk must not prevent locking; then the holder is unknown.
        with contextlib.suppress(OSError):
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            os.write(self._descriptor, _PID % os.getpid())
        return True

    def _wait(self, descriptor: int, seconds: float) -> None:
        taken: Future[None] = Future()
        waiter = threading.Thread(
            target=_take_for, args=(taken, descriptor), name="lock", daemon=True
        )
        waiter.start()
        try:
            taken.result(seconds)
        except BaseException:
            if taken.cancel():
                self._descriptor = None  # the thread's now
            else:
                _unlock(descriptor)
            raise


def _take_for(taken: Future[None], descriptor: int) -> None:
    """Wait for the lock, and let go of it if nobody waits for it any more."""
    try:
        _lock(descriptor, wait=True)
    except OSError as error:
        if taken.set_running_or_notify_cancel():
            taken.set_exception(error)
        else:
            os.close(descriptor)
        return
    if taken.set_running_or_notify_cancel():
        taken.set_result(None)
    else:
        os.close(descriptor)


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.lstat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


if sys.platform == "win32":  # pragma: no cover
    import msvcrt

    def _lock(descriptor: int, *, wait: bool) -> bool:
        while True:
            try:
                _far(descriptor, msvcrt.LK_NBLCK)
            except OSError:
                if not wait:
                    return False
                time.sleep(_PAUSE)
            else:
                return True

    def _unlock(descriptor: int) -> None:
        _far(descriptor, msvcrt.LK_UNLCK)

    def _far(descriptor: int, how: int) -> None:
        # Behind the process id, which others are to read.
        os.lseek(descriptor, 4096, os.SEEK_SET)
        msvcrt.locking(descriptor, how, 1)

else:

    def _lock(descriptor: int, *, wait: bool) -> bool:
        """Lock the file, or tell that another process has it."""
        import fcntl  # noqa: PLC0415 - what Windows has not

        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        import fcntl  # noqa: PLC0415 - what Windows has not

        fcntl.flock(descriptor, fcntl.LOCK_UN)
