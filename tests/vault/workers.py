"""What the vault's tests run in processes of their own: ``python -m tests.vault.workers …``."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.vault.samples import Ear, credential, custody_of, store_at, with_access
from twg.errors import KeyUnavailable, StoreConflict
from twg.vault import KeyKeeper, KeyLocation
from twg.vault.locks import ProcessLock

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def save(root: str, profile: str, rounds: str) -> None:
    """Save one's own profile many times, reading what is there in between."""
    store = store_at(Path(root))
    for number in range(int(rounds)):
        known = await store.read(profile)
        generation = known.generation if known else 0
        made = with_access(credential(profile), f"{profile}-{number}")
        await store.save(made, expected=generation)


async def count(root: str, rounds: str) -> None:
    """Add to one shared number by compare-and-swap, again after each conflict."""
    store = store_at(Path(root))
    for _ in range(int(rounds)):
        while True:
            known = await store.read("shared")
            number = int(known.refused or 0) if known else 0
            made = credential("shared", refused=str(number + 1))
            try:
                await store.save(made, expected=known.generation if known else 0)
            except StoreConflict:
                continue
            break


async def hold(root: str, name: str) -> None:
    """Hold a lock until killed."""
    lock = ProcessLock(state_dir=Path(root) / "state", name=name, what="it", seconds=5)
    async with lock.held():
        say(str(os.getpid()))
        await asyncio.sleep(3600)


async def die_before_rename(root: str, ending: str) -> None:
    """Save, and be killed once such a file is written, before it takes the old one's name."""

    def kill(event: str, arguments: tuple[object, ...]) -> None:
        if event == "os.rename" and str(arguments[1]).endswith(ending):
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(kill)
    await store_at(Path(root)).save(with_access(credential(), "never-saved"), expected=None)


async def create_key(root: str, seconds: str) -> None:
    """Make a key in the best place there is, read it back, and tell where it is and why."""
    keeper = KeyKeeper(
        Path(root) / "state", custody=custody_of(Ear()), keyring_seconds=float(seconds)
    )
    location, key = await keeper.create("auth")
    assert key.same_as(await keeper.read(location))
    say(f"{location.location} {location.id} {location.reason}")


async def read_key(root: str, seconds: str, key_id: str) -> None:
    """Read a key out of the key ring, twice; tell why not, and how many threads hang."""
    keeper = KeyKeeper(
        Path(root) / "state", custody=custody_of(Ear()), keyring_seconds=float(seconds)
    )
    for _ in range(2):
        try:
            await keeper.read(KeyLocation(location="keyring", id=key_id))
        except KeyUnavailable as error:
            say(f"{error.why}: {error}")
        else:
            say("read")
    say(f"left behind: {sum(each.name == 'twg key ring' for each in threading.enumerate())}")


async def destroy_key(root: str, seconds: str, key_id: str) -> None:
    """Remove a key from the key ring, twice."""
    keeper = KeyKeeper(
        Path(root) / "state", custody=custody_of(Ear()), keyring_seconds=float(seconds)
    )
    for _ in range(2):
        await keeper.destroy(KeyLocation(location="keyring", id=key_id))
    say("destroyed")


JOBS: dict[str, Callable[..., Coroutine[Any, Any, None]]] = {
    "save": save,
    "count": count,
    "hold": hold,
    "die-before-rename": die_before_rename,
    "create-key": create_key,
    "read-key": read_key,
    "destroy-key": destroy_key,
}

if __name__ == "__main__":
    asyncio.run(JOBS[sys.argv[1]](*sys.argv[2:]))
