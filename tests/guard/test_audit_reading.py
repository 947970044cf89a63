"""Reading the record: a span is found without reading the rest, and nothing added is missed."""

from __future__ import annotations

import gzip
import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from guard.audit import AuditLog, Keeping
from guard.audit_reading import Follower, lines_backwards, lines_between
from guard.errors import AuditBroken, UnsafeFile
from tests.guard.test_audit import ACTOR, KEY

if TYPE_CHECKING:
    from collections.abc import Iterable

BEGAN = datetime(2026, 12, 1, tzinfo=UTC)
COUNT = 3000


def stamp(number: int) -> str:
    """Return when the record of a number was written: one a second."""
    when = BEGAN + timedelta(seconds=number)
    return when.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def line(number: int) -> bytes:
    record = {"ts": stamp(number), "seq": number, "event": "e", "reason": "x" * (number % 300)}
    return json.dumps(record, separators=(",", ":")).encode() + b"\n"


LINES = [line(number) for number in range(1, COUNT + 1)]


def put(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


@pytest.fixture
def one_file(tmp_path: Path) -> Path:
    put(tmp_path / "audit.jsonl", b"".join(LINES))
    return tmp_path


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """The same in three files: compressed, set aside a moment ago, current."""
    put(tmp_path / "audit-000000000001.jsonl.gz", b"".join(LINES[:1000]))
    put(tmp_path / "audit-000000001001.jsonl", b"".join(LINES[1000:2000]))
    put(tmp_path / "audit.jsonl", b"".join(LINES[2000:]))
    return tmp_path


def bytes_read() -> int:
    """Return how many bytes this process has read so far."""
    counts = dict(each.split(": ") for each in Path("/proc/self/io").read_text().splitlines())
    return int(counts["rchar"])


def numbers(lines: Iterable[bytes]) -> list[int]:
    return [json.loads(each)["seq"] for each in lines]


@pytest.mark.parametrize("shape", ["one_file", "files"])
@pytest.mark.parametrize(
    ("since", "until"), [(1, COUNT), (1, 2), (999, 1002), (1500, 2500), (2999, COUNT), (COUNT, 0)]
)
def test_a_span_is_what_was_written_in_it(
    shape: str, since: int, until: int, request: pytest.FixtureRequest
) -> None:
    directory: Path = request.getfixturevalue(shape)
    meant = LINES[since - 1 : until - 1]
    assert [*lines_between(directory, stamp(since), stamp(until))] == meant
    assert [*lines_backwards(directory, stamp(since), stamp(until))] == meant[::-1]
    assert [*lines_between(directory, stamp(since))] == LINES[since - 1 :]
    assert [*lines_backwards(directory, None, stamp(until))] == LINES[: max(0, until - 1)][::-1]


@pytest.mark.parametrize("shape", ["one_file", "files"])
def test_without_a_span_it_is_all(shape: str, request: pytest.FixtureRequest) -> None:
    directory: Path = request.getfixturevalue(shape)
    assert [*lines_between(directory)] == LINES
    assert [*lines_backwards(directory)] == LINES[::-1]


def test_of_a_moment_between_two_records_the_later_one_is_first(one_file: Path) -> None:
    between = stamp(1500).replace(".000000Z", ".500000Z")
    assert numbers(lines_between(one_file, between))[0] == 1501


def test_where_nothing_is_recorded_there_is_nothing(tmp_path: Path) -> None:
    assert [*lines_between(tmp_path)] == [*lines_backwards(tmp_path)] == []
    assert [*lines_between(tmp_path / "none", stamp(1))] == []


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc, which counts what is read")
def test_a_short_span_of_a_long_record_is_read_without_the_rest(tmp_path: Path) -> None:
    """Counted by the kernel: of 20 megabytes less than one is read, and of no older file any."""
    long = [line(number) for number in range(1, 100_001)]
    put(tmp_path / "audit-000000000001.jsonl.gz", b"".join(LINES[:1000]))
    put(tmp_path / "audit.jsonl", b"".join(long))
    size = (tmp_path / "audit.jsonl").stat().st_size
    assert size > 20_000_000

    for since in (50_000, 99_000, 99_999):
        before = bytes_read()
        found = [*lines_between(tmp_path, stamp(since), stamp(since + 1000))]
        taken = bytes_read() - before
        assert found == long[since - 1 : since + 999]
        assert taken < 1_000_000
    before = bytes_read()
    assert next(lines_backwards(tmp_path)) == long[-1]
    assert bytes_read() - before < 200_000


@pytest.mark.parametrize("end", [b'{"ts":"2026-12-01T00:50', LINES[0][:-1], b"x" * 200_000])
def test_a_last_line_that_is_unfinished_is_left_out(one_file: Path, end: bytes) -> None:
    with (one_file / "audit.jsonl").open("ab") as file:
        file.write(end)
    assert next(lines_backwards(one_file)) == LINES[-1]
    assert [*lines_between(one_file)][:COUNT] == LINES


def test_what_is_no_record_leads_nobody_astray(one_file: Path) -> None:
    """Halving goes on behind it; it is passed on, for what it is."""
    junk = b"no record\n"
    with_junk = [each for pair in zip(LINES, [junk] * COUNT, strict=True) for each in pair]
    put(one_file / "audit.jsonl", b"".join(with_junk))
    found = [each for each in lines_between(one_file, stamp(2000)) if each != junk]
    assert found == LINES[1999:]


def test_a_damaged_file_is_told(files: Path) -> None:
    damaged = files / "audit-000000000001.jsonl.gz"
    damaged.write_bytes(damaged.read_bytes()[:-300])
    with pytest.raises(AuditBroken, match="the compressed file is damaged"):
        [*lines_between(files)]
    assert [*lines_between(files, stamp(1500))] == LINES[1499:]


def test_h_e2_a_file_that_others_can_read_is_refused(files: Path) -> None:
    """H-E2."""
    (files / "audit.jsonl").chmod(0o644)
    with pytest.raises(UnsafeFile):
        [*lines_between(files)]


# Following


class Writer:
    """Writes a record whose files are small."""

    def __init__(self, directory: Path, each: int = 2000) -> None:
        self.log = AuditLog(
            directory / "audit.jsonl",
            key=lambda: KEY,
            actor=ACTOR,
            keeping=Keeping(bytes_a_file=each),
        )

    def write(self, first: int, count: int) -> list[str]:
        profiles = [f"p{number}" for number in range(first, first + count)]
        for each in profiles:
            self.log.record("e", profile=each)
        return profiles


def told(follower: Follower) -> list[str]:
    """Return the profiles in what was added, less what the rotation noted."""
    found = [json.loads(each) for each in follower.added()]
    return [each["profile"] for each in found if each["event"] == "e"]


def test_what_is_added_is_told_once(tmp_path: Path) -> None:
    directory = tmp_path / "state"
    writer = Writer(directory, each=1_000_000)
    writer.write(0, 3)
    follower = Follower(directory)
    assert follower.start() == 3
    assert told(follower) == []
    assert [told(follower) for _ in range(2) for _ in [writer.write(9, 2)]] == [["p9", "p10"]] * 2
    follower.close()


def test_files_that_are_set_aside_meanwhile_are_followed(tmp_path: Path) -> None:
    """One after the other, and several between two looks."""
    directory = tmp_path / "state"
    writer = Writer(directory)
    writer.write(0, 2)
    follower = Follower(directory)
    follower.start()
    found: list[str] = []
    written: list[str] = []
    for count in (1, 4, 30, 1, 1, 1, 1, 1, 1, 1, 1, 1, 60):
        written += writer.write(len(written) + 2, count)
        found += told(follower)
    assert len([*directory.glob("audit-*.gz")]) > 5
    assert found == written
    follower.close()


def test_what_begins_later_is_followed_too(tmp_path: Path) -> None:
    directory = tmp_path / "state"
    follower = Follower(directory)
    assert follower.start() == 0
    assert told(follower) == []
    written = Writer(directory).write(0, 3)
    assert told(follower) == written
    follower.close()


def test_a_line_is_told_when_it_is_whole(tmp_path: Path) -> None:
    put(tmp_path / "audit.jsonl", LINES[0])
    follower = Follower(tmp_path)
    follower.start()
    with (tmp_path / "audit.jsonl").open("ab", buffering=0) as file:
        file.write(LINES[1][:20])
        assert [*follower.added()] == []
        file.write(LINES[1][20:])
        assert [*follower.added()] == [LINES[1]]
    follower.close()
