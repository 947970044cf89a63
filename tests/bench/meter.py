"""What every measured program shares: a result on one line, and callers forked at one moment.

It imports nothing of twg, for it runs in the peers' environment too.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import threading
import time
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

THREADS = 8
TASKS = 64
PROCESSES = 256


def tell(**found: Any) -> None:
    """Print what was found, with the peak memory of this process in MB."""
    sys.stdout.write(json.dumps({**found, "peak_mb": _peak() / 1e6}) + "\n")


def _peak() -> int:
    status = Path("/proc/self/status")
    if status.exists():
        # Not getrusage: on Linux its figure begins with that of the parent, which is larger.
        lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(lines["VmHWM"].split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def ask(url: str, path: str) -> dict[str, Any]:
    """Get a small document of the server's."""
    connection = HTTPConnection(urlsplit(url).netloc)
    connection.request("GET", path)
    found: dict[str, Any] = json.loads(connection.getresponse().read())
    connection.close()
    return found


def failed(work: Callable[[], object]) -> bool:
    """Tell whether a caller fails, with whatever error."""
    try:
        work()
    except Exception:  # noqa: BLE001 - each library has errors of its own
        return True
    return False


def in_threads(work: Callable[[], object]) -> int:
    """Let threads call at one moment; return how many failed."""
    failures: list[bool] = []
    start = threading.Barrier(THREADS)

    def one() -> None:
        start.wait()
        failures.append(failed(work))

    threads = [threading.Thread(target=one) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(failures)


async def in_tasks(work: Callable[[], Awaitable[object]]) -> int:
    """Let tasks call at one moment; return how many failed."""
    ends = await asyncio.gather(*(work() for _ in range(TASKS)), return_exceptions=True)
    return sum(isinstance(end, BaseException) for end in ends)


def in_processes(
    work: Callable[[], object], opened: Callable[[float], object] = bool
) -> tuple[int, float]:
    """Let forked processes call at one moment; return how many failed, and when the last was done.

    The moment is the closing of a pipe, for which all wait; `opened` hears when that was.
    """
    ready, set_ready = os.pipe()
    gate, open_gate = os.pipe()
    children = [_fork(work, set_ready, gate, open_gate) for _ in range(PROCESSES)]
    os.close(set_ready)
    os.close(gate)
    waiting = PROCESSES
    while waiting:
        waiting -= len(os.read(ready, waiting))
    opened(time.monotonic())
    os.close(open_gate)
    os.close(ready)
    failures = 0
    for child in children:
        failures += os.waitpid(child, 0)[1] != 0
    return failures, time.monotonic()


def _fork(work: Callable[[], object], set_ready: int, gate: int, open_gate: int) -> int:
    child = os.fork()
    if child:
        return child
    os.close(open_gate)
    os.write(set_ready, b".")
    os.read(gate, 1)
    os._exit(int(failed(work)))


def per_call(work: Callable[[], object]) -> float:
    """Return the seconds of one call, of as many as a second holds."""
    calls, began, took = 0, time.perf_counter(), 0.0
    while took < 1:
        for _ in range(100):
            work()
        calls += 100
        took = time.perf_counter() - began
    return took / calls


async def per_await(work: Callable[[], Awaitable[object]]) -> float:
    """Return the seconds of one awaited call, of as many as a second holds."""
    calls, began, took = 0, time.perf_counter(), 0.0
    while took < 1:
        for _ in range(100):
            await work()
        calls += 100
        took = time.perf_counter() - began
    return took / calls
