"""`Desk`: does what the tools of `twg mcp` are asked for, by the same ways as the commands."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from jsonschema import Draft202012Validator

from twg.cli.api_errors import error_of, is_refusal
from twg.cli.api_pages import Manner, Page
from twg.cli.calling import line_to
from twg.cli.failure import failure_of
from twg.cli.sign_ins import as_data, known_now, summary_of
from twg.errors import PolicyDenied, UsageError
from twg.mcp.server import Answer
from twg.mcp.toolbox import TOOLS
from twg.policy import Access, classify
from twg.products import atlassian
from twg.products.call import GRAPHQL, GRAPHQL_PATH, Call
from twg.products.paging import items_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from twg.cli.wiring import Wiring

_LARGEST: Final = 4 << 20
"""More than this no model reads."""

_FIELDS: Final = ("summary", "status", "issuetype", "assignee", "project", "updated")
_LIMIT: Final = 25
_WHOLE: Final = Manner()
_JSON: Final = {"content-type": "application/json"}


class Desk:
    """Uses the tools.

    Args:
        wiring: What commands depend on.
    """

    def __init__(self, wiring: Wiring) -> None:
        self._wiring = wiring

    async def answer(self, tool: str, arguments: Mapping[str, Any]) -> Answer:
        """Use a tool; what fails is an answer too.

        Args:
            tool: Its name.
            arguments: What it is given.
        """
        notes: list[str] = []
        try:
            self._check(tool, arguments)
            data = await self._use(tool, arguments, notes)
        except Exception as error:  # noqa: BLE001 - as where commands end: each is told, none is lost
            return self._failed(error)
        return Answer({"ok": True, "data": self._wiring.scrubber.data(data)}, notes)

    def _failed(self, error: Exception) -> Answer:
        document: dict[str, Any] = {"ok": False, "error": failure_of(error).as_dict()}
        if (data := getattr(error, "data", None)) is not None:
            document["data"] = data
        clean: dict[str, Any] = self._wiring.scrubber.data(document)
        return Answer(clean)

    def _check(self, tool: str, arguments: Mapping[str, Any]) -> None:
        """Refuse arguments that hold a secret, then those that the tool does not take.

        Raises:
            SecretRefused: One holds a secret by its looks.
            UsageError: There is no such tool, or it takes no such arguments.
        """
        self._wiring.refuse_outgoing(_words("the arguments", arguments))
        if tool not in TOOLS:
            raise UsageError("there is no such tool", f"There are {', '.join(TOOLS)}.")
        for wrong in Draft202012Validator(TOOLS[tool].schema).iter_errors(dict(arguments)):
            # Its own words would repeat what was given.
            raise UsageError(
                f"{tool} does not take this: {wrong.json_path} does not fit {wrong.validator!r}",
                "See the tool's schema.",
            )

    async def _use(self, tool: str, given: Mapping[str, Any], notes: list[str]) -> Any:
        match tool:
            case "whoami":
                return await self._who()
            case "status":
                return await self._status()
            case "search":
                call = _search(given)
            case "graphql_read":
                call = _query(given)
            case _:
                call = _call(given, given.get("method", "GET"))
        if TOOLS[tool].reads and classify(call) is not Access.READ:
            raise PolicyDenied(f"{tool} only reads, and this is not known to do no more")
        return await self._called(call, notes)

    async def _status(self) -> dict[str, Any]:
        header = await known_now(self._wiring)
        summary = summary_of(header, await self._wiring.profile())
        return as_data(header, summary, self._wiring)

    async def _who(self) -> dict[str, Any]:
        known = await self._status()
        return {name: known[name] for name in ("profile", "account", "site", "sites", "scopes")}

    async def _called(self, call: Call, notes: list[str]) -> Any:
        async with line_to(self._wiring, call.service, call.site) as line:
            call = line.settled(call, [])
            page = Page.of(await line.fetch(call, _LARGEST))
            if is_refusal(call, page):
                meaning = line.service.meaning(call, page.answer)
                raise error_of(page.answer, meaning, _WHOLE, self._wiring.scrubber)
            why = line.service.why_empty(call)
            if why and items_of(page.value) == []:
                notes.append(why)
            return page.data(_WHOLE)


def _call(given: Mapping[str, Any], method: str) -> Call:
    path, _, query = given["path"].partition("?")
    atlassian.check_path(given["path"])
    parameters = urlencode([*_pairs(given.get("parameters", {}))])
    body = json.dumps(given["body"]).encode() if "body" in given else None
    return Call(
        service=given["service"],
        method=method,
        path=path,
        query="&".join(filter(None, (query, parameters))),
        headers={} if body is None else _JSON,
        body=body,
        site=given.get("site"),
    )


def _query(given: Mapping[str, Any]) -> Call:
    request = {"query": given["query"], "variables": given.get("variables", {})}
    if "operation_name" in given:
        request["operationName"] = given["operation_name"]
    return Call(
        service=GRAPHQL,
        method="POST",
        path=GRAPHQL_PATH,
        headers=_JSON,
        body=json.dumps(request).encode(),
    )


def _search(given: Mapping[str, Any]) -> Call:
    limit = given.get("limit", _LIMIT)
    if given["product"] == "jira":
        path = "/rest/api/3/search/jql"
        fields = ",".join(given.get("fields", _FIELDS))
        asked = {"jql": given["query"], "maxResults": limit, "fields": fields}
        after = "nextPageToken"
    else:
        path = "/wiki/rest/api/search"
        asked = {"cql": given["query"], "limit": limit}
        after = "cursor"
    if "after" in given:
        asked[after] = given["after"]
    return Call(
        service=given["product"],
        method="GET",
        path=path,
        query=urlencode(asked),
        site=given.get("site"),
    )


def _pairs(parameters: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in parameters.items():
        for one in value if isinstance(value, list) else [value]:
            yield name, one if isinstance(one, str) else json.dumps(one)


def _words(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """Yield each text in a value, keys too, with where it stands."""
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, list):
        for one in value:
            yield from _words(name, one)
    elif isinstance(value, dict):
        for key, one in value.items():
            # A name and its value are looked at together too: some are secrets by their name.
            yield name, f"{key}={one}" if isinstance(one, str) else key
            yield from _words(name, one)
