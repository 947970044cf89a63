"""What each command imports: start-up is a feature, so the sets are pinned."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import anyio
import pytest

from tests.rigs.surroundings import clean_env

if TYPE_CHECKING:
    from pathlib import Path

PARSER = frozenset({"anyio", "asyncclick", "typing_extensions"})
"""What every command that parses its words pays for."""

COMMANDS = {
    "--version": PARSER,
    "--help": PARSER,
    "--help -o json": PARSER,
    "commands -o json": PARSER,
    "completion bash": PARSER,
    "changelog": PARSER,
    "feedback --help": PARSER,
    "auth status": PARSER,
    "auth list": PARSER,
    "provider list": PARSER,
    "admin auth status": PARSER,
    "admin auth login --help": PARSER,
    "api --help": PARSER,
    "login --help": PARSER,
    "setup --help": PARSER,
    "setup bitbucket --help": PARSER,
    "auth storage": PARSER,
    "doctor --offline": PARSER,
    "uninstall --help": PARSER,
    "uninstall --dry-run": PARSER,
    "audit show": PARSER,
    "audit verify": PARSER,
    "audit export --format ecs": PARSER,
    "skills install": PARSER,
    "skills show": PARSER,
    "sandbox status": PARSER,
    "policy show": PARSER,
    "policy grant --help": PARSER,
    # Refused before anything is parsed.
    "login --token x": frozenset(),
    "login --token hunter2-Xk9qLm4w": frozenset(),
    "guard scan --help": PARSER,
    "guard scan changelog": PARSER,
    "guard scan --history": PARSER,
}
"""Outside packages by command; nothing is signed in."""


WATCH = """
import atexit, sys
before = set(sys.modules)
atexit.register(lambda: print("\\nimported:", *{*sys.modules} - before, file=sys.stderr))
from twg.cli.main import main
main()
"""


async def imported(words: str, tmp_path: Path) -> set[str]:
    """Return the outside packages that `twg` imports for these words."""
    done = await anyio.run_process(
        [sys.executable, "-c", WATCH, *words.split()], env=clean_env(tmp_path), check=False
    )
    modules = done.stderr.decode().rpartition("imported:")[2].split()
    assert "twg.cli.main" in modules, done.stderr.decode()[-2000:]
    packages = {module.partition(".")[0] for module in modules}
    return packages - sys.stdlib_module_names - {"twg", "guard"}


@pytest.mark.parametrize(("words", "expected"), COMMANDS.items())
async def test_a_command_imports_what_is_listed_and_no_more(
    words: str, expected: frozenset[str], tmp_path: Path
) -> None:
    assert await imported(words, tmp_path) == expected
