"""A small world for the model test: processes, one disk, one server, and a wire that fails."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tests.auth.parts import NOW
from tests.refresh.memory import Disk, Killed, Life, MemoryStore
from tests.refresh.rotating import RotatingServer, refresh_of, signed_in
from tests.vault.samples import Ear, custody_of
from twg.auth.ages import Uptime
from twg.auth.tokens import TokenManager
from twg.errors import Interrupted, NetworkError, TwgError
from twg.http import Response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Coroutine

    from tests.refresh.virtual import VirtualLoop
    from twg.vault import Credential

URL = "http://127.0.0.1:9"
HOST = "127.0.0.1:9"


@dataclass(eq=False)
class Request:
    """A renewal on the wire.

    Attributes:
        process: Who sent it.
        profile: Whose token it is.
        token: The refresh token in it.
        answer: What the server made of it, once it has.
        received: What came back: an answer, or an error.
        done: Set when it has.
    """

    process: Process
    profile: str
    token: str
    answer: tuple[int, dict[str, Any]] | None = None
    received: tuple[int, Any] | NetworkError | None = None
    done: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(eq=False)
class Process:
    """A made-up process: a manager in a task of its own, and its callers.

    Attributes:
        life: Whether it lives.
        store: Its view of the store.
        told: What its person was told.
        callers: Its tasks that ask for a token.
        leave: Set to end it in good order.
    """

    life: Life
    store: MemoryStore
    told: list[str] = field(default_factory=list)
    callers: list[asyncio.Task[Any]] = field(default_factory=list)
    leave: asyncio.Event = field(default_factory=asyncio.Event)
    manager: TokenManager | None = None
    task: asyncio.Task[None] | None = None

    @property
    def runs(self) -> bool:
        """Whether it takes new work."""
        return self.manager is not None and self.life.alive and not self.leave.is_set()


class World:
    """Everything, and what went wrong in it.

    Args:
        loop: Whose time counts.
        leeway: The server's.
    """

    def __init__(self, loop: VirtualLoop, leeway: float) -> None:
        self.loop = loop
        self.clock_step = 0.0
        self.disk = Disk()
        self.server = RotatingServer(loop.time, leeway)
        self.processes: list[Process] = []
        self.on_the_wire: list[Request] = []
        self.all_requests: list[Request] = []
        self.broken: list[str] = []
        self.others: list[asyncio.Task[Any]] = []
        self.newest: dict[str, str] = {}
        self.person = MemoryStore(self.disk, Life(), lease_seconds=1e9)

    def wall_clock(self) -> float:
        """Return the machine's clock, which somebody may have set."""
        return NOW + self.loop.time() + self.clock_step

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Do `work`, and let everyone go on as far as they can without time passing."""

        async def and_settle() -> None:
            await work
            await self.loop.quiet()

        self.loop.run_until_complete(and_settle())

    # The person

    async def sign_in(self, profile: str, *, lease: bool = True) -> None:
        """Sign in anew as `twg login` does, whatever is there; or as one without a lease would."""
        credential = signed_in(self.server, URL, profile, self.wall_clock())
        async with self.person.lease(profile) if lease else contextlib.nullcontext():
            with contextlib.suppress(TwgError):  # a full disk: the person is told, and tries again
                await self.person.save(credential, expected=None)
                self.newest[profile] = family_of(credential)

    async def sign_out(self, profile: str) -> None:
        """Sign out as `twg logout` does: under the lease, revoked and then removed."""
        async with self.person.lease(profile):
            credential = await self.person.read(profile)
            if credential is not None:
                self.server.revoke(refresh_of(credential))
                with contextlib.suppress(TwgError):
                    await self.person.remove(profile, expected=None)

    async def choose_site(self, profile: str, site: str) -> None:
        """Change something else of a credential, which needs no lease."""
        credential = await self.person.read(profile)
        if credential is not None:
            with contextlib.suppress(TwgError):
                changed = replace(credential, site=site)
                await self.person.save(changed, expected=credential.generation)

    def beside(self, work: Coroutine[Any, Any, None]) -> None:
        """Let the person do something that may have to wait."""
        self.others.append(self.loop.create_task(work))

    # Processes

    def start(self, clock_ahead: float = 0.0) -> Process:
        """Start a process, whose clock may be ahead of the others'."""
        life = Life()
        process = Process(life, MemoryStore(self.disk, life))
        process.task = self.loop.create_task(self._live(process, clock_ahead))
        self.processes.append(process)
        return process

    async def _live(self, process: Process, clock_ahead: float) -> None:
        http: Any = Wire(self, process)
        manager = TokenManager(
            store=process.store,
            http=http,
            custody=custody_of(Ear()),
            clock=lambda: self.wall_clock() + clock_ahead,
            warn=process.told.append,
            uptime=Uptime(now=self.loop.time, boot_id="made-up"),
        )
        try:
            async with manager:
                process.manager = manager
                await process.life.wait(process.leave)
        except BaseException:
            # Killed: nobody is there any more to care how its tasks came to their end.
            if process.life.alive:
                raise
        finally:
            process.manager = None

    def ask(self, process: Process, work: Awaitable[Any]) -> None:
        """Let a caller in the process do `work`."""
        process.callers.append(self.loop.create_task(self._call(process, work)))

    async def _call(self, process: Process, work: Awaitable[Any]) -> Any:
        try:
            return await work
        except TwgError as error:
            return error
        except (Killed, RuntimeError):
            if process.runs:
                raise
            return Interrupted("killed")

    # The wire

    def send(self, request: Request) -> None:
        """Put a request on the wire, and see that it may be sent at all."""
        profile, token = request.profile, request.token
        if any(each.profile == profile and each.process.life.alive for each in self.on_the_wire):
            self.broken.append(f"two requests at once for {profile}")
        stored = self.disk.credentials.get(profile)
        if stored is not None and refresh_of(stored) == token and stored.refused is not None:
            self.broken.append(f"{token} was sent though it had been refused")
        if self.disk.full:
            self.broken.append(f"{token} was sent though the disk is full")
        for earlier in self.all_requests:
            if earlier.token == token and not self._was_lost(earlier):
                self.broken.append(f"{token} was sent again though its successor had come")
        self.on_the_wire.append(request)
        self.all_requests.append(request)

    def _was_lost(self, earlier: Request) -> bool:
        if earlier.answer is None or earlier.answer[0] != 200:
            return True
        if earlier.answer[1]["refresh_token"] in self.disk.saved:
            return False
        came = isinstance(earlier.received, tuple) and earlier.process.life.alive
        return not came or self.disk.failures > 0

    def reach(self, request: Request) -> None:
        """Let the request reach the server."""
        if request.answer is None:
            request.answer = self.server.renew(request.token)

    def answer(self, request: Request, received: tuple[int, Any] | NetworkError) -> None:
        """Let something come back for it."""
        self.on_the_wire.remove(request)
        request.received = received
        request.done.set()

    def answer_honestly(self, request: Request) -> None:
        """Let the server's own answer come back."""
        self.reach(request)
        if request.answer is not None:
            self.answer(request, request.answer)


class Wire:
    """What a process has for an HTTP client.

    Args:
        world: Where it sends to.
        process: Whose it is.
    """

    def __init__(self, world: World, process: Process) -> None:
        self._world = world
        self._process = process

    async def request(self, method: str, url: str, **more: Any) -> Response:
        """Send a renewal, and wait for what the test lets come back."""
        self._process.life.check()
        token = more["form"]["refresh_token"].reveal("send in a test")
        profile = token.split("-")[1]
        request = Request(self._process, profile, token)
        self._world.send(request)
        await self._process.life.wait(request.done)
        if isinstance(request.received, NetworkError):
            raise request.received
        assert method == "POST"
        assert request.received is not None
        code, document = request.received
        body = b"" if document is None else json.dumps(document).encode()
        return Response(status=code, headers={}, body=body, url=url)


def family_of(credential: Credential) -> str:
    """Return the name of the sign-in that a credential comes from."""
    return refresh_of(credential).rpartition("-")[0]


def honoured(world: World, credential: Credential) -> bool:
    """Tell whether the server would take the credential's refresh token."""
    return world.server.honours(refresh_of(credential))
