"""What was noted is on the disk before a secret leaves, and one sync serves many tasks."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from guard import chain
from guard.actor import Actor
from guard.audit import AuditLog
from guard.custody import Custody
from guard.errors import AuditBroken
from guard.scrub import Scrubber
from guard.settling import Settling

if TYPE_CHECKING:
    from pathlib import Path

ACTOR = Actor(kind="human", agent=None, uid=1, pid=2, ppid=1, tty=None, command="twg api")


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows by one with each sync of a log."""
    syncs: list[int] = []
    sync = chain._sync

    def counted(log: int) -> None:
        syncs.append(log)
        sync(log)

    monkeypatch.setattr(chain, "_sync", counted)
    return syncs


def custody_at(tmp_path: Path, **options: Any) -> Custody:
    path = tmp_path / "state" / "audit.jsonl"
    return Custody(Scrubber(), AuditLog(path, key=lambda: bytes(32), actor=ACTOR, **options))


async def test_what_was_revealed_is_forced_to_the_disk_once(
    tmp_path: Path, synced: list[int]
) -> None:
    custody = custody_at(tmp_path)
    await custody.settle()
    assert synced == []
    custody.take("a-made-up-token", "access-token").reveal("send to https://example.com")
    await custody.settle()
    await custody.settle()
    assert len(synced) == 1


async def test_of_many_tasks_that_wait_few_have_it_done(tmp_path: Path, synced: list[int]) -> None:
    custody = custody_at(tmp_path)
    secret = custody.take("a-made-up-token", "access-token")

    async def send() -> None:
        secret.reveal("send to https://example.com")
        await custody.settle()

    async with anyio.create_task_group() as tasks:
        for _ in range(100):
            tasks.start_soon(send)
    assert 1 <= len(synced) <= 3


async def test_who_asks_while_a_sync_is_under_way_waits_for_the_next() -> None:
    """The one under way may have begun before what is to be synced was written."""
    began, go = threading.Semaphore(0), threading.Semaphore(0)
    syncs = []

    def sync() -> None:
        began.release()
        assert go.acquire(timeout=60)
        syncs.append("done")

    settling = Settling(sync)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(settling.settle)
        await anyio.to_thread.run_sync(began.acquire)
        second = anyio.Event()

        async def later() -> None:
            await settling.settle()
            assert syncs == ["done", "done"]
            second.set()

        tasks.start_soon(later)
        go.release()
        go.release()
        await second.wait()


async def test_who_is_cancelled_leaves_the_others_their_sync() -> None:
    began, go = threading.Semaphore(0), threading.Semaphore(0)

    def sync() -> None:
        began.release()
        assert go.acquire(timeout=60)

    settling = Settling(sync)
    async with anyio.create_task_group() as tasks:
        first = anyio.CancelScope()

        async def cancelled() -> None:
            with first:
                await settling.settle()

        tasks.start_soon(cancelled)
        await anyio.to_thread.run_sync(began.acquire)
        tasks.start_soon(settling.settle)
        first.cancel()
        go.release()
        go.release()


async def test_h_g3_what_cannot_be_forced_to_the_disk_is_not_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """H-G3: unless the settings say to go on with a warning."""

    def full(_log: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(chain, "_sync", full)
    custody = custody_at(tmp_path)
    custody.take("a-made-up-token", "access-token").reveal("send to https://example.com")
    with pytest.raises(AuditBroken, match="No space left on device"):
        await custody.settle()

    told: list[str] = []
    custody = custody_at(tmp_path, on_failure="warn", warn=told.append)
    custody.take("a-made-up-token", "access-token").reveal("send to https://example.com")
    await custody.settle()
    assert len(told) == 1
