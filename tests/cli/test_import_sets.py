"""What each command imports: start-up is a feature, so the sets are pinned."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import anyio
import pytest

from tests.rigs.surroundings import clean_env

if TYPE_CHECKING:
    from pathlib import Path

PARSER = frozenset({"asyncclick"})
"""What every command pays for."""

LAZY = PARSER | {"anyio"}
"""Where the door of `anyio` is passed by the way, which is light; what is behind it is not."""

WORK = PARSER | {"anyio", "typing_extensions"}
"""What those pay for besides that do more than to explain themselves."""

COMMANDS = {
    "--version": PARSER,
    "--help": PARSER,
    "--help -o json": LAZY,
    "commands -o json": WORK,
    "completion bash": WORK,
    "changelog": WORK,
    "feedback --help": LAZY,
    "auth status": WORK,
    "auth list": WORK,
    "provider list": WORK,
    "admin auth status": WORK,
    "admin auth login --help": PARSER,
    "api --help": PARSER,
    "login --help": PARSER,
    "setup --help": LAZY,
    "setup bitbucket --help": LAZY,
    "auth storage": WORK,
    "doctor --offline": WORK,
    "uninstall --help": LAZY,
    "uninstall --dry-run": WORK,
    "audit show": WORK,
    "audit verify": WORK,
    "audit export --format ecs": WORK,
    "skills install": WORK,
    "skills show": WORK,
    "sandbox status": WORK,
    "policy show": WORK,
    "policy grant --help": LAZY,
    # Refused before anything is parsed.
    "login --token x": frozenset(),
    "login --token hunter2-Xk9qLm4w": frozenset(),
    "guard scan --help": LAZY,
    "guard scan changelog": WORK,
    "guard scan --history": WORK,
}
"""Outside packages by command; nothing is signed in."""


WATCH = """
import atexit, sys
before = set(sys.modules)
atexit.register(lambda: print("\\nimported:", *{*sys.modules} - before, file=sys.stderr))
from twg.cli.main import main
main()
"""


LIGHT = (
    "--version",
    "--version -o json",
    "--help",
    "auth status --help",
    "login --help",
    "api --help",
    "policy --help",
    "auth",
    "no-such-command",
    "auth status --no-such-option",
)
"""What is answered before any work begins."""

HEAVY = {"asyncio", "concurrent", "http", "logging", "shutil", "socket", "ssl", "subprocess"}
"""Of Python's own library, what is worth its price for a command's work alone."""


async def imported(words: str, tmp_path: Path) -> set[str]:
    """Return the outside packages that `twg` imports for these words."""
    packages = {module.partition(".")[0] for module in await all_imported(words, tmp_path)}
    return packages - sys.stdlib_module_names - {"twg", "guard"}


async def all_imported(words: str, tmp_path: Path) -> set[str]:
    """Return all modules that `twg` imports for these words."""
    done = await anyio.run_process(
        [sys.executable, "-c", WATCH, *words.split()], env=clean_env(tmp_path), check=False
    )
    modules = set(done.stderr.decode().rpartition("imported:")[2].split())
    assert "twg.cli.main" in modules, done.stderr.decode()[-2000:]
    return modules


@pytest.mark.parametrize(("words", "expected"), COMMANDS.items())
async def test_a_command_imports_what_is_listed_and_no_more(
    words: str, expected: frozenset[str], tmp_path: Path
) -> None:
    assert await imported(words, tmp_path) == expected


@pytest.mark.parametrize("words", LIGHT)
async def test_what_needs_no_work_pays_for_no_event_loop(words: str, tmp_path: Path) -> None:
    assert HEAVY & await all_imported(words, tmp_path) == set()


async def test_what_only_looks_at_a_store_has_no_part_that_handles_secrets(tmp_path: Path) -> None:
    modules = await all_imported("auth status", tmp_path)
    assert "twg.vault.sealed_file" in modules
    assert {"guard.audit", "guard.scrub", "guard.settling"} & modules == set()
