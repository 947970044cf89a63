"""Processes that move a sealing key and may be killed at it: ``python -m tests.vault.mover``.

One process imports everything; from it a child is forked for each line that comes, which names a
root, where to move its key, and whether the key ring is the real one.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import TYPE_CHECKING, cast

from guard.errors import GuardError
from tests.refresh.workers import audited_custody, next_line, say
from tests.vault.samples import store_at
from twg.errors import TwgError
from twg.vault import KeyKeeper, SealedStore
from twg.vault.keys import FilePlace

if TYPE_CHECKING:
    from guard.custody import Custody
    from twg.vault import KeyPlaceName
    from twg.vault.moving import Moved

REAL = "real"
PLAYED = "played"


def keeper_at(root: Path, custody: Custody, ring: str = PLAYED) -> KeyKeeper:
    """Return a keeper whose key ring is the real one, or played by files of another directory."""
    state = root / "state"
    if ring == REAL:
        return KeyKeeper(state, custody=custody, preferred="file", keyring_seconds=30)
    places = {
        "keyring": FilePlace(root / "ring", custody=custody),
        "file": FilePlace(state, custody=custody),
    }
    return KeyKeeper(state, custody=custody, preferred="file", places=places)


def movable_store(
    root: Path, custody: Custody, ring: str = PLAYED, *, lock_seconds: float = 30.0
) -> SealedStore:
    """Return the store at `root` whose key can be moved between two places."""
    return SealedStore(
        root / "config" / "auth.conf",
        state_dir=root / "state",
        keys=keeper_at(root, custody, ring),
        custody=custody,
        lock_seconds=lock_seconds,
    )


async def move(root: Path, place: KeyPlaceName, ring: str = PLAYED) -> Moved | None:
    """Move the key of the store at `root`, recorded as every command's doing is."""
    return await movable_store(root, audited_custody(root), ring).move_key(place)


def move_when_told(root: Path, place: str, ring: str) -> None:
    """Say who is ready, and move the key when told to."""
    say(f"ready {os.getpid()}")
    next_line()
    try:
        asyncio.run(move(root, cast("KeyPlaceName", place), ring))
    except (TwgError, GuardError) as error:
        say(f"failed {type(error).__name__} {error}")


def main() -> None:
    """Fork a child for each line: ``ROOT PLACE RING``."""
    store_at(Path("/nonexistent"))  # what it imports late is here before anybody looks
    import keyring.backends.SecretService  # noqa: F401, PLC0415 - likewise
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: F401, PLC0415 - likewise

    say("warm")
    while line := next_line():
        child = os.fork()
        if child == 0:
            status = 1
            try:
                root, place, ring = line.rsplit(" ", 2)
                move_when_told(Path(root), place, ring)
                status = 0
            finally:
                os._exit(status)
        say(f"ended {os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}")


if __name__ == "__main__":
    main()
