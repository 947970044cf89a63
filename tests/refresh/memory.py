"""A credential store in memory, shared by processes that a test makes up, and can kill."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import anyio

from tests.refresh.rotating import refresh_of
from twg.errors import Busy, StoreConflict, StoreUnwritable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

    from twg.vault import Credential

NO_ROOM = "no space left on device"


class Killed(BaseException):
    """The process that did this does not exist any more."""


class Freed:
    """Tells tasks that something is free, whichever thread's event loop they run in."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_set = False
        self._waiting: list[asyncio.Future[None]] = []

    async def wait(self) -> None:
        told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        with self._lock:
            if self._is_set:
                return
            self._waiting.append(told)
        await told

    def set(self) -> None:
        here = asyncio.get_running_loop()
        with self._lock:
            self._is_set = True
        for told in self._waiting:
            if told.get_loop() is here:
                _tell(told)
            else:
                with contextlib.suppress(RuntimeError):  # that loop has ended
                    told.get_loop().call_soon_threadsafe(_tell, told)


def _tell(told: asyncio.Future[None]) -> None:
    if not told.done():
        told.set_result(None)


@dataclass
class Life:
    """Whether a made-up process is alive, and what it waits for."""

    alive: bool = True
    waits: set[asyncio.Future[Any]] = field(default_factory=set)

    def check(self) -> None:
        """End the caller if its process was killed."""
        if not self.alive:
            raise Killed

    async def wait(self, event: asyncio.Event | Freed) -> None:
        """Wait for an event of the outside world, or to be killed."""
        killed: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        happens: asyncio.Future[Any] = asyncio.ensure_future(event.wait())
        self.waits.add(killed)
        try:
            await asyncio.wait([killed, happens], return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.waits.discard(killed)
            happens.cancel()
        self.check()

    def kill(self) -> None:
        """End the process here and now: nothing it does counts any more."""
        self.alive = False
        for waiting in self.waits:
            waiting.set_result(None)


@dataclass
class Disk:
    """What all processes see.

    Attributes:
        credentials: By profile.
        full: No save succeeds.
        saved: Every refresh token that was ever saved.
        failures: How many saves did not succeed.
    """

    credentials: dict[str, Credential] = field(default_factory=dict)
    full: bool = False
    saved: set[str] = field(default_factory=set)
    failures: int = 0
    generation: int = 0
    leased: dict[str, Freed] = field(default_factory=dict)


class MemoryStore:
    """A `CredentialStore` as one process has it.

    Args:
        disk: What it shares with the others.
        life: Its process.
        lease_seconds: How long to wait for a lease.
    """

    def __init__(self, disk: Disk, life: Life, *, lease_seconds: float = 30.0) -> None:
        self._disk = disk
        self._life = life
        self._lease_seconds = lease_seconds

    def peek(self, profile: str) -> Credential | None:
        self._life.check()
        return self._disk.credentials.get(profile)

    async def read(self, profile: str) -> Credential | None:
        await self._step()
        return self._disk.credentials.get(profile)

    async def save(self, credential: Credential, *, expected: int | None) -> Credential:
        await self._step()
        self._check_generation(credential.profile, expected)
        self._check_room()
        self._disk.generation += 1
        saved = replace(credential, generation=self._disk.generation)
        self._disk.credentials[credential.profile] = saved
        self._disk.saved.add(refresh_of(saved))
        return saved

    async def remove(self, profile: str, *, expected: int | None) -> bool:
        await self._step()
        if profile not in self._disk.credentials:
            return False
        self._check_generation(profile, expected)
        self._check_room()
        self._disk.generation += 1
        del self._disk.credentials[profile]
        return True

    def lease(self, profile: str) -> AbstractAsyncContextManager[None]:
        return self._lease(profile)

    async def prove_replaceable(self) -> None:
        await self._step()
        if self._disk.full:
            raise StoreUnwritable(NO_ROOM)

    async def _step(self) -> None:
        self._life.check()
        await asyncio.sleep(0)  # others may come in between, or the end
        self._life.check()

    def _check_generation(self, profile: str, expected: int | None) -> None:
        found = self._disk.credentials.get(profile)
        if expected not in {None, 0 if found is None else found.generation}:
            raise StoreConflict("another process was faster")

    def _check_room(self) -> None:
        if self._disk.full:
            self._disk.failures += 1
            raise StoreUnwritable(NO_ROOM)

    @contextlib.asynccontextmanager
    async def _lease(self, profile: str) -> AsyncIterator[None]:
        await self._step()
        with anyio.move_on_after(self._lease_seconds) as patience:
            let_go = Freed()
            # One call for looking and taking, for threads take turns between two.
            while (taken := self._disk.leased.setdefault(profile, let_go)) is not let_go:
                await self._life.wait(taken)
        if patience.cancelled_caught:
            raise Busy("the profile", None, self._lease_seconds)
        try:
            yield
        finally:
            del self._disk.leased[profile]
            let_go.set()
