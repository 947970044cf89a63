"""A look-alike of Bitbucket Cloud's REST interface: the user and a workspace's repositories."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from anyio import to_thread
from starlette.responses import Response

from twg.sandbox.account import BITBUCKET
from twg.sandbox.faults import Place
from twg.sandbox.people import PEOPLE, WORKSPACE
from twg.sandbox.web import json_response, route

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.routing import Route

    from twg.sandbox.context import Sandbox
    from twg.sandbox.storage import Key

READ_USER: Final = "read:user:bitbucket"
READ_REPOSITORY: Final = "read:repository:bitbucket"
PAGE: Final = 10
LARGEST_PAGE: Final = 100
NAMES: Final = (
    *("berth-planner", "crane-telemetry", "dock-handbook", "ferry-timetable", "harbor-site"),
    *("lighthouse", "log-tools", "pilot-app", "quay-lights", "radio-bridge", "tide-model"),
    *("tug-dispatch", "weather-feed"),
)


def routes(sandbox: Sandbox) -> list[Route]:
    """Return the routes of Bitbucket."""
    bitbucket = _Bitbucket(sandbox)
    repositories = "/2.0/repositories/{workspace}"
    return [
        route(sandbox, "GET", "/2.0/user", bitbucket.user, Place.RESOURCE),
        route(sandbox, "GET", repositories, bitbucket.repositories, Place.RESOURCE),
        route(sandbox, "GET", repositories + "/{repo}", bitbucket.repository, Place.RESOURCE),
    ]


def problem(status: int, message: str) -> Response:
    """Return an error in Bitbucket's shape."""
    return json_response(status, {"type": "error", "error": {"message": message}})


def _answered(status: int, document: Any, key: Key, needed: str) -> Response:
    """Return an answer that tells of the token's scopes, as Bitbucket's do."""
    headers = {
        "x-credential-type": "api_token",
        "x-oauth-scopes": ", ".join(key.scope.split()),
        "x-accepted-oauth-scopes": needed,
    }
    return json_response(status, document, headers)


class _Bitbucket:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def user(self, request: Request) -> Response:
        """GET user."""
        key = await self._admitted(request, READ_USER)
        if isinstance(key, Response):
            return key
        person = PEOPLE[key.username]
        document = {
            "type": "user",
            "account_id": person.account_id,
            "uuid": "{5a4d0000-0000-4000-8000-0000000a11ce}",
            "username": f"{person.username}-sandbox",
            "nickname": person.username,
            "display_name": person.name,
            "account_status": "active",
        }
        return _answered(200, document, key, READ_USER)

    async def repositories(self, request: Request) -> Response:
        """GET repositories of a workspace, paged by `page`, with the whole `next` address."""
        key = await self._admitted(request, READ_REPOSITORY)
        if isinstance(key, Response):
            return key
        workspace = request.path_params["workspace"]
        if workspace != WORKSPACE:
            return problem(404, f"No workspace with identifier '{workspace[:60]}'.")
        page, size = (
            _number(request, name, default) for name, default in (("page", 1), ("pagelen", PAGE))
        )
        if page is None or size is None or size > LARGEST_PAGE:
            return problem(400, "Invalid page")
        return _answered(200, self._page(request, page, size), key, READ_REPOSITORY)

    def _page(self, request: Request, page: int, size: int) -> dict[str, Any]:
        shown = NAMES[(page - 1) * size : page * size]
        document: dict[str, Any] = {
            "values": [_repository(name) for name in shown],
            "pagelen": size,
            "size": len(NAMES),
            "page": page,
        }
        if page * size < len(NAMES):
            query = urlencode({"page": page + 1, "pagelen": size})
            document["next"] = f"{self._sandbox.issuer}{request.url.path}?{query}"
        return document

    async def repository(self, request: Request) -> Response:
        """GET one repository."""
        key = await self._admitted(request, READ_REPOSITORY)
        if isinstance(key, Response):
            return key
        workspace, name = request.path_params["workspace"], request.path_params["repo"]
        if workspace != WORKSPACE or name not in NAMES:
            return problem(404, f"Repository {workspace[:60]}/{name[:60]} not found")
        return _answered(200, _repository(name), key, READ_REPOSITORY)

    async def _admitted(self, request: Request, scope: str) -> Key | Response:
        """Take Basic with the account's e-mail and a scoped token that has `scope`."""
        email, token = credentials(request)
        key = await to_thread.run_sync(self._sandbox.storage.key, token, BITBUCKET)
        granted = key.scope.split() if key else []
        # One without scopes gets the very answer that an unknown one gets.
        if key is None or not granted or PEOPLE[key.username].email != email.lower():
            headers = {"www-authenticate": 'Basic realm="Bitbucket.org HTTP"'}
            words = "Token is invalid, expired, or not supported for this endpoint."
            response = problem(401, words)
            response.headers.update(headers)
            return response
        if scope not in granted:
            words = "Your credentials lack one or more required privilege scopes."
            detail = {"granted": granted, "required": [scope]}
            document = {"type": "error", "error": {"message": words, "detail": detail}}
            return _answered(403, document, key, scope)
        return key


def credentials(request: Request) -> tuple[str, str]:
    """Return user and secret of HTTP Basic; empty ones where there are none."""
    kind, _, encoded = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "basic":
        return "", ""
    try:
        email, _, token = base64.b64decode(encoded, validate=True).decode().partition(":")
    except ValueError:
        return "", ""
    return email, token


def _number(request: Request, name: str, default: int) -> int | None:
    text = request.query_params.get(name, str(default))
    return (
        int(text) if text.isascii() and text.isdigit() and 0 < int(text[:6]) == int(text) else None
    )


def _repository(name: str) -> dict[str, Any]:
    full_name = f"{WORKSPACE}/{name}"
    return {
        "type": "repository",
        "name": name,
        "slug": name,
        "full_name": full_name,
        "is_private": True,
        "scm": "git",
        "description": f"The sandbox’s {name.replace('-', ' ')}",
        "mainbranch": {"type": "branch", "name": "main"},
        "workspace": {"type": "workspace", "slug": WORKSPACE, "name": "Harbor Works (sandbox)"},
        "updated_on": "2026-10-01T08:00:00.000000+00:00",
        "links": {"html": {"href": f"https://bitbucket.sandbox.example/{full_name}"}},
    }
