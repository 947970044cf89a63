"""Many processes at one moment: ``python -m tests.refresh.crowd ROOT CLOCK TASKS JOB…``.

A process is forked for each job once everything is imported; all begin together when a line comes,
and each says in one line what it got.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

import twg.auth.clients
import twg.oauth.token  # noqa: F401 - imported before the fork, not by each child
from tests.auth.parts import Clock, credential_at
from tests.auth.workers import fingerprint
from tests.refresh.workers import next_line, say
from tests.sandbox.visiting import Visitor
from tests.vault.samples import Ear, custody_of, store_at
from twg.auth.signout import SignOut
from twg.auth.tokens import TokenManager
from twg.errors import TwgError
from twg.http import Http
from twg.vault import Tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from twg.vault import Credential, SealedStore

PATIENCE = 300.0
"""Seconds to wait for a lock; on a busy machine a hundred processes take their time."""
PROFILE = "default"


async def served(root: Path, clock: float, tasks: int, *, force: bool) -> str:
    """Ask in many tasks at once; tell which token they got, or what else."""
    got: Counter[str] = Counter()

    async def ask(manager: TokenManager) -> None:
        work = partial(manager.renew, force=True) if force else manager.get
        try:
            got[fingerprint(await work(PROFILE))] += 1
        except TwgError as error:
            got[f"{error.code}: {error}"] += 1

    async with (
        Http(read_seconds=PATIENCE) as http,
        TokenManager(
            store=store_at(root, lock_seconds=PATIENCE),
            http=http,
            custody=custody_of(Ear()),
            clock=Clock(clock),
        ) as manager,
        anyio.create_task_group() as group,
    ):
        for _ in range(tasks):
            group.start_soon(ask, manager)
    return "; ".join(f"{count} x {what}" for what, count in got.items())


async def signed_in(root: Path, clock: float) -> str:
    """Sign in anew at the sandbox of the credential there, and save that under the lease."""
    store = store_at(root, lock_seconds=PATIENCE)
    known = await store.read("beside")
    assert known is not None
    async with Visitor(known.provider.issuer) as visitor:
        answer = (await visitor.quick_tokens()).json()
    made = issued(answer, known.provider.issuer, clock)
    async with store.lease(PROFILE):
        await store.save(made, expected=None)
    return fingerprint(made)


def issued(answer: dict[str, Any], url: str, now: float) -> Credential:
    """Return a credential of what a token endpoint answered."""
    custody = custody_of(Ear())
    tokens = Tokens(
        access=custody.take(answer["access_token"], "access-token"),
        refresh=custody.take(answer["refresh_token"], "refresh-token"),
        issued_at=now,
        expires_in=float(answer["expires_in"]),
    )
    return credential_at(url, PROFILE, tokens=tokens, signed_in_at=now, refreshed_at=now)


async def signed_out(root: Path) -> str:
    """Sign out."""
    store: SealedStore = store_at(root, lock_seconds=PATIENCE)
    async with Http(read_seconds=PATIENCE) as http:
        ended = await SignOut(store=store, http=http, custody=custody_of(Ear())).run(PROFILE)
    return "nobody" if ended is None else f"revoked: {ended.revoked}"


def main(root: Path, clock: float, tasks: int, *jobs: str) -> None:
    """Fork a child for each job, tell that all are ready, and let them begin."""
    ways: dict[str, Callable[[], Coroutine[Any, Any, str]]] = {
        "get": partial(served, root, clock, tasks, force=False),
        "force": partial(served, root, clock, tasks, force=True),
        "sign-in": partial(signed_in, root, clock),
        "sign-out": partial(signed_out, root),
    }
    waits, begins = os.pipe()
    children = [_fork(job, ways[job], waits, begins) for job in jobs]
    say("ready")
    next_line()
    os.close(begins)  # what all of them wait for
    for child in children:
        os.waitpid(child, 0)


def _fork(job: str, way: Callable[[], Coroutine[Any, Any, str]], waits: int, begins: int) -> int:
    child = os.fork()
    if child == 0:
        os.close(begins)
        os.read(waits, 1)
        try:
            say(f"{job} {asyncio.run(way())}")
        finally:
            os._exit(0)
    return child


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])
