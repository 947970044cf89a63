"""The locks by which each shell keeps others off its history, taken as it takes them itself.

zsh (Src/hist.c, `lockhistfile`): with HIST_FCNTL_LOCK a record lock on the whole file; without it
a symbolic link `$HISTFILE.LOCK`, beside the name it was given, to `/pid-N/host-H`. Who finds one
older than ten seconds removes it. All it writes, it writes under one of the two, so both are taken.

fish: up to version 3 `flock` on the file itself, and once it has the lock it looks whether the name
still leads to that file; since version 4 `flock` on the directory, before the file is opened. Both
are taken. Version 3 gives up locking for good once it has waited a quarter of a second: nothing
slow is done under them.

bash, and the others, which use GNU Readline or libedit or write by themselves, lock nothing;
PowerShell takes a mutex that lives in .NET alone. `guard.history.quiet` is for them.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from typing import TYPE_CHECKING, Final

from guard.errors import UnsafeFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PATIENCE: Final = 5.0
"""Seconds that a lock is waited for; shells hold it for milliseconds."""

_STALE: Final = 10.0
_PAUSE: Final = 0.01
_POSIX: Final = sys.platform != "win32"


@contextlib.contextmanager
def zsh_locked(path: Path, target: Path) -> Iterator[None]:
    """Hold zsh's locks of the history `path`, which is the file `target`.

    Raises:
        UnsafeFile: Another holds one of them all the time.
    """
    with contextlib.ExitStack() as stack:
        # A second zsh may know the file by its own name.
        for name in sorted({path, target}):
            stack.enter_context(_link_held(name.with_name(f"{name.name}.LOCK")))
        stack.enter_context(_record_locked(target))
        yield


@contextlib.contextmanager
def flocked(path: Path, descriptor: int) -> Iterator[None]:
    """Hold the `flock` of an open file or directory, `path`.

    Raises:
        UnsafeFile: Another holds it all the time.
    """
    if sys.platform == "win32":
        yield
        return
    import fcntl  # noqa: PLC0415 - not on Windows

    def take() -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            return True  # a file system without locks: fish goes on without them too
        return True

    _wait_for(path, take)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)


@contextlib.contextmanager
def directory_flocked(path: Path) -> Iterator[None]:
    """Hold the `flock` of the directory `path`.

    Raises:
        UnsafeFile: Another holds it all the time.
    """
    if not _POSIX:
        yield
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with flocked(path, descriptor):
            yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _link_held(link: Path) -> Iterator[None]:
    import socket  # noqa: PLC0415 - only for zsh

    mark = f"/pid-{os.getpid()}/host-{socket.gethostname()}"

    def take() -> bool:
        try:
            link.symlink_to(mark)
        except FileExistsError:
            with contextlib.suppress(FileNotFoundError):
                if time.time() - link.lstat().st_mtime > _STALE:
                    link.unlink()
            return False
        return True

    _wait_for(link, take)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            if str(link.readlink()) == mark:
                link.unlink()


@contextlib.contextmanager
def _record_locked(target: Path) -> Iterator[None]:
    if not _POSIX:
        yield
        return
    held: list[int] = []

    def take() -> bool:
        try:
            descriptor = os.open(target, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        except PermissionError:
            return True  # a file that cannot be written: zsh does not write it either
        # Who had it may have put another file there.
        if _record_lock(descriptor) and os.path.samestat(os.fstat(descriptor), target.lstat()):
            held.append(descriptor)
            return True
        os.close(descriptor)
        return False

    _wait_for(target, take)
    try:
        yield
    finally:
        for descriptor in held:
            os.close(descriptor)  # which gives the lock back


def _record_lock(descriptor: int) -> bool:
    if sys.platform == "win32":
        return True
    import fcntl  # noqa: PLC0415 - not on Windows

    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # either, says POSIX
        return False
    except OSError:
        return True  # a file system without locks
    return True


def _wait_for(path: Path, take: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not take():
        if time.monotonic() > until:
            problem = f"a shell has kept it locked for {PATIENCE:g} seconds"
            raise UnsafeFile(path, problem, "Close the shells that hang, then run this again.")
        time.sleep(_PAUSE)
