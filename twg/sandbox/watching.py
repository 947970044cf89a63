"""`/sandbox/…`: what tests and the demo ask the server about itself, and how it is stopped."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Final

from anyio import to_thread
from starlette.routing import Route

from twg.sandbox.bodies import Malformed, read_form
from twg.sandbox.errors import SandboxFaultUnknown
from twg.sandbox.people import CLIENT_ID, PEOPLE
from twg.sandbox.web import json_response, route

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from twg.sandbox.context import Sandbox
    from twg.sandbox.pages import Pages

CONTROL_HEADER: Final = "x-sandbox-control"


def proof_of(control: str, nonce: str) -> str:
    """Return what only the holder of the control secret can answer to `nonce`."""
    return hmac.new(control.encode(), nonce.encode(), hashlib.sha256).hexdigest()


def routes(sandbox: Sandbox, pages: Pages, stop: Callable[[], None]) -> list[Route]:
    """Return the routes of `/sandbox/…` and of the front page; `stop` ends the server."""
    views = _Views(sandbox, pages, stop)
    return [
        Route("/sandbox/stats", views.stats),
        Route("/sandbox/identity", views.identity),
        Route("/sandbox/issued", views.issued),
        Route("/sandbox/token-status", views.token_status, methods=["POST"]),
        Route("/sandbox/expire", views.expire, methods=["POST"]),
        Route("/sandbox/faults", views.misbehave, methods=["POST"]),
        Route("/sandbox/stop", views.end, methods=["POST"]),
        # Where the redirect faults lead; a client that gets here followed one.
        *(
            route(sandbox, method, "/sandbox/landed/{path:path}", views.landed)
            for method in ("GET", "POST")
        ),
        route(sandbox, "GET", "/", views.front),
    ]


class _Views:
    def __init__(self, sandbox: Sandbox, pages: Pages, stop: Callable[[], None]) -> None:
        self._sandbox = sandbox
        self._pages = pages
        self._stop = stop

    async def front(self, request: Request) -> Response:
        """Say to a person what this is."""
        del request
        return self._pages.page("front", people=list(PEOPLE.values()), client_id=CLIENT_ID)

    async def stats(self, request: Request) -> Response:
        """Count requests by endpoint."""
        del request
        return json_response(200, self._sandbox.observations.stats())

    async def identity(self, request: Request) -> Response:
        """Prove to the holder of the control secret that this is its sandbox."""
        nonce = request.query_params.get("nonce", "")[:128]
        return json_response(
            200, {"sandbox": True, "proof": proof_of(self._sandbox.control, nonce)}
        )

    async def issued(self, request: Request) -> Response:
        """List every secret handed out since the start, for the holder of the control secret."""
        if not self._controls(request):
            return _refused()
        issued = self._sandbox.observations.all_issued()
        return json_response(200, {"sandbox": True, "issued": issued})

    async def token_status(self, request: Request) -> Response:
        """Tell whether a token is known and active."""
        try:
            token = (await read_form(request)).get("token", "")
        except Malformed:
            token = ""
        found = await to_thread.run_sync(self._sandbox.storage.token, token)
        if found is None:
            return json_response(200, {"sandbox": True, "known": False, "active": False})
        active = found.live and (found.kind == "access" or found.used_at is None)
        document = {
            "sandbox": True,
            "known": True,
            "active": active,
            "kind": found.kind,
            "token_id": found.token_id,
        }
        return json_response(200, document)

    async def expire(self, request: Request) -> Response:
        """Let access tokens (or with `kind=refresh`, refresh tokens) expire now: one, or all."""
        if not self._controls(request):
            return _refused()
        try:
            form = await read_form(request)
        except Malformed:
            form = {}
        storage = self._sandbox.storage
        kind, token_id = form.get("kind", "access"), form.get("token_id")
        count = await to_thread.run_sync(storage.expire_tokens, kind, token_id)
        return json_response(200, {"sandbox": True, "expired": count})

    async def misbehave(self, request: Request) -> Response:
        """Show the faults named in `faults`, separated by blanks, from now on and no others."""
        if not self._controls(request):
            return _refused()
        try:
            words = (await read_form(request)).get("faults", "").split()
            self._sandbox.faults.become(words)
        except (Malformed, SandboxFaultUnknown) as error:
            return json_response(400, {"sandbox": True, "error": str(error)})
        return json_response(200, {"sandbox": True, "faults": words})

    async def end(self, request: Request) -> Response:
        """End the server."""
        if not self._controls(request):
            return _refused()
        self._stop()
        return json_response(200, {"sandbox": True, "stopping": True})

    async def landed(self, request: Request) -> Response:
        """Answer a client that followed a redirect it should not have followed."""
        del request
        return json_response(200, {"sandbox": True, "landed": True})

    def _controls(self, request: Request) -> bool:
        sent = request.headers.get(CONTROL_HEADER, "")
        return hmac.compare_digest(sent.encode(), self._sandbox.control.encode())


def _refused() -> Response:
    return json_response(403, {"sandbox": True, "error": "the control secret is wrong"})
