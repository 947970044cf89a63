"""A short soak; `make soak` takes an hour."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.refresh.soak import soak

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.slow

SECONDS = 20.0


async def test_among_faults_and_kills_no_sign_in_is_lost_that_the_server_has_not_ended(
    tmp_path: Path, print_table: Callable[[str, list[str]], None]
) -> None:
    """H-D1, H-D2, H-D4, H-D6: fifty profiles whose tokens live for two seconds."""
    one = await soak(tmp_path, SECONDS)
    print_table(f"soaked for {SECONDS:.0f} seconds", one.table())
    assert one.wrong == []
    assert one.seen["answered"] > 0
    assert one.seen["killed"] > 0
    assert one.seen["works in the end"] > 0
