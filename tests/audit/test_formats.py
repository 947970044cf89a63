"""The formats of others, held to what those others publish of them."""

from __future__ import annotations

import base64
import csv
import json
import re
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf import json_format
from opentelemetry.proto.logs.v1.logs_pb2 import LogsData

from tests.docs.audit_catalogue import entries
from twg.audit import cef, ecs, otel

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ACTOR = {
    "kind": "agent",
    "agent": "claude-code",
    "uid": 1000,
    "pid": 52,
    "ppid": 51,
    "tty": None,
    "command": "twg api",
}
WHOLE: dict[str, Any] = {
    "ts": "2026-12-25T09:30:00.123456Z",
    "seq": 7,
    "event": "secret.revealed",
    "actor": ACTOR,
    "secret": {"kind": "access-token", "fingerprint": "49dce19884c2501d"},
    "outcome": "ok",
    "reason": "send",
    "host": "api.example.com:8443",
    "trace": "5d3ebf9d896509fd",
    "profile": "work",
    "details": {
        "access": "read",
        "n": 3,
        "share": 0.5,
        "whole": True,
        "list": ["a", 1],
        "no": None,
    },
    "prev": "0" * 64,
    "mac": "1" * 64,
}
HOSTILE = 'a|b=c\\d\n"<script>\r\x1b[31m \u202e cs1=x |0|é'
EVENTS = sorted({*ecs._CATEGORIES, *(each.name for each in entries()), "of.another.version"})
RECORDS: dict[str, dict[str, Any]] = {
    **{event: {**WHOLE, "event": event} for event in EVENTS},
    "failed": {**WHOLE, "event": "token.refresh_failed", "outcome": "failed"},
    "refused": {**WHOLE, "event": "policy.denied", "outcome": "refused"},
    "to an address": {**WHOLE, "host": "127.0.0.1:8080"},
    "bare": {"ts": WHOLE["ts"], "seq": 1, "event": "store.opened", "actor": ACTOR, "outcome": "ok"},
    "hostile": {
        **WHOLE,
        **dict.fromkeys(("event", "outcome", "reason", "host", "trace", "profile"), HOSTILE),
        "secret": {"kind": HOSTILE, "fingerprint": HOSTILE},
        "actor": {**ACTOR, "kind": HOSTILE, "agent": HOSTILE, "command": HOSTILE},
    },
    "no record of ours": {"ts": 5, "event": None, "actor": "x", "secret": [], "details": 1},
    "empty": {},
}
EXPECTED_TYPES = {
    "api": {"access", "admin", "allowed", "change", "creation", "deletion", "denied", "end"},
    "authentication": {"start", "end", "info"},
    "configuration": {"access", "change", "creation", "deletion", "info"},
    "file": {"access", "change", "creation", "deletion", "info"},
    "iam": {"admin", "change", "creation", "deletion", "group", "info", "user"},
    "intrusion_detection": {"allowed", "denied", "info"},
    "process": {"access", "change", "end", "info", "start"},
}
"""The types that ECS 9.4 expects of each category that is used here."""


def published() -> dict[str, tuple[str, bool]]:
    """Return type, and whether it is an array, of the fields of ECS that are used here."""
    with Path(__file__).with_name("ecs-9.4.csv").open() as file:
        rows = csv.DictReader(file)
        return {row["field"]: (row["type"], row["array"] == "yes") for row in rows}


