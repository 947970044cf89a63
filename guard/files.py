"""Private files: opened without following links, checked for owner and mode, replaced atomically.

All functions block; callers on an event loop run them in a thread.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import sys
from typing import TYPE_CHECKING, Final

from guard.errors import FileUnwritable, UnsafeFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DIRECTORY_MODE: Final = 0o700
FILE_MODE: Final = 0o600

_POSIX: Final = sys.platform != "win32"
_OTHERS: Final = 0o077
_NO_FOLLOW: Final = getattr(os, "O_NOFOLLOW", 0)
_CLOSE_ON_EXEC: Final = getattr(os, "O_CLOEXEC", 0)
# A FIFO in place of the file must not block the open; the mode check that follows refuses it.
_NO_WAIT: Final = getattr(os, "O_NONBLOCK", 0)
_TEMPORARY: Final = re.compile(r"\.(?P<of>.+)\.[0-9a-f]{12}\.tmp", re.DOTALL)


def ensure_private_directory(path: Path) -> None:
    """Create `path` with mode 0700 where missing, and refuse it where others can get in.

    Raises:
        UnsafeFile: It is a link, another owner's, or open to others.
        FileUnwritable: It cannot be created.
    """
    try:
        path.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    except FileExistsError:
        raise UnsafeFile(path, "it is not a directory", f"Move {path} away.") from None
    except OSError as error:
        raise FileUnwritable(path, _words(error)) from error
    check_private_directory(path)


def check_private_directory(path: Path) -> None:
    """Refuse the directory `path` where it is a link, another owner's, or open to others.

    Raises:
        UnsafeFile: As said.
        FileNotFoundError: It is not there.
    """
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        raise UnsafeFile(path, "it is a symbolic link", f"Replace {path} by a real directory.")
    if not stat.S_ISDIR(status.st_mode):
        raise UnsafeFile(path, "it is not a directory", f"Move {path} away.")
    _check_owner_and_mode(path, status, DIRECTORY_MODE)


def read_private(path: Path, *, limit: int = 64 * 1024 * 1024) -> bytes | None:
    """Return the bytes of `path`, or None if it is not there.

    Args:
        path: A regular file of this user's, mode 0600, not a link.
        limit: More bytes than this are refused.

    Raises:
        UnsafeFile: It is anything else than such a file.
    """
    with _opened(path) as descriptor:
        if descriptor is None:
            return None
        size = os.fstat(descriptor).st_size
        if size > limit:
            raise UnsafeFile(path, f"it is {size} bytes long", f"Move {path} away.")
        chunks = []
        while chunk := os.read(descriptor, 1 << 20):
            chunks.append(chunk)
        return b"".join(chunks)


def check_private_file(path: Path) -> bool:
    """Tell whether `path` is there, refusing it where `read_private` would.

    Raises:
        UnsafeFile: It is not a regular file of this user's with mode 0600.
    """
    with _opened(path) as descriptor:
        return descriptor is not None


def replace_private(path: Path, data: bytes) -> None:
    """Replace `path` by `data`, durably and all or nothing, with mode 0600.

    A temporary file in the same directory is written, synced and renamed; then the directory is
    synced. A reader sees the old bytes or the new ones, after a crash too.

    Raises:
        UnsafeFile: What stands there now is not a plain private file.
        FileUnwritable: The file system refuses. The old file is untouched, or, if no more than the
            directory's sync failed, replaced.
    """
    check_private_file(path)
    try:
        with _temporary_beside(path, data) as temporary:
            temporary.replace(path)
            sync_directory(path.parent)
    except OSError as error:
        raise FileUnwritable(path, _words(error)) from error


def create_private(path: Path, data: bytes) -> bool:
    """Create `path` with `data` and mode 0600, durably; return False if it is there already.

    The name appears with its whole content or not at all, so two creators never mix.

    Raises:
        FileUnwritable: The file system refuses.
    """
    try:
        with _temporary_beside(path, data) as temporary:
            try:
                os.link(temporary, path)
            except FileExistsError:
                return False
            sync_directory(path.parent)
    except OSError as error:
        raise FileUnwritable(path, _words(error)) from error
    return True


def prove_replaceable(path: Path, size: int) -> None:
    """Show that `replace_private` of `size` bytes would work now, changing nothing.

    Raises:
        UnsafeFile: What stands there now is not a plain private file.
        FileUnwritable: The directory is read-only, full, or not there.
    """
    check_private_file(path)
    try:
        with _temporary_beside(path, bytes(size)) as temporary:
            # A directory that allows creation but no renaming exists (sticky, immutable): try it
            # too.
            moved = temporary_name(path)
            try:
                temporary.replace(moved)
            finally:
                _discard(moved)
    except OSError as error:
        raise FileUnwritable(path, _words(error)) from error


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    """Write all of `data` to an open file, pipe or terminal, however little it takes at once.

    Raises:
        OSError: It takes no more; a part of it may have been written.
    """
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def remove_private(path: Path) -> bool:
    """Remove `path` durably; return False if it was not there.

    Raises:
        FileUnwritable: The file system refuses.
    """
    try:
        path.unlink()
        sync_directory(path.parent)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise FileUnwritable(path, _words(error)) from error
    return True


def sweep_temporaries(directory: Path) -> int:
    """Remove the temporary files that killed writers left in `directory`; return how many.

    A writer has its own locked until it is done, and the kernel lets go of a dead one's lock: so
    neither an age nor a process id has to be believed. What is not named as ours are, or is not a
    plain private file of this user's, is left alone; so is all of it where files cannot be locked.
    """
    if not _POSIX:
        return 0
    found: list[Path] = []
    with contextlib.suppress(OSError):
        found += directory.iterdir()
    return sum(_is_swept(each) for each in found if temporary_of(each.name))


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int | None]:
    flags = os.O_RDONLY | _NO_FOLLOW | _CLOSE_ON_EXEC | _NO_WAIT
    try:
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        yield None
        return
    except OSError as error:
        if error.errno == errno.ELOOP:
            fix = f"Replace {path} by a real file, or remove it."
            raise UnsafeFile(path, "it is a symbolic link", fix) from None
        raise UnsafeFile(path, _words(error), f"Check the owner and mode of {path}.") from error
    try:
        _check_file(path, _status_of(path, descriptor))
        yield descriptor
    finally:
        os.close(descriptor)


def _status_of(path: Path, descriptor: int) -> os.stat_result:
    """Return the file's status, without the second name that `create_private` gives it.

    That name goes at the end of it; a process that was killed in the middle leaves it.
    """
    status = os.fstat(descriptor)
    if status.st_nlink > 1 and stat.S_ISREG(status.st_mode):
        with contextlib.suppress(OSError):
            for other in path.parent.iterdir():
                _discard_other_name(path, other, status)
        status = os.fstat(descriptor)
    return status


def _discard_other_name(path: Path, other: Path, status: os.stat_result) -> None:
    # Several may be at it: that another temporary file has just gone does not end the search.
    with contextlib.suppress(FileNotFoundError):
        if temporary_of(other.name) == path.name and os.path.samestat(other.lstat(), status):
            other.unlink()


def _check_file(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise UnsafeFile(path, "it is not a regular file", f"Remove {path}.")
    if status.st_nlink > 1:
        fix = f"Find the other name (`find / -samefile {path}`) and remove it."
        raise UnsafeFile(path, "it has a second name (a hard link)", fix)
    _check_owner_and_mode(path, status, FILE_MODE)


def _check_owner_and_mode(path: Path, status: os.stat_result, wanted: int) -> None:
    if not _POSIX:
        return
    if status.st_uid != os.geteuid():
        raise UnsafeFile(path, "it belongs to another user", f"Run `chown $(id -un) {path}`.")
    if stat.S_IMODE(status.st_mode) & _OTHERS:
        mode = stat.S_IMODE(status.st_mode)
        raise UnsafeFile(
            path, f"others have access to it (mode {mode:04o})", f"Run `chmod {wanted:o} {path}`."
        )


@contextlib.contextmanager
def _temporary_beside(path: Path, data: bytes) -> Iterator[Path]:
    """Yield a new file beside `path` that holds `data`, synced; in the end its name is gone."""
    temporary, descriptor = _new_beside(path)
    try:
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            write_all(descriptor, data)
            os.fsync(descriptor)
            if not _POSIX:  # Windows renames no file that is open
                file.close()
            yield temporary
    finally:
        _discard(temporary)


def _new_beside(path: Path) -> tuple[Path, int]:
    """Create an empty file beside `path`, and lock it for `sweep_temporaries` to see."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_FOLLOW | _CLOSE_ON_EXEC
    while True:
        temporary = temporary_name(path)
        descriptor = os.open(temporary, flags, FILE_MODE)
        if not _POSIX or (_try_lock(descriptor) is not False and temporary.exists()):
            return temporary, descriptor
        # Somebody swept it before it was locked.
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool | None:
    """Lock an open file; return False if another one has it, None if it cannot be locked."""
    import fcntl  # noqa: PLC0415 - not on Windows

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _is_swept(temporary: Path) -> bool:
    with contextlib.suppress(OSError):
        descriptor = os.open(temporary, os.O_RDONLY | _NO_FOLLOW | _CLOSE_ON_EXEC | _NO_WAIT)
        try:
            status = os.fstat(descriptor)
            ours = status.st_uid == os.geteuid() and not stat.S_IMODE(status.st_mode) & _OTHERS
            if stat.S_ISREG(status.st_mode) and ours and _try_lock(descriptor):
                temporary.unlink()
                return True
        finally:
            os.close(descriptor)
    return False


def temporary_name(path: Path) -> Path:
    """Return a new name beside `path`, by which what is left of it is known."""
    return path.with_name(f".{path.name}.{os.urandom(6).hex()}.tmp")


def temporary_of(name: str) -> str | None:
    """Return the name of the file that one of this `name` is a temporary of; None if of none."""
    found = _TEMPORARY.fullmatch(name)
    return found and found["of"]


def _discard(temporary: Path) -> None:
    # Where it could not be written, a read-only file system refuses to remove it too; the first
    # failure is the one to tell.
    with contextlib.suppress(OSError):
        temporary.unlink(missing_ok=True)


def sync_directory(path: Path) -> None:
    """Have the names in a directory on the disk, where the system can."""
    if not _POSIX:
        return
    descriptor = os.open(path, os.O_RDONLY | _CLOSE_ON_EXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _words(error: OSError) -> str:
    return error.strerror or type(error).__name__
