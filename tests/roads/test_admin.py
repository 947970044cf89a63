"""An organization's Admin API key, from the page where it is made to the call that carries it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from tests.rigs.keyring_session import keyring_session
from tests.rigs.pages import make_admin_key_on_sandbox
from tests.roads.traveller import traveller
from tests.sandbox.running import running_sandbox
from twg.sandbox.people import ALICE, ORG_ID, ORGS, OTHER_ORG_ID

if TYPE_CHECKING:
    from pathlib import Path

    from tests.rigs.browser import Browser
    from tests.roads.traveller import Traveller

pytestmark = pytest.mark.slow


async def enter(person: Traveller, key: str, org: str) -> str:
    """Enter a key at the hidden prompt; return what the terminal showed."""
    words = ["admin", "auth", "login", "--sandbox", "--email", ALICE.email, "--org", org]
    async with person.types(*words, columns=300) as terminal:
        await terminal.until(re.compile(r"Paste the Admin API key .*\n> *$"))
        await terminal.send_line(key)
        assert await terminal.exit_status() == 0, terminal.transcript()
        return terminal.transcript()


async def test_two_organizations_beside_a_sign_in(tmp_path: Path, browser: Browser) -> None:
    """Both keys made on the page; the two files have a key of their own each in the key ring."""
    async with (
        running_sandbox(tmp_path, auto_approve=True) as sandbox,
        keyring_session("unlocked") as session,
    ):
        person = traveller(tmp_path, **session.env)
        await person.gets("login", "--sandbox", "--device", "--no-bitbucket")
        for org, name in ORGS.items():
            key = await make_admin_key_on_sandbox(
                browser, sandbox.url, ALICE.username, ALICE.password, name
            )
            shown = await enter(person, key, org)
            assert f"✔ The key works for {name} ({org})." in shown
            assert "the key is in your system's key ring" in shown
        assert (await person.asks("admin", "auth", "status"))["org"] == ORG_ID
        await person.gets("admin", "auth", "switch", OTHER_ORG_ID)
        users = await person.asks("api", "admin", f"/v1/orgs/{OTHER_ORG_ID}/users")
        assert ALICE.email in {one["email"] for one in users["data"]}
        assert (await person.asks("api", "atlassian", "/me"))["email"] == ALICE.email
        kept = {one.attributes.get("username") for one in await session.secrets()}
        issued = await sandbox.issued()

    keys = {
        json.loads((person.config / f"{name}.conf").read_text())["header"]["key"]["id"]
        for name in ("auth", "admin")
    }
    assert len(keys) == 2
    assert keys <= kept
    assert person.traces_of(issued) == []
