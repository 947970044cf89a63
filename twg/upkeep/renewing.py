"""One run of upkeep: renews every sign-in that is due, or will be before the next run is over."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, Protocol

import anyio

from guard.errors import GuardError
from twg.auth.ages import this_uptime
from twg.errors import StoreUnwritable, TwgError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractAsyncContextManager

    from twg.auth.tokens import TokenManager
    from twg.vault import Credential, CredentialSummary, Header

AHEAD_SECONDS: Final = 15 * 60.0
"""How long before it is due something is renewed: more than lies between two runs."""

_AT_ONCE: Final = 8
_SKEW: Final = 60.0

Result = Literal["renewed", "fresh", "failed"]
Trouble = TwgError | GuardError


class Store(Protocol):
    """What upkeep needs of the store: summaries, and one credential."""

    async def summaries(self) -> Header:
        """Return the clear header."""

    async def read(self, profile: str) -> Credential | None:
        """Return the profile's credential, or None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one sign-in.

    Attributes:
        result: ``renewed``, ``fresh`` (nothing was sent) or ``failed``.
        error: Why it failed.
        due_at: When it is due next, in Unix seconds; None for never.
    """

    result: Result
    error: Trouble | None = None
    due_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run.

    Attributes:
        started_at: When, in Unix seconds.
        finished_at: When it was over.
        outcomes: What became of each sign-in, by profile.
    """

    started_at: float
    finished_at: float
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)

    @property
    def failures(self) -> dict[str, Trouble]:
        """What failed, by profile."""
        return {
            name: outcome.error
            for name, outcome in self.outcomes.items()
            if outcome.error is not None
        }

    def count(self, result: Result) -> int:
        """Return how many sign-ins ended so."""
        return sum(outcome.result == result for outcome in self.outcomes.values())


async def run_once(
    store: Store,
    tokens: Callable[[], AbstractAsyncContextManager[TokenManager]],
    *,
    clock: Callable[[], float] = time.time,
) -> Run:
    """Renew what is nearly due, all at the same time; where nothing is, nothing is opened or sent.

    Args:
        store: Where the sign-ins are.
        tokens: Makes what renews them, where there is something to renew.
        clock: The wall clock, in Unix seconds.

    Raises:
        StoreCorrupt: The store cannot be read. What goes wrong with one sign-in is in its outcome.
    """
    started = clock()
    header = await store.summaries()
    wanted = [
        name for name, one in header.profiles.items() if is_wanted(_dated(one, clock), started)
    ]
    ends: dict[str, Credential | Trouble | None] = {}
    if wanted:
        async with tokens() as manager:
            ends = await _renew(store, manager, wanted, clock)
        header = await store.summaries()
    outcomes = {
        name: _outcome(ends.get(name), header.profiles.get(name))
        for name in sorted({*header.profiles, *ends})
    }
    return Run(started_at=started, finished_at=clock(), outcomes=outcomes)


def is_wanted(summary: CredentialSummary, now: float) -> bool:
    """Tell whether a run has something to do for a sign-in, be it to say that it cannot be done."""
    if summary.refused is not None:
        return True
    if not summary.renewable:
        return summary.expires_at is not None and now >= summary.expires_at
    if summary.due_at is None:
        return False
    # Issued in the future: the clock was set back since, so nobody knows how old it is.
    return now >= summary.due_at - AHEAD_SECONDS or now < summary.issued_at - _SKEW


def _dated(summary: CredentialSummary, clock: Callable[[], float]) -> CredentialSummary:
    """Return it with its times told by the clock that nobody sets, where they can be."""
    return this_uptime().dated(summary, clock())


async def _renew(
    store: Store, manager: TokenManager, profiles: list[str], clock: Callable[[], float]
) -> dict[str, Credential | Trouble | None]:
    ends: dict[str, Credential | Trouble | None] = {}
    places = anyio.CapacityLimiter(_AT_ONCE)

    async def one(profile: str) -> None:
        async with places:
            try:
                ends[profile] = await _renew_one(store, manager, profile, clock)
            except (TwgError, GuardError) as error:
                ends[profile] = error

    async with anyio.create_task_group() as tasks:
        for profile in profiles:
            tasks.start_soon(one, profile)
    return ends


async def _renew_one(
    store: Store, manager: TokenManager, profile: str, clock: Callable[[], float]
) -> Credential | None:
    """Return the renewed credential; None if another one was faster, or it has been removed."""
    credential = await store.read(profile)
    if credential is None or not is_wanted(_dated(credential.summary, clock), clock()):
        return None
    # Forced, for it may not be due yet; with what was seen, so that whoever waits for another's
    # renewal takes that one.
    return await manager.renew(profile, seen=credential, force=True)


def _outcome(end: Credential | Trouble | None, summary: CredentialSummary | None) -> Outcome:
    due_at = summary.due_at if summary is not None and summary.renewable else None
    if isinstance(end, TwgError | GuardError):
        return Outcome(result="failed", error=end, due_at=due_at)
    if end is None or summary is None:
        return Outcome(result="fresh", due_at=due_at)
    if summary.refreshed_at < end.refreshed_at:
        error = StoreUnwritable("new tokens came and could not be saved")
        return Outcome(result="failed", error=error, due_at=due_at)
    return Outcome(result="renewed", due_at=due_at)
