"""Servers on loopback that answer what a test scripts, byte for byte where it wants."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import anyio
import h11
from anyio.abc import SocketAttribute

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from anyio.abc import SocketStream

    Reply = Callable[[SocketStream], Awaitable[None]]


@dataclass(frozen=True)
class Received:
    """One request, as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        """The body as a form; a field that came twice fails."""
        fields = parse_qs(self.body.decode(), keep_blank_values=True, strict_parsing=True)
        assert all(len(values) == 1 for values in fields.values())
        return {name: values[0] for name, values in fields.items()}

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass
class Server:
    """A running server; each path answers its script in turn, the last reply again and again."""

    url: str
    script: dict[str, list[Reply]] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)

    def on(self, path: str, *replies: Reply) -> None:
        """Answer `path` with `replies` in turn."""
        self.script[path] = list(replies)

    def to(self, path: str) -> list[Received]:
        """The requests to `path` so far."""
        return [request for request in self.received if request.path == path]

    async def serve(self, stream: SocketStream) -> None:
        """Answer one connection."""
        async with stream:
            request = await _request(stream)
            if request is None:
                return
            self.received.append(request)
            replies = self.script.get(request.path, [status(404)])
            reply = replies.pop(0) if len(replies) > 1 else replies[0]
            with contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
                await reply(stream)


@asynccontextmanager
async def serving() -> AsyncIterator[Server]:
    """Run a server on a free port while the context lasts."""
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(SocketAttribute.local_port)  # noqa: S610 - anyio's, no query
    server = Server(f"http://127.0.0.1:{port}")
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, server.serve)
        yield server
        tasks.cancel_scope.cancel()


def raw(answer: bytes) -> Reply:
    """Reply these bytes and close."""

    async def reply(stream: SocketStream) -> None:
        await stream.send(answer)

    return reply


def body(content: bytes, code: int = 200, **headers: str) -> Reply:
    """Reply an HTTP answer; header names with underscores for dashes."""
    given = {"content_type": "application/json", **headers}
    lines = [f"HTTP/1.1 {code} Whatever", f"Content-Length: {len(content)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in given.items() if value]
    return raw("\r\n".join(lines).encode() + b"\r\n\r\n" + content)


def status(code: int, content: bytes = b"", **headers: str) -> Reply:
    """Reply a status, without a body unless given."""
    return body(content, code, **headers)


def document(value: Any, code: int = 200, **headers: str) -> Reply:
    """Reply JSON."""
    return body(json.dumps(value).encode(), code, **headers)


def page(code: int = 200) -> Reply:
    """Reply a web page."""
    return body(b"<!doctype html><h1>Hello</h1>", code, content_type="text/html; charset=utf-8")


def reset() -> Reply:
    """Reset the connection."""

    async def reply(stream: SocketStream) -> None:
        bare = stream.extra(SocketAttribute.raw_socket)  # noqa: S610 - anyio's, no query
        bare.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return reply


def endless() -> Reply:
    """Reply a body that never ends."""

    async def reply(stream: SocketStream) -> None:
        await stream.send(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{"a": "')
        while True:
            await stream.send(b"a" * 65536)

    return reply


def stall() -> Reply:
    """Begin an answer and stop in the middle of it."""

    async def reply(stream: SocketStream) -> None:
        await stream.send(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"a')
        await anyio.sleep_forever()

    return reply


async def _request(stream: SocketStream) -> Received | None:
    connection = h11.Connection(h11.SERVER)
    head: h11.Request | None = None
    content = b""
    while True:
        try:
            event = connection.next_event()
        except h11.RemoteProtocolError:  # it was killed in the middle of its request
            return None
        if event is h11.NEED_DATA:
            try:
                connection.receive_data(await stream.receive())
            except anyio.EndOfStream:
                connection.receive_data(b"")
            except anyio.BrokenResourceError:
                return None
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            content += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage) and head is not None:
            headers = {name.decode(): value.decode() for name, value in head.headers}
            return Received(head.method.decode(), head.target.decode(), headers, content)
        else:
            return None
