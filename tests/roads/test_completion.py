"""Tab in real shells: commands, options and the names that are stored here."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import pytest
from anyio import to_thread

from tests.cli.console import Console
from tests.rigs.parts import program
from tests.rigs.terminal import Terminal

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Shell:
    """A shell, and how completion is set up in it.

    Attributes:
        name: The program.
        settings: Its settings file, below the home.
        set_up: What stands in that.
    """

    name: str
    settings: str
    set_up: str


SHELLS: Final = {
    "bash": Shell("bash", ".bashrc", 'eval "$(twg completion bash)"'),
    "zsh": Shell(
        "zsh", ".zshrc", 'autoload -Uz compinit; compinit -u\neval "$(twg completion zsh)"'
    ),
    "fish": Shell("fish", ".config/fish/config.fish", "source (twg completion fish | psub)"),
}


@pytest.mark.parametrize("shell", SHELLS.values(), ids=SHELLS)
async def test_tab_completes_in_a_shell(shell: Shell, tmp_path: Path) -> None:
    """Each line is run once it is completed, so what it does shows what it became."""
    person = Console(tmp_path)
    person.settings('[storage]\nkey = "file"\n')
    for profile in ("default", "work"):
        sign_in = partial(person.sign_in_at, "https://auth.example.com", profile)
        await to_thread.run_sync(sign_in)
    settings = tmp_path / "home" / shell.settings
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(f"{shell.set_up}\n")

    argv = [program(shell.name)]
    async with Terminal.start(argv, env=person.env, columns=250) as terminal:
        await terminal.send_line("echo sh''ell-is-ready")
        await terminal.until("shell-is-ready\n")
        await terminal.send("twg aut\tsw\two\t\r")
        await terminal.until("✔ work is the active profile now.")
        await terminal.send("twg auth site --prof\tdef\ttwo\t\r")
        await terminal.until("* two.example.net")
        await terminal.send_line("exit")
        assert await terminal.exit_status() == 0
