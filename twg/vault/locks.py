"""Locks between processes, threads and tasks, by `flock`: the kernel frees a dead holder's.

Each taking opens the lock file anew, and `flock` belongs to that opening: two tasks or threads of
one process exclude each other as two processes do. The file stays when the lock is released (to
unlink it would split waiters over two files) and holds its last holder's process id.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import anyio
from anyio import to_thread

from guard.files import ensure_private_directory
from twg.errors import Busy, ConfigError, Interrupted, StoreUnwritable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from filelock import BaseFileLock

_FIRST_PAUSE: Final = 0.002
_LONGEST_PAUSE: Final = 0.05
_MODE: Final = 0o600
_PID_DIGITS: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessLock:
    """A lock that one holder has at a time, whichever process, thread or task it is.

    Not re-entrant: who takes it twice waits for itself.

    Attributes:
        state_dir: Locks are in its directory `locks`; both are created 0700 where missing.
        name: The lock's name, which does as a file's name.
        what: What is locked, in words for people.
        seconds: How long to wait for it.
    """

    state_dir: Path
    name: str
    what: str
    seconds: float

    @property
    def path(self) -> Path:
        """The lock file."""
        return self.state_dir / "locks" / f"{self.name}.lock"

    @contextlib.asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Hold the lock in a task. Cancelled while it waits, it leaves nothing locked.

        Raises:
            Busy: Another one had it all the time.
            StoreUnwritable: The lock file cannot be made.
            ConfigError: Something else stands in its place.
            UnsafeFile: The directory is open to others.
        """
        grip = await self._wait()
        try:
            yield
        finally:
            # Unlocking never waits, so it needs no thread, and no cancellation comes between.
            grip.release()

    @contextlib.contextmanager
    def held_here(self, abandoned: Callable[[], bool]) -> Iterator[None]:
        """Hold the lock in this thread, blocking it; for work that is done in the same thread.

        Args:
            abandoned: Tells whether to wait no more.

        Raises:
            Interrupted: It was abandoned before the lock was had.
            Busy, StoreUnwritable, ConfigError, UnsafeFile: As `held`.
        """
        grip = self._wait_here(abandoned)
        try:
            yield
        finally:
            grip.release()

    async def _wait(self) -> BaseFileLock:
        started = time.monotonic()
        for pause in _pauses():
            grip = await self._try_in_thread()
            if grip is not None:
                return grip
            self._check_patience(started)
            await anyio.sleep(pause)
        raise AssertionError  # pragma: no cover - the pauses never end

    def _wait_here(self, abandoned: Callable[[], bool]) -> BaseFileLock:
        started = time.monotonic()
        for pause in _pauses():
            if abandoned():
                raise Interrupted("nobody waits for the lock any more")
            grip = _take(self.path)
            if grip is not None:
                return grip
            self._check_patience(started)
            time.sleep(pause)
        raise AssertionError  # pragma: no cover - the pauses never end

    async def _try_in_thread(self) -> BaseFileLock | None:
        handover = _Handover()
        try:
            await to_thread.run_sync(handover.fill, self.path)
        except BaseException:
            # asyncio's own cancellation (Ctrl-C) does not wait for the thread: a lock that it
            # takes later has no owner.
            handover.refuse()
            raise
        return handover.grip

    def _check_patience(self, started: float) -> None:
        waited = time.monotonic() - started
        if waited >= self.seconds:
            raise Busy(self.what, _holder(self.path), waited)


class _Handover:
    """Passes a lock from the thread that takes it to the task that wants it, or lets it go."""

    def __init__(self) -> None:
        self.grip: BaseFileLock | None = None
        self._refused = False
        self._mutex = threading.Lock()

    def fill(self, path: Path) -> None:
        grip = _take(path)
        with self._mutex:
            if grip is not None and self._refused:
                grip.release()
            else:
                self.grip = grip

    def refuse(self) -> None:
        with self._mutex:
            self._refused = True
            if self.grip is not None:
                self.grip.release()


def _take(path: Path) -> BaseFileLock | None:
    """Try once to take the lock; None if another one has it."""
    from filelock import FileLock, Timeout  # noqa: PLC0415 - only for those who write

    # Each by itself: a parent that is made on the way would be open to others.
    ensure_private_directory(path.parent.parent)
    ensure_private_directory(path.parent)
    lock = FileLock(
        path,
        mode=_MODE,
        thread_local=False,  # taken in one thread, released in another
        blocking=False,
        fallback_to_soft=False,  # a mere file's existence would outlive a killed holder
        preserve_lock_file=True,
        on_acquired=_sign,
    )
    try:
        lock.acquire()
    except Timeout:
        return None
    except OSError as error:
        raise _not_to_be_had(path, error) from error
    return lock


def _sign(descriptor: int) -> None:
    """Write this process's id into the lock file, for those who wait."""
    # A full disk must not prevent locking; then the holder is unknown.
    with contextlib.suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())


def _holder(path: Path) -> int | None:
    """Return the process id in the lock file, if there is one."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except OSError:
        return None
    try:
        return int(os.read(descriptor, _PID_DIGITS))
    except (OSError, ValueError):
        return None
    finally:
        os.close(descriptor)


def _not_to_be_had(path: Path, error: OSError) -> ConfigError | StoreUnwritable:
    words = error.strerror or type(error).__name__
    if error.errno in {errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.EINVAL}:
        return ConfigError(f"{path} is not a lock file: {words}", f"Remove {path}.")
    return StoreUnwritable(f"{path} cannot be locked: {words}")


def _pauses() -> Iterator[float]:
    pause = _FIRST_PAUSE
    while True:
        yield pause * random.uniform(0.5, 1.5)  # noqa: S311 - jitter
        pause = min(2 * pause, _LONGEST_PAUSE)
