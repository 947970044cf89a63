"""Files that a scheduler reads: written only where nothing but our own stands, removed likewise."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from anyio import to_thread

from guard.errors import FileUnwritable, UnsafeFile
from guard.files import read_private, remove_private, replace_private
from twg.upkeep.job import MADE_BY

if TYPE_CHECKING:
    from pathlib import Path


async def write(path: Path, data: bytes) -> None:
    """Write a file of ours, its directory included; one of ours that is there is replaced.

    Raises:
        UnsafeFile: What stands there is not ours.
        FileUnwritable: The file system refuses.
    """
    await to_thread.run_sync(_write, path, data)


async def read(path: Path) -> bytes | None:
    """Return what is in a file of ours; None if there is none, or it is not ours."""
    return await to_thread.run_sync(_read, path)


async def remove(path: Path) -> bool:
    """Remove a file of ours; False if there is none, or it is not ours.

    Raises:
        FileUnwritable: The file system refuses.
    """
    return await to_thread.run_sync(_remove, path)


def _write(path: Path, data: bytes) -> None:
    if _read(path) is None and os.path.lexists(path):
        raise UnsafeFile(path, "twg did not make it", f"Move {path} away.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileUnwritable(path, error.strerror or type(error).__name__) from error
    replace_private(path, data)


def _read(path: Path) -> bytes | None:
    try:
        data = read_private(path, limit=1 << 16)
    except UnsafeFile:
        return None
    return data if data is not None and MADE_BY.encode() in data else None


def _remove(path: Path) -> bool:
    return _read(path) is not None and remove_private(path)
