"""Many changes of the sealed file at one moment: written together, and each for itself."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import anyio
import pytest
from anyio import to_thread

from guard.errors import FileUnwritable
from guard.files import replace_private
from tests.vault.samples import Ear, credential, opened, store_at, with_access
from twg.errors import StoreConflict, StoreUnwritable, TwgError
from twg.vault import Credential
from twg.vault.locks import ProcessLock

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from twg.vault import SealedStore

Ends = dict[str, Credential | TwgError]


async def save_at_once(store: SealedStore, root: Path, profiles: Iterable[str]) -> Ends:
    """Save all while another one has the store's lock; return what came of each."""
    ends: Ends = {}

    async def save(profile: str) -> None:
        made = with_access(credential(profile), f"token-of-{profile}")
        try:
            ends[profile] = await store.save(made, expected=0)
        except TwgError as error:
            ends[profile] = error

    async with anyio.create_task_group() as tasks, lock_of(root).held():
        for profile in profiles:
            tasks.start_soon(save, profile)
        await anyio.wait_all_tasks_blocked()
        assert not ends
    return ends


def lock_of(root: Path) -> ProcessLock:
    (root / "state").mkdir(mode=0o700, exist_ok=True)
    return ProcessLock(state_dir=root / "state", name="auth", what="it", seconds=30)


async def test_many_saves_at_once_are_a_write_or_two(
    store: SealedStore, tmp_path: Path, ear: Ear
) -> None:
    ends = await save_at_once(store, tmp_path, [f"profile-{number}" for number in range(100)])

    # The thread may have set out with the first of them; the others it found when it came back.
    assert len(ear.events("store.written")) <= 2
    found = {each.profile: opened(each) for each in await store_at(tmp_path).read_all()}
    assert found == {profile: opened(end) for profile, end in ends.items()}
    assert (await store_at(tmp_path).summaries()).generation == 100
    assert len(list((tmp_path / "state").glob("*.key"))) == 1


async def test_one_that_conflicts_fails_alone(store: SealedStore, tmp_path: Path) -> None:
    there = await store.save(credential("there"), expected=0)

    ends = await save_at_once(store, tmp_path, ["a", "b", "there", "c", "d"])

    assert isinstance(ends.pop("there"), StoreConflict)
    found = {each.profile: opened(each) for each in await store_at(tmp_path).read_all()}
    assert found.pop("there") == opened(there)
    assert found == {profile: opened(end) for profile, end in ends.items()}


async def test_one_that_breaks_off_in_the_middle_has_changed_nothing(
    store: SealedStore, tmp_path: Path, ear: Ear
) -> None:
    """Such as when the audit record refuses to note that its secrets are used."""
    await store.save(credential("there"), expected=0)
    broken = credential("broken", refused=object())

    with pytest.raises(TypeError, match="does not belong in a record"):
        await store.save(broken, expected=0)

    assert len(ear.events("store.written")) == 1
    saved = await store.save(credential("next"), expected=0)
    assert saved.generation == 2
    assert [each.profile for each in await store_at(tmp_path).read_all()] == ["next", "there"]


async def test_if_the_file_cannot_be_replaced_all_fail_and_the_old_one_stands(
    store: SealedStore, tmp_path: Path
) -> None:
    """H-D3."""
    there = await store.save(credential("there"), expected=0)
    before = (tmp_path / "config" / "auth.conf").read_bytes()

    def refuse(path: Path, _data: bytes) -> None:
        raise FileUnwritable(path, "No space left on device")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("twg.vault.sealed_file.replace_private", refuse)
        ends = await save_at_once(store, tmp_path, ["a", "b", "c"])

    assert [type(end) for end in ends.values()] == [StoreUnwritable] * 3
    assert (tmp_path / "config" / "auth.conf").read_bytes() == before
    for each in (store, store_at(tmp_path)):
        assert [opened(found) for found in await each.read_all()] == [opened(there)]
    assert (await store.save(credential("a"), expected=0)).generation == 2


