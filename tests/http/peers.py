"""Servers that keep their connections open, and a proxy that knows CONNECT."""

from __future__ import annotations

import contextlib
import socket
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
from anyio.abc import SocketAttribute
from anyio.streams.tls import TLSListener

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Awaitable, Callable

    import pytest
    from anyio.abc import AnyByteStream, ByteStream

    Serve = Callable[[ByteStream], Awaitable[None]]

OK = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{"ok":true}'
GONE = (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream)


def _opened() -> anyio.Event:
    gate = anyio.Event()
    gate.set()
    return gate


@dataclass
class Keeper:
    """A server that answers request after request on the connections it is given.

    Attributes:
        answers: What it answers in turn on each connection, the last one again and again.
        hang_up_after: How many requests it answers on a connection before it closes it.
        received: Every request, head and body.
        connections: How many it was given.
        open: How many of them are open.
        most_open: How many were at once.
        gate: Once set, it answers.
        arrived: Set when as many requests are waiting at the gate as `expected`.
        left_open: With how many open it is that `closed` is set.
        closed: Set then; replace it to wait for the next time.
    """

    answers: list[bytes] = field(default_factory=lambda: [OK])
    hang_up_after: int | None = None
    received: list[bytes] = field(default_factory=list)
    connections: int = 0
    open: int = 0
    most_open: int = 0
    gate: anyio.Event = field(default_factory=_opened)
    expected: int = 1
    arrived: anyio.Event = field(default_factory=anyio.Event)
    left_open: int = 0
    closed: anyio.Event = field(default_factory=anyio.Event)

    async def serve(self, stream: ByteStream) -> None:
        """Answer one connection."""
        self.connections += 1
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        answers = list(self.answers)
        with contextlib.suppress(*GONE):
            async with stream:
                served = 0
                while served != self.hang_up_after:
                    self.received.append(await message(stream))
                    if len(self.received) >= self.expected:
                        self.arrived.set()
                    await self.gate.wait()
                    await stream.send(answers.pop(0) if len(answers) > 1 else answers[0])
                    served += 1
        self.open -= 1
        if self.open <= self.left_open:
            self.closed.set()


@dataclass
class Proxy:
    """A proxy that tunnels every CONNECT to one port of this machine.

    Attributes:
        port: That port.
        asked: The first line of each request it was sent.
        refusal: What it answers instead of tunnelling, if anything.
    """

    port: int
    asked: list[str] = field(default_factory=list)
    refusal: bytes | None = None

    async def serve(self, stream: ByteStream) -> None:
        """Serve one connection."""
        with contextlib.suppress(*GONE):
            async with stream:
                head = await message(stream)
                self.asked.append(head.partition(b"\r\n")[0].decode())
                if self.refusal is not None:
                    await stream.send(self.refusal)
                    return
                async with await anyio.connect_tcp("127.0.0.1", self.port) as beyond:
                    await stream.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
                    async with anyio.create_task_group() as tasks:
                        tasks.start_soon(_pump, stream, beyond)
                        await _pump(beyond, stream)
                        tasks.cancel_scope.cancel()


async def message(stream: ByteStream) -> bytes:
    """Receive one request to its end; raise `EndOfStream` if there is none."""
    received = b""
    while (end := received.find(b"\r\n\r\n")) < 0:
        received += await stream.receive()
    length = 0
    for line in received[:end].split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
    while len(received) < end + 4 + length:
        received += await stream.receive()
    return received


async def _pump(source: ByteStream, sink: ByteStream) -> None:
    with contextlib.suppress(*GONE):
        async for chunk in source:
            await sink.send(chunk)


@asynccontextmanager
async def listening(serve: Serve, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Serve on a free port of 127.0.0.1 while the context lasts."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", backlog=1024)
    port = int(listener.extra(SocketAttribute.local_port))  # noqa: S610 - anyio's, no query
    secured = listener if tls is None else _Lenient(listener, tls, standard_compatible=False)
    async with secured, anyio.create_task_group() as tasks:
        tasks.start_soon(secured.serve, serve)
        yield port
        tasks.cancel_scope.cancel()


class _Lenient(TLSListener):
    """One that takes a client's refusal of its certificate in its stride."""

    @staticmethod
    async def handle_handshake_error(exc: BaseException, stream: AnyByteStream) -> None:
        await anyio.aclose_forcefully(stream)
        if not isinstance(exc, Exception):
            raise exc


def resolve(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> list[str]:
    """Let every name resolve to `addresses`; return the names asked for, as they come."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def found(host: Any, *rest: Any, **named: Any) -> list[Any]:
        name = host.decode() if isinstance(host, bytes) else host
        if name[:1].isdigit() or ":" in name:
            return list(real(host, *rest, **named))
        asked.append(name)
        return [one for each in addresses for one in real(each, *rest, **named)]

    monkeypatch.setattr(socket, "getaddrinfo", found)
    return asked
