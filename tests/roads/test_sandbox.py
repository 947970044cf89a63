"""The whole road on the sandbox, its own pages clicked in a real browser."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.rigs.pages import approve_device_on_sandbox, deny_device_on_sandbox, sign_in_on_sandbox
from tests.rigs.waiting import comes_true

if TYPE_CHECKING:
    from tests.rigs.browser import Browser
    from tests.roads.traveller import Traveller
    from tests.sandbox.running import SandboxHandle

pytestmark = pytest.mark.slow


async def sign_in(
    person: Traveller, browser: Browser, *words: str, name: str = "alice", site: str | None = None
) -> str:
    """Sign in by `twg login --sandbox` and the sandbox's pages; return what the terminal showed."""
    before = len(person.browser.opened_urls())
    async with person.types("login", "--sandbox", "--no-bitbucket", *words) as terminal:
        await terminal.until("Waiting for you in the browser")
        assert await comes_true(lambda: len(person.browser.opened_urls()) > before, 30)
        url = person.browser.opened_urls()[before]
        await sign_in_on_sandbox(browser, url, name, f"{name}pass", site)
        await browser.until_text("Signed in")
        assert await terminal.exit_status() == 0
        return terminal.transcript()


async def test_the_whole_road(person: Traveller, sandbox: SandboxHandle, browser: Browser) -> None:
    """Sign in, look, call, let it expire, renew, sign out; and nothing is left anywhere."""
    shown = await sign_in(person, browser, site="Orchard")
    assert "✔ Authentication successful!" in shown
    assert "✔ Authenticated as Alice Marin (sandbox) on orchard.sandbox.example" in shown
    assert "30 days" in shown

    status = await person.asks("auth", "status")
    assert status["site"] == "orchard.sandbox.example"
    assert status["state"] == "fresh"
    assert (await person.asks("auth", "list"))["active"] == "default"

    issues = await person.asks("api", "jira", "/rest/api/3/search?jql=project=ORC&maxResults=2")
    assert [one["key"].partition("-")[0] for one in issues["issues"]] == ["ORC", "ORC"]
    spaces = await person.asks("api", "confluence", "/wiki/api/v2/spaces")
    assert spaces["results"]

    await sandbox.expire()
    assert (await person.asks("api", "jira", "/rest/api/3/myself"))["displayName"]
    assert (await sandbox.stats())["grants"]["refresh_token"] == 1

    doctor = await person.asks("doctor")
    assert {one["name"]: one["status"] for one in doctor["checks"]}["sign-in"] == "ok"

    newest = [(await sandbox.issued(kind))[-1] for kind in ("access", "refresh")]
    assert [await sandbox.token_active(token) for token in newest] == [True, True]
    await person.gets("logout")
    assert [await sandbox.token_active(token) for token in newest] == [False, False]
    assert (await person.asks("api", "jira", "/rest/api/3/myself", status=77))["code"] == (
        "AUTH_REQUIRED"
    )
    assert person.traces_of(await sandbox.issued()) == []


async def test_device_flow(person: Traveller, sandbox: SandboxHandle, browser: Browser) -> None:
    async with person.types("login", "--sandbox", "--device") as terminal:
        shown = await terminal.until(re.compile(r"Enter\s+(\S+-\S+)"))
        code = re.search(r"Enter\s+(\S+)", shown)
        assert code
        await approve_device_on_sandbox(
            browser, f"{sandbox.url}/oauth/activate", "bob", "bobpass", user_code=code[1]
        )
        assert await terminal.exit_status() == 0
        assert "Bob Ferrier" in terminal.transcript()

    assert (await person.asks("api", "atlassian", "/me"))["email"] == "bob@sandbox.example"
    await person.gets("logout")
    assert person.traces_of(await sandbox.issued()) == []


