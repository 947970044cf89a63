"""What a process knows of the sealed file, and how it sees for next to nothing that it still holds.

The file is only ever replaced as a whole, so as long as the same file stands there, what was read
from it holds. Which file it is, its status tells: device and inode, mode, owner and links, size,
times of writing and of change. Size and times alone would not do, for two writes within one tick of
the kernel's clock look the same, and an inode may be given again. So the file is held open: as long
as it is, no other can have its inode. Mode, owner and links belong to it, so that what was checked
when the file was read still holds too.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

    from twg.vault.opened import Opened

_identity: Final = attrgetter(
    "st_dev", "st_ino", "st_mode", "st_uid", "st_nlink", "st_size", "st_mtime_ns", "st_ctime_ns"
)
_FLAGS: Final = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NONBLOCK", 0)
)
# Windows replaces no file that is held open; its file ids hold a count and do not come back soon.
_HOLDS: Final = sys.platform != "win32"


class Sight:
    """A file as it was at one moment, held open so that no other can be taken for it.

    Args:
        path: Where it was.
        descriptor: The open file; closed with this object.
    """

    __slots__ = ("_descriptor", "_path", "identity")

    def __init__(self, path: str, descriptor: int) -> None:
        self._path = path
        self._descriptor: int | None = descriptor
        self.identity = _identity(os.fstat(descriptor))
        if not _HOLDS:
            self._close()

    @classmethod
    def of(cls, path: Path) -> Sight | None:
        """Look at `path`; None if there is nothing that could be opened."""
        name = str(path)
        try:
            return cls(name, os.open(name, _FLAGS))
        except OSError:
            return None

    @property
    def pin(self) -> tuple[int, int]:
        """The file's number and when it was last changed, which no program can set."""
        return self.identity[1], self.identity[7]

    def holds(self) -> bool:
        """Tell by one look whether the same file is there still."""
        try:
            return bool(_identity(os.lstat(self._path)) == self.identity)
        except OSError:
            return False

    def __del__(self) -> None:
        self._close()

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


@dataclass(frozen=True, slots=True)
class Known:
    """An opened store, which nobody changes any more, and the file it is in.

    Attributes:
        sight: The file.
        opened: What is in it.
    """

    sight: Sight
    opened: Opened
