"""`TokenManager`: hands out usable access tokens and renews them, once, whoever asks.

Fresh (below 75 % of the lifetime): no work. Due: the valid token at once, renewal beside it; a
failure there never takes the valid token away. Expired: callers wait for one renewal.

One renewal per credential: the tasks that want the same one share it; processes exclude each other
by the store's lease. Whoever gets the lease reads again first and finds what another one saved.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, Self

import anyio

from twg.auth.ages import Ages, this_uptime
from twg.auth.hosts import Hosts, at_once
from twg.auth.renewal import Renewer
from twg.auth.safekeeping import Safekeeping
from twg.auth.tasks import End
from twg.errors import Interrupted, TwgError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from types import TracebackType

    from anyio.abc import TaskGroup

    from guard.custody import Custody
    from twg.auth.ages import Uptime
    from twg.http import Http
    from twg.vault import Credential, CredentialStore

_PATIENCE_BESIDE: Final = 3.0
_REST_AFTER_FAILURE: Final = 30.0
_LAST_SAVE_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class _Flight:
    """A renewal under way, for which any number of tasks wait."""

    landed: anyio.Event = field(default_factory=anyio.Event)
    ends: list[End[Credential]] = field(default_factory=list)


class TokenManager:
    """Usable access tokens for the credentials of one store; an async context manager.

    Leaving it waits for renewals that run beside. An error in its body comes out as it is.

    Args:
        store: Where credentials are.
        http: What requests go through.
        custody: Takes in the tokens that arrive.
        clock: The wall clock, in Unix seconds.
        uptime: The clock that nobody sets; None for this machine's.
        warn: Tells the person one line, should new tokens not be saved.
    """

    def __init__(
        self,
        *,
        store: CredentialStore,
        http: Http,
        custody: Custody,
        clock: Callable[[], float] = time.time,
        uptime: Uptime | None = None,
        warn: Callable[[str], None] | None = None,
    ) -> None:
        uptime = uptime or this_uptime()
        self._now = uptime.now
        self._ages = Ages(clock, uptime)
        self._keeping = Safekeeping(store, warn or _say_nothing)
        self._renewer = Renewer(
            store=store,
            keeping=self._keeping,
            http=http,
            custody=custody,
            ages=self._ages,
            hosts=Hosts(uptime.now),
        )
        self._flights: dict[tuple[str, int | None, bool], _Flight] = {}
        self._beside: set[str] = set()
        self._rests_until: dict[str, float] = {}
        self._tasks: TaskGroup | None = None
        self._retries: anyio.CancelScope | None = None
        self._leaving = False

    async def __aenter__(self) -> Self:
        self._tasks = await anyio.create_task_group().__aenter__()
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        tasks = self._group()
        self._leaving = True
        if self._retries is not None:
            self._retries.cancel()
        if error is not None:
            # What is between send and save goes on to its end; all else has lost its purpose.
            tasks.cancel_scope.cancel()
        try:
            # Without the body's error, which would come out wrapped in a group.
            await tasks.__aexit__(None, None, None)
        finally:
            self._tasks = None
            self._leaving = False
            with anyio.move_on_after(_LAST_SAVE_SECONDS, shield=True):
                await self._keeping.finish()

    async def get(self, profile: str) -> Credential:
        """Return the profile's credential with an access token that is usable now.

        Raises:
            AuthRequired: Nobody has signed in on this profile.
            AuthExpired: The sign-in lapsed.
            AuthRevoked: The provider ended it.
            GrantRefused: The token had expired and the provider refused for another reason.
            NetworkError: It had expired and the provider could not be reached.
            ProtocolError: It had expired and the provider's answer cannot be used.
            StoreUnwritable: It had expired and the store cannot keep a new one; nothing was sent.
            StoreCorrupt: The store cannot be opened.
            Busy: It had expired and another process holds the credential for too long.
        """
        credential = self._keeping.peek(profile) or await self._keeping.read(profile)
        if self._ages.is_expired(credential):
            return await self.renew(profile, seen=credential)
        if self._ages.is_due(credential):
            self._renew_beside(credential)
        return credential

    async def instead_of(self, refused: Credential) -> Credential | None:
        """Return what to try once more with, after a service answered 401 to `refused`'s token.

        The service's clock and mind count, not ours: so the token is renewed, fresh or not, unless
        the store has another one already.

        Returns:
            The newest credential; None if there is nothing to renew it with.

        Raises:
            As `get`.
        """
        if refused.tokens.refresh is None:
            return None
        return await self.renew(refused.profile, seen=refused, force=True)

    async def renew(
        self, profile: str, *, seen: Credential | None = None, force: bool = False
    ) -> Credential:
        """Renew the credential now if it is due, or always with `force`; return the newest.

        Args:
            profile: The profile.
            seen: What the caller found wanting; if the store has another access token by now, that
                is returned.
            force: Renew a fresh one too.

        Raises:
            As `get`.
        """
        tasks = self._group()
        wanted = (profile, None if seen is None else seen.generation, force)
        flight = self._flights.get(wanted)
        if flight is None:
            flight = self._flights[wanted] = _Flight()
            work = partial(self._renewer.renew, profile, seen=seen, force=force)
            tasks.start_soon(self._fly, wanted, flight, work)
        await flight.landed.wait()
        if not flight.ends:
            raise Interrupted("the command ended before the renewal was done")
        return flight.ends[0].result()

    async def renew_all(
        self,
        profiles: Iterable[str],
        *,
        force: bool = False,
        begun: Callable[[str], None] | None = None,
        ended: Callable[[str, Credential | TwgError], None] | None = None,
    ) -> dict[str, Credential | TwgError]:
        """Renew several at once as `renew` does; return what came of each, failures too.

        New tokens that could not be saved count as a failure here.

        Args:
            profiles: Which.
            force: Renew fresh ones too.
            begun: Hears of each profile when its turn comes.
            ended: Hears what came of each, at once.
        """
        wanted = tuple(profiles)
        results: dict[str, Credential | TwgError] = {}
        # While some wait for the host, others are read and saved.
        places = anyio.Semaphore(at_once() + at_once() // 2, fast_acquire=True)

        async def one(profile: str) -> None:
            async with places:
                if begun is not None:
                    begun(profile)
                try:
                    renewed = await self.renew(profile, force=force)
                except TwgError as error:
                    results[profile] = error
                else:
                    results[profile] = self._keeping.why_kept(profile) or renewed
                if ended is not None:
                    ended(profile, results[profile])

        async with anyio.create_task_group() as tasks:
            for profile in wanted:
                tasks.start_soon(one, profile)
        return {profile: results[profile] for profile in wanted}

    @property
    def awaited(self) -> tuple[str, ...]:
        """What cannot be cut short now, in words: answers on their way and being saved."""
        sending = sorted(self._renewer.sending.items())
        return tuple(f"{host}, which renews {profile!r}" for profile, host in sending)

    async def _fly(
        self,
        wanted: tuple[str, int | None, bool],
        flight: _Flight,
        work: Callable[[], Awaitable[Credential]],
    ) -> None:
        try:
            flight.ends.append(await End.of(work))
        finally:
            del self._flights[wanted]
            flight.landed.set()
        self._save_later()

    def _renew_beside(self, credential: Credential) -> None:
        profile = credential.profile
        if profile in self._beside or self._now() < self._rests_until.get(profile, 0.0):
            return
        self._beside.add(profile)
        self._group().start_soon(self._renew_quietly, credential)

    async def _renew_quietly(self, credential: Credential) -> None:
        # The valid token is in use, so whatever goes wrong here is for the record alone, and for
        # the next one who tries. If another process is at it, that one's renewal will do.
        work = partial(
            self._renewer.renew, credential.profile, seen=credential, patience=_PATIENCE_BESIDE
        )
        end = await End.of(work)
        self._beside.discard(credential.profile)
        if end.error is not None:
            self._rests_until[credential.profile] = self._now() + _rest_after(end.error)
        self._save_later()

    def _save_later(self) -> None:
        """See that what could not be saved is tried again, should nobody ask for it."""
        if self._keeping.keeps_any and self._retries is None and not self._leaving:
            self._retries = anyio.CancelScope()
            self._group().start_soon(self._retry, self._retries)

    async def _retry(self, scope: anyio.CancelScope) -> None:
        with scope:
            await self._keeping.keep_trying()
        self._retries = None

    def _group(self) -> TaskGroup:
        if self._tasks is None:
            raise RuntimeError("a token manager is used inside its own context")
        return self._tasks


def _rest_after(error: Exception) -> float:
    asked = error.retry_after if isinstance(error, Unavailable) else None
    return max(asked or 0.0, _REST_AFTER_FAILURE * random.uniform(0.5, 1.5))  # noqa: S311 - jitter


def _say_nothing(line: str) -> None:
    del line
