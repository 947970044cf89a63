"""The sealing key: where it goes, and what is said when it is not to be had."""

from __future__ import annotations

import stat
import sys
from typing import TYPE_CHECKING

import pytest

from guard.errors import UnsafeFile
from tests.vault.samples import Ear, custody_of
from twg.errors import Code, ConfigError, KeyUnavailable
from twg.vault import KeyKeeper, KeyLocation
from twg.vault.keys import FilePlace, KeyringPlace

if TYPE_CHECKING:
    from pathlib import Path

    from guard.secret import Secret
    from twg.vault import KeyPlaceName


class MemoryPlace:
    """A place that works, or fails as it is told."""

    def __init__(self, why: str | None = None) -> None:
        self.keys: dict[str, Secret] = {}
        self._why = why

    def _answer(self) -> None:
        if self._why:
            raise KeyUnavailable(self._why, f"it is {self._why}")

    async def write(self, key_id: str, key: Secret) -> None:
        self._answer()
        self.keys[key_id] = key

    async def read(self, key_id: str) -> Secret:
        self._answer()
        return self.keys[key_id]

    async def remove(self, key_id: str) -> None:
        self._answer()
        del self.keys[key_id]


def keeper(
    root: Path, ring: MemoryPlace, preferred: KeyPlaceName | None = None
) -> tuple[KeyKeeper, MemoryPlace]:
    files = MemoryPlace()
    places = {"keyring": ring, "file": files}
    custody = custody_of(Ear())
    return KeyKeeper(root, custody=custody, preferred=preferred, places=places), files


async def test_a_key_ring_is_preferred(tmp_path: Path) -> None:
    ring = MemoryPlace()
    made, files = keeper(tmp_path, ring)
    location, key = await made.create("auth")
    assert (location.location, location.reason) == ("keyring", None)
    assert (list(ring.keys), files.keys) == ([location.id], {})
    assert await made.read(location) is key
    await made.destroy(location)
    assert ring.keys == {}


@pytest.mark.parametrize("why", ["absent", "locked", "hanging", "failed"])
async def test_for_want_of_a_key_ring_it_is_a_file_and_the_reason_is_told(
    tmp_path: Path, why: str
) -> None:
    """H-E3."""
    made, files = keeper(tmp_path, MemoryPlace(why))
    location, _ = await made.create("auth")
    assert (location.location, location.reason) == ("file", f"it is {why}")
    assert list(files.keys) == [location.id]


async def test_a_file_that_was_asked_for_asks_no_key_ring(tmp_path: Path) -> None:
    ring = MemoryPlace("hanging")
    made, _ = keeper(tmp_path, ring, "file")
    location, _ = await made.create("admin")
    assert (location.location, location.reason) == ("file", None)
    assert location.id.startswith("admin-")


async def test_a_key_ring_that_was_asked_for_and_fails_is_a_setting_to_mend(tmp_path: Path) -> None:
    """H-E3."""
    made, files = keeper(tmp_path, MemoryPlace("absent"), "keyring")
    with pytest.raises(ConfigError, match="it is absent"):
        await made.create("auth")
    assert files.keys == {}


async def test_no_two_keys_are_the_same(tmp_path: Path) -> None:
    made, _ = keeper(tmp_path, MemoryPlace())
    (one, first), (two, second) = await made.create("auth"), await made.create("auth")
    assert one.id != two.id
    assert not first.same_as(second)


async def test_a_key_file_is_private_and_comes_back(tmp_path: Path) -> None:
    ear = Ear()
    state = tmp_path / "state"
    made = KeyKeeper(state, custody=custody_of(ear), preferred="file")
    location, key = await made.create("auth")
    path = state / f"{location.id}.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert key.kind == "sealing-key"
    assert path.read_text().strip() in ear.learnt
    other = KeyKeeper(state, custody=custody_of(Ear()))
    assert key.same_as(await other.read(location))
    await other.destroy(location)
    assert not path.exists()
    await other.destroy(location)


@pytest.mark.parametrize(
    "damage", [b"", b"short\n", b"\xff" * 44, b"A" * 43 + b"=\n\n", b"A" * 42 + b"B=\n"]
)
async def test_a_damaged_key_file_is_told(tmp_path: Path, damage: bytes) -> None:
    """H-E3."""
    place = FilePlace(tmp_path, custody=custody_of(Ear()))
    path = place.path("auth-0123456789abcdef")
    path.write_bytes(damage)
    path.chmod(0o600)
    with pytest.raises(KeyUnavailable, match="holds no sealing key") as caught:
        await place.read("auth-0123456789abcdef")
    assert (caught.value.why, caught.value.code) == ("lost", Code.STORE_CORRUPT)
    assert path.read_bytes() == damage


async def test_a_key_file_others_can_read_is_refused(tmp_path: Path) -> None:
    """H-E2."""
    made = KeyKeeper(tmp_path, custody=custody_of(Ear()), preferred="file")
    location, _ = await made.create("auth")
    (tmp_path / f"{location.id}.key").chmod(0o644)
    with pytest.raises(UnsafeFile):
        await made.read(location)


async def test_a_place_that_gives_another_key_back_is_not_trusted(tmp_path: Path) -> None:
    """H-E3."""
    place = FilePlace(tmp_path, custody=custody_of(Ear()))
    custody = custody_of(Ear())
    made = KeyKeeper(tmp_path, custody=custody, preferred="file")
    _, first = await made.create("auth")
    location, _ = await made.create("auth")
    # The name is taken, so the second writing keeps the first one's value.
    with pytest.raises(KeyUnavailable, match="came back changed") as caught:
        await place.write(location.id, first)
    assert caught.value.why == "failed"


async def test_no_session_bus_is_an_absent_key_ring(monkeypatch: pytest.MonkeyPatch) -> None:
    """H-E3."""
    if sys.platform in {"darwin", "win32"}:
        pytest.skip("this platform has a key ring without D-Bus")
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)
    place = KeyringPlace(custody=custody_of(Ear()))
    for _ in range(2):
        with pytest.raises(KeyUnavailable, match="no key ring in this session") as caught:
            await place.read("auth-0123456789abcdef")
        assert caught.value.why == "absent"
        assert "DBUS_SESSION_BUS_ADDRESS is unset" in str(caught.value)


async def test_a_dead_session_bus_is_an_absent_key_ring(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """H-E3."""
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", f"unix:path={tmp_path}/no-bus")
    with pytest.raises(KeyUnavailable) as caught:
        await KeyringPlace(custody=custody_of(Ear())).read("auth-0123456789abcdef")
    assert caught.value.why == "absent"


async def test_a_location_names_its_place(tmp_path: Path) -> None:
    made, files = keeper(tmp_path, MemoryPlace("locked"))
    location = KeyLocation(location="keyring", id="auth-0123456789abcdef")
    with pytest.raises(KeyUnavailable, match="locked"):
        await made.read(location)
    assert files.keys == {}
