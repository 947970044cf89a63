"""Fixtures: a client, servers of both habits, a throwaway CA, and a secret to guard."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.http.authority import Authority
from tests.oauth.servers import serving
from tests.vault.samples import Ear, custody_of
from twg.http import Http

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from guard.secret import Secret
    from tests.oauth.servers import Server

MARK = "made-up-secret-0123456789"


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    async with Http(read_seconds=20) as client:
        yield client


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as running:
        yield running


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.made_in(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def secret() -> Secret:
    return custody_of(Ear()).take(MARK, "refresh-token")
