"""The loopback redirect: a listener on this machine that takes one valid callback (RFC 8252, 7.3).

Anything on this machine, and any web page in the browser, can reach it. So it listens on loopback
only, answers to its own name only, takes nothing but a browser's own navigation to its one path,
and of those the first that carries the right `state`; the rest get a page and change nothing.
Nothing of a request is logged.
"""

from __future__ import annotations

import errno
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import urlsplit

import anyio
import anyio.abc

from twg.errors import ConfigError, ProtocolError
from twg.oauth import pages
from twg.oauth.authorization_code import state_matches
from twg.oauth.loopback_request import MAX_REQUEST, Admission, read_visit, respond
from twg.oauth.pages import Page

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from twg.oauth.loopback_request import Visit

    Listener = anyio.abc.Listener[anyio.abc.SocketStream]

__all__ = ["LoopbackListener", "Page"]

MAX_CONNECTIONS: Final = 32
_LINGER_SECONDS: Final = 1.0
_TELL_SECONDS: Final = 5.0


class LoopbackListener:
    """Listens for the redirect while its context lasts, on loopback only.

    Args:
        redirect_uri: A fixed one, with its port, for providers that compare it to the letter; None
            for any free port on 127.0.0.1.
        request_seconds: How long a client may take to send its request.
        grace_seconds: How long a valid callback may take after one with a wrong state.
    """

    def __init__(
        self,
        redirect_uri: str | None = None,
        *,
        request_seconds: float = 10.0,
        grace_seconds: float = 2.0,
    ) -> None:
        self._fixed = redirect_uri
        self._uri = redirect_uri
        self._request_seconds = request_seconds
        self._grace_seconds = grace_seconds
        self._state: str | None = None
        self._taken: Mapping[str, list[str]] | None = None
        self._page: Page | None = None
        self._answered = anyio.Event()
        self._something = anyio.Event()
        self._concluded = anyio.Event()
        self._told = anyio.Event()
        self._open: dict[anyio.CancelScope, None] = {}
        self._stack = AsyncExitStack()
        self._tasks: anyio.abc.TaskGroup | None = None

    @property
    def redirect_uri(self) -> str:
        """The redirect URI to send; known once the listener listens."""
        if self._uri is None:
            raise RuntimeError("the listener has no address before it listens")
        return self._uri

    async def __aenter__(self) -> Self:
        """Listen.

        Raises:
            ConfigError: The fixed redirect URI is not one on loopback, or its port is taken.
        """
        listeners, self._uri = await _listen(self._fixed)
        self._admission = Admission(self._uri)
        for listener in listeners:
            await self._stack.enter_async_context(listener)
        self._tasks = await anyio.create_task_group().__aenter__()
        for listener in listeners:
            self._tasks.start_soon(listener.serve, self._serve)
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        async with self._stack:
            with anyio.CancelScope(shield=True):
                await self.conclude(pages.ENDED)
            if self._tasks is not None:
                self._tasks.cancel_scope.cancel()
                # Without the body's error, which would come out wrapped in a group.
                await self._tasks.__aexit__(None, None, None)

    async def callback(self, state: str) -> Mapping[str, list[str]]:
        """Wait for the redirect that repeats `state`; return its parameters, each with its values.

        Its page waits for `conclude`.

        Raises:
            ProtocolError: An answer with a wrong or no state came, and no valid one soon after.
        """
        self._state = state
        await self._something.wait()
        with anyio.move_on_after(self._grace_seconds):
            await self._answered.wait()
        if self._taken is None:
            raise ProtocolError(
                "an answer came that does not belong to this sign-in: its state is wrong or missing"
            )
        return self._taken

    async def conclude(self, page: Page) -> None:
        """Show `page` to the person whose callback was taken, if any; the first page given wins.

        Returns once the page was sent, or the browser turned out not to wait for it.
        """
        if self._concluded.is_set():
            return
        self._page = page
        self._concluded.set()
        if self._taken is not None:
            with anyio.move_on_after(_TELL_SECONDS):
                await self._told.wait()

    async def _serve(self, stream: anyio.abc.SocketStream) -> None:
        with anyio.CancelScope() as scope:
            self._make_room(scope)
            try:
                async with stream:
                    await self._answer(stream, scope)
            except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
                pass  # whoever it was has gone
            finally:
                self._open.pop(scope, None)

    def _make_room(self, scope: anyio.CancelScope) -> None:
        # The oldest goes, not the newest: whoever opens many and says nothing must not keep the
        # browser out. A callback that was taken is no longer among them.
        if len(self._open) >= MAX_CONNECTIONS:
            oldest = next(iter(self._open))
            del self._open[oldest]
            oldest.cancel()
        self._open[scope] = None

    async def _answer(self, stream: anyio.abc.SocketStream, scope: anyio.CancelScope) -> None:
        with anyio.move_on_after(self._request_seconds) as slow:
            visit = await read_visit(stream, self._admission)
        if slow.cancelled_caught or visit is None:
            return
        if visit.parameters is not None and self._take(visit):
            self._open.pop(scope, None)
            # Whatever is cancelled around us, the person's page gets its answer.
            with anyio.CancelScope(shield=True):
                await self._tell(stream)
        else:
            status, page = visit.refusal or self._why_not_taken(visit)
            with anyio.move_on_after(self._request_seconds):
                await respond(stream, status, page, with_body=visit.wants_body)
        await _linger(stream)

    def _take(self, visit: Visit) -> bool:
        """Take the visit if it is the awaited one and the first; no await, so no two can win."""
        if self._taken is not None or self._state is None or visit.parameters is None:
            return False
        if not state_matches(self._state, visit.parameters):
            return False
        self._taken = visit.parameters
        self._something.set()
        self._answered.set()
        return True

    def _why_not_taken(self, visit: Visit) -> tuple[int, Page]:
        if self._state is None or not state_matches(self._state, visit.parameters or {}):
            if self._state is not None:
                self._something.set()
            return 400, pages.FOREIGN_ANSWER
        return 409, pages.ALREADY_DONE

    async def _tell(self, stream: anyio.abc.SocketStream) -> None:
        try:
            await self._concluded.wait()
            page = self._page or pages.ENDED
            with anyio.move_on_after(_TELL_SECONDS):
                await respond(stream, 200, page, with_body=True)
        finally:
            self._told.set()


