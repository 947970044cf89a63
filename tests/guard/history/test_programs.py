"""Real programs that are no shells: a secret is typed, and gone; what is left they read (H-A7)."""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

from tests.guard.history.seeded import SECRET, look, names, of
from tests.rigs.parts import program
from tests.rigs.surroundings import clean_env
from tests.rigs.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

UP: Final = "\x1b[A"


@dataclass(frozen=True, kw_only=True)
class Program:
    """A program that keeps a history.

    Attributes:
        argv: How it is started.
        ready: What it shows when it is.
        typed: What is typed: something, something with the secret in it, something.
        leave: What ends it.
        file: Its history, from home.
    """

    argv: tuple[str, ...]
    ready: str
    typed: tuple[str, str, str]
    leave: str
    file: str


PROGRAMS: Final = {
    "python": Program(
        argv=(sys.executable, "-q"),
        ready=">>>",
        typed=("print('o' 'ne')", f"token = '{SECRET}'", "print('t' 'wo')"),
        leave="exit()",
        file=".python_history",
    ),
    "node": Program(
        argv=("node",),
        ready="> ",
        typed=("'o' + 'ne'", f"token = '{SECRET}'", "'t' + 'wo'"),
        leave=".exit",
        file=".node_repl_history",
    ),
    "sqlite": Program(
        argv=("sqlite3",),
        ready="sqlite>",
        typed=("select 'o' || 'ne';", f"select '{SECRET}';", "select 't' || 'wo';"),
        leave=".quit",
        file=".sqlite_history",
    ),
}


@asynccontextmanager
async def session(one: Program, tmp_path: Path) -> AsyncIterator[Terminal]:
    """Start it; leave it at the end."""
    argv = [program(one.argv[0]), *one.argv[1:]]
    # sqlite asks the system for the home, and not the environment.
    env = clean_env(tmp_path, SQLITE_HISTORY=str(tmp_path / "home" / ".sqlite_history"))
    async with Terminal.start(argv, env=env, columns=120) as terminal:
        await terminal.until(one.ready)
        yield terminal
        await terminal.send_line(one.leave)
        await terminal.exit_status()


@pytest.mark.parametrize("name", PROGRAMS)
async def test_h_a7_a_line_is_gone_and_the_program_has_the_others(
    name: str, tmp_path: Path
) -> None:
    """H-A7: the line before it comes up again, after the line behind it."""
    one = PROGRAMS[name]
    first, secret, last = one.typed
    async with session(one, tmp_path) as terminal:
        await terminal.send_line(first)
        await terminal.until("one")
        await terminal.send_line(secret)
        await terminal.send_line(last)
        await terminal.until("two")
    home = tmp_path / "home"
    file = home / one.file
    before = file.read_bytes().splitlines(keepends=True)
    assert SECRET.encode() in b"".join(before)

    (found,) = of(home).find(look)
    (removal,) = of(home).remove(look)

    assert (found.shell, found.path, removal.removed, removal.problem) == (name, file, 1, None)
    rest = [line for line in before if SECRET.encode() not in line]
    assert file.read_bytes() == b"".join(rest)
    assert names(home) == [one.file]
    async with session(one, tmp_path) as terminal:
        await terminal.send(UP * (2 + (one.leave.encode() in b"".join(rest))))
        await terminal.until(first)
        await terminal.send_line()
        await terminal.until("one")
    assert SECRET.encode() not in file.read_bytes()


async def test_h_a7_what_less_searched_for_is_gone(tmp_path: Path) -> None:
    """H-A7: less keeps what was searched for."""
    text = tmp_path / "text"
    text.write_text(f"a page\nwith {SECRET}\nand more\n" * 30)
    argv = [program("less"), str(text)]
    home = tmp_path / "home"
    async with Terminal.start(argv, env=clean_env(tmp_path)) as terminal:
        await terminal.until("a page")
        for searched in ("page", SECRET, "more"):
            await terminal.send_line(f"/{searched}")
        await terminal.send("q")
        assert await terminal.exit_status() == 0
    (file,) = (file for file in of(home).files() if file.shell == "less")
    before = file.path.read_bytes()

    (removal,) = of(home).remove(look)

    assert removal.removed == 1
    assert file.path.read_bytes() == before.replace(f'"{SECRET}\n'.encode(), b"")
    assert b'"page\n' in file.path.read_bytes()


async def test_h_a7_a_node_that_still_runs_loses_nothing(tmp_path: Path) -> None:
    """H-A7: it has the file open all along, and writes the whole of what it remembers."""
    one = PROGRAMS["node"]
    home = tmp_path / "home"
    async with session(one, tmp_path) as terminal:
        await terminal.send_line(one.typed[0])
        await terminal.until("one")
    with (home / one.file).open("a") as file:
        file.write(f"\n// {SECRET}")
    async with session(one, tmp_path) as terminal:
        of(home).remove(look)
        await terminal.send_line(one.typed[2])
        await terminal.until("two")

    # Its own copy has come back with its last lines, as `live` says it does.
    assert one.typed[2] in (home / one.file).read_text()
    of(home).remove(look)
    left = (home / one.file).read_text()
    assert SECRET not in left
    assert one.typed[0] in left
    assert one.typed[2] in left
