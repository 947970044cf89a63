"""Which records are meant, and which moments."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from twg.audit.filters import Filter, record_in
from twg.audit.moments import moment_of, stamp_of
from twg.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW = datetime(2026, 12, 25, 9, 30, tzinfo=UTC)
AGENT: dict[str, Any] = {
    "seq": 1,
    "event": "secret.revealed",
    "actor": {"kind": "agent", "agent": "claude-code"},
    "secret": {"kind": "access-token", "fingerprint": "49dce19884c2501d"},
    "profile": "wörk",
    "trace": "abc",
}
PERSON: dict[str, Any] = {"seq": 2, "event": "token.issued", "actor": {"kind": "human"}}
BARE: dict[str, Any] = {"seq": 3}
ODD: dict[str, Any] = {"seq": 4, "event": ["token"], "actor": "agent", "secret": 7, "profile": []}
LINES = [json.dumps(each).encode() + b"\n" for each in (AGENT, PERSON, BARE, ODD)]


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("meant", "found"),
    [
        (Filter(), [1, 2, 3, 4]),
        (Filter(events=("token.issued",)), [2]),
        (Filter(events=("token.*", "secret.revealed")), [1, 2]),
        (Filter(events=("token",)), []),
        (Filter(actor="agent"), [1]),
        (Filter(actor="claude-code"), [1]),
        (Filter(actor="human"), [2]),
        (Filter(actor="claude"), []),
        (Filter(profile="wörk"), [1]),
        (Filter(profile="claude-code"), []),
        (Filter(trace="abc"), [1]),
        (Filter(fingerprint="49dce198"), [1]),
        (Filter(fingerprint="49dce19884c2501d"), [1]),
        (Filter(fingerprint="9884"), []),
        (Filter(actor="agent", events=("token.*",)), []),
    ],
)
def test_all_that_is_said_holds(meant: Filter, found: list[int]) -> None:
    assert [each["seq"] for each in meant.records(LINES)] == found


def test_what_is_no_record_is_passed_over() -> None:
    lines = [b"\n", b"[]\n", b"no\n", b"[" * 100_000 + b"\n", b"\xff\n", LINES[1]]
    assert [*Filter().records(lines)] == [PERSON]
    assert [record_in(each) for each in lines[:5]] == [None] * 5


@pytest.mark.usefixtures("berlin")
@pytest.mark.parametrize(
    ("text", "stamp"),
    [
        ("30m", "2026-12-25T09:00:00.000000Z"),
        ("1h", "2026-12-25T08:30:00.000000Z"),
        ("2D", "2026-12-23T09:30:00.000000Z"),
        ("1 w", "2026-12-18T09:30:00.000000Z"),
        ("90s", "2026-12-25T09:28:30.000000Z"),
        ("2026-12-24", "2026-12-23T23:00:00.000000Z"),
        ("2026-07-01", "2026-06-30T22:00:00.000000Z"),
        ("2026-12-24T10:00", "2026-12-24T09:00:00.000000Z"),
        ("2026-12-24T10:00:00Z", "2026-12-24T10:00:00.000000Z"),
        ("2026-12-24T10:00:00.5+05:30", "2026-12-24T04:30:00.500000Z"),
        ("999999w", "1970-01-01T00:00:00.000000Z"),
    ],
)
def test_a_moment_is_read_as_people_write_it(text: str, stamp: str) -> None:
    assert stamp_of(moment_of(text, NOW)) == stamp


@pytest.mark.parametrize("text", ["", "1", "h", "-1h", "1y", "soon", "2026-13-01", "2026-12-24T25"])
def test_what_is_no_moment_is_told_by_example(text: str) -> None:
    with pytest.raises(UsageError) as raised:
        moment_of(text, NOW)
    assert "2026-12-25" in raised.value.remediation
