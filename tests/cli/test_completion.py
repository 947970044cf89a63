"""Completion: what may stand next, from the commands and the clear headers, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.cli import admin_parts
from tests.cli.console import HOST
from tests.cli.test_import_sets import HEAVY, WATCH, WORK

if TYPE_CHECKING:
    from tests.cli.console import Console

AWAY = "https://auth.example.com"


def asked(console: Console, line: str, shell: str = "bash", **more: str) -> tuple[list[str], str]:
    """Return what a shell is told may stand at the end of `line`, and what `twg` imported."""
    words = line.split(" ")
    instruction = {
        "_TWG_COMPLETE": f"{shell}_complete",
        "COMP_WORDS": line,
        "COMP_CWORD": words[-1] if shell == "fish" else str(len(words) - 1),
    }
    done = subprocess.run(
        [sys.executable, "-c", WATCH],
        env=console.env | instruction | more,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    told, _, imported = done.stderr.partition("\nimported:")
    assert told == "", "it would stand in the midst of a line"
    rows = [row for row in done.stdout.splitlines() if row]
    return [row.removeprefix("plain,") for row in rows], imported


@pytest.fixture
def person(console: Console) -> Console:
    console.sign_in_at(AWAY)
    console.sign_in_at(AWAY, "work")
    return console


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("twg pro", ["provider"]),
        ("twg --help pro", ["provider"]),
        ("twg --version pro", ["provider"]),
        ("twg auth s", ["status", "switch", "site", "storage"]),
        ("twg guard scan --h", ["--history", "--help"]),
        ("twg auth storage ", ["keyring", "file"]),
        ("twg completion ", ["bash", "zsh", "fish"]),
        ("twg -o ", ["text", "json"]),
        ("twg auth switch ", ["default", "work"]),
        ("twg auth list --profile wo", ["work"]),
        ("twg auth list --profile=wo", ["work"]),
        ("twg auth site ", [HOST, "two.example.net"]),
        ("twg api jira /x --site two", ["two.example.net"]),
        ("twg policy grant write --site two", ["two.example.net"]),
        ("twg api ", ["admin", "atlassian", "bitbucket", "confluence", "graphql", "jira"]),
        ("twg --profile nobody auth site ", []),
        ("twg login --provider ", []),
        ("twg bogus --x", []),
    ],
)
def test_a_shell_is_told_what_may_stand_next(person: Console, line: str, told: list[str]) -> None:
    assert asked(person, line)[0] == told


def test_no_secret_is_opened_and_nothing_is_sent_or_written(person: Console) -> None:
    records, _ = person.records(), person.env
    before = {path: path.stat().st_mtime_ns for path in person.root.rglob("*")}

    found, imported = asked(person, "twg auth switch ")

    assert found == ["default", "work"]
    packages = {module.partition(".")[0] for module in imported.split()}
    outside = packages - sys.stdlib_module_names - {"twg", "guard"}
    assert outside == WORK, "no key ring, no cipher, nothing that sends"
    assert {path: path.stat().st_mtime_ns for path in person.root.rglob("*")} == before
    assert person.records() == records


def test_commands_and_options_are_completed_without_an_event_loop(person: Console) -> None:
    found, imported = asked(person, "twg auth storage --h")

    assert found == ["--help"]
    assert not HEAVY.intersection(imported.split())


def test_organizations_are_completed_from_their_own_file(console: Console) -> None:
    admin_parts.keep(console, AWAY, org="an-organization")

    assert asked(console, "twg admin auth switch ")[0] == ["an-organization"]
    assert asked(console, "twg admin auth logout --org ")[0] == ["an-organization"]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_are_told_what_each_is_for(person: Console, shell: str) -> None:
    rows, _ = asked(person, "twg upk", shell)

    assert "upkeep" in "\n".join(rows)
    assert "Have sign-ins renewed by a schedule." in "\n".join(rows)


@pytest.mark.parametrize("damage", ["[netwrok]\n", "\xff"])
def test_whatever_is_wrong_here_is_not_told_in_the_midst_of_a_line(
    person: Console, damage: str
) -> None:
    person.settings(damage)

    assert asked(person, "twg auth sw")[0] == ["switch"]
    assert asked(person, "twg auth switch ")[0] == []


def test_a_store_that_is_damaged_is_not_told_either(person: Console) -> None:
    (person.config / "auth.conf").write_text("{")

    assert asked(person, "twg auth switch ")[0] == []


def test_a_question_that_makes_no_sense_is_answered_with_nothing(person: Console) -> None:
    told = asked(person, "twg auth sw", COMP_CWORD="many")[0]

    assert told == []


def test_a_secret_that_is_being_typed_is_not_repeated(person: Console) -> None:
    """H-A1: the shell gives the whole line."""
    assert asked(person, "twg login --token hunter2-Xk9qLm4w ")[0] == []
    assert person.traces_of("hunter2-Xk9qLm4w") == []


def test_an_agent_that_asks_gets_the_shells_answer(person: Console) -> None:
    assert asked(person, "twg auth sw", TWG_AGENT="1")[0] == ["switch"]


def test_another_value_of_the_variable_asks_nothing(console: Console) -> None:
    assert console.apart("auth", "list", _TWG_COMPLETE="bash_source").out.startswith("Nobody")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_printed_and_a_program_is_told_how_to_use_it(
    console: Console, shell: str
) -> None:
    script = console.twg("completion", shell).out
    told = console.twg("completion", shell, TWG_AGENT="1").data

    assert f"_TWG_COMPLETE={shell}_complete" in script
    assert told["script"] == script
    assert f"twg completion {shell}" in told["set_up"]
