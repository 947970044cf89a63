"""Records as events of the Elastic Common Schema, for what Elasticsearch and its kin collect.

Fields, categories and types are those of ECS 9.4. What ECS has no field for is
under ``twg``, as it stands in the record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from twg.audit.kinds import outcome_of, part, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

VERSION: Final = "9.4.0"

_CATEGORIES: Final[Mapping[str, tuple[list[str], list[str]]]] = {
    "token.issued": (["authentication"], ["start"]),
    "token.refreshed": (["authentication"], ["info"]),
    "token.refresh_failed": (["authentication"], ["info"]),
    "token.revoked": (["authentication"], ["end"]),
    "session.expired": (["authentication"], ["end"]),
    "credential.removed": (["authentication"], ["end"]),
    "secret.entered": (["iam"], ["creation"]),
    "secret.refused": (["intrusion_detection"], ["denied"]),
    "secret.ignored": (["intrusion_detection"], ["info"]),
    "policy.granted": (["configuration"], ["change"]),
    "policy.revoked": (["configuration"], ["change"]),
    "policy.denied": (["intrusion_detection"], ["denied"]),
    "agent.call": (["api"], ["access"]),
    "store.opened": (["file"], ["access"]),
    "store.written": (["file"], ["change"]),
    "history.scrubbed": (["file"], ["change"]),
    "command.started": (["process"], ["start"]),
    "command.ended": (["process"], ["end"]),
}
_BY_FAMILY: Final[Mapping[str, tuple[list[str], list[str]]]] = {
    "secret": (["iam"], ["info"]),
    "token": (["authentication"], ["info"]),
    "policy": (["configuration"], ["info"]),
    "key": (["configuration"], ["change"]),
    "upkeep": (["configuration"], ["info"]),
    "store": (["file"], ["info"]),
}
_ELSE: Final = (["configuration"], ["info"])
_IN_FIELDS: Final = frozenset(
    {"ts", "seq", "event", "actor", "outcome", "reason", "host", "trace", "prev", "mac"}
)


def event_of(record: Mapping[str, Any], version: str) -> dict[str, Any]:
    """Return a record as an event.

    Args:
        record: The record.
        version: Which twg exports it.
    """
    name = text(record.get("event")) or "unknown"
    categories, types = _categories(name)
    return _known(
        {
            "@timestamp": text(record.get("ts")),
            "ecs": {"version": VERSION},
            "message": " ".join(filter(None, (name, text(record.get("reason"))))),
            "event": {
                "kind": "event",
                "category": categories,
                "type": types,
                "action": name,
                "outcome": outcome_of(record),
                "sequence": record.get("seq"),
                "module": "twg",
                "dataset": "twg.audit",
                "reason": text(record.get("reason")),
            },
            "service": {"name": "twg", "type": "twg", "version": version},
            "destination": {"address": text(record.get("host")), "domain": _domain(record)},
            "trace": {"id": text(record.get("trace"))},
            **_who(part(record, "actor")),
            "twg": {name: fact for name, fact in record.items() if name not in _IN_FIELDS}
            | {"actor": {name: part(record, "actor").get(name) for name in ("kind", "agent")}},
        }
    )


def _categories(event: str) -> tuple[list[str], list[str]]:
    return _CATEGORIES.get(event) or _BY_FAMILY.get(event.partition(".")[0], _ELSE)


def _who(actor: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "user": {"id": text(actor.get("uid"))},
        "process": {
            "pid": actor.get("pid"),
            "parent": {"pid": actor.get("ppid")},
            # The words of the command, without its arguments.
            "title": text(actor.get("command")),
        },
    }


def _domain(record: Mapping[str, Any]) -> str | None:
    """Return the host without its port, where it is a name and no address."""
    host = (text(record.get("host")) or "").partition(":")[0]
    return host if any(map(str.isalpha, host)) else None


def _known(facts: Mapping[str, Any]) -> dict[str, Any]:
    return dict(_without_nothing(facts))


def _without_nothing(facts: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, fact in facts.items():
        kept = _known(fact) if isinstance(fact, dict) else fact
        if kept is not None and kept != {}:
            yield name, kept
