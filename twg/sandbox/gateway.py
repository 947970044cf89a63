"""The API gateway: who holds an access token, what it allows, `/me`, and what one has access to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from anyio import to_thread

from twg.sandbox.faults import Place
from twg.sandbox.people import PEOPLE, SITES, WORKSPACE
from twg.sandbox.web import json_response, route

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    from twg.sandbox.context import Sandbox
    from twg.sandbox.people import Person, Site


@dataclass(frozen=True)
class Caller:
    """Who calls with an access token, what the token allows, and on which sites."""

    person: Person
    scopes: frozenset[str]
    sites: tuple[Site, ...]


def bearer(request: Request) -> str | None:
    """Return the bearer token of the request (RFC 6750 section 2.1), or None."""
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if kind.lower() == "bearer" and token.strip() else None


def find_caller(sandbox: Sandbox, token: str | None) -> Caller | None:
    """Return who holds a live access token, or None; blocks."""
    found = sandbox.storage.token(token) if token else None
    if found is None or found.kind != "access" or not found.live:
        return None
    grant = sandbox.storage.grant(found.grant_id)
    sites = tuple(SITES[cloud_id] for cloud_id in grant.sites)
    return Caller(PEOPLE[grant.username], frozenset(found.scope.split()), sites)


def unauthorized() -> Response:
    """Return the gateway's answer to a token it does not take."""
    headers = {"www-authenticate": 'Bearer realm="sandbox", error="invalid_token"'}
    return json_response(401, {"code": 401, "message": "Unauthorized"}, headers)


def scope_mismatch() -> Response:
    """Return the gateway's answer to a token without the scope."""
    return json_response(401, {"code": 401, "message": "Unauthorized; scope does not match"})


async def caller_of(sandbox: Sandbox, request: Request) -> Caller | None:
    """Return who calls, or None where no live access token came along."""
    return await to_thread.run_sync(find_caller, sandbox, bearer(request))


async def admitted(
    sandbox: Sandbox, request: Request, needs: frozenset[str]
) -> tuple[Caller, Site] | Response:
    """Admit a call to a site's product, or return the gateway's refusal.

    Args:
        sandbox: The running sandbox.
        request: Its path names the site in `cloudId`.
        needs: One of these scopes is enough.
    """
    caller = await caller_of(sandbox, request)
    if caller is None:
        return unauthorized()
    cloud_id = request.path_params["cloudId"]
    if cloud_id not in SITES:
        return json_response(404, {"code": 404, "message": "Not Found"})
    site = next((site for site in caller.sites if site.cloud_id == cloud_id), None)
    if site is None:
        return unauthorized()
    return (caller, site) if needs & caller.scopes else scope_mismatch()


async def profile(
    sandbox: Sandbox, request: Request, described: Callable[[Person], dict[str, Any]]
) -> Response:
    """Answer with the token's person, if it may read that."""
    caller = await caller_of(sandbox, request)
    if caller is None:
        return unauthorized()
    if not caller.scopes & {"read:me", "read:account"}:
        return json_response(403, {"code": 403, "message": "Forbidden; scope does not match"})
    return json_response(200, described(caller.person))


def routes(sandbox: Sandbox) -> list[Route]:
    """Return the routes of `/me`, the accessible resources and the accessible products."""

    async def me(request: Request) -> Response:
        return await profile(sandbox, request, _me)

    async def accessible(request: Request) -> Response:
        caller = await caller_of(sandbox, request)
        if caller is None:
            return unauthorized()
        if sandbox.faults.take("sites-no-list", [Place.RESOURCE]):
            return json_response(200, {"code": 401, "message": "Unauthorized"})
        if sandbox.faults.take("no-sites", [Place.RESOURCE]):
            return json_response(200, [])
        return json_response(200, [_resource(site, caller) for site in caller.sites])

    async def products(request: Request) -> Response:
        caller = await caller_of(sandbox, request)
        if caller is None:
            return unauthorized()
        return json_response(200, {"data": {"products": _products(caller)}})

    path = "/oauth/token/accessible-resources"
    return [
        route(sandbox, "POST", "/accessible-products", products, Place.RESOURCE),
        route(sandbox, "GET", "/me", me, Place.RESOURCE),
        route(sandbox, "GET", path, accessible, Place.RESOURCE),
    ]


def _me(person: Person) -> dict[str, Any]:
    return {
        "account_type": "atlassian",
        "account_id": person.account_id,
        "email": person.email,
        "name": person.name,
        "nickname": person.username,
        "picture": "https://avatars.sandbox.example/person.png",
        "account_status": "active",
        "zoneinfo": "Europe/Paris",
        "locale": "en-GB",
        "sandbox": True,
    }


def _products(caller: Caller) -> list[dict[str, Any]]:
    """List a person's products, whatever of them was asked for."""
    names = {"jira-software.ondemand": "Jira", "confluence.ondemand": "Confluence"}
    workspaces = [{"cloudId": site.cloud_id, "cloudUrl": site.url} for site in caller.sites]
    found = [
        {"productId": each, "productDisplayName": name, "workspaces": workspaces}
        for each, name in names.items()
    ]
    if caller.person.has_bitbucket:
        harbor = [{"workspaceUrl": f"https://bitbucket.sandbox.example/{WORKSPACE}"}]
        found.append(
            {"productId": "bitbucket", "productDisplayName": "Bitbucket", "workspaces": harbor}
        )
    return found


def _resource(site: Site, caller: Caller) -> dict[str, Any]:
    scopes = sorted(s for s in caller.scopes if "jira" in s or "confluence" in s)
    return {
        "id": site.cloud_id,
        "url": site.url,
        "name": site.name,
        "scopes": scopes,
        "avatarUrl": "https://avatars.sandbox.example/site.png",
    }