async def test_nobody_is_refused_for_a_change_that_cannot_be_written_after_all(
    store: SealedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two save the same profile for the first time, in one round."""
    await store.save(credential("there"), expected=0)
    gate = Gate()
    ends: list[TwgError] = []

    def refuse(path: Path, data: bytes) -> None:
        if not gate.go.is_set():
            gate.replace(path, data)
        else:
            raise FileUnwritable(path, "No space left on device")

    async def save(profile: str) -> None:
        try:
            await store.save(credential(profile), expected=0)
        except TwgError as error:
            ends.append(error)

    monkeypatch.setattr("twg.vault.sealed_file.replace_private", refuse)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(save, "first")
        await to_thread.run_sync(gate.reached.wait)
        tasks.start_soon(save, "same")
        tasks.start_soon(save, "same")
        await anyio.wait_all_tasks_blocked()
        gate.go.set()

    assert [type(end) for end in ends] == [StoreUnwritable] * 2


async def test_none_is_answered_before_the_file_is_durable(
    store: SealedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.save(credential("there"), expected=0)
    gate = Gate()
    monkeypatch.setattr("twg.vault.sealed_file.replace_private", gate.replace)
    saved: list[Credential] = []

    async def save() -> None:
        saved.append(await store.save(credential(), expected=0))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(save)
        await to_thread.run_sync(gate.reached.wait)
        await anyio.wait_all_tasks_blocked()
        assert not saved
        assert store.peek("default") is None
        assert await store.read("default") is None
        gate.go.set()

    assert store.peek("default") is saved[0]


async def test_cancelled_in_the_queue_one_leaves_and_the_others_are_saved(
    store: SealedStore, tmp_path: Path
) -> None:
    scope = anyio.CancelScope()

    async def leave() -> None:
        with scope:
            await store.save(credential("leaves"), expected=0)

    async with anyio.create_task_group() as tasks, lock_of(tmp_path).held():
        tasks.start_soon(lambda: store.save(credential("a"), expected=0))
        tasks.start_soon(leave)
        tasks.start_soon(lambda: store.save(credential("b"), expected=0))
        await anyio.wait_all_tasks_blocked()
        scope.cancel()
        await anyio.wait_all_tasks_blocked()

    assert [each.profile for each in await store_at(tmp_path).read_all()] == ["a", "b"]


async def test_once_begun_a_save_is_finished_though_its_task_is_cancelled(
    store: SealedStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """H-D7."""
    gate = Gate()
    monkeypatch.setattr("twg.vault.sealed_file.replace_private", gate.replace)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: store.save(credential(), expected=0))
        await to_thread.run_sync(gate.reached.wait)
        tasks.cancel_scope.cancel()
    gate.go.set()

    async with lock_of(tmp_path).held():
        assert await store_at(tmp_path).read("default") is not None


async def test_when_all_have_left_the_lock_is_waited_for_no_more(
    store: SealedStore, tmp_path: Path
) -> None:
    async with lock_of(tmp_path).held():
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: store.save(credential(), expected=0))
            await anyio.wait_all_tasks_blocked()
            (writer,) = [each for each in threading.enumerate() if "twg store" in each.name]
            tasks.cancel_scope.cancel()
        await to_thread.run_sync(writer.join, 20)
        assert not writer.is_alive()


async def test_many_proofs_at_once_are_one_or_two(
    store: SealedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.save(credential(), expected=0)
    gate = Gate()
    proven: list[int] = []

    def prove(_path: Path, size: int) -> None:
        gate.wait()
        proven.append(size)

    monkeypatch.setattr("twg.vault.sealed_file.prove_replaceable", prove)
    async with anyio.create_task_group() as tasks:
        for _ in range(100):
            tasks.start_soon(store.prove_replaceable)
        await to_thread.run_sync(gate.reached.wait)
        await anyio.wait_all_tasks_blocked()
        gate.go.set()

    assert len(proven) <= 2
    assert min(proven) > 64 * 1024


async def test_many_readers_of_a_file_that_changed_open_it_once_or_twice(
    store: SealedStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.save(credential(), expected=0)
    ear = Ear()
    reader = store_at(tmp_path, ear=ear)
    gate = Gate()
    read = reader._file._bytes

    def slowly() -> bytes | None:
        gate.wait()
        return read()

    monkeypatch.setattr(reader._file, "_bytes", slowly)
    async with anyio.create_task_group() as tasks:
        for _ in range(100):
            tasks.start_soon(reader.read, "default")
        await to_thread.run_sync(gate.reached.wait)
        await anyio.wait_all_tasks_blocked()
        gate.go.set()

    assert len(ear.events("store.opened")) == 1


class Gate:
    """Stops a thread where the test wants to look around."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.go = threading.Event()

    def wait(self) -> None:
        self.reached.set()
        assert self.go.wait(30)

    def replace(self, path: Path, data: bytes) -> None:
        self.wait()
        replace_private(path, data)
