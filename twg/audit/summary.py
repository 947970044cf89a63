"""`Summary`: what a span of the audit record comes to, for people and for programs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from twg.audit.kinds import FAILURES, call_in_words, part, text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Record = Mapping[str, Any]

MOST_LISTED: Final = 50
"""Of failures, denials, calls and grants, so many of the newest are listed; all are counted."""

_GRANTS: Final = frozenset({"policy.granted", "policy.revoked"})
_INNER: Final = frozenset({"sealing-key"})


@dataclass(slots=True)
class Credential:
    """What was done with one secret.

    Attributes:
        kind: Its kind.
        fingerprint: Its fingerprint.
        uses: When it was sent somewhere, and by which kind of actor, oldest first.
        by: How often each sent it.
        hosts: How often it went to each host.
        profiles: The profiles it belongs to.
        first: When it was first seen.
        last: When it was last seen.
    """

    kind: str
    fingerprint: str
    uses: list[tuple[str, str]] = field(default_factory=list)
    by: Counter[str] = field(default_factory=Counter)
    hosts: Counter[str] = field(default_factory=Counter)
    profiles: set[str] = field(default_factory=set)
    first: str = ""
    last: str = ""

    def add(self, record: Record) -> None:
        """Take in a record that is about it."""
        when = text(record.get("ts")) or ""
        self.first, self.last = self.first or when, when
        if profile := text(record.get("profile")):
            self.profiles.add(profile)
        if is_use(record):
            self.uses.append((when, actor_kind(record)))
            self.by[who(record)] += 1
            if host := text(record.get("host")):
                self.hosts[host] += 1

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "kind": self.kind,
            "fingerprint": self.fingerprint,
            "uses": len(self.uses),
            "by": dict(self.by.most_common()),
            "hosts": dict(self.hosts.most_common()),
            "profiles": sorted(self.profiles),
            "first": self.first,
            "last": self.last,
        }


@dataclass(slots=True)
class Actor:
    """What one kind of person, agent or program did.

    Attributes:
        name: An agent's name, else the kind of actor.
        kind: ``human``, ``agent``, ``ci`` or ``service``.
        records: How much is on record of it.
        uses: How often it sent a secret somewhere.
        calls: How often it was let call a service, as an agent.
        denied: How often it was denied something.
        last: When it last did anything.
    """

    name: str
    kind: str
    records: int = 0
    uses: int = 0
    calls: int = 0
    denied: int = 0
    last: str = ""

    def add(self, record: Record) -> None:
        """Take in a record of what it did."""
        event = record.get("event")
        self.records += 1
        self.uses += is_use(record)
        self.calls += event == "agent.call"
        self.denied += event == "policy.denied"
        self.last = text(record.get("ts")) or self.last

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "name": self.name,
            "kind": self.kind,
            "records": self.records,
            "uses": self.uses,
            "calls": self.calls,
            "denied": self.denied,
            "last": self.last,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """One thing that happened, to be listed.

    Attributes:
        when: When, as the record has it.
        event: What happened.
        who: Who acted.
        what: What it was about, in words.
    """

    when: str
    event: str
    who: str
    what: str

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"ts": self.when, "event": self.event, "who": self.who, "what": self.what}


@dataclass(slots=True)
class Summary:
    """What a span comes to.

    Attributes:
        records: How many records there are.
        first: When the first of them was written.
        last: When the last one was.
        credentials: What was done with each secret, by fingerprint.
        actors: What each did, by name.
        renewed: How often tokens were renewed.
        refusals: How often something was refused, by what.
        counts: How often there was each of what is listed.
        failures: Renewals that failed and sign-ins that lapsed; the newest.
        denials: What agents were denied; the newest.
        calls: What agents were let call; the newest.
        grants: What was granted to agents and taken back; the newest.
    """

    records: int = 0
    first: str = ""
    last: str = ""
    credentials: dict[str, Credential] = field(default_factory=dict)
    actors: dict[str, Actor] = field(default_factory=dict)
    renewed: int = 0
    refusals: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    failures: list[Happening] = field(default_factory=list)
    denials: list[Happening] = field(default_factory=list)
    calls: list[Happening] = field(default_factory=list)
    grants: list[Happening] = field(default_factory=list)

    def add(self, records: Iterable[Record]) -> None:
        """Take in records, in their order."""
        for record in records:
            self._add(record)

    def used(self) -> list[Credential]:
        """Return the credentials that were used, the most used first; twg's own keys are none."""
        found = [each for each in self.credentials.values() if each.uses]
        shown = [each for each in found if each.kind not in _INNER]
        return sorted(shown, key=lambda each: (-len(each.uses), each.fingerprint))

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        listed = {"failures", "denials", "calls", "grants"}
        return {
            "records": self.records,
            "first": self.first or None,
            "last": self.last or None,
            "credentials": [each.as_dict() for each in self.used()],
            "actors": [each.as_dict() for each in self.actors.values()],
            "renewed": self.renewed,
            "refusals": dict(self.refusals.most_common()),
            "counts": {name: self.counts[name] for name in sorted(listed)},
            **{name: [each.as_dict() for each in getattr(self, name)] for name in sorted(listed)},
        }

    def _add(self, record: Record) -> None:
        when = text(record.get("ts")) or ""
        self.records += 1
        self.first, self.last = self.first or when, when
        self._add_actor(record)
        self._add_secret(record)
        event = record.get("event")
        self.renewed += event == "token.refreshed"
        if event == "secret.refused":
            self.refusals[text(part(record, "secret").get("kind")) or "a secret by its name"] += 1
        elif event == "policy.denied":
            self.refusals["what an agent asked for"] += 1
            self._list("denials", self.denials, record)
        elif event in FAILURES:
            self._list("failures", self.failures, record)
        elif event == "agent.call":
            self._list("calls", self.calls, record)
        elif event in _GRANTS:
            self._list("grants", self.grants, record)

    def _add_actor(self, record: Record) -> None:
        name = who(record)
        if name not in self.actors:
            self.actors[name] = Actor(name=name, kind=actor_kind(record))
        self.actors[name].add(record)

    def _add_secret(self, record: Record) -> None:
        secret = part(record, "secret")
        fingerprint = text(secret.get("fingerprint"))
        if fingerprint is None:
            return
        if fingerprint not in self.credentials:
            kind = text(secret.get("kind")) or "secret"
            self.credentials[fingerprint] = Credential(kind, fingerprint)
        self.credentials[fingerprint].add(record)

    def _list(self, name: str, happenings: list[Happening], record: Record) -> None:
        self.counts[name] += 1
        happenings.append(
            Happening(
                when=text(record.get("ts")) or "",
                event=text(record.get("event")) or "",
                who=who(record),
                what=_in_words(record),
            )
        )
        del happenings[:-MOST_LISTED]


def who(record: Record) -> str:
    """Return who acted: an agent's name, else the kind of actor."""
    actor = part(record, "actor")
    return text(actor.get("agent")) or text(actor.get("kind")) or "unknown"


def is_use(record: Record) -> bool:
    """Tell whether a secret left for where it is used; that it was sealed here is no use of it."""
    if record.get("event") != "secret.revealed":
        return False
    return bool(record.get("host")) or str(record.get("reason")).startswith("send")


def actor_kind(record: Record) -> str:
    """Return which kind of actor acted."""
    return text(part(record, "actor").get("kind")) or "unknown"


def _in_words(record: Record) -> str:
    profile = text(record.get("profile"))
    words = [
        call_in_words(part(record, "details")),
        text(record.get("reason")),
        text(record.get("host")),
        None if profile is None else f"profile {profile}",
    ]
    return ", ".join(filter(None, words))
