"""Bitbucket's token on a person's road: asked for at the terminal, checked at the sandbox, used."""

from __future__ import annotations

import json
import re
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.rigs.pages import make_bitbucket_token_on_sandbox, sign_in_on_sandbox
from tests.rigs.waiting import comes_true
from tests.sandbox.visiting import Visitor
from tests.vault.samples import store_at
from twg.products.bitbucket import COMMON_SCOPES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.rigs.browser import Browser
    from tests.rigs.terminal import Terminal
    from tests.roads.traveller import Traveller
    from tests.sandbox.running import SandboxHandle

pytestmark = pytest.mark.slow

ASKED = "Paste the Bitbucket API token"
EMAIL_ASKED = re.compile(r"E-mail address of the account it belongs to.*: ?$")
WORKSPACES = "ATCTT3xFfGN0" + "Example1" * 8 + "=0123ABCD"
UNKNOWN = "ATATT3xFfGF0" + "Example1" * 8 + "=0123ABCD"


@asynccontextmanager
async def signing_in(
    person: Traveller, sandbox: SandboxHandle, *words: str, name: str = "alice"
) -> AsyncIterator[Terminal]:
    """Run `twg login --sandbox` and consent to it as `name`; the terminal is at what follows."""
    before = len(person.browser.opened_urls())
    async with person.types("login", "--sandbox", *words, columns=200) as terminal:
        assert await comes_true(lambda: len(person.browser.opened_urls()) > before, 30)
        path = person.browser.opened_urls()[before].removeprefix(sandbox.url)
        async with Visitor(sandbox.url) as visitor:
            page = await visitor.sign_in(path, name)
            agreed = await visitor.submit(page, path, decision="accept")
            await visitor.http.get(agreed.headers["location"])
        yield terminal


async def signs_in(person: Traveller, sandbox: SandboxHandle, *words: str, name: str) -> str:
    """Sign in where nothing is asked afterwards; return what was shown."""
    async with signing_in(person, sandbox, *words, name=name) as terminal:
        assert await terminal.exit_status() == 0
        return terminal.transcript()


async def made(sandbox: SandboxHandle, *scopes: str) -> str:
    """Make a token of Alice's on the sandbox's page."""
    path = "/account/api-tokens"
    async with Visitor(sandbox.url) as visitor:
        page = await visitor.sign_in(path)
        shown = await visitor.submit(page, path, label="twg", scope=list(scopes))
    found = re.search(r'<code id="token">([^<]+)</code>', shown.text)
    assert found
    return found[1]


async def enter(terminal: Terminal, token: str, email: str = "", *, times: int = 1) -> None:
    """Paste a token at the question that is asked for the `times`th time, then an address."""
    await asked(terminal, times)
    await terminal.send_line(token)
    await terminal.until(EMAIL_ASKED)
    await terminal.send_line(email)


async def asked(terminal: Terminal, times: int = 1) -> None:
    """Wait until a token is asked for, and hidden."""
    assert await comes_true(lambda: terminal.transcript().count(ASKED) == times, 30)
    await terminal.until_modes(lambda modes: not modes.echo)


async def ends(person: Traveller) -> None:
    """Have the person's sign-in expired, and refused when it was to be renewed."""
    store = store_at(person.root)
    found = await store.read("default")
    assert found is not None
    tokens = replace(found.tokens, issued_at=found.tokens.issued_at - 7200, boot_id=None)
    await store.save(replace(found, tokens=tokens, refused="ended there"), expected=None)


async def asked_bitbucket(sandbox: SandboxHandle) -> int:
    """Return how often the sandbox's Bitbucket was asked who somebody is."""
    return int((await sandbox.stats())["requests"].get("GET /2.0/user", 0))


