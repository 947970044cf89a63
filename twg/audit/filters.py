"""`Filter`: which records are meant."""

from __future__ import annotations

import json
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    Record = dict[str, Any]

_WILD: Final = frozenset("*?[")


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Which records are meant: those for which all holds that is said.

    Attributes:
        events: One of these events; ``token.*`` is all that begin so. None for any.
        actor: The kind of who acted, or the agent's name.
        profile: The profile concerned.
        fingerprint: The fingerprint of the secret concerned, or how it begins.
        trace: What ties together the records of one run.
    """

    events: tuple[str, ...] = ()
    actor: str | None = None
    profile: str | None = None
    fingerprint: str | None = None
    trace: str | None = None

    def matches(self, record: Record) -> bool:
        """Tell whether a record is meant."""
        return (
            self._is_event(record.get("event"))
            and (self.actor is None or self._acted(record.get("actor")))
            and (self.profile is None or record.get("profile") == self.profile)
            and (self.trace is None or record.get("trace") == self.trace)
            and (self.fingerprint is None or self._is_secret(record.get("secret")))
        )

    def records(self, lines: Iterable[bytes]) -> Iterator[Record]:
        """Yield the records in lines that are meant; what is no record is passed over."""
        for line in lines:
            # Most lines are told by their bytes alone, without being parsed.
            if all(each in line for each in self._needles):
                record = record_in(line)
                if record is not None and self.matches(record):
                    yield record

    @cached_property
    def _needles(self) -> list[bytes]:
        words = [self.actor, self.profile, self.trace]
        if len(self.events) == 1 and not _WILD.intersection(self.events[0]):
            words.append(self.events[0])
        found = [json.dumps(word).encode() for word in words if word is not None]
        if self.fingerprint is not None:
            found.append(json.dumps(self.fingerprint).encode()[:-1])
        return found

    def _is_event(self, event: Any) -> bool:
        return not self.events or any(fnmatchcase(str(event), each) for each in self.events)

    def _acted(self, actor: Any) -> bool:
        known = actor if isinstance(actor, dict) else {}
        return self.actor in {known.get("kind"), known.get("agent")}

    def _is_secret(self, secret: Any) -> bool:
        known = secret if isinstance(secret, dict) else {}
        return str(known.get("fingerprint", "")).startswith(self.fingerprint or "")


def record_in(line: bytes) -> Record | None:
    """Return the record that a line is; None if it is none."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None
