"""Whatever is done to one record, it is found and named for what it is, in whichever file it is."""

from __future__ import annotations

import gzip
import json
import random
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from guard.audit import AuditLog, Keeping
from guard.audit_files import set_aside
from guard.errors import AuditBroken
from guard.links import LONGEST_LINE
from guard.secret import Secret
from guard.verifying import Proof, prove
from tests.guard.test_audit import ACTOR, KEY

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

COUNT = 45
FIELDS = (
    *("ts", "seq", "event", "actor", "secret", "outcome", "reason", "host", "trace", "profile"),
    *("prev", "mac"),
)


class Named(NamedTuple):
    """What is named: the kind of fault, the place counted from 0 through all files, the record."""

    kind: str
    place: int
    seq: int


Tampered = tuple[list[bytes], Named]


class Shelf:
    """A record in several files, whose lines can be put back otherwise."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "audit.jsonl"
        log = AuditLog(
            self.path,
            key=lambda: KEY,
            actor=ACTOR,
            trace="0123456789abcdef",
            keeping=Keeping(bytes_a_file=7000),
        )
        number = 0
        while number < COUNT:
            log.record(
                "secret.revealed",
                secret=Secret(f"a-value-{number}", "access-token"),
                reason="send",
                host=f"{number}.example.net",
                profile="work",
            )
            number = json.loads(self.path.read_bytes().splitlines()[-1])["seq"]
        self.files = [*set_aside(directory), self.path]
        self.contents = [lines_in(file) for file in self.files]
        self.lines = [line for each in self.contents for line in each]

    def place(self, place: int) -> tuple[Path, int]:
        """Return file and line of a place."""
        for file, lines in zip(self.files, self.contents, strict=True):
            if place < len(lines) or file == self.path:
                return file, place + 1
            place -= len(lines)
        raise AssertionError

    def put(self, lines: list[bytes]) -> None:
        """Have these lines instead, the files' borders where they were, the last one open."""
        rest = list(lines)
        for file, before in zip(self.files, self.contents, strict=True):
            mine = rest if file == self.path else rest[: len(before)]
            rest = rest[len(mine) :]
            content = b"".join(mine)
            file.write_bytes(gzip.compress(content) if file.suffix == ".gz" else content)


def lines_in(file: Path) -> list[bytes]:
    content = file.read_bytes()
    plain = gzip.decompress(content) if file.suffix == ".gz" else content
    return plain.splitlines(keepends=True)


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    directory = tmp_path_factory.mktemp("record")
    directory.chmod(0o700)
    return Shelf(directory)


def changed(field: str) -> Callable[[list[bytes], random.Random], Tampered]:
    def change(lines: list[bytes], chance: random.Random) -> Tampered:
        place = chance.randrange(len(lines))
        record: dict[str, Any] = json.loads(lines[place])
        before = record.get(field)
        if isinstance(before, str):
            at = chance.randrange(len(before))
            record[field] = before[:at] + ("0" if before[at] != "0" else "1") + before[at + 1 :]
        elif isinstance(before, int):
            record[field] = before + chance.choice([-2, -1, 1, 2])
        else:
            record[field] = {**(before or {}), "kind": "other"}
        line = json.dumps(record, separators=(",", ":")).encode() + b"\n"
        found = [*lines[:place], line, *lines[place + 1 :]]
        return found, Named("changed", place, place + 1)

    return change


def removed(lines: list[bytes], chance: random.Random) -> Tampered:
    place = chance.randrange(len(lines) - 1)
    return [*lines[:place], *lines[place + 1 :]], Named("removed", place, place + 1)


def inserted(lines: list[bytes], chance: random.Random) -> Tampered:
    place = chance.randrange(len(lines) + 1)
    forged = lines[chance.randrange(len(lines))].replace(b"send", b"sent")
    line = chance.choice([forged, b"{}\n", b"\n", b"no record\n", b'{"seq":1}\n'])
    return [*lines[:place], line, *lines[place:]], Named("inserted", place, place + 1)


