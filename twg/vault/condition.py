"""The state a store's files are in, for `twg doctor`, and putting aside one that does not open."""

from __future__ import annotations

import stat
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from guard.files import create_private, read_private, remove_private
from twg.errors import StoreUnwritable
from twg.vault.mark import Mark
from twg.vault.sealed import is_newer, parse

if TYPE_CHECKING:
    from pathlib import Path

    from twg.vault.header import Header, KeyLocation


@dataclass(frozen=True, slots=True, kw_only=True)
class FileState:
    """A file or directory as it is.

    Attributes:
        path: Where.
        mode: Its permissions, such as ``0600``; None if it is not there.
        uid: Its owner; None if it is not there.
    """

    path: Path
    mode: str | None
    uid: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What there is to say of a store.

    Attributes:
        files: The config directory, the state directory and the store's file.
        key: Where the sealing key lives; None where there is no store yet.
        profiles: How many credentials there are.
        generation: The store's generation; 0 where there is none.
        problems: What is wrong, each with what to do.
    """

    files: tuple[FileState, ...]
    key: KeyLocation | None = None
    profiles: int = 0
    generation: int = 0
    problems: tuple[str, ...] = ()

    def with_problem(self, problem: str) -> Condition:
        """Return it with one problem more, unless it is known."""
        if problem in self.problems:
            return self
        return replace(self, problems=(*self.problems, problem))

    def with_header(self, header: Header, state_dir: Path) -> Condition:
        """Return it with what the header says."""
        told = replace(
            self, key=header.key, profiles=len(header.profiles), generation=header.generation
        )
        if header.key is None or header.generation <= 1:
            return told
        mark = Mark(state_dir, header.key.id).path
        if mark.exists():
            return told
        return told.with_problem(
            f"{mark} is missing, so an older store put back would not be noticed now. "
            "It is made again by the next renewal or sign-in"
        )


def examine(path: Path, state_dir: Path) -> Condition:
    """Look at the store's files without opening them."""
    return Condition(files=tuple(_state(each) for each in (path.parent, state_dir, path)))


def set_aside(path: Path, judged: bytes | None) -> Path | None:
    """Move a store that was found not to open to a name of its own; call it under the lock.

    Args:
        path: The store.
        judged: The bytes that were found not to open; others are left alone.

    Returns:
        Where it is now, or None if there was nothing to move.

    Raises:
        StoreCorrupt: A newer twg wrote it.
        StoreUnwritable: It cannot be moved.
        UnsafeFile, FileUnwritable: The guard's reasons.
    """
    data = read_private(path)
    if data is None or data != judged:
        return None
    if is_newer(path, data):
        parse(path, data)
    target = path.with_name(f"{path.name}.corrupt-{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}")
    # Copied before it is removed: at no moment is there none.
    if not create_private(target, data):
        raise StoreUnwritable(f"{target} is there already", "Run the command again.")
    remove_private(path)
    return target


def _state(path: Path) -> FileState:
    try:
        status = path.lstat()
    except OSError:
        return FileState(path=path, mode=None, uid=None)
    return FileState(path=path, mode=f"{stat.S_IMODE(status.st_mode):04o}", uid=status.st_uid)
