"""How long commands take to start, as medians and against bare Python."""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench import ours
from tests.rigs.surroundings import clean_env

if TYPE_CHECKING:
    from collections.abc import Mapping

RUNS = 15
PYTHON = [sys.executable, "-I"]
TWG = str(Path(sys.executable).with_name("twg"))
CASES = {
    "python -c pass": [*PYTHON, "-c", "pass"],
    "python -c 'import asyncclick'": [*PYTHON, "-c", "import asyncclick"],
    "twg --version": [TWG, "--version"],
    "twg auth status": [TWG, "auth", "status"],
}


def seconds(argv: list[str], env: Mapping[str, str]) -> float:
    """Return how long one whole process takes; one that fails ends the measurement."""
    began = time.perf_counter()
    subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def medians() -> dict[str, float]:
    """Return the median of each case in seconds; cases take turns, so that load meets all alike."""
    with tempfile.TemporaryDirectory(prefix="twg-bench-") as directory:
        root = Path(directory)
        env = clean_env(root)
        asyncio.run(ours.fill(root, "http://127.0.0.1:9", 1, issued_at=time.time()))
        for argv in CASES.values():
            seconds(argv, env)  # byte-code and disk caches
        rounds = [{name: seconds(argv, env) for name, argv in CASES.items()} for _ in range(RUNS)]
    return {name: statistics.median(each[name] for each in rounds) for name in CASES}