async def _linger(stream: anyio.abc.SocketStream) -> None:
    """Read what still comes, shortly: closing at once could reset the answer away."""
    await stream.send_eof()
    left = MAX_REQUEST * 64
    with anyio.move_on_after(_LINGER_SECONDS):
        try:
            while left > 0:
                left -= len(await stream.receive())
        except anyio.EndOfStream:
            pass


async def _listen(fixed: str | None) -> tuple[list[Listener], str]:
    """Return listeners on loopback, not yet serving, and the redirect URI they are for."""
    if fixed is None:
        listener = await _bind("127.0.0.1", 0)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610 - anyio's, no query
        return [listener], f"http://127.0.0.1:{port}/callback"
    host, port = redirect_place(fixed)
    if host != "localhost":
        return [await _bind(host, port)], fixed
    # Browsers take `localhost` for ::1 or for 127.0.0.1; whoever held the other one would get the
    # code, so both are taken wherever there is IPv6.
    listeners = [await _bind("127.0.0.1", port)]
    try:
        listeners.append(await _bind("::1", port))
    except ConfigError:
        await listeners[0].aclose()
        raise
    except OSError:
        pass  # no IPv6 here
    return listeners, fixed


def redirect_place(redirect_uri: str) -> tuple[str, int]:
    """Return the host and port that a fixed redirect URI is listened for on.

    Raises:
        ConfigError: It is none on loopback.
    """
    try:
        parts = urlsplit(redirect_uri)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    else:
        if parts.scheme != "http" or parts.query or parts.fragment or "@" in parts.netloc:
            host = None
    if host not in {"127.0.0.1", "::1", "localhost"} or not port:
        raise ConfigError(
            f"the redirect URI {redirect_uri} cannot be listened on",
            "It must look like http://127.0.0.1:PORT/PATH (or localhost, or [::1]), with its port.",
        )
    return host, port


async def _bind(host: str, port: int) -> Listener:
    try:
        multi = await anyio.create_tcp_listener(local_host=host, local_port=port)
    except OSError as error:
        if _number_of(error) == errno.EADDRINUSE:
            raise ConfigError(
                f"port {port} on {host} is taken by another program",
                "End that program, or set another redirect URI here and at the provider.",
            ) from error
        if _number_of(error) in {errno.EACCES, errno.EPERM}:
            raise ConfigError(
                f"port {port} on {host} may not be opened by this user",
                "Set a redirect URI with a port above 1023, here and at the provider.",
            ) from error
        raise
    return multi.listeners[0]


def _number_of(error: OSError) -> int | None:
    cause = error.__cause__
    return error.errno or (cause.errno if isinstance(cause, OSError) else None)
