"""`twg auth storage`: what it tells of the keys, and what of moving them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.cli import admin_parts
from tests.cli.test_auth import AWAY
from tests.vault.mover import keeper_at
from tests.vault.samples import SECRETS
from twg.cli.wiring import Wiring
from twg.errors import KeyUnavailable
from twg.vault import KeyKeeper, KeyLocation
from twg.vault.moving import Journal

if TYPE_CHECKING:
    from tests.cli.console import Console


@pytest.fixture
def kept(console: Console) -> Console:
    """An installation with a sign-in and an Admin API key, and no key ring in its session."""
    console.sign_in_at(AWAY)
    admin_parts.keep(console, AWAY)
    console.settings("")
    return console


def key_of(console: Console, name: str) -> str:
    found: str = json.loads((console.config / name).read_text())["header"]["key"]["id"]
    return found


def test_where_each_key_is_and_why_is_told_without_opening_anything(kept: Console) -> None:
    lines = kept.twg("auth", "storage").out.splitlines()
    key, other = key_of(kept, "auth.conf"), key_of(kept, "admin.conf")
    assert lines == [
        f"{kept.config}/auth.conf:",
        f"  sealed; the key is in the private file {kept.state}/{key}.key",
        "  As it was asked for; `twg auth storage keyring` moves it.",
        f"{kept.config}/admin.conf:",
        f"  sealed; the key is in the private file {kept.state}/{other}.key",
        "  As it was asked for; `twg auth storage keyring` moves it.",
    ]
    kept.settings('[storage]\nkey = "file"\n')
    [one, more] = kept.twg("auth", "storage", "-o", "json").data["stores"]
    assert one == {
        "path": str(kept.config / "auth.conf"),
        "key": "file",
        "file": str(kept.state / f"{key}.key"),
        "why": 'As config.toml wants it (key = "file" under [storage]).',
        "unsettled": False,
    }
    assert more["path"] == str(kept.config / "admin.conf")
    assert not (kept.state / "audit.jsonl").exists()


def test_for_want_of_a_key_ring_the_reason_is_told(console: Console) -> None:
    console.sign_in_at(AWAY)
    path = console.config / "auth.conf"
    document = json.loads(path.read_text())
    document["header"]["key"]["reason"] = "the key ring is locked"
    path.write_text(json.dumps(document, sort_keys=True, separators=(",", ":")) + "\n")

    told = console.twg("auth", "storage").out

    assert "A key ring would protect the key better: the key ring is locked." in told


def test_before_anything_is_stored_there_is_nothing_to_move(console: Console) -> None:
    assert console.twg("auth", "storage").out == "Nothing is stored yet.\n"
    assert console.twg("auth", "storage", "-o", "json").data == {"stores": []}
    assert "no key to move" in console.twg("auth", "storage", "file").out
    assert not console.state.exists()


def test_a_key_that_is_there_already_stays(kept: Console) -> None:
    before = [key_of(kept, name) for name in ("auth.conf", "admin.conf")]

    told = kept.twg("auth", "storage", "file").out

    assert "The key of auth.conf is in a private file already; it stays as it is." in told
    assert "The key of admin.conf is in a private file already" in told
    data = kept.twg("auth", "storage", "file", "-o", "json").data
    assert [one["moved"] for one in data["stores"]] == [False, False]
    assert [key_of(kept, name) for name in ("auth.conf", "admin.conf")] == before


def test_without_a_key_ring_nothing_is_changed(kept: Console) -> None:
    """H-E3."""
    before = {path: path.read_bytes() for path in kept.config.iterdir()}

    ended = kept.twg("auth", "storage", "keyring", "-o", "json", status=78)

    assert ended.error["code"] == "CONFIG"
    assert "cannot be moved to the key ring: there is no key ring" in ended.error["message"]
    assert "nothing was changed" in ended.error["remediation"]
    assert {path: path.read_bytes() for path in kept.config.iterdir()} == before
    assert kept.twg("auth", "list").out
    assert kept.traces_of(*SECRETS) == []


@pytest.fixture
def with_ring(kept: Console, monkeypatch: pytest.MonkeyPatch) -> Console:
    """The same with a key ring, which is played by files of another directory."""
    monkeypatch.setattr(Wiring, "key_keeper", lambda self: keeper_at(kept.root, self.custody))
    return kept


def test_the_keys_of_both_files_are_moved(with_ring: Console) -> None:
    old = {key_of(with_ring, name) for name in ("auth.conf", "admin.conf")}

    lines = with_ring.twg("auth", "storage", "keyring").out.splitlines()

    assert lines == [
        "✔ auth.conf is sealed with a new key, which is in your system's key ring.",
        "  The old one, in a private file, is gone.",
        "✔ admin.conf is sealed with a new key, which is in your system's key ring.",
        "  The old one, in a private file, is gone.",
        "  What runs outside your session, over SSH or from cron, may not reach it.",
    ]
    new = {key_of(with_ring, name) for name in ("auth.conf", "admin.conf")}
    assert new.isdisjoint(old)
    assert {path.stem for path in (with_ring.root / "ring").iterdir()} == new
    assert list(with_ring.state.glob("a*-*.key")) == []
    found = checks_of(with_ring)
    assert (found["store"], found["admin store"]) == ("ok", "ok")
    assert len(with_ring.records("key.moved")) == 2
    assert len(with_ring.records("audit.key_changed")) == 1
    with_ring.settings('[storage]\nkey = "keyring"\n')
    told = with_ring.twg("auth", "storage", "file").out
    assert 'config.toml says key = "keyring", which goes for new files alone' in told


def checks_of(console: Console) -> dict[str, str]:
    """Return the doctor's verdicts by name."""
    found = console.twg("doctor", "--offline", "-o", "json").data["checks"]
    return {one["name"]: one["status"] for one in found}


