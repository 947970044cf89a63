"""Answers of every length and speed, and JSON taken strictly."""

from __future__ import annotations

import gzip
import traceback
from typing import TYPE_CHECKING

import anyio
import pytest

from tests.oauth.servers import body, document, endless, raw, reset, stall
from twg.errors import NetworkError
from twg.http import MAX_BODY, BadBody, BodyTooLarge, Http, strict_json

if TYPE_CHECKING:
    from anyio.abc import SocketStream

    from tests.oauth.servers import Reply, Server


async def test_a_body_of_just_the_limit_is_read_and_one_byte_more_is_not(
    server: Server, http: Http
) -> None:
    server.on("/x", body(b"a" * 1000))
    assert len((await http.request("GET", f"{server.url}/x", limit=1000)).body) == 1000
    with pytest.raises(BodyTooLarge, match="more than 999 bytes"):
        await http.request("GET", f"{server.url}/x", limit=999)


@pytest.mark.parametrize("reply", [body(b"a" * (MAX_BODY + 1)), endless()])
async def test_no_body_is_read_without_end(server: Server, http: Http, reply: Reply) -> None:
    """H-C2: 10 MB documents, and those that never end."""
    server.on("/x", reply)
    with pytest.raises(BodyTooLarge):
        await http.request("GET", f"{server.url}/x")


@pytest.mark.parametrize("encoding", ["gzip", "br", "identity, gzip"])
async def test_a_compressed_answer_is_refused(server: Server, http: Http, encoding: str) -> None:
    """H-C2: it was not asked for, so it is a bomb or a fault."""
    server.on("/x", body(gzip.compress(b"{}"), Content_Encoding=encoding))
    with pytest.raises(BodyTooLarge, match="compressed"):
        await http.request("GET", f"{server.url}/x")
    assert server.received[0].headers["accept-encoding"] == "identity"


async def test_a_server_that_stops_in_the_middle_is_waited_for_so_long(server: Server) -> None:
    """H-C4: a time-out."""
    server.on("/x", stall())
    async with Http(read_seconds=0.1) as http:
        with pytest.raises(NetworkError, match="did not answer in time") as caught:
            await http.request("POST", f"{server.url}/x", form={})
        assert caught.value.sent
    assert len(server.received) == 1


async def test_a_server_that_drips_is_cut_off_as_a_whole(server: Server, http: Http) -> None:
    """H-C2: each wait is short, so only the limit for the whole ends it."""

    async def drip(stream: SocketStream) -> None:
        await stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            await stream.send(b"a")
            await anyio.sleep(0.01)

    server.on("/x", drip)
    with pytest.raises(NetworkError, match="no whole answer within") as caught:
        await http.request("GET", f"{server.url}/x", deadline=0.3)
    assert caught.value.sent


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-server\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: " + b"a" * 1_000_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nBad Name: 1\r\n\r\n",
    ],
)
async def test_what_is_not_http_is_told_as_a_fault_of_the_network(
    server: Server, http: Http, answer: bytes
) -> None:
    """H-C1, H-C4: broken off, or 1 MB of headers."""
    server.on("/x", raw(answer))
    with pytest.raises(NetworkError, match=r"broke off|was lost") as caught:
        await http.request("POST", f"{server.url}/x", form={})
    assert caught.value.sent
    assert len(server.received) == 1, "it may have been carried out, so it is not sent again"


async def test_a_reset_is_told_as_a_lost_connection(server: Server, http: Http) -> None:
    """H-C4: a reset."""
    server.on("/x", reset())
    with pytest.raises(NetworkError, match=r"lost|broke off") as caught:
        await http.request("GET", f"{server.url}/x")
    assert caught.value.sent


async def test_headers_come_in_lower_case_and_repeated_ones_joined(
    server: Server, http: Http
) -> None:
    server.on("/x", raw(b"HTTP/1.1 200 OK\r\nX-A: 1\r\nx-a: 2\r\nConnection: close\r\n\r\n{}"))
    answer = await http.request("GET", f"{server.url}/x")
    assert answer.headers["x-a"] == "1, 2"
    assert answer.json() == {}


@pytest.mark.parametrize(
    ("date", "seconds"),
    [
        ("Wed, 21 Oct 2015 07:28:00 GMT", 1445412480.0),
        ("yesterday", None),
        ("", None),
    ],
)
async def test_the_servers_clock_is_read_where_it_tells(
    server: Server, http: Http, date: str, seconds: float | None
) -> None:
    server.on("/x", document({}, Date=date))
    assert (await http.request("GET", f"{server.url}/x")).server_time() == seconds


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"[" * 10_000 + b"]" * 10_000, "too deep"),
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "too deep"),
        (b"[" * 65 + b"]" * 65, "too deep"),
        (b'{"a": 1, "a": 2}', "a key twice"),
        (b'[{"b": {"a": 1, "a": 1}}]', "a key twice"),
        (b"NaN", "NaN"),
        (b'{"expires_in": Infinity}', "Infinity"),
        (b"[-Infinity]", "-Infinity"),
        (b'{"expires_in": 1e400}', "beyond all bounds"),
        (b"[-1e400]", "beyond all bounds"),
        (b"\xff\xfe{}", "not UTF-8"),
        (b"", "not JSON"),
        (b"<html>", "not JSON"),
        (b"{} {}", "not JSON"),
        (b"{'a': 1}", "not JSON"),
        (b'{"a": made-up-secret}', "not JSON"),
    ],
)
def test_json_is_taken_strictly(text: bytes, words: str) -> None:
    """H-C2: and no message repeats what stood there."""
    with pytest.raises(BadBody, match=words) as caught:
        strict_json(text)
    assert "made-up" not in "".join(traceback.format_exception(caught.value))


def test_json_within_all_bounds_is_taken() -> None:
    assert strict_json(b"[" * 63 + b"1.5e3" + b"]" * 63)
    assert strict_json('{"a": [1, null, "ö"]}'.encode()) == {"a": [1, None, "ö"]}
