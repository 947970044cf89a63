"""The sealed file does what every credential store does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.vault.behaviour import StoreBehaviour
from tests.vault.samples import store_at

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from twg.vault import CredentialStore


class TestSealedStore(StoreBehaviour):
    @pytest.fixture
    def stores(self, tmp_path: Path) -> Callable[[float], CredentialStore]:
        return lambda seconds: store_at(tmp_path, lock_seconds=seconds)