def test_a_key_that_could_not_be_destroyed_is_told_beside_what_was_done(
    with_ring: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    destroy = KeyKeeper.destroy

    async def partly(self: KeyKeeper, location: KeyLocation) -> None:
        if location.id.startswith("admin"):
            raise KeyUnavailable("hanging", "it does not answer")
        await destroy(self, location)

    monkeypatch.setattr(KeyKeeper, "destroy", partly)

    ended = with_ring.twg("auth", "storage", "keyring", "-o", "json", status=3)

    data = ended.document["data"]
    assert list(data["failures"]) == ["admin.conf"]
    assert [(one["key"], one["moved"]) for one in data["stores"]] == [("keyring", True)] * 2
    assert [len(one["left"]) for one in data["stores"]] == [0, 1]


@pytest.mark.parametrize("place", ["keyring", "file"])
def test_an_agent_may_look_and_not_move(kept: Console, place: str) -> None:
    """H-B5."""
    kept.more["CLAUDECODE"] = "1"
    assert len(kept.twg("auth", "storage").data["stores"]) == 2

    ended = kept.twg("auth", "storage", place, status=79)

    assert ended.error["code"] == "HUMAN_REQUIRED"
    assert f"`twg auth storage {place}`" in ended.error["remediation"]


def test_another_place_is_no_place(console: Console) -> None:
    assert console.twg("auth", "storage", "cloud", "-o", "json", status=2).error["code"] == "USAGE"


@pytest.mark.parametrize("stem", ["auth", "admin"])
def test_the_doctor_finds_a_key_that_was_left_over_and_destroys_it(
    kept: Console, stem: str
) -> None:
    """H-D2: as a move leaves it that was killed before its end."""
    left = KeyLocation(location="file", id=f"{stem}-0123456789abcdef")
    file = kept.state / f"{left.id}.key"
    file.touch(mode=0o600)
    Journal(kept.state, stem).write([left])
    assert "A move was cut short; `twg doctor --fix`" in kept.twg("auth", "storage").out

    told = kept.twg("doctor", "--offline", status=3)
    assert f"moving the key of {stem}.conf was cut short" in told.err
    assert file.exists()

    mended = kept.twg("doctor", "--offline", "--fix")
    assert f"Destroyed what moving the key of {stem}.conf had left." in mended.err
    assert not file.exists()
    assert [one["reason"] for one in kept.records("key.destroyed")] == [
        f"{stem}.conf: {left.id} in a file"
    ]
