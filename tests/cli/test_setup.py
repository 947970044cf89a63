"""`twg setup` where it does not begin: no terminal, wrong words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.cli.console import Console


def test_without_a_terminal_nothing_begins(console: Console) -> None:
    error = console.apart("setup", "--yes", "--sandbox", "-o", "json", status=79).error

    assert error["code"] == "TTY_REQUIRED"
    assert not console.state.exists()


def test_its_options_are_not_those_of_its_commands(console: Console) -> None:
    error = console.twg("setup", "--yes", "git", "-o", "json", status=2).error

    assert error["message"] == "--yes belongs behind 'git'"
    assert error["remediation"] == "Run `twg setup --help`."


def test_a_command_that_is_not_there_is_told(console: Console) -> None:
    assert "gti" in console.twg("setup", "gti", "-o", "json", status=2).error["message"]
