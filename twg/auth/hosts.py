"""`Host`: what is known of one token endpoint's host, so that trouble there makes no storm.

A few renewals at once while all is well. Once the host fails, one at a time, and none before it has
rested: for as long as it asked, else longer after each failure, with jitter. Who would have to wait
too long is told of the failure instead, and so is who waited while others tried often enough.
"""

from __future__ import annotations

import contextlib
import math
import random
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import anyio

from twg.errors import NetworkError, TwgError, Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

AT_ONCE: Final = 200
"""How many renewals go to one host at once, at the most; each holds a connection and a lock.

Half as many more may hold a lock: before they go, or while they are saved.
"""
_FILES_A_RENEWAL: Final = 4
"""What each may have open at once: those, and what it reads and writes; with room to spare."""

_FIRST_REST: Final = 0.5
_LONGEST_REST: Final = 60.0
_LONGEST_REST_ASKED: Final = 3600.0
_LONGEST_WAIT: Final = 5.0
_TRIES: Final = 2


class Host:
    """One host, as this process knows it.

    Args:
        name: Its name and port, for messages.
        now: A clock that nobody sets.
    """

    def __init__(self, name: str, now: Callable[[], float]) -> None:
        self._name = name
        self._now = now
        self._places = anyio.CapacityLimiter(at_once())
        self._failures = 0
        self._in_a_row = 0
        self._rests_until = -math.inf

    @property
    def is_soon_rested(self) -> bool:
        """Whether it is worth while to wait for a second try."""
        return self._rest_left() <= _LONGEST_WAIT

    @contextlib.asynccontextmanager
    async def place(self, *, insist: bool = False) -> AsyncIterator[None]:
        """Hold one of the places to ask from, once the host has rested; to be left once answered.

        Args:
            insist: A person asks: what failed before they did does not count.

        Raises:
            NetworkError: It failed a moment ago; nothing was sent.
        """
        failures_before = self._failures
        async with self._places:
            others_tried = self._failures - failures_before
            if self._in_a_row and others_tried >= _TRIES:
                raise self._remembered()
            if not insist:
                await self._rest()
            yield

    @contextlib.contextmanager
    def asked(self) -> Iterator[None]:
        """Learn from how the request in this block ends whether the host serves."""
        failures_before = self._failures
        try:
            yield
        except NetworkError as error:
            self._failed(error, known=self._failures != failures_before)
            raise
        except TwgError:
            self._answered()
            raise
        self._answered()

    async def _rest(self) -> None:
        if not self.is_soon_rested:
            raise self._remembered()
        await anyio.sleep(self._rest_left())

    def _rest_left(self) -> float:
        return max(0.0, self._rests_until - self._now())

    def _failed(self, error: NetworkError, *, known: bool) -> None:
        self._places.total_tokens = 1
        if not known:  # else it was asked before the failure that is known, and says the same
            self._failures += 1
            self._in_a_row += 1
        asked = error.retry_after if isinstance(error, Unavailable) else None
        rest = rest_after(self._in_a_row) if asked is None else min(asked, _LONGEST_REST_ASKED)
        self._rests_until = max(self._rests_until, self._now() + rest)

    def _answered(self) -> None:
        self._places.total_tokens = at_once()
        self._in_a_row = 0
        self._rests_until = -math.inf

    def _remembered(self) -> NetworkError:
        again = math.ceil(self._rest_left())
        return NetworkError(
            self._name,
            f"it failed a moment ago, and is asked again in {again} seconds at the soonest",
        )


class Hosts:
    """All hosts that one manager asks.

    Args:
        now: A clock that nobody sets.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._hosts: dict[tuple[str, str], Host] = {}

    def at(self, url: str) -> Host:
        """Return the host of `url`."""
        parts = urlsplit(url)
        origin = parts.scheme, parts.netloc
        if origin not in self._hosts:
            self._hosts[origin] = Host(parts.netloc, self._now)
        return self._hosts[origin]


def at_once() -> int:
    """Return how many renewals may be under way at once, as this process may have files open."""
    try:
        import resource  # noqa: PLC0415 - what Windows has not
    except ImportError:  # pragma: no cover
        return AT_ONCE
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return AT_ONCE
    return max(1, min(AT_ONCE, files // _FILES_A_RENEWAL))


def rest_after(failures: int) -> float:
    """Return for how many seconds to let a host rest after so many failures, with jitter."""
    longest = min(_FIRST_REST * 2.0 ** (failures - 1), _LONGEST_REST)
    return longest * random.uniform(0.5, 1.5)  # noqa: S311 - jitter
