"""A look-alike of the organization Admin interface: organizations and their users.

A key is good for one organization. When it ends is told in the answer's `meta`, where the real one
tells nothing.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from anyio import to_thread

from twg.sandbox.account import ADMIN
from twg.sandbox.faults import Place
from twg.sandbox.gateway import bearer, unauthorized
from twg.sandbox.people import ORG_ID, ORGS, PEOPLE
from twg.sandbox.storage import Key
from twg.sandbox.web import json_response, route

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    from twg.sandbox.context import Sandbox

PAGE: Final = 5
_OTHERS: Final = ("carol", "dmitri", "elif", "farid", "greta", "hana", "ivo", "june", "kofi", "lin")


def routes(sandbox: Sandbox) -> list[Route]:
    """Return the routes of the Admin interface."""
    admin = _Admin(sandbox)
    orgs = "/admin/v1/orgs"
    return [
        route(sandbox, "GET", orgs, admin.orgs, Place.RESOURCE),
        route(sandbox, "GET", orgs + "/{id}", admin.org, Place.RESOURCE),
        route(sandbox, "GET", orgs + "/{id}/users", admin.users, Place.RESOURCE),
    ]


def problem(status: int, code: str, title: str, detail: str) -> Response:
    """Return an error in the Admin interface's shape."""
    error = {
        "id": str(uuid.uuid4()),
        "status": str(status),
        "code": code,
        "title": title,
        "detail": detail,
    }
    return json_response(status, {"errors": [error]})


class _Admin:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def orgs(self, request: Request) -> Response:
        """GET orgs: empty, as the real one answers an organization's key."""
        key = await self._key(request)
        if key is None:
            return unauthorized()
        own = f"{self._sandbox.issuer}/admin/v1/orgs"
        return json_response(200, {"data": [], "links": {"self": own}})

    async def org(self, request: Request) -> Response:
        """GET orgs/{id}."""
        key = await self._admitted(request)
        if not isinstance(key, Key):
            return key
        org = _org(key)
        own = f"{self._sandbox.issuer}/admin/v1/orgs/{org}"
        data = {
            "id": org,
            "type": "orgs",
            "attributes": {"name": ORGS[org]},
            "relationships": {"users": {"links": {"related": f"{own}/users"}}},
            "links": {"self": own},
        }
        ends = datetime.fromtimestamp(key.expires_at or 0, tz=UTC)
        meta = {"apiKey": {"expiresAt": ends.strftime("%Y-%m-%dT%H:%M:%SZ")}}
        return json_response(200, {"data": data, "meta": meta})

    async def users(self, request: Request) -> Response:
        """GET orgs/{id}/users, paged by `cursor` with the whole address in `links.next`."""
        key = await self._admitted(request)
        if not isinstance(key, Key):
            return key
        cursor = request.query_params.get("cursor", "0")
        everybody = _users()
        if not (cursor.isascii() and cursor.isdigit() and int(cursor[:6]) < len(everybody)):
            return problem(400, "ADMIN-400-1", "Bad Request", "The cursor is invalid.")
        start = int(cursor[:6])
        own = f"{self._sandbox.issuer}{request.url.path}"
        links = {"self": f"{own}?cursor={start}"}
        if start + PAGE < len(everybody):
            links["next"] = f"{own}?cursor={start + PAGE}"
        document = {
            "data": everybody[start : start + PAGE],
            "links": links,
            "meta": {"total": len(everybody)},
        }
        return json_response(200, document)

    async def _admitted(self, request: Request) -> Key | Response:
        """Return the key, if it is good for the organization that is asked for."""
        key = await self._key(request)
        if key is None:
            return unauthorized()
        if request.path_params["id"] != _org(key):
            return problem(404, "ADMIN-404-1", "Not Found", "The organization does not exist.")
        return key

    async def _key(self, request: Request) -> Key | None:
        token = bearer(request) or ""
        return await to_thread.run_sync(self._sandbox.storage.key, token, ADMIN)


def _org(key: Key) -> str:
    # A sandbox from before there were two made keys that name none.
    return key.scope or ORG_ID


def _users() -> list[dict[str, Any]]:
    known = [_user(one.account_id, one.name, one.email) for one in PEOPLE.values()]
    made_up = [
        _user(
            f"712020:5a4db0c0-0000-4000-8000-{n:012d}",
            f"{name.title()} (sandbox)",
            f"{name}@sandbox.example",
        )
        for n, name in enumerate(_OTHERS, 1)
    ]
    return known + made_up


def _user(account_id: str, name: str, email: str) -> dict[str, Any]:
    return {
        "account_id": account_id,
        "account_type": "atlassian",
        "account_status": "active",
        "name": name,
        "email": email,
        "access_billable": True,
        "product_access": [{"key": "jira-software", "name": "Jira"}],
    }
