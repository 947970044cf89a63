"""Moments as people write them, and as the audit record does."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from twg.errors import UsageError

_AGO: Final = re.compile(r"(\d{1,6})\s*([smhdw])", re.IGNORECASE)
_OLDEST: Final = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def moment_of(text: str, now: datetime) -> datetime:
    """Return the moment that a person means.

    Args:
        text: How long ago (``30m``, ``1h``, ``2d``, ``1w``), a day on the person's calendar
            (``2026-12-25``), or a time (RFC 3339; without an offset, on the person's clock).
        now: What is now, with a time zone.

    Raises:
        UsageError: It is none of these.
    """
    if found := _AGO.fullmatch(text.strip()):
        ago = timedelta(**{_UNITS[found[2].lower()]: int(found[1])})
        # Longer ago than any date is the beginning.
        return max(now - min(ago, now - _OLDEST), _OLDEST)
    try:
        # Without an offset it is taken as a time on the person's clock.
        return datetime.fromisoformat(text.strip()).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        raise UsageError(
            "this is no moment",
            "Say how long ago (30m, 1h, 2d, 1w), a day (2026-12-25) or a time "
            "(2026-12-25T09:30:00Z).",
        ) from None


def stamp_of(moment: datetime) -> str:
    """Return a moment as the record writes it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
