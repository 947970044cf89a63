"""The first sign-in of an installation: a person is led through it, anyone else is told how."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sandbox.running import running_sandbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.roads.traveller import Traveller
    from tests.sandbox.running import SandboxHandle

pytestmark = pytest.mark.slow

DOWN = "\x1b[B"


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[SandboxHandle]:
    async with running_sandbox(tmp_path, auto_approve=True) as running:
        yield running


async def test_the_sandbox_is_a_key_press_away(person: Traveller, sandbox: SandboxHandle) -> None:
    async with person.types("login", "--device") as terminal:
        await terminal.until("Where do you want to sign in?")
        await terminal.until("3. The local sandbox")
        await terminal.send("3")
        await terminal.send_line()
        await terminal.until("Return alone goes on without it.")
        await terminal.send_line()
        assert await terminal.exit_status() == 0
        assert "Authenticated as Alice Marin" in terminal.transcript()

    assert person.traces_of(await sandbox.issued()) == []


async def test_another_server_is_added_and_registered_at(
    person: Traveller, sandbox: SandboxHandle
) -> None:
    async with person.types("login", "--device") as terminal:
        await terminal.until("2. Another OAuth 2.1 server")
        await terminal.send(DOWN)
        await terminal.send_line()
        await terminal.until("Issuer")
        await terminal.send_line("http://auth.example.com")
        await terminal.until("only https is used")
        await terminal.send_line(sandbox.url)
        await terminal.until("Client ID there")
        await terminal.send_line()
        assert await terminal.exit_status() == 0

    (added,) = (await person.asks("provider", "list"))["providers"]
    assert (added["issuer"], added["registered"]) == (sandbox.url, True)
    assert person.traces_of(await sandbox.issued()) == []


async def test_ctrl_c_ends_it_at_each_question(person: Traveller) -> None:
    async with person.types("login") as terminal:
        before = terminal.modes()
        await terminal.until("2. Another OAuth 2.1 server")
        await terminal.interrupt()
        assert await terminal.exit_status() == 130
        assert terminal.modes() == before

    async with person.types("login") as terminal:
        await terminal.until("2. Another OAuth 2.1 server")
        await terminal.send(DOWN)
        await terminal.send_line()
        await terminal.until("Issuer")
        await terminal.interrupt()
        assert await terminal.exit_status() == 130
        assert terminal.modes() == before

    assert not (person.config / "auth.conf").exists()


async def test_atlassian_needs_an_app_and_says_how_to_make_one(person: Traveller) -> None:
    async with person.types("login") as terminal:
        await terminal.until("1. Atlassian")
        await terminal.send_line()
        shown = await terminal.until("Client ID:")
        assert "http://127.0.0.1:8716/callback" in shown
        assert "read:jira-work" in shown
        assert "in a prompt that shows nothing" in shown
        await terminal.interrupt()
        assert await terminal.exit_status() == 130


async def test_who_cannot_be_asked_is_told_the_command(person: Traveller) -> None:
    """An agent is refused before that; a job without a terminal gets CONFIG."""
    person.more["TWG_AGENT"] = "1"
    assert (await person.asks("login", status=79))["code"] == "HUMAN_REQUIRED"
