"""The browser rig on pages of its own, and the clicks a person makes on the sandbox's."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from tests.rigs.browser import BrowserError
from tests.rigs.client import DEVICE_GRANT, Client, callback_listener, parameters_of
from tests.rigs.pages import (
    approve_device_on_sandbox,
    deny_device_on_sandbox,
    sign_in_on_sandbox,
)
from tests.sandbox.running import running_sandbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.rigs.browser import Browser

pytestmark = pytest.mark.slow

PAGE = """<title>t</title><input id=name value=old><button id=go>Go</button><p id=out></p>
<script>document.querySelector('#go').onclick = () => setTimeout(() => {
  document.querySelector('#out').textContent = 'Hello ' + document.querySelector('#name').value;
}, 100)</script>"""
SCOPE = "offline_access read:me read:jira-work"


@pytest.fixture
async def redirect_uri() -> AsyncIterator[str]:
    async with callback_listener() as uri:
        yield uri


async def test_it_types_clicks_and_waits(browser: Browser, tmp_path: Path) -> None:
    await browser.go("data:text/html," + quote(PAGE))
    await browser.type("#name", "Ada")
    await browser.click("#go")
    assert "Hello Ada" in await browser.until_text("Hello .+")
    assert await (await browser.find("#out")).text() == "Hello Ada"
    assert "<p id=" in await browser.source()
    await browser.resize(400, 800)
    await browser.screenshot(tmp_path / "page.png")
    assert (tmp_path / "page.png").read_bytes().startswith(b"\x89PNG")


async def test_what_never_comes_shows_the_page(browser: Browser) -> None:
    await browser.go("data:text/html,<p>only this")
    with pytest.raises(AssertionError, match="only this"):
        await browser.find("#missing", patience=0.3)
    with pytest.raises(BrowserError, match="javascript error"):
        await browser.run("throw new Error('made up')")


async def test_it_knows_no_host_but_this_one(browser: Browser, redirect_uri: str) -> None:
    await browser.go(redirect_uri)
    elsewhere = redirect_uri.replace("127.0.0.1", "elsewhere.localhost")  # resolves by itself
    with pytest.raises(BrowserError, match="ERR_NAME_NOT_RESOLVED"):
        await browser.go(elsewhere)


@pytest.mark.parametrize("site", [None, "orchard"])
async def test_signing_in_on_the_sandbox(
    browser: Browser, redirect_uri: str, tmp_path: Path, site: str | None
) -> None:
    async with running_sandbox(tmp_path) as sandbox:
        client = Client(sandbox.url, "twg-sandbox", redirect_uri, scope=SCOPE)
        url = client.authorize_url("/authorize")
        landed = await sign_in_on_sandbox(browser, url, "alice", "alicepass", site)
        assert landed.startswith(redirect_uri)
        back = parameters_of(landed)
        assert (back["state"], back["iss"]) == (client.state, sandbox.url)
        assert back["code"] in await sandbox.issued("code")


async def test_a_device_on_the_sandbox(browser: Browser, tmp_path: Path) -> None:
    async with running_sandbox(tmp_path) as sandbox:
        client = Client(sandbox.url, "twg-sandbox", scope=SCOPE)
        started = (await client.post("/oauth/device/code", scope=SCOPE)).json()
        person = ("alice", "alicepass")
        typed = {"user_code": started["user_code"]}
        await approve_device_on_sandbox(browser, started["verification_uri"], *person, **typed)
        granted = await client.post(
            "/oauth/token", grant_type=DEVICE_GRANT, device_code=started["device_code"]
        )
        assert granted.status_code == 200, granted.text
        other = (await client.post("/oauth/device/code", scope=SCOPE)).json()
        await deny_device_on_sandbox(browser, other["verification_uri_complete"], *person)
        denied = await client.post(
            "/oauth/token", grant_type=DEVICE_GRANT, device_code=other["device_code"]
        )
        assert re.search("access_denied", denied.text)
