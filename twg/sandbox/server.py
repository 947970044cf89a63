"""The sandbox's server: the ASGI application and how it is served on loopback."""

from __future__ import annotations

import os
import secrets
import socket
from typing import TYPE_CHECKING, Any, Final

import uvicorn
from starlette.applications import Starlette

from twg.sandbox import (
    account,
    admin,
    bitbucket,
    confluence,
    consent,
    gateway,
    git,
    graphql,
    jira,
    protocol,
    sessions,
    watching,
)
from twg.sandbox.connections import Connections, protocol_for
from twg.sandbox.context import Sandbox
from twg.sandbox.endpoints import build_server
from twg.sandbox.errors import SandboxPortTaken
from twg.sandbox.faults import Faults
from twg.sandbox.minting import Mint
from twg.sandbox.observations import Observations
from twg.sandbox.pages import Pages, static_routes
from twg.sandbox.storage import Storage
from twg.sandbox.web import json_response

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from twg.sandbox.context import Options

LOOPBACK: Final = "127.0.0.1"
_BACKLOG: Final = 2048
_GRACE_SECONDS: Final = 1


def build_app(sandbox: Sandbox, connections: Connections, stop: Callable[[], None]) -> ASGIApp:
    """Return the application: pages, protocol, resources, behind the loopback guard."""
    server = build_server(sandbox)
    pages = Pages(sandbox.issuer)
    signed_in = sessions.Sessions(sandbox, secrets.token_bytes(32))
    app = Starlette(
        routes=[
            *static_routes(),
            *protocol.routes(sandbox, server),
            *sessions.routes(sandbox, pages, signed_in),
            *consent.routes(sandbox, server, pages, signed_in),
            *account.routes(sandbox, pages, signed_in),
            *gateway.routes(sandbox),
            *jira.routes(sandbox),
            *confluence.routes(sandbox),
            *bitbucket.routes(sandbox),
            *git.routes(sandbox),
            *admin.routes(sandbox),
            *graphql.routes(sandbox),
            *watching.routes(sandbox, pages, stop),
        ],
        exception_handlers={404: _nothing_here, 405: _nothing_here},
    )
    app.state.connections = connections
    return Loopback(app, sandbox.port)


async def _nothing_here(request: Request, error: Exception) -> Response:
    status = getattr(error, "status_code", 404)
    words = "the sandbox has nothing here"
    path = request.url.path
    return json_response(status, {"sandbox": True, "code": status, "message": words, "path": path})


class Loopback:
    """Answers loopback names only, so that no web page reaches us by rebinding its own name.

    Args:
        app: What is guarded.
        port: The port the server listens on.
    """

    def __init__(self, app: ASGIApp, port: int) -> None:
        self._app = app
        self._hosts = {f"{name}:{port}".encode() for name in (LOOPBACK, "localhost")}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection event, as ASGI has it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                marks = [(b"server", b"twg-sandbox"), (b"x-sandbox", b"true")]
                marks.append((b"x-content-type-options", b"nosniff"))
                message["headers"] = [*message.get("headers", ()), *marks]
            await send(message)

        hosts = [value for name, value in scope["headers"] if name == b"host"]
        if len(hosts) == 1 and hosts[0].lower() in self._hosts:
            await self._app(scope, receive, marked)
        else:
            words = {"sandbox": True, "error": "the sandbox answers loopback names only"}
            await json_response(421, words)(scope, receive, marked)


def open_socket(port: int | None, preferred: int | None) -> socket.socket:
    """Return a listening loopback socket: on `port`, else on `preferred` if free, else on any.

    Raises:
        SandboxPortTaken: `port` was asked for and is not free.
    """
    if port is not None:
        try:
            return _listening(port)
        except OSError as error:
            raise SandboxPortTaken(port) from error
    if preferred is not None:
        try:
            return _listening(preferred)
        except OSError:
            pass
    return _listening(0)


def _listening(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if os.name == "posix":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((LOOPBACK, port))
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def open_sandbox(database: Path, options: Options, port: int, control: str) -> Sandbox:
    """Return a sandbox on the state in `database`, which is created where missing; blocks."""
    storage = Storage.open(database)
    key = storage.setting("signing_key", secrets.token_hex(32))
    faults = Faults(options.faults)
    observations = Observations()
    return Sandbox(
        port=port,
        options=options,
        storage=storage,
        repositories=database.parent / "git",
        faults=faults,
        mint=Mint(key, f"http://{LOOPBACK}:{port}"),
        control=control,
        observations=observations,
    )


class Serving:
    """A server bound to a socket, run until it is stopped.

    Args:
        sandbox: What is served.
        listener: From `open_socket`.
    """

    def __init__(self, sandbox: Sandbox, listener: socket.socket) -> None:
        self._listener = listener
        connections = Connections()
        config = uvicorn.Config(
            build_app(sandbox, connections, self.stop),
            http=protocol_for(connections),
            ws="none",
            lifespan="off",
            loop="asyncio",
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=_GRACE_SECONDS,
            backlog=_BACKLOG,
        )
        self._server = uvicorn.Server(config)

    def stop(self) -> None:
        """Ask the server to end."""
        self._server.should_exit = True

    def run(self) -> None:
        """Serve until stopped or interrupted."""
        self._server.run(sockets=[self._listener])


def describe(sandbox: Sandbox) -> dict[str, Any]:
    """Return what is written beside the database for those who look for this sandbox."""
    return {
        "url": sandbox.issuer,
        "port": sandbox.port,
        "pid": os.getpid(),
        "control": sandbox.control,
        "options": sandbox.options.as_dict(),
    }
