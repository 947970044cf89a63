"""A sealing key on its way to another place: killed anywhere, in company, turned away."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import stat
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from guard.audit import load_or_create_key, verify
from guard.errors import FileUnwritable
from guard.files import replace_private
from tests.refresh.tracing import CALLS, REPOSITORY, calls, kill_at, strace
from tests.rigs.keyring_session import keyring_session
from tests.rigs.parts import search_path
from tests.rigs.programs import line_with, running
from tests.vault import mover
from tests.vault.mover import PLAYED, REAL, movable_store
from tests.vault.samples import (
    SECRETS,
    Ear,
    credential,
    custody_of,
    opened,
    provider,
    with_access,
)
from twg.errors import Busy, ConfigError, KeyUnavailable, StoreCorrupt, StoreUnwritable
from twg.vault import KeyLocation, moving
from twg.vault.moving import Journal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from anyio.abc import Process

    from tests.refresh.tracing import Call
    from twg.vault import KeyPlaceName, SealedStore


def conf(root: Path) -> Path:
    return root / "config" / "auth.conf"


def key_in(root: Path) -> KeyLocation:
    return KeyLocation(**json.loads(conf(root).read_text())["header"]["key"])


def keys_of(root: Path) -> list[str]:
    """Name every key of the store, in the key ring that is played by files and in the files."""
    found = [*(root / "ring").glob("auth-*.key"), *(root / "state").glob("auth-*.key")]
    return sorted(str(path.relative_to(root)) for path in found)


def marks_of(root: Path) -> list[str]:
    return [path.stem for path in (root / "state").glob("*.mark")]


def temporaries(root: Path) -> list[Path]:
    return [*(root / "config").glob(".*.tmp"), *(root / "state").glob(".*.tmp")]


def kept_under(root: Path) -> dict[Path, bytes]:
    """Return every file, save locks."""
    files = (path for path in root.rglob("*") if path.is_file() and path.suffix != ".lock")
    return {path: path.read_bytes() for path in files}


def of_test(root: Path, ear: Ear | None = None) -> SealedStore:
    return movable_store(root, custody_of(ear or Ear()))


async def filled(root: Path) -> SealedStore:
    """Return a store with two sign-ins and a provider, its key in a file."""
    store = of_test(root)
    await store.save(credential(), expected=0)
    await store.save(credential("beside"), expected=0)
    await store.save_provider(provider())
    return store


async def contents(root: Path) -> Any:
    store = of_test(root)
    return opened(await store.read_all()), opened(await store.providers())


def check_settled(root: Path, place: str) -> None:
    """Show that one key is there, in its place, with one mark, and nothing else of the move."""
    key = key_in(root)
    folder = {"keyring": "ring", "file": "state"}[place]
    assert (key.location, key.reason) == (place, None)
    assert keys_of(root) == [f"{folder}/{key.id}.key"]
    assert marks_of(root) == [key.id]
    assert not Journal(root / "state", "auth").path.exists()
    assert temporaries(root) == []


async def test_a_moved_key_is_a_new_one_and_the_old_one_is_gone(tmp_path: Path) -> None:
    store = await filled(tmp_path)
    before, was = await contents(tmp_path), key_in(tmp_path)
    old = (tmp_path / "state" / f"{was.id}.key").read_bytes()
    generation = (await store.summaries()).generation

    moved = await store.move_key("keyring")

    assert moved is not None
    assert (moved.before, moved.now, moved.left) == (was, key_in(tmp_path), ())
    check_settled(tmp_path, "keyring")
    assert (tmp_path / "ring" / f"{moved.now.id}.key").read_bytes() != old
    assert await contents(tmp_path) == before
    assert (await store.summaries()).generation == generation + 1
    assert stat.S_IMODE(conf(tmp_path).stat().st_mode) == 0o600

    assert await store.move_key("file")
    check_settled(tmp_path, "file")
    assert await contents(tmp_path) == before


async def test_a_key_that_is_there_already_stays_as_it_is(tmp_path: Path) -> None:
    ear = Ear()
    await filled(tmp_path)
    store, before = of_test(tmp_path, ear), conf(tmp_path).read_bytes()

    moved = await store.move_key("file")

    assert moved is not None
    assert moved.before == moved.now == key_in(tmp_path)
    assert conf(tmp_path).read_bytes() == before
    assert {event for event, _ in ear.records} == {"store.opened", "secret.revealed"}
    check_settled(tmp_path, "file")


async def test_without_a_store_there_is_no_key_to_move(tmp_path: Path) -> None:
    assert await of_test(tmp_path).move_key("keyring") is None
    assert keys_of(tmp_path) == []
    assert not conf(tmp_path).exists()


async def test_a_move_is_recorded_and_holds_no_secret(tmp_path: Path) -> None:
    await filled(tmp_path)
    old, ear = key_in(tmp_path), Ear()

    await of_test(tmp_path, ear).move_key("keyring")

    assert [facts["reason"] for facts in ear.events("key.moved")] == [
        "auth.conf: from a file to the key ring"
    ]
    assert [facts["reason"] for facts in ear.events("key.destroyed")] == [
        f"auth.conf: {old.id} in a file"
    ]
    assert [facts["reason"] for facts in ear.events("store.written")] == ["auth.conf"]
    everything = b"".join(kept_under(tmp_path).values())
    assert [secret for secret in SECRETS if secret.encode() in everything] == []


async def test_who_has_the_old_key_in_memory_reads_and_writes_on(tmp_path: Path) -> None:
    running_store = await filled(tmp_path)
    assert await running_store.read("default")

    await of_test(tmp_path).move_key("keyring")

    found = await running_store.read("default")
    assert found is not None
    await running_store.save(with_access(found, "after-the-move"), expected=found.generation)
    check_settled(tmp_path, "keyring")
    again = await of_test(tmp_path).read("default")
    assert again is not None
    assert again.tokens.access.reveal("compare in a test") == "after-the-move"


async def test_a_renewal_that_is_under_way_is_waited_for(tmp_path: Path) -> None:
    """It runs where the new place is out of reach, perhaps, and could not save what it gets."""
    await filled(tmp_path)
    hurried = movable_store(tmp_path, custody_of(Ear()), lock_seconds=0.5)
    before = conf(tmp_path).read_bytes()
    async with of_test(tmp_path).lease("beside"):
        with pytest.raises(Busy, match="the profile 'beside'"):
            await hurried.move_key("keyring")
    assert conf(tmp_path).read_bytes() == before

    await hurried.move_key("keyring")
    check_settled(tmp_path, "keyring")


async def test_a_reader_that_finds_the_old_key_gone_looks_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has read the file, and the key is moved before it asks for it."""
    await filled(tmp_path)
    reader = of_test(tmp_path)
    key_at = reader._file._key_at
    moved: list[KeyLocation] = []

    def after_the_move(location: KeyLocation) -> Any:
        if not moved:
            moved.append(location)
            asyncio.run(of_test(tmp_path).move_key("keyring"))
        return key_at(location)

    monkeypatch.setattr(reader._file, "_key_at", after_the_move)

    assert await reader.read("default")
    assert moved[0].location == "file"


