"""The form of the audit record: what a line is, what chains it to the one before, and the keys.

A line is one JSON object. The last thing in it is its MAC, over the bytes of the line before that,
and the last but one is the MAC of the record before. So a line is checked as it stands, without
being written anew, and only who has the key can add to the chain or change it unnoticed.

The key is one or more keys of 32 bytes, oldest first. Each but the newest ends with a hand-over: a
record under the older key that names the newer one, and that the newer one has signed too. The
oldest also makes the fingerprints of secrets, which so stay the same.
"""

from __future__ import annotations

import hmac
import json
import re
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from guard.errors import AuditBroken

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

KEY_BYTES: Final = 32
HANDED_OVER: Final = "audit.key_changed"
# A line is shorter than this, bounded as its fields are, even if all is escaped.
LONGEST_LINE: Final = 64 * 1024

_MAC_FIELD: Final = ',"mac":"'
_MAC_DIGITS: Final = 64
_AFTER_MAC: Final = b'"}\n'
_BEHIND_BODY: Final = len(_MAC_FIELD) + _MAC_DIGITS + len(_AFTER_MAC)
_LINE: Final = re.compile(
    rb'\{"ts":"([^"]{27})","seq":([0-9]{1,18}),'
    rb'.*,"prev":"([0-9a-f]{64})","mac":"([0-9a-f]{64})"\}\n',
    re.DOTALL,
)
_BEGINNING_OF_LINE: Final = re.compile(rb'\{"ts":"([^"]{27})","seq":([0-9]{1,18}),')
_HANDED_OVER: Final = f'"event":"{HANDED_OVER}"'.encode()
_encoded: Final = json.JSONEncoder(separators=(",", ":")).encode


class Link(NamedTuple):
    """Where the chain is: the number and the MAC of a record, and which key is next.

    Attributes:
        seq: The number; the first record has 1.
        mac: The MAC.
        epoch: Which of the keys signs the next record, counted from 0.
    """

    seq: int
    mac: str
    epoch: int = 0


BEGINNING: Final = Link(0, "0" * _MAC_DIGITS)


class Start(NamedTuple):
    """How a line begins, whether or not it is sound.

    Attributes:
        ts: When it was written, as it says.
        seq: Its number, as it says.
    """

    ts: str
    seq: int


def keyed(key: bytes, data: bytes) -> str:
    """Return what only who has the key can make of `data`."""
    made = _begun(key).copy()
    made.update(data)
    return made.hexdigest()


# What depends on the key alone is half the work of a short MAC.
@lru_cache(maxsize=8)
def _begun(key: bytes) -> hmac.HMAC:
    return hmac.new(key, digestmod="sha256")


def keys_of(key: bytes) -> list[bytes]:
    """Return the keys that a key is made up of, oldest first."""
    return [key[at : at + KEY_BYTES] for at in range(0, len(key), KEY_BYTES)]


def key_name(key: bytes) -> str:
    """Return by what the record names a key."""
    return keyed(key, b"name of the key")[:16]


def fragment(facts: Mapping[str, Any]) -> str:
    """Return facts in the form in which they stand within a line."""
    return _encoded(facts)[1:-1]


def line_of(facts: str, last: Link, keys: list[bytes]) -> tuple[bytes, Link]:
    """Return the line of the record with these facts that follows `last`, and its link.

    Args:
        facts: What `fragment` returned.
        last: The link before.
        keys: The keys.
    """
    seq, epoch = last.seq + 1, last.epoch
    body = f'{{"ts":"{stamp(time.time_ns())}","seq":{seq},{facts},"prev":"{last.mac}"'.encode()
    mac = keyed(keys[epoch], body)
    return body + f'{_MAC_FIELD}{mac}"}}\n'.encode(), Link(seq, mac, epoch)


