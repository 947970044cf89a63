"""Looks at a process's system calls with strace, and ends it, or fails a call, at one of them."""

from __future__ import annotations

import re
import subprocess
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from tests.rigs.parts import missing, program
from tests.rigs.programs import PATIENCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from anyio.abc import Process

REPOSITORY = Path(__file__).parents[2]
CALLS = (
    "openat,write,?pwrite64,fsync,fdatasync,?rename,renameat,renameat2,?link,linkat,"
    "?unlink,unlinkat,?mkdir,mkdirat,?chmod,fchmod,ftruncate,flock,"
    "connect,sendto,sendmsg,recvfrom,recvmsg"
)
"""Whatever changes files or talks to others; `?` for those that not every machine has."""

_CALL = re.compile(r"^(\d+) +(\w+)\((.*)$")
_RESUMED = re.compile(r"^(\d+) +<\.\.\. (\w+) resumed>(.*)$")
_RANDOM = re.compile(r"\.[0-9a-f]{12}\.tmp|(?<=-)[0-9a-f]{16}(?=\.)")


@dataclass(frozen=True)
class Call:
    """One system call of a traced process.

    Attributes:
        name: The call.
        number: Which call of that name it is in its thread, from 1.
        place: Which of the recorded calls of the process it is, from 1, those on UNIX sockets left
            out: see `killer`.
        first: No other thread had made as many of that name before, so strace can pick it out.
        what: The call on what, in words that are the same in every run.
        changes: It succeeded, and left something on the disk or the wire.
    """

    name: str
    number: int
    place: int
    first: bool
    what: str
    changes: bool


@asynccontextmanager
async def strace(process: int, record: Path, *options: str) -> AsyncIterator[None]:
    """Trace all threads of a process, from inside the context until it ends.

    Skips the test where strace is missing or may not do this.
    """
    # With -s 0 no data is recorded: there are tokens in it.
    argv = [program("strace"), "-f", "-yy", "-s", "0", "-o", str(record), *options]
    async with _tracer([*argv, "-p", str(process)]):
        yield


@asynccontextmanager
async def kill_at(process: int, place: int, *, every: bool = False) -> AsyncIterator[None]:
    """Look at a process from inside the context, and end it at the call of that place.

    With `every`, calls on UNIX sockets are counted too, unlike in `Call.place`.
    """
    more = ["all"] if every else []
    argv = [sys.executable, "-m", "tests.refresh.killer", str(process), str(place), *more]
    async with _tracer(argv):
        yield


@asynccontextmanager
async def _tracer(argv: list[str]) -> AsyncIterator[None]:
    async with await anyio.open_process(
        argv, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=REPOSITORY
    ) as tracer:
        await _attached(tracer)
        yield
        with anyio.fail_after(PATIENCE):
            await tracer.wait()


async def _attached(tracer: Process) -> None:
    said = b""
    if tracer.stderr is not None:
        with anyio.fail_after(PATIENCE):
            async for chunk in tracer.stderr:
                said += chunk
                if b" attached" in said:
                    return
    missing(f"nobody may be traced here: {said.decode().strip()}")


def calls(record: Path, root: Path) -> list[Call]:
    """Read what strace recorded, in order, of `root` and of TCP."""
    counts: dict[tuple[int, str], int] = {}
    reached: set[tuple[str, int]] = set()
    found = []
    place = 0
    for thread, name, rest in _whole_lines(record.read_text()):
        number = counts[thread, name] = counts.get((thread, name), 0) + 1
        place += "<UNIX" not in rest
        if str(root) in rest or "<TCP:" in rest:
            what = f"{name} {_what(rest, root)}"
            changes = _changes(name, rest)
            found.append(
                Call(
                    name=name,
                    number=number,
                    place=place,
                    first=(name, number) not in reached,
                    what=what,
                    changes=changes,
                )
            )
        reached.add((name, number))
    return found


def struck(record: Path) -> int:
    """Return how many calls strace made to fail."""
    return record.read_text().count("(INJECTED)")


def _whole_lines(text: str) -> list[tuple[int, str, str]]:
    """Return thread, name and the rest of each call, in the order in which they were begun."""
    found: list[tuple[int, str, str]] = []
    begun: dict[int, int] = {}
    for line in text.splitlines():
        if match := _RESUMED.match(line):
            at = begun.pop(int(match[1]))
            thread, name, rest = found[at]
            found[at] = thread, name, rest + match[3]
        elif match := _CALL.match(line):
            thread = int(match[1])
            if match[3].endswith(" <unfinished ...>"):
                begun[thread] = len(found)
            found.append((thread, match[2], match[3]))
    return found


def _changes(name: str, rest: str) -> bool:
    if name in {"connect", "sendto", "sendmsg", "recvfrom", "recvmsg"}:
        return "<TCP:" in rest and "EAGAIN" not in rest
    if " = -1 " in rest:
        return False
    return name != "openat" or "O_CREAT|O_EXCL" in rest


def _what(rest: str, root: Path) -> str:
    """Return what a call is about: paths below `root`, or the peer."""
    if "<TCP:" in rest:
        return "the server"
    paths = list(dict.fromkeys(re.findall(re.escape(str(root)) + r"/([^>\"]+)", rest)))
    words = " to ".join(_RANDOM.sub(_star, path) for path in paths)
    return f"{words} (let go)" if "LOCK_UN" in rest else words


def _star(match: re.Match[str]) -> str:
    return ".*.tmp" if match[0].endswith(".tmp") else "*"
