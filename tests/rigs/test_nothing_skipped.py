"""The plugin that turns skips into failures, in a pytest of its own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import anyio
import pytest

REPOSITORY = Path(__file__).parents[2]
SKIPS = """
import pytest

def test_called(): pytest.skip("no such part")

@pytest.mark.skip(reason="marked")
def test_marked(): pass

@pytest.mark.xfail(strict=True, reason="known")
def test_known(): assert False

def test_fine(): pass
"""
WHOLE_MODULE = "import pytest\npytest.skip('not here', allow_module_level=True)\n"


async def outcome(tmp_path: Path, *, required: str, workers: int = 0) -> str:
    (tmp_path / "test_skips.py").write_text(SKIPS)
    (tmp_path / "test_module.py").write_text(WHOLE_MODULE)
    options = ["-p", "tests.rigs.nothing_skipped", "-p", "no:cacheprovider", "--color=no"]
    options += [f"--rootdir={tmp_path}", "-c", "/dev/null", f"--numprocesses={workers}"]
    argv = [sys.executable, "-m", "pytest", *options]
    env = {"PATH": os.defpath, "PYTHONPATH": str(REPOSITORY), "TWG_TESTS_REQUIRE_ALL": required}
    paths = ["--continue-on-collection-errors", str(tmp_path)]
    done = await anyio.run_process([*argv, *paths], env=env, cwd=tmp_path, check=False)
    return done.stdout.decode()


@pytest.mark.parametrize("workers", [0, 2])
async def test_a_skip_is_a_failure_where_all_is_required(tmp_path: Path, workers: int) -> None:
    said = await outcome(tmp_path, required="1", workers=workers)
    assert "1 failed, 1 passed, 1 xfailed, 2 errors in" in said
    for reason in ("no such part", "marked", "not here"):
        assert f"{reason}\n(and nothing may be skipped" in said


@pytest.mark.parametrize("required", ["", "0"])
async def test_elsewhere_a_skip_is_a_skip(tmp_path: Path, required: str) -> None:
    said = await outcome(tmp_path, required=required)
    assert "1 passed, 3 skipped, 1 xfailed in" in said
