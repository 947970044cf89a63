"""Which TCP connection belongs to which client, so that a fault can reset it."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING

from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    import asyncio

    from starlette.types import Receive, Scope


class Connections:
    """The open connections by the client's address."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, int], asyncio.Transport] = {}

    def opened(self, transport: asyncio.Transport) -> None:
        """Remember a connection."""
        self._open[_peer(transport)] = transport

    def closed(self, transport: asyncio.Transport) -> None:
        """Forget a connection."""
        self._open.pop(_peer(transport), None)

    def reset(self, client: tuple[str, int]) -> None:
        """Close the client's connection by RST, unsent bytes thrown away."""
        transport = self._open.get(client)
        if transport is None:
            return
        raw = transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()


def _peer(transport: asyncio.Transport) -> tuple[str, int]:
    name = transport.get_extra_info("peername") or ("", 0)
    return (str(name[0]), int(name[1]))


def protocol_for(connections: Connections) -> type[asyncio.Protocol]:
    """Return uvicorn's HTTP protocol, telling `connections` of each connection."""

    class Tracked(H11Protocol):
        _tracked: asyncio.Transport

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn declares it
            self._tracked = transport
            connections.opened(transport)
            super().connection_made(transport)

        def connection_lost(self, exc: Exception | None) -> None:
            connections.closed(self._tracked)
            super().connection_lost(exc)

    return Tracked


async def until_disconnected(receive: Receive) -> None:
    """Wait until the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def reset_instead(scope: Scope, receive: Receive) -> None:
    """Reset the connection a request came on, in place of an answer."""
    connections: Connections = scope["app"].state.connections
    connections.reset(tuple(scope["client"]))
    await until_disconnected(receive)
