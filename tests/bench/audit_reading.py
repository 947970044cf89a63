"""How fast the audit record is read: proven beside a bare look at it, and a span of a long one.

``python -m tests.bench.audit_reading [COUNT]`` prints it alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from guard.links import BEGINNING, KEY_BYTES, Link, fragment, keyed, sealed
from guard.verifying import prove

if TYPE_CHECKING:
    from collections.abc import Callable

MANY = 1_000_000
FEW = 1000
_ROUNDS = 3
_KEY = bytes(KEY_BYTES)
_FACTS: dict[str, Any] = {
    "event": "secret.revealed",
    "actor": {
        "kind": "agent",
        "agent": "claude-code",
        "uid": 1000,
        "pid": 4242,
        "ppid": 4241,
        "tty": None,
        "command": "twg api",
    },
    "secret": {"kind": "access-token", "fingerprint": "0123456789abcdef"},
    "outcome": "ok",
    "reason": "send",
    "host": "api.example.com",
    "trace": "0123456789abcdef0123456789abcdef",
    "profile": "default",
}


def rows(many: int = MANY) -> list[tuple[str, str, str]]:
    """Return what was measured: what, how long it took, and beside what.

    Args:
        many: How many records the long record has.
    """
    with tempfile.TemporaryDirectory() as name:
        long, short = Path(name) / "long", Path(name) / "short"
        _write(long, many)
        _write(short, FEW)
        bare = min(_timed(lambda: _look(long / "audit.jsonl")) for _ in range(_ROUNDS))
        proven = min(_timed(lambda: prove(long / "audit.jsonl", _KEY)) for _ in range(_ROUNDS))
        of_few = min(_timed(lambda: _show(short)) for _ in range(2 * _ROUNDS))
        of_many = min(_timed(lambda: _show(long)) for _ in range(2 * _ROUNDS))
    return [
        (f"SHA-256 and json.loads of each of {many:,}", f"{bare:.2f} s", ""),
        (f"proving {many:,}", f"{proven:.2f} s", f"{proven / bare:.2f} of that"),
        (f"`twg audit show --since 1h` of {FEW:,}", f"{of_few * 1000:.0f} ms", ""),
        (
            f"`twg audit show --since 1h` of {many:,}",
            f"{of_many * 1000:.0f} ms",
            f"{of_many / of_few:.2f} of that",
        ),
    ]


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _look(path: Path) -> None:
    """Do what a program does at the least that reads and proves a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
        file.seek(0)
        for line in file:
            json.loads(line)


def _show(directory: Path) -> None:
    env = {
        "PATH": os.defpath,
        "HOME": str(directory),
        "TWG_STATE_DIR": str(directory),
        "TWG_CONFIG_DIR": str(directory / "config"),
        "TWG_OUTPUT": "text",
    }
    words = [sys.executable, "-m", "twg", "audit", "show", "--since", "1h", "--jsonl"]
    done = subprocess.run(words, env=env, check=True, capture_output=True)
    # The last of them were written within the hour, whatever the length.
    if done.stdout.count(b"\n") < FEW // 2:
        raise RuntimeError("too little was shown")


def _write(directory: Path, count: int) -> None:
    """Write a record whose last thousand are of the last hour, in one file."""
    directory.mkdir(mode=0o700)
    facts, last = fragment(_FACTS), BEGINNING
    began = datetime.now(UTC) - timedelta(hours=0.9)
    with _private(directory / "audit.jsonl") as file:
        for number in range(count):
            after = number - (count - FEW)
            when = began + (timedelta(seconds=after) if after >= 0 else timedelta(minutes=after))
            line, last = _line(when, facts, last)
            file.write(line)
    with _private(directory / "audit.head") as file:
        file.write(sealed("head", last, [_KEY]))


def _private(path: Path) -> BinaryIO:
    path.touch(mode=0o600)
    return path.open("wb")


def _line(when: datetime, facts: str, last: Link) -> tuple[bytes, Link]:
    """Return a line as `guard.links.line_of` does, of another moment than now."""
    ts = when.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    body = f'{{"ts":"{ts}","seq":{last.seq + 1},{facts},"prev":"{last.mac}"'
    mac = keyed(_KEY, body.encode())
    return f'{body},"mac":"{mac}"}}\n'.encode(), Link(last.seq + 1, mac)


def main(words: list[str]) -> None:
    """Measure, and print it."""
    for row in rows(*map(int, words)):
        sys.stdout.write("  ".join(row) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
