"""Fixtures: a server to script."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.oauth.servers import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.oauth.servers import Server


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as running:
        yield running
