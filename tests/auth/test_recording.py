"""The audit record fails: before the deed nothing is done, after it nothing is lost."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from guard.audit import Actor, AuditLog, verify
from guard.custody import Custody
from guard.errors import UnsafeFile
from guard.locks import release, take_now
from guard.scrub import Scrubber
from tests.auth.parts import EXPIRED, TOKEN, Gate, access_of, credential_at, stored, token_answer
from tests.oauth.servers import document
from twg.auth.signout import SignOut
from twg.auth.tokens import TokenManager
from twg.vault import KeyKeeper, SealedStore

if TYPE_CHECKING:
    from pathlib import Path

    from tests.auth.parts import Clock
    from tests.oauth.servers import Server
    from twg.http import Http

KEY = bytes(32)


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def custody(tmp_path: Path, told: list[str]) -> Custody:
    scrubber = Scrubber()
    audit = AuditLog(
        tmp_path / "state" / "audit.jsonl",
        key=lambda: KEY,
        actor=Actor.of_this_process(agent=None, command="twg api"),
        scrubber=scrubber,
        warn=told.append,
    )
    return Custody(scrubber, audit)


@pytest.fixture
def store(tmp_path: Path, custody: Custody) -> SealedStore:
    keys = KeyKeeper(tmp_path / "state", custody=custody, preferred="file")
    path = tmp_path / "config" / "auth.conf"
    return SealedStore(path, state_dir=tmp_path / "state", keys=keys, custody=custody)


@pytest.fixture
async def record(tmp_path: Path, server: Server, store: SealedStore) -> Path:
    """Sign in at the scripted server; return the record, which tests make unsafe to write to."""
    await store.save(credential_at(server.url), expected=0)
    return tmp_path / "state" / "audit.jsonl"


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def close_to_us(path: Path) -> None:
    """Let others have access to the record, so that nothing is written there."""
    path.chmod(0o644)


def open_to_us(path: Path) -> None:
    path.chmod(0o600)


async def test_h_g3_where_nothing_can_be_recorded_nothing_is_sent(
    store: SealedStore, http: Http, custody: Custody, clock: Clock, server: Server, record: Path
) -> None:
    """H-G3: nor is the token marked as one that may be spent."""
    clock.now = EXPIRED
    close_to_us(record)
    async with TokenManager(
        store=store, http=http, custody=custody, clock=clock, uptime=clock.uptime
    ) as manager:
        with pytest.raises(UnsafeFile):
            await manager.get("default")
    assert server.received == []
    assert (await stored(store)).used_at is None


async def test_h_g3_new_tokens_are_saved_though_nothing_can_be_recorded(
    store: SealedStore,
    http: Http,
    custody: Custody,
    clock: Clock,
    server: Server,
    record: Path,
    told: list[str],
) -> None:
    """H-G3: the old ones are spent. It is told once, and recorded as soon as it can be."""
    gate = Gate(document(token_answer(1)))
    server.on(TOKEN, gate)
    clock.now = EXPIRED
    renewed = []
    manager = TokenManager(
        store=store, http=http, custody=custody, clock=clock, uptime=clock.uptime
    )
    async with manager, anyio.create_task_group() as tasks:

        async def get() -> None:
            renewed.append(await manager.get("default"))

        tasks.start_soon(get)
        await gate.reached()
        close_to_us(record)
        before = len(records(record))
        gate.opened.set()
    assert len(records(record)) == before
    assert len(told) == 1
    assert "what was done could not be recorded yet" in told[0]

    open_to_us(record)
    assert custody.audit is not None
    custody.audit.record("upkeep.run")
    events = [each["event"] for each in records(record)[before:]]
    assert events[0] == "audit.delayed"
    assert {"secret.revealed", "store.written", "token.refreshed"} == {*events[1:-1]}
    assert events[-1] == "upkeep.run"
    assert verify(record, KEY) == len(records(record))
    assert access_of(renewed[0]) == "access-made-up-1" == access_of(await stored(store))


async def test_a_record_that_another_process_keeps_locked_holds_up_no_event_loop(
    store: SealedStore, http: Http, custody: Custody, clock: Clock, server: Server, record: Path
) -> None:
    """The wait for it is in a thread, before the token is sent."""
    server.on(TOKEN, document(token_answer(1)))
    clock.now = EXPIRED
    manager = TokenManager(
        store=store, http=http, custody=custody, clock=clock, uptime=clock.uptime
    )
    async with manager, anyio.create_task_group() as tasks:
        lock = take_now(record.with_name("audit.jsonl.lock"))
        assert lock is not None
        tasks.start_soon(manager.get, "default")
        # Were it held up, this would go on only once the wait has failed.
        await anyio.wait_all_tasks_blocked()
        assert server.received == []
        release(lock)
    assert len(server.received) == 1
    assert access_of(await stored(store)) == "access-made-up-1"


async def test_h_g3_a_sign_out_that_cannot_be_recorded_removes_nothing(
    store: SealedStore, http: Http, custody: Custody, record: Path
) -> None:
    """H-G3."""
    found = await stored(store)
    close_to_us(record)
    with pytest.raises(UnsafeFile):
        await SignOut(store=store, http=http, custody=custody).run("default")
    assert await stored(store) == found
