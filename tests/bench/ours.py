"""What is measured of twg, each in a process of its own: ``tests.bench.ours JOB URL …``."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guard.audit import Actor, AuditLog, load_or_create_key
from guard.custody import Custody
from guard.scrub import Scrubber
from tests.bench import meter
from twg.auth.tokens import TokenManager
from twg.http import Http
from twg.vault import Credential, Endpoints, KeyKeeper, Provider, SealedStore, Tokens

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from twg.vault.opened import Opened

LIFETIME = 3600.0
_SMALL_ROUNDS = 999


def custody_at(root: Path) -> Custody:
    """Return a custody with a scrubber and an audit record, as the command has it."""
    scrubber = Scrubber()
    state = root / "state"
    audit = AuditLog(
        state / "audit.jsonl",
        key=lambda: load_or_create_key(state / "audit.key"),
        actor=Actor.of_this_process(agent=None, command="bench", environ={}),
        scrubber=scrubber,
    )
    return Custody(scrubber, audit)


def store_at(root: Path, custody: Custody) -> SealedStore:
    """Return the sealed store under `root`, its key in a file."""
    return SealedStore(
        root / "config" / "auth.conf",
        state_dir=root / "state",
        keys=KeyKeeper(root / "state", custody=custody, preferred="file"),
        custody=custody,
    )


def credential_at(url: str, number: int, custody: Custody, *, issued_at: float) -> Credential:
    """Return a credential of the benchmark's server."""
    provider = Provider(
        name="bench",
        issuer=url,
        client_id="bench",
        api_base=url,
        endpoints=Endpoints(authorization=f"{url}/authorize", token=f"{url}/token"),
    )
    tokens = Tokens(
        access=custody.take(f"access-{number}-made-up", "access-token"),
        refresh=custody.take(f"family-{number}.0", "refresh-token"),
        scopes=("read:me",),
        issued_at=issued_at,
        expires_in=LIFETIME,
    )
    return Credential(
        profile=f"profile-{number}",
        provider=provider,
        tokens=tokens,
        signed_in_at=issued_at,
        refreshed_at=issued_at,
    )


async def fill(root: Path, url: str, count: int, *, issued_at: float) -> None:
    """Save so many credentials in one go: saving them in turn is not what is measured."""
    custody = Custody(Scrubber())
    credentials = [credential_at(url, n, custody, issued_at=issued_at) for n in range(count)]

    def put_all(opened: Opened) -> None:
        for credential in credentials:
            opened.put(credential)

    await store_at(root, custody)._file.change(put_all)


@asynccontextmanager
async def manager_at(root: Path) -> AsyncIterator[tuple[TokenManager, SealedStore]]:
    """Yield a manager as the command has it, and its store."""
    custody = custody_at(root)
    store = store_at(root, custody)
    async with (
        Http(settle=custody.settle) as http,
        TokenManager(store=store, http=http, custody=custody) as manager,
    ):
        yield manager, store


async def many(url: str, count: str) -> None:
    """Renew many due credentials, durably and audited."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        await fill(root, url, int(count), issued_at=time.time() - LIFETIME)
        async with manager_at(root) as (manager, _):
            began = time.perf_counter()
            ends = await manager.renew_all([f"profile-{n}" for n in range(int(count))])
            seconds = time.perf_counter() - began
        good = sum(isinstance(end, Credential) for end in ends.values())
        meter.tell(seconds=seconds, failing=int(count) - good)


async def tasks(url: str) -> None:
    """Many tasks want one expired credential."""
    with tempfile.TemporaryDirectory() as name:
        await fill(Path(name), url, 1, issued_at=time.time() - LIFETIME)
        async with manager_at(Path(name)) as (manager, _):
            failing = await meter.in_tasks(lambda: manager.get("profile-0"))
    meter.tell(failing=failing, requests=meter.ask(url, "/stats")["requests"])


def _get_at(root: Path) -> None:
    async def get() -> None:
        async with manager_at(root) as (manager, _):
            await manager.get("profile-0")

    asyncio.run(get())


def apart(url: str, run: Callable[[Callable[[], object]], Any]) -> None:
    """Callers who share no memory but the store want one expired credential."""
    with tempfile.TemporaryDirectory() as name, tempfile.TemporaryDirectory() as other:
        root = Path(name)
        asyncio.run(fill(root, url, 1, issued_at=time.time() - LIFETIME))
        # What Python loads and compiles the first time is a matter of starting, not of the race.
        asyncio.run(fill(Path(other), url, 1, issued_at=time.time()))
        _get_at(Path(other))
        found = run(lambda: _get_at(root))
    failing, done = found if isinstance(found, tuple) else (found, 0.0)
    stats = meter.ask(url, "/stats")
    meter.tell(
        failing=failing, requests=stats["requests"], after=max(0.0, done - stats["answered_at"])
    )


def floor(seconds: str) -> None:
    """Processes that only begin an event loop and wait for as long as the server does."""
    began: list[float] = []
    asyncio.run(asyncio.sleep(0))
    failing, done = meter.in_processes(
        lambda: asyncio.run(asyncio.sleep(float(seconds))), opened=began.append
    )
    meter.tell(failing=failing, requests=0, after=max(0.0, done - began[0] - float(seconds)))


async def fresh(url: str) -> None:
    """Get a fresh credential again and again."""
    with tempfile.TemporaryDirectory() as name:
        await fill(Path(name), url, 1, issued_at=time.time())
        async with manager_at(Path(name)) as (manager, _):
            await manager.get("profile-0")
            meter.tell(seconds=await meter.per_await(lambda: manager.get("profile-0")))


async def growth(url: str, count: str) -> None:
    """Read the status, get a fresh credential, save and renew one, beside so many others."""
    with tempfile.TemporaryDirectory() as name:
        await fill(Path(name), url, int(count), issued_at=time.time())
        async with manager_at(Path(name)) as (manager, store):
            await manager.renew("profile-0", force=True)
            found = {
                "status": await _median(store.summaries, rounds=_SMALL_ROUNDS),
                "get": await _median(lambda: manager.get("profile-0"), rounds=_SMALL_ROUNDS),
                "save": await _median(lambda: _save_again(store)),
                "refresh": await _median(lambda: manager.renew("profile-0", force=True)),
            }
    meter.tell(**found)


async def _save_again(store: SealedStore) -> None:
    credential = await store.read("profile-0")
    assert credential is not None
    await store.save(credential, expected=credential.generation)


async def _median(work: Callable[[], Coroutine[Any, Any, object]], *, rounds: int = 9) -> float:
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        await work()
        took.append(time.perf_counter() - began)
    return sorted(took)[len(took) // 2]


def main(job: str, url: str, *rest: str) -> None:
    """Run one job."""
    match job:
        case "threads":
            apart(url, meter.in_threads)
        case "processes":
            apart(url, meter.in_processes)
        case "floor":
            floor(*rest)
        case _:
            jobs: dict[str, Callable[..., Coroutine[Any, Any, None]]] = {
                "many": many,
                "tasks": tasks,
                "fresh": fresh,
                "growth": growth,
            }
            asyncio.run(jobs[job](url, *rest))


if __name__ == "__main__":
    main(*sys.argv[1:])
