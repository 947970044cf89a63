"""The record of every handling of a secret: one JSON object a line, chained by a keyed MAC.

Whoever changes, removes or moves a record without the key is found out by `verify`. The newest
record is named once more in a head file beside the log, so that cutting off the end is found out
too, and writers go on from the head then: the gap stays for good. Who can also put back an older
head file, or write with the key, is not found out. Records are handed to the operating system, not
forced to the disk: a power failure may lose the newest ones, and `verify` tells that as a cut.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from guard import logs
from guard.errors import AuditBroken
from guard.files import check_private_file, create_private, ensure_private_directory, read_private

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from guard.scrub import Scrubber
    from guard.secret import Secret

_LOG: Final = logs.get("guard.audit")

LONGEST_REASON: Final = 500
LONGEST_WORD: Final = 200

_KEY_BYTES: Final = 32
_FINGERPRINT_DIGITS: Final = 16
_MODE: Final = 0o600
_PATIENCE: Final = 5.0
_PAUSE: Final = 0.005
# A line is shorter than this, bounded as its fields are, even if all is escaped; so a tail of twice
# as much holds the last whole one.
_LONGEST_LINE: Final = 32 * 1024


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

    Args:
        path: The log; its lock and its head file are beside it.
        key: Gives the key, once something is recorded.
        actor: Who acts.
        trace: What ties together the records of one run.
        scrubber: Cleans the words of a record, which are not to hold a secret anyway.
        patience: Seconds to wait for others that write.
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
    ) -> None:
        self.path = path
        self._load_key = key
        self._loaded: bytes | None = None
        self._actor = actor
        self._trace = trace
        self._scrubber = scrubber
        self._patience = patience
        self._own_look = _OwnLook("take its fingerprint for the audit record")

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
            UnsafeFile: Others have access to the log, or something else stands in its place.
            FileUnwritable: Its directory or its key cannot be made.
        """
        if reason is self._own_look:
            return
        facts = {
            "event": self._words(event),
            "actor": self._cleaned(asdict(self._actor)),
            "secret": self._subject(secret, kind),
            "outcome": self._words(outcome),
            "reason": self._words(reason, LONGEST_REASON),
            "host": self._words(host),
            "trace": self._trace,
            "profile": self._words(profile),
        }
        self._append({name: fact for name, fact in facts.items() if fact is not None})
        told = {"secret": facts["secret"], "outcome": outcome, "reason": reason, "host": host}
        _LOG.info(event, **{name: fact for name, fact in told.items() if fact is not None})

    def fingerprint(self, value: str) -> str:
        """Return what tells a secret from others, and tells nothing to whoever lacks the key."""
        data = b"fingerprint\0" + value.encode("utf-8", "surrogatepass")
        return _keyed(self._key(), data)[:_FINGERPRINT_DIGITS]

    def _append(self, facts: dict[str, Any]) -> None:
        key = self._key()
        ensure_private_directory(self.path.parent)
        with (
            _at_the_edge(self.path),
            _locked(self.path, self._patience),
            _opened(self.path, os.O_RDWR | os.O_APPEND) as log,
            _opened(_head_of(self.path), os.O_RDWR) as head,
        ):
            chain = _Chain(self.path, log, head, key)
            for what in chain.mend():
                chain.append({"event": "audit.mended", "actor": facts["actor"], "reason": what})
            chain.append(facts)

    def _key(self) -> bytes:
        if self._loaded is None:
            self._loaded = self._load_key()
        return self._loaded

    def _subject(self, secret: Secret | None, kind: str | None) -> dict[str, str | None] | None:
        if secret is None:
            return None if kind is None else {"kind": self._words(kind)}
        # Its ledger, if that leads back here, knows this look from a use by its purpose.
        fingerprint = self.fingerprint(secret.reveal(self._own_look))
        return {"kind": self._words(secret.kind), "fingerprint": fingerprint}

    def _cleaned(self, facts: dict[str, Any]) -> dict[str, Any]:
        return {
            name: self._words(fact) if isinstance(fact, str) else fact
            for name, fact in facts.items()
        }

    def _words(self, text: str | None, longest: int = LONGEST_WORD) -> str | None:
        if text is None:
            return None
        # Cut last: half a secret would not be known for one.
        return (text if self._scrubber is None else self._scrubber.text(text))[:longest]


class _OwnLook(str):
    """A purpose of which each log has its own, told from an equal text by identity."""

    __slots__ = ()


class _Link(NamedTuple):
    """Where the chain is: the number and the MAC of a record."""

    seq: int
    mac: str


_BEGINNING: Final = _Link(0, "0" * 64)


