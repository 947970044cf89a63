"""A server to script, an HTTP client, and a custody whose scrubber can be asked what it learned."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from guard.custody import Custody
from tests.oauth.servers import serving
from twg.http import Http, origin
from twg.oauth.token import Client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from guard.scrub import Scrubber
    from tests.oauth.servers import Server


class Learned:
    """Stands in for the scrubber: remembers each value it was taught, by its kind."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    def learn(self, value: str, kind: str) -> None:
        self.values[value] = kind


@pytest.fixture
def learned() -> Learned:
    return Learned()


@pytest.fixture
def custody(learned: Learned) -> Custody:
    return Custody(cast("Scrubber", learned))


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    async with Http(read_seconds=0.5) as client:
        yield client


@pytest.fixture
def client(server: Server, custody: Custody) -> Client:
    return Client(
        client_id="the-client",
        token_endpoint=f"{server.url}/token",
        pinned=frozenset({origin(server.url)}),
        custody=custody,
    )