def swapped(lines: list[bytes], chance: random.Random) -> Tampered:
    first, second = sorted(chance.sample(range(len(lines)), 2))
    found = list(lines)
    found[first], found[second] = found[second], found[first]
    return found, Named("swapped", first, second + 1)


def neighbours_swapped(lines: list[bytes], chance: random.Random) -> Tampered:
    first = chance.randrange(len(lines) - 1)
    found = list(lines)
    found[first], found[first + 1] = found[first + 1], found[first]
    return found, Named("swapped", first, first + 2)


def moved_back(lines: list[bytes], chance: random.Random) -> Tampered:
    first, second = sorted(chance.sample(range(0, len(lines), 2), 2))
    found = list(lines)
    found.insert(second, found.pop(first))
    return found, Named("moved", first, first + 1)


def moved_ahead(lines: list[bytes], chance: random.Random) -> Tampered:
    first, second = sorted(chance.sample(range(0, len(lines), 2), 2))
    found = list(lines)
    found.insert(first, found.pop(second))
    return found, Named("moved", first, second + 1)


def duplicated(lines: list[bytes], chance: random.Random) -> Tampered:
    of = chance.randrange(len(lines))
    place = chance.choice([of + 1, chance.randrange(len(lines) + 1)])
    if place == of:
        place += 1  # there is no telling which of two neighbours is the copy
    return [*lines[:place], lines[of], *lines[place:]], Named("duplicated", place, of + 1)


def cut_off(lines: list[bytes], chance: random.Random) -> Tampered:
    place = chance.randrange(len(lines))
    return lines[:place], Named("cut off", place, place + 1)


def cut_in_two(lines: list[bytes], chance: random.Random) -> Tampered:
    place = chance.randrange(len(lines))
    line = lines[place][: chance.randrange(1, len(lines[place]))]
    return [*lines[:place], line], Named("cut off", place, place + 1)


