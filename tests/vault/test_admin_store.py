"""`AdminStore`: keys of organizations come back as they were, from a file and a key of its own."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.vault.samples import Ear, credential, custody_of, opened, store_at
from twg.errors import AdminKeyRequired, StoreCorrupt
from twg.vault import AdminKey, AdminStore, KeyKeeper

if TYPE_CHECKING:
    from pathlib import Path

KEY = "organization-key-c2VjcmV0-0123456789"


def admin_store_at(root: Path, *, ear: Ear | None = None) -> AdminStore:
    """Return the store, as a process of its own would make it."""
    custody = custody_of(ear or Ear())
    return AdminStore(
        root / "config" / "admin.conf",
        state_dir=root / "state",
        keys=KeyKeeper(root / "state", custody=custody, preferred="file"),
        custody=custody,
    )


def key_of(org: str = "org-1", **changes: Any) -> AdminKey:
    made = AdminKey(
        org=org,
        key=custody_of(Ear()).take(KEY, "admin-api-key"),
        name="Harbor Works",
        email="a@example.com",
        api_base="https://api.example.com",
        saved_at=1e9,
        expires_at=2e9,
    )
    return replace(made, **changes)


def files(root: Path) -> dict[str, bytes]:
    """Return all files by name."""
    return {path.name: path.read_bytes() for path in root.rglob("*") if path.is_file()}


async def test_a_key_comes_back_as_it_was(tmp_path: Path) -> None:
    saved = await admin_store_at(tmp_path).save(key_of())

    found = await admin_store_at(tmp_path).read("org-1")

    assert found is not None
    assert opened(found) == opened(saved)
    assert saved.generation == 1
    assert found.hosts == {"https://api.example.com:443"}
    assert await admin_store_at(tmp_path).read("org-2") is None


async def test_the_first_is_active_and_another_can_be(tmp_path: Path) -> None:
    store = admin_store_at(tmp_path)
    assert (await store.summaries()).active is None
    await store.save(key_of())
    await store.save(key_of("org-2", name=None))

    assert (await store.summaries()).active == "org-1"
    await store.activate("org-2")

    header = await admin_store_at(tmp_path).summaries()
    assert header.active == "org-2"
    assert header.profiles["org-1"] == key_of(generation=1).summary
    assert header.profiles["org-2"].name is None


async def test_what_is_removed_is_gone_and_a_sole_one_left_is_active(tmp_path: Path) -> None:
    store = admin_store_at(tmp_path)
    await store.save(key_of())
    await store.save(key_of("org-2"))

    await store.remove("org-1")

    header = await admin_store_at(tmp_path).summaries()
    assert (header.active, list(header.profiles)) == ("org-2", ["org-2"])
    assert await store.read("org-1") is None


async def test_what_is_not_there_is_neither_removed_nor_made_active(tmp_path: Path) -> None:
    store = admin_store_at(tmp_path)
    for change in (store.remove, store.activate):
        with pytest.raises(AdminKeyRequired, match="for the organization org-9 is kept"):
            await change("org-9")
    assert not (tmp_path / "config").exists(), "nothing is made for it"
    await store.save(key_of())
    for change in (store.remove, store.activate):
        with pytest.raises(AdminKeyRequired):
            await change("org-9")


async def test_it_has_nothing_in_common_with_the_personal_store(tmp_path: Path) -> None:
    await store_at(tmp_path).save(credential(), expected=None)
    before = files(tmp_path)

    await admin_store_at(tmp_path).save(key_of())

    after = files(tmp_path)
    assert after.items() >= before.items()
    made = after.keys() - before.keys()
    assert all(name.startswith("admin") for name in made)
    assert {name.rpartition(".")[2] for name in made} == {"conf", "key", "mark", "lock"}


async def test_no_byte_of_a_key_is_in_clear(tmp_path: Path) -> None:
    await admin_store_at(tmp_path).save(key_of())

    data = (tmp_path / "config" / "admin.conf").read_bytes()

    assert KEY.encode() not in data
    assert json.loads(data)["header"]["profiles"]["org-1"]["email"] == "a@example.com"


async def test_looking_at_it_reveals_nothing(tmp_path: Path) -> None:
    await admin_store_at(tmp_path).save(key_of())
    ear = Ear()

    await admin_store_at(tmp_path, ear=ear).summaries()

    assert (ear.learnt, ear.records) == ({}, [])


async def test_a_file_that_does_not_open_names_the_command_for_it(tmp_path: Path) -> None:
    store = admin_store_at(tmp_path)
    await store.save(key_of())
    path = tmp_path / "config" / "admin.conf"
    path.write_bytes(path.read_bytes().replace(b"Harbor", b"Garbor"))

    for use in (store.read("org-1"), store.open(), store.remove("org-1"), store.save(key_of())):
        with pytest.raises(StoreCorrupt) as error:
            await use
        assert "`twg admin auth login`" in error.value.remediation
        assert "`twg login`" not in error.value.remediation

    moved = await store.set_aside()
    assert moved is not None
    await store.save(key_of())
    assert await store.read("org-1") is not None


async def test_a_personal_store_does_not_pass_for_one(tmp_path: Path) -> None:
    """Put in its place, it opens, being sealed by its own key; but no record in it is taken."""
    await store_at(tmp_path).save(credential("org-1"), expected=None)
    (tmp_path / "config" / "auth.conf").rename(tmp_path / "config" / "admin.conf")

    with pytest.raises(StoreCorrupt):
        await admin_store_at(tmp_path).read("org-1")
    with pytest.raises(StoreCorrupt):
        await admin_store_at(tmp_path).summaries()
