"""Fixtures every test shares: one asyncio backend, and an environment with no agent and no secret in it."""

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """Run async tests on asyncio, the only loop the product uses."""
    return "asyncio"
