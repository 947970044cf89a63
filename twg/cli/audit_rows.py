"""Records of the audit record as lines for people: columns, and what belongs to each event."""

from __future__ import annotations

import textwrap
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from twg.audit.kinds import CALL, call_in_words, part
from twg.audit.summary import actor_kind, who
from twg.cli.output import Part

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_WHO: Final = 11
_EVENT: Final = 20
_NARROWEST_LAST: Final = 24
# The rest of what these tell is of use to programs only, or stands in each record of the run.
_OF_COMMANDS: Final[Mapping[str, tuple[str, ...]]] = {
    "command.started": ("recognised_by",),
    "command.ended": ("status_code", "duration_ms"),
}
_BAD: Final = frozenset({"failed", "refused"})


class Rows:
    """Makes lines of records, one after the other.

    On a terminal a day stands on a line of its own, times are the person's, and what is long goes
    on below. Elsewhere each record is one line, with its time as it is in the record.

    Args:
        columns: How wide the terminal is; None where there is none.
    """

    def __init__(self, columns: int | None) -> None:
        self._columns = columns
        self._day = ""

    def of(self, records: Iterable[Mapping[str, Any]]) -> Iterator[list[Part]]:
        """Yield the lines of records."""
        for record in records:
            if self._columns is None:
                yield [*_columns(record, str(record.get("ts"))), Part(", ".join(_told(record)))]
            else:
                yield from self._on_terminal(record, self._columns)

    def _on_terminal(self, record: Mapping[str, Any], columns: int) -> Iterator[list[Part]]:
        day, time = _local(record.get("ts"))
        if day != self._day:
            self._day = day
            yield [Part(day, "bold")]
        begin = _columns(record, time)
        place = sum(len(part.text) for part in begin)
        # What has no room beside it goes below.
        beside = columns - place >= _NARROWEST_LAST
        room = columns - place if beside else columns - 4
        told = textwrap.wrap(", ".join(_told(record)), room, break_on_hyphens=False) or [""]
        first = told.pop(0) if beside else ""
        yield [*begin, Part(first)]
        yield from ([Part(" " * (columns - room) + line)] for line in told)


def _columns(record: Mapping[str, Any], time: str) -> list[Part]:
    outcome = record.get("outcome")
    style = "red" if outcome in _BAD else "" if outcome == "ok" else "yellow"
    is_agent = actor_kind(record) == "agent"
    return [
        Part(f"{time}  ", "dim"),
        Part(f"{who(record):{_WHO}}  ", "yellow" if is_agent else ""),
        Part(f"{record.get('event', '?')!s:{_EVENT}}  ", style),
    ]


def _told(record: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a record tells besides when, who and what."""
    outcome, secret, details = (
        record.get("outcome"),
        part(record, "secret"),
        part(record, "details"),
    )
    host, reason, profile = (record.get(name) for name in ("host", "reason", "profile"))
    wanted = _OF_COMMANDS.get(str(record.get("event")))
    if outcome not in {None, "ok"}:
        yield str(outcome)
    if wanted is not None:
        yield str(part(record, "actor").get("command"))
    if secret:
        yield " ".join(
            str(each) for each in (secret.get("kind"), secret.get("fingerprint")) if each
        )
    if call := call_in_words(details):
        yield call
    if host and str(host) not in str(reason):
        yield str(host)
    if reason:
        yield str(reason)
    if profile:
        yield f"profile {profile}"
    for name, fact in details.items():
        if name not in CALL and (wanted is None or name in wanted):
            yield f"{name}={' '.join(map(str, fact)) if isinstance(fact, list) else fact}"


def _local(ts: Any) -> tuple[str, str]:
    """Return the day and the time of a record on the person's clock."""
    try:
        when = datetime.fromisoformat(str(ts)).astimezone()
    except (ValueError, OverflowError):
        return "?", "?" * 8
    return when.strftime("%A, %Y-%m-%d"), when.strftime("%H:%M:%S")
