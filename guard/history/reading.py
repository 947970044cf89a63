"""A history file opened with care, and read line by line however long it is."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from typing import TYPE_CHECKING, Final

from guard.errors import UnsafeFile
from guard.history.entry import Line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LONGEST: Final = 16 * 1024 * 1024
"""A line with more bytes than this is not read: no history has one."""

_PIECE: Final = 1 << 20
_ROOT: Final = 0
_POSIX: Final = sys.platform != "win32"
# A FIFO in place of the file must not block the open; the check that follows refuses it.
_FLAGS: Final = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_BINARY", 0)
)


def target_of(path: Path) -> Path:
    """Return the file that `path` leads to; people who keep their dotfiles elsewhere link them.

    Raises:
        UnsafeFile: Another user made the link, so it could lead anywhere.
        FileNotFoundError: There is none.
    """
    status = path.lstat()
    if not stat.S_ISLNK(status.st_mode):
        # Links further up are the system's, or the person's own.
        return path.parent.resolve() / path.name
    if _POSIX and status.st_uid not in {os.geteuid(), _ROOT}:
        raise UnsafeFile(path, "another user made this symbolic link", f"Remove the link {path}.")
    try:
        return path.resolve(strict=True)
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop, before Python 3.13
        if isinstance(error, FileNotFoundError):
            raise
        raise UnsafeFile(path, "it is a link to itself", f"Remove the link {path}.") from error


@contextlib.contextmanager
def opened(target: Path) -> Iterator[int]:
    """Open `target` for reading, if it is a file of this user's with no second name.

    Raises:
        UnsafeFile: It is something else, or cannot be read.
        FileNotFoundError: It is not there.
    """
    try:
        descriptor = os.open(target, _FLAGS)
    except FileNotFoundError:
        raise
    except OSError as error:
        problem = "it is a symbolic link" if error.errno == errno.ELOOP else _words(error)
        fix = f"Check what {target} is, its owner and its mode."
        raise UnsafeFile(target, problem, fix) from error
    try:
        check(target, os.fstat(descriptor))
        yield descriptor
    finally:
        os.close(descriptor)


def check(target: Path, status: os.stat_result) -> None:
    """Refuse what is not a regular file of this user's with one name.

    Raises:
        UnsafeFile: As said.
    """
    if not stat.S_ISREG(status.st_mode):
        raise UnsafeFile(target, "it is not a regular file", f"Move {target} away.")
    if _POSIX and status.st_uid != os.geteuid():
        fix = f"Run this as the owner of {target}."
        raise UnsafeFile(target, "it belongs to another user", fix)
    if status.st_nlink > 1:
        fix = f"Find the other name (`find / -samefile {target}`) and remove one of them."
        raise UnsafeFile(target, "it has a second name (a hard link)", fix)


def lines(target: Path, descriptor: int, start: int = 0, number: int = 1) -> Iterator[Line]:
    """Yield the lines of an open file from `start` on, to where it ends when that is reached.

    Raises:
        UnsafeFile: One is longer than `LONGEST`, or the disk fails.
    """
    rest = b""
    position = start
    while piece := _read(target, descriptor, position):
        position += len(piece)
        *whole, rest = (rest + piece).split(b"\n")
        for text in whole:
            yield Line(start, number, text + b"\n")
            start += len(text) + 1
            number += 1
        if len(rest) > LONGEST:
            problem = f"its line {number} is longer than {LONGEST} bytes"
            raise UnsafeFile(target, problem, f"Look at {target}, and move it away.")
    if rest:
        yield Line(start, number, rest)


def _read(target: Path, descriptor: int, position: int) -> bytes:
    try:
        os.lseek(descriptor, position, os.SEEK_SET)
        return os.read(descriptor, _PIECE)
    except OSError as error:
        raise UnsafeFile(target, _words(error), f"Check the disk that holds {target}.") from error


def _words(error: OSError) -> str:
    return error.strerror or type(error).__name__
