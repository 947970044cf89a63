"""The record of every handling of a secret: one JSON object a line, chained by a keyed MAC.

Whoever changes, removes or moves a record without the key is found out by `verify`. The newest
record is named once more in a head file beside the log, so that cutting off the end is found out
too, and writers go on from the head then: the gap stays for good. Who can also put back an older
head file, or write with the key, is not found out here; a mirror elsewhere, such as the system's
log, tells that. Records are handed to the operating system at once, and are forced to the disk
before what they tell of can have effects elsewhere: see `settle` and ``durable``.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal

from guard.actor import Actor
from guard.audit_files import (
    open_lines,
    set_aside,
)
from guard.audit_key import add_key, load_or_create_key
from guard.errors import GuardError
from guard.files import check_private_file
from guard.links import KEY_BYTES, fragment, keyed
from guard.pen import Pen, at_the_edge
from guard.rotation import Keeping

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from guard.events import Recorder
    from guard.links import Link
    from guard.logs import Log
    from guard.scrub import Scrubber
    from guard.secret import Secret

    Facts = dict[str, Any]
    Words = tuple[str | None, ...]

__all__ = [
    "Actor",
    "AuditLog",
    "Keeping",
    "add_key",
    "fingerprints_in",
    "load_or_create_key",
    "verify",
]

LONGEST_REASON: Final = 500
LONGEST_WORD: Final = 200
LONGEST_DETAILS: Final = 16 * 1024

_FINGERPRINT_DIGITS: Final = 16
_PATIENCE: Final = 30.0
_BETWEEN: Final = "\n\x1e\n"
_MOST_SAID: Final = 256
_MOST_OF_A_HEAD: Final = 256
# Some tens of thousands of records.
_NEWEST: Final = 16 * 1024 * 1024


class AuditLog:
    """Appends to the record. Any thread and any number of processes may do so at the same time.

    Of several threads that do, the one whose turn it is writes for all that wait: one lock, one
    write. A record is there, or refused, when `record` returns.

    Args:
        path: The log; what else belongs to it is beside it.
        key: Gives the key, once something is recorded; see `guard.links`.
        actor: Who acts.
        trace: What ties together the records of one run.
        scrubber: Cleans the words of a record, which are not to hold a secret anyway.
        patience: Seconds to wait for other processes that write.
        warn: Hears, once, that what was to be recorded could not be, and the deed was done.
        on_failure: Whether what cannot be recorded is ``stop``ped, or told by ``warn`` and done;
            None to stop what is vital.
        keeping: How large and how old files get.
        preface: Records what is to be before the first record, once there is one.
        mirror: Is told the newest record now and then, to keep it elsewhere.
    """

    def __init__(
        self,
        path: Path,
        *,
        key: Callable[[], bytes],
        actor: Actor,
        trace: str | None = None,
        scrubber: Scrubber | None = None,
        patience: float = _PATIENCE,
        warn: Callable[[str], None] | None = None,
        on_failure: Literal["stop", "warn"] | None = None,
        keeping: Keeping | None = None,
        preface: Callable[[Recorder], None] | None = None,
        mirror: Callable[[Link], None] | None = None,
    ) -> None:
        self.path = path
        self._load_key = key
        self._loaded: bytes | None = None
        self._actor = actor
        self._trace = trace
        self._scrubber = scrubber
        self._patience = patience
        self._warn = warn
        self._on_failure = on_failure
        self._keeping = keeping or Keeping()
        self._prefaces = [] if preface is None else [preface]
        self._mirror = mirror or (lambda _link: None)
        self._own_look = _OwnLook("take its fingerprint for the audit record")
        self._said: dict[tuple[str | None, ...], tuple[str | None, ...]] = {}
        self._fragments: dict[tuple[str | None, ...], str] = {}
        self._pen: Pen | None = None
        self._later = _Later()
        self._warned = False

    @property
    def has_begun(self) -> bool:
        """Whether this process has recorded anything."""
        return self._pen is not None and not self._prefaces

    def record(
        self,
        event: str,
        *,
        secret: Secret | None = None,
        kind: str | None = None,
        outcome: str = "ok",
        reason: str | None = None,
        host: str | None = None,
        profile: str | None = None,
        details: Mapping[str, Any] | None = None,
        durable: bool = False,
        vital: bool = True,
    ) -> None:
        """Append one record. It blocks, for well under a millisecond unless others write.

        A program calls the functions of its catalogue of events, which call this.

        Args:
            event: What happened, such as ``token.refreshed``.
            secret: The secret concerned; its kind and its fingerprint are recorded.
            kind: The kind of a secret that is not at hand.
            outcome: ``ok``, or how it ended instead, in a word.
            reason: Why, in words; cut after `LONGEST_REASON` characters.
            host: The host concerned.
            profile: The profile concerned.
            details: What this event has besides: texts, numbers, and lists and mappings of them.
            durable: Have it on the disk before this returns.
            vital: Raise where it cannot be recorded, unless the settings say otherwise; else that
                is told, and the next record that can be written has this one before it.

        Raises:
            AuditBroken: Nothing can be appended, or what is there is not what was written.
            AuditBusy: Another process has kept it locked for too long.
            UnsafeFile: Others have access to the log, or something else stands in its place.
            FileUnwritable: Its directory or its key cannot be made.
        """
        if reason is self._own_look:
            return
        kind = kind if secret is None else secret.kind
        mark, facts = None, None
        try:
            mark = None if secret is None else self._mark(secret)
            facts = self._facts((reason, event, kind, outcome, host, profile), mark, details)
            if self._later.records is None:
                self._write([facts], durable=durable)
                self._warned = False
            else:
                self._later.records.append(facts)
        except GuardError as error:
            if self._is_stopped(vital=vital):
                raise
            self._owe([] if facts is None else [facts], error)
        if (log := _shown_log()) is not None:
            subject = None if kind is None else {"kind": kind, "fingerprint": mark}
            told = {"secret": subject, "outcome": outcome, "reason": reason, "host": host}
            log.info(event, **{name: fact for name, fact in told.items() if fact is not None})

    def prove(self) -> None:
        """Show that a record could be appended now; nothing is.

        Raises:
            As `record`, of what is vital.
        """
        try:
            self._pen_of_this_process().write(())
        except GuardError as error:
            if self._is_stopped(vital=True):
                raise
            self._tell(error)

    @property
    def is_settled(self) -> bool:
        """Whether all that this process recorded is on the disk."""
        return self._pen is None or self._pen.is_settled

    def settle(self) -> None:
        """Have on the disk what was recorded. It blocks; of threads that wait, one does it for all.

        Raises:
            As `record`, of what is vital.
        """
        if self.is_settled:
            return
        try:
            self._pen_of_this_process().write((), durable=True)
        except GuardError as error:
            if self._is_stopped(vital=True):
                raise
            self._tell(error)

    def finish(self) -> None:
        """Tell the mirror of the newest record, if it was not told of it."""
        if self._pen is not None:
            self._pen.finish()

    @contextlib.contextmanager
    def afterwards(self) -> Iterator[None]:
        """Append what is recorded in this block, by this thread, together at its end.

        It is for what must not fail for want of the record, such as saving new tokens whose
        predecessors are spent. Where the record cannot be written then, that is not raised: it is
        told once, and the next record that can be written has these before it.
        """
        if self._later.records is not None:
            yield
            return
        records = self._later.records = []
        try:
            yield
        finally:
            self._later.records = None
            if records:
                self._append_or_owe(records)

    def fingerprint(self, value: str) -> str:
        """Return what tells a secret from others, and tells nothing to whoever lacks the key."""
        data = b"fingerprint\0" + value.encode("utf-8", "surrogatepass")
        return keyed(self._key()[:KEY_BYTES], data)[:_FINGERPRINT_DIGITS]

    def _pen_of_this_process(self) -> Pen:
        pen = self._pen
        if pen is None or pen.process != os.getpid():
            # What a forked child has of its parent's, it would share with it: the lock above all.
            pen = self._pen = Pen(
                self.path,
                self._key,
                reload=self._read_key,
                actor=self._who,
                patience=self._patience,
                keeping=self._keeping,
                mirror=self._mirror,
            )
        return pen

    def _write(self, records: Sequence[str], *, durable: bool) -> None:
        if not self._prefaces:
            self._pen_of_this_process().write(records, durable=durable)
            return
        # Of several threads one has it; and it has it again where it cannot be written.
        preface = self._prefaces.pop()
        try:
            with self._apart() as first:
                preface(self)
            self._pen_of_this_process().write([*first, *records], durable=durable)
        except BaseException:
            self._prefaces.append(preface)
            raise

    @contextlib.contextmanager
    def _apart(self) -> Iterator[list[str]]:
        """Have what this thread records in the block put into a list."""
        before, self._later.records = self._later.records, []
        try:
            yield self._later.records
        finally:
            self._later.records = before

    def _append_or_owe(self, records: Sequence[str]) -> None:
        try:
            self._write(records, durable=False)
        except GuardError as error:
            self._owe(records, error)
        else:
            self._warned = False

    def _is_stopped(self, *, vital: bool) -> bool:
        return vital if self._on_failure is None else self._on_failure == "stop"

    def _owe(self, records: Sequence[str], error: GuardError) -> None:
        self._pen_of_this_process().owe(records)
        self._tell(error)

    def _tell(self, error: GuardError) -> None:
        if self._warn is not None and not self._warned:
            self._warned = True
            self._warn(f"what was done could not be recorded yet: {error}")

    def _key(self) -> bytes:
        return self._read_key() if self._loaded is None else self._loaded

    def _read_key(self) -> bytes:
        self._loaded = self._load_key()
        return self._loaded

    def _mark(self, secret: Secret) -> str:
        # Its ledger, if that leads back here, knows this look from a use by its purpose.
        return self.fingerprint(secret.reveal(self._own_look))

    def _facts(self, said: Words, mark: str | None, details: Mapping[str, Any] | None) -> str:
        """Return a record's facts as they stand in its line."""
        if details is not None:
            return self._encoded(said, mark, self._bounded(details))
        # Most records are like one before, but for their place in the chain.
        found = self._fragments.get((*said, mark))
        if found is None:
            if len(self._fragments) >= _MOST_SAID:
                self._fragments.clear()
            found = self._fragments[(*said, mark)] = self._encoded(said, mark, None)
        return found

    def _encoded(self, said: Words, mark: str | None, details: Facts | None) -> str:
        reason, event, kind, outcome, host, profile = self._cleaned(*said)
        subject = {"kind": kind, "fingerprint": mark}
        facts = {
            "event": event,
            "actor": self._who,
            "secret": _known(subject) or None,
            "outcome": outcome,
            "reason": reason,
            "host": host,
            "trace": self._trace,
            "profile": profile,
            "details": details or None,
        }
        return fragment(_known(facts))

    def _bounded(self, details: Mapping[str, Any]) -> Facts:
        known = _known(details)
        cleaned = known if self._scrubber is None else self._scrubber.data(known)
        cut = {name: _cut(fact) for name, fact in cleaned.items()}
        too_long = len(fragment(cut)) > LONGEST_DETAILS
        return {"omitted": "too long"} if too_long else cut

    @cached_property
    def _who(self) -> Facts:
        # Once, whatever secrets are learnt later: it stands in the first record as it is.
        facts = self._actor._asdict()
        words = {name: fact for name, fact in facts.items() if isinstance(fact, str)}
        _, *cleaned = self._cleaned(None, *words.values())
        return facts | dict(zip(words, cleaned, strict=True))

    def _cleaned(self, reason: str | None, *words: str | None) -> Words:
        """Return the reason and the other words, with the secrets in them replaced, and cut.

        Most records have the same few words. They are cleaned once: what stands in the record
        already is shown to nobody anew.
        """
        said = (reason, *words)
        found = self._said.get(said)
        if found is None:
            if len(self._said) >= _MOST_SAID:
                self._said.clear()
            reason, *others = said if self._scrubber is None else _scrubbed(said, self._scrubber)
            # Cut last: half a secret would not be known for one.
            cut = [None if word is None else word[:LONGEST_WORD] for word in others]
            found = None if reason is None else reason[:LONGEST_REASON], *cut
            self._said[said] = found
        return found


