"""A store whose key ring takes its time: it asks at a desktop, or hangs (H-E3)."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import anyio
import pytest
from anyio import to_thread

from tests.vault.samples import Ear, credential, custody_of, opened
from twg.errors import KeyUnavailable
from twg.vault import KeyKeeper, SealedStore
from twg.vault.locks import ProcessLock

if TYPE_CHECKING:
    from pathlib import Path


class Ring:
    """A key ring that answers only while `answers` is set."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.answers = threading.Event()
        self.answers.set()
        self.questions = 0
        self._entries: dict[str, str] = {}

    def get_password(self, _service: str, name: str) -> str | None:
        self._wait()
        return self._entries.get(name)

    def set_password(self, _service: str, name: str, value: str) -> None:
        self._wait()
        self._entries[name] = value

    def _wait(self) -> None:
        self.questions += 1
        self.asked.set()
        assert self.answers.wait(60)

    def fall_silent(self) -> None:
        self.answers.clear()
        self.asked.clear()
        self.questions = 0


@pytest.fixture
def ring(monkeypatch: pytest.MonkeyPatch) -> Ring:
    made = Ring()
    monkeypatch.setattr("twg.vault.keys._backend", lambda: made)
    return made


def store_with_ring(root: Path, *, seconds: float) -> SealedStore:
    custody = custody_of(Ear())
    return SealedStore(
        root / "config" / "auth.conf",
        state_dir=root / "state",
        keys=KeyKeeper(
            root / "state", custody=custody, preferred="keyring", keyring_seconds=seconds
        ),
        custody=custody,
    )


async def test_one_that_answers_slowly_is_waited_for_and_asked_once_for_all(
    tmp_path: Path, ring: Ring
) -> None:
    """H-E3."""
    saved = await store_with_ring(tmp_path, seconds=60).save(credential(), expected=0)
    ring.fall_silent()
    store = store_with_ring(tmp_path, seconds=60)
    found: list[object] = []

    async def read() -> None:
        found.append(opened(await store.read("default")))

    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(read)
        await to_thread.run_sync(ring.asked.wait)
        ring.answers.set()

    assert found == [opened(saved)] * 20
    assert ring.questions == 1


async def test_one_that_asks_at_a_desktop_where_nobody_is_has_a_limit_and_loses_nothing(
    tmp_path: Path, ring: Ring
) -> None:
    """H-E3: and once somebody is there, all is as before."""
    saved = await store_with_ring(tmp_path, seconds=60).save(credential(), expected=0)
    before = (tmp_path / "config" / "auth.conf").read_bytes()
    ring.fall_silent()
    store = store_with_ring(tmp_path, seconds=0.2)

    for attempt in (
        lambda: store.read("default"),
        lambda: store.save(credential("new"), expected=0),
        store.set_aside,
    ):
        with pytest.raises(KeyUnavailable, match=r"within 0\.2 seconds") as caught:
            await attempt()
        assert caught.value.why == "hanging"
        assert "desktop" in caught.value.remediation
    assert (await store.summaries()).profiles.keys() == {"default"}
    assert (tmp_path / "config" / "auth.conf").read_bytes() == before

    ring.answers.set()
    later = store_with_ring(tmp_path, seconds=60)
    assert opened(await later.read("default")) == opened(saved)


async def test_who_gives_up_on_one_that_hangs_leaves_at_once_and_the_next_one_is_served(
    tmp_path: Path, ring: Ring
) -> None:
    """H-E3: Ctrl-C while it hangs."""
    saved = await store_with_ring(tmp_path, seconds=60).save(credential(), expected=0)
    ring.fall_silent()
    store = store_with_ring(tmp_path, seconds=60)
    reading = asyncio.create_task(store.read("default"))
    await to_thread.run_sync(ring.asked.wait)

    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading

    (asking,) = [each for each in threading.enumerate() if each.name == "twg store, reading"]
    assert asking.daemon, "the interpreter's end does not wait for it"
    ring.answers.set()
    assert opened(await store.read("default")) == opened(saved)


async def test_who_waits_for_one_keeps_no_other_process_from_the_store(
    tmp_path: Path, ring: Ring
) -> None:
    """H-E3."""
    await store_with_ring(tmp_path, seconds=60).save(credential(), expected=0)
    ring.fall_silent()
    store = store_with_ring(tmp_path, seconds=60)
    lock = ProcessLock(state_dir=tmp_path / "state", name="auth", what="it", seconds=0)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: store.save(credential("new"), expected=0))
        await to_thread.run_sync(ring.asked.wait)
        async with lock.held():
            ring.answers.set()

    assert [each.profile for each in await store.read_all()] == ["default", "new"]
