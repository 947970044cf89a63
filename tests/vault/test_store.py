"""`SealedStore`: what it keeps, what it refuses, what it says."""

from __future__ import annotations

import base64
import contextlib
import os
import signal
import socket
import stat
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from guard.errors import FileUnwritable
from guard.files import replace_private
from tests.vault.samples import (
    SECRETS,
    Ear,
    credential,
    custody_of,
    opened,
    provider,
    store_at,
    with_access,
)
from twg.errors import (
    AuthRequired,
    Busy,
    ConfigError,
    KeyUnavailable,
    StoreCorrupt,
    StoreUnwritable,
)
from twg.vault import Header, KeyKeeper, SealedStore
from twg.vault.locks import ProcessLock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def conf(root: Path) -> Path:
    return root / "config" / "auth.conf"


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def names_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def everything_under(root: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


async def test_constructing_and_looking_touches_nothing(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    assert await store.summaries() == Header()
    assert await store.read("default") is None
    assert await store.read_all() == ()
    assert await store.provider("acme") is None
    assert await store.providers() == ()
    assert await store.key_location() is None
    assert await store.remove("default", expected=None) is False
    assert await store.remove_provider("acme") is False
    assert await store.set_aside() is None
    with pytest.raises(AuthRequired):
        await store.activate("default")
    assert (await store.describe()).problems == ()
    assert names_in(tmp_path) == []


async def test_files_are_private_whatever_the_umask(store: SealedStore, tmp_path: Path) -> None:
    """H-E2: umask 000."""
    before = os.umask(0)
    try:
        await store.save(credential(), expected=0)
    finally:
        os.umask(before)
    assert {mode_of(path) for path in everything_under(tmp_path)} == {0o600}
    assert {path.suffix for path in everything_under(tmp_path)} == {
        ".conf",
        ".key",
        ".lock",
        ".mark",
    }
    for directory in ("config", "state", "state/locks"):
        assert mode_of(tmp_path / directory) == 0o700


async def test_no_secret_stands_in_any_file(store: SealedStore, tmp_path: Path) -> None:
    await store.save(credential(), expected=0)
    await store.save_provider(provider())
    written = everything_under(tmp_path)
    assert len(written) == 4
    for secret in SECRETS:
        raw = secret.encode()
        shapes = [raw, raw.hex().encode(), raw.hex().upper().encode()]
        for offset in range(3):
            # The characters that depend on neighbours are cut off on both sides.
            encoded = base64.b64encode(b"\0" * offset + raw)[4:-4]
            shapes += [encoded, encoded.translate(bytes.maketrans(b"+/", b"-_"))]
        for path, data in written.items():
            assert not [shape for shape in shapes if shape in data], path


async def test_summaries_need_no_key_and_take_in_no_secret(
    store: SealedStore, tmp_path: Path
) -> None:
    saved = await store.save(credential(), expected=0)
    await store.save_provider(provider())
    for key in (tmp_path / "state").glob("*.key"):
        key.unlink()
    ear = Ear()

    header = await store_at(tmp_path, ear=ear).summaries()

    assert header.active == "default"
    assert header.profiles == {"default": saved.summary}
    assert header.providers == {"acme": provider().summary}
    assert header.key == await store.key_location()
    assert header.key is not None
    assert (header.key.location, header.key.reason) == ("file", None)
    assert header.generation == 2
    assert ear.learnt == {}
    assert ear.records == []


async def test_openings_writes_and_reveals_are_noted(
    store: SealedStore, tmp_path: Path, ear: Ear
) -> None:
    await store.save(credential(), expected=0)
    assert [facts["reason"] for facts in ear.events("store.written")] == ["auth.conf"]
    assert ear.events("store.opened") == []
    other = store_at(tmp_path, ear=ear)
    for _ in range(2):
        await other.read("default")
    assert len(ear.events("store.opened")) == 1, "the second look opens nothing"
    assert len(ear.events("store.written")) == 1
    reasons = {facts["reason"] for facts in ear.events("secret.revealed")}
    assert reasons == {"keep in a file", "seal or open the store"}


async def test_writing_one_credential_reveals_no_other(tmp_path: Path) -> None:
    await store_at(tmp_path).save(credential("first"), expected=0)
    ear = Ear()
    await store_at(tmp_path, ear=ear).save(credential("second"), expected=0)
    assert set(ear.learnt.values()) == {"sealing-key"}


async def test_the_first_profile_is_the_active_one_until_another_is_chosen(
    store: SealedStore,
) -> None:
    await store.save(credential("b"), expected=0)
    await store.save(credential("a"), expected=0)
    assert (await store.summaries()).active == "b"
    await store.activate("a")
    assert (await store.summaries()).active == "a"
    with pytest.raises(AuthRequired, match="'nobody'"):
        await store.activate("nobody")
    assert [each.profile for each in await store.read_all()] == ["a", "b"]


async def test_after_a_removal_only_a_sole_profile_becomes_active_by_itself(
    store: SealedStore,
) -> None:
    for profile in ("a", "b", "c"):
        await store.save(credential(profile), expected=0)
    await store.remove("a", expected=None)
    assert (await store.summaries()).active is None
    await store.activate("b")
    await store.remove("b", expected=None)
    assert (await store.summaries()).active == "c"
    await store.remove("c", expected=None)
    assert (await store.summaries()).active is None


async def test_activating_the_active_one_writes_nothing(store: SealedStore, tmp_path: Path) -> None:
    await store.save(credential(), expected=0)
    before = conf(tmp_path).stat().st_ino
    await store.activate("default")
    assert conf(tmp_path).stat().st_ino == before


async def test_providers_are_kept_with_their_secret(store: SealedStore, tmp_path: Path) -> None:
    await store.save_provider(provider(name="b"))
    await store.save_provider(provider(name="a"))
    await store.save_provider(replace(provider(name="b"), client_id="client-2"))
    other = store_at(tmp_path)
    assert [each.name for each in await other.providers()] == ["a", "b"]
    assert opened(await other.provider("a")) == opened(provider(name="a"))
    assert opened(await other.provider("b"))["client_id"] == "client-2"
    assert await other.remove_provider("a") is True
    assert await other.remove_provider("a") is False
    assert await store.provider("a") is None


async def test_endpoints_are_pinned_whatever_becomes_of_the_provider(store: SealedStore) -> None:
    saved = await store.save(credential(), expected=0)
    await store.save_provider(replace(provider(), api_base="https://evil.example.net"))
    found = await store.read("default")
    assert found is not None
    assert found.hosts == saved.hosts
    assert "https://evil.example.net:443" not in found.hosts


@pytest.mark.parametrize("damage", [b"", b"{}", b"not json", b"\xff" * 20])
async def test_a_corrupt_file_is_kept_and_nothing_writes_over_it(
    store: SealedStore, tmp_path: Path, damage: bytes
) -> None:
    """H-E1."""
    await store.save(credential(), expected=0)
    conf(tmp_path).write_bytes(damage)
    before = everything_under(tmp_path)
    attempts: list[Callable[[], Any]] = [
        store.summaries,
        store.read_all,
        store_at(tmp_path).read_all,
        lambda: store.save(credential("new"), expected=None),
        lambda: store_at(tmp_path).save(credential("new"), expected=0),
        lambda: store.remove("default", expected=None),
        lambda: store.save_provider(provider()),
    ]
    for attempt in attempts:
        with pytest.raises(StoreCorrupt):
            await attempt()
    assert everything_under(tmp_path) == before


async def test_truncated_or_flipped_on_disk_the_file_stays_untouched(
    store: SealedStore, tmp_path: Path
) -> None:
    """H-E1: the same at every 20th byte, through the store and the file system."""
    await store.save(credential(), expected=0)
    sound = conf(tmp_path).read_bytes()
    places = range(0, len(sound), 20)
    flipped = [sound[:at] + bytes([sound[at] ^ 1]) + sound[at + 1 :] for at in places]
    for damaged in [sound[:at] for at in places] + flipped:
        conf(tmp_path).write_bytes(damaged)
        with pytest.raises(StoreCorrupt):
            await store.read("default")
        assert conf(tmp_path).read_bytes() == damaged
    conf(tmp_path).write_bytes(sound)
    assert await store.read("default") is not None


async def test_a_newer_format_is_refused_and_not_damaged(
    store: SealedStore, tmp_path: Path
) -> None:
    """H-E4."""
    await store.save(credential(), expected=0)
    newer = conf(tmp_path).read_bytes().replace(b'"format":1', b'"format":2')
    conf(tmp_path).write_bytes(newer)
    for attempt in (store.summaries, store.read_all, store.set_aside):
        with pytest.raises(StoreCorrupt, match="newer twg"):
            await attempt()
    with pytest.raises(StoreCorrupt, match="newer twg"):
        await store.save(credential(), expected=None)
    assert everything_under(tmp_path / "config") == {conf(tmp_path): newer}


async def test_a_corrupt_file_is_set_aside_only_when_asked(
    store: SealedStore, tmp_path: Path
) -> None:
    """H-E1."""
    await store.save(credential(), expected=0)
    assert await store.set_aside() is None
    damaged = conf(tmp_path).read_bytes()[:-9]
    conf(tmp_path).write_bytes(damaged)

    moved = await store.set_aside()

    assert moved is not None
    assert moved.name.startswith("auth.conf.corrupt-2")
    assert moved.read_bytes() == damaged
    assert mode_of(moved) == 0o600
    assert not conf(tmp_path).exists()
    saved = await store.save(credential(), expected=0)
    assert opened(await store_at(tmp_path).read("default")) == opened(saved)
    assert moved.read_bytes() == damaged


async def test_a_file_that_came_good_meanwhile_is_not_set_aside(
    store: SealedStore, tmp_path: Path
) -> None:
    """H-E1."""
    await store.save(credential(), expected=0)
    sound = conf(tmp_path).read_bytes()
    conf(tmp_path).write_bytes(sound[:-9])
    lock = ProcessLock(state_dir=tmp_path / "state", name="auth", what="it", seconds=5)
    moved: list[Path | None] = []

    async def set_aside() -> None:
        moved.append(await store.set_aside())

    async with anyio.create_task_group() as tasks, lock.held():
        tasks.start_soon(set_aside)
        # Judged and found corrupt: from here on it waits for the lock.
        while store._file._known is not None:  # noqa: ASYNC110 - it has no event to wait for
            await anyio.sleep(0.001)
        conf(tmp_path).write_bytes(sound)
    assert moved == [None]
    assert conf(tmp_path).read_bytes() == sound


async def test_an_older_file_put_back_is_noticed(store: SealedStore, tmp_path: Path) -> None:
    """H-E1."""
    first = await store.save(credential(), expected=0)
    older = conf(tmp_path).read_bytes()
    await store.save(with_access(first, "newer"), expected=first.generation)
    conf(tmp_path).write_bytes(older)

    for each in (store, store_at(tmp_path)):
        with pytest.raises(StoreCorrupt, match=r"an older .* was put back") as caught:
            await each.read("default")
        assert "remove" in caught.value.remediation
        with pytest.raises(StoreCorrupt, match="was put back"):
            await each.save(credential(), expected=None)
    assert conf(tmp_path).read_bytes() == older


async def test_a_crash_between_file_and_mark_is_no_rollback(
    store: SealedStore, tmp_path: Path
) -> None:
    first = await store.save(credential(), expected=0)
    mark = next((tmp_path / "state").glob("*.mark"))
    older_mark = mark.read_bytes()
    second = await store.save(first, expected=first.generation)

    mark.write_bytes(older_mark)
    assert opened(await store_at(tmp_path).read("default")) == opened(second)
    mark.unlink()
    assert opened(await store_at(tmp_path).read("default")) == opened(second)
    assert [problem for problem in (await store.describe()).problems if "is missing" in problem]
    await store.save(second, expected=second.generation)
    assert mark.exists()


@pytest.mark.parametrize(
    "changed",
    [
        b"{}",
        b"",
        b"[" * 4000,
        b'{"generation":"2"}',
        b'{"generation":0,"key":"auth-0123456789abcdef","mac":""}\n',
    ],
)
async def test_a_forged_mark_is_noticed(store: SealedStore, tmp_path: Path, changed: bytes) -> None:
    """H-E1: the mark tells an older file that was put back."""
    await store.save(credential(), expected=0)
    mark = next((tmp_path / "state").glob("*.mark"))
    mark.write_bytes(changed)
    with pytest.raises(StoreCorrupt, match="was changed") as caught:
        await store_at(tmp_path).read("default")
    assert str(mark) in caught.value.remediation


async def test_a_mark_with_another_generation_does_not_verify(
    store: SealedStore, tmp_path: Path
) -> None:
    first = await store.save(credential(), expected=0)
    await store.save(first, expected=None)
    mark = next((tmp_path / "state").glob("*.mark"))
    mark.write_bytes(mark.read_bytes().replace(b'"generation":2', b'"generation":1'))
    with pytest.raises(StoreCorrupt, match="was changed"):
        await store_at(tmp_path).read("default")


async def test_readers_beside_a_busy_writer_see_no_false_rollback(tmp_path: Path) -> None:
    await store_at(tmp_path).save(credential(), expected=0)
    generations: list[int] = []

    async def write() -> None:
        for _ in range(30):
            await store_at(tmp_path).save(credential(), expected=None)
        tasks.cancel_scope.cancel()

    async def read() -> None:
        store = store_at(tmp_path)
        while True:
            found = await store.read("default")
            assert found is not None
            generations.append(found.generation)

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(read)
        tasks.start_soon(write)
    assert generations


def as_link(path: Path) -> None:
    path.rename(path.with_name("real"))
    path.symlink_to("real")


def as_dangling_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def as_hard_link(path: Path) -> None:
    os.link(path, path.with_name("second"))


def as_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


def as_directory(path: Path) -> None:
    path.unlink()
    path.mkdir(mode=0o700)


def as_socket(path: Path) -> None:
    path.unlink()
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(path))


def as_device(path: Path) -> None:
    path.unlink()
    try:
        os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("only root makes devices")


def as_readable_by_the_group(path: Path) -> None:
    path.chmod(0o640)


def as_readable_by_all(path: Path) -> None:
    path.chmod(0o604)


def as_another_owners(path: Path) -> None:
    try:
        os.chown(path, 12345, -1)
    except PermissionError:
        pytest.skip("only root gives files away")


def in_an_open_directory(path: Path) -> None:
    path.parent.chmod(0o770)


def in_a_linked_directory(path: Path) -> None:
    path.parent.rename(path.parent.with_name("elsewhere"))
    path.parent.symlink_to("elsewhere")


UNSAFE = [
    as_link,
    as_dangling_link,
    as_hard_link,
    as_fifo,
    as_directory,
    as_socket,
    as_device,
    as_readable_by_the_group,
    as_readable_by_all,
    as_another_owners,
    in_an_open_directory,
    in_a_linked_directory,
]


@pytest.mark.parametrize("spoil", UNSAFE)
async def test_an_unsafe_file_is_refused_with_the_fix_named(
    store: SealedStore, tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    """H-E2."""
    await store.save(credential(), expected=0)
    spoil(conf(tmp_path))
    before = os.lstat(conf(tmp_path)) if spoil is not in_a_linked_directory else None
    attempts: list[Callable[[], Any]] = [
        store.summaries,
        store.read_all,
        store.prove_replaceable,
        store.set_aside,
        lambda: store.save(credential("new"), expected=None),
        lambda: store_at(tmp_path).save(credential("new"), expected=None),
    ]
    for attempt in attempts:
        with pytest.raises(ConfigError) as caught:
            await attempt()
        assert caught.value.remediation != ConfigError.default_remediation
    assert before is None or os.lstat(conf(tmp_path)) == before
    assert (await store.describe()).problems


@pytest.mark.parametrize("name", ["*.key", "*.mark"])
@pytest.mark.parametrize("spoil", [as_link, as_hard_link, as_fifo, as_readable_by_all])
async def test_an_unsafe_key_or_mark_is_refused(
    store: SealedStore, tmp_path: Path, name: str, spoil: Callable[[Path], None]
) -> None:
    """H-E2."""
    await store.save(credential(), expected=0)
    spoil(next((tmp_path / "state").glob(name)))
    with pytest.raises(ConfigError, match="not safe to use"):
        await store_at(tmp_path).read("default")


async def test_a_state_directory_open_to_others_is_refused_before_anything_is_written(
    store: SealedStore, tmp_path: Path
) -> None:
    """H-E2."""
    await store.save(credential(), expected=0)
    before = everything_under(tmp_path)
    (tmp_path / "state").chmod(0o777)
    for attempt in (store.prove_replaceable, lambda: store.save(credential("new"), expected=0)):
        with pytest.raises(ConfigError, match="others have access") as caught:
            await attempt()
        assert "chmod 700" in caught.value.remediation
    assert everything_under(tmp_path) == before


@pytest.mark.parametrize("spoil", UNSAFE)
async def test_what_is_known_of_a_file_is_forgotten_once_it_is_unsafe(
    store: SealedStore, tmp_path: Path, spoil: Callable[[Path], None]
) -> None:
    """H-E2: a running process refuses it as a new one would."""
    await store.save(credential(), expected=0)
    assert await store.read("default") is not None
    spoil(conf(tmp_path))
    with pytest.raises(ConfigError):
        await store.read("default")
    if spoil not in {in_an_open_directory, in_a_linked_directory}:
        assert store.peek("default") is None


async def test_what_is_known_is_not_believed_once_an_older_file_is_put_back(
    store: SealedStore, tmp_path: Path
) -> None:
    """H-E1: to the byte the file it was, and yet another one."""
    first = await store.save(credential(), expected=0)
    older = conf(tmp_path).read_bytes()
    await store.save(first, expected=first.generation)
    replace_private(conf(tmp_path), older)
    assert store.peek("default") is None
    with pytest.raises(StoreCorrupt, match="was put back"):
        await store.read("default")


async def test_what_is_known_is_read_without_a_thread(store: SealedStore) -> None:
    saved = await store.save(credential(), expected=0)
    await store.summaries()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store._file, "_looks", None)
        patch.setattr("twg.vault.sealed_file.to_thread", None)
        assert await store.read("default") is saved
        assert (await store.summaries()).active == "default"


async def test_a_header_that_was_handed_out_cannot_be_changed(store: SealedStore) -> None:
    await store.save(credential(), expected=0)
    header = await store.summaries()
    assert await store.summaries() is header
    for each in (header.profiles, header.providers):
        with pytest.raises(TypeError):
            each["new"] = None  # type: ignore[index]  # it is read-only, which is the point


async def test_a_lost_key_is_told_and_the_file_is_kept(store: SealedStore, tmp_path: Path) -> None:
    """H-E1, H-E3: a file of another machine."""
    await store.save(credential(), expected=0)
    before = conf(tmp_path).read_bytes()
    next((tmp_path / "state").glob("*.key")).unlink()
    other = store_at(tmp_path)
    for attempt in (other.read_all, lambda: other.save(credential("new"), expected=0)):
        with pytest.raises(KeyUnavailable, match="another machine") as caught:
            await attempt()
        assert caught.value.why == "lost"
    assert conf(tmp_path).read_bytes() == before
    moved = await other.set_aside()
    assert moved is not None
    assert moved.read_bytes() == before


class AwayPlace:
    """A key ring that is locked for the moment."""

    async def write(self, _key_id: str, _key: object) -> None:
        raise KeyUnavailable("locked", "the key ring is locked")

    async def read(self, _key_id: str) -> Any:
        raise KeyUnavailable("locked", "the key ring is locked")

    async def remove(self, _key_id: str) -> None:
        raise KeyUnavailable("locked", "the key ring is locked")


async def test_a_key_that_may_come_back_sets_nothing_aside(
    store: SealedStore, tmp_path: Path
) -> None:
    """H-E3: a key ring locked for a moment is not a corrupt store."""
    await store.save(credential(), expected=0)
    before = everything_under(tmp_path)
    custody = custody_of(Ear())
    away = SealedStore(
        conf(tmp_path),
        state_dir=tmp_path / "state",
        keys=KeyKeeper(
            tmp_path / "state",
            custody=custody,
            places={"keyring": AwayPlace(), "file": AwayPlace()},
        ),
        custody=custody,
    )
    attempts: list[Callable[[], Any]] = [
        away.read_all,
        away.set_aside,
        lambda: away.save(credential("new"), expected=None),
    ]
    for attempt in attempts:
        with pytest.raises(KeyUnavailable, match="locked"):
            await attempt()
    assert everything_under(tmp_path) == before
    assert (await away.describe()).problems[0].startswith("the key ring is locked")


async def test_the_reason_for_a_key_file_stands_in_the_header(tmp_path: Path) -> None:
    keys = KeyKeeper(tmp_path / "state", custody=custody_of(Ear()))
    keys._places = {**keys._places, "keyring": AwayPlace()}
    store = SealedStore(
        conf(tmp_path), state_dir=tmp_path / "state", keys=keys, custody=custody_of(Ear())
    )
    await store.save(credential(), expected=0)
    location = await store_at(tmp_path).key_location()
    assert location is not None
    assert (location.location, location.reason) == ("file", "the key ring is locked")


async def test_a_save_that_failed_needs_no_second_key(store: SealedStore, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o700)
    lock = ProcessLock(state_dir=tmp_path / "state", name="auth", what="it", seconds=5)
    impatient = store_at(tmp_path, lock_seconds=0.5)
    async with lock.held():
        for _ in range(2):
            with pytest.raises(Busy, match=f"process {os.getpid()} has held the credential store"):
                await impatient.save(credential(), expected=0)
    await impatient.save(credential(), expected=0)
    assert len(list((tmp_path / "state").glob("*.key"))) == 1
    assert opened(await store.read("default")) is not None


async def test_the_key_of_a_store_another_made_first_is_destroyed(tmp_path: Path) -> None:
    slow, quick = store_at(tmp_path), store_at(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("twg.vault.sealed_file.replace_private", _refusing)
        with pytest.raises(StoreUnwritable):
            await slow.save(credential("slow"), expected=0)
    await quick.save(credential("quick"), expected=0)
    assert len(list((tmp_path / "state").glob("*.key"))) == 2

    await slow.save(credential("slow"), expected=0)

    assert [each.profile for each in await quick.read_all()] == ["quick", "slow"]
    assert len(list((tmp_path / "state").glob("*.key"))) == 1


async def test_a_key_whose_store_was_made_though_it_seemed_not_is_kept(tmp_path: Path) -> None:
    """The directory's sync failed after the rename: the file is there."""
    store = store_at(tmp_path)
    with pytest.MonkeyPatch.context() as patch:

        def replace_and_refuse(path: Path, data: bytes) -> None:
            replace_private(path, data)
            _refusing(path, data)

        patch.setattr("twg.vault.sealed_file.replace_private", replace_and_refuse)
        with pytest.raises(StoreUnwritable):
            await store.save(credential(), expected=0)

    await store.save(credential("second"), expected=0)

    found = await store_at(tmp_path).read_all()
    assert [each.profile for each in found] == ["default", "second"]


def _refusing(path: Path, _data: bytes) -> None:
    raise FileUnwritable(path, "No space left on device")


async def test_a_store_made_anew_elsewhere_is_followed(tmp_path: Path) -> None:
    one, two = store_at(tmp_path), store_at(tmp_path)
    await one.save(credential("old"), expected=0)
    conf(tmp_path).write_bytes(b"broken")
    assert await two.set_aside() is not None
    await two.save(credential("new"), expected=0)

    assert [each.profile for each in await one.read_all()] == ["new"]
    await one.save(credential("newer"), expected=0)
    assert [each.profile for each in await two.read_all()] == ["new", "newer"]
    before = await one.key_location()
    conf(tmp_path).unlink()
    assert await one.read_all() == ()
    saved = await one.save(credential("newest"), expected=0)
    assert await one.key_location() not in {None, before}
    assert [opened(each) for each in await two.read_all()] == [opened(saved)]


@contextlib.contextmanager
def small_files() -> Iterator[None]:
    """Limit the size of files meanwhile: it stands for a full disk, and root meets it too.

    For the shortest time: the test runner's own output may be a file.
    """
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)


async def test_a_store_that_cannot_be_replaced_is_proven_so_and_stays(
    store: SealedStore, tmp_path: Path
) -> None:
    """H-D3."""
    saved = await store.save(credential(), expected=0)
    await store.prove_replaceable()
    with small_files():
        with pytest.raises(StoreUnwritable):
            await store.prove_replaceable()
        with pytest.raises(StoreUnwritable):
            await store.save(with_access(saved, "lost"), expected=saved.generation)
        condition = await store.describe()
    assert [problem for problem in condition.problems if "too large" in problem]
    assert opened(await store.read("default")) == opened(saved)
    assert names_in(tmp_path / "config") == ["auth.conf"]


async def test_a_mark_that_cannot_be_written_loses_no_save(
    store: SealedStore, tmp_path: Path
) -> None:
    """H-D3."""
    first = await store.save(credential(), expected=0)
    mark = next((tmp_path / "state").glob("*.mark"))
    lagging = mark.read_bytes()

    def refuse(*_: object) -> None:
        raise FileUnwritable(mark, "No space left on device")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("twg.vault.mark.replace_private", refuse)
        saved = await store.save(with_access(first, "kept"), expected=first.generation)
    assert mark.read_bytes() == lagging
    assert opened(await store_at(tmp_path).read("default")) == opened(saved)


async def test_cancelled_while_it_waits_a_save_changes_nothing(
    store: SealedStore, tmp_path: Path
) -> None:
    saved = await store.save(credential(), expected=0)
    lock = ProcessLock(state_dir=tmp_path / "state", name="auth", what="it", seconds=5)
    async with lock.held(), anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: store.save(credential("never"), expected=0))
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    async with lock.held():
        pass
    assert [opened(each) for each in await store.read_all()] == [opened(saved)]


async def test_any_name_does_as_a_profiles(store: SealedStore) -> None:
    for profile in ("", "a/../b", "x" * 500, "Ångström ‹›", "\ud800"):
        async with store.lease(profile):
            await store.save(credential(profile), expected=0)
        found = await store.read(profile)
        assert found is not None
        assert found.profile == profile


async def test_doctor_is_told_where_and_how_things_are(store: SealedStore, tmp_path: Path) -> None:
    await store.save(credential(), expected=0)
    condition = await store.describe()
    assert [(file.path, file.mode, file.uid) for file in condition.files] == [
        (tmp_path / "config", "0700", os.geteuid()),
        (tmp_path / "state", "0700", os.geteuid()),
        (conf(tmp_path), "0600", os.geteuid()),
    ]
    assert condition.key == await store.key_location()
    assert (condition.profiles, condition.generation, condition.problems) == (1, 1, ())
    conf(tmp_path).chmod(0o644)
    assert [problem for problem in (await store.describe()).problems if "chmod 600" in problem]
