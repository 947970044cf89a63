"""The record of every handling of a secret: one JSON object a line, chained by a keyed MAC.

Whoever changes, removes or moves a record without the key is found out by `verify`. The newest
record is named once more in a head file beside the log, so that cutting off the end is found out
too, and writers go on from the head then: the gap stays for good. Who can also put back an older
head file, or write with the key, is not found out. Records are handed to the operating system, not
forced to the disk: a power failure may lose the newest ones, and `verify` tells that as a cut.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
from collections import deque
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from guard import logs
from guard.chain import BEGINNING, Chain, head_of, keyed, lines_of, links, opened, read_head
from guard.errors import AuditBroken, AuditBusy, GuardError
from guard.files import (
    check_private_directory,
    check_private_file,
    create_private,
    ensure_private_directory,
    read_private,
)
from guard.locks import LockFile, holder_of
from guard.rounds import Rounds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from guard.scrub import Scrubber
    from guard.secret import Secret

    Facts = dict[str, Any]
    Words = tuple[str | None, ...]

_LOG: Final = logs.get("guard.audit")

LONGEST_REASON: Final = 500
LONGEST_WORD: Final = 200

_KEY_BYTES: Final = 32
_FINGERPRINT_DIGITS: Final = 16
_PATIENCE: Final = 30.0
_BETWEEN: Final = "\n\x1e\n"
_MOST_SAID: Final = 256
_MOST_OWED: Final = 1000
# Some tens of thousands of records.
_NEWEST: Final = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who acts.

    Attributes:
        kind: ``human``, ``agent``, ``ci`` or ``service``.
        agent: The agent's name out of the closed set, if it is one.
        uid: The user's number; None where there is no such thing.
        pid: The process.
        ppid: Its parent.
        tty: The controlling terminal, if there is one.
        command: The command's words; never its arguments.
    """

    kind: str
    agent: str | None
    uid: int | None
    pid: int
    ppid: int
    tty: str | None
    command: str

    @classmethod
    def of_this_process(
        cls, *, agent: str | None, command: str, environ: Mapping[str, str] | None = None
    ) -> Actor:
        """Describe who runs this process.

        Args:
            agent: The name of the AI agent that runs it, or None.
            command: The command's words, without arguments.
            environ: The environment; this process's own unless given.
        """
        terminal = _controlling_terminal()
        environ = os.environ if environ is None else environ
        if agent is not None:
            kind = "agent"
        elif environ.get("CI", "").lower() in {"true", "1"}:
            kind = "ci"
        else:
            kind = "human" if terminal is not None else "service"
        return cls(
            kind=kind,
            agent=agent,
            uid=os.getuid() if hasattr(os, "getuid") else None,
            pid=os.getpid(),
            ppid=os.getppid(),
            tty=terminal,
            command=command,
        )


