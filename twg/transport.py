"""Connections kept per origin: what carries requests, without a pool that scans all for each one.

httpx's own pool looks at every connection and every waiting request whenever one of them begins or
ends, so a thousand at once take half a minute. Here each origin has a stack of idle connections and
a bounded number of places; taking and giving back cost the same however many there are.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections import deque
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import anyio
import httpcore
import httpx

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping

AT_ONCE: Final = 200
"""Connections per origin; with a few origins still below 256 files, where macOS stops."""
IDLE_SECONDS: Final = 4.0
"""How long one is kept unused: less than the 5 s after which common servers hang up."""
IDLE_MOST: Final = 16
"""How many are kept unused once a crowd has gone."""
_LULL: Final = 0.5
"""How long the others are kept, in seconds: who renews many saves between requests."""

_REPEATABLE: Final = frozenset({b"GET", b"HEAD", b"OPTIONS"})
_NAMES: Final = (
    *("ConnectTimeout", "ReadTimeout", "WriteTimeout", "PoolTimeout"),
    *("ConnectError", "ReadError", "WriteError"),
    *("LocalProtocolError", "RemoteProtocolError", "UnsupportedProtocol"),
)
_TWINS: Final[Mapping[type[Exception], type[httpx.TransportError]]] = MappingProxyType(
    {getattr(httpcore, name): getattr(httpx, name) for name in _NAMES}
)


@dataclass(frozen=True, slots=True)
class _Idle:
    """A connection that nobody uses, and until when it is kept."""

    connection: httpcore.AsyncHTTPConnection
    until: float


@dataclass(frozen=True, slots=True)
class _Origin:
    """What is kept for one origin; the connection used last is the first to be used again."""

    places: anyio.Semaphore
    idle: deque[_Idle] = field(default_factory=deque)


class Connections(httpx.AsyncBaseTransport):
    """A transport for HTTP/1.1 straight to the origins, for the tasks of one event loop.

    Time-outs come with each request; how long it may wait for a place is up to the caller. A
    connection that the server has closed meanwhile is noticed before anything is sent on it. If it
    closes at that very moment, GET, HEAD and OPTIONS are tried once more, on a new connection; any
    other request may have been carried out, so it fails.

    Args:
        tls: How https origins are verified; None if there are none.
        at_once: The most connections per origin.
        idle_seconds: After how long an unused connection is closed.
    """

    def __init__(
        self,
        tls: ssl.SSLContext | None = None,
        *,
        at_once: int = AT_ONCE,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self._tls = tls
        self._at_once = at_once
        self._idle_seconds = idle_seconds
        self._origins: dict[tuple[bytes, bytes, int], _Origin] = {}
        self._sweeper: asyncio.Task[None] | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; its place is taken until the answer's stream is closed.

        Raises:
            httpx.TransportError: No connection, or no answer on it.
        """
        sent = _for_core(request)
        origin = self._origin(sent.url.origin)
        await origin.places.acquire()
        try:
            with _as_httpx():
                connection, answer = await self._exchange(origin, sent)
        except BaseException:
            origin.places.release()
            raise
        give_back = partial(self._give_back, origin, connection)
        return httpx.Response(
            answer.status, headers=answer.headers, stream=_Body(answer, give_back), request=request
        )

    async def aclose(self) -> None:
        """Close every unused connection; one in use ends with its answer."""
        self._idle_seconds = 0.0
        if self._sweeper is not None:
            self._sweeper.cancel()
        await self._close_idle(math.inf)

    def _origin(self, wanted: httpcore.Origin) -> _Origin:
        key = (wanted.scheme, wanted.host, wanted.port)
        if key not in self._origins:
            self._origins[key] = _Origin(anyio.Semaphore(self._at_once, fast_acquire=True))
        return self._origins[key]

    async def _exchange(
        self, origin: _Origin, request: httpcore.Request
    ) -> tuple[httpcore.AsyncHTTPConnection, httpcore.Response]:
        kept = await _take(origin)
        if kept is not None:
            try:
                return kept, await kept.handle_async_request(request)
            except (httpcore.RemoteProtocolError, httpcore.NetworkError):
                if request.method not in _REPEATABLE:
                    raise
        fresh = httpcore.AsyncHTTPConnection(request.url.origin, ssl_context=self._tls)
        return fresh, await fresh.handle_async_request(request)

    async def _give_back(self, origin: _Origin, connection: httpcore.AsyncHTTPConnection) -> None:
        """Keep a connection whose answer was read to its end, close any other, free its place."""
        try:
            if not (self._idle_seconds > 0 and connection.is_idle()):
                await connection.aclose()
                return
            origin.idle.append(_Idle(connection, time.monotonic() + self._idle_seconds))
            if self._sweeper is None or self._sweeper.done():
                self._sweeper = asyncio.create_task(self._sweep())
        finally:
            origin.places.release()

    async def _sweep(self) -> None:
        while any(origin.idle for origin in self._origins.values()):
            await asyncio.sleep(min(self._idle_seconds / 2, _LULL))
            await self._close_idle(time.monotonic())

    async def _close_idle(self, now: float) -> None:
        # The one unused for longest stands first. What is too many goes so much sooner.
        sooner = max(0.0, self._idle_seconds - _LULL)
        for idle in [origin.idle for origin in self._origins.values()]:
            while idle and idle[0].until - (sooner if len(idle) > IDLE_MOST else 0.0) <= now:
                await idle.popleft().connection.aclose()


class _Body(httpx.AsyncByteStream):
    """An answer's body, which gives its connection back when it is closed."""

    def __init__(self, answer: httpcore.Response, give_back: Callable[[], Awaitable[None]]) -> None:
        self._answer = answer
        self._give_back = give_back

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _as_httpx():
            async for chunk in self._answer.aiter_stream():
                yield chunk

    async def aclose(self) -> None:
        try:
            await self._answer.aclose()
        finally:
            await self._give_back()


async def _take(origin: _Origin) -> httpcore.AsyncHTTPConnection | None:
    """Return the connection used last that is still good; close those that are not."""
    while origin.idle:
        kept = origin.idle.pop()
        if time.monotonic() < kept.until and not kept.connection.has_expired():
            return kept.connection
        await kept.connection.aclose()
    return None


def _for_core(request: httpx.Request) -> httpcore.Request:
    url = request.url
    return httpcore.Request(
        method=request.method,
        url=httpcore.URL(
            scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
        ),
        headers=request.headers.raw,
        content=request.stream,
        extensions=request.extensions,
    )


@contextlib.contextmanager
def _as_httpx() -> Iterator[None]:
    try:
        yield
    except tuple(_TWINS) as error:
        raise _TWINS[type(error)](str(error)) from error
