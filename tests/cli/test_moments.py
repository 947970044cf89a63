"""Times and durations as people and programs read them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from twg.cli.moments import duration, moment, stamp

if TYPE_CHECKING:
    from collections.abc import Iterator

CHRISTMAS = 1_798_191_000.9
"""2026-12-25 09:30:00.9 UTC."""


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "0 seconds"),
        (0, "0 seconds"),
        (0.4, "0 seconds"),
        (0.5, "1 second"),
        (1, "1 second"),
        (59, "59 seconds"),
        (119, "119 seconds"),
        (120, "2 minutes"),
        (5400, "90 minutes"),
        (5429, "90 minutes"),
        (5430, "91 minutes"),
        (7199, "120 minutes"),
        (7200, "2 hours"),
        (172_799, "48 hours"),
        (172_800, "2 days"),
        (2_591_990, "30 days"),
        (2_592_000, "30 days"),
    ],
)
def test_a_duration_is_told_in_its_largest_fitting_unit_to_the_nearest(
    seconds: float, words: str
) -> None:
    assert duration(seconds) == words


@pytest.fixture
def in_paris(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("in_paris")
def test_a_moment_is_told_by_the_persons_clock() -> None:
    assert moment(CHRISTMAS) == "2026-12-25 10:30"


@pytest.mark.usefixtures("in_paris")
def test_a_stamp_is_told_in_universal_time() -> None:
    assert stamp(CHRISTMAS) == "2026-12-25T09:30:00Z"
    assert stamp(None) is None
