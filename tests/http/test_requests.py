"""What is sent, and to whom: pins come first, and nothing is followed or carried over."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from guard.errors import AuditBroken
from tests.http.conftest import MARK
from tests.http.peers import Keeper, listening
from tests.oauth.servers import document, status
from twg.errors import ConfigError
from twg.http import Http, origin

if TYPE_CHECKING:
    from guard.secret import Secret
    from tests.oauth.servers import Received, Server


def carrying(way: str, secret: Secret) -> dict[str, Any]:
    """Return the arguments by which a request carries the secret."""
    ways: dict[str, Any] = {
        "bearer": secret,
        "basic": ("me", secret),
        "form": {"token": secret},
        "json": {"deep": [{"er": secret}]},
    }
    return {way: ways[way]}


def carried(way: str, got: Received) -> Any:
    """Return what came of it."""
    match way:
        case "form":
            return got.form
        case "json":
            return got.json
        case _:
            return got.headers["authorization"]


WAYS = ("bearer", "basic", "form", "json")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("pinned", [None, frozenset({"https://elsewhere.example.com:443"})])
async def test_a_secret_for_another_origin_goes_nowhere(
    server: Server, http: Http, secret: Secret, way: str, pinned: frozenset[str] | None
) -> None:
    with pytest.raises(ConfigError, match="nothing was sent") as caught:
        await http.request("POST", f"{server.url}/x", pinned=pinned, **carrying(way, secret))
    assert server.received == []
    assert MARK not in str(caught.value)


@pytest.mark.parametrize("way", WAYS)
async def test_a_secret_for_this_origin_arrives_whole(
    server: Server, http: Http, secret: Secret, way: str
) -> None:
    server.on("/x", document({}))
    await http.request(
        "POST", f"{server.url}/x", pinned=frozenset({origin(server.url)}), **carrying(way, secret)
    )
    (got,) = server.received
    expected = {
        "bearer": f"Bearer {MARK}",
        "basic": f"Basic {base64.b64encode(f'me:{MARK}'.encode()).decode()}",
        "form": {"token": MARK},
        "json": {"deep": [{"er": MARK}]},
    }
    assert carried(way, got) == expected[way]


async def test_what_was_noted_is_settled_before_a_request_leaves(
    server: Server, secret: Secret
) -> None:
    server.on("/x", document({}))
    seen: list[int] = []

    async def settle() -> None:
        seen.append(len(server.received))

    async with Http(settle=settle) as http:
        pinned = frozenset({origin(server.url)})
        await http.request("POST", f"{server.url}/x", pinned=pinned, bearer=secret)
    assert seen == [0]
    assert len(server.received) == 1


async def test_h_g3_what_cannot_be_settled_is_not_sent(server: Server, secret: Secret) -> None:
    """H-G3."""

    async def settle() -> None:
        raise AuditBroken(Path("audit.jsonl"), "the disk is full")

    async with Http(settle=settle) as http:
        with pytest.raises(AuditBroken):
            await http.request(
                "POST",
                f"{server.url}/x",
                pinned=frozenset({origin(server.url)}),
                bearer=secret,
            )
    assert server.received == []


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
async def test_a_redirect_is_an_answer_and_is_not_followed(
    server: Server, http: Http, secret: Secret, code: int
) -> None:
    """H-C2, H-F5: the token stays with the origin that it was sent to."""
    server.on("/x", status(code, Location=f"{server.url}/stolen"))
    answer = await http.request(
        "GET", f"{server.url}/x", bearer=secret, pinned=frozenset({origin(server.url)})
    )
    assert answer.status == code
    assert [each.path for each in server.received] == ["/x"]


async def test_a_cookie_does_not_come_back(server: Server, http: Http) -> None:
    server.on("/x", document({}, Set_Cookie="a=b"))
    await http.request("GET", f"{server.url}/x")
    await http.request("GET", f"{server.url}/x")
    assert [each.headers.get("cookie") for each in server.received] == [None, None]


async def test_a_header_is_sent_once_however_it_is_written() -> None:
    keeper = Keeper()
    async with listening(keeper.serve) as port, Http(user_agent="twg/9") as http:
        await http.request("GET", f"http://127.0.0.1:{port}/", headers={"ACCEPT": "text/plain"})
    sent = keeper.received[0].lower().split(b"\r\n")
    assert [line for line in sent if line.startswith(b"accept:")] == [b"accept: text/plain"]
    assert b"accept-encoding: identity" in sent
    assert b"user-agent: twg/9" in sent


async def test_a_query_is_added_to_the_one_that_is_there(server: Server, http: Http) -> None:
    await http.request("GET", f"{server.url}/x?a=1", query={"b": "2 3"})
    await http.request("GET", f"{server.url}/x", query={"b": "&"})
    assert [each.path for each in server.received] == ["/x?a=1&b=2+3", "/x?b=%26"]


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "ftp://127.0.0.1/",
        "//127.0.0.1/",
        "/x",
        "https://me@example.com/",
        "https://me:pass@example.com/",
        "https://exa mple.com/",
        "https://example.com\\@evil.example/",
        "https://example.com:99999/",
        "https://еxample.com/",  # noqa: RUF001 - a Cyrillic letter
        "https://example.com/\r\nX: y",
    ],
)
async def test_a_url_that_is_not_plain_is_not_used(http: Http, url: str) -> None:
    """H-F5: refused before a name is looked up."""
    with pytest.raises(ConfigError):
        await http.request("GET", url)