class _Chain:
    """The log and its head file, open and locked."""

    def __init__(self, path: Path, log: int, head: int, key: bytes) -> None:
        self._path = path
        self._log = log
        self._head = head
        self._key = key
        self._last = _BEGINNING

    def mend(self) -> list[str]:
        """Find the chain's end, and tell in words what was wrong with it.

        Raises:
            AuditBroken: There is no end to go on from.
        """
        line, torn = self._end()
        tail = _link_in(line, self._key) if line else _BEGINNING
        head = _read_head(self._head, self._key)
        known = [link for link in (head, tail) if link is not None]
        if not known:
            raise AuditBroken(self._path, "neither its last record nor its head file is as written")
        self._last = max(known)
        found = []
        if torn:
            os.ftruncate(self._log, os.fstat(self._log).st_size - torn)
            found.append(f"an unfinished record of {torn} bytes was cut off")
        if head is None and tail != _BEGINNING:
            found.append("the head file was missing or changed")
        if tail is None:
            found.append("the last record was changed")
        elif tail.seq < self._last.seq:
            found.append(f"records {tail.seq + 1} to {self._last.seq} were missing")
        return found

    def append(self, facts: dict[str, Any]) -> None:
        """Write one record whole or not at all, and the head."""
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        record = {"ts": now, "seq": self._last.seq + 1, **facts, "prev": self._last.mac}
        record["mac"] = _mac(self._key, record)
        line = _line(record)
        size = os.fstat(self._log).st_size
        if os.write(self._log, line) != len(line):
            os.ftruncate(self._log, size)
            raise AuditBroken(self._path, "the disk is full")
        self._last = _Link(record["seq"], record["mac"])
        _write_head(self._head, self._last, self._key)

    def _end(self) -> tuple[bytes, int]:
        """Return the last whole line, and how many bytes of an unfinished one follow it."""
        size = os.fstat(self._log).st_size
        os.lseek(self._log, max(0, size - 2 * _LONGEST_LINE), os.SEEK_SET)
        whole, _, torn = os.read(self._log, 2 * _LONGEST_LINE).rpartition(b"\n")
        if len(torn) > _LONGEST_LINE:
            raise AuditBroken(self._path, "it ends in something that is not a record")
        return whole.rpartition(b"\n")[2], len(torn)


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
        UnsafeFile: Others have access to the log, or something else stands in its place.
    """
    if not check_private_file(path) and not check_private_file(_head_of(path)):
        return 0
    with _at_the_edge(path), _opened(path, os.O_RDONLY) as log:
        with _locked(path, _PATIENCE), _opened(_head_of(path), os.O_RDONLY) as descriptor:
            size = os.fstat(log).st_size
            head = _read_head(descriptor, key)
        last = _BEGINNING
        for number, line in enumerate(_lines(log, size), start=1):
            last = _next_link(path, number, line, last, key)
    if head is None:
        raise AuditBroken(path, f"its head file {_head_of(path).name} is missing or was changed")
    if head.seq > last.seq:
        raise AuditBroken(path, f"records {last.seq + 1} to {head.seq} were cut off its end")
    return last.seq


def _next_link(path: Path, number: int, line: bytes, last: _Link, key: bytes) -> _Link:
    """Check that `line` is as written and follows `last`."""
    if not line.endswith(b"\n"):
        raise AuditBroken(path, f"line {number} is unfinished")
    record = _record_in(line)
    if record is None:
        raise AuditBroken(path, f"line {number} is not a record")
    link = _link_in(line[:-1], key)
    if link is None:
        raise AuditBroken(
            path, f"line {number} (record {record.get('seq')}) was changed: wrong mac"
        )
    if link.seq > last.seq + 1:
        missing = f"records {last.seq + 1} to {link.seq - 1} are missing"
        raise AuditBroken(path, f"{missing} before line {number} (record {link.seq})")
    if link.seq <= last.seq:
        raise AuditBroken(path, f"line {number} (record {link.seq}) is repeated or out of order")
    if record["prev"] != last.mac:
        raise AuditBroken(path, f"line {number} (record {link.seq}) does not follow: wrong prev")
    return link


def _link_in(line: bytes, key: bytes) -> _Link | None:
    """Return the link that a line is; None if it is not as it was written."""
    record = _record_in(line)
    if record is None or _line(record) != line + b"\n":
        return None
    mac = record.pop("mac", None)
    if not isinstance(mac, str) or not hmac.compare_digest(mac, _mac(key, record)):
        return None
    return _Link(record["seq"], mac)


def _record_in(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _line(record: dict[str, Any]) -> bytes:
    return json.dumps(record, separators=(",", ":")).encode() + b"\n"


def _mac(key: bytes, record: dict[str, Any]) -> str:
    return _keyed(key, json.dumps(record, separators=(",", ":"), sort_keys=True).encode())


def _keyed(key: bytes, data: bytes) -> str:
    return hmac.new(key, data, hashlib.sha256).hexdigest()


def _lines(log: int, size: int) -> Iterator[bytes]:
    with os.fdopen(log, "rb", closefd=False) as file:
        while size > 0 and (line := file.readline(min(size, _LONGEST_LINE))):
            size -= len(line)
            yield line


def _head_of(path: Path) -> Path:
    return path.with_suffix(".head")


def _write_head(head: int, link: _Link, key: bytes) -> None:
    # Of one size always: written over in place, it is never found empty or half.
    words = f"{link.seq:020d} {link.mac}"
    os.lseek(head, 0, os.SEEK_SET)
    os.write(head, f"{words} {_keyed(key, b'head ' + words.encode())}\n".encode())


def _read_head(head: int, key: bytes) -> _Link | None:
    os.lseek(head, 0, os.SEEK_SET)
    words, _, seal = os.read(head, 256).strip().rpartition(b" ")
    if not hmac.compare_digest(seal, _keyed(key, b"head " + words).encode()):
        return None
    seq, mac = words.decode().split(" ")
    return _Link(int(seq), mac)


@contextlib.contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    """Open a private file, which is made if it is missing."""
    check_private_file(path)
    flags |= os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    descriptor = os.open(path, flags, _MODE)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _locked(path: Path, patience: float) -> Iterator[None]:
    from filelock import FileLock, Timeout  # noqa: PLC0415 - only where something is recorded

    lock = FileLock(
        path.with_name(f"{path.name}.lock"),
        timeout=patience,
        poll_interval=_PAUSE,
        mode=_MODE,
        fallback_to_soft=False,  # a mere file's existence would outlive a killed writer
        preserve_lock_file=True,
    )
    try:
        lock.acquire()
    except Timeout:
        problem = f"another process has kept it locked for {patience:g} seconds"
        raise AuditBroken(path, problem) from None
    try:
        yield
    finally:
        lock.release()


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
