"""A look-alike of Confluence's REST interface: spaces and pages, paged by cursor, and a search.

Spaces and pages are of version 2, the search by CQL of version 1, which is the one that has it.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from starlette.responses import Response

from twg.sandbox.faults import Place
from twg.sandbox.gateway import admitted
from twg.sandbox.jql import JqlError, clauses
from twg.sandbox.people import ALICE, HARBOR, ORCHARD
from twg.sandbox.web import json_response, route

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.routing import Route

    from twg.sandbox.context import Sandbox
    from twg.sandbox.people import Person, Site

READ_PAGES: Final = frozenset({"read:confluence-content.all", "read:page:confluence"})
READ_SPACES: Final = frozenset(
    {"read:confluence-space.summary", "read:space:confluence", "read:confluence-content.all"}
)
SEARCH: Final = frozenset({"search:confluence", "read:confluence-content.all"})
PAGE: Final = 25
LARGEST_PAGE: Final = 250


@dataclass(frozen=True)
class _Space:
    number: int
    key: str
    name: str
    cloud_id: str
    titles: tuple[str, ...]


_SPACES: Final = (
    _Space(
        65601,
        "DOCK",
        "Dock handbook",
        HARBOR.cloud_id,
        (
            *("Welcome aboard", "Berthing rules", "Night shift", "Crane checks"),
            *(f"Tide table, week {week}" for week in range(1, 29)),
        ),
    ),
    _Space(
        65602,
        "TEAM",
        "Team room",
        HARBOR.cloud_id,
        ("How we work", "Retrospective", "On call", "Holiday plan"),
    ),
    _Space(
        65603, "GROVE", "Grove notes", ORCHARD.cloud_id, ("Varieties", "Pruning", "Press manual")
    ),
)


def routes(sandbox: Sandbox) -> list[Route]:
    """Return the routes of Confluence."""
    confluence = _Confluence(sandbox)
    base = "/ex/confluence/{cloudId}/wiki/api/v2"
    return [
        route(sandbox, "GET", f"{base}/spaces", confluence.spaces, Place.RESOURCE),
        route(sandbox, "GET", f"{base}/pages", confluence.pages, Place.RESOURCE),
        route(sandbox, "GET", base + "/pages/{id}", confluence.page, Place.RESOURCE),
        route(
            sandbox,
            "GET",
            "/ex/confluence/{cloudId}/wiki/rest/api/search",
            confluence.search,
            Place.RESOURCE,
        ),
    ]


def problem(status: int, code: str, title: str, detail: str | None = None) -> Response:
    """Return an error in the shape of Confluence's version 2."""
    error = {"status": status, "code": code, "title": title, "detail": detail}
    return json_response(status, {"errors": [error]})


class _Confluence:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def spaces(self, request: Request) -> Response:
        """GET spaces."""
        who = await admitted(self._sandbox, request, READ_SPACES)
        if isinstance(who, Response):
            return who
        found = [_space(one) for one in _visible(who[1], who[0].person)]
        return _paged(request, found, who[1])

    async def pages(self, request: Request) -> Response:
        """GET pages, of one space with `space-id`."""
        who = await admitted(self._sandbox, request, READ_PAGES)
        if isinstance(who, Response):
            return who
        wanted = request.query_params.get("space-id")
        found = [
            _page(space, number, body=None)
            for space in _visible(who[1], who[0].person)
            if wanted in {None, str(space.number)}
            for number in range(len(space.titles))
        ]
        return _paged(request, found, who[1])

    async def page(self, request: Request) -> Response:
        """GET pages/{id}, its body with `body-format=storage`."""
        who = await admitted(self._sandbox, request, READ_PAGES)
        if isinstance(who, Response):
            return who
        asked = request.path_params["id"]
        body = request.query_params.get("body-format")
        for space in _visible(who[1], who[0].person):
            for number in range(len(space.titles)):
                if _page_id(space, number) == asked:
                    return json_response(200, _page(space, number, body=body))
        return problem(404, "NOT_FOUND", "Not Found", f"No page with id {asked[:40]} can be seen.")

    async def search(self, request: Request) -> Response:
        """GET search, by `cql`."""
        who = await admitted(self._sandbox, request, SEARCH)
        if isinstance(who, Response):
            return who
        person, site = who[0].person, who[1]
        cql = request.query_params.get("cql", "")
        pages = [
            (space, number)
            for space in _visible(site, person)
            for number in range(len(space.titles))
        ]
        try:
            for clause in clauses(cql, person):
                pages = [each for each in pages if clause.fits(_values(*each, clause.field))]
        except JqlError:
            message = f"Could not parse cql : {cql[:80]}"
            return json_response(400, {"statusCode": 400, "data": {}, "message": message})
        return _paged(request, [_hit(*each) for each in pages], site)


