"""How answers are written and routes made: JSON, redirects, routes that count and misbehave."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from starlette.responses import Response
from starlette.routing import Route

from twg.sandbox.effects import under_faults

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from twg.sandbox.authorization import Answer
    from twg.sandbox.context import Sandbox
    from twg.sandbox.faults import Place

    Handler = Callable[[Request], Awaitable[Response]]


def json_response(status: int, document: Any, headers: dict[str, str] | None = None) -> Response:
    """Return `document` as JSON."""
    body = json.dumps(document, ensure_ascii=False).encode()
    return Response(body, status, headers, media_type="application/json")


def answer_response(answer: Answer, method: str) -> Response:
    """Return what the authorization server answered; a redirect after POST is 303 (RFC 9700)."""
    if answer.location:
        status = 303 if method == "POST" else 302
        return Response(b"", status, answer.headers)
    return json_response(answer.status, answer.body, answer.headers)


def with_query(path: str, **parameters: str) -> str:
    """Return `path` with `parameters` as its query."""
    return f"{path}?{urlencode(parameters)}"


def route(
    sandbox: Sandbox, method: str, path: str, handler: Handler, place: Place | None = None
) -> Route:
    """Return a route whose requests are counted and, at a `place`, meet the faults asked for."""

    async def counted(request: Request) -> Response:
        sandbox.observations.request(f"{request.method} {path}")
        if place is None:
            return await handler(request)
        return await under_faults(sandbox, place, request, handler)

    return Route(path, counted, methods=[method])
