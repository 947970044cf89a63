"""Processes that renew at a rotating server while they are looked at, one after the other."""

from __future__ import annotations

import copy
import shutil
import sys
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.auth.parts import TOKEN, Gate, access_of
from tests.oauth.servers import serving
from tests.refresh.rotating import RotatingServer, refresh_of, signed_in
from tests.refresh.tracing import CALLS, REPOSITORY, calls, kill_at, strace, struck
from tests.refresh.workers import BESIDE, audited_custody, audited_store
from tests.rigs.parts import search_path
from tests.rigs.programs import line_with, running
from tests.vault.samples import opened, store_at
from twg.auth.tokens import TokenManager
from twg.errors import AuthExpired, TwgError
from twg.http import Http

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from anyio.abc import Process

    from tests.oauth.servers import Server
    from tests.refresh.tracing import Call

SENT = "sendto the server"
SAVED = "rename config/.auth.conf.*.tmp to config/auth.conf"
WORKS = "works"
SIGN_IN_AGAIN = "sign in again"
CUT_OFF = "never arrived|cut off"


@dataclass(frozen=True, kw_only=True)
class Looked:
    """What came of a process that was looked at.

    Attributes:
        calls: Its system calls, in order, if strace looked at it.
        struck: How many calls were made to fail; more than one where each thread has its own count.
        said: What it said of its renewal.
        status: How it ended, a signal as a negative number.
    """

    calls: list[Call]
    struck: int
    said: str
    status: int


@dataclass(kw_only=True)
class Lane:
    """One server, and processes that renew there, each on a copy of the same store.

    Attributes:
        server: The server.
        model: What it knows now.
        directory: Where the stores are.
        worker: The process that forks the others.
    """

    server: Server
    model: RotatingServer
    directory: Path
    worker: Process
    _used: int = 0

    def __post_init__(self) -> None:
        self._beginning = copy.deepcopy(self.model)

    def fresh_root(self) -> Path:
        """Return a new store with two sign-ins, at a server that knows them and nothing else."""
        self._used += 1
        root = self.directory / f"run-{self._used}"
        shutil.copytree(self.directory / "beginning", root)
        self.model = copy.deepcopy(self._beginning)
        self.model.serve_on(self.server)
        return root

    async def look(self, root: Path, *options: str, sent: bool = False) -> tuple[Looked, object]:
        """Let a process renew while strace looks at it.

        Args:
            root: Its store.
            options: Of strace, such as an injection.
            sent: Begin to look only when the request is at the server.

        Returns:
            What came of it, and the other profile's credential as it was before.
        """
        record = root / "trace"
        process, beside = await self._ready(root)
        gate = Gate(partial(self.model.reply_on, self.server))
        if sent:
            self.server.on(TOKEN, gate)
            await self._tell("go")
            await gate.reached()
        async with strace(process, record, "-e", f"trace={CALLS}", *options):
            if sent:
                gate.opened.set()
            else:
                await self._tell("go")
            said, status = await self._ended()
        self.model.serve_on(self.server)
        found = calls(record, root)
        return Looked(calls=found, struck=struck(record), said=said, status=status), beside

    async def kill(self, root: Path, call: Call) -> tuple[Looked, object]:
        """Let a process renew, and end it before that call; return as `look` does."""
        process, beside = await self._ready(root)
        async with kill_at(process, call.place):
            await self._tell("go")
            said, status = await self._ended()
        return Looked(calls=[], struck=0, said=said, status=status), beside

    async def _ready(self, root: Path) -> tuple[int, object]:
        await self._tell(str(root))
        process = int((await line_with(self.worker, "ready")).split()[1])
        return process, opened(await store_at(root).read(BESIDE))

    async def _tell(self, line: str) -> None:
        assert self.worker.stdin is not None
        await self.worker.stdin.send(f"{line}\n".encode())

    async def _ended(self) -> tuple[str, int]:
        assert self.worker.stdout is not None
        said = ""
        while "ended " not in said or not said.endswith("\n"):
            said += (await self.worker.stdout.receive()).decode()
        words, _, status = said.rpartition("ended ")
        return words.strip(), int(status)


@asynccontextmanager
async def lane(directory: Path, *, leeway: float = 0.0) -> AsyncIterator[Lane]:
    """Run a server, lenient for `leeway` seconds, and a process that is ready to fork others."""
    argv = [sys.executable, "-m", "tests.refresh.workers", str(directory / "warm")]
    env = {"PATH": search_path(), "PYTHONPATH": str(REPOSITORY)}
    async with serving() as server:
        model = RotatingServer(time.time, leeway)
        model.serve_on(server)
        for name in ("warm", "beginning"):
            store = store_at(directory / name)
            for profile in (BESIDE, "default"):
                await store.save(signed_in(model, server.url, profile, time.time()), expected=0)
        async with running(argv, env) as worker:
            running_lane = Lane(server=server, model=model, directory=directory, worker=worker)
            await line_with(worker, "ready")
            await running_lane._tell("go")
            await line_with(worker, "warm")
            yield running_lane


async def steps_of(first: Lane, *, sent: bool = False) -> list[Call]:
    """Return the calls of a renewal that goes through; with `sent`, those after the request."""
    looked, _ = await first.look(first.fresh_root(), sent=sent)
    assert (looked.said, looked.status) == ("renewed", 0)
    steps = [call for call in looked.calls if call.changes and not _is_records_lock(call)]
    needed = {SAVED, "recvfrom the server", "fsync config"}
    needed |= set() if sent else {SENT, "connect the server"}
    assert needed <= {step.what for step in steps}
    return steps


def _is_records_lock(call: Call) -> bool:
    # Taken and let go with each record, by the same means as the store's own locks.
    return call.name == "flock" and "audit" in call.what


async def next_get(one: Lane, root: Path) -> str:
    """Be the next process, get and renew, and tell what came of it."""
    custody = audited_custody(root)
    store = audited_store(root, custody)
    async with Http() as http, TokenManager(store=store, http=http, custody=custody) as manager:
        before = len(one.model.received)
        try:
            await manager.get("default")
            renewed = await manager.renew("default", force=True)
        except AuthExpired as error:
            with pytest.raises(AuthExpired, match=CUT_OFF):
                raise
            kept = await store.read("default")
            assert kept is not None
            assert kept.refused is not None
            return f"{SIGN_IN_AGAIN}: {error}"
        except TwgError as error:
            return f"{error.code}: {error}"
    assert access_of(renewed).startswith("access-default-")
    assert one.model.honours(refresh_of(renewed))
    assert len(one.model.received) == before + 1
    return WORKS
