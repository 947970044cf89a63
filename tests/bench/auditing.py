"""How fast the audit record is: beside a logger that only writes, with many writers, in a command.

``python -m tests.bench.auditing`` prints it alone; with ``writer PATH COUNT`` it is one of
many writers, with ``command PATH`` what a command does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from guard.audit import AuditLog

RECORDS = 20_000
BATCH = 100
WRITERS = 64
EACH = 250
_ROUNDS = 3

FACTS: dict[str, Any] = {
    "reason": "send to https://api.example.com",
    "host": "api.example.com",
    "profile": "work",
}


def rows() -> list[tuple[str, str, str]]:
    """Return what was measured: what, how much of it, and beside what."""
    bare = max(_bare() for _ in range(_ROUNDS))
    single = max(_one_writer(1) for _ in range(_ROUNDS))
    batched = max(_one_writer(BATCH) for _ in range(_ROUNDS))
    many = _many_writers()
    added = sorted(_command() for _ in range(2 * _ROUNDS + 1))[_ROUNDS]
    return [
        ("structlog to a JSON file, bare", _rate(bare), ""),
        ("twg, a record at a time", _rate(single), f"{single / bare:.2f} of structlog"),
        (f"twg, {BATCH} at a time", _rate(batched), f"{batched / bare:.2f} of structlog"),
        (f"twg, {WRITERS} processes", _rate(many), f"{many / single:.2f} of one writer"),
        ("added to a command", f"{added * 1000:.1f} ms", "import, key, 4 records, one sync"),
    ]


def _rate(records: float) -> str:
    return f"{records:,.0f} records/s"


def _bare() -> float:
    import structlog  # noqa: PLC0415 - not where writers are measured

    actor = {"kind": "human", "agent": None, "uid": 1, "pid": 2, "ppid": 1, "tty": None}
    with tempfile.TemporaryDirectory() as name, (Path(name) / "bare.jsonl").open("w") as file:
        log = structlog.wrap_logger(
            structlog.WriteLogger(file),
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.JSONRenderer(),
            ],
        )
        began = time.perf_counter()
        for _ in range(RECORDS):
            log.info("token.refreshed", actor=actor, outcome="ok", trace="ab" * 16, **FACTS)
        return RECORDS / (time.perf_counter() - began)


def _one_writer(at_a_time: int) -> float:
    with tempfile.TemporaryDirectory() as name:
        log = _log_at(Path(name) / "state" / "audit.jsonl")
        log.prove()
        began = time.perf_counter()
        for _ in range(RECORDS // at_a_time):
            if at_a_time == 1:
                log.record("token.refreshed", **FACTS)
                continue
            with log.afterwards():
                for _ in range(at_a_time):
                    log.record("token.refreshed", **FACTS)
        return float(RECORDS / (time.perf_counter() - began))


def _many_writers() -> float:
    from guard.audit import load_or_create_key, verify  # noqa: PLC0415 - likewise

    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "state" / "audit.jsonl"
        words = [sys.executable, "-m", "tests.bench.auditing", "writer", path, EACH]
        command = [str(word) for word in words]
        held, gate = os.pipe()
        writers = [
            subprocess.Popen(command, stdin=held, stdout=subprocess.PIPE) for _ in range(WRITERS)
        ]
        for writer in writers:
            assert writer.stdout is not None
            writer.stdout.readline()  # it is ready
        os.close(held)
        os.close(gate)
        ends = [json.loads(writer.communicate()[0]) for writer in writers]
        count = verify(path, load_or_create_key(path.with_suffix(".key")))
        if count < WRITERS * EACH:
            raise RuntimeError(f"{WRITERS * EACH - count} records were lost")
        begun, done = min(begun for begun, _ in ends), max(done for _, done in ends)
    return float(WRITERS * EACH / (done - begun))


def _writer(path: Path, count: int) -> None:
    # What `twg` has imported by then anyway.
    import asyncio  # noqa: F401, PLC0415 - see above

    log = _log_at(path)
    log.prove()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.read()
    begun = time.time()
    for _ in range(count):
        log.record("token.refreshed", **FACTS)
    sys.stdout.write(json.dumps([begun, time.time()]))


def _command() -> float:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "state" / "audit.jsonl"
        _log_at(path).record("token.refreshed", **FACTS)
        words = [sys.executable, "-m", "tests.bench.auditing", "command", str(path)]
        # A program that is installed has been compiled.
        environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
        done = subprocess.run(words, capture_output=True, check=True, env=environ)
        return float(done.stdout)


def _a_command(path: Path) -> None:
    # What `twg` has imported by then anyway.
    import asyncio  # noqa: F401, PLC0415 - see above
    import dataclasses  # noqa: F401, PLC0415 - likewise

    from guard import agents, logs, process, secret  # noqa: F401, PLC0415 - likewise

    began = time.perf_counter()
    log = _log_at(path)
    log.record("command.started", details={"ancestors": [*agents.ancestor_names()]})
    log.record("store.opened", reason="auth.conf")
    log.record("secret.revealed", **FACTS)
    log.settle()
    log.record("command.ended", details={"duration_ms": 12})
    log.finish()
    sys.stdout.write(str(time.perf_counter() - began))


def _log_at(path: Path) -> AuditLog:
    from guard.audit import Actor, AuditLog, load_or_create_key  # noqa: PLC0415 - see _a_command
    from guard.syslog import SystemLog  # noqa: PLC0415 - likewise

    return AuditLog(
        path,
        key=lambda: load_or_create_key(path.with_suffix(".key")),
        actor=Actor.of_this_process(agent=None, command="twg api", environ={}),
        trace="ab" * 16,
        patience=60,
        mirror=SystemLog("twg-bench"),
    )


def main(words: list[str]) -> None:
    """Measure, or be what is measured."""
    match words:
        case ["writer", path, count]:
            _writer(Path(path), int(count))
        case ["command", path]:
            _a_command(Path(path))
        case _:
            for row in rows():
                sys.stdout.write("  ".join(row) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
