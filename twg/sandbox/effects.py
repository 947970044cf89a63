"""What each fault does to an answer of the protocol's endpoints and the resource interfaces."""

from __future__ import annotations

import json
import time
import zlib
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

import anyio
import anyio.lowlevel
from starlette.responses import Response, StreamingResponse

from twg.sandbox.bodies import Malformed, read_body
from twg.sandbox.connections import reset_instead, until_disconnected
from twg.sandbox.faults import Place

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from twg.sandbox.context import Sandbox

    Handler = Callable[[Request], Awaitable[Response]]
    Replacement = Callable[[Request, Sandbox], Response]
    Edit = Callable[[dict[str, Any], Sandbox], None]

ELSEWHERE: Final = "elsewhere.sandbox.example"
DEVICE_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
_MIB: Final = 1024 * 1024


class _Reset(Response):
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del send
        await reset_instead(scope, receive)


class _Silence(Response):
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope, send
        await until_disconnected(receive)


async def under_faults(
    sandbox: Sandbox, place: Place, request: Request, handler: Handler
) -> Response:
    """Answer `request` by `handler`, or as the faults due at `place` say."""
    if not sandbox.faults:
        return await handler(request)
    places = {place}
    if place is Place.TOKEN:
        places |= await _grant_places(request)
    for name, replace in _REPLACEMENTS.items():
        if sandbox.faults.take(name, places):
            return replace(request, sandbox)
    return _changed(sandbox, places, request, await handler(request))


async def _grant_places(request: Request) -> set[Place]:
    """Tell refreshes and device polls apart from other requests at the token endpoint."""
    try:
        body = await read_body(request)
        fields = parse_qs(body.decode())
        grant_type = fields.get("grant_type", [""])[0] or json.loads(body).get("grant_type")
    except (ValueError, AttributeError, Malformed):
        return set()
    if grant_type == "refresh_token":
        return {Place.REFRESH}
    return {Place.POLL} if grant_type == DEVICE_GRANT else set()


def _changed(
    sandbox: Sandbox, places: set[Place], request: Request, response: Response
) -> Response:
    take = sandbox.faults.take
    if response.status_code == 200:  # noqa: PLR2004 - HTTP's own number
        for name, edit in _EDITS.items():
            if take(name, places):
                document = json.loads(bytes(response.body))
                edit(document, sandbox)
                response = _json(response.status_code, document)
    if take("register-200", places):
        response.status_code = 200
    if take("duplicate-keys", places):
        response = _raw(response.status_code, _doubled(json.loads(bytes(response.body))))
    if take("bad-json", places):
        response = _raw(response.status_code, bytes(response.body)[:-5])
    if take("wrong-content-type", places):
        response.headers["content-type"] = "image/png"
    if take("echo-token", places):
        response = _echo(request, response)
    return _Reset() if take("lost-answer", places) else response


def _json(status: int, document: Any, headers: Mapping[str, str] | None = None) -> Response:
    return Response(json.dumps(document), status, headers, media_type="application/json")