class _OwnLook(str):
    """A purpose of which each log has its own, told from an equal text by identity."""

    __slots__ = ()


class _Later(threading.local):
    """What one thread has to record afterwards; None where it records at once."""

    records: list[str] | None = None


def _known(facts: Mapping[str, Any]) -> Facts:
    return {name: fact for name, fact in facts.items() if fact is not None}


def _cut(fact: Any) -> Any:
    """Return a detail with its words cut, as those of a record are."""
    match fact:
        case str():
            return fact[:LONGEST_REASON]
        case list() | tuple():
            return [_cut(each) for each in fact]
        case dict():
            return {name: _cut(each) for name, each in fact.items()}
        case _:
            return fact


def _scrubbed(words: Words, scrubber: Scrubber) -> Words:
    """Return words with their secrets replaced, in one pass over all of them."""
    joined = _BETWEEN.join(word or "" for word in words)
    parts = scrubber.text(joined).split(_BETWEEN)
    if len(parts) != len(words):
        # What is between them is in one of them, or went with a secret: then each by itself.
        parts = [scrubber.text(word or "") for word in words]
    return tuple(None if word is None else part for word, part in zip(words, parts, strict=True))


def _shown_log() -> Log | None:
    """Return the log, if records are shown: who has them shown has imported what does it."""
    if "guard.logs" not in sys.modules:
        return None
    from guard import logs  # noqa: PLC0415 - it brings `logging`, which a refusal goes without

    log = logs.get("guard.audit")
    return log if log.is_shown() else None


