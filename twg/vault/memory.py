"""`MemoryStore`: a credential store in memory, for tests and for programs that keep nothing."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from concurrent.futures import Future
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio
from anyio import lowlevel

from twg.errors import Busy
from twg.vault.protocol import check_generation

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

    from twg.vault.credential import Credential


class MemoryStore:
    """Credentials in memory, gone with the process. Implements `CredentialStore`.

    Tasks, threads and event loops may share it. `beside` gives a further handle on the same
    credentials, as another process would have one on a shared file.

    Args:
        lease_seconds: How long to wait for a lease.
    """

    def __init__(self, *, lease_seconds: float = 30.0) -> None:
        self._lease_seconds = lease_seconds
        self._shelf = _Shelf()

    def beside(self, *, lease_seconds: float = 30.0) -> MemoryStore:
        """Return a further handle on the same credentials and leases."""
        other = MemoryStore(lease_seconds=lease_seconds)
        other._shelf = self._shelf
        return other

    def peek(self, profile: str) -> Credential | None:
        """Return the profile's credential, or None; see `CredentialStore.peek`."""
        return self._shelf.credentials.get(profile)

    async def read(self, profile: str) -> Credential | None:
        """Return the profile's credential, or None."""
        await lowlevel.checkpoint()
        return self.peek(profile)

    async def save(self, credential: Credential, *, expected: int | None) -> Credential:
        """Save a credential if nobody else did meanwhile; see `CredentialStore.save`.

        Raises:
            StoreConflict: The store has another generation; nothing was saved.
        """
        await lowlevel.checkpoint()
        return self._shelf.put(credential, expected)

    async def remove(self, profile: str, *, expected: int | None) -> bool:
        """Remove the profile's credential; return False if there is none.

        Raises:
            StoreConflict: The store has another generation; nothing was removed.
        """
        await lowlevel.checkpoint()
        return self._shelf.drop(profile, expected)

    def lease(self, profile: str) -> AbstractAsyncContextManager[None]:
        """Hold the profile alone among all handles; first come, first served; not re-entrant.

        Raises:
            Busy: Another one had it for too long.
        """
        return self._lease(profile)

    async def prove_replaceable(self) -> None:
        """Do nothing: there is always room."""
        await lowlevel.checkpoint()

    @contextlib.asynccontextmanager
    async def _lease(self, profile: str) -> AsyncIterator[None]:
        leases = self._shelf.leases
        turn = leases.queue_up(profile)
        try:
            if not turn.done():
                await self._wait_for(turn, profile)
            yield
        finally:
            # Whose turn came in the very moment of leaving passes it on as well.
            if not turn.cancel():
                leases.pass_on(profile)

    async def _wait_for(self, turn: Future[None], profile: str) -> None:
        started = time.monotonic()
        try:
            with anyio.fail_after(self._lease_seconds):
                await asyncio.wrap_future(turn)
        except TimeoutError:
            raise Busy(f"the profile {profile!r}", None, time.monotonic() - started) from None


class _Shelf:
    """The credentials that handles share; a generation is given once only."""

    def __init__(self) -> None:
        self.credentials: dict[str, Credential] = {}
        self.leases = _Leases()
        self._generation = 0
        self._mutex = threading.Lock()

    def put(self, credential: Credential, expected: int | None) -> Credential:
        with self._mutex:
            self._check(credential.profile, expected)
            self._generation += 1
            saved = replace(credential, generation=self._generation)
            self.credentials[credential.profile] = saved
        return saved

    def drop(self, profile: str, expected: int | None) -> bool:
        with self._mutex:
            if profile not in self.credentials:
                return False
            self._check(profile, expected)
            del self.credentials[profile]
        return True

    def _check(self, profile: str, expected: int | None) -> None:
        found = self.credentials.get(profile)
        check_generation(profile, found.generation if found else 0, expected)


class _Leases:
    """Who has and who waits for which lease; a turn that has come is a future that is done."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[Future[None]]] = {}
        self._mutex = threading.Lock()

    def queue_up(self, profile: str) -> Future[None]:
        turn: Future[None] = Future()
        with self._mutex:
            if profile in self._waiting:
                self._waiting[profile].append(turn)
            else:
                self._waiting[profile] = deque()
                turn.set_result(None)
        return turn

    def pass_on(self, profile: str) -> None:
        with self._mutex:
            waiting = self._waiting[profile]
            while waiting:
                turn = waiting.popleft()
                if turn.set_running_or_notify_cancel():
                    turn.set_result(None)
                    return
            del self._waiting[profile]