def _values(space: _Space, number: int, field: str) -> set[str]:
    title = space.titles[number].lower()
    known = {
        "type": {"page"},
        "space": {space.key.lower()},
        "id": {_page_id(space, number)},
        "title": {title},
        "text": {title},
        "sitesearch": {title},
    }
    if field not in known:
        raise JqlError(f"No field {field}.")
    return known[field]


def _hit(space: _Space, number: int) -> dict[str, Any]:
    page = _page(space, number, body=None)
    title, links = page["title"], page["_links"]
    content = {name: page[name] for name in ("id", "status", "title")} | {"type": "page"}
    return {
        "content": content | {"_links": links},
        "title": title,
        "excerpt": title,
        "url": links["webui"],
        "entityType": "content",
        "lastModified": page["createdAt"],
    }


def _visible(site: Site, person: Person) -> list[_Space]:
    return [one for one in _SPACES if one.cloud_id == site.cloud_id and one.key in person.spaces]


def _space(space: _Space) -> dict[str, Any]:
    return {
        "id": str(space.number),
        "key": space.key,
        "name": space.name,
        "type": "global",
        "status": "current",
        "homepageId": _page_id(space, 0),
        "_links": {"webui": f"/spaces/{space.key}"},
    }


def _page_id(space: _Space, number: int) -> str:
    return str(space.number * 1000 + number)


def _page(space: _Space, number: int, *, body: str | None) -> dict[str, Any]:
    title = space.titles[number]
    page: dict[str, Any] = {
        "id": _page_id(space, number),
        "status": "current",
        "title": title,
        "spaceId": str(space.number),
        "authorId": ALICE.account_id,
        "createdAt": f"2026-09-{1 + number % 30:02d}T08:00:00.000Z",
        "version": {"number": 1 + number % 3, "message": ""},
        "body": {},
        "_links": {"webui": f"/spaces/{space.key}/pages/{_page_id(space, number)}"},
    }
    if body == "storage":
        value = f"<p>{title}: a page of the sandbox’s {space.name}.</p>"
        page["body"] = {"storage": {"representation": "storage", "value": value}}
    return page


def _paged(request: Request, found: list[dict[str, Any]], site: Site) -> Response:
    limit = request.query_params.get("limit", str(PAGE))
    if not (limit.isascii() and limit.isdigit()) or not 1 <= int(limit[:9]) <= LARGEST_PAGE:
        return problem(400, "INVALID_REQUEST_PARAMETER", f"limit must be from 1 to {LARGEST_PAGE}")
    start = _read_cursor(request.query_params.get("cursor"))
    if start is None:
        return problem(400, "INVALID_REQUEST_PARAMETER", "Provided value for 'cursor' is invalid")
    size = int(limit)
    links: dict[str, str] = {"base": f"{site.url}/wiki"}
    headers = {}
    if start + size < len(found):
        parameters = dict(request.query_params) | {"cursor": _cursor(start + size)}
        path = "/wiki" + request.url.path.partition("/wiki")[2]
        links["next"] = f"{path}?{urlencode(parameters)}"
        headers["link"] = f'<{links["next"]}>; rel="next", <{links["base"]}>; rel="base"'
    document = {"results": found[start : start + size], "_links": links}
    return json_response(200, document, headers)


def _cursor(start: int) -> str:
    return base64.urlsafe_b64encode(f"after:{start}".encode()).decode()


def _read_cursor(cursor: str | None) -> int | None:
    if cursor is None:
        return 0
    try:
        word, _, start = base64.urlsafe_b64decode(cursor).decode().partition(":")
    except ValueError:
        return None
    return int(start) if word == "after" and start.isdigit() else None