TAMPERINGS = {
    **{f"changed {field}": changed(field) for field in FIELDS},
    "removed": removed,
    "inserted": inserted,
    "swapped": swapped,
    "neighbours swapped": neighbours_swapped,
    "moved back": moved_back,
    "moved ahead": moved_ahead,
    "duplicated": duplicated,
    "cut off": cut_off,
    "cut in two": cut_in_two,
}
PLACES = 200
EACH = -(-PLACES // len(TAMPERINGS))


def test_what_was_written_is_proven(shelf: Shelf) -> None:
    shelf.put(shelf.lines)
    assert len(shelf.files) > 2
    assert prove(shelf.path, KEY) == Proof(first=1, last=COUNT, files=len(shelf.files))


@pytest.mark.parametrize("tampering", TAMPERINGS)
def test_h_g2_each_tampering_with_one_record_is_named_wherever_it_is(
    shelf: Shelf, tampering: str
) -> None:
    """H-G2: by file, line, number, and what was done; at 200 places in all."""
    chance = random.Random(tampering)  # noqa: S311 - the same places each time
    for _ in range(EACH):
        lines, named = TAMPERINGS[tampering](shelf.lines, chance)
        shelf.put(lines)
        with pytest.raises(AuditBroken) as raised:
            prove(shelf.path, KEY)
        fault = raised.value.fault
        assert fault is not None
        file, line = shelf.place(named.place)
        told = (fault.kind, fault.seq)
        assert told == (named.kind, named.seq), raised.value
        if named.kind != "cut off":
            assert (fault.file, fault.line) == (file, line), raised.value
        assert str(raised.value.path) in str(raised.value)


@pytest.mark.parametrize("place", [0, 20, COUNT])
def test_h_g2_a_line_too_long_for_a_record_is_named_too(shelf: Shelf, place: int) -> None:
    """H-G2: and is not read as a whole."""
    junk = b"[" * (2 * LONGEST_LINE) + b"\n"
    shelf.put([*shelf.lines[:place], junk, *shelf.lines[place:]])
    file, line = shelf.place(place)
    with pytest.raises(AuditBroken, match=f"line {line} is not a record: it was ins") as raised:
        prove(shelf.path, KEY)
    assert raised.value.path == file


def test_h_g2_a_file_that_is_gone_is_missed(shelf: Shelf) -> None:
    """H-G2: rotation keeps the chain."""
    shelf.put(shelf.lines)
    gone = shelf.files[0]
    content = gone.read_bytes()
    gone.unlink()
    with pytest.raises(AuditBroken, match=r"records 1 to .* are missing before line 1") as raised:
        prove(shelf.path, KEY)
    assert raised.value.path == shelf.files[1]
    gone.write_bytes(content)
    gone.chmod(0o600)


def test_h_g2_the_head_file_is_missed(shelf: Shelf) -> None:
    """H-G2."""
    shelf.put(shelf.lines)
    head = shelf.path.with_suffix(".head")
    content = head.read_bytes()
    for bad in (b"", b"x" * 100_000, content.replace(b"4", b"5")):
        head.write_bytes(bad)
        with pytest.raises(AuditBroken, match=r"its head file audit\.head is missing") as raised:
            prove(shelf.path, KEY)
        assert raised.value.fault is not None
        assert raised.value.fault.kind == "head"
    head.write_bytes(content)


def test_h_g2_an_older_head_file_is_told(tmp_path: Path) -> None:
    """H-G2: what it does not name may be what a killed command left, so the rest is proven."""
    path = tmp_path / "state" / "audit.jsonl"
    log = AuditLog(path, key=lambda: KEY, actor=ACTOR)
    log.record("e")
    old = path.with_suffix(".head").read_bytes()
    log.record("e")
    log.record("e")
    path.with_suffix(".head").write_bytes(old)
    assert prove(path, KEY).unnamed == 2


def test_h_g2_another_last_record_than_the_head_names_is_found(tmp_path: Path) -> None:
    """H-G2: one that was written after older files had been put back."""
    path = tmp_path / "state" / "audit.jsonl"
    head = path.with_suffix(".head")
    files = (path, head)

    def write() -> list[bytes]:
        AuditLog(path, key=lambda: KEY, actor=ACTOR).record("e")
        return [file.read_bytes() for file in files]

    older, newer = write(), write()
    for file, content in zip(files, older, strict=True):
        file.write_bytes(content)
    write()
    assert prove(path, KEY).last == 2
    head.write_bytes(newer[1])
    with pytest.raises(AuditBroken, match=r"line 2 \(record 2\) is not the one that") as raised:
        prove(path, KEY)
    assert raised.value.fault is not None
    assert (raised.value.fault.kind, raised.value.fault.seq) == ("head", 2)


def test_how_far_it_is_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("guard.verifying._TOLD_EACH", 2)
    path = tmp_path / "state" / "audit.jsonl"
    log = AuditLog(path, key=lambda: KEY, actor=ACTOR)
    for _ in range(5):
        log.record("e")
    told: list[tuple[int, int]] = []
    prove(path, KEY, told=lambda *how_far: told.append(how_far))
    assert told == [(2, 5), (4, 5)]


def test_a_record_that_was_only_proven_writable_is_whole(tmp_path: Path) -> None:
    """Its files are there and empty; once something is recorded, an empty one is seen."""
    path = tmp_path / "state" / "audit.jsonl"
    log = AuditLog(path, key=lambda: KEY, actor=ACTOR)

    log.prove()

    assert path.exists()
    assert prove(path, KEY) == Proof(first=0, last=0, files=0)
    log.record("secret.entered")
    assert prove(path, KEY).last == 1
    path.write_bytes(b"")
    with pytest.raises(AuditBroken, match="cut off"):
        prove(path, KEY)
