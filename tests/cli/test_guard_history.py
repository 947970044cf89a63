"""`twg guard scrub-history` removes what holds a secret, once a person has agreed, and no more."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from guard import history
from guard.errors import FileUnwritable
from tests.rigs.terminal import Terminal

if TYPE_CHECKING:
    from pathlib import Path

    from guard.history import Histories, Look, Removal
    from tests.cli.console import Console

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJlLXNpZ25hdHVyZQ"
BASH = (b"ls\n", f"#1764000000\necho {JWT}\n".encode(), b"#1764000001\nexit\n")
ZSH = (b": 1764000000:0;cd x\n", f": 1764000100:0;echo {JWT}\n".encode(), b": 1:0;\xc3\xa9 \xff\n")
"""A history each, of which the middle part holds a secret."""


@pytest.fixture
def home(console: Console) -> Path:
    """A home with two histories, in each of which one entry holds a secret."""
    home = console.root / "home"
    home.mkdir()
    (home / ".bash_history").write_bytes(b"".join(BASH))
    (home / ".bash_history").chmod(0o640)
    (home / ".zsh_history").write_bytes(b"".join(ZSH))
    return home


def check_clean(home: Path) -> None:
    assert (home / ".bash_history").read_bytes() == BASH[0] + BASH[2]
    assert stat.S_IMODE((home / ".bash_history").stat().st_mode) == 0o640
    assert (home / ".zsh_history").read_bytes() == ZSH[0] + ZSH[2]


def test_entries_are_shown_and_removed_and_that_is_recorded(console: Console, home: Path) -> None:
    """H-A7."""
    ended = console.twg("guard", "scrub-history", "--yes")

    check_clean(home)
    assert ended.err.splitlines()[0] == "2 secrets in 2 files:"
    assert "~/.bash_history:2  jwt  " in ended.err
    assert ended.out.splitlines()[:2] == [
        "✔ Removed 1 entry from ~/.bash_history.",
        "✔ Removed 1 entry from ~/.zsh_history.",
    ]
    assert "`history -d N`" in ended.out
    (record,) = console.records("history.scrubbed")
    assert record["outcome"] == "ok"
    assert record["reason"] == "entries removed: bash 1, zsh 1; histories not cleaned: 0"
    assert console.traces_of(JWT) == []


def test_with_json_there_is_one_document(console: Console, home: Path) -> None:
    ended = console.twg("guard", "scrub-history", "--yes", "-o", "json")

    assert ended.data["agreed"] is True
    assert ended.data["removed"] == {
        str(home / ".bash_history"): 1,
        str(home / ".zsh_history"): 1,
    }
    assert ended.data["live"]["bash"]["command"] == "history -d N"


def test_where_there_is_nothing_nothing_is_done(console: Console, home: Path) -> None:
    console.twg("guard", "scrub-history", "--yes")
    before = (home / ".zsh_history").stat()

    ended = console.twg("guard", "scrub-history")

    assert ended.out == "✔ No history holds a secret.\n"
    after = (home / ".zsh_history").stat()
    # All but the time of the last look, which was ours.
    assert (after.st_ino, after.st_ctime_ns) == (before.st_ino, before.st_ctime_ns)
    assert len(console.records("history.scrubbed")) == 1


def test_without_a_terminal_to_ask_at_nothing_is_removed(console: Console, home: Path) -> None:
    before = (home / ".bash_history").read_bytes()

    ended = console.apart("guard", "scrub-history", "-o", "json", status=79)

    assert ended.error["code"] == "TTY_REQUIRED"
    assert (home / ".bash_history").read_bytes() == before


def test_an_agent_is_refused(console: Console, home: Path) -> None:
    """H-B5."""
    before = (home / ".bash_history").read_bytes()

    ended = console.twg("guard", "scrub-history", "--yes", status=79, TWG_AGENT="1")

    assert ended.error["code"] == "HUMAN_REQUIRED"
    assert "`twg guard scrub-history`" in ended.error["remediation"]
    assert (home / ".bash_history").read_bytes() == before


@pytest.mark.parametrize(("answer", "gone"), [("y", True), ("n", False), ("", False)])
async def test_a_person_is_asked(console: Console, home: Path, answer: str, *, gone: bool) -> None:
    before = (home / ".bash_history").read_bytes()
    async with Terminal.start(["twg", "guard", "scrub-history"], env=console.env) as terminal:
        shown = await terminal.until("Remove these 2 entries? (y/n) [n]:")
        assert "~/.zsh_history:2   jwt" in shown
        await terminal.send_line(answer)
        assert await terminal.exit_status() == 0
        shown = terminal.transcript()

    if gone:
        check_clean(home)
    else:
        assert "Nothing was removed." in shown
        assert (home / ".bash_history").read_bytes() == before
    assert JWT not in shown


async def test_whoever_presses_ctrl_c_has_removed_nothing(console: Console, home: Path) -> None:
    before = (home / ".bash_history").read_bytes()
    async with Terminal.start(["twg", "guard", "scrub-history"], env=console.env) as terminal:
        await terminal.until("[n]:")
        await terminal.interrupt()
        assert await terminal.exit_status() == 130

    assert (home / ".bash_history").read_bytes() == before


def test_a_history_that_cannot_be_cleaned_is_told_and_others_are(
    console: Console, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove = history.Histories.remove

    def partly(self: Histories, look: Look) -> list[Removal]:
        (bash, zsh) = remove(self, look)
        problem = FileUnwritable(bash.path, "read-only file system")
        failed = bash._replace(removed=0, problem=problem)
        return [failed, zsh]

    monkeypatch.setattr(history.Histories, "remove", partly)

    ended = console.twg("guard", "scrub-history", "--yes", "-o", "json", status=3)

    assert ended.error["code"] == "PARTIAL"
    assert ended.error["message"] == "1 history could not be cleaned"
    failures = ended.document["data"]["failures"]
    assert "read-only file system" in failures["~/.bash_history"]
    assert ended.document["data"]["removed"] == {str(home / ".zsh_history"): 1}
    (record,) = console.records("history.scrubbed")
    assert record["outcome"] == "partial"
    assert record["reason"] == "entries removed: zsh 1; histories not cleaned: 1"