async def test_the_whole_road_with_bitbucket(
    person: Traveller, sandbox: SandboxHandle, browser: Browser
) -> None:
    """Sign in, make a token in the browser, use it, sign out; and it is left nowhere."""
    async with person.types("login", "--sandbox", columns=120) as terminal:
        url = await person.browser.opened_url()
        await sign_in_on_sandbox(browser, url, "alice", "alicepass")
        await asked(terminal)
        shown = terminal.transcript()
        assert "✔ Authentication successful!" in shown, "that is told before anything is asked"
        assert all(scope in shown for scope in COMMON_SCOPES)
        page = re.search(r"http://127\.0\.0\.1:\d+/account/api-tokens", shown)
        assert page
        token = await make_bitbucket_token_on_sandbox(browser, page[0])
        await enter(terminal, token)
        assert await terminal.exit_status() == 0
        assert terminal.echo_is_on()
        shown = terminal.transcript()
    assert "[alice@sandbox.example]" in shown
    assert "✔ Bitbucket takes the token as Alice Marin (sandbox)" in shown
    assert "It may: read:project:bitbucket, read:pullrequest:bitbucket" in shown
    assert "It lacks, of the usual: write:repository:bitbucket" in shown

    path = "/2.0/repositories/harbor-works"
    assert (await person.asks("api", "bitbucket", path))["size"] == 13
    person.more["TWG_AGENT"] = "1"
    assert (await person.asks("api", "bitbucket", path))["size"] == 13
    assert (await person.asks("setup", "bitbucket", "--force", status=79))["code"] == (
        "HUMAN_REQUIRED"
    )
    del person.more["TWG_AGENT"]

    status = await person.asks("auth", "status")
    assert status["bitbucket"]["email"] == "alice@sandbox.example"
    doctor = {one["name"]: one for one in (await person.asks("doctor"))["checks"]}
    assert doctor["bitbucket"]["status"] == "ok"

    left = await person.gets("logout")
    assert f"until you revoke it by hand: {sandbox.url}/account/api-tokens" in left
    gone = await person.asks("api", "bitbucket", path, status=77)
    assert "`twg setup bitbucket`" in gone["remediation"]

    assert await sandbox.issued("bitbucket") == [token]
    assert person.traces_of(await sandbox.issued()) == []
    assert {"secret.entered", "secret.revealed", "credential.removed"} <= set(person.audit_events())


async def test_an_account_without_bitbucket_is_not_asked(
    person: Traveller, sandbox: SandboxHandle
) -> None:
    shown = await signs_in(person, sandbox, name="bob")

    assert "This account has no Bitbucket" in shown
    assert ASKED not in shown


async def test_return_alone_leaves_it_out(person: Traveller, sandbox: SandboxHandle) -> None:
    async with signing_in(person, sandbox) as terminal:
        await asked(terminal)
        await terminal.send_line()
        assert await terminal.exit_status() == 0
        assert "`twg setup bitbucket` adds it" in terminal.transcript()

    assert (await person.asks("auth", "status"))["bitbucket"] is None
    assert await asked_bitbucket(sandbox) == 0


async def test_no_bitbucket_asks_nothing(person: Traveller, sandbox: SandboxHandle) -> None:
    shown = await signs_in(person, sandbox, "--no-bitbucket", name="alice")

    assert "Bitbucket" not in shown
    assert "POST /accessible-products" not in (await sandbox.stats())["requests"]


async def test_a_wrong_token_then_the_right_one(person: Traveller, sandbox: SandboxHandle) -> None:
    token = await made(sandbox, *COMMON_SCOPES)
    unscoped = await made(sandbox)
    async with signing_in(person, sandbox) as terminal:
        await asked(terminal)
        await terminal.send_line(WORKSPACES)
        await terminal.until("an access token of a workspace")
        await enter(terminal, unscoped, times=2)
        await terminal.until("has no scopes, or is another account's")
        await enter(terminal, token, times=3)
        assert await terminal.exit_status() == 0
        shown = terminal.transcript()
    assert "It lacks" not in shown
    assert await asked_bitbucket(sandbox) == 2, "another kind is told by its looks"

    assert (await person.asks("api", "bitbucket", "/user"))["nickname"] == "alice"
    assert person.traces_of([*await sandbox.issued(), WORKSPACES]) == []


async def test_wrong_tokens_alone_do_not_lose_the_sign_in(
    person: Traveller, sandbox: SandboxHandle
) -> None:
    """PARTIAL: it is kept, and the person is told how to go on with the rest; then they do."""
    async with signing_in(person, sandbox) as terminal:
        for time in (1, 2, 3):
            await enter(terminal, UNKNOWN, times=time)
        assert await terminal.exit_status() == 3
        shown = terminal.transcript()
    assert "the sign-in is kept" in shown
    assert "Go on with `twg setup bitbucket`." in shown
    assert (await person.asks("auth", "status"))["state"] == "fresh"

    async with person.types("setup", "bitbucket") as terminal:
        await enter(terminal, await made(sandbox, *COMMON_SCOPES))
        assert await terminal.exit_status() == 0
    assert (await person.asks("api", "bitbucket", "/user"))["nickname"] == "alice"
    assert person.traces_of([*await sandbox.issued(), UNKNOWN]) == []


async def test_with_json_what_failed_comes_with_what_did_not(
    person: Traveller, sandbox: SandboxHandle
) -> None:
    async with signing_in(person, sandbox, "-o", "json") as terminal:
        for time in (1, 2, 3):
            await asked(terminal, time)
            await terminal.send_line(WORKSPACES)
        assert await terminal.exit_status() == 3
        shown = terminal.transcript()

    document = json.loads(shown[shown.index("\n{") :])
    assert document["error"]["code"] == "PARTIAL"
    assert "`twg setup bitbucket`" in document["error"]["remediation"]
    assert "an access token of a workspace" in document["data"]["failures"]["Bitbucket"]
    assert document["data"]["account"]["name"] == "Alice Marin (sandbox)"


