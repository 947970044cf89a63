"""Measures twg beside its peers and writes it down: ``make bench``."""

from __future__ import annotations

import os
import platform
import sys
from typing import TYPE_CHECKING

from tests.bench import (
    audit_reading,
    auditing,
    drawing,
    pages,
    programs,
    redaction,
    startup,
)
from tests.bench.meter import PROCESSES, TASKS, THREADS
from tests.bench.programs import LIMIT, ROOT, Peers, serving

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from tests.bench.programs import Found

MANY = 1000
SIZES = (1, 10, 100, 1000)
GROWING = ("status", "get", "save", "refresh")
DOCS = ROOT / "docs"

HEAD = """# Benchmarks

Written by `make bench`, which measures everything side by side in one run; nothing here is a test.
Ratios carry over to other machines, seconds do not. Each figure is the median of several runs, or
of one where a run takes over ten seconds. The token server is a light one on loopback, in a process
of its own; its refresh tokens work once, and using one twice ends the sign-in.
"""


def main() -> None:
    """Measure, print, and write `docs/benchmarks.md` with its pictures."""
    peers = Peers.installed()
    parts = [HEAD, surroundings(peers)]
    for part in (starting, many, race, fresh, growth, scrubbing, lists, recording, reading):
        sys.stderr.write(f"measuring: {(part.__doc__ or '').splitlines()[0]}\n")
        parts.append(part(peers))
    text = "\n".join(parts)
    sys.stdout.write(text)
    (DOCS / "benchmarks.md").write_text(text)


def surroundings(peers: Peers) -> str:
    """Where and with what."""
    where = f"{platform.system()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    return f"{where}. Peers: {', '.join(peers.versions)}.\n"


def starting(_peers: Peers) -> str:
    """How long a command takes to start."""
    words = (
        f"Whole processes, in turns; medians of {startup.RUNS}. A call goes to a sandbox on "
        "loopback with a fresh token; the script imports asyncclick, httpx and cryptography and "
        "sends the same. *Worked* is the ratio of the processor's time."
    )
    heads = ("command", "time", "ratio", "worked", "to reach")
    peaks = section("Memory", "At its peak.", ("command", "peak", "to reach"), startup.peaks())
    return section("Start", words, heads, startup.rows()) + "\n" + peaks


def many(peers: Peers) -> str:
    """Renewing many due credentials at once."""
    with serving(0.1) as url:
        found = {
            "raw asyncio streams, 1000 at a time": peers.found(url, "streams", "many", MANY, MANY),
            "raw asyncio streams, 200 at a time": peers.found(url, "streams", "many", MANY, 200),
            "twg, durable and audited": programs.ours(url, "many", MANY),
            "httpx.AsyncClient, gather": peers.found(url, "httpx", "many", MANY),
            "Authlib AsyncOAuth2Client, 200 at a time": peers.found(url, "authlib", "many", MANY),
        }
    rows = [
        (name, *((s(one["seconds"]), f"{one['peak_mb']:.0f} MB") if one else (too_long(peers), "")))
        for name, one in found.items()
    ]
    words = (
        f"{MANY} due credentials; the server answers after 100 ms. twg saves each new token to the "
        "disk before anyone sees it, and records each use of a secret; the others keep nothing."
    )
    return section("Many credentials", words, ("client", "time", "peak memory"), rows)


def race(peers: Peers) -> str:
    """One due credential that many callers want."""
    asked: list[tuple[str, str, int]] = [
        *(("twg", job, count) for job, count in CALLERS.items()),
        *(("authlib", job, count) for job, count in CALLERS.items()),
        ("authlib, one a task", "tasks", TASKS),
        *(
            (peer, job, CALLERS[job])
            for peer in ("google-auth", "msal", "requests-oauthlib")
            for job in ("threads", "processes")
        ),
    ]
    rows = []
    bars = []
    with serving(ANSWER_SECONDS) as url:
        for peer, job, count in asked:
            one = programs.ours(url, job) if peer == "twg" else peers.found(url, peer, job)
            name = f"{peer}, {count} {job}"
            rows.append((name, *_raced(one, peers)))
            if one is not None:
                bars.append((name, one["failing"], float(count)))
        nothing = programs.ours(url, "floor", ANSWER_SECONDS)
    rows.append((f"nobody, {PROCESSES} processes that only wait", *_raced(nothing, peers)))
    write(DOCS / "benchmarks-race.svg", drawing.bars("Callers left without a token", bars))
    words = (
        "All want it at the same moment; the server answers after 150 ms. Tasks and threads share "
        "what the library lets them share; processes begin with a copy of one token, for no peer "
        "has a store that processes share. *After* is from the server's last answer until the last "
        "process is done. That of processes which begin an event loop, wait as long and do nothing "
        "is what the machine takes for so many.\n\n"
        "![Callers left without a token](benchmarks-race.svg)"
    )
    return section("One credential", words, ("callers", "requests", "failing", "after"), rows)


