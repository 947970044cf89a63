"""Fixtures that every test shares."""

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """Run async tests on asyncio, the only loop the product uses."""
    return "asyncio"
