"""The record's files: the chain goes on from one to the next, and no step can lose a record."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from guard import chain, rotation
from guard.actor import Actor
from guard.audit import (
    AuditLog,
    Keeping,
    add_key,
    fingerprints_in,
    load_or_create_key,
    verify,
)
from guard.audit_files import lines_in, segments, set_aside, start_note_of
from guard.errors import AuditBroken, UnsafeFile
from guard.links import key_name
from guard.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

REPOSITORY = Path(__file__).parents[2]
KEY = bytes(range(32))
ACTOR = Actor(kind="human", agent=None, uid=1, pid=2, ppid=1, tty=None, command="twg login")
SMALL = Keeping(bytes_a_file=1500)
ROTATING = """
import sys, threading
from pathlib import Path
from guard.audit import Actor, AuditLog, Keeping, load_or_create_key
path = Path(sys.argv[1])
log = AuditLog(
    path,
    key=lambda: load_or_create_key(path.with_suffix(".key")),
    actor=Actor.of_this_process(agent=None, command="writer", environ={}),
    keeping=Keeping(bytes_a_file=4000),
    patience=60,
)
for number in range(int(sys.argv[2])):
    log.record("token.refreshed", reason=f"{number}")
"""
DIE_AT = """
import os, signal, sys
step = sys.argv[3]
def die(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)
if step == "before the new file":
    import guard.rotation
    guard.rotation.sync_directory = die
elif step == "in its first line":
    write = os.write
    def half(descriptor, data):
        if b"audit.rotated" not in bytes(data):
            return write(descriptor, data)
        write(descriptor, data[:40])
        die()
    os.write = half
elif step == "before it is compressed":
    import gzip
    gzip.compress = die
elif step == "before the plain one goes":
    import guard.rotation
    guard.rotation.remove_private = die
"""
STEPS = [
    "before the new file",
    "in its first line",
    "before it is compressed",
    "before the plain one goes",
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "audit.jsonl"


def log_at(path: Path, *, keeping: Keeping = SMALL, **options: Any) -> AuditLog:
    options.setdefault("key", lambda: KEY)
    return AuditLog(path, actor=ACTOR, keeping=keeping, **options)


def write(path: Path, count: int, **options: Any) -> None:
    log = log_at(path, **options)
    for number in range(count):
        log.record("token.refreshed", profile=f"profile-{number}")


def records(path: Path) -> list[dict[str, Any]]:
    """Return all records, oldest first."""
    files = [each.path for each in segments(path.parent)]
    return [json.loads(line) for file in files for line in lines_in(file)]


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.PIPE, text=True)


def test_h_g2_the_chain_goes_on_from_file_to_file(path: Path) -> None:
    """H-G2: rotation keeps the chain, and what was set aside is compressed and private."""
    write(path, 30)
    count = verify(path, KEY)
    found = records(path)
    assert [each["seq"] for each in found] == list(range(1, count + 1))
    assert [each["profile"] for each in found if "profile" in each] == [
        f"profile-{number}" for number in range(30)
    ]
    aside = set_aside(path.parent)
    assert len(aside) > 3
    assert {each.name[-9:] for each in aside} == {".jsonl.gz"}
    assert {each.stat().st_mode & 0o777 for each in path.parent.iterdir()} == {0o600}
    moves = [each["reason"] for each in found if each["event"] == "audit.rotated"]
    assert moves[0] == f"audit-000000000001.jsonl ends with record {found.index(first(found))}"


def first(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the first note of a rotation."""
    return next(each for each in found if each["event"] == "audit.rotated")


def test_a_file_tells_where_it_begins_and_where_the_next_one_does(path: Path) -> None:
    write(path, 30)
    found = segments(path.parent)
    assert [each.is_current for each in found] == [*[False] * (len(found) - 1), True]
    for each, after in zip(found, [*found[1:], None], strict=True):
        line, *_ = lines_in(each.path)
        record = json.loads(line)
        assert each.first is not None
        assert (each.first.ts, each.first.seq) == (record["ts"], record["seq"])
        assert each.next == (after and after.first)
        if not each.is_current:
            assert each.path.name == f"audit-{record['seq']:012d}.jsonl.gz"


def test_where_there_is_no_record_there_are_no_files_of_it(path: Path) -> None:
    assert segments(path.parent) == []


