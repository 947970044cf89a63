"""`GrantStore`: grants are counted exactly, and a file that was meddled with grants nothing."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING

import anyio
import pytest

from tests.refresh.tracing import REPOSITORY
from tests.rigs.parts import search_path
from tests.vault.granting import grant_of, grant_store_at, use_one
from twg.errors import ConfigError, KeyUnavailable, StoreCorrupt

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from twg.vault import Grant


def always(_grant: Grant) -> bool:
    return True


async def granted(root: Path, *names: str) -> Path:
    for name in names or ("a1",):
        await grant_store_at(root).add(grant_of(name, calls=5), keep=always)
    return root / "config" / "policy.json"


async def test_grants_come_back_as_they_were(tmp_path: Path) -> None:
    store = grant_store_at(tmp_path)
    assert await store.all() == ()
    assert not (tmp_path / "state").exists(), "to look makes nothing"
    made = await store.add(
        grant_of(service="jira", project="DEMO", calls=5, boottime=1.5, boot_id="b"), keep=always
    )

    assert await grant_store_at(tmp_path).all() == (made,)
    assert await use_one(grant_store_at(tmp_path))
    [one] = await grant_store_at(tmp_path).all()
    assert (one.used, one.generation) == (1, 2)


async def test_grants_that_ended_are_gone_with_the_next_one(tmp_path: Path) -> None:
    await granted(tmp_path, "a1", "b2")
    await grant_store_at(tmp_path).add(grant_of("c3"), keep=lambda one: one.id != "a1")
    assert {one.id for one in await grant_store_at(tmp_path).all()} == {"b2", "c3"}


async def test_where_nothing_changes_nothing_is_written(tmp_path: Path) -> None:
    path = await granted(tmp_path)
    before = path.stat()
    await grant_store_at(tmp_path).change(lambda grants: grants)
    after = path.stat()
    # All but the time of the last look.
    assert (after.st_ino, after.st_ctime_ns) == (before.st_ino, before.st_ctime_ns)


def _edited(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"calls":5', b'"calls":9'))


def _longer(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b" ")


def _touched(path: Path) -> None:
    os.utime(path, (0, 0))


def _copied_over(path: Path) -> None:
    copy = path.with_name("copy")
    shutil.copy2(path, copy)
    copy.replace(path)


def _written_over(path: Path) -> None:
    path.write_bytes(path.read_bytes())


@pytest.mark.parametrize(
    "meddle", [_edited, _longer, _touched, _copied_over, _written_over], ids=lambda it: it.__name__
)
async def test_a_file_that_was_meddled_with_grants_nothing(
    tmp_path: Path, meddle: Callable[[Path], None]
) -> None:
    """H-E1."""
    path = await granted(tmp_path)
    meddle(path)

    with pytest.raises(StoreCorrupt) as caught:
        await use_one(grant_store_at(tmp_path))
    with pytest.raises(StoreCorrupt):
        await grant_store_at(tmp_path).all()

    assert "`twg policy grant`" in caught.value.remediation


async def test_a_file_that_was_removed_grants_nothing(tmp_path: Path) -> None:
    (await granted(tmp_path)).unlink()
    assert not await use_one(grant_store_at(tmp_path))
    assert await grant_store_at(tmp_path).all() == ()


@pytest.mark.parametrize("way", ["alone", "with its mark", "without any mark", "by a second name"])
async def test_an_older_file_that_is_put_back_grants_nothing(tmp_path: Path, way: str) -> None:
    """H-E1: the calls of a grant would begin anew, and one that was revoked would be back."""
    path = await granted(tmp_path)
    [mark] = (tmp_path / "state").glob("policy-*.mark")
    kept = tmp_path / "kept"
    kept.mkdir()
    shutil.copy2(mark, kept / "mark")
    if way == "by a second name":
        (kept / "file").hardlink_to(path)
        path.unlink()
    else:
        shutil.copy2(path, kept / "file")
        assert await use_one(grant_store_at(tmp_path))

    (kept / "file").replace(path)
    if way == "with its mark":
        (kept / "mark").replace(mark)
    elif way == "without any mark":
        mark.unlink()

    with pytest.raises(StoreCorrupt):
        await use_one(grant_store_at(tmp_path))


async def test_who_grants_anew_begins_a_new_file_and_the_other_is_kept(tmp_path: Path) -> None:
    path = await granted(tmp_path)
    _edited(path)

    await grant_store_at(tmp_path).add(grant_of("b2"), keep=always)

    assert {one.id for one in await grant_store_at(tmp_path).all()} == {"b2"}
    assert len(list(path.parent.glob("policy.json.corrupt-*"))) == 1


async def test_a_lost_key_grants_nothing_and_is_made_anew(tmp_path: Path) -> None:
    await granted(tmp_path)
    for key in (tmp_path / "state").glob("policy-*.key"):
        key.unlink()

    with pytest.raises(KeyUnavailable):
        await use_one(grant_store_at(tmp_path))
    await grant_store_at(tmp_path).add(grant_of("b2"), keep=always)

    assert {one.id for one in await grant_store_at(tmp_path).all()} == {"b2"}


async def test_a_file_that_others_can_read_or_write_grants_nothing(tmp_path: Path) -> None:
    """H-E2."""
    (await granted(tmp_path)).chmod(0o644)
    with pytest.raises(ConfigError):
        await use_one(grant_store_at(tmp_path))


async def test_many_processes_use_up_what_was_granted_and_no_more(tmp_path: Path) -> None:
    await grant_store_at(tmp_path).add(grant_of(calls=45), keep=always)

    done = await anyio.run_process(
        [sys.executable, "-m", "tests.vault.granting", str(tmp_path), "60"],
        env={"PATH": search_path(), "PYTHONPATH": str(REPOSITORY)},
    )

    assert done.stdout.decode().split() == ["45", "15"]
    [one] = await grant_store_at(tmp_path).all()
    assert one.used == 45