def flat(event: Mapping[str, Any], under: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in event.items():
        if isinstance(value, dict):
            yield from flat(value, f"{under}{name}.")
        else:
            yield f"{under}{name}", value


def is_of(kind: str, value: Any) -> bool:
    match kind:
        case "date":
            return isinstance(value, str) and datetime.fromisoformat(value).tzinfo is not None
        case "long":
            return isinstance(value, int) and not isinstance(value, bool)
        case _:
            return isinstance(value, str)


@pytest.mark.parametrize(
    "name", [each for each in RECORDS if each not in {"empty", "no record of ours"}]
)
def test_ecs_has_each_field_and_it_is_of_its_type(name: str) -> None:
    event = json.loads(json.dumps(ecs.event_of(RECORDS[name], "1.2.3")))
    own = event.pop("twg", {})
    fields = published()
    for field, value in flat(event):
        kind, is_array = fields[field]
        values = value if is_array else [value]
        assert isinstance(values, list)
        assert all(is_of(kind, each) for each in values), field
    assert "prev" not in own
    assert event["ecs"]["version"] == "9.4.0"
    assert event["event"]["kind"] == "event"
    assert event["event"]["outcome"] in {"success", "failure", "unknown"}
    (category,) = event["event"]["category"]
    assert set(event["event"]["type"]) <= EXPECTED_TYPES[category]


def test_ecs_says_what_the_record_says() -> None:
    event = ecs.event_of(WHOLE, "1.2.3")
    assert event["@timestamp"] == WHOLE["ts"]
    assert event["event"]["action"] == "secret.revealed"
    assert event["event"]["sequence"] == 7
    assert event["destination"] == {"address": "api.example.com:8443", "domain": "api.example.com"}
    assert event["process"] == {"pid": 52, "parent": {"pid": 51}, "title": "twg api"}
    assert event["user"] == {"id": "1000"}
    assert event["twg"]["secret"] == WHOLE["secret"]
    assert event["twg"]["actor"] == {"kind": "agent", "agent": "claude-code"}
    assert event["twg"]["details"]["list"] == ["a", 1]
    assert "domain" not in ecs.event_of(RECORDS["to an address"], "1")["destination"]


def parsed(record: dict[str, Any]) -> Any:
    """Return a record's one log record, as the messages of OpenTelemetry take it."""
    document = json.loads(json.dumps(otel.logs_of(record, "1.2.3")))
    for each in document["resourceLogs"][0]["scopeLogs"][0]["logRecords"]:
        if "traceId" in each:
            # OTLP has it in hexadecimal, where protobuf's JSON has base64.
            each["traceId"] = base64.b64encode(bytes.fromhex(each["traceId"])).decode()
    message = json_format.ParseDict(document, LogsData())
    (resource,) = message.resource_logs
    told = {each.key: each.value.string_value for each in resource.resource.attributes}
    assert told == {"service.name": "twg", "service.version": "1.2.3"}
    (found,) = resource.scope_logs[0].log_records
    return found


@pytest.mark.parametrize("name", RECORDS)
def test_otel_is_what_its_messages_take(name: str) -> None:
    found = parsed(RECORDS[name])
    assert found.severity_number in {9, 13, 17}
    assert found.body.string_value
    assert len(found.trace_id) in {0, 16}
    keys = [each.key for each in found.attributes]
    assert len(keys) == len(set(keys))


def test_otel_says_what_the_record_says() -> None:
    found = parsed(WHOLE)
    assert found.time_unix_nano == 1_798_191_000_123_456_000
    assert found.event_name == "twg.secret.revealed"
    assert found.trace_id.hex() == "0" * 16 + "5d3ebf9d896509fd"
    told = {each.key: each.value for each in found.attributes}
    assert told["server.address"].string_value == "api.example.com:8443"
    assert told["process.pid"].int_value == 52
    assert told["user.id"].string_value == "1000"
    assert told["twg.secret.fingerprint"].string_value == "49dce19884c2501d"
    assert told["twg.details.whole"].bool_value is True
    assert told["twg.details.share"].double_value == 0.5
    assert [each.int_value for each in told["twg.details.list"].array_value.values] == [0, 1]
    assert "twg.details.no" not in told
    assert parsed(RECORDS["failed"]).severity_text == "ERROR"
    assert parsed(RECORDS["refused"]).severity_text == "WARN"


@pytest.mark.parametrize("name", RECORDS)
def test_cef_is_one_line_with_a_header_of_seven_fields(name: str) -> None:
    line = cef.line_of(RECORDS[name], "1.2.3")
    assert len(line.splitlines()) == 1
    header = re.match(r"((?:\\.|[^|\\])*\|){7}", line)
    assert header is not None
    fields = re.findall(r"((?:\\.|[^|\\])*)\|", header[0])
    assert fields[:4] == ["CEF:0", "twg", "twg", "1.2.3"]
    assert 0 <= int(fields[6]) <= 10
    # Each value goes as far as the next name with an equals sign that is not escaped.
    assert re.fullmatch(r"(?:[A-Za-z0-9]+=(?:\\.|[^=\\])*)*", line[header.end() :])


def test_cef_says_what_the_record_says() -> None:
    line = cef.line_of(WHOLE, "1.2.3")
    assert line.startswith("CEF:0|twg|twg|1.2.3|secret.revealed|secret revealed|3|")
    assert " dhost=api.example.com:8443 " in line
    assert " cs1Label=profile cs1=work " in line
    assert "rt=1798191000123 " in line
    hostile = cef.line_of(RECORDS["hostile"], "1")
    assert r"reason=a|b\=c\\d\n" in hostile
    assert r"a\|b=c\\d " in hostile
