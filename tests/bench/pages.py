"""How long a list of a hundred thousand takes, and how much memory, beside a bare httpx loop.

``python -m tests.bench.pages`` prints it alone; a number behind it is for a shorter list.
"""

from __future__ import annotations

import base64
import json
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

ITEMS: Final = 100_000
A_PAGE: Final = 100
PATH: Final = "/rest/api/3/search/jql"
LOG: Final = "project = TIDE"
LIMIT: Final = 1200.0

BARE: Final = """
import asyncio, sys
import httpx

async def follow(url, bearer, query):
    headers = {"Authorization": f"Bearer {bearer}"}
    async with httpx.AsyncClient(headers=headers) as client:
        while True:
            answer = await client.get(url, params=query)
            sys.stdout.write(answer.text + "\\n")
            page = answer.json()
            if page["isLast"]:
                return
            query["nextPageToken"] = page["nextPageToken"]

url, start = sys.argv[1:]
query = {"jql": "project = TIDE", "maxResults": "100", "nextPageToken": start}
asyncio.run(follow(url, sys.stdin.read(), query))
"""
OURS: Final = "from twg.cli.main import main; main()"
TELLING: Final = """
import atexit, resource, sys
def tell():
    used = resource.getrusage(resource.RUSAGE_SELF)
    print("used:", used.ru_maxrss, used.ru_utime + used.ru_stime, file=sys.stderr)
atexit.register(tell)
"""
MANNERS: Final[Mapping[str, tuple[str, ...]]] = {
    "twg, pages as they come": ("-o", "text"),
    "twg, a line an item": ("-o", "text", "--jsonl"),
    "twg, one document": ("-o", "json"),
}


class Used(NamedTuple):
    """What one program took.

    Attributes:
        seconds: By the clock.
        processor: By the processor.
        peak: Of memory, in bytes.
    """

    seconds: float
    processor: float
    peak: int


def rows(items: int = ITEMS) -> Iterator[tuple[str, str, str, str, str]]:
    """Yield for each way: its name, time, ratio, processor time, and memory above a short list."""
    with tempfile.TemporaryDirectory(prefix="twg-bench-") as directory:
        root = Path(directory)
        with sandbox_at(root / "sandbox") as sandbox:
            yield from _measured(root, sandbox, items)


def _measured(
    root: Path, sandbox: SandboxHandle, items: int
) -> Iterator[tuple[str, str, str, str, str]]:
    console = Console(root)
    console.settings('[storage]\nkey = "file"\n')
    credential = console.sign_in(sandbox)
    bearer = credential.tokens.access.reveal("to measure a bare loop")
    site = f"{credential.provider.api_base}/ex/jira/{credential.sites[0].cloud_id}"

    def bare(count: int) -> Used:
        return _used(root, BARE, [f"{site}{PATH}", _token(count)], console.env, bearer)

    def ours(count: int, *manner: str) -> Used:
        query = {"jql": LOG, "maxResults": str(A_PAGE), "nextPageToken": _token(count)}
        fields = [word for name, value in query.items() for word in ("-f", f"{name}={value}")]
        words = ["api", "jira", PATH, "-X", "GET", *fields, "--paginate", *manner]
        return _used(root, OURS, words, console.env)

    before, first = bare(A_PAGE), bare(items)
    yield _row("a bare httpx loop", first, first, before)
    for name, manner in MANNERS.items():
        before, found = ours(A_PAGE, *manner), ours(items, *manner)
        yield _row(name, found, first, before)


def _row(name: str, found: Used, bare: Used, short: Used) -> tuple[str, str, str, str, str]:
    return (
        name,
        f"{found.seconds:.1f} s",
        f"{found.seconds / bare.seconds:.2f}",
        f"{found.processor:.1f} s",
        f"{(found.peak - short.peak) / 1e6:.0f} MB",
    )


def _token(count: int) -> str:
    """Return the sandbox's token for the page from which so many are left."""
    return base64.urlsafe_b64encode(f"start:{ITEMS - count}".encode()).decode()


def _used(root: Path, code: str, words: list[str], env: Mapping[str, str], given: str = "") -> Used:
    """Run a program with what it prints going to a file, as lists do."""
    with (root / "list").open("w") as sink:
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", TELLING + code, *words],
            env=env,
            input=given,
            stdout=sink,
            stderr=subprocess.PIPE,
            check=True,
            text=True,
            timeout=LIMIT,
        )
        seconds = time.perf_counter() - began
    peak, processor = done.stderr.rpartition("used:")[2].split()
    unit = 1 if sys.platform == "darwin" else 1024
    return Used(seconds, float(processor), int(peak) * unit)


def main() -> None:
    """Measure and print."""
    for row in rows(int(sys.argv[1]) if sys.argv[1:] else ITEMS):
        sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
