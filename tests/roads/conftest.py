"""A person and a sandbox of their own, for journeys that need nothing special."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.roads.traveller import traveller
from tests.sandbox.running import running_sandbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.roads.traveller import Traveller
    from tests.sandbox.running import SandboxHandle


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[SandboxHandle]:
    async with running_sandbox(tmp_path) as running:
        yield running


@pytest.fixture
def person(tmp_path: Path) -> Traveller:
    return traveller(tmp_path)
