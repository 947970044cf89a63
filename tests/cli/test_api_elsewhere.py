"""H-F5: whatever is given to `twg api`, its credential reaches no other host; others listen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from anyio.from_thread import start_blocking_portal

from tests.oauth.servers import document, serving, status
from tests.vault.samples import ACCESS, BITBUCKET

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.console import Console
    from tests.oauth.servers import Server


pytestmark = pytest.mark.usefixtures("no_rest")


@pytest.fixture
def foreign() -> Iterator[Server]:
    """Another host, which listens and answers all that comes."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(serving()) as running,
    ):
        yield running


PATHS = {
    "absolute": "{foreign}/x",
    "absolute, in capitals": "HTTP://{address}/x",
    "absolute, one slash": "http:/{address}/x",
    "absolute, no slash": "http:{address}/x",
    "absolute behind a slash": "/{foreign}/../x",
    "protocol-relative": "//{address}/x",
    "three slashes": "///{address}/x",
    "backslashes": "\\\\{address}\\x",
    "slash, backslash": "/\\{address}/x",
    "backslash, slash": "\\/{address}/x",
    "backslash behind": "/x\\@{address}/",
    "encoded slashes": "/%2f{address}/x",
    "encoded twice": "/%252f{address}/x",
    "encoded backslash": "/%5c{address}/x",
    "encoded slash first": "%2f%2f{address}/x",
    "userinfo": "@{address}/x",
    "userinfo with a colon": ":x@{address}/x",
    "userinfo behind": ".x@{address}/x",
    "a host glued to ours": ".{address}/x",
    "a dash glued to ours": "-{address}/x",
    "another port": ":{port}/x",
    "another port, later": "0{port}/x",
    "line feed": "/x\nHost: {address}",
    "carriage return and line feed": "/x\r\nHost: {address}\r\n\r\nGET /x",
    "line feed, encoded": "/x%0d%0aHost:%20{address}",
    "line feed, encoded twice": "/x%250d%250aHost:%20{address}",
    "unicode line separator": "/x\u2028Host: {address}",
    "letters that fold to line feeds": "/x\u560d\u560aHost: {address}",
    "null": "/x\0@{address}",
    "null, encoded": "/x%00@{address}",
    "tab": "/\t/{address}/x",
    "leading blank": " //{address}/x",
    "blank and protocol": "/x HTTP/1.1",
    "fragment": "/x#@{address}",
    "climbing": "/../../..//{address}/x",
    "climbing at the end": "/x/..",
    "climbing, encoded": "/%2e%2e/%2e%2e/x",
    "climbing, encoded twice": "/%252e%252e/x",
    "climbing, a parameter": "/..;/x",
    "climbing, unicode": "/\uff0e\uff0e/x",
    "climbing, unicode encoded": "/%ef%bc%8e%ef%bc%8e/x",
    "unicode solidus": "/\uff0f{address}/x",
    "unicode solidus, encoded": "/%ef%bc%8f{address}/x",
    "ideographic full stop": "/\u3002{address}",
    "a dot": "/./x",
    "no slash": "x",
    "nothing": "",
    "a question mark": "?x=1",
    "a semicolon": ";@{address}/x",
    "data": "data:,x",
    "a file": "file:///etc/passwd",
}
"""Where a path could lead; all of it is refused."""

HARMLESS = {
    "an address in the query": "/x?to={foreign}/x",
    "a host in the query": "/x?host={address}&url=//{address}/x",
    "an at-sign in the path": "/x@{address}",
    "a colon in the path": "/x:{port}",
    "a semicolon in the path": "/x;@{address}",
}
"""What looks so, and is a path of ours."""

HEADERS = {
    "Host": "{address}",
    "host": "{address}",
    "X-Forwarded-Host": "{address}",
    "X-Forwarded-Server": "{address}",
    "X-Forwarded-Proto": "http",
    "Forwarded": "host={address}",
    "X-Original-URL": "{foreign}/x",
    "X-Original-Host": "{address}",
    "X-Rewrite-URL": "{foreign}/x",
    "Proxy-Connection": "keep-alive",
    "Proxy-Foo": "{foreign}",
    "Connection": "X-A",
    "Transfer-Encoding": "chunked",
    "Content-Length": "4",
    "X-HTTP-Method-Override": "DELETE",
    "X-HTTP-Method": "DELETE",
    "X-Method-Override": "DELETE",
    "x_http_method_override": "DELETE",
    "X-A": "b\r\nHost: {address}",
    "X-B\r\nHost": "{address}",
}

BODIES = {
    "a request behind the body": b"x\r\n\r\nGET /x HTTP/1.1\r\nHost: {address}\r\n\r\n",
    "chunks that end": b"0\r\n\r\nGET /x HTTP/1.1\r\nHost: {address}\r\n\r\n",
    "an address": b'{"url": "http://{address}/x", "callback": "//{address}/x"}',
    "an entity": b'<!DOCTYPE a [<!ENTITY b SYSTEM "http://{address}/x">]><a>&b;</a>',
}

REDIRECTS = [
    (code, to) for code in (301, 302, 303, 307, 308) for to in ("{foreign}/x", "//{address}/x")
]
LINKS: dict[str, dict[str, Any]] = {
    "Bitbucket's": {"next": "{foreign}/x?page=2"},
    "Bitbucket's, relative": {"next": "//{address}/x"},
    "Confluence's": {"_links": {"next": "{foreign}/wiki/x"}},
    "the Admin APIs'": {"links": {"next": "{foreign}/x"}},
    "with userinfo": {"next": "http://127.0.0.1@{address}/x"},
}


