"""A second writer at the same moment loses nothing (H-A7): real shells, and programs like them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

import anyio
import pytest

from tests.guard.history.seeded import SECRET, look, names, of
from tests.rigs.parts import program
from tests.rigs.programs import running
from tests.rigs.surroundings import clean_env
from tests.rigs.waiting import comes_true

COUNT: Final = 700
PATIENCE: Final = 60.0
WRITERS: Final = Path(__file__).with_name("writers.py")

BASH: Final = """
set -o history; HISTFILE=$1 HISTFILESIZE=-1 HISTSIZE=-1; history -c
for ((n = 1; n <= $2; n++)); do
  history -s "echo n-$n"; ((n % 7)) || history -s "true $3"; history -a
done
"""
ZSH: Final = """
HISTFILE=$1 HISTSIZE=10 SAVEHIST=99999; setopt $4
for ((n = 1; n <= $2; n++)); do
  print -s "echo n-$n"; ((n % 7)) || print -s "true $3"; fc -AI
done
"""
ARGUMENTS: Final = ("{file}", str(COUNT), SECRET)
HAMMERS: Final = {
    "bash": (".bash_history", ("bash", "-c", BASH, "bash", *ARGUMENTS)),
    "zsh": (".zsh_history", ("zsh", "-fic", ZSH, "zsh", *ARGUMENTS, "histsavebycopy")),
    "zsh-in-place": (".zsh_history", ("zsh", "-fic", ZSH, "zsh", *ARGUMENTS, "nohistsavebycopy")),
    "zsh-record-locks": (".zsh_history", ("zsh", "-fic", ZSH, "zsh", *ARGUMENTS, "histfcntllock")),
    **{
        way: (file, (sys.executable, str(WRITERS), way, *ARGUMENTS))
        for way, file in (
            ("appending", ".bash_history"),
            ("replacing", ".psql_history"),
            ("fish-3", ".local/share/fish/fish_history"),
            ("fish-4", ".local/share/fish/fish_history"),
        )
    },
}
"""What hammers on which file."""


@pytest.mark.parametrize("hammer", HAMMERS)
async def test_h_a7_what_another_writes_meanwhile_is_all_there_afterwards(
    hammer: str, tmp_path: Path
) -> None:
    """H-A7: while it writes, secrets are removed over and over; each other line is there once."""
    env = clean_env(tmp_path)
    home = tmp_path / "home"
    name, words = HAMMERS[hammer]
    file = home / name
    file.parent.mkdir(parents=True, exist_ok=True)
    start = "- cmd: echo" if "fish" in name else "echo"
    file.write_text(f"{start} before\n")
    argv = [program(words[0]), *(word.format(file=file) for word in words[1:])]
    removed = 0
    async with running(argv, env, stderr=subprocess.PIPE) as writer:
        while writer.returncode is None:
            for removal in await anyio.to_thread.run_sync(of(home).remove, look):
                assert removal.problem is None
                removed += removal.removed
            size = file.stat().st_size

            def goes_on(size: int = size) -> bool:
                return writer.returncode is not None or file.stat().st_size > size + 200

            assert await comes_true(goes_on, PATIENCE)
        assert writer.returncode == 0
    removed += sum(one.removed for one in of(home).remove(look))

    lines = file.read_text().splitlines()
    assert sorted(lines) == sorted(
        [f"{start} before", *(f"{start} n-{number}" for number in range(1, COUNT + 1))]
    )
    assert removed >= COUNT // 7
    assert names(file.parent) == [file.name]