async def test_ctrl_c_at_the_question_does_not_lose_the_sign_in(
    person: Traveller, sandbox: SandboxHandle
) -> None:
    async with signing_in(person, sandbox) as terminal:
        await asked(terminal)
        await terminal.interrupt()
        assert await terminal.exit_status() == 130
        assert terminal.echo_is_on()
        shown = terminal.transcript()
    assert "the sign-in is kept" in shown
    assert "Nothing was saved" not in shown

    assert (await person.asks("auth", "status"))["state"] == "fresh"


async def test_a_later_sign_in_keeps_it_and_force_replaces_it(
    person: Traveller, sandbox: SandboxHandle
) -> None:
    """By `login --force` or `setup bitbucket --force`, and by nothing else."""
    first, second, third = [await made(sandbox, *COMMON_SCOPES[:n]) for n in (1, 2, 3)]

    async def scopes() -> int:
        return len((await person.asks("auth", "status"))["bitbucket"]["scopes"])

    async with signing_in(person, sandbox) as terminal:
        await enter(terminal, first)
        assert await terminal.exit_status() == 0
    assert "Already signed in" in await person.gets("login")
    await ends(person)
    later = await signs_in(person, sandbox, name="alice")
    assert "signing in anew" in later
    assert "✔ The Bitbucket token of alice@sandbox.example is kept." in later
    assert ASKED not in later

    async with signing_in(person, sandbox, "--force") as terminal:
        await asked(terminal)
        await terminal.send_line()
        assert await terminal.exit_status() == 0
        assert "is kept" in terminal.transcript()
    assert await scopes() == 1
    async with signing_in(person, sandbox, "--force") as terminal:
        await enter(terminal, second)
        assert await terminal.exit_status() == 0
    assert await scopes() == 2

    assert "it is kept" in await person.gets("setup", "bitbucket")
    async with person.types("setup", "bitbucket", "--force") as terminal:
        await enter(terminal, third)
        assert await terminal.exit_status() == 0
    assert await scopes() == 3
    assert person.traces_of(await sandbox.issued()) == []


async def test_it_is_set_up_without_a_sign_in(person: Traveller, sandbox: SandboxHandle) -> None:
    """Then the address is asked for, and one that is not the account's is told."""
    token = await made(sandbox, *COMMON_SCOPES)
    words = ["setup", "bitbucket", "--sandbox", "--profile", "work"]
    async with person.types(*words, columns=200) as terminal:
        await asked(terminal)
        await terminal.send_line()
        await terminal.until("nothing was entered")
        await asked(terminal, 2)
        await terminal.send_line(token)
        await terminal.until(EMAIL_ASKED)
        await terminal.send_line("bob@sandbox.example")
        await terminal.until("or is another account's")
        await enter(terminal, token, "alice@sandbox.example", times=3)
        assert await terminal.exit_status() == 0
        shown = terminal.transcript()
    assert "[bob@sandbox.example]" in shown, "what was entered is proposed again"

    who = await person.asks("api", "bitbucket", "/user", "--profile", "work")
    assert who["display_name"] == "Alice Marin (sandbox)"
    await person.asks("auth", "status", "--profile", "work", status=77)

    before = (await store_at(person.root).summaries()).bitbucket["work"]
    async with person.types(*words, "--force", columns=200) as terminal:
        await enter(terminal, token)
        assert await terminal.exit_status() == 0
        assert "[alice@sandbox.example]" in terminal.transcript()
    after = (await store_at(person.root).summaries()).bitbucket["work"]
    assert after.saved_at == before.saved_at, "the same token ends no later"
    assert person.traces_of(await sandbox.issued()) == []


async def test_another_accounts_token_is_told(person: Traveller, sandbox: SandboxHandle) -> None:
    async with person.types("setup", "bitbucket", "--sandbox") as terminal:
        await enter(terminal, await made(sandbox, *COMMON_SCOPES), "alice@sandbox.example")
        assert await terminal.exit_status() == 0

    shown = await signs_in(person, sandbox, name="bob")

    assert "The Bitbucket token of alice@sandbox.example is kept" in shown
    assert "another account than the one signed in" in shown


async def test_with_json_there_is_one_document(person: Traveller, sandbox: SandboxHandle) -> None:
    async with signing_in(person, sandbox, "-o", "json") as terminal:
        await enter(terminal, await made(sandbox, *COMMON_SCOPES))
        assert await terminal.exit_status() == 0
        shown = terminal.transcript()

    data = json.loads(shown[shown.index("\n{") :])["data"]
    assert data["kept"] is False
    assert data["bitbucket"]["name"] == "Alice Marin (sandbox)"
