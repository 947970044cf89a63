"""`twg setup` on a person's road: through all of it, out in the middle, and on from there."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.rigs.parts import program
from tests.roads.test_bitbucket import ASKED, UNKNOWN, enter, made
from tests.roads.traveller import traveller
from tests.sandbox.running import running_sandbox
from tests.upkeep.programs import played, without
from twg.products.bitbucket import COMMON_SCOPES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.rigs.terminal import Terminal
    from tests.roads.traveller import Traveller
    from tests.sandbox.running import SandboxHandle

pytestmark = pytest.mark.slow

STEPS = ["provider", "sign-in", "bitbucket", "git", "upkeep", "skills", "checks"]
QUESTIONS = ["Sign in now", "Set Bitbucket up now", "Write it", "Make it", "Write them"]
SKILL = ".claude/skills/twg/SKILL.md"


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[SandboxHandle]:
    async with running_sandbox(tmp_path, auto_approve=True) as running:
        yield running


@pytest.fixture
def person(tmp_path: Path) -> Traveller:
    """Somebody with one coding agent, a played cron for their schedule, and no browser here."""
    one = traveller(tmp_path, BROWSER="/nowhere/browser")
    (one.root / "bin").mkdir()
    names = ("systemctl", "launchctl", "crontab", "loginctl")
    one.more["PATH"] = without(one.root / "bin", one.env["PATH"], names)
    played(one.root / "bin", "crontab")
    # It is in the directory of one of those, most likely.
    (one.root / "bin" / "git").symlink_to(program("git"))
    (one.root / "home" / ".claude").mkdir()
    return one


@asynccontextmanager
async def asked(person: Traveller, *words: str, until: str) -> AsyncIterator[Terminal]:
    """Run `twg setup --sandbox`, agreeing to all by Return, up to a question."""
    async with person.types("setup", "--sandbox", *words, columns=400) as terminal:
        for question in QUESTIONS[: QUESTIONS.index(until)]:
            await terminal.until(f"{question}, y or n [y]:")
            await terminal.send_line()
        await terminal.until(f"{until}, y or n [y]:")
        yield terminal


def written(person: Traveller) -> dict[str, bool]:
    """Tell what of all that setup makes is there."""
    home, table = person.root / "home", person.root / "crontab state" / "crontab"
    return {
        "sign-in": (person.config / "auth.conf").exists(),
        "git": (home / ".gitconfig").exists(),
        "upkeep": table.exists() and "twg upkeep run" in table.read_text(),
        "skills": (home / SKILL).exists(),
    }


async def outcomes(person: Traveller, *words: str, status: int = 0) -> dict[str, Any]:
    """Run it where nothing is to be asked any more; return each step's outcome."""
    async with person.types("setup", "--sandbox", *words, "-o", "json", columns=400) as terminal:
        assert await terminal.exit_status() == status, terminal.transcript()
        shown = terminal.transcript()
    data = json.loads(shown[shown.index("{\n") :])["data"]
    return {one["step"]: one["outcome"] for one in data["steps"]}


async def test_all_of_it_and_again(person: Traveller, sandbox: SandboxHandle) -> None:
    token = await made(sandbox, *COMMON_SCOPES)
    async with asked(person, until="Set Bitbucket up now") as terminal:
        await terminal.send_line()
        await enter(terminal, token)
        for question in QUESTIONS[2:]:
            await terminal.until(f"{question}, y or n [y]:")
            await terminal.send_line()
        assert await terminal.exit_status() == 0, terminal.transcript()
        shown = terminal.transcript()
    assert "✔ Authenticated as Alice Marin" in shown
    assert "✔ Bitbucket takes the token as Alice Marin" in shown
    assert f'[url "twg::{sandbox.url}/git/"]' in shown, "what git is to write is shown before"
    assert "✔ bitbucket    the token is accepted" in shown, "it ends with the doctor's checks"
    assert "✔ All is set up." in shown
    assert all(written(person).values())

    again = await outcomes(person)

    assert again == dict.fromkeys(STEPS, "kept") | {"checks": "done"}
    assert person.traces_of(await sandbox.issued()) == []
    shown = await person.gets("setup", "--sandbox")
    assert "Already signed in as Alice Marin (sandbox) on harbor.sandbox.example" in shown
    assert "y or n" not in shown


async def test_what_is_declined_is_not_done_and_is_listed(
    person: Traveller, sandbox: SandboxHandle
) -> None:
    del sandbox
    async with asked(person, until="Sign in now") as terminal:
        await terminal.send_line("n")
        await terminal.until("Write them, y or n [y]:")
        await terminal.send_line("n")
        assert await terminal.exit_status() == 0, terminal.transcript()
        shown = terminal.transcript()

    left = shown.partition("Left for another time:")[2]
    assert "Nobody was signed in: `twg login`" in left
    assert "Coding agents were not told of twg: `twg skills install`" in left
    assert not any(written(person).values())


