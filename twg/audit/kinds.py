"""What kinds of things the events of the audit record are, for whoever tells them to others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

REFUSALS: Final = frozenset({"secret.refused", "policy.denied"})
FAILURES: Final = frozenset({"token.refresh_failed", "session.expired"})
ALARMS: Final = frozenset({"audit.mended", "audit.delayed", "audit.removed"})
"""What should not have been, though nobody did wrong."""

CALL: Final = ("access", "service", "method", "path")
"""What details tell of a call, in the order in which it is said."""

_GOOD: Final = frozenset({"ok"})
_OPEN: Final = frozenset({"partial", "interrupted"})


def part(record: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return a part of a record that is a mapping; an empty one where there is none."""
    found = record.get(name)
    return found if isinstance(found, dict) else {}


def text(value: Any) -> str | None:
    """Return a value as a text; None for nothing."""
    return None if value is None else str(value)


def outcome_of(record: Mapping[str, Any]) -> Literal["success", "failure", "unknown"]:
    """Return how it ended, in the words of others."""
    outcome = record.get("outcome")
    if outcome in _GOOD:
        return "success"
    return "unknown" if outcome is None or outcome in _OPEN else "failure"


def call_in_words(details: Mapping[str, Any]) -> str | None:
    """Return what was called, such as ``read jira GET /rest/api/3/myself``; None for no call."""
    words = [text(details.get(name)) for name in CALL]
    return " ".join(filter(None, words)) or None


Severity = Literal["info", "warning", "error"]


def severity_of(record: Mapping[str, Any]) -> Severity:
    """Return how much it matters: a refusal is a warning, what failed an error."""
    event = record.get("event")
    if event in REFUSALS or event in ALARMS:
        return "warning"
    if event in FAILURES or record.get("outcome") == "failed":
        return "error"
    return "info" if outcome_of(record) == "success" else "warning"