def stamp(nanoseconds: int) -> str:
    """Return a time since the epoch as lines have it: RFC 3339, UTC, microseconds.

    An earlier one is before a later one in the order of the letters, too.
    """
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{_second(seconds)}.{rest // 1000:06d}Z"


# Many records have the same second.
@lru_cache(maxsize=8)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def hand_over(last: Link, keys: list[bytes]) -> dict[str, str]:
    """Return what the key of `last` says when it gives way to the next one, which signs it."""
    old, new = keys[last.epoch], keys[last.epoch + 1]
    return {"old": key_name(old), "new": key_name(new), "signature": _signature(new, last.mac)}


def links(path: Path, lines: Iterable[bytes], keys: list[bytes], last: Link) -> Iterator[Link]:
    """Yield the links of a file's lines, each checked to be as written and to follow.

    Args:
        path: The file, for the error.
        lines: Its lines.
        keys: The keys.
        last: The link before the first of them.

    Raises:
        AuditBroken: Naming the first that is not.
    """
    for number, line in enumerate(lines, start=1):
        link = link_in(line, keys, last.epoch)
        if link is None or link.seq != last.seq + 1 or prev_in(line) != last.mac:
            raise AuditBroken(path, _what_is_wrong(number, line, link, last))
        last = link
        yield last


def link_in(line: bytes, keys: list[bytes], epoch: int) -> Link | None:
    """Return the link that a line is; None if it was not written so under the key of `epoch`."""
    found = _LINE.fullmatch(line)
    if found is None:
        return None
    _, seq, prev, mac = found.groups()
    made = keyed(keys[epoch], line[:-_BEHIND_BODY])
    if not hmac.compare_digest(made.encode(), mac):
        return None
    if _HANDED_OVER in line and _is_sound_hand_over(line, keys, epoch, prev.decode()):
        epoch += 1
    return Link(int(seq), made, epoch)


def link_at_end(line: bytes, keys: list[bytes]) -> Link | None:
    """Return the link that the last line is, under whichever key it was written."""
    for epoch in reversed(range(len(keys))):
        if (link := link_in(line, keys, epoch)) is not None:
            return link
    return None


def prev_in(line: bytes) -> str:
    """Return the MAC of the record before a sound one, as its line names it."""
    end = len(line) - _BEHIND_BODY - 1
    return line[end - _MAC_DIGITS : end].decode()


def start_of(line: bytes) -> Start | None:
    """Return how a line begins; None if it is none."""
    found = _BEGINNING_OF_LINE.match(line)
    return None if found is None else Start(found[1].decode("ascii", "replace"), int(found[2]))


def sealed(what: str, link: Link, keys: list[bytes]) -> bytes:
    """Return a note of a link that only who has the newest key in use can make.

    Args:
        what: What is noted, in a word.
        link: The link.
        keys: The keys.
    """
    # Of one size always: written over in place, it is never found empty or half.
    words = f"{link.seq:020d} {link.mac}"
    return f"{words} {keyed(keys[link.epoch], f'{what} {words}'.encode())}\n".encode()


def unsealed(what: str, note: bytes, keys: list[bytes]) -> Link | None:
    """Return the link that a note names; None if it is not as it was written."""
    words, _, seal = note.strip().rpartition(b" ")
    for epoch in reversed(range(len(keys))):
        made = keyed(keys[epoch], what.encode() + b" " + words)
        if hmac.compare_digest(seal, made.encode()):
            seq, mac = words.decode().split(" ")
            return Link(int(seq), mac, epoch)
    return None


def _what_is_wrong(number: int, line: bytes, link: Link | None, last: Link) -> str:
    if not line.endswith(b"\n"):
        return f"line {number} is unfinished"
    record = _record_in(line)
    if record is None:
        return f"line {number} is not a record"
    if link is None:
        return f"line {number} (record {record.get('seq')}) was changed: wrong mac"
    if link.seq > last.seq + 1:
        missing = f"records {last.seq + 1} to {link.seq - 1} are missing"
        return f"{missing} before line {number} (record {link.seq})"
    if link.seq <= last.seq:
        return f"line {number} (record {link.seq}) is repeated or out of order"
    return f"line {number} (record {link.seq}) does not follow: wrong prev"


def _record_in(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _is_sound_hand_over(line: bytes, keys: list[bytes], epoch: int, prev: str) -> bool:
    record = _record_in(line) or {}
    if record.get("event") != HANDED_OVER or epoch + 1 >= len(keys):
        return False
    told = record.get("details", {}).get("signature", "")
    return hmac.compare_digest(told, _signature(keys[epoch + 1], prev))


def _signature(new: bytes, prev: str) -> str:
    return keyed(new, b"hand-over " + prev.encode())
