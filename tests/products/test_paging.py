"""How pages lead to the next one, product by product, and never elsewhere."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from twg.errors import ProtocolError
from twg.products.call import Call
from twg.products.paging import following, items_of, total_of

JIRA = "https://api.example/ex/jira/c1"
WIKI = "https://api.example/ex/confluence/c1"
BITBUCKET = "https://api.bitbucket.example"

Case = tuple[str, str, dict[str, Any], str | None]
CASES: dict[str, Case] = {
    "Jira, a token": (
        JIRA,
        "/s?jql=x",
        {"isLast": False, "nextPageToken": "t+1"},
        "/s?jql=x&nextPageToken=t%2B1",
    ),
    "Jira, another token": (
        JIRA,
        "/s?nextPageToken=a&jql=x",
        {"nextPageToken": "b"},
        "/s?jql=x&nextPageToken=b",
    ),
    "Jira, the last token": (JIRA, "/s", {"isLast": True, "nextPageToken": "t"}, None),
    "Jira, no token": (JIRA, "/s", {"isLast": True, "issues": [1]}, None),
    "Jira, an offset": (
        JIRA,
        "/s",
        {"startAt": 0, "maxResults": 2, "total": 3, "issues": [1, 2]},
        "/s?startAt=2",
    ),
    "Jira, a smaller page": (
        JIRA,
        "/s?startAt=4",
        {"startAt": 4, "maxResults": 9, "total": 9, "values": [1]},
        "/s?startAt=5",
    ),
    "Jira, the last offset": (JIRA, "/s", {"startAt": 2, "total": 3, "issues": [1]}, None),
    "Jira, an empty page": (JIRA, "/s", {"startAt": 2, "total": 9, "issues": []}, None),
    "Jira, isLast": (JIRA, "/s", {"startAt": 0, "isLast": False, "values": [1, 2]}, "/s?startAt=2"),
    "Jira, isLast, the last": (
        JIRA,
        "/s",
        {"startAt": 0, "isLast": True, "total": 9, "values": [1]},
        None,
    ),
    "Jira, nobody knows": (JIRA, "/s", {"startAt": 0, "values": [1]}, None),
    "Jira, a site's address beside": (
        JIRA,
        "/s",
        {"startAt": 0, "total": 2, "values": [1], "nextPage": "https://x.example/"},
        "/s?startAt=1",
    ),
    "Service Management": (
        JIRA,
        "/r",
        {
            "start": 0,
            "limit": 1,
            "isLastPage": False,
            "values": [1],
            "_links": {"next": "https://site.example/rest"},
        },
        "/r?start=1",
    ),
    "Service Management, the last": (
        JIRA,
        "/r",
        {"start": 0, "isLastPage": True, "values": [1]},
        None,
    ),
    "Confluence": (
        WIKI,
        "/wiki/api/v2/p",
        {"results": [], "_links": {"next": "/wiki/api/v2/p?cursor=a%3D"}},
        "/wiki/api/v2/p?cursor=a%3D",
    ),
    "Confluence, version 1": (
        WIKI,
        "/wiki/rest/api/content",
        {"_links": {"next": "/rest/api/content?start=2", "context": "/wiki"}},
        "/wiki/rest/api/content?start=2",
    ),
    "Confluence, the last": (
        WIKI,
        "/wiki/api/v2/p",
        {"results": [1], "_links": {"base": "https://x"}},
        None,
    ),
    "a query alone": (WIKI, "/wiki/p", {"_links": {"next": "?cursor=b"}}, "/wiki/p?cursor=b"),
    "Bitbucket": (
        BITBUCKET,
        "/2.0/r",
        {"values": [], "next": f"{BITBUCKET}/2.0/r?page=2"},
        "/2.0/r?page=2",
    ),
    "Bitbucket, its port told": (
        BITBUCKET,
        "/2.0/r",
        {"next": f"{BITBUCKET}:443/2.0/r?page=2"},
        "/2.0/r?page=2",
    ),
    "Admin, an address": (
        BITBUCKET,
        "/admin/v1/o",
        {"links": {"next": f"{BITBUCKET}/admin/v1/o?cursor=5"}},
        "/admin/v1/o?cursor=5",
    ),
    "Admin, a cursor": (
        BITBUCKET,
        "/admin/v1/o?a=1",
        {"links": {"next": "c=5"}},
        "/admin/v1/o?a=1&cursor=c%3D5",
    ),
    "an address in an object": (BITBUCKET, "/x", {"links": {"next": {"href": "/x?p=2"}}}, "/x?p=2"),
    "no list": (JIRA, "/s", {"key": "A-1"}, None),
}


@pytest.mark.parametrize("name", CASES)
def test_a_page_leads_to_the_next_one(name: str) -> None:
    base, target, page, wanted = CASES[name]
    path, _, query = target.partition("?")
    call = Call(service="jira", method="GET", path=path, query=query, headers={"a": "b"})

    found = following(call, page, base)

    assert (found and found.target) == wanted
    assert found is None or replace(found, path=path, query=query) == call


ELSEWHERE = [
    "https://evil.example/x",
    "//evil.example/x",
    "http://api.example/ex/confluence/c1/wiki/x",
    "https://api.example:8443/ex/confluence/c1/wiki/x",
    "https://u:p@api.example/ex/confluence/c1/wiki/x",
    "https://api.example@evil.example/ex/confluence/c1/x",
    "https://api.example.evil.example/ex/confluence/c1/x",
    "https://api.example/ex/confluence/c2/wiki/x",
    "https://api.example/ex/confluence/c1",
    "https://api.example/oauth/token",
    "/../c2/wiki/x",
    "/wiki/%2e%2e/%2e%2e/x",
    "/\\evil.example/x",
    "/wiki/x\r\nHost: evil.example",
    "ftp://api.example/x",
    "?a=b c",
]


@pytest.mark.parametrize("link", ELSEWHERE)
def test_a_page_that_leads_elsewhere_is_not_followed(link: str) -> None:
    """H-F5."""
    call = Call(service="confluence", method="GET", path="/wiki/x")

    for page in ({"_links": {"next": link}}, {"next": link}, {"links": {"next": link}}):
        with pytest.raises(ProtocolError) as caught:
            following(call, page, WIKI)
        assert "evil.example" not in str(caught.value)


def test_a_page_that_leads_to_itself_is_not_followed() -> None:
    call = Call(service="jira", method="GET", path="/s", query="nextPageToken=t")

    with pytest.raises(ProtocolError, match="has just been read"):
        following(call, {"nextPageToken": "t"}, JIRA)


def graphql(*, more: bool, cursor: Any = "c2") -> dict[str, Any]:
    info = {"hasNextPage": more, "endCursor": cursor}
    return {"data": {"a": [{"b": {"pageInfo": info, "nodes": [1, 2]}}]}}


def test_a_graphql_page_gives_its_cursor_to_the_next() -> None:
    body = json.dumps({"query": "q", "variables": {"n": 1, "endCursor": "c1"}}).encode()
    call = Call(service="graphql", method="POST", path="/graphql", body=body)

    found = following(call, graphql(more=True), "https://api.example")

    assert found is not None
    wanted = {"query": "q", "variables": {"n": 1, "endCursor": "c2"}}
    assert json.loads(found.body or b"") == wanted
    nothing: dict[str, Any] = {}
    for last in (graphql(more=False), graphql(more=True, cursor=None), nothing, {"data": nothing}):
        assert following(call, last, "https://api.example") is None
    with pytest.raises(ProtocolError):
        following(found, graphql(more=True), "https://api.example")


def test_items_are_found_where_each_product_has_them() -> None:
    for name in ("issues", "values", "results", "data"):
        assert items_of({"total": 2, name: [1]}) == [1]
    assert items_of([1, 2]) == [1, 2]
    assert items_of(graphql(more=False)) == [1, 2]
    assert items_of({"key": "A-1", "data": {}}) is None
    assert items_of("words") is None


def test_a_total_is_known_where_it_is_told() -> None:
    assert total_of({"total": 7}) == 7
    assert total_of({"pagelen": 10, "size": 13}) == 13
    assert total_of({"size": 25, "results": []}) is None
    assert total_of([]) is None
