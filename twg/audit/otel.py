"""Records as OpenTelemetry log records, in the JSON form of OTLP 1.x: one `LogsData` a line.

Attributes are those of the semantic conventions 1.3x where they have one; all others begin with
``twg.``. A trace of 64 bits, as older records have, is the second half of the 128 of OTLP.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from twg.audit.kinds import part, severity_of, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SCOPE: Final = "twg.audit"

_SEVERITIES: Final = {"info": (9, "INFO"), "warning": (13, "WARN"), "error": (17, "ERROR")}
_TRACE: Final = re.compile("[0-9a-f]{16}|[0-9a-f]{32}")
_NAMES: Final = {
    ("host",): "server.address",
    ("actor", "pid"): "process.pid",
    ("actor", "ppid"): "process.parent_pid",
    ("actor", "uid"): "user.id",
    ("actor", "command"): "process.title",
}
_IN_FIELDS: Final = frozenset({"ts", "event", "trace", "prev", "mac"})


def logs_of(record: Mapping[str, Any], version: str) -> dict[str, Any]:
    """Return a record as a `LogsData` with one log record.

    Args:
        record: The record.
        version: Which twg exports it.
    """
    resource = {"service.name": "twg", "service.version": version}
    return {
        "resourceLogs": [
            {
                "resource": {"attributes": _attributes(resource.items())},
                "scopeLogs": [{"scope": {"name": SCOPE}, "logRecords": [_log_record(record)]}],
            }
        ]
    }


def _log_record(record: Mapping[str, Any]) -> dict[str, Any]:
    number, words = _SEVERITIES[severity_of(record)]
    event = text(record.get("event")) or "unknown"
    when = _nanoseconds(record.get("ts"))
    found: dict[str, Any] = {
        "timeUnixNano": when,
        "observedTimeUnixNano": when,
        "severityNumber": number,
        "severityText": words,
        "eventName": f"twg.{event}",
        "body": {"stringValue": " ".join(filter(None, (event, text(record.get("reason")))))},
        "attributes": _attributes(_named(record)),
    }
    trace = text(record.get("trace"))
    if trace is not None and _TRACE.fullmatch(trace):
        found["traceId"] = trace.rjust(32, "0")
    return found


def _named(record: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, fact in record.items():
        if name in _IN_FIELDS:
            continue
        inner = part(record, name)
        if not inner:
            yield _NAMES.get((name,), f"twg.{name}"), fact
        for under, one in inner.items():
            own = _NAMES.get((name, under), f"twg.{name}.{under}")
            yield own, text(one) if own == "user.id" else one


def _attributes(facts: Any) -> list[dict[str, Any]]:
    return [{"key": name, "value": _value(fact)} for name, fact in facts if fact is not None]


def _value(fact: Any) -> dict[str, Any]:
    """Return a value as OTLP writes it; 64 bits are a text in JSON."""
    match fact:
        case bool():
            return {"boolValue": fact}
        case int():
            return {"intValue": str(fact)}
        case float():
            return {"doubleValue": fact}
        case list():
            return {"arrayValue": {"values": [_value(each) for each in fact]}}
        case dict():
            return {"kvlistValue": {"values": _attributes(fact.items())}}
        case _:
            return {"stringValue": str(fact)}


def _nanoseconds(ts: Any) -> str:
    try:
        when = datetime.fromisoformat(str(ts))
    except ValueError:
        return "0"  # what OTLP has for a time that is not known
    return str(int(when.timestamp()) * 1_000_000_000 + when.microsecond * 1000)
