"""Connections: kept, shared, bounded, given up in time; no request that counts is sent twice."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import pytest

from tests.http.peers import OK, Keeper, listening
from twg import transport
from twg.errors import NetworkError
from twg.http import Http
from twg.transport import IDLE_MOST, Connections

if TYPE_CHECKING:
    from anyio.abc import ByteStream

BROKEN_OFF = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort"


async def post(http: Http, port: int) -> None:
    answer = await http.request("POST", f"http://127.0.0.1:{port}/token", form={"a": "b"})
    assert answer.json() == {"ok": True}


async def happens(event: anyio.Event) -> None:
    with anyio.fail_after(30):
        await event.wait()


async def test_requests_in_turn_use_one_connection(http: Http) -> None:
    keeper = Keeper()
    async with listening(keeper.serve) as port:
        for _ in range(5):
            await post(http, port)
    assert (len(keeper.received), keeper.connections) == (5, 1)


async def test_each_origin_has_connections_of_its_own(http: Http) -> None:
    keeper = Keeper()
    async with listening(keeper.serve) as port:
        await http.request("GET", f"http://127.0.0.1:{port}/")
        await http.request("GET", f"http://localhost:{port}/")
        await http.request("GET", f"http://127.0.0.1:{port}/")
    assert keeper.connections == 2


async def test_a_connection_the_server_closed_meanwhile_is_not_used_again(http: Http) -> None:
    """Noticed before anything is sent, so that a token's POST may take another one."""
    keeper = Keeper(hang_up_after=1)
    async with listening(keeper.serve) as port:
        for _ in range(3):
            await post(http, port)
            await happens(keeper.closed)
            keeper.closed = anyio.Event()
    assert (len(keeper.received), keeper.connections) == (3, 3)


class Quitter:
    """Answers the first request of a connection, and closes at the second, unanswered."""

    def __init__(self) -> None:
        self.keeper = Keeper(answers=[OK, b""], hang_up_after=2)
        self.serve = self.keeper.serve

    @property
    def methods(self) -> list[bytes]:
        return [each.partition(b" ")[0] for each in self.keeper.received]


async def test_a_post_that_may_have_been_carried_out_is_not_sent_again(http: Http) -> None:
    """A refresh token that works once must not be sent twice by the transport's own decision."""
    quitter = Quitter()
    async with listening(quitter.serve) as port:
        await post(http, port)
        with pytest.raises(NetworkError, match="broke off") as caught:
            await post(http, port)
        assert caught.value.sent
    assert quitter.methods == [b"POST", b"POST"]


async def test_a_get_is_sent_once_more_on_a_new_connection(http: Http) -> None:
    quitter = Quitter()
    async with listening(quitter.serve) as port:
        for _ in range(2):
            assert (await http.request("GET", f"http://127.0.0.1:{port}/")).status == 200
    assert quitter.methods == [b"GET"] * 3
    assert quitter.keeper.connections == 2


async def test_a_get_on_a_new_connection_is_not_tried_again(http: Http) -> None:
    keeper = Keeper(answers=[b""], hang_up_after=1)
    async with listening(keeper.serve) as port:
        with pytest.raises(NetworkError, match="broke off"):
            await http.request("GET", f"http://127.0.0.1:{port}/")
    assert keeper.connections == 1


async def test_an_answer_not_read_to_its_end_costs_its_connection(http: Http) -> None:
    keeper = Keeper(answers=[BROKEN_OFF, OK])
    async with listening(keeper.serve) as port:
        with pytest.raises(NetworkError):
            await http.request("GET", f"http://127.0.0.1:{port}/", deadline=0.2)
        await happens(keeper.closed)
        keeper.answers = [OK]
        await post(http, port)
    assert keeper.connections == 2


async def test_an_idle_connection_is_closed_after_a_while() -> None:
    keeper = Keeper()
    async with listening(keeper.serve) as port, Http(idle_seconds=0.1) as http:
        await post(http, port)
        await happens(keeper.closed)
        await post(http, port)
    assert keeper.connections == 2


async def test_leaving_closes_what_is_idle() -> None:
    keeper = Keeper()
    async with listening(keeper.serve) as port:
        async with Http() as http:
            await post(http, port)
            await anyio.lowlevel.checkpoint()  # what looks after idle ones has begun
            assert keeper.open == 1
        await happens(keeper.closed)
        assert keeper.open == 0
        assert not [task for task in asyncio.all_tasks() if "_sweep" in repr(task)]


