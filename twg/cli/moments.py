"""Times and durations in words."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

_UNITS: Final = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))
_KEEP_SMALL_UNIT_BELOW: Final = 2


def duration(seconds: float) -> str:
    """Return a duration in its largest fitting unit, to the nearest one, such as ``42 minutes``.

    A unit is used from two of it on, so that 90 minutes are not called an hour.
    """
    for size, name in _UNITS:
        if size == 1 or seconds >= _KEEP_SMALL_UNIT_BELOW * size:
            count = max(0, int(seconds / size + 0.5))
            return f"{count} {name}{'' if count == 1 else 's'}"
    raise AssertionError  # pragma: no cover - seconds fit all


def moment(when: float) -> str:
    """Return a Unix time as the person's clock shows it, such as ``2026-12-25 09:30``."""
    return datetime.fromtimestamp(when, tz=UTC).astimezone().strftime("%Y-%m-%d %H:%M")


def day(when: float) -> str:
    """Return the day of a Unix time on the person's calendar, such as ``2026-12-25``."""
    return moment(when).partition(" ")[0]


def stamp(when: float | None) -> str | None:
    """Return a Unix time for programs: RFC 3339 in UTC, such as ``2026-12-25T08:30:00Z``."""
    if when is None:
        return None
    return datetime.fromtimestamp(when, tz=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
