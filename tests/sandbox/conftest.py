"""Fixtures: a plain sandbox, one that plays the person, and a visitor of each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.sandbox.running import threaded_sandbox
from tests.sandbox.visiting import Visitor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.sandbox.running import SandboxHandle


@pytest.fixture
async def plain(tmp_path: Path) -> AsyncIterator[SandboxHandle]:
    async with threaded_sandbox(tmp_path) as running:
        yield running


@pytest.fixture
async def quick(tmp_path: Path) -> AsyncIterator[SandboxHandle]:
    async with threaded_sandbox(tmp_path, auto_approve=True) as running:
        yield running


@pytest.fixture
async def visitor(plain: SandboxHandle) -> AsyncIterator[Visitor]:
    async with Visitor(plain.url) as one:
        yield one


@pytest.fixture
async def quick_visitor(quick: SandboxHandle) -> AsyncIterator[Visitor]:
    async with Visitor(quick.url) as one:
        yield one
