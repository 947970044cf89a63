"""A sign-in that has ended, met in the midst of a command: a person is asked, nobody else is."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest
from anyio import to_thread

from tests.auth.parts import credential_at, provider_at, walk
from tests.cli.console import SITES
from tests.rigs.surroundings import fake_browser
from tests.rigs.terminal import Terminal
from twg.cli.login import with_site_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.console import Console
    from tests.rigs.surroundings import FakeBrowser
    from tests.sandbox.running import SandboxHandle

QUESTION = "Sign in again now?"
COMMANDS = [["api", "atlassian", "/me"], ["auth", "refresh"]]


@pytest.fixture
def browser(tmp_path: Path) -> FakeBrowser:
    return fake_browser(tmp_path)


@pytest.fixture
def ended(console: Console, sandbox: SandboxHandle, browser: FakeBrowser) -> Console:
    """An installation with a browser, whose sign-in was ended at the sandbox."""
    there = provider_at(sandbox.url, name="box")
    console.sign_in(sandbox, age=7200, refused="ended there", provider=there)
    console.more["BROWSER"] = str(browser.path)
    return console


@pytest.mark.parametrize("words", COMMANDS, ids=["api", "refresh"])
async def test_a_person_signs_in_and_the_command_goes_on(
    ended: Console, browser: FakeBrowser, words: list[str]
) -> None:
    async with Terminal.start(["twg", *words], env=ended.env) as terminal:
        shown = await terminal.until(QUESTION)
        assert "twg: ended there" in shown
        await terminal.send("\r")
        await walk(await browser.opened_url())
        assert await terminal.exit_status() == 0
        shown = terminal.transcript()
    assert "Signed in again" in shown
    assert ("Alice Marin" in shown) == (words[0] == "api")
    listed = await ended.apart_async("auth", "list", "-o", "json")
    assert listed.data["profiles"][0]["state"] == "fresh"


@pytest.mark.parametrize("words", COMMANDS, ids=["api", "refresh"])
async def test_a_person_may_say_no(ended: Console, words: list[str]) -> None:
    async with Terminal.start(["twg", *words], env=ended.env) as terminal:
        await terminal.until(QUESTION)
        await terminal.send("2\r")
        assert await terminal.exit_status() == 77
    assert await to_thread.run_sync(partial(ended.records, "token.issued")) == []


@pytest.mark.parametrize("words", COMMANDS, ids=["api", "refresh"])
async def test_no_one_else_is_asked(ended: Console, words: list[str]) -> None:
    """A job has no terminal, an agent is none to ask, and a program wants its document."""
    job = await to_thread.run_sync(partial(ended.apart, *words, "-o", "text", status=77))
    agent = {**ended.env, "TWG_AGENT": "1"}
    programs = [
        (["twg", *words, "-o", "text"], agent),
        (["twg", *words, "-o", "json"], ended.env),
        (["sh", "-c", f"twg {' '.join(words)} 2>/dev/null"], ended.env),
    ]
    assert "twg login" in job.err
    for argv, env in programs:
        async with Terminal.start(argv, env=env) as terminal:
            assert await terminal.exit_status() == 77
            assert QUESTION not in terminal.transcript()


def test_the_default_site_stays_if_it_is_covered_again() -> None:
    both = replace(credential_at("https://a.example"), sites=SITES, site=SITES[0].host)
    before = replace(both, site=SITES[1].host).summary
    assert with_site_of(before, both).site == SITES[1].host
    one = replace(both, sites=SITES[:1])
    assert with_site_of(before, one) == one
    assert with_site_of(None, both) == both