async def test_an_older_file_put_back_is_noticed_after_a_move_too(tmp_path: Path) -> None:
    """The mark moves with the key; and the file from before the move does not open at all."""
    await filled(tmp_path)
    before = conf(tmp_path).read_bytes()
    store = of_test(tmp_path)
    await store.move_key("keyring")
    moved = conf(tmp_path).read_bytes()
    found = await store.read("default")
    assert found is not None
    await store.save(found, expected=found.generation)

    conf(tmp_path).write_bytes(moved)
    with pytest.raises(StoreCorrupt, match=r"an older .* was put back"):
        await of_test(tmp_path).read("default")
    conf(tmp_path).write_bytes(before)
    with pytest.raises(KeyUnavailable, match="is not there"):
        await of_test(tmp_path).read("default")


async def test_a_place_that_does_not_answer_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """H-E3: there is no key ring in this session."""
    await filled(tmp_path)
    before = kept_under(tmp_path)
    async with keyring_session("absent") as session:
        for name, value in session.env.items():
            monkeypatch.setenv(name, value)
        store = movable_store(tmp_path, custody_of(Ear()), REAL)
        with pytest.raises(ConfigError, match="cannot be moved to the key ring: there is no key"):
            await store.move_key("keyring")

    assert kept_under(tmp_path) == before


@pytest.mark.parametrize("prove", [1, 2])
async def test_a_file_that_is_not_proven_to_open_is_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prove: int
) -> None:
    """Before it is replaced, and when it is read from the disk."""
    await filled(tmp_path)
    before, contained, old = conf(tmp_path).read_bytes(), await contents(tmp_path), key_in(tmp_path)
    proofs: list[bytes] = []

    class Doubtful(moving.KeyMove):
        def _prove(self, data: bytes) -> None:
            proofs.append(data)
            super()._prove(data[:-9] + b"AAAAAA" + data[-3:] if len(proofs) == prove else data)

    monkeypatch.setattr("twg.vault.sealed_file.KeyMove", Doubtful)

    with pytest.raises(StoreCorrupt):
        await of_test(tmp_path).move_key("keyring")

    assert conf(tmp_path).read_bytes() == before
    assert key_in(tmp_path) == old
    check_settled(tmp_path, "file")
    assert await contents(tmp_path) == contained


