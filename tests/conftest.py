"""Fixtures that every test shares."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.rigs.browser import chromium
from tests.rigs.oidc_rig import oidc_provider

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.rigs.browser import Browser
    from tests.rigs.oidc_rig import OidcRig


@pytest.fixture
def anyio_backend() -> str:
    """Run async tests on asyncio, the only loop the product uses."""
    return "asyncio"


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    """A real browser, started for this test."""
    async with chromium() as one:
        yield one


@pytest.fixture
async def rig() -> AsyncIterator[OidcRig]:
    """A server that is not ours, started for this test."""
    async with oidc_provider() as server:
        yield server
