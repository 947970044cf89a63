"""`twg setup git`: shown, agreed to, written by git itself, and taken back."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.rigs.terminal import Terminal
from twg.products.bitbucket import ATLASSIANS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.console import Console

LINE = "insteadOf = https://bitbucket.org/"
SECTION = '[url "twg::https://bitbucket.org/"]'
KEY = "url.twg::https://bitbucket.org/.insteadOf"
OTHERS = "[user]\n\tname = Alice\n"


@pytest.fixture
def gitconfig(console: Console) -> Path:
    """The person's configuration, which has something in it."""
    path = console.root / "home" / ".gitconfig"
    assert console.env["HOME"] == str(path.parent)
    path.write_text(OTHERS)
    return path


def text_of(gitconfig: Path) -> str:
    return gitconfig.read_text()


async def answered(console: Console, *words: str, answer: str) -> str:
    """Run `twg setup git` in a terminal, answer its question, and return all it showed."""
    argv = ["twg", "setup", "git", *words]
    async with Terminal.start(argv, env=console.env, columns=120) as terminal:
        await terminal.until("y or n [y]:")
        await terminal.send_line(answer)
        assert await terminal.exit_status() == 0, terminal.transcript()
        return terminal.transcript()


async def test_it_is_shown_and_written_once_the_person_agrees(
    console: Console, gitconfig: Path
) -> None:
    shown = await answered(console, answer="n")
    assert SECTION in shown
    assert LINE in shown
    assert "Nothing was written." in shown
    assert text_of(gitconfig) == OTHERS

    shown = await answered(console, answer="")  # Return alone
    assert "✔ Git takes https://bitbucket.org/ addresses to twg from now on" in shown
    assert "git@bitbucket.org: go on by SSH" in shown
    assert text_of(gitconfig).startswith(OTHERS)
    assert LINE in text_of(gitconfig)

    shown = await answered(console, "--undo", answer="n")
    assert SECTION in shown
    assert LINE in text_of(gitconfig)

    shown = await answered(console, "--undo", answer="")
    assert "as they are again" in shown
    assert text_of(gitconfig) == OTHERS


def test_a_second_time_nothing_is_written(console: Console, gitconfig: Path) -> None:
    first = console.twg("setup", "git", "--yes", "-o", "json").data
    written = gitconfig.read_bytes()

    second = console.twg("setup", "git", "--yes", "-o", "json").data

    assert (first["rewritten"], first["changed"]) == (True, True)
    assert (second["rewritten"], second["changed"]) == (True, False)
    assert (first["key"], first["value"]) == (KEY, "https://bitbucket.org/")
    assert gitconfig.read_bytes() == written


def test_taking_back_what_is_not_there_changes_nothing(console: Console, gitconfig: Path) -> None:
    ended = console.twg("setup", "git", "--undo", "--yes")

    assert "There is no such line" in ended.out
    assert text_of(gitconfig) == OTHERS


@pytest.mark.usefixtures("gitconfig")
def test_what_keeps_it_from_working_is_told_at_once(console: Console) -> None:
    ended = console.twg("setup", "git", "--yes")

    assert "no Bitbucket token for https://bitbucket.org is kept" in ended.err
    assert "`twg setup bitbucket`" in ended.err

    console.keep_bitbucket(ATLASSIANS.api_base)
    assert console.twg("setup", "git", "--yes").err == ""


def test_another_line_that_wins_is_told_and_not_shown(console: Console, gitconfig: Path) -> None:
    password = "hunter2-Xk9qLm4w"
    other = f'[url "https://me:{password}@bitbucket.org/"]\n\tinsteadOf = https://bitbucket.org/\n'
    gitconfig.write_text(other)

    ended = console.twg("setup", "git", "--yes")

    assert "another such line takes https://bitbucket.org/ elsewhere" in ended.err
    assert password not in ended.err + ended.out


@pytest.mark.usefixtures("gitconfig")
def test_a_plain_address_reaches_twg(console: Console) -> None:
    """A real git runs our helper for it, which finds no token."""
    console.twg("setup", "git", "--yes")

    done = subprocess.run(
        ["git", "ls-remote", "https://bitbucket.org/team/repo"],
        env=console.env | {"GIT_TERMINAL_PROMPT": "0"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert "twg: there is no Bitbucket token" in done.stderr


def test_without_a_terminal_nobody_is_asked(console: Console, gitconfig: Path) -> None:
    error = console.apart("setup", "git", "-o", "json", status=79).error

    assert error["code"] == "TTY_REQUIRED"
    assert text_of(gitconfig) == OTHERS


def test_uninstall_takes_it_back_too(console: Console, gitconfig: Path) -> None:
    console.twg("setup", "git", "--yes")

    shown = console.twg("uninstall", "--dry-run").out
    told = console.twg("uninstall", "--dry-run", "-o", "json").data["git"]

    assert "the line by which git takes https://bitbucket.org/ addresses to twg" in shown
    assert told == [{"key": KEY, "value": "https://bitbucket.org/"}]
    assert LINE in text_of(gitconfig), "it was a rehearsal"


async def test_uninstall_really_does(console: Console, gitconfig: Path) -> None:
    argv = ["twg", "setup", "git", "--yes"]
    async with Terminal.start(argv, env=console.env) as terminal:
        assert await terminal.exit_status() == 0
    assert LINE in text_of(gitconfig)

    async with Terminal.start(["twg", "uninstall"], env=console.env) as terminal:
        await terminal.until("Remove all this, y or n")
        await terminal.send_line("y")
        assert await terminal.exit_status() == 0

    assert text_of(gitconfig) == OTHERS
