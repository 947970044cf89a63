"""The OAuth endpoints that programs call: token, device, revocation, registration, metadata."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from anyio import to_thread

from twg.sandbox.authorization import Wire
from twg.sandbox.bodies import Malformed, read_json, read_pairs
from twg.sandbox.endpoints import metadata
from twg.sandbox.faults import Place
from twg.sandbox.gateway import profile
from twg.sandbox.web import answer_response, json_response, route

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    from twg.sandbox.authorization import Server
    from twg.sandbox.context import Sandbox


def routes(sandbox: Sandbox, server: Server) -> list[Route]:
    """Return the routes of the protocol."""
    endpoints = _Endpoints(sandbox, server)
    discovery = "/.well-known/"
    return [
        route(sandbox, "POST", "/oauth/token", endpoints.token, Place.TOKEN),
        route(sandbox, "POST", "/oauth/device/code", endpoints.device, Place.DEVICE),
        route(sandbox, "POST", "/oauth/revoke", endpoints.revoke, Place.REVOCATION),
        route(sandbox, "POST", "/oidc/register", endpoints.register, Place.REGISTRATION),
        route(sandbox, "GET", "/userinfo", endpoints.userinfo, Place.RESOURCE),
        route(
            sandbox,
            "GET",
            f"{discovery}oauth-authorization-server",
            endpoints.metadata,
            Place.DISCOVERY,
        ),
        route(
            sandbox, "GET", f"{discovery}openid-configuration", endpoints.metadata, Place.DISCOVERY
        ),
    ]


class _Endpoints:
    def __init__(self, sandbox: Sandbox, server: Server) -> None:
        self._sandbox = sandbox
        self._server = server

    async def token(self, request: Request) -> Response:
        """RFC 6749 section 3.2, by form or, as Atlassian takes it, by JSON."""
        wire = await _wire(request)
        if isinstance(wire, str):
            return _invalid(wire)
        answer = await to_thread.run_sync(self._server.token_response, wire)
        return answer_response(answer, request.method)

    async def device(self, request: Request) -> Response:
        """RFC 8628 section 3.1."""
        return await self._endpoint("device_authorization", request)

    async def revoke(self, request: Request) -> Response:
        """RFC 7009 section 2."""
        return await self._endpoint("revocation", request)

    async def _endpoint(self, name: str, request: Request) -> Response:
        wire = await _wire(request)
        if isinstance(wire, str):
            return _invalid(wire)
        answer = await to_thread.run_sync(self._server.endpoint_response, name, wire)
        return answer_response(answer, request.method)

    async def register(self, request: Request) -> Response:
        """RFC 7591 section 3."""
        try:
            document = await read_json(request)
        except Malformed as error:
            return _invalid(str(error), "invalid_client_metadata")
        wire = Wire(request.method, request.url.path, request.headers, document=document)
        name = "client_registration"
        answer = await to_thread.run_sync(self._server.endpoint_response, name, wire)
        return answer_response(answer, request.method)

    async def metadata(self, request: Request) -> Response:
        """RFC 8414 section 3; the OpenID document says the same."""
        is_rfc8414 = request.url.path.endswith("oauth-authorization-server")
        if is_rfc8414 and self._sandbox.faults.take("openid-only", [Place.DISCOVERY]):
            return json_response(404, {"error": "not_found"})
        return json_response(200, metadata(self._sandbox.issuer))

    async def userinfo(self, request: Request) -> Response:
        """The claims OpenID Connect names, for the token's person."""
        return await profile(self._sandbox, request, _claims)


def _claims(person: Any) -> dict[str, Any]:
    return {
        "sub": person.account_id,
        "name": person.name,
        "email": person.email,
        "email_verified": True,
    }


async def _wire(request: Request) -> Wire | str:
    """Read the request for Authlib, or say in words what is wrong with it."""
    try:
        pairs = await read_pairs(request)
    except Malformed as error:
        return str(error)
    names = [name for name, _ in pairs if name != "resource"]
    # RFC 6749 section 3.2: parameters must not be repeated; RFC 8707 allows it for `resource`.
    if len(names) != len(set(names)):
        return "a parameter is repeated"
    return Wire(request.method, request.url.path, request.headers, pairs)


def _invalid(words: str, error: str = "invalid_request") -> Response:
    return json_response(400, {"error": error, "error_description": words})
