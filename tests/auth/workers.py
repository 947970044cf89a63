"""What the tests run in processes of their own: ``python -m tests.auth.workers JOB ROOT …``."""

from __future__ import annotations

import asyncio
import hashlib
import resource
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

from tests.auth.parts import plain
from tests.vault.samples import Ear, custody_of, store_at
from twg.auth.signout import SignOut
from twg.auth.tokens import TokenManager
from twg.errors import TwgError
from twg.http import Http

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from twg.vault import Credential

AHEAD = 10 * 365 * 86_400
"""How far ahead the workers' clocks are, so that every credential of the tests has expired."""


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def fingerprint(credential: Credential) -> str:
    return hashlib.sha256(plain(credential.tokens.access).encode()).hexdigest()


async def get(root: str, tasks: str, *profiles: str) -> None:
    """Get each profile's token in so many tasks at once; tell the fingerprints, or the failure."""
    said: set[str] = set()

    async def one(manager: TokenManager, profile: str) -> None:
        try:
            said.add(f"{profile} {fingerprint(await manager.get(profile))}")
        except TwgError as error:
            said.add(f"{profile} {error.code} {error}")

    async with (
        Http() as http,
        TokenManager(
            store=store_at(Path(root)),
            http=http,
            custody=custody_of(Ear()),
            clock=lambda: time.time() + AHEAD,
        ) as manager,
    ):
        say("ready")
        sys.stdin.readline()
        async with anyio.create_task_group() as group:
            for _ in range(int(tasks)):
                for profile in profiles:
                    group.start_soon(one, manager, profile)
    for line in sorted(said):
        say(line)


async def get_on_a_full_disk(root: str) -> None:
    """The same, where no file can grow any more."""
    store = store_at(Path(root))
    await store.prove_replaceable()
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    await get(root, "1", "default")


async def sign_out(root: str, profile: str) -> None:
    """Sign the profile out."""
    async with Http() as http:
        say("ready")
        sys.stdin.readline()
        sign_out = SignOut(store=store_at(Path(root)), http=http, custody=custody_of(Ear()))
        outcome = await sign_out.run(profile)
    say(f"{profile} {outcome is not None and outcome.revoked}")


JOBS: dict[str, Callable[..., Coroutine[Any, Any, None]]] = {
    "get": get,
    "get-on-a-full-disk": get_on_a_full_disk,
    "sign-out": sign_out,
}

if __name__ == "__main__":
    # Whoever started the tests in the background had SIGINT ignored, and that is inherited.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    asyncio.run(JOBS[sys.argv[1]](*sys.argv[2:]))
