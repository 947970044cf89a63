"""H-A7: a secret typed into a real shell is refused, and leaves no line in its history."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import pytest
from anyio import to_thread

from tests.cli.console import Console
from tests.rigs.parts import program
from tests.rigs.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

SECRET: Final = "hunter2-Xk9qLm4w"
LINE: Final = f"twg login --token {SECRET}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell:
    """A shell, set up in one of the ways that people have it.

    Attributes:
        name: The program.
        settings: Its settings file, below the home.
        set_up: What stands in that.
        file: Its history, below the home.
        environ: Variables that it is started with.
    """

    name: str
    settings: str
    set_up: str
    file: str
    environ: tuple[tuple[str, str], ...] = ()


def zsh(options: str = "") -> Shell:
    return Shell(
        name="zsh",
        settings=".zshrc",
        set_up=f"HISTFILE=~/.zsh_history HISTSIZE=99 SAVEHIST=99\n{options}",
        file=".zsh_history",
    )


BASH: Final = Shell(name="bash", settings=".bashrc", set_up="HISTSIZE=99", file=".bash_history")
LATER: Final = {
    "bash": BASH,
    "bash-elsewhere": Shell(
        name="bash",
        settings=".bashrc",
        set_up="HISTTIMEFORMAT='%F '",
        file="notes/typed",
        environ=(("HISTFILE", "notes/typed"),),
    ),
    "bash-at-the-prompt": Shell(
        name="bash",
        settings=".bashrc",
        set_up="PROMPT_COMMAND='history -a'",
        file=".bash_history",
    ),
    "zsh": zsh(),
    "zsh-extended": zsh("setopt extendedhistory"),
    "zsh-anew": zsh("setopt noappendhistory"),
}
"""Those that write a line once its command has ended, or when they end."""
BEFORE: Final = {
    "zsh-incremental": zsh("setopt incappendhistory"),
    "zsh-shared": zsh("setopt sharehistory"),
    "fish": Shell(
        name="fish",
        settings=".config/fish/config.fish",
        set_up="",
        file=".local/share/fish/fish_history",
    ),
}
"""Those that write a line before they run it."""


class Person:
    """A person with a shell in a terminal, and a Console for what they do elsewhere."""

    def __init__(self, shell: Shell, root: Path) -> None:
        self.console = Console(root)
        self.console.settings('[storage]\nkey = "file"\n')
        self.home = root / "home"
        for path in (shell.settings, shell.file):
            (self.home / path).parent.mkdir(parents=True, exist_ok=True)
        (self.home / shell.settings).write_text(f"{shell.set_up}\n")
        self.console.more = {
            name: str(self.home / value) if name == "HISTFILE" else value
            for name, value in shell.environ
        }
        self.shell = shell
        self.file = self.home / shell.file
        self._number = 0

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Terminal]:
        """Open the shell; leave it at the end."""
        argv = [program(self.shell.name)]
        # Wide enough that no line of ours is folded.
        async with Terminal.start(argv, env=self.console.env, columns=250) as terminal:
            yield terminal
            await terminal.send_line("exit")
            await terminal.exit_status()

    async def types(self, terminal: Terminal, line: str) -> str:
        """Type a line, and return all that was seen once it has ended."""
        self._number += 1
        await terminal.send_line(line)
        await terminal.send_line(f"printf 'ended-%s\\n' {self._number}")
        return await terminal.until(f"ended-{self._number}\n")

    async def twg(self, *words: str, status: int = 0) -> str:
        """Run `twg` elsewhere; return what it said."""
        run = partial(self.console.apart, *words, status=status)
        ended = await to_thread.run_sync(run)
        return ended.out + ended.err

    def written(self) -> str:
        """Return what stands in the history."""
        return self.file.read_text() if self.file.exists() else ""


@pytest.fixture
def person(request: pytest.FixtureRequest, tmp_path: Path) -> Person:
    return Person(request.param, tmp_path)


def with_shells(shells: dict[str, Shell]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("person", shells.values(), ids=shells, indirect=True)


@with_shells(LATER)
async def test_a_line_that_is_written_later_is_found_and_removed(person: Person) -> None:
    """H-A7: by its fingerprint alone; what stands around it stays to the byte."""
    async with person.session() as terminal:
        await person.types(terminal, "echo one")
        shown = await person.types(terminal, LINE)
        await person.types(terminal, "echo two")
    assert "twg: refused: --token" in shown
    before = person.written()
    assert SECRET in before, "it does not say so without need"
    (entry,) = re.findall(rf"(?:#\d+\n|: \d+:\d+;)?{re.escape(LINE)}\n", before)

    found = await person.twg("doctor", "--offline", status=3)
    removed = await person.twg("guard", "scrub-history", "--yes")

    assert f"{person.file.name}: 1 refused-secret" in found
    assert "Removed 1 entry" in removed
    assert person.written() == before.replace(entry, "")
    assert "✔ history" in await person.twg("doctor", "--offline")
    assert person.console.traces_of(SECRET) == []


@with_shells(LATER)
async def test_the_command_that_is_told_makes_the_shell_write_it_nowhere(person: Person) -> None:
    """H-A7: typed next, as the refusal says."""
    async with person.session() as terminal:
        await person.types(terminal, "echo one")
        await terminal.send_line(LINE)
        shown = await terminal.until("in it next.")
        (told,) = re.findall(r"run `([^`]+)` in it next", shown)
        await terminal.send_line(told)
        shown = await terminal.until(re.compile(r"\(y/n\) \[n\]:|No history holds a secret"))
        if "(y/n)" in shown:
            await terminal.send_line("y")
            await terminal.until("Removed 1 entry")
        await person.types(terminal, "echo two")

    assert SECRET not in person.written()
    assert "echo one\n" in person.written()
    assert "echo two\n" in person.written()
    assert "✔ history" in await person.twg("doctor", "--offline")


@with_shells(BEFORE)
async def test_a_line_that_is_written_before_is_gone_with_the_refusal(person: Person) -> None:
    """H-A7: and is not written again when the shell ends."""
    async with person.session() as terminal:
        await person.types(terminal, "echo one")
        shown = await person.types(terminal, LINE)
        assert f"Removed 1 entry that held it from ~/{person.shell.file}." in shown
        assert f"Your {person.shell.name} has the line in its memory until it ends." in shown
        assert SECRET not in person.written()
        await person.types(terminal, "echo two")

    assert SECRET not in person.written()
    assert "echo one\n" in person.written()
    assert "echo two\n" in person.written()
    assert "✔ history" in await person.twg("doctor", "--offline")
