"""Locks between processes, threads and tasks, by `flock`: the kernel frees a dead holder's.

Each taking opens the lock file anew, and `flock` belongs to that opening: two tasks or threads of
one process exclude each other as two processes do. See `guard.locks` for how they wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import anyio

from guard.files import ensure_private_directory
from guard.locks import holder_of, in_thread, leave, release, take_in_turn, take_now
from twg.errors import Busy, ConfigError, Interrupted, StoreUnwritable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from concurrent.futures import Future
    from pathlib import Path

    from guard.locks import D

_LOOK: Final = 0.05
"""How often a thread that waits looks whether anybody still wants it to, in seconds."""


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
            release(grip)

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
            release(grip)

    async def _wait(self) -> int:
        # To try takes a few microseconds and waits for nobody; a thread for it, thirty times that.
        grip = self._take_now()
        if grip is not None:
            return grip
        with anyio.move_on_after(self.seconds):
            return await _passed_on(in_thread(self._take_in_turn))
        raise self._busy()

    def _wait_here(self, abandoned: Callable[[], bool]) -> int:
        grip = self._take_now()
        if grip is not None:
            return grip
        taken = in_thread(self._take_in_turn)
        try:
            return self._watched(taken, abandoned)
        except BaseException:
            leave(taken)
            raise

    def _watched(self, taken: Future[int], abandoned: Callable[[], bool]) -> int:
        until = time.monotonic() + self.seconds
        while not abandoned():
            left = until - time.monotonic()
            with contextlib.suppress(TimeoutError):
                return taken.result(max(0.0, min(left, _LOOK)))
            if left <= 0:
                raise self._busy()
        raise Interrupted("nobody waits for the lock any more")

    def _take_now(self) -> int | None:
        with self._prepared():
            return take_now(self.path)

    def _take_in_turn(self) -> int:
        with self._prepared():
            return take_in_turn(self.path)

    @contextlib.contextmanager
    def _prepared(self) -> Iterator[None]:
        # Each by itself: a parent that is made on the way would be open to others.
        ensure_private_directory(self.state_dir)
        ensure_private_directory(self.path.parent)
        try:
            yield
        except OSError as error:
            raise _not_to_be_had(self.path, error) from error

    def _busy(self) -> Busy:
        return Busy(self.what, holder_of(self.path), self.seconds)


async def _passed_on(taken: Future[D]) -> D:
    """Wait in a task for what a thread takes, or let go of it."""
    try:
        return await asyncio.wrap_future(taken)
    except BaseException:
        # asyncio's own cancellation (Ctrl-C) too: a lock that is taken later has no owner.
        leave(taken)
        raise


def _not_to_be_had(path: Path, error: OSError) -> ConfigError | StoreUnwritable:
    words = error.strerror or type(error).__name__
    if error.errno in {errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.EINVAL}:
        return ConfigError(f"{path} is not a lock file: {words}", f"Remove {path}.")
    return StoreUnwritable(f"{path} cannot be locked: {words}")
