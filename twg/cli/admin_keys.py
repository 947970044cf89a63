"""What is told of Admin API keys, from their clear header alone, and which one a call takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from twg.cli.moments import duration, moment, stamp
from twg.errors import AdminKeyRequired, ConfigError

if TYPE_CHECKING:
    from twg.cli.wiring import Wiring
    from twg.vault import AdminHeader, AdminKey, AdminKeySummary

_SECONDS_A_DAY: Final = 86_400
_WARN_DAYS: Final = 7
_LONGEST_DAYS: Final = 365
"""An API key lasts no longer than a year; unless its maker says otherwise, a week."""


def label(summary: AdminKeySummary | AdminKey) -> str:
    """Return how people call the organization, with its ID."""
    return f"{summary.name} ({summary.org})" if summary.name else summary.org


def state_of(summary: AdminKeySummary, now: float) -> str:
    """Return ``usable``, ``expiring`` within a week, or ``expired``."""
    left = _latest_end(summary) - now
    if left <= 0:
        return "expired"
    return "expiring" if left <= _WARN_DAYS * _SECONDS_A_DAY else "usable"


def expiry_in_words(summary: AdminKeySummary | AdminKey, now: float) -> str:
    """Return when the key ends, as far as that is known: a verb and what belongs to it."""
    end = moment(_latest_end(summary))
    if summary.expires_at is None:
        return f"expires a week after it was made, unless another day was chosen; at last on {end}"
    if summary.expires_at <= now:
        return f"expired on {end}"
    return f"expires in {duration(summary.expires_at - now)} ({end})"


def warning(summary: AdminKeySummary, now: float) -> str | None:
    """Return a warning in the last week of a key, and after its end; None before."""
    state = state_of(summary, now)
    if state == "usable":
        return None
    end = _latest_end(summary)
    when = f"expires in {duration(end - now)}" if state == "expiring" else "has expired"
    return f"the Admin API key for {label(summary)} {when}. {renewal(summary)}"


def renewal(summary: AdminKeySummary) -> str:
    """Return what to do about a key whose end is near."""
    return f"Make another, then run `twg admin auth login --org {summary.org}`."


def as_data(header: AdminHeader, summary: AdminKeySummary, now: float) -> dict[str, Any]:
    """Return a key as JSON values; the key itself is no part of it."""
    return {
        "org": summary.org,
        "active": header.active == summary.org,
        "name": summary.name,
        "email": summary.email,
        "api": f"{summary.api_base}/admin",
        "state": state_of(summary, now),
        "saved_at": stamp(summary.saved_at),
        "expires_at": stamp(summary.expires_at),
        "expires_by": stamp(_latest_end(summary)),
        "warning": warning(summary, now),
    }


def store_as_data(header: AdminHeader, wiring: Wiring) -> dict[str, Any]:
    """Return how the keys are kept, as JSON values."""
    return {
        "path": str(wiring.settings.admin_conf),
        "key": header.key.location if header.key else None,
        "why_not_keyring": header.key.reason if header.key else None,
    }


async def to_call_with(wiring: Wiring) -> AdminKey:
    """Return the key of the active organization, for a call; an agent only if settings allow it.

    Raises:
        PolicyDenied: An agent asked for it.
        AdminKeyRequired: No key is kept.
        ConfigError: Several are, and none is the active one.
    """
    if wiring.agent is not None:
        await wiring.policy.permit_service("admin", await wiring.profile())
    header = await wiring.admin_store.summaries()
    if header.active is None and header.profiles:
        raise ConfigError(
            "keys of several organizations are kept, and none of them is the active one",
            "Choose it: `twg admin auth switch ID`. `twg admin auth status` lists them.",
        )
    key = await wiring.admin_store.read(header.active) if header.active else None
    if key is None:
        raise AdminKeyRequired(header.active)
    return key


def _latest_end(summary: AdminKeySummary | AdminKey) -> float:
    if summary.expires_at is not None:
        return summary.expires_at
    return summary.saved_at + _LONGEST_DAYS * _SECONDS_A_DAY
