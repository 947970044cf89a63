"""What `twg doctor --fix` mends: nothing that could take anything away from anybody."""

from __future__ import annotations

import contextlib
import os
import stat
from typing import TYPE_CHECKING, Final

from anyio import to_thread

from guard.errors import GuardError
from guard.files import check_private_file, sweep_temporaries
from twg.errors import TwgError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from twg.cli.wiring import Wiring

_OTHERS: Final = 0o077


async def mend(wiring: Wiring) -> list[str]:
    """Mend what can be; return what was done. What cannot be mended, the checks tell.

    Raises:
        TwgError: The settings cannot be used.
    """
    from twg.settings import directories  # noqa: PLC0415 - only where it is used

    # Without the settings, which are refused while others may change them.
    modes = await to_thread.run_sync(_private_again, wiring, directories(wiring.environ))
    done = await to_thread.run_sync(_tidied, wiring)
    return [*modes, *done, *await _settled(wiring)]


def open_to_others(directories: Sequence[Path]) -> Iterator[tuple[Path, int]]:
    """Yield what in these directories others have access to, and they themselves, with its mode.

    Links, and what belongs to another user, are not looked at. It blocks.
    """
    for directory in directories:
        for path in (directory, *(sorted(directory.iterdir()) if _is_own(directory) else ())):
            if _is_own(path) and (mode := stat.S_IMODE(path.lstat().st_mode)) & _OTHERS:
                yield path, mode


def _private_again(wiring: Wiring, directories: Sequence[Path]) -> list[str]:
    done = []
    for path, mode in open_to_others(directories):
        with contextlib.suppress(OSError):
            path.chmod(mode & ~_OTHERS)
            done.append(f"Took others' access away from {wiring.shown(path)} (was {mode:04o}).")
    return done


def _tidied(wiring: Wiring) -> list[str]:
    """Remove what killed commands have left: temporary files, and half a line in the record."""
    done = []
    settings = wiring.settings
    for directory in (settings.config_dir, settings.state_dir):
        if count := sweep_temporaries(directory):
            what = "a temporary file" if count == 1 else f"{count} temporary files"
            done.append(f"Removed {what} that a killed command left in {wiring.shown(directory)}.")
    record = settings.state_dir / "audit.jsonl"
    with contextlib.suppress(OSError, GuardError):
        if _is_torn(record):
            wiring.audit.prove()
            done.append(f"Cut an unfinished line off the end of {wiring.shown(record)}.")
    return done


def _is_torn(record: Path) -> bool:
    if not check_private_file(record) or not record.lstat().st_size:
        return False
    with record.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() != b"\n"


async def _settled(wiring: Wiring) -> list[str]:
    """Destroy keys that are not in use any more."""
    from twg.cli.storage import stores_of  # noqa: PLC0415 - only where it is used

    done = []
    for path, store in stores_of(wiring).items():
        with contextlib.suppress(TwgError, GuardError):
            if await store.unsettled_keys() and not await store.settle_keys():
                done.append(f"Destroyed what moving the key of {path.name} had left.")
    return done


def _is_own(path: Path) -> bool:
    try:
        status = path.lstat()
    except OSError:
        return False
    mine = not hasattr(os, "geteuid") or status.st_uid == os.geteuid()
    return mine and (stat.S_ISDIR(status.st_mode) or stat.S_ISREG(status.st_mode))