ANSWER_SECONDS = 0.15
CALLERS = {"tasks": TASKS, "threads": THREADS, "processes": PROCESSES}


def _raced(one: Found | None, peers: Peers) -> tuple[str, str, str]:
    if one is None:
        return too_long(peers), "", ""
    after = ms(one["after"]) if one.get("after") else ""
    return f"{one['requests']:.0f}", f"{one['failing']:.0f}", after


def fresh(peers: Peers) -> str:
    """Asking for a credential that is fresh."""
    with serving(0) as url:
        found = {
            "twg, `TokenManager.get`": programs.ours(url, "fresh"),
            "Authlib, `ensure_active_token`": peers.found(url, "authlib", "fresh"),
            "google-auth, `valid`": peers.found(url, "google-auth", "fresh"),
        }
    rows = [
        (name, f"{one['seconds'] * 1e6:.1f} µs" if one else too_long(peers))
        for name, one in found.items()
    ]
    words = "Each call. twg also looks whether another process has saved a newer one."
    return section("A fresh credential", words, ("client", "time"), rows)


def growth(peers: Peers) -> str:
    """What it costs as profiles grow."""
    with serving(0) as url:
        found = {size: programs.ours(url, "growth", size) for size in SIZES}
    known = {size: one for size, one in found.items() if one is not None}
    rows = [
        (
            str(size),
            *((ms(one[word]) for word in GROWING) if one else ("", "", "", too_long(peers))),
        )
        for size, one in found.items()
    ]
    lines = {
        word: [(float(size), one[word] * 1000) for size, one in known.items()] for word in GROWING
    }
    picture = drawing.lines("Cost by the number of profiles", lines, "ms")
    write(DOCS / "benchmarks-growth.svg", picture)
    words = (
        "By the number of profiles in the store: reading the status, getting a fresh credential, "
        "a durable save, and one whole renewal, which is two of them and a request.\n\n"
        "![Cost by the number of profiles](benchmarks-growth.svg)"
    )
    return section("Growth", words, ("profiles", "status", "get", "one save", "one refresh"), rows)


def scrubbing(peers: Peers) -> str:
    """Taking the secrets out of a log."""
    words = (
        "64 MiB of ordinary log on one core, a secret and something that looks like one in each "
        "megabyte; slow ones get less of it. Libraries by processor time, programs by the clock. "
        "RE2 builds its automaton as it meets new text, so the first pass is slower. Of the 32 "
        "ways to write a secret in `tests/guard/transforms.py` twg sees all, split over any two "
        "chunks too; `python -m tests.guard.transforms` lists those and more, with what it misses."
    )
    heads = ("redactor", "MB/s", "looks for")
    return section("Redaction", words, heads, redaction.rows(peers))


def lists(_peers: Peers) -> str:
    """Following a long list to its end."""
    words = (
        f"{pages.ITEMS} issues of the sandbox, {pages.A_PAGE} a page, `twg api --paginate`, with "
        "what is printed going to a file. The bare loop follows the same pages, parses and prints "
        "them; twg also takes the secrets out, and records each use of the token. Memory is what "
        "the whole list took beyond one page of it."
    )
    heads = ("client", "time", "bare loops", "processor", "memory")
    return section("Long lists", words, heads, pages.rows())


def recording(_peers: Peers) -> str:
    """Writing the audit record."""
    words = (
        "Each record is chained, under a lock that other processes take too, and handed to the "
        "operating system before the call returns; structlog does the last alone. Of many writers, "
        "all records were there and in their chain afterwards."
    )
    return section("Audit record", words, ("what", "how much", "beside"), auditing.rows())


def reading(_peers: Peers) -> str:
    """Reading the audit record."""
    words = (
        f"{audit_reading.MANY:,} records in one file. A span of time is found by halving. Proving "
        "follows the whole chain; beside it, what a program does at the least that looks at all: "
        "one hash over the file, and each line parsed."
    )
    heads = ("what", "time", "beside")
    return section("Reading the audit record", words, heads, audit_reading.rows())


def section(title: str, words: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a section of the document: a heading, words, a table."""
    table = [heads, ["---"] * len(heads), *rows]
    drawn = [f"| {' | '.join(row)} |" for row in table]
    return "\n".join([f"## {title}", "", words, "", *drawn, ""])


def ms(seconds: float) -> str:
    """Return a duration in milliseconds."""
    return f"{seconds * 1000:.3g} ms" if seconds < 1 else f"{seconds * 1000:.0f} ms"


def s(seconds: float) -> str:
    """Return a duration in seconds."""
    return f"{seconds:.2f} s"


def too_long(peers: Peers) -> str:
    """Return what stands where there is no figure."""
    return f"over {LIMIT:.0f} s" if peers.python else "not measured"


def write(path: Path, picture: str) -> None:
    """Write a picture."""
    path.write_text(picture)


if __name__ == "__main__":
    main()
