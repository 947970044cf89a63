"""A process of the soak: ``python -m tests.refresh.soaked ROOT``; forks workers, one a line."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

import twg.auth.clients
import twg.oauth.token  # noqa: F401 - imported before the fork, not by each child
from tests.refresh.rotating import refresh_of
from tests.refresh.workers import next_line, say
from tests.vault.samples import Ear, custody_of, store_at
from twg.auth.tokens import TokenManager
from twg.errors import AuthError, Busy, NetworkError, TwgError
from twg.http import Http

if TYPE_CHECKING:
    from twg.vault import SealedStore

PROFILES = tuple(f"p{number}" for number in range(50))
TASKS = 8
REST = 0.02
"""Seconds between two askings of a task."""


async def work(root: Path) -> None:
    """Ask for one token after the other, until killed."""
    store = store_at(root)
    async with (
        Http() as http,
        TokenManager(store=store, http=http, custody=custody_of(Ear())) as manager,
        anyio.create_task_group() as tasks,
    ):
        for _ in range(TASKS):
            tasks.start_soon(_ask_again_and_again, manager, store)


async def _ask_again_and_again(manager: TokenManager, store: SealedStore) -> None:
    chance = random.Random()  # noqa: S311 - no secret is made of it
    while True:
        profile = chance.choice(PROFILES)
        before = await store.read(profile)
        try:
            await manager.get(profile)
        except AuthError as error:
            after = await store.read(profile)
            if before is not None and after is not None and refresh_of(before) == refresh_of(after):
                say(f"lost {profile} {refresh_of(after)} {error.code}")
        except (NetworkError, Busy):
            say("unreachable")
        except TwgError as error:
            say(f"wrong {profile} {error.code} {error}")
        else:
            say("served")
        await asyncio.sleep(REST)


def main(root: Path) -> None:
    """Fork a worker for each line, and tell its number."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how they ended: they are killed
    say("warm")
    while lines := next_line():
        for _ in lines.split():
            say(f"started {_fork(root)}")


def _fork(root: Path) -> int:
    child = os.fork()
    if child == 0:
        try:
            asyncio.run(work(root))
        except BaseException as error:  # noqa: BLE001 - told, whatever it is
            say(f"wrong - {type(error).__name__} {error}")
        finally:
            os._exit(1)
    return child


if __name__ == "__main__":
    main(Path(sys.argv[1]))
