"""How the products page their lists: what a page holds, and the call for the page behind it.

A page names the next one by a token, by its offset, by a cursor or by an address. An address is
followed only to where the page itself came from: below the same base at the same origin.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from twg.errors import ConfigError, ProtocolError, UsageError
from twg.http import origin
from twg.products import atlassian
from twg.products.call import GRAPHQL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twg.products.call import Call

_LISTS: Final = ("issues", "values", "results", "data", "items", "records")
_WIKI: Final = "/wiki"


def items_of(page: Any) -> list[Any] | None:
    """Return the items of a page's list; None where it has none that is known as such."""
    if isinstance(page, list):
        return page
    if not isinstance(page, dict):
        return None
    connection = _connection(page)
    if connection is not None:
        listed = connection.get("nodes", connection.get("edges"))
        return listed if isinstance(listed, list) else None
    return next((page[name] for name in _LISTS if isinstance(page.get(name), list)), None)


def total_of(page: Any) -> int | None:
    """Return how many items all pages have together, where the page tells."""
    # Bitbucket calls it so; elsewhere `size` is how many stand on this page.
    name = "size" if _member(page, "pagelen") else "total"
    found = _member(page, name)
    return found if isinstance(found, int) else None


def following(call: Call, page: Any, base: str) -> Call | None:
    """Return the call for the next page; None after the last one.

    Args:
        call: The one that gave `page`.
        page: The page, as JSON values.
        base: The URL that paths of this service begin with.

    Raises:
        ProtocolError: The next page is at another place, or is this one again.
    """
    if not isinstance(page, dict):
        return None
    found = _graphql(call, page) if call.service == GRAPHQL else _rest(call, page, base)
    if found == call:
        raise ProtocolError(
            f"{urlsplit(base).netloc} names a page as the next one that has just been read",
            "Leave --paginate out, and ask for each page by its number or cursor.",
        )
    return found


def _rest(call: Call, page: dict[str, Any], base: str) -> Call | None:
    token = page.get("nextPageToken")
    if isinstance(token, str) and token:
        return None if page.get("isLast") is True else call.with_parameter("nextPageToken", token)
    if isinstance(page.get("startAt"), int):
        return _by_offset(call, page, "startAt", last=page.get("isLast"))
    if isinstance(page.get("start"), int) and "isLastPage" in page:
        return _by_offset(call, page, "start", last=page["isLastPage"])
    link = _link(page)
    return None if link is None else _by_link(call, link, page, base)


def _by_offset(call: Call, page: dict[str, Any], name: str, *, last: Any) -> Call | None:
    count = len(items_of(page) or ())
    behind = page[name] + count
    total = page.get("total")
    if last is True or not count or (isinstance(total, int) and behind >= total):
        return None
    if last is None and not isinstance(total, int):
        return None
    return call.with_parameter(name, str(behind))


def _link(page: dict[str, Any]) -> str | None:
    """Return Confluence's `_links.next`, Bitbucket's `next` or the Admin APIs' `links.next`."""
    found = _member(page.get("_links"), "next") or page.get("next")
    found = found or _member(page.get("links"), "next")
    found = _member(found, "href") or found
    return found if isinstance(found, str) and found else None


def _by_link(call: Call, link: str, page: dict[str, Any], base: str) -> Call:
    if not link.startswith(("/", "?")) and "://" not in link:
        return call.with_parameter("cursor", link)  # a bare one, as some Admin APIs give
    path, _, query = _below(link, page, base).partition("?")
    path = path or call.path
    try:
        atlassian.check_path(f"{path}?{query}")
    except UsageError:
        raise _elsewhere(base) from None
    return replace(call, path=path, query=query)


def _below(link: str, page: dict[str, Any], base: str) -> str:
    """Return a link as path and query below `base`; Confluence's leave out a part at times."""
    if "://" not in link and not link.startswith("//"):
        context = _member(page.get("_links"), "context")
        return f"{_WIKI}{link}" if context == _WIKI and not link.startswith(_WIKI) else link
    try:
        same = origin(link) == origin(base)
    except ConfigError:
        same = False
    parts, front = urlsplit(link), urlsplit(base).path.rstrip("/")
    if not same or not parts.path.startswith(f"{front}/"):
        raise _elsewhere(base)
    return f"{parts.path.removeprefix(front)}?{parts.query}"


def _elsewhere(base: str) -> ProtocolError:
    return ProtocolError(
        f"{urlsplit(base).netloc} names a next page that is at another place; it was not followed",
        "Leave --paginate out, and look at the page's own link.",
    )


def _graphql(call: Call, page: dict[str, Any]) -> Call | None:
    info = (_connection(page) or {}).get("pageInfo", {})
    cursor = info.get("endCursor")
    if info.get("hasNextPage") is not True or not isinstance(cursor, str):
        return None
    request = json.loads(call.body or b"{}")
    request["variables"] = {**(request.get("variables") or {}), "endCursor": cursor}
    body = json.dumps(request, ensure_ascii=False, separators=(",", ":")).encode()
    return replace(call, body=body)


def _connection(page: Any) -> dict[str, Any] | None:
    """Return the first object of a GraphQL answer that has a `pageInfo`."""
    return next(_connections(page.get("data") if isinstance(page, dict) else None), None)


def _connections(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if isinstance(value.get("pageInfo"), dict):
            yield value
        for inner in value.values():
            yield from _connections(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _connections(inner)


def _member(value: Any, *names: str) -> Any:
    if not isinstance(value, dict):
        return None
    return next((value[name] for name in names if name in value), None)