async def test_leaving_while_an_answer_is_awaited_keeps_nothing_of_it() -> None:
    keeper = Keeper(gate=anyio.Event())
    http = Http(idle_seconds=1000)
    async with listening(keeper.serve) as port, anyio.create_task_group() as tasks:
        tasks.start_soon(post, http, port)
        await happens(keeper.arrived)
        await http.aclose()
        keeper.gate.set()
        await happens(keeper.closed)


async def come(crowd: int, http: Http, port: int, keeper: Keeper) -> None:
    """Send so many requests, answered once all of them are there."""
    async with anyio.create_task_group() as tasks:
        for _ in range(crowd):
            tasks.start_soon(post, http, port)
        await happens(keeper.arrived)
        keeper.gate.set()


async def test_after_a_crowd_a_few_connections_are_kept() -> None:
    crowd = IDLE_MOST + 5
    keeper = Keeper(gate=anyio.Event(), expected=crowd, left_open=IDLE_MOST)
    async with listening(keeper.serve) as port, Http(idle_seconds=1000) as http:
        await come(crowd, http, port, keeper)
        await happens(keeper.closed)
        assert keeper.connections == crowd
        assert keeper.open == IDLE_MOST


async def test_a_crowd_that_comes_again_finds_its_connections(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who renews many saves between requests, and nobody waits for a connection meanwhile."""
    monkeypatch.setattr(transport, "_LULL", 1000.0)
    crowd = IDLE_MOST + 5
    keeper = Keeper()
    async with listening(keeper.serve) as port, Http(idle_seconds=1000) as http:
        for _ in range(2):
            keeper.gate, keeper.arrived = anyio.Event(), anyio.Event()
            keeper.expected = len(keeper.received) + crowd
            await come(crowd, http, port, keeper)
        assert keeper.connections == crowd


async def test_what_a_crowd_used_a_moment_ago_is_kept_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However often is looked meanwhile; a crowd comes in waves."""
    monkeypatch.setattr(transport, "_LULL", 500.0)
    crowd = IDLE_MOST + 5
    keeper = Keeper(gate=anyio.Event(), expected=crowd, left_open=IDLE_MOST)
    async with listening(keeper.serve) as port, Http(idle_seconds=1000) as http:
        await come(crowd, http, port, keeper)
        kept = http._transport(f"http://127.0.0.1:{port}")
        assert isinstance(kept, Connections)
        (origin,) = kept._origins.values()

        await kept._close_idle(time.monotonic())
        assert len(origin.idle) == crowd
        await kept._close_idle(time.monotonic() + 500)
        assert len(origin.idle) == IDLE_MOST


async def test_a_thousand_at_once_are_answered_on_a_bounded_number_of_connections() -> None:
    """Below the number of files that a process may open on macOS."""
    keeper = Keeper()
    async with (
        listening(keeper.serve) as port,
        Http() as http,
        anyio.create_task_group() as tasks,
    ):
        for _ in range(1000):
            tasks.start_soon(post, http, port)
    assert len(keeper.received) == 1000
    assert 1 < keeper.most_open <= 200


async def test_whoever_waits_for_a_place_gets_it_when_another_fails() -> None:
    """A place that a failed or cancelled request took is free again."""
    keeper = Keeper(gate=anyio.Event())
    http = Http()
    http._transports["http direct"] = Connections(at_once=1)
    async with listening(keeper.serve) as port, http:
        with pytest.raises(NetworkError, match="no whole answer"):
            await http.request("GET", f"http://127.0.0.1:{port}/", deadline=0.1)
        with pytest.raises(NetworkError, match="refused"):
            await http.request("GET", f"http://127.0.0.1:{await unused_port()}/")
        keeper.gate.set()
        with anyio.fail_after(30):
            await post(http, port)


async def unused_port() -> int:
    async def nothing(stream: ByteStream) -> None:
        await stream.aclose()

    async with listening(nothing) as port:
        return port


async def test_a_cancelled_request_leaves_neither_connection_nor_place_behind(http: Http) -> None:
    keeper = Keeper(gate=anyio.Event())
    async with listening(keeper.serve) as port:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(post, http, port)
            await happens(keeper.arrived)
            tasks.cancel_scope.cancel()
        keeper.gate.set()
        await happens(keeper.closed)
        await post(http, port)
    assert keeper.connections == 2
