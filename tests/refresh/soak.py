"""A week in a minute: ``python -m tests.refresh.soak SECONDS``.

Fifty profiles whose tokens live for two seconds, several processes that are killed all the time,
and a server that fails in every way it can. No sign-in may be lost that the server has not ended.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from anyio.streams.buffered import BufferedByteReceiveStream

from tests.auth.parts import TOKEN, stored
from tests.oauth.servers import document, page, reset, serving, status
from tests.refresh.rotating import RotatingServer, refresh_of, signed_in
from tests.refresh.soaked import PROFILES
from tests.refresh.tracing import REPOSITORY
from tests.rigs.parts import search_path
from tests.rigs.programs import line_with, running
from tests.vault.samples import Ear, custody_of, store_at
from twg.auth.tokens import TokenManager
from twg.errors import AuthError
from twg.http import Http

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from anyio.abc import Process, SocketStream, TaskGroup

    from tests.oauth.servers import Server

LIFETIME = 2.0
WORKERS = 3
SECONDS_A_LIFE = 1.0
"""How long a worker lives, on average."""
LONGEST_LINE = 1 << 16


@dataclass(kw_only=True)
class Soak:
    """A running soak, and what it has seen.

    Attributes:
        root: Where the store is.
        server: The server.
        model: What it knows.
        seen: How often what happened.
        wrong: What must not happen.
    """

    root: Path
    server: Server
    model: RotatingServer
    seen: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    _asked_for: int = 0
    _alive: set[int] = field(default_factory=set)
    _anew: set[str] = field(default_factory=set)

    async def answer(self, stream: SocketStream) -> None:
        """Answer a renewal honestly, or in one of many other ways."""
        ways: dict[str, tuple[int, Callable[[SocketStream], Awaitable[None]]]] = {
            "answered": (80, self._honestly),
            "answered late": (6, self._late),
            "answer lost": (2, self._lost),
            "reset": (4, reset()),
            "unavailable": (3, status(503)),
            "asked to wait": (3, status(429, retry_after="1")),
            "web page": (2, page(502)),
        }
        weights = [weight for weight, _ in ways.values()]
        [name] = random.choices(list(ways), weights)  # noqa: S311 - no secret is made of it
        self.seen[name] += 1
        await ways[name][1](stream)

    async def _honestly(self, stream: SocketStream) -> None:
        await self.model.reply_on(self.server, stream)

    async def _late(self, stream: SocketStream) -> None:
        code, answer = self.model.renew(self.server.received[-1].form["refresh_token"])
        await anyio.sleep(random.uniform(0.05, 0.5))  # noqa: S311 - likewise
        await document(answer, code)(stream)

    async def _lost(self, stream: SocketStream) -> None:
        self.model.renew(self.server.received[-1].form["refresh_token"])
        await reset()(stream)

    async def sign_in(self, profile: str) -> None:
        """Sign a profile in, as its person does."""
        store = store_at(self.root)
        made = signed_in(self.model, self.server.url, profile, time.time())
        async with store.lease(profile):
            await store.save(made, expected=None)
        self._anew.discard(profile)

    async def run(self, worker: Process, seconds: float) -> None:
        """Let workers live and die for so many seconds."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._listen, worker, tasks)
            with anyio.move_on_after(seconds):
                while True:
                    await self._replace_workers(worker)
            for each in tuple(self._alive):
                self._kill(each)
            tasks.cancel_scope.cancel()

    async def _replace_workers(self, worker: Process) -> None:
        assert worker.stdin is not None
        for _ in range(WORKERS - len(self._alive) - self._asked_for):
            self._asked_for += 1
            await worker.stdin.send(b"start\n")
        await anyio.sleep(random.expovariate(WORKERS / SECONDS_A_LIFE))
        if self._alive:
            self._kill(random.choice(tuple(self._alive)))  # noqa: S311 - likewise

    def _kill(self, each: int) -> None:
        self._alive.discard(each)
        self.seen["killed"] += 1
        with contextlib.suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)

    async def _listen(self, worker: Process, tasks: TaskGroup) -> None:
        assert worker.stdout is not None
        lines = BufferedByteReceiveStream(worker.stdout)
        while True:
            line = (await lines.receive_until(b"\n", LONGEST_LINE)).decode()
            word, *more = line.split()
            self.seen[word] += 1
            if word == "started":
                self._asked_for -= 1
                self._alive.add(int(more[0]))
            elif word == "wrong":
                self.wrong.append(line)
            elif word == "lost" and self._is_ended(line, more[1]) and more[0] not in self._anew:
                self._anew.add(more[0])
                self.seen["signed in anew"] += 1
                tasks.start_soon(self.sign_in, more[0])

    def _is_ended(self, line: str, token: str) -> bool:
        """Tell whether the server has ended what is told to be lost; else that is wrong."""
        ended = not self.model.honours(token)
        if not ended:
            self.wrong.append(line)
        return ended

    async def check_all(self) -> None:
        """Renew every token once more, at a server that has become honest."""
        self.model.serve_on(self.server)
        store = store_at(self.root)
        custody = custody_of(Ear())
        async with Http() as http, TokenManager(store=store, http=http, custody=custody) as manager:
            for profile in PROFILES:
                works = self.model.honours(refresh_of(await stored(store, profile)))
                try:
                    await manager.renew(profile, force=True)
                except AuthError as error:
                    if works:
                        self.wrong.append(f"{profile} in the end: {error}")
                else:
                    self.seen["works in the end"] += 1

    def table(self) -> list[str]:
        """Return what was seen, a line each."""
        counted = [f"{count:8}  {what}" for what, count in sorted(self.seen.items())]
        return [*counted, f"{len(self.wrong):8}  lost or broken for nothing", *self.wrong]


async def soak(root: Path, seconds: float) -> Soak:
    """Soak for so many seconds; return what was seen."""
    argv = [sys.executable, "-m", "tests.refresh.soaked", str(root)]
    env = {"PATH": search_path(), "PYTHONPATH": str(REPOSITORY)}
    async with serving() as server, running(argv, env) as worker:
        model = RotatingServer(time.time, lifetime=LIFETIME)
        one = Soak(root=root, server=server, model=model)
        for profile in PROFILES:
            await one.sign_in(profile)
        server.on(TOKEN, one.answer)
        await line_with(worker, "warm")
        await one.run(worker, seconds)
        await one.check_all()
        return one


def main(seconds: str) -> None:
    """Soak, tell what was seen, and end with 1 where anything was wrong."""
    with tempfile.TemporaryDirectory() as directory:
        one = anyio.run(soak, Path(directory), float(seconds))
    sys.stdout.write("\n".join(one.table()) + "\n")
    sys.exit(1 if one.wrong else 0)


if __name__ == "__main__":
    main(sys.argv[1])
