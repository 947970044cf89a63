"""`Call`: what nobody may put into a request."""

from __future__ import annotations

import dataclasses

import pytest

from twg.errors import UsageError
from twg.products.call import Call, check_query, checked_headers, checked_method

REFUSED = [
    "Authorization: Basic x",
    "authorization:x",
    "Cookie: a=b",
    "Set-Cookie: a=b",
    "Proxy-Authorization: x",
    "Proxy-Connection: x",
    "Host: evil.example",
    "host:evil.example",
    "Content-Length: 0",
    "Transfer-Encoding: chunked",
    "Connection: close",
    "Upgrade: h2c",
    "TE: trailers",
    "Trailer: x",
    "Expect: 100-continue",
    "Accept-Encoding: gzip",
    "X-HTTP-Method-Override: DELETE",
    "X-HTTP-Method: DELETE",
    "X-Method-Override: DELETE",
    "x_http_method_override: DELETE",
    "X-Forwarded-Host: evil.example",
    "X-Forwarded-For: 1.2.3.4",
    "Forwarded: host=evil.example",
    "X-Original-URL: /x",
    "X-Rewrite-URL: /x",
    "no colon",
    ": no name",
    "a b: c",
    "a\r\nb: c",
    "a: b\r\nHost: evil.example",
    "a: b\nc: d",
    "a: b\0c",
    "a: ü",
    "ä: b",
]


@pytest.mark.parametrize("word", REFUSED)
def test_a_header_that_is_not_anybodys_to_set_is_refused(word: str) -> None:
    """H-F5."""
    with pytest.raises(UsageError) as caught:
        checked_headers([word])
    assert "evil.example" not in str(caught.value)


def test_other_headers_are_taken_in_lower_case() -> None:
    given = ["Accept: text/plain", "X-Atlassian-Thing:  a b\t", "If-Match: *", "accept: x/y"]

    assert checked_headers(given) == {
        "accept": "x/y",
        "x-atlassian-thing": "a b",
        "if-match": "*",
    }


@pytest.mark.parametrize("query", ["_method=DELETE", "a=b&%5Fmethod=PUT", "a;X-HTTP-Method=x"])
def test_a_query_takes_no_other_method(query: str) -> None:
    """H-F5."""
    with pytest.raises(UsageError, match="what --method says"):
        check_query(query)
    check_query("method=x&a=_method")


@pytest.mark.parametrize("word", ["", "CONNECT", "TRACE", "GE T", "GET\r\n", "PROPFIND", "get\0"])
def test_an_unknown_method_is_refused(word: str) -> None:
    """H-F5."""
    with pytest.raises(UsageError):
        checked_method(word)
    assert checked_method("patch") == "PATCH"


def test_a_parameter_is_set_in_place_of_what_was() -> None:
    call = Call(service="jira", method="GET", path="/x", query="a=%20b&start%41t=1&startAt=2&c")

    assert call.with_parameter("startAt", "3 4").query == "a=%20b&c&startAt=3+4"


def test_a_call_cannot_be_changed() -> None:
    headers = {"X-A": "1"}
    call = Call(service="jira", method="GET", path="/x", headers=headers)
    headers["authorization"] = "x"

    assert dict(call.headers) == {"x-a": "1"}
    with pytest.raises(dataclasses.FrozenInstanceError):
        call.path = "/y"  # type: ignore[misc]  # what is to be shown