async def test_a_device_that_is_denied(
    person: Traveller, sandbox: SandboxHandle, browser: Browser
) -> None:
    async with person.types("login", "--sandbox", "--device") as terminal:
        shown = await terminal.until(re.compile(r"Enter\s+(\S+-\S+)"))
        code = re.search(r"Enter\s+(\S+)", shown)
        assert code
        await deny_device_on_sandbox(
            browser, f"{sandbox.url}/oauth/activate", "bob", "bobpass", user_code=code[1]
        )
        assert await terminal.exit_status() == 77
        assert "declined" in terminal.transcript()


async def test_a_sign_in_that_works_is_kept_and_force_replaces_it(
    person: Traveller, sandbox: SandboxHandle, browser: Browser
) -> None:
    """The tokens that a new sign-in replaces are revoked once the new ones are kept."""
    await sign_in(person, browser)
    old = [(await sandbox.issued(kind))[-1] for kind in ("access", "refresh")]

    kept = await person.gets("login", "--sandbox")
    assert "Already signed in" in kept
    assert (await sandbox.stats())["grants"]["authorization_code"] == 1

    await sign_in(person, browser, "--force")
    assert [await sandbox.token_active(token) for token in old] == [False, False]
    assert (await person.asks("api", "jira", "/rest/api/3/myself"))["displayName"]
    assert person.traces_of(await sandbox.issued()) == []


async def test_of_several_sites_one_is_chosen_with_the_arrow_keys(
    person: Traveller, sandbox: SandboxHandle, browser: Browser
) -> None:
    """All sites are consented to; each stays usable, and one is the default."""
    async with person.types("login", "--sandbox", "--no-bitbucket") as terminal:
        url = await person.browser.opened_url()
        await sign_in_on_sandbox(browser, url, "alice", "alicepass", "All of these")
        await terminal.until("Which site is the default one?")
        await terminal.send("\x1b[B")
        await terminal.send_line()
        assert await terminal.exit_status() == 0
        assert "on orchard.sandbox.example" in terminal.transcript()
        assert "It covers another site, too: `twg auth site` lists all" in terminal.transcript()

    path = "/rest/api/3/project/search"
    default = await person.asks("api", "jira", path)
    other = await person.asks("api", "jira", path, "--site", "harbor.sandbox.example")
    assert {one["key"] for one in default["values"]} == {"ORC"}
    assert "HAR" in {one["key"] for one in other["values"]}
    await person.gets("auth", "site", "harbor.sandbox.example")
    assert (await person.asks("api", "jira", path))["values"] == other["values"]
    assert person.traces_of(await sandbox.issued()) == []


async def test_two_profiles_side_by_side(
    person: Traveller, sandbox: SandboxHandle, browser: Browser
) -> None:
    await sign_in(person, browser, name="alice")
    await browser.go(sandbox.url)
    await browser.forget()
    shown = await sign_in(person, browser, "--profile", "bob", name="bob")
    assert "twg auth switch bob" in shown

    assert (await person.asks("api", "atlassian", "/me"))["email"] == "alice@sandbox.example"
    await person.gets("auth", "switch", "bob")
    assert (await person.asks("api", "atlassian", "/me"))["email"] == "bob@sandbox.example"
    assert len((await person.asks("auth", "refresh", "--all", "--force"))["renewed"]) == 2
    await person.gets("logout", "--all")
    assert (await person.asks("auth", "list"))["profiles"] == []


async def test_an_unreachable_provider_keeps_the_sign_in(
    person: Traveller, sandbox: SandboxHandle, browser: Browser
) -> None:
    await sign_in(person, browser)
    issued = await sandbox.issued()
    await person.gets("sandbox", "stop")

    assert (await person.asks("logout", status=69))["code"] == "NETWORK"
    assert (await person.asks("auth", "list"))["active"] == "default"
    assert "on this device only" in await person.gets("logout", "--local-only")
    assert (await person.asks("auth", "list"))["profiles"] == []
    assert person.traces_of(issued) == []