def test_a_full_file_is_on_the_disk_before_it_is_set_aside(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever syncs what it wrote later has another file open by then."""
    write(path, 6)
    sizes: list[int] = []
    monkeypatch.setattr(chain, "_sync", lambda log: sizes.append(os.fstat(log).st_size))
    before = len(set_aside(path.parent))
    size = 0
    while len(set_aside(path.parent)) == before:
        size = path.stat().st_size
        write(path, 1)
    assert sizes == [size]


def test_an_old_file_is_set_aside_however_small(path: Path) -> None:
    write(path, 1, keeping=Keeping())
    write(path, 1, keeping=Keeping(days_a_file=0))
    assert [each["event"] for each in records(path)] == [
        "token.refreshed",
        "audit.rotated",
        "token.refreshed",
    ]
    assert verify(path, KEY) == 3


@pytest.mark.parametrize("step", STEPS)
def test_h_g1_killed_at_any_step_of_a_rotation_no_record_is_lost(path: Path, step: str) -> None:
    """H-G1, H-G2."""
    code = DIE_AT + ROTATING
    process = start(code, path, 200, step)
    assert (process.communicate()[1], process.returncode) == ("", -signal.SIGKILL)
    key = load_or_create_key(path.with_suffix(".key"))
    # A note of the rotation may be torn; all that went before is there.
    before = [each for each in complete(path) if each["event"] == "token.refreshed"]
    assert [each["reason"] for each in before] == [*map(str, range(len(before)))]
    assert before

    process = start(ROTATING, path, 40)
    assert (process.communicate()[1], process.returncode) == ("", 0)
    assert verify(path, key) == len(records(path))
    kept = [each["reason"] for each in records(path) if each["event"] == "token.refreshed"]
    assert kept == [*map(str, range(len(before))), *map(str, range(40))]
    assert {each.suffix for each in set_aside(path.parent)} == {".gz"}
    mended = [each["reason"] for each in records(path) if each["event"] == "audit.mended"]
    torn = ["an unfinished record of 40 bytes was cut off"]
    assert mended == (torn if step == "in its first line" else [])


def complete(path: Path) -> list[dict[str, Any]]:
    files = [each.path for each in segments(path.parent)]
    lines = [line for file in files for line in lines_in(file) if line.endswith(b"\n")]
    return [json.loads(line) for line in lines]


def test_h_g1_writers_at_once_rotate_and_lose_nothing(path: Path) -> None:
    """H-G1."""
    processes = [start(ROTATING, path, 40) for _ in range(6)]
    ends = [(process.communicate()[1], process.returncode) for process in processes]
    assert ends == [("", 0)] * 6
    found = records(path)
    assert verify(path, load_or_create_key(path.with_suffix(".key"))) == len(found)
    for process in processes:
        own = [each for each in found if each["actor"]["pid"] == process.pid]
        said = [each["reason"] for each in own if each["event"] == "token.refreshed"]
        assert said == [*map(str, range(40))]


def test_a_name_that_is_taken_is_not_written_over(path: Path) -> None:
    write(path, 3)
    taken = path.with_name("audit-000000000001.jsonl.gz")
    taken.write_bytes(b"evidence")
    taken.chmod(0o600)
    write(path, 9)
    assert taken.read_bytes() == b"evidence"
    assert path.stat().st_size > 2 * SMALL.bytes_a_file


@pytest.mark.parametrize(
    ("tamper", "problem"),
    [
        (lambda files: files[1].unlink(), r"records \d+ to \d+ are missing before line 1"),
        (lambda files: files[0].unlink(), r"records 1 to \d+ are missing before line 1"),
        (lambda files: repacked(files[1], 0), r"records \d+ to \d+ are missing before line 1"),
        (lambda files: repacked(files[1], -1), r"records \d+ to \d+ are missing before line 1"),
        (lambda files: files[1].write_bytes(files[1].read_bytes()[:-30]), "damaged"),
        (lambda files: files[1].write_bytes(b"x"), "cannot be written or read"),
        (lambda files: files[2].rename(files[0]), r"records 1 to \d+ are missing before line 1"),
    ],
)
def test_h_g2_what_is_done_to_a_file_that_was_set_aside_is_named(
    path: Path, tamper: Callable[[list[Path]], object], problem: str
) -> None:
    """H-G2."""
    write(path, 30)
    tamper(set_aside(path.parent))
    with pytest.raises(AuditBroken, match=problem):
        verify(path, KEY)


def repacked(file: Path, missing: int) -> None:
    lines = gzip.decompress(file.read_bytes()).splitlines(keepends=True)
    del lines[missing]
    file.write_bytes(gzip.compress(b"".join(lines)))


def test_h_e2_an_unsafe_file_that_was_set_aside_is_refused(path: Path) -> None:
    """H-E2."""
    write(path, 9)
    set_aside(path.parent)[0].chmod(0o644)
    with pytest.raises(UnsafeFile):
        verify(path, KEY)


# What is removed


def test_h_g2_what_is_too_old_is_removed_and_the_rest_still_verifies(path: Path) -> None:
    """H-G2: from a start that only who has the key can move."""
    write(path, 30)
    gone = len(set_aside(path.parent))
    write(path, 9, keeping=Keeping(bytes_a_file=1500, days=0))
    found = records(path)
    assert found[0]["seq"] > 1
    assert verify(path, KEY) == found[-1]["seq"]
    assert len(set_aside(path.parent)) < gone
    removed = next(each for each in found if each["event"] == "audit.removed")
    assert "older than 0 days" in removed["reason"]

    note = start_note_of(path)
    content = note.read_bytes()
    note.unlink()
    with pytest.raises(AuditBroken, match=r"records 1 to \d+ are missing"):
        verify(path, KEY)
    note.write_bytes(content.replace(b"0 ", b"1 ", 1))
    note.chmod(0o600)
    with pytest.raises(AuditBroken, match="the note of what was removed"):
        verify(path, KEY)


def test_a_removal_that_was_cut_short_is_finished_the_next_time(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The note is written first: what it names may still be there."""
    write(path, 12)
    with monkeypatch.context() as patched:
        noted: list[bool] = []
        note = start_note_of(path)
        patched.setattr(rotation, "remove_private", lambda _path: noted.append(note.exists()))
        write(path, 9, keeping=Keeping(bytes_a_file=1500, days=0))
    assert noted
    assert all(noted)
    assert verify(path, KEY) == records(path)[-1]["seq"]
    write(path, 9, keeping=Keeping(bytes_a_file=1500, days=0))
    assert records(path)[0]["seq"] > 1
    assert verify(path, KEY) == records(path)[-1]["seq"]


def test_h_g2_a_file_that_was_changed_is_not_removed_for_its_age(path: Path) -> None:
    """H-G2: it is evidence."""
    write(path, 12)
    first, second, *_ = set_aside(path.parent)
    repacked(second, 1)
    write(path, 12, keeping=Keeping(bytes_a_file=1500, days=0))
    assert not first.exists()
    assert set_aside(path.parent)[0] == second


# Another key


def keyed_at(path: Path) -> dict[str, Any]:
    return {"keeping": Keeping(), "key": lambda: load_or_create_key(path.with_suffix(".key"))}


def test_a_key_hands_over_to_the_next_and_the_chain_goes_on(path: Path) -> None:
    key_file = path.with_suffix(".key")
    write(path, 3, **keyed_at(path))
    log = log_at(path, **keyed_at(path))
    before = log.fingerprint("a secret")
    log.record("e")
    add_key(key_file)
    # One that knows only the old key goes on with it; who comes after hands over.
    write(path, 1, **keyed_at(path))
    log.record("e")

    key = load_or_create_key(key_file)
    assert len(key) == 64
    assert verify(path, key) == 7
    (handed,) = [each for each in records(path) if each["event"] == "audit.key_changed"]
    assert handed["details"]["old"] == key_name(key[:32])
    assert handed["details"]["new"] == key_name(key[32:])
    assert log_at(path, **keyed_at(path)).fingerprint("a secret") == before
    for half in (key[:32], key[32:]):
        with pytest.raises(AuditBroken):
            verify(path, half)


def test_with_the_older_key_alone_nobody_can_go_on(path: Path) -> None:
    key_file = path.with_suffix(".key")
    write(path, 2, **keyed_at(path))
    add_key(key_file)
    write(path, 2, **keyed_at(path))
    key = load_or_create_key(key_file)
    with pytest.raises(AuditBroken, match="neither its last record nor its head"):
        write(path, 1, key=lambda: key[:32], keeping=Keeping())
    assert verify(path, key) == 5


def test_a_record_whose_key_changed_is_shortened_from_its_start_too(path: Path) -> None:
    options = keyed_at(path) | {"keeping": SMALL}
    write(path, 12, **options)
    add_key(path.with_suffix(".key"))
    write(path, 12, **options)
    write(path, 9, **options | {"keeping": Keeping(bytes_a_file=1500, days=0)})
    key = load_or_create_key(path.with_suffix(".key"))
    assert verify(path, key) == records(path)[-1]["seq"]


# Fingerprints


def test_the_newest_fingerprints_are_found_in_files_that_were_set_aside(path: Path) -> None:
    log = log_at(path)
    log.record("secret.entered", secret=Secret("a-made-up-token", "api-token"))
    write(path, 12)
    assert len(set_aside(path.parent)) > 1
    assert fingerprints_in(path) == {log.fingerprint("a-made-up-token"): "api-token"}


def test_who_reads_while_it_is_compressed_finds_the_lines(path: Path) -> None:
    write(path, 9)
    aside = set_aside(path.parent)[0]
    lines = [*lines_in(aside)]
    plain = aside.with_suffix("")
    assert [*lines_in(plain)] == lines
    plain.write_bytes(b"".join(lines))
    plain.chmod(0o600)
    assert set_aside(path.parent)[0] == aside