def at(foreign: Server, text: str) -> str:
    address = foreign.url.partition("://")[2]
    port = address.rpartition(":")[2]
    for name, value in (("foreign", foreign.url), ("address", address), ("port", port)):
        text = text.replace("{" + name + "}", value)
    return text


def test_the_table_is_long() -> None:
    assert len(PATHS) + len(HARMLESS) + len(HEADERS) + len(BODIES) + len(REDIRECTS) > 80


@pytest.mark.parametrize("name", PATHS)
def test_a_path_that_leads_elsewhere_sends_nothing(
    console: Console, server: Server, foreign: Server, name: str
) -> None:
    """H-F5: to whichever service, and with whatever method."""
    console.sign_in_at(server.url)
    console.keep_bitbucket(server.url)
    path = at(foreign, PATHS[name])

    for words in (
        *(("atlassian", path), ("jira", path), ("bitbucket", path), ("graphql", path)),
        ("confluence", path, "-f", "a=b"),
        ("jira", path, "-X", "DELETE"),
        ("jira", path, "--paginate"),
    ):
        ended = console.twg("api", *words, "-o", "json", status=2)
        assert ended.error["code"] == "USAGE", words

    assert (foreign.received, server.received) == ([], [])


@pytest.mark.parametrize("name", HARMLESS)
def test_what_only_looks_so_goes_to_its_own_host(
    console: Console, server: Server, foreign: Server, name: str
) -> None:
    """H-F5."""
    console.sign_in_at(server.url)
    path = at(foreign, HARMLESS[name])
    server.on(path, document({"a": 1}))

    assert console.twg("api", "atlassian", path, "-o", "json").data == {"a": 1}

    assert foreign.received == []
    assert [one.headers["host"] for one in server.received] == [server.url.partition("://")[2]]


@pytest.mark.parametrize("name", HEADERS)
def test_a_header_leads_nowhere_else(
    console: Console, server: Server, foreign: Server, name: str
) -> None:
    """H-F5."""
    console.sign_in_at(server.url)

    for colon in (":", ": ", " : "):
        word = at(foreign, f"{name}{colon}{HEADERS[name]}")
        console.twg("api", "atlassian", "/x", "-H", word, status=2)

    assert (foreign.received, server.received) == ([], [])


@pytest.mark.parametrize("name", BODIES)
def test_a_body_is_one_body(
    console: Console, server: Server, foreign: Server, name: str, tmp_path: Path
) -> None:
    """H-F5: nothing in it is a second request."""
    console.sign_in_at(server.url)
    server.on("/x", document({}))
    file = tmp_path / "body"
    file.write_bytes(at(foreign, BODIES[name].decode()).encode())

    console.twg("api", "atlassian", "/x", "--input", str(file))

    assert [one.body for one in server.received] == [file.read_bytes()]
    assert foreign.received == []


@pytest.mark.parametrize(("code", "to"), REDIRECTS)
def test_a_redirect_is_followed_nowhere(
    console: Console, server: Server, foreign: Server, code: int, to: str
) -> None:
    """H-F5: by no service, method or manner of showing."""
    console.sign_in_at(server.url)
    console.keep_bitbucket(server.url)
    for path in ("/x", "/2.0/x", "/graphql"):
        server.on(path, status(code, b'{"a": 1}', Location=at(foreign, to)))

    for words in (
        *(("atlassian", "/x"), ("atlassian", "/x", "--paginate"), ("bitbucket", "/x")),
        *(("atlassian", "/x", "-X", "POST"), ("graphql", "-f", "query={a}")),
    ):
        console.twg("api", *words, status=None)

    assert foreign.received == []
    assert {one.path for one in server.received} == {"/x", "/2.0/x", "/graphql"}


@pytest.mark.parametrize("name", LINKS)
def test_a_next_page_elsewhere_is_not_asked_for(
    console: Console, server: Server, foreign: Server, name: str
) -> None:
    """H-F5: nor is what has come passed off as all."""
    console.sign_in_at(server.url)
    page = {"values": [1], **LINKS[name]}
    server.on("/x", document(_filled(page, foreign)))

    error = console.twg("api", "atlassian", "/x", "--paginate", "-o", "json", status=76).error

    assert error["code"] == "PROTOCOL"
    assert "was not followed" in error["message"]
    assert foreign.received == []
    assert len(server.received) == 1


def test_nothing_of_the_credentials_is_left_behind(
    console: Console, server: Server, foreign: Server
) -> None:
    """H-F5: nor shown, when a server sends back what it was sent."""
    console.sign_in_at(server.url)
    console.keep_bitbucket(server.url)
    server.on("/x", status(404, ACCESS.encode(), X_Echo=f"Bearer {ACCESS}"))
    server.on("/2.0/x", document({"message": BITBUCKET}, 403))

    for mode in ("text", "json"):
        console.twg("api", "atlassian", "/x", "-i", "-o", mode, status=4)
        console.twg("api", "bitbucket", "/x", "-i", "-o", mode, status=4)

    assert console.traces_of(ACCESS, BITBUCKET) == []
    assert foreign.received == []


def _filled(value: Any, foreign: Server) -> Any:
    if isinstance(value, dict):
        return {name: _filled(inner, foreign) for name, inner in value.items()}
    return at(foreign, value) if isinstance(value, str) else value
