"""A look-alike of Jira's REST interface, version 3: projects, search, issues."""

from __future__ import annotations

import base64
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from anyio import to_thread
from starlette.responses import Response

from twg.sandbox.bodies import Malformed, read_json
from twg.sandbox.faults import Place
from twg.sandbox.gateway import admitted
from twg.sandbox.jira_data import (
    TIDE,
    MadeUp,
    built_in_issues,
    issue_document,
    user_document,
    visible_projects,
)
from twg.sandbox.jql import JqlError, select
from twg.sandbox.web import json_response, route

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.routing import Route

    from twg.sandbox.context import Sandbox
    from twg.sandbox.gateway import Caller
    from twg.sandbox.jira_data import Project
    from twg.sandbox.people import Site

READ: Final = frozenset({"read:jira-work"})
READ_USER: Final = frozenset({"read:jira-work", "read:jira-user"})
WRITE: Final = frozenset({"write:jira-work"})
PAGE: Final = 50
LARGEST_PAGE: Final = 100
_THE_LOG: Final = re.compile(r"(?i)\s*project\s*=\s*[\"']?TIDE[\"']?\s*")
_NOT_JSON: Final = "There was an error parsing JSON. Check that your request is valid."


def routes(sandbox: Sandbox) -> list[Route]:
    """Return the routes of Jira."""
    jira = _Jira(sandbox)
    base = "/ex/jira/{cloudId}/rest/api/3"
    return [
        route(sandbox, method, base + path, handler, Place.RESOURCE)
        for method, path, handler in (
            ("GET", "/myself", jira.myself),
            ("GET", "/serverInfo", jira.server_info),
            ("GET", "/project/search", jira.projects),
            ("GET", "/search/jql", jira.search_by_token),
            ("POST", "/search/jql", jira.search_by_token),
            ("GET", "/search", jira.search_by_offset),
            ("POST", "/search", jira.search_by_offset),
            ("GET", "/issue/{key}", jira.issue),
            ("POST", "/issue", jira.create),
        )
    ]


def problem(status: int, *messages: str, **errors: str) -> Response:
    """Return an error in Jira's shape."""
    return json_response(status, {"errorMessages": list(messages), "errors": errors})


class _BadParameter(Exception):
    """A parameter makes no sense; the text is for the person."""


class _Jira:
    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def myself(self, request: Request) -> Response:
        """GET myself."""
        who = await admitted(self._sandbox, request, READ_USER)
        if isinstance(who, Response):
            return who
        return json_response(200, user_document(who[0].person))

    async def server_info(self, request: Request) -> Response:
        """GET serverInfo."""
        who = await admitted(self._sandbox, request, READ_USER)
        if isinstance(who, Response):
            return who
        info = {
            "baseUrl": who[1].url,
            "version": "1001.0.0-SANDBOX",
            "deploymentType": "Cloud",
            "serverTitle": who[1].name,
        }
        return json_response(200, info)

    async def projects(self, request: Request) -> Response:
        """GET project/search, paged by `startAt`."""
        who = await admitted(self._sandbox, request, READ)
        if isinstance(who, Response):
            return who
        caller, site = who
        try:
            start, size = _window(dict(request.query_params))
        except _BadParameter as error:
            return problem(400, str(error))
        projects = visible_projects(site, caller.person)
        base = f"{self._sandbox.issuer}{request.url.path}"
        page: dict[str, Any] = {
            "self": f"{base}?startAt={start}&maxResults={size}",
            "maxResults": size,
            "startAt": start,
            "total": len(projects),
            "isLast": start + size >= len(projects),
            "values": [_project(one) for one in projects[start : start + size]],
        }
        if not page["isLast"]:
            page["nextPage"] = f"{base}?startAt={start + size}&maxResults={size}"
        return json_response(200, page)

    async def search_by_token(self, request: Request) -> Response:
        """GET or POST search/jql, paged by `nextPageToken`."""
        found = await self._search(request)
        if isinstance(found, Response):
            return found
        issues, asked = found
        try:
            start = _read_page_token(asked.get("nextPageToken"))
            size = _number(asked, "maxResults", PAGE, LARGEST_PAGE)
        except _BadParameter as error:
            return problem(400, str(error))
        page: dict[str, Any] = {
            "issues": _shown(issues[start : start + size], asked.get("fields")),
            "isLast": start + size >= len(issues),
        }
        if not page["isLast"]:
            page["nextPageToken"] = _page_token(start + size)
        return json_response(200, page)

    async def search_by_offset(self, request: Request) -> Response:
        """GET or POST search, paged by `startAt` and `total`."""
        found = await self._search(request)
        if isinstance(found, Response):
            return found
        issues, asked = found
        try:
            start, size = _window(asked)
        except _BadParameter as error:
            return problem(400, str(error))
        page = {
            "startAt": start,
            "maxResults": size,
            "total": len(issues),
            "issues": _shown(issues[start : start + size], asked.get("fields")),
        }
        return json_response(200, page)

    async def _search(
        self, request: Request
    ) -> tuple[Sequence[dict[str, Any]], dict[str, Any]] | Response:
        who = await admitted(self._sandbox, request, READ)
        if isinstance(who, Response):
            return who
        caller, site = who
        try:
            asked = (
                await read_json(request) if request.method == "POST" else dict(request.query_params)
            )
        except Malformed:
            return problem(400, _NOT_JSON)
        if TIDE.cloud_id == site.cloud_id and _THE_LOG.fullmatch(str(asked.get("jql") or "")):
            return MadeUp(site, TIDE), asked
        issues = await to_thread.run_sync(self._visible_issues, caller, site)
        try:
            return select(issues, str(asked.get("jql") or ""), caller.person), asked
        except JqlError as error:
            return problem(400, str(error))

    async def issue(self, request: Request) -> Response:
        """GET issue/{key}; one that may not be seen looks like one that is not there."""
        who = await admitted(self._sandbox, request, READ)
        if isinstance(who, Response):
            return who
        key = request.path_params["key"].upper()
        issues = await to_thread.run_sync(self._visible_issues, *who)
        found = next((one for one in issues if key in {one["key"], one["id"]}), None)
        if found is None:
            return problem(404, "Issue does not exist or you do not have permission to see it.")
        return json_response(200, found)

    async def create(self, request: Request) -> Response:
        """POST issue."""
        who = await admitted(self._sandbox, request, WRITE)
        if isinstance(who, Response):
            return who
        caller, site = who
        try:
            fields: Any = (await read_json(request)).get("fields")
        except Malformed:
            return problem(400, _NOT_JSON)
        project = _project_of(fields, visible_projects(site, caller.person))
        if project is None:
            return problem(400, project="valid project is required")
        refusal = _creation_refused(caller, fields)
        if refusal is not None:
            return refusal
        made = await to_thread.run_sync(self._store, caller, site, project, fields)
        answer = {name: made[name] for name in ("id", "key", "self")}
        return json_response(201, answer)

    def _visible_issues(self, caller: Caller, site: Site) -> list[dict[str, Any]]:
        created = self._sandbox.storage.issues(site.cloud_id)
        found = []
        for project in visible_projects(site, caller.person):
            found += built_in_issues(site, project)
            found += [one for one in created if one["fields"]["project"]["key"] == project.key]
        return found

    def _store(
        self, caller: Caller, site: Site, project: Project, fields: dict[str, Any]
    ) -> dict[str, Any]:
        storage = self._sandbox.storage
        kind = fields.get("issuetype")
        with storage.transaction():
            before = [
                one
                for one in storage.issues(site.cloud_id)
                if one["fields"]["project"]["key"] == project.key
            ]
            made = issue_document(
                site,
                project,
                project.issues + len(before) + 1,
                summary=fields["summary"].strip(),
                status=("To Do", "new"),
                issue_type=str(kind.get("name", "Task")) if isinstance(kind, dict) else "Task",
                assignee=caller.person,
                created=datetime.now(UTC),
            )
            storage.add_issue(site.cloud_id, made["key"], made)
        return made