async def test_a_file_that_can_neither_be_replaced_for_sure_nor_put_back_keeps_both_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """H-D1: what the disk will hold is not known, so neither key may go yet."""
    await filled(tmp_path)
    replace, broken = replace_private, True

    def replaced_for_now(path: Path, data: bytes) -> None:
        if path == conf(tmp_path) and broken:
            if len(keys_of(tmp_path)) == 2 and b'"location":"keyring"' in data:
                replace(path, data)
            raise FileUnwritable(path, "Input/output error")
        replace(path, data)

    monkeypatch.setattr(moving, "replace_private", replaced_for_now)
    with pytest.raises(StoreUnwritable, match="Input/output error"):
        await of_test(tmp_path).move_key("keyring")
    assert len(keys_of(tmp_path)) == 2

    broken = False
    await of_test(tmp_path).settle_keys()
    check_settled(tmp_path, "keyring")


async def test_a_key_that_cannot_be_destroyed_yet_is_told_and_goes_with_the_next_move(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await filled(tmp_path)
    old, before = key_in(tmp_path), conf(tmp_path).read_bytes()
    with monkeypatch.context() as patch:

        async def silent(_keeper: object, _location: KeyLocation) -> None:
            raise KeyUnavailable("hanging", "the key ring did not answer within 8 seconds")

        patch.setattr("twg.vault.keys.KeyKeeper.destroy", silent)
        moved = await store.move_key("keyring")
    assert moved is not None
    assert moved.left == (old,)
    assert await store.unsettled_keys() == (old,)
    [problem] = (await store.describe()).problems
    assert "`twg doctor --fix` destroys it" in problem

    after = conf(tmp_path).read_bytes()
    conf(tmp_path).write_bytes(before)
    with pytest.raises(StoreCorrupt, match=r"an older .* was put back"):
        await of_test(tmp_path).read("default")
    conf(tmp_path).write_bytes(after)

    assert await of_test(tmp_path).move_key("keyring")
    check_settled(tmp_path, "keyring")
    assert (await store.describe()).problems == ()


@pytest.mark.parametrize(
    "journal",
    [
        b"",
        b"{}\n",
        b'{"keys":["auth"]}\n',
        b'{"keys":[{"id":"admin-0123456789abcdef","location":"file","reason":null}]}\n',
        b'{"keys":[{"id":"auth-../../0123456789","location":"file","reason":null}]}\n',
    ],
)
async def test_a_changed_journal_destroys_nothing(tmp_path: Path, journal: bytes) -> None:
    await filled(tmp_path)
    path = Journal(tmp_path / "state", "auth").path
    path.touch(mode=0o600)
    path.write_bytes(journal)
    other = tmp_path / "state" / "admin-0123456789abcdef.key"
    other.write_bytes(b"another file's")

    with pytest.raises(StoreCorrupt, match="was changed"):
        await of_test(tmp_path).move_key("keyring")

    assert other.exists()
    assert await contents(tmp_path)
    assert any("auth.moving" in one for one in (await of_test(tmp_path).describe()).problems)


@dataclass
class Movers:
    """A process that forks others, which move keys."""

    process: Process

    async def ready(self, root: Path, place: str, ring: str) -> int:
        """Have a child ready to move the key at `root`; return its process id."""
        await self.tell(f"{root} {place} {ring}")
        return int((await line_with(self.process, "ready")).split()[1])

    async def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        await self.process.stdin.send(f"{line}\n".encode())

    async def ended(self) -> int:
        return int((await line_with(self.process, "ended")).split()[-1])

    async def moved(self, root: Path, place: str, ring: str) -> int:
        await self.ready(root, place, ring)
        await self.tell("go")
        return await self.ended()

    async def killed_at(
        self, number: int, root: Path, place: str, ring: str, *, every: bool = False
    ) -> int:
        """Move, and be killed before that system call of those that count; return the status."""
        async with kill_at(await self.ready(root, place, ring), number, every=every):
            await self.tell("go")
            return await self.ended()


@asynccontextmanager
async def movers(**more: str) -> AsyncIterator[Movers]:
    env: Mapping[str, str] = {"PATH": search_path(), "PYTHONPATH": str(REPOSITORY), **more}
    async with running([sys.executable, "-m", mover.__name__], dict(env)) as process:
        await line_with(process, "warm")
        yield Movers(process)


def check_recorded(root: Path) -> None:
    """Show that the audit record is whole."""
    state = root / "state"
    verify(state / "audit.jsonl", load_or_create_key(state / "audit.key"))


@pytest.mark.slow
async def test_a_move_killed_at_any_system_call_loses_nothing_and_leaves_no_key(
    tmp_path: Path,
) -> None:
    """H-D2: the store opens right away, and the next move leaves one key, in the new place."""
    beginning = tmp_path / "beginning"
    await filled(beginning)
    await mover.move(beginning, "keyring")
    place: KeyPlaceName = "file"
    before = await contents(beginning)
    outcomes: set[str] = set()
    async with movers() as company:
        looked = tmp_path / "looked"
        shutil.copytree(beginning, looked)
        process = await company.ready(looked, place, PLAYED)
        async with strace(process, tmp_path / "trace", "-e", f"trace={CALLS}"):
            await company.tell("go")
            assert await company.ended() == 0
        steps = [step for step in calls(tmp_path / "trace", looked) if is_of_the_move(step)]
        assert len(steps) > 30
        for step in steps:
            root = tmp_path / f"killed-{step.place}"
            shutil.copytree(beginning, root)
            status = await company.killed_at(step.place, root, place, PLAYED)
            assert status == -signal.SIGKILL, step
            assert await contents(root) == before, step
            outcomes.add(key_in(root).location)
            assert set(keys_of(root)) <= noted_or_used(root), step
            # As another process does in between: nothing of it disturbs.
            known = await of_test(root).read("beside")
            assert known is not None
            await of_test(root).save(known, expected=known.generation)

            await mover.move(root, place)

            check_settled(root, place)
            assert opened(await of_test(root).providers()) == before[1]
            check_recorded(root)
            shutil.rmtree(root)
    assert outcomes == {"keyring", "file"}


def is_of_the_move(step: Call) -> bool:
    """Tell whether a call changes something; the record and locks have tests of their own."""
    return step.changes and "audit" not in step.what and "flock" not in step.what


def noted_or_used(root: Path) -> set[str]:
    """Name the keys of the store that somebody knows of: the file, or the journal of a move."""
    known = [key_in(root), *Journal(root / "state", "auth").read()]
    return {f"{folder}/{one.id}.key" for one in known for folder in ("ring", "state")}


@pytest.mark.slow
@pytest.mark.parametrize("place", ["keyring", "file"])
async def test_a_move_at_a_real_key_ring_killed_now_and_then_leaves_no_key_in_it(
    tmp_path: Path, place: KeyPlaceName
) -> None:
    """H-D2, H-E3: every so many system calls, those to the key ring among them."""
    async with (
        keyring_session("unlocked") as session,
        movers(**session.env) as company,
    ):
        await filled(tmp_path)
        before = None
        with pytest.MonkeyPatch.context() as patch:
            for name, value in session.env.items():
                patch.setenv(name, value)
            for number in range(5, 2000, 61):
                other: KeyPlaceName = "file" if place == "keyring" else "keyring"
                await mover.move(tmp_path, other, REAL)
                store = movable_store(tmp_path, custody_of(Ear()), REAL)
                before = before or opened(await store.read_all())
                status = await company.killed_at(number, tmp_path, place, REAL, every=True)
                again = movable_store(tmp_path, custody_of(Ear()), REAL)
                assert opened(await again.read_all()) == before
                await mover.move(tmp_path, place, REAL)
                key = key_in(tmp_path)
                kept = {one.attributes.get("username") for one in await session.secrets()}
                files = {path.stem for path in (tmp_path / "state").glob("auth-*.key")}
                assert {name for name in kept if name} | files == {key.id}
                assert bool(files) == (place == "file")
                if status == 0:
                    break
        assert status == 0
    check_recorded(tmp_path)


@pytest.mark.slow
async def test_processes_that_save_while_the_key_moves_to_and_fro_lose_nothing(
    tmp_path: Path,
) -> None:
    await filled(tmp_path)
    rounds = 12
    done = anyio.Event()

    async def save(profile: str) -> None:
        store = of_test(tmp_path)
        for number in range(rounds):
            known = await store.read(profile)
            made = with_access(credential(profile), f"{profile}-{number}")
            await store.save(made, expected=known.generation if known else 0)

    async def look() -> None:
        while not done.is_set():
            assert await of_test(tmp_path).read("default")

    async with movers() as company, anyio.create_task_group() as watching:
        watching.start_soon(look)
        async with anyio.create_task_group() as tasks:
            for number in range(3):
                tasks.start_soon(save, f"saved-{number}")
            for _ in range(4):
                assert await company.moved(tmp_path, "keyring", PLAYED) == 0
                assert await company.moved(tmp_path, "file", PLAYED) == 0
        done.set()

    found = {
        each.profile: each.tokens.access.reveal("compare in a test")
        for each in await of_test(tmp_path).read_all()
    }
    for number in range(3):
        assert found[f"saved-{number}"] == f"saved-{number}-{rounds - 1}"
    check_settled(tmp_path, "file")
