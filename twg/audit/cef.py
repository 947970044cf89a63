"""Records as lines of the Common Event Format (ArcSight, CEF:0), for what collects by syslog."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from twg.audit.kinds import part, severity_of, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_SEVERITIES: Final = {"info": 3, "warning": 6, "error": 8}
_HEADER: Final = str.maketrans({"\\": r"\\", "|": r"\|", "\n": " ", "\r": " "})
_EXTENSION: Final = str.maketrans({"\\": r"\\", "=": r"\=", "\n": r"\n", "\r": r"\r"})


def line_of(record: Mapping[str, Any], version: str) -> str:
    """Return a record as a line.

    Args:
        record: The record.
        version: Which twg exports it.
    """
    event = text(record.get("event")) or "unknown"
    header = ("CEF:0", "twg", "twg", version, event, event.replace(".", " ").replace("_", " "))
    begin = "|".join(each.translate(_HEADER) for each in header)
    facts = " ".join(f"{name}={fact.translate(_EXTENSION)}" for name, fact in _facts(record))
    return f"{begin}|{_SEVERITIES[severity_of(record)]}|{facts}"


def _facts(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    actor, secret = part(record, "actor"), part(record, "secret")
    known = {
        "rt": _milliseconds(record.get("ts")),
        "externalId": text(record.get("seq")),
        "act": text(record.get("event")),
        "outcome": text(record.get("outcome")),
        "reason": text(record.get("reason")),
        "dhost": text(record.get("host")),
        "suid": text(actor.get("uid")),
        "suser": text(actor.get("agent")) or text(actor.get("kind")),
        "spid": text(actor.get("pid")),
        "sproc": text(actor.get("command")),
        **_labelled(1, "profile", record.get("profile")),
        **_labelled(2, "trace", record.get("trace")),
        **_labelled(3, "secretKind", secret.get("kind")),
        **_labelled(4, "secretFingerprint", secret.get("fingerprint")),
        **_labelled(5, "actorKind", actor.get("kind")),
    }
    yield from ((name, fact) for name, fact in known.items() if fact is not None)


def _labelled(number: int, label: str, fact: Any) -> dict[str, str | None]:
    if fact is None:
        return {}
    return {f"cs{number}Label": label, f"cs{number}": text(fact)}


def _milliseconds(ts: Any) -> str | None:
    try:
        return str(int(datetime.fromisoformat(str(ts)).timestamp() * 1000))
    except ValueError:
        return None
