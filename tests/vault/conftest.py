"""Fixtures of the vault's tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.vault.samples import Ear, store_at

if TYPE_CHECKING:
    from pathlib import Path

    from twg.vault import SealedStore


@pytest.fixture
def ear() -> Ear:
    """Hear what the store's custody is told."""
    return Ear()


@pytest.fixture
def store(tmp_path: Path, ear: Ear) -> SealedStore:
    """Return a store of this test's own, its key in a file."""
    return store_at(tmp_path, ear=ear)
