"""`LogFile`: a private file of bounded size that any number of processes append lines to."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from guard.files import check_private_file, ensure_private_directory
from guard.locks import release, take_now

if TYPE_CHECKING:
    from pathlib import Path

_FLAGS: Final = (
    os.O_WRONLY
    | os.O_CREAT
    | os.O_APPEND
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
)
_MODE: Final = 0o600


class LogFile:
    """Takes lines as a stream does. Once it is full, it goes on anew, and the old one is kept.

    Args:
        path: The file; its directory and the one around that are made if they are missing.
        most: How many bytes it holds; the old one beside it has as many.
    """

    def __init__(self, path: Path, most: int) -> None:
        self._path = path
        self._most = most
        self._descriptor: int | None = None

    def write(self, line: str) -> None:
        """Append a line.

        Raises:
            UnsafeFile: Others have access to the file, or something else stands in its place.
            FileUnwritable: Its directory cannot be made.
            OSError: It cannot be written.
        """
        data = line.encode("utf-8", "backslashreplace")
        descriptor = self._opened()
        if os.fstat(descriptor).st_size + len(data) > self._most:
            self._begin_anew(descriptor)
            descriptor = self._opened()
        os.write(descriptor, data)

    def flush(self) -> None:
        """Do nothing: lines are written at once."""

    def close(self) -> None:
        """Close it; the next line opens it again."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _opened(self) -> int:
        if self._descriptor is None or not self._is_at_its_place(self._descriptor):
            self.close()
            # Each by itself: a parent that is made on the way would be open to others.
            ensure_private_directory(self._path.parent.parent)
            ensure_private_directory(self._path.parent)
            check_private_file(self._path)
            self._descriptor = os.open(self._path, _FLAGS, _MODE)
        return self._descriptor

    def _is_at_its_place(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.lstat(self._path), os.fstat(descriptor))
        except FileNotFoundError:
            return False

    def _begin_anew(self, full: int) -> None:
        # Of several processes one does; the others write a little too much meanwhile.
        lock = take_now(self._path.with_name(f"{self._path.name}.lock"))
        if lock is None:
            return
        try:
            if self._is_at_its_place(full):
                self._path.replace(self._path.with_suffix(f".1{self._path.suffix}"))
        finally:
            release(lock)

    def __del__(self) -> None:
        self.close()