def verify(path: Path, key: bytes) -> int:
    """Check the whole record, through all its files, and return the number of the newest one.

    Raises:
        As `guard.verifying.prove`.
    """
    from guard.verifying import prove  # noqa: PLC0415 - writers need none of it

    return prove(path, key).last


def fingerprints_in(path: Path) -> dict[str, str]:
    """Return the fingerprints in the newest part of the record, each with its secret's kind.

    Of secrets that were entered or issued: what was refused may have been an ordinary word.

    Raises:
        UnsafeFile: Others have access to the log, or something else stands in its place.
        AuditBroken: It cannot be read.
    """
    found: dict[str, str] = {}
    room = _NEWEST
    files = [*set_aside(path.parent), *([path] if check_private_file(path) else [])]
    for each in reversed(files):
        with at_the_edge(each), open_lines(each) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - room))
            # A kind that is told later is the one that counts.
            found = dict(filter(None, map(_known_by, file))) | found
        room -= size
        if room <= 0:
            break
    return found


def _known_by(line: bytes) -> tuple[str, str] | None:
    """Return the fingerprint and the kind of the secret that a record is about."""
    import json  # noqa: PLC0415 - has been imported, to record what is looked at here

    try:
        record = json.loads(line)
        if record["event"] == "secret.refused":
            return None
        return str(record["secret"]["fingerprint"]), str(record["secret"]["kind"])
    except (ValueError, RecursionError, LookupError, TypeError):
        return None
