"""The plugin that prints tables, in a pytest of its own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import anyio
import pytest

REPOSITORY = Path(__file__).parents[2]
TWO_TABLES = """
def test_fine(print_table): print_table("what is fine", ["one row", "another row"])

def test_wrong(print_table):
    print_table("what is wrong", ["a row all the same"])
    assert False
"""


@pytest.mark.parametrize("workers", [0, 2])
async def test_tables_are_printed_once_whether_tests_pass_or_fail_and_pytest_has_the_last_word(
    tmp_path: Path, workers: int
) -> None:
    (tmp_path / "test_tables.py").write_text(TWO_TABLES)
    options = ["-p", "tests.rigs.tables", "-p", "no:cacheprovider", "--color=no"]
    options += [f"--rootdir={tmp_path}", "-c", "/dev/null", f"--numprocesses={workers}"]
    argv = [sys.executable, "-m", "pytest", *options, str(tmp_path)]
    env = {"PATH": os.defpath, "PYTHONPATH": str(REPOSITORY)}
    done = await anyio.run_process(argv, env=env, cwd=tmp_path, check=False)
    lines = done.stdout.decode().splitlines()
    fine, wrong = (
        [one.strip("= ") for one in lines].index(f"what is {it}") for it in ("fine", "wrong")
    )
    assert lines[fine + 1 : fine + 3] == ["one row", "another row"]
    assert lines[wrong + 1] == "a row all the same"
    assert lines.count("one row") == 1
    assert "1 failed, 1 passed in" in lines[-1]
