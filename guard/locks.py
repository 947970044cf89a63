"""Locks between processes, waited for in the kernel: in turn, and at no cost.

Who asks for a lock again and again keeps the processor from the one who has it, and gets it by
luck. So where it is taken, a thread waits for it in the kernel, and the caller for the thread. The
thread can be left behind when the caller's time is up, and then gives back what it gets.

The kernel frees a dead holder's lock. The file stays, for to remove it would split those who wait
over two files, and names its last holder.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future
    from pathlib import Path

D = TypeVar("D", bound=int | None)

_FLAGS: Final = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_MODE: Final = 0o600
_PID: Final = b"%-10d\n"
_PID_BYTES: Final = 32
_PAUSE: Final = 0.005


def take_now(path: Path) -> int | None:
    """Take the lock file `path`, made if it is missing, and return it open; None if it is taken.

    Two takings exclude each other, of whichever process, thread or task. See `release`.

    Raises:
        OSError: The file cannot be made, or something else stands in its place.
    """
    return _take(path, wait=False)


def take_in_turn(path: Path) -> int:
    """Take it as `take_now`, but wait, however long, until it is free.

    Raises:
        OSError: As said.
    """
    while True:
        if (descriptor := _take(path, wait=True)) is not None:
            return descriptor


def release(descriptor: int) -> None:
    """Give back what `take` returned; a forked child that has it open too does not prolong it."""
    _unlock(descriptor)
    os.close(descriptor)


def in_thread(work: Callable[[], D]) -> Future[D]:
    """Do `work`, which takes a lock, in a thread of its own that nobody has to wait for.

    Returns:
        Its result. Who leaves without it gives it to `leave`.
    """
    from concurrent.futures import Future  # noqa: PLC0415 - it brings `logging`, and few wait

    taken: Future[D] = Future()
    # The interpreter does not wait for it at its end.
    thread = threading.Thread(target=_hand_over, args=(work, taken), name="lock", daemon=True)
    try:
        thread.start()
    except RuntimeError:
        taken.set_exception(OSError(errno.EAGAIN, "there can be no more threads"))
    return taken


def leave(taken: Future[D]) -> None:
    """Want a lock no more that is being taken, or was just now."""
    if not taken.cancel() and taken.exception() is None:
        descriptor = taken.result()
        if descriptor is not None:
            release(descriptor)


def holder_of(path: Path) -> int | None:
    """Return the process that has the lock file, or had it last, if that is known."""
    with contextlib.suppress(OSError, ValueError):
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
        try:
            return int(os.read(descriptor, _PID_BYTES))
        finally:
            os.close(descriptor)
    return None


class LockFile:
    """A lock file that is kept open from one taking to the next.

    It is for one thread at a time, and not for the child of a fork, which would share its parent's
    hold.

    Args:
        path: The file, made if it is missing; its directory is there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._name = str(path)
        self._descriptor: int | None = None
        self._identity: tuple[int, int] | None = None

    @contextlib.contextmanager
    def held(self, seconds: float) -> Iterator[None]:
        """Hold the lock.

        Args:
            seconds: How long to wait for it.

        Raises:
            TimeoutError: Another process had it all the time.
            OSError: The file cannot be made, or something else stands in its place.
        """
        self.take(seconds)
        try:
            yield
        finally:
            self.give()

    def take(self, seconds: float) -> None:
        """Take the lock, as `held` does, for who gives it back without fail."""
        self._descriptor = self._taken(seconds)
        if self._identity is None:
            self._identity = _identity(os.fstat(self._descriptor))

    def give(self) -> None:
        """Give back the lock that was taken."""
        if self._descriptor is not None:
            _unlock(self._descriptor)

    def _taken(self, seconds: float) -> int:
        descriptor = self._descriptor
        if descriptor is not None:
            free = _lock(descriptor, wait=False)
            if free and self._is_there():
                _sign(descriptor)
                return descriptor
            self._close()
            if not free:
                return self._waited_for(seconds)
        descriptor = take_now(self._path)
        return self._waited_for(seconds) if descriptor is None else descriptor

    def _waited_for(self, seconds: float) -> int:
        taken = in_thread(partial(take_in_turn, self._path))
        try:
            return taken.result(seconds)
        except BaseException:
            leave(taken)
            raise

    def _is_there(self) -> bool:
        try:
            return _identity(os.lstat(self._name)) == self._identity
        except FileNotFoundError:
            return False

    def _close(self) -> None:
        descriptor, self._descriptor, self._identity = self._descriptor, None, None
        if descriptor is not None:
            os.close(descriptor)

    def __del__(self) -> None:
        self._close()


def _take(path: Path, *, wait: bool) -> int | None:
    descriptor = os.open(path, _FLAGS, _MODE)
    try:
        # If it is not there any more, others take another one.
        if _lock(descriptor, wait=wait) and _is_at(path, descriptor):
            _sign(descriptor)
            return descriptor
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _hand_over(work: Callable[[], D], taken: Future[D]) -> None:
    try:
        descriptor = work()
    except BaseException as error:  # noqa: BLE001 - whatever it is, who waits gets it
        if taken.set_running_or_notify_cancel():
            taken.set_exception(error)
        return
    if taken.set_running_or_notify_cancel():
        taken.set_result(descriptor)
    elif descriptor is not None:
        release(descriptor)


def _is_at(path: Path | str, descriptor: int) -> bool:
    try:
        return _identity(os.lstat(path)) == _identity(os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_ino, status.st_dev


def _sign(descriptor: int) -> None:
    """Write this process's id into the lock file, for those who wait."""
    # A full disk must not prevent locking; then the holder is unknown.
    try:  # noqa: SIM105 - done for each record, and `suppress` would take longer than the write
        write_at_start(descriptor, _PID % os.getpid())
    except OSError:
        pass


if sys.platform == "win32":  # pragma: no cover
    import msvcrt

    def write_at_start(descriptor: int, data: bytes) -> None:
        """Write over the beginning of an open file."""
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, data)

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

    def write_at_start(descriptor: int, data: bytes) -> None:
        """Write over the beginning of an open file."""
        os.pwrite(descriptor, data, 0)

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
