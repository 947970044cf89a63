"""A Bitbucket token in the vault: beside a profile's sign-in, and not part of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.vault.samples import (
    BITBUCKET,
    Ear,
    bitbucket_token,
    credential,
    custody_of,
    opened,
    provider,
    store_at,
)
from tests.vault.test_format import KEY, LOCATION, PATH, SOUND, open_it
from twg.errors import StoreCorrupt
from twg.vault.members import Members
from twg.vault.opened import Opened
from twg.vault.sealed import Sealer, parse

if TYPE_CHECKING:
    from pathlib import Path


async def test_it_is_kept_and_its_summary_stands_in_clear(tmp_path: Path) -> None:
    token = bitbucket_token()
    await store_at(tmp_path).save_bitbucket(token)

    other = store_at(tmp_path)
    assert opened(await other.bitbucket("default")) == opened(token)
    header = await other.summaries()
    assert dict(header.bitbucket) == {"default": token.summary}
    assert header.active is None, "it is no sign-in"
    written = (tmp_path / "config" / "auth.conf").read_text()
    assert token.email in written
    assert BITBUCKET not in written


async def test_the_summary_is_read_without_taking_the_token_in(tmp_path: Path) -> None:
    await store_at(tmp_path).save_bitbucket(bitbucket_token())
    ear = Ear()

    await store_at(tmp_path, ear=ear).summaries()

    assert ear.learnt == {}
    assert ear.records == []


async def test_sign_ins_come_and_go_beside_it(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    await store.save_bitbucket(bitbucket_token())
    ear = Ear()
    beside = store_at(tmp_path, ear=ear)

    saved = await beside.save(credential(), expected=None)
    await beside.save(credential(), expected=saved.generation)
    await beside.remove("default", expected=None)

    assert BITBUCKET not in ear.learnt, "no renewal takes the token in"
    assert opened(await store.bitbucket("default")) == opened(bitbucket_token())


async def test_a_save_of_it_leaves_a_sign_in_at_its_generation(tmp_path: Path) -> None:
    """Else a renewal under way would find its credential changed."""
    store = store_at(tmp_path)
    saved = await store.save(credential(), expected=None)

    await store.save_bitbucket(bitbucket_token())

    found = await store.read("default")
    assert found is not None
    assert found.generation == saved.generation


async def test_each_profile_has_its_own_and_loses_its_own(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    assert await store.remove_bitbucket("default") is None
    assert not (tmp_path / "config" / "auth.conf").exists()
    await store.save_bitbucket(bitbucket_token())
    await store.save_bitbucket(bitbucket_token("second", email="bob@example.com"))

    gone = await store.remove_bitbucket("default")

    assert opened(gone) == opened(bitbucket_token())
    assert await store.bitbucket("default") is None
    assert await store.remove_bitbucket("default") is None
    kept = await store_at(tmp_path).bitbucket("second")
    assert kept is not None
    assert kept.email == "bob@example.com"
    assert list((await store.summaries()).bitbucket) == ["second"]


def test_a_file_from_before_it_opens_and_takes_one_in() -> None:
    assert b"bitbucket" not in SOUND
    before = open_it(SOUND)
    assert before.bitbucket("default") is None

    before.put_bitbucket(bitbucket_token())

    again = open_it(before.sealed(Sealer(KEY)))
    assert opened(again.bitbucket("default")) == opened(bitbucket_token())
    assert opened(again.credential("default")) == opened(credential(generation=1))


def test_what_is_changed_in_a_copy_shows_in_the_copy_alone() -> None:
    first = Opened.empty(LOCATION, custody_of(Ear()), PATH)
    first.put_provider(provider())
    first.put_bitbucket(bitbucket_token())

    copy = first.copy()
    copy.drop_bitbucket("default")

    assert copy.bitbucket("default") is None
    assert first.bitbucket("default") is not None


def test_a_header_that_tells_of_another_does_not_open() -> None:
    made = Opened.empty(LOCATION, custody_of(Ear()), PATH)
    made.put_bitbucket(bitbucket_token())
    document = parse(PATH, made.sealed(Sealer(KEY)))
    header = Members.of(document.header.text(), inner=("profiles", "providers", "bitbucket"))
    header.inner("bitbucket").drop("default")
    records = Sealer(KEY).unseal(document)

    data = Sealer(KEY).seal(PATH, header, records)

    with pytest.raises(StoreCorrupt, match="do not belong together"):
        open_it(data)


def test_it_goes_to_its_own_origin_and_ends_within_a_year() -> None:
    token = bitbucket_token()

    assert token.hosts == {"https://bitbucket.example.com:443"}
    assert token.summary.ends_by == 1_000_000.0 + 365 * 86_400
