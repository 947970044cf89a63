"""Real shells: secrets are typed, the shell is left, the file cleaned, and the shell started again.

H-A7, for bash, zsh and fish.
"""

from __future__ import annotations

import re
import stat
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

from guard.history.live import LIVE
from tests.guard.history.seeded import SECRET, look, names, of
from tests.rigs.parts import program
from tests.rigs.surroundings import clean_env
from tests.rigs.terminal import PATIENCE, Terminal
from tests.rigs.waiting import comes_true

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

ORDINARY: Final = (
    "echo one",
    "echo 'späte Grüße', ‹marks›, ሴ and 𝄞 \\\\",
    ": colon",
    "for i in 1 2",
    "echo last",
)


@dataclass(frozen=True, kw_only=True)
class Shell:
    """A shell, and how a person may have set it up.

    Attributes:
        argv: Its program and arguments.
        settings: The file that it reads at its start, from home.
        set_up: What stands there.
        file: Its history, from home.
        entry: What one entry with a secret looks like in it.
        loop: What goes on in three lines.
        recall: Shows what it has in its history.
    """

    argv: tuple[str, ...]
    settings: str
    set_up: str = ""
    file: str
    entry: bytes
    loop: tuple[str, ...] = ("for i in 1 2", "do echo $i", "done")
    recall: str = "history"

    @property
    def name(self) -> str:
        """The program's."""
        return self.argv[0]


def bash(set_up: str, entry: bytes) -> Shell:
    return Shell(
        argv=("bash", "--noprofile"),
        settings=".bashrc",
        set_up=set_up,
        file=".bash_history",
        entry=entry,
    )


def zsh(set_up: str, entry: bytes) -> Shell:
    return Shell(
        argv=("zsh", "-d"),  # without the system's own settings
        settings=".zshrc",
        set_up=f"HISTFILE=~/.zsh_history HISTSIZE=99 SAVEHIST=99\n{set_up}",
        file=".zsh_history",
        entry=entry,
    )


LINES: Final = rb"true --(?:.*\\\n)*.*\n"
TIMED: Final = rb"#\d{10}\n" + LINES
EXTENDED: Final = rb": \d{10}:\d;" + LINES
SHELLS: Final = {
    "bash": bash("", LINES),
    "bash-timed": bash("HISTTIMEFORMAT='%F '", TIMED),
    "bash-appending": bash("shopt -s histappend lithist; HISTTIMEFORMAT='%F '", TIMED),
    "zsh": zsh("", LINES),
    "zsh-extended": zsh("setopt extendedhistory", EXTENDED),
    "zsh-shared": zsh("setopt sharehistory extendedhistory histfcntllock", EXTENDED),
    "zsh-in-place": zsh("setopt noappendhistory nohistsavebycopy", LINES),
    "fish": Shell(
        argv=("fish",),
        settings=".config/fish/config.fish",
        file=".local/share/fish/fish_history",
        entry=rb"- cmd: true --.*\n(?:  .*\n)*",
        loop=("for i in 1 2", "echo $i", "end"),
        recall="history | cat",  # it would page
    ),
}


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> Shell:
    """Each shell, set up each way."""
    return SHELLS[request.param]


@pytest.fixture
def home(tmp_path: Path, shell: Shell) -> Path:
    """A home in which that shell is set up."""
    home = tmp_path / "home"
    settings = home / shell.settings
    settings.parent.mkdir(parents=True)
    settings.write_text(f"{shell.set_up}\n")
    return home


class Session:
    """A shell in a terminal."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._number = 0

    async def type(self, *lines: str) -> str:
        """Type a command, wait until it has ended, and return all that was seen so far."""
        self._number += 1
        for line in lines:
            await self._terminal.send_line(line)
        await self._terminal.send_line(f"printf 'ended-%s\\n' {self._number}")
        return await self._terminal.until(f"ended-{self._number}\n")


@asynccontextmanager
async def session(shell: Shell, tmp_path: Path) -> AsyncIterator[Session]:
    """Start the shell; leave it at the end."""
    argv = [program(shell.name), *shell.argv[1:]]
    async with Terminal.start(argv, env=clean_env(tmp_path), columns=120) as terminal:
        yield Session(terminal)
        await terminal.send_line("exit")
        await terminal.exit_status()


async def test_h_a7_a_refused_line_is_gone_and_all_others_are_as_they_were(
    shell: Shell, home: Path, tmp_path: Path
) -> None:
    """H-A7: the shell writes the file, and reads what is left of it."""
    async with session(shell, tmp_path) as typing:
        await typing.type(ORDINARY[0])
        await typing.type(f"true --token {SECRET}")
        await typing.type(*ORDINARY[1:3])
        await typing.type(*shell.loop)
        await typing.type(f"true --password={SECRET} \\", "  --more")
        await typing.type(ORDINARY[-1])
    file = home / shell.file
    before = file.read_bytes()
    rest = re.sub(shell.entry, b"", before)
    assert SECRET.encode() not in rest
    file.chmod(0o640)
    kept = file.stat()

    assert [found.kind for found in of(home).find(look)] == ["made-up", "made-up"]
    (removal,) = of(home).remove(look)

    assert (removal.shell, removal.path, removal.removed) == (shell.name, file, 2)
    assert removal.problem is None
    assert file.read_bytes() == rest
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert file.stat().st_mtime_ns == kept.st_mtime_ns
    assert [name for name in names(file.parent) if name.startswith(f".{file.name}")] == []
    assert of(home).remove(look) == []
    if shell.name == "fish":
        # It dates what it writes up to a second ahead, and leaves out what lies ahead.
        assert await comes_true(lambda: time.time() > kept.st_mtime + 2, PATIENCE)
    async with session(shell, tmp_path) as typing:
        seen = await typing.type(shell.recall)
    assert SECRET not in seen
    assert all(line in seen for line in ("echo one", "späte Grüße", "ሴ and 𝄞", "echo last"))
    after = file.read_bytes()
    # fish now and then drops what was typed twice.
    assert after.startswith(rest) or shell.name == "fish"
    assert {line for line in rest.splitlines() if b"when:" not in line} <= set(after.splitlines())


async def test_h_a7_a_shell_that_still_runs_lets_go_of_it_as_it_is_told(
    shell: Shell, home: Path, tmp_path: Path
) -> None:
    """H-A7: it does not write it back when it is left."""
    told = LIVE[shell.name].command
    async with session(shell, tmp_path) as typing:
        await typing.type("echo one")
        await typing.type(f"true --token {SECRET}")
        seen = await typing.type("history")
        if shell.name == "bash":
            (number,) = re.findall(rf"(\d+)  (?:\S+ )?true --token {SECRET}", seen)
            told = told.replace("N", number)
        await typing.type(told)
        of(home).remove(look)

    left = (home / shell.file).read_bytes()
    assert SECRET.encode() not in left
    assert b"echo one" in left or shell.name == "fish"  # which forgets the whole session
