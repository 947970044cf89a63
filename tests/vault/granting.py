"""Uses grants up in many processes at once: `python -m tests.vault.granting ROOT PROCESSES`."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.vault.samples import Ear, custody_of
from twg.cli.wiring import moment
from twg.vault import Grant, GrantStore, KeyKeeper

if TYPE_CHECKING:
    from collections.abc import Sequence


def grant_store_at(root: Path, *, ear: Ear | None = None) -> GrantStore:
    """Return the store, as a process of its own would make it."""
    custody = custody_of(ear or Ear())
    return GrantStore(
        root / "config" / "policy.json",
        state_dir=root / "state",
        keys=KeyKeeper(root / "state", custody=custody, preferred="file"),
        custody=custody,
        lock_seconds=240.0,
    )


def grant_of(name: str = "a1", **changes: Any) -> Grant:
    made = Grant(id=name, access="write", seconds=3600.0, granted_at=1e9)
    return replace(made, **changes)


async def grant_now(root: Path, **facts: Any) -> Grant:
    """Save a grant of this moment, as `twg policy grant` does once a person has agreed."""
    now = moment()
    dated = {"granted_at": now.wall, "boottime": now.boottime, "boot_id": now.boot_id}
    return await grant_store_at(root).add(grant_of(**(dated | facts)), keep=lambda _: True)


async def use_one(store: GrantStore) -> bool:
    """Use up one call of whatever grant has one left; tell whether there was one."""
    found = []

    def count(grants: Sequence[Grant]) -> Sequence[Grant]:
        left = [one for one in grants if one.calls is None or one.used < one.calls]
        found.extend(left[:1])
        return [replace(one, used=one.used + 1) if one in left[:1] else one for one in grants]

    await store.change(count)
    return bool(found)


def main(root: Path, processes: int) -> None:
    """Let that many forks of this process use one call each; print how many got one."""
    children = []
    waits, begins = os.pipe()
    for _ in range(processes):
        child = os.fork()
        if child == 0:
            status = 2
            try:
                os.close(begins)
                os.read(waits, 1)
                status = 0 if asyncio.run(use_one(grant_store_at(root))) else 1
            finally:
                os._exit(status)
        children.append(child)
    os.close(begins)  # what all of them wait for
    ended = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    sys.stdout.write(f"{ended.count(0)} {ended.count(1)}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
