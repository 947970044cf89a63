"""Where the sealing key lives: in an unlocked key ring, in a file, and never at a hanging one's."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.rigs.keyring_session import keyring_session
from tests.roads.traveller import traveller
from tests.sandbox.running import running_sandbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.roads.traveller import Traveller
    from tests.sandbox.running import SandboxHandle

pytestmark = pytest.mark.slow


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[SandboxHandle]:
    async with running_sandbox(tmp_path, auto_approve=True) as running:
        yield running


async def sign_in(person: Traveller) -> str:
    """Sign in with a code that the sandbox approves by itself."""
    return await person.gets("login", "--sandbox", "--device", "--no-bitbucket")


async def test_an_unlocked_key_ring_keeps_the_key(tmp_path: Path, sandbox: SandboxHandle) -> None:
    async with keyring_session("unlocked") as session:
        person = traveller(tmp_path, **session.env)
        assert "the key is in your system's key ring" in await sign_in(person)
        kept = await session.secrets()

    header = json.loads((person.config / "auth.conf").read_text())["header"]
    assert header["key"]["location"] == "keyring"
    assert header["key"]["id"] in {one.attributes.get("username") for one in kept}
    assert list(person.state.glob("*.key")) == [person.state / "audit.key"]
    assert person.traces_of([one.secret.decode() for one in kept]) == []
    assert person.traces_of(await sandbox.issued()) == []


async def test_without_a_key_ring_the_key_is_in_a_private_file(
    tmp_path: Path, sandbox: SandboxHandle
) -> None:
    async with keyring_session("absent") as session:
        person = traveller(tmp_path, **session.env)
        shown = await sign_in(person)
        doctor = await person.gets("doctor", "--offline")

    assert "the key is in the private file" in shown
    assert "twg doctor" in shown
    assert "A key ring would protect the key better: there is no key ring" in doctor
    keys = list(person.state.glob("auth-*.key"))
    assert [path.stat().st_mode & 0o777 for path in keys] == [0o600]
    assert person.traces_of(await sandbox.issued()) == []


async def test_a_hanging_key_ring_hangs_nothing(tmp_path: Path, sandbox: SandboxHandle) -> None:
    """It is left behind after its time, and the person is told (H-E3)."""
    async with keyring_session("stopped") as session:
        person = traveller(tmp_path, **session.env)
        person.config.mkdir(mode=0o700)
        settings = person.config / "config.toml"
        settings.touch(mode=0o600)
        settings.write_text("[storage]\nkeyring_seconds = 1\n")
        await sign_in(person)
        doctor = await person.gets("doctor", "--offline")

    assert "did not answer within 1 second" in doctor
    assert len(list(person.state.glob("auth-*.key"))) == 1
    assert person.traces_of(await sandbox.issued()) == []


async def test_a_key_ring_that_hangs_later_keeps_the_sign_in(
    tmp_path: Path, sandbox: SandboxHandle
) -> None:
    """The key may come back, so the file stays, and says so (H-E3)."""
    async with keyring_session("unlocked") as session:
        person = traveller(tmp_path, **session.env)
        await sign_in(person)
        settings = person.config / "config.toml"
        settings.touch(mode=0o600)
        settings.write_text("[storage]\nkeyring_seconds = 1\n")
        before = (person.config / "auth.conf").read_bytes()
        session.stop_daemon()

        error = await person.asks("api", "atlassian", "/me", status=74)
        assert error["code"] == "STORE_CORRUPT"
        assert "did not answer" in error["message"]
        await person.asks("login", "--sandbox", "--device", status=74)
        assert (person.config / "auth.conf").read_bytes() == before

        session.resume_daemon()
        assert (await person.asks("api", "atlassian", "/me"))["email"]
    assert person.traces_of(await sandbox.issued()) == []


async def test_the_key_is_moved_out_of_the_key_ring_and_back(
    tmp_path: Path, sandbox: SandboxHandle
) -> None:
    """Each time a new one, and the old one gone; a hanging key ring changes nothing (H-E3)."""
    async with keyring_session("unlocked") as session:
        person = traveller(tmp_path, **session.env)
        await sign_in(person)
        first = [one.secret.decode() for one in await session.secrets()]
        assert "it opens with your session alone" in await person.gets("auth", "storage")

        told = await person.gets("auth", "storage", "file")
        assert "auth.conf is sealed with a new key, which is in a private file." in told
        assert "The old one, in your system's key ring, is gone." in told
        assert await session.secrets() == []
        (file,) = person.state.glob("auth-*.key")
        second = file.read_text().strip()
        assert (await person.asks("api", "atlassian", "/me"))["email"]

        settings = person.config / "config.toml"
        settings.touch(mode=0o600)
        settings.write_text("[storage]\nkeyring_seconds = 1\n")
        session.stop_daemon()
        error = await person.asks("auth", "storage", "keyring", status=78)
        assert "the key ring did not answer within 1 second" in error["message"]
        assert list(person.state.glob("*.moving")) == []
        session.resume_daemon()

        settings.write_text("[storage]\nkeyring_seconds = 30\n")
        data = await person.asks("auth", "storage", "keyring")
        assert [(one["key"], one["moved"]) for one in data["stores"]] == [("keyring", True)]
        (third,) = [one.secret.decode() for one in await session.secrets()]
        assert (await person.asks("api", "atlassian", "/me"))["email"]

    assert len({first[0], second, third}) == 3
    assert list(person.state.glob("auth-*.key")) == []
    assert person.audit_events().count("key.moved") == 2
    assert person.traces_of([first[0], second, third, *await sandbox.issued()]) == []


async def test_uninstall_takes_its_keys_out_of_the_key_ring(
    tmp_path: Path, sandbox: SandboxHandle
) -> None:
    """One that hangs keeps everything (H-E3); else the sandbox goes, too."""
    async with keyring_session("unlocked") as session:
        person = traveller(tmp_path, **session.env)
        await sign_in(person)
        settings = person.config / "config.toml"
        settings.touch(mode=0o600)
        settings.write_text("[storage]\nkeyring_seconds = 1\n")
        (kept,) = await session.secrets()
        issued = await sandbox.issued()
        before = (person.config / "auth.conf").read_bytes()
        session.stop_daemon()
        assert "did not answer within 1 second" in await uninstall(person, status=74)
        assert (person.config / "auth.conf").read_bytes() == before
        session.resume_daemon()

        settings.write_text("[storage]\nkeyring_seconds = 30\n")
        shown = await uninstall(person, status=0)
        assert f"the sealing key {kept.attributes['username']} in your system's key ring" in shown
        assert await session.secrets() == []

    assert [path.name for path in person.config.iterdir()] == ["config.toml"]
    assert not person.state.exists()
    assert person.traces_of([kept.secret.decode(), *issued]) == []


async def uninstall(person: Traveller, *, status: int) -> str:
    async with person.types("uninstall", columns=400) as terminal:
        await terminal.until("Remove all this, y or n")
        await terminal.send_line("y")
        assert await terminal.exit_status() == status
        return terminal.transcript()