@pytest.mark.parametrize("question", ["Sign in now", "Set Bitbucket up now", "Make it"])
async def test_ctrl_c_leaves_what_is_done_and_the_next_one_goes_on(
    person: Traveller, sandbox: SandboxHandle, question: str
) -> None:
    del sandbox
    async with person.types("setup", "--sandbox", columns=200) as terminal:
        before = terminal.modes()
        for each in ("Sign in now", "Set Bitbucket up now", "Make it"):
            await terminal.until(f"{each}, y or n [y]:")
            if each == question:
                break
            await terminal.send_line("n" if each == "Set Bitbucket up now" else "")
        await terminal.interrupt()
        assert await terminal.exit_status() == 130
        assert terminal.modes() == before
        shown = terminal.transcript()

    signed_in = question != "Sign in now"
    stays = "provider, sign-in" if signed_in else "provider"
    assert f"twg: setup was left; what is done stays ({stays})" in shown
    assert "`twg setup --sandbox` goes on from there." in shown
    assert written(person)["sign-in"] == signed_in
    async with person.types("setup", "--sandbox", columns=200) as terminal:
        first = "Set Bitbucket up now" if signed_in else "Sign in now"
        shown = await terminal.until(f"{first}, y or n [y]:")
        assert ("Already signed in" in shown) == signed_in


async def test_ctrl_c_in_the_hidden_prompt_leaves_too(
    person: Traveller, sandbox: SandboxHandle
) -> None:
    del sandbox
    async with person.types("setup", "--sandbox", "--yes", "-o", "json", columns=200) as terminal:
        await terminal.until(ASKED)
        await terminal.until_modes(lambda modes: not modes.echo)
        await terminal.interrupt()
        assert await terminal.exit_status() == 130
        shown = terminal.transcript()

    document = json.loads(shown[shown.rindex("\n{\n") :])
    assert document["error"]["code"] == "INTERRUPTED"
    steps = document["data"]["steps"]
    assert [(one["step"], one["outcome"]) for one in steps] == [
        ("provider", "kept"),
        ("sign-in", "done"),
    ]


async def test_yes_asks_for_the_secret_alone(person: Traveller, sandbox: SandboxHandle) -> None:
    del sandbox
    async with person.types("setup", "--sandbox", "--yes", columns=200) as terminal:
        await terminal.until("Return alone goes on without it.")
        await terminal.until_modes(lambda modes: not modes.echo)
        await terminal.send_line()
        assert await terminal.exit_status() == 0, terminal.transcript()
        shown = terminal.transcript()

    assert "y or n" not in shown
    assert "There is no Bitbucket token: `twg setup bitbucket`" in shown
    assert written(person) == {"sign-in": True, "git": False, "upkeep": True, "skills": True}


async def test_what_fails_is_listed_and_the_rest_is_done(
    person: Traveller, sandbox: SandboxHandle
) -> None:
    del sandbox
    (person.root / "bin" / "crontab").unlink()
    async with asked(person, until="Set Bitbucket up now") as terminal:
        await terminal.send_line()
        for tries in (1, 2, 3):
            await enter(terminal, UNKNOWN, times=tries)
        for question in ("Make it", "Write them"):
            await terminal.until(f"{question}, y or n [y]:")
            await terminal.send_line()
        assert await terminal.exit_status() == 3, terminal.transcript()
        shown = terminal.transcript()

    told = shown.partition("twg: not all of it worked")[2]
    assert "bitbucket: " in told
    assert "does not take this token" in told
    assert "upkeep: " in told
    assert "Mend these, then run `twg setup --sandbox` again" in told
    assert written(person) == {"sign-in": True, "git": False, "upkeep": False, "skills": True}
    assert person.traces_of([UNKNOWN]) == []


async def test_a_check_that_fails_is_a_failure(person: Traveller, sandbox: SandboxHandle) -> None:
    del sandbox
    history = person.root / "home" / ".bash_history"
    history.write_text(f"export BITBUCKET_TOKEN={UNKNOWN}\n")
    async with asked(person, until="Sign in now") as terminal:
        await terminal.send_line("n")
        await terminal.until("Write them, y or n [y]:")
        await terminal.send_line("n")
        assert await terminal.exit_status() == 3, terminal.transcript()
        shown = terminal.transcript()

    assert "✘ history " in shown
    assert "twg guard scrub-history" in shown.partition("twg: not all of it worked")[2]


async def test_another_profile_goes_its_own_way(person: Traveller, sandbox: SandboxHandle) -> None:
    """The sandbox is not mixed into a profile that is signed in elsewhere."""
    added = ("provider", "add", "acme", "--issuer", sandbox.url)
    await person.gets(*added)
    await person.gets("login", "--provider", "acme")

    error = await person.asks("setup", "--sandbox", status=2)

    assert "'default' is signed in at 'acme'" in error["message"]
    assert "--profile NAME" in error["remediation"]
    async with person.types("setup", "--sandbox", "--profile", "two", columns=200) as terminal:
        await terminal.until("Sign in now, y or n [y]:")
        await terminal.interrupt()
        assert await terminal.exit_status() == 130
        assert "`twg setup --sandbox --profile two` goes on" in terminal.transcript()


async def test_a_sandbox_that_does_not_run_is_offered(person: Traveller) -> None:
    async with person.types("setup", "--sandbox", columns=200) as terminal:
        await terminal.until("Start it, y or n [y]:")
        await terminal.send_line("n")
        await terminal.until("Write them, y or n [y]:")
        await terminal.send_line("n")
        assert await terminal.exit_status() == 0, terminal.transcript()
        assert "twg sandbox start" in terminal.transcript()


async def test_without_sandbox_the_choice_of_a_server_comes_first(person: Traveller) -> None:
    async with person.types("setup", columns=200) as terminal:
        await terminal.until("Choose it now, y or n [y]:")
        await terminal.send_line()
        await terminal.until("2. Another OAuth 2.1 server")
        await terminal.interrupt()
        assert await terminal.exit_status() == 130
        assert "nothing was changed" in terminal.transcript()
