"""The hidden prompt in tmux: another terminal, a shell's job control, a history to search."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.rigs.surroundings import clean_env
from tests.rigs.tmux import PATIENCE, Tmux
from tests.rigs.waiting import comes_true

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PROGRAM = Path(__file__).with_name("prompting.py")
SECRET = "Zr9-kq7W-tm2x-Vb4n"
PIECES = ("Zr9", "kq7W", "tm2x", "Vb4n")
ASKED = "nothing of it is shown."


@pytest.fixture
async def tmux(tmp_path: Path) -> AsyncIterator[Tmux]:
    async with Tmux.started(clean_env(tmp_path)) as tmux:
        yield tmux


async def asks(tmux: Tmux, notes: Path, **order: Any) -> None:
    """Type the command that asks, and wait until it does."""
    words = [sys.executable, str(PROGRAM), str(notes), json.dumps(order)]
    (notes.parent / "ask").write_text(f"exec {shlex.join(words)}\n")
    await tmux.types(f"sh {shlex.quote(str(notes.parent / 'ask'))}")
    await tmux.presses("Enter")
    await tmux.until("shown.")


def first(notes: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(notes.read_text().splitlines()[0])
    return found


async def noted(notes: Path) -> dict[str, Any]:
    """Return the first note, once there is one."""
    assert await comes_true(lambda: notes.exists() and notes.read_text() != "", PATIENCE)
    return first(notes)


async def is_as_it_was(tmux: Tmux) -> None:
    """The shell shows what is typed, takes lines, and knows the keys that make signals."""
    await tmux.types("echo it-is-$((40 + 2)) #seen")
    await tmux.presses("Enter")
    shown = await tmux.until("it-is-42")
    assert "#seen" in shown
    await tmux.types("sleep 600")
    await tmux.presses("Enter", "C-c")
    await tmux.until("^C")


@pytest.mark.parametrize("how", ["typed", "pasted", "pasted with a newline"])
async def test_the_whole_history_holds_nothing_of_it(tmux: Tmux, tmp_path: Path, how: str) -> None:
    """H-B2, H-B3."""
    await asks(tmux, tmp_path / "notes", times=2)
    for count in (1, 2):
        await tmux.until(ASKED, count)
        if how == "typed":
            await tmux.types(SECRET)
        else:
            await tmux.pastes(SECRET + ("\n" if "newline" in how else ""))
        await tmux.until("> ******", count)
        await tmux.presses("Enter")
    shown = await tmux.until("the end")
    assert not [piece for piece in PIECES if piece in shown]
    lines = (tmp_path / "notes").read_text().splitlines()
    assert [json.loads(line)["answer"] for line in lines] == [SECRET, SECRET]
    await is_as_it_was(tmux)


async def test_a_window_that_changes_and_a_job_that_stops_while_one_types(
    tmux: Tmux, tmp_path: Path
) -> None:
    """H-B1: 20 columns and 5 rows in between, Ctrl-Z in each size, and the shell's `fg`."""
    await asks(tmux, tmp_path / "notes")
    for count, size in enumerate([(20, 5), (132, 50), (10, 3), (80, 24)], 1):
        await tmux.types(PIECES[count - 1])
        await tmux.resizes(*size)
        await tmux.presses("C-z")
        await tmux.until("topped", count)
        await tmux.types("fg")
        await tmux.presses("Enter")
        await tmux.until("> ******", count + 1)
    await tmux.presses("Enter")
    assert (await noted(tmp_path / "notes"))["answer"] == "".join(PIECES)
    shown = await tmux.until("the end")
    assert not [piece for piece in PIECES if piece in shown]
    await is_as_it_was(tmux)


@pytest.mark.parametrize("term", ["dumb", "tmux-256color"])
async def test_a_tiny_window(tmp_path: Path, term: str) -> None:
    """H-B1: from the start, and knowing no control sequence."""
    async with Tmux.started(clean_env(tmp_path), columns=20, rows=5) as tmux:
        await tmux.types(f"TERM={term}")
        await tmux.presses("Enter")
        await asks(tmux, tmp_path / "notes", accepts=[])
        await tmux.types("ATATT3xFfGF0kq7Zr2Wm9")
        await tmux.presses("Enter")
        await tmux.until("That cannot be the")
        await tmux.until("shown.", 2)
        await tmux.types(SECRET)
        await tmux.presses("Enter")
        assert (await noted(tmp_path / "notes"))["answer"] == SECRET
        shown = await tmux.until("the end")
        assert not [piece for piece in (*PIECES, "ATATT", "Wm9") if piece in shown]
        await is_as_it_was(tmux)


@pytest.mark.parametrize("key", ["C-c", "C-d"])
async def test_a_person_leaves(tmux: Tmux, tmp_path: Path, key: str) -> None:
    """H-B1."""
    await asks(tmux, tmp_path / "notes")
    await tmux.presses(key)
    assert (await noted(tmp_path / "notes"))["error"] == "PromptInterrupted"
    await tmux.until("the end")
    await is_as_it_was(tmux)


async def test_a_closed_window_ends_it(tmux: Tmux, tmp_path: Path) -> None:
    """H-B1: tmux takes the terminal away, as a closed connection does."""
    await asks(tmux, tmp_path / "notes")
    await tmux.types(PIECES[0])
    await tmux.does("new-window")  # the server ends with its last one
    await tmux.does("kill-window", "-t", ":0")
    note = await noted(tmp_path / "notes")
    assert "SIGHUP" in note.values() or note.get("error") == "PromptInterrupted"