class AuditLog:
    """Appends to the record. Any thread and any number of processes may do so at the same time.

    Of several threads that do, the one whose turn it is writes for all that wait: one lock, one
    write. A record is there, or refused, when `record` returns.

    Args:
        path: The log; its lock and its head file are beside it.
        key: Gives the key, once something is recorded.
        actor: Who acts.
        trace: What ties together the records of one run.
        scrubber: Cleans the words of a record, which are not to hold a secret anyway.
        patience: Seconds to wait for other processes that write.
        warn: Hears, once, that what was to be recorded afterwards could not be.
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
    ) -> None:
        self.path = path
        self._load_key = key
        self._loaded: bytes | None = None
        self._actor = actor
        self._trace = trace
        self._scrubber = scrubber
        self._patience = patience
        self._warn = warn
        self._own_look = _OwnLook("take its fingerprint for the audit record")
        self._said: dict[tuple[str | None, ...], tuple[str | None, ...]] = {}
        self._pen: _Pen | None = None
        self._later = _Later()
        self._warned = False

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
    ) -> None:
        """Append one record. It blocks, for well under a millisecond unless others write.

        Args:
            event: What happened, such as ``token.refreshed``.
            secret: The secret concerned; its kind and its fingerprint are recorded.
            kind: The kind of a secret that is not at hand.
            outcome: ``ok``, or how it ended instead, in a word.
            reason: Why, in words; cut after `LONGEST_REASON` characters.
            host: The host concerned.
            profile: The profile concerned.

        Raises:
            AuditBroken: Nothing can be appended, or what is there is not what was written.
            AuditBusy: Another process has kept it locked for too long.
            UnsafeFile: Others have access to the log, or something else stands in its place.
            FileUnwritable: Its directory or its key cannot be made.
        """
        if reason is self._own_look:
            return
        kind = kind if secret is None else secret.kind
        words = self._cleaned(reason, event, kind, outcome, host, profile)
        facts = {
            "event": words[1],
            "actor": self._who,
            "secret": self._subject(secret, words[2]),
            "outcome": words[3],
            "reason": words[0],
            "host": words[4],
            "trace": self._trace,
            "profile": words[5],
        }
        known = {name: fact for name, fact in facts.items() if fact is not None}
        if self._later.records is None:
            self._pen_of_this_process().write([known])
        else:
            self._later.records.append(known)
        told = {"secret": facts["secret"], "outcome": outcome, "reason": reason, "host": host}
        _LOG.info(event, **{name: fact for name, fact in told.items() if fact is not None})

    def prove(self) -> None:
        """Show that a record could be appended now; nothing is.

        Raises:
            As `record`.
        """
        self._pen_of_this_process().write(())

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
        return keyed(self._key(), data)[:_FINGERPRINT_DIGITS]

    def _pen_of_this_process(self) -> _Pen:
        pen = self._pen
        if pen is None or pen.process != os.getpid():
            # What a forked child has of its parent's, it would share with it: the lock above all.
            pen = self._pen = _Pen(self.path, self._key, self._who, self._patience)
        return pen

    def _append_or_owe(self, records: Sequence[Facts]) -> None:
        try:
            self._pen_of_this_process().write(records)
        except GuardError as error:
            self._pen_of_this_process().owe(records)
            if self._warn is not None and not self._warned:
                self._warned = True
                self._warn(f"what was done could not be recorded yet: {error}")
        else:
            self._warned = False

    def _key(self) -> bytes:
        if self._loaded is None:
            self._loaded = self._load_key()
        return self._loaded

    def _subject(self, secret: Secret | None, kind: str | None) -> Facts | None:
        if secret is None:
            return None if kind is None else {"kind": kind}
        # Its ledger, if that leads back here, knows this look from a use by its purpose.
        return {"kind": kind, "fingerprint": self.fingerprint(secret.reveal(self._own_look))}

    @cached_property
    def _who(self) -> Facts:
        # Once, whatever secrets are learnt later: it stands in the first record as it is.
        facts = asdict(self._actor)
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

    records: list[Facts] | None = None


class _Pen:
    """Writes records for all threads of one process.

    Args:
        path: The log.
        key: Gives its key.
        actor: Who writes what nobody asked for.
        patience: Seconds to wait for other processes that write.
    """

    def __init__(self, path: Path, key: Callable[[], bytes], actor: Facts, patience: float) -> None:
        self.process = os.getpid()
        self._path = path
        self._key = key
        self._actor = actor
        self._patience = patience
        self._lock = LockFile(_lock_of(path))
        self._chain: Chain | None = None
        self._owed: deque[Facts] = deque()
        self._lost = 0
        self._rounds: Rounds[Sequence[Facts]] = Rounds(self._round)

    def write(self, records: Sequence[Facts]) -> None:
        """Append records together, and before them what is owed."""
        self._rounds.ask(records)

    def owe(self, records: Sequence[Facts]) -> None:
        """Keep records for the next time; of too many, only how many they were."""
        room = max(0, _MOST_OWED - len(self._owed))
        self._owed.extend(records[:room])
        self._lost += len(records[room:])

    def _round(self, asked: Sequence[Sequence[Facts]]) -> None:
        chain = self._chain = self._chain or Chain(self._path, self._key(), self._actor)
        owed, lost = tuple(self._owed), self._lost
        records = [*owed, *itertools.chain.from_iterable(asked)]
        if owed:
            late = f"{len(owed)} records could not be written when they were due"
            late += f", and {lost} more were lost" if lost else ""
            records.insert(0, {"event": "audit.delayed", "actor": self._actor, "reason": late})
        try:
            check_private_directory(self._path.parent)
        except OSError:
            ensure_private_directory(self._path.parent)
        with _at_the_edge(self._path), _locked(self._lock, self._path, self._patience):
            chain.append(records)
        for _ in owed:
            self._owed.popleft()
        self._lost -= lost


def _scrubbed(words: Words, scrubber: Scrubber) -> Words:
    """Return words with their secrets replaced, in one pass over all of them."""
    joined = _BETWEEN.join(word or "" for word in words)
    parts = scrubber.text(joined).split(_BETWEEN)
    if len(parts) != len(words):
        # What is between them is in one of them, or went with a secret: then each by itself.
        parts = [scrubber.text(word or "") for word in words]
    return tuple(None if word is None else part for word, part in zip(words, parts, strict=True))


def load_or_create_key(path: Path) -> bytes:
    """Return the key in the file `path`, which is made if it is missing.

    Raises:
        AuditBroken: The file holds no such key.
        UnsafeFile: Others have access to it, or something else stands in its place.
        FileUnwritable: It cannot be made.
    """
    import base64  # noqa: PLC0415 - only where something is recorded

    ensure_private_directory(path.parent)
    if not check_private_file(path):
        # Of several that make it, one wins; all read what that one made.
        create_private(path, base64.urlsafe_b64encode(os.urandom(_KEY_BYTES)) + b"\n")
    try:
        key = base64.b64decode((read_private(path) or b"").strip(), altchars=b"-_", validate=True)
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise AuditBroken(path, "this is not the key that it was written with")
    return key


def verify(path: Path, key: bytes) -> int:
    """Check the whole record, and return how many records there are.

    Others may append meanwhile; what is there at the start is checked.

    Raises:
        AuditBroken: Naming the first record that was changed, removed, moved or cut off.
        AuditBusy: Another process has kept it locked for too long.
        UnsafeFile: Others have access to the log, or something else stands in its place.
    """
    if not check_private_file(path) and not check_private_file(head_of(path)):
        return 0
    with _at_the_edge(path), opened(path, os.O_RDONLY) as log:
        lock = LockFile(_lock_of(path))
        with _locked(lock, path, _PATIENCE), opened(head_of(path), os.O_RDONLY) as descriptor:
            size = os.fstat(log).st_size
            head = read_head(descriptor, key)
        last = BEGINNING
        for link in links(path, lines_of(log, size), key):
            last = link
    if head is None:
        raise AuditBroken(path, f"its head file {head_of(path).name} is missing or was changed")
    if head.seq > last.seq:
        raise AuditBroken(path, f"records {last.seq + 1} to {head.seq} were cut off its end")
    return last.seq


def fingerprints_in(path: Path) -> dict[str, str]:
    """Return the fingerprints in the newest part of the record, each with its secret's kind.

    Of secrets that were entered or issued: what was refused may have been an ordinary word.

    Raises:
        UnsafeFile: Others have access to the log, or something else stands in its place.
        AuditBroken: It cannot be read.
    """
    if not check_private_file(path):
        return {}
    with _at_the_edge(path), opened(path, os.O_RDONLY) as log:
        size = os.fstat(log).st_size
        os.lseek(log, max(0, size - _NEWEST), os.SEEK_SET)
        lines = list(lines_of(log, min(size, _NEWEST)))
    return dict(subject for line in lines if (subject := _known_by(line)) is not None)


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


def _lock_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.lock")


@contextlib.contextmanager
def _locked(lock: LockFile, path: Path, patience: float) -> Iterator[None]:
    stack = contextlib.ExitStack()
    try:
        stack.enter_context(lock.held(patience))
    except TimeoutError:
        raise AuditBusy(path, holder_of(_lock_of(path)), patience) from None
    with stack:
        yield


@contextlib.contextmanager
def _at_the_edge(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        words = error.strerror or type(error).__name__
        raise AuditBroken(path, f"it cannot be written or read: {words}") from error


def _controlling_terminal() -> str | None:
    """Return the name of the terminal that this process belongs to, as well as it is known."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | getattr(os, "O_NOCTTY", 0)))
    except OSError:
        return None
    for descriptor in (0, 1, 2):
        with contextlib.suppress(OSError):
            return os.ttyname(descriptor)
    return "/dev/tty"