def _project(project: Project) -> dict[str, Any]:
    return {
        "id": str(project.number),
        "key": project.key,
        "name": project.name,
        "projectTypeKey": "software",
        "simplified": True,
        "style": "next-gen",
        "isPrivate": False,
    }


def _creation_refused(caller: Caller, fields: dict[str, Any]) -> Response | None:
    if not caller.person.may_write:
        return problem(403, "You do not have permission to create issues in this project.")
    summary = fields.get("summary")
    if not isinstance(summary, str) or not summary.strip():
        return problem(400, summary="You must specify a summary of the issue.")
    return None


def _project_of(fields: Any, projects: list[Project]) -> Project | None:
    asked = fields.get("project") if isinstance(fields, dict) else None
    if not isinstance(asked, dict):
        return None
    wanted = {str(asked.get("key")), str(asked.get("id"))}
    return next((one for one in projects if {one.key, str(one.number)} & wanted), None)


def _shown(issues: Sequence[dict[str, Any]], fields: Any) -> Sequence[dict[str, Any]]:
    names = fields.split(",") if isinstance(fields, str) else fields
    if not isinstance(names, list) or not names or {"*all", "*navigable"} & set(map(str, names)):
        return issues
    wanted = {str(name).strip() for name in names}
    return [
        one | {"fields": {name: v for name, v in one["fields"].items() if name in wanted}}
        for one in issues
    ]


def _window(asked: dict[str, Any]) -> tuple[int, int]:
    start = _number(asked, "startAt", 0, 10**6)
    return start, _number(asked, "maxResults", PAGE, LARGEST_PAGE)


def _number(asked: dict[str, Any], name: str, default: int, largest: int) -> int:
    text = str(asked.get(name, default))
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(10**9)):
        raise _BadParameter(f"{name} must be a whole number that is not negative.")
    return min(int(text), largest)


def _page_token(start: int) -> str:
    return base64.urlsafe_b64encode(f"start:{start}".encode()).decode()


def _read_page_token(token: Any) -> int:
    if not token:
        return 0
    try:
        word, _, start = base64.urlsafe_b64decode(str(token)).decode().partition(":")
    except ValueError as error:
        raise _BadParameter("The nextPageToken is invalid.") from error
    if word != "start" or not start.isdigit():
        raise _BadParameter("The nextPageToken is invalid.")
    return int(start)