def _raw(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> Response:
    return Response(body, status, headers, media_type="application/json")


def _oauth_error(status: int, error: str, description: str) -> Replacement:
    def answer(request: Request, sandbox: Sandbox) -> Response:
        del request, sandbox
        return _json(status, {"error": error, "error_description": description})

    return answer


def _fixed(
    status: int, body: bytes = b"", media_type: str | None = None, **headers: str
) -> Replacement:
    def answer(request: Request, sandbox: Sandbox) -> Response:
        del request, sandbox
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return Response(body, status, sent, media_type=media_type)

    return answer


def _redirect(request: Request, sandbox: Sandbox) -> Response:
    return Response(b"", 307, {"location": f"{sandbox.issuer}/sandbox/landed{request.url.path}"})


def _huge_document(request: Request, sandbox: Sandbox) -> Response:
    del request, sandbox
    return _raw(200, b'{"filler": "' + b"x" * (10 * _MIB) + b'"}')


def _huge_headers(request: Request, sandbox: Sandbox) -> Response:
    del request, sandbox
    return _json(200, {}, {f"x-filler-{number}": "x" * 8192 for number in range(128)})


def _endless(request: Request, sandbox: Sandbox) -> Response:
    del request, sandbox

    async def chunks() -> AsyncIterator[bytes]:
        yield b'{"filler": "'
        while True:
            yield b"x" * 65536
            await anyio.lowlevel.checkpoint()

    return StreamingResponse(chunks(), 200, media_type="application/json")


def _gzip_bomb(request: Request, sandbox: Sandbox) -> Response:
    del request, sandbox
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    block = b" " * _MIB
    packed = b"".join(packer.compress(block) for _ in range(128)) + packer.flush()
    return _raw(200, packed, {"content-encoding": "gzip"})


def _reset(request: Request, sandbox: Sandbox) -> Response:
    del request, sandbox
    return _Reset()


def _silence(request: Request, sandbox: Sandbox) -> Response:
    del request, sandbox
    return _Silence()


def _rate_limit_date(request: Request, sandbox: Sandbox) -> Response:
    del request, sandbox
    return Response(b"", 429, {"retry-after": formatdate(time.time() + 2, usegmt=True)})


_PAGE: Final = b"<!doctype html><title>sandbox</title><h1>Sandbox: maintenance</h1>"
_DEEP: Final = b'{"a":' * 10_000 + b"0" + b"}" * 10_000
_GRANT_GONE: Final = "Unknown or invalid refresh token."

_REPLACEMENTS: Final[Mapping[str, Replacement]] = {
    "reset": _reset,
    "timeout": _silence,
    "redirect": _redirect,
    "token-redirect": _redirect,
    "discovery-redirect": _redirect,
    "huge-document": _huge_document,
    "huge-headers": _huge_headers,
    "endless-body": _endless,
    "gzip-bomb": _gzip_bomb,
    "html-200": _fixed(200, _PAGE, "text/html"),
    "json-depth": _fixed(200, _DEEP, "application/json"),
    "error-500": _fixed(500, b'{"error": "server_error"}', "application/json"),
    "error-502-html": _fixed(502, _PAGE, "text/html"),
    "error-503": _fixed(503),
    "empty-error": _fixed(400),
    "rate-limit-seconds": _fixed(429, retry_after="1"),
    "rate-limit-date": _rate_limit_date,
    "invalid-grant-400": _oauth_error(400, "invalid_grant", _GRANT_GONE),
    "invalid-grant-401": _oauth_error(401, "invalid_grant", _GRANT_GONE),
    "invalid-grant-403": _oauth_error(403, "invalid_grant", _GRANT_GONE),
    "access-denied-secret": _oauth_error(401, "access_denied", "Unauthorized"),
    "no-device": _oauth_error(400, "invalid_client", "grant_type is not enabled for client"),
    "device-slow-down": _oauth_error(400, "slow_down", "Too many requests"),
    "device-expired": _oauth_error(400, "expired_token", "The device code expired"),
    "device-denied": _oauth_error(400, "access_denied", "The person declined"),
    "revoke-refused": _oauth_error(400, "unauthorized_client", "Not for public clients"),
    "no-registration": _oauth_error(403, "access_denied", "Registration is closed"),
    "resource-401": _fixed(401, b'{"code": 401, "message": "Unauthorized"}', "application/json"),
}


def _set(**members: Any) -> Edit:
    def edit(document: dict[str, Any], sandbox: Sandbox) -> None:
        del sandbox
        document.update(members)

    return edit


def _without(*names: str) -> Edit:
    def edit(document: dict[str, Any], sandbox: Sandbox) -> None:
        del sandbox
        for name in names:
            document.pop(name, None)

    return edit


def _expires_as_string(document: dict[str, Any], sandbox: Sandbox) -> None:
    document["expires_in"] = str(sandbox.options.ttl)


_EDITS: Final[Mapping[str, Edit]] = {
    "discovery-issuer": _set(issuer=f"https://{ELSEWHERE}"),
    "discovery-http-endpoint": _set(token_endpoint=f"http://{ELSEWHERE}/oauth/token"),
    "discovery-foreign-endpoint": _set(token_endpoint=f"https://{ELSEWHERE}/oauth/token"),
    "pkce-plain-only": _set(code_challenge_methods_supported=["plain"]),
    "expires-string": _expires_as_string,
    "expires-negative": _set(expires_in=-3600),
    "expires-zero": _set(expires_in=0),
    "expires-huge": _set(expires_in=1e18),
    "expires-missing": _without("expires_in"),
    "expires-nan": _set(expires_in=float("nan")),
    "scope-changed": _set(scope="read:me manage:everything"),
    "token-type-mac": _set(token_type="mac"),
    "token-type-lower": _set(token_type="bearer"),
    "empty-token": _set(access_token=""),
    "control-chars-token": _set(access_token="eyJ\r\nX-Injected: 1\x1b[2J\x00"),
    "no-refresh-token": _without("refresh_token"),
    "device-no-interval": _without("interval"),
    "device-short-life": _set(expires_in=1),
    "device-bad-uri": _set(
        verification_uri="file:///etc/passwd",
        verification_uri_complete="javascript:alert(document.domain)",
    ),
    "device-control-chars": _set(
        user_code="AB\x1b[2JCD\x07",
        verification_uri="http://127.0.0.1/\x1b]0;owned\x07\u202e",
        verification_uri_complete="http://127.0.0.1/\x1b]0;owned\x07?user_code=\r\nAB",
    ),
}


def _doubled(document: dict[str, Any]) -> bytes:
    false_first = "".join(f'{json.dumps(name)}: "duplicate", ' for name in document)
    return ("{" + false_first + json.dumps(document)[1:]).encode()


def _echo(request: Request, response: Response) -> Response:
    sent = request.headers.get("authorization", "")
    token = sent.partition(" ")[2]
    headers = {"x-echo": sent, "x-trace": token}
    answer = json.loads(bytes(response.body) or b"null")
    if isinstance(answer, list):
        # A list has no room for it: who expects one would take anything else for broken.
        return _json(response.status_code, answer, headers)
    document = {
        "code": response.status_code,
        "message": f"got {sent}",
        "token": token,
        "errorMessages": [f"got {sent}"],
        "answer": answer,
    }
    return _json(response.status_code, document, headers)
