"""How long commands take from start to end, and how much memory, each beside what it is held to.

``python -m tests.bench.startup`` prints it alone.
"""

from __future__ import annotations

import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from tests.cli.console import Console, sandbox_at

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.sandbox.running import SandboxHandle

RUNS: Final = 30
LIMIT: Final = 60.0
TWG: Final = str(Path(sys.executable).with_name("twg"))
PATH: Final = "/rest/api/3/myself"
REFUSED: Final = 64

BARE: Final = "python -c pass"
PARSER: Final = "python -c 'import asyncclick'"
LOOP: Final = "python -c 'import asyncclick, anyio._backends._asyncio'"
CALL: Final = "the same call by a script"
STATUS: Final = "twg auth status"
API: Final = "twg api jira …"

SCRIPT: Final = """
import sys
import asyncclick, httpx
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
import anyio

async def call(url, bearer):
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {bearer}"}) as client:
        sys.stdout.write((await client.get(url)).text)

anyio.run(call, sys.argv[1], sys.stdin.read())
"""
PEAK: Final = """
import atexit, sys
def tell():
    with open("/proc/self/status") as status:
        print("".join(line for line in status if line.startswith("VmHWM")), file=sys.stderr)
atexit.register(tell)
from twg.cli.main import main
main()
"""


class Case(NamedTuple):
    """What is measured.

    Attributes:
        argv: The command line.
        against: The case that it is held to; none for one that others are held to.
        reach: How many times as long as that it may take.
        status: The exit status that it ends with.
        given: What it reads.
    """

    argv: list[str]
    against: str = ""
    reach: float = 0.0
    status: int = 0
    given: str = ""


class Took(NamedTuple):
    """What one run, or the median one, took.

    Attributes:
        seconds: By the clock.
        processor: By the processor, which other programs' load changes less.
    """

    seconds: float
    processor: float


def rows() -> Iterator[tuple[str, str, str, str, str]]:
    """Yield for each case: its name, time, processor time, both ratios, and what is to be reached.

    Those of peers stand below, where they are installed.
    """
    with tempfile.TemporaryDirectory(prefix="twg-bench-") as directory:
        root = Path(directory)
        with sandbox_at(root / "sandbox") as sandbox:
            console = Console(root)
            cases = _cases(console, sandbox)
            found = _medians(cases, console.env)
    for name, case in cases.items():
        took, other = found[name], found.get(case.against)
        ratio = "" if other is None else f"{took.seconds / other.seconds:.2f}"
        worked = "" if other is None else f"{took.processor / other.processor:.2f}"
        reach = f"{case.reach:g} of `{case.against}`" if case.reach else ""
        yield name, _ms(took.seconds), ratio, worked, reach


def peaks() -> Iterator[tuple[str, str, str]]:
    """Yield for the commands with a limit: name, peak of memory (`VmHWM`), limit."""
    with tempfile.TemporaryDirectory(prefix="twg-bench-") as directory:
        root = Path(directory)
        with sandbox_at(root / "sandbox") as sandbox:
            console = Console(root)
            cases = _cases(console, sandbox)
            for name, limit in ((STATUS, 30), (API, 55)):
                yield name, f"{_peak(cases[name].argv[1:], console.env):.1f} MB", f"{limit} MB"


def _cases(console: Console, sandbox: SandboxHandle) -> dict[str, Case]:
    console.settings('[storage]\nkey = "file"\n')
    credential = console.sign_in(sandbox)
    bearer = credential.tokens.access.reveal("to measure a bare script")
    url = f"{credential.provider.api_base}/ex/jira/{credential.sites[0].cloud_id}{PATH}"
    python = [sys.executable, "-c"]
    ours = {
        BARE: Case([*python, "pass"]),
        PARSER: Case([*python, "import asyncclick"]),
        LOOP: Case([*python, "import asyncclick, anyio._backends._asyncio"]),
        CALL: Case([*python, SCRIPT, url], given=bearer),
        "twg --version": Case([TWG, "--version"], PARSER, 1.25),
        "twg --help": Case([TWG, "--help"], PARSER, 1.25),
        STATUS: Case([TWG, "auth", "status"], LOOP, 1.3),
        API: Case([TWG, "api", "jira", PATH], CALL, 1.25),
        "twg login --token …": Case([TWG, "login", "--token", "x1y2z3w4"], BARE, 4, REFUSED),
    }
    peers = (["gh", "auth", "status"], ["aws", "configure", "list"], ["gcloud", "auth", "list"])
    # Signed in nowhere, gh ends with 1.
    return ours | {
        " ".join(argv): Case(argv, STATUS, status=int(argv[0] == "gh"))
        for argv in peers
        if shutil.which(argv[0])
    }


def _medians(cases: Mapping[str, Case], env: Mapping[str, str]) -> dict[str, Took]:
    for case in cases.values():
        _run(case, env)  # byte-code and disk caches
    # In turns, so that load meets all alike.
    rounds = [{name: _run(case, env) for name, case in cases.items()} for _ in range(RUNS)]
    return {
        name: Took(
            statistics.median(each[name].seconds for each in rounds),
            statistics.median(each[name].processor for each in rounds),
        )
        for name in cases
    }


def _run(case: Case, env: Mapping[str, str]) -> Took:
    """Return what one whole process takes; one that ends otherwise ends the measurement."""
    before, began = _processor(), time.perf_counter()
    done = subprocess.run(
        case.argv, env=env, input=case.given.encode(), capture_output=True, check=False
    )
    took = Took(time.perf_counter() - began, _processor() - before)
    if done.returncode != case.status:
        raise RuntimeError(f"{case.argv[:2]} ended with {done.returncode}: {done.stderr!r}")
    return took


def _processor() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _peak(words: list[str], env: Mapping[str, str]) -> float:
    # Not what the system tells of an ended child: that begins with what its parent had.
    argv = [sys.executable, "-c", PEAK, *words]
    done = subprocess.run(
        argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=LIMIT
    )
    told = done.stderr.decode().rpartition("VmHWM:")[2].split()
    return int(told[0]) * 1024 / 1e6


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


if __name__ == "__main__":
    for row in (*rows(), *peaks()):
        sys.stdout.write(" | ".join(row) + "\n")
