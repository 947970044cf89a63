"""The audit record: nothing is lost among many writers, and whatever is done to it is seen."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import hmac
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from guard import audit, chain, pen
from guard.audit import (
    LONGEST_REASON,
    Actor,
    AuditLog,
    fingerprints_in,
    load_or_create_key,
    verify,
)
from guard.errors import AuditBroken, AuditBusy, FileUnwritable, UnsafeFile
from guard.scrub import Scrubber
from guard.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sized

REPOSITORY = Path(__file__).parents[2]
KEY = bytes(range(32))
ACTOR = Actor(
    kind="human", agent=None, uid=1000, pid=2, ppid=1, tty="/dev/pts/7", command="twg login"
)
TOKEN = "n0t-A-r3al_token.Value~9"

APPEND = """
import sys, threading
from pathlib import Path
from guard.audit import Actor, AuditLog, load_or_create_key
log = AuditLog(
    Path(sys.argv[1]),
    key=lambda: load_or_create_key(Path(sys.argv[1]).with_suffix(".key")),
    actor=Actor.of_this_process(agent=None, command="writer"),
    patience=60,
)
def append(thread):
    for number in range(int(sys.argv[2])):
        log.record("token.refreshed", reason=f"{number} " + "x" * 400, profile=f"thread-{thread}")
threads = [threading.Thread(target=append, args=[each]) for each in range(int(sys.argv[3]))]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""
FORK = """
import os, sys, threading
from pathlib import Path
from guard.audit import Actor, AuditLog, load_or_create_key
from guard.chain import Chain
log = AuditLog(
    Path(sys.argv[1]),
    key=lambda: load_or_create_key(Path(sys.argv[1]).with_suffix(".key")),
    actor=Actor.of_this_process(agent=None, command="parent"),
)
def say(word):
    os.write(1, word.encode() + b"\\n")
log.record("e")
append = Chain.append
def with_the_lock(chain, records):
    say("locked")
    Chain.append = append
    if os.fork() == 0:
        Chain.append = lambda chain, records: (say("child"), append(chain, records))
        log.record("e")
        os._exit(0)
    # Were the child let in, it would be by now.
    threading.Event().wait(0.3)
    say("parent")
    append(chain, records)
Chain.append = with_the_lock
log.record("e")
os.wait()
"""
DIE_IN_THE_MIDDLE = """
import os, signal
write = os.write
def half(descriptor, data):
    if not bytes(data).startswith(b'{"ts":'):
        return write(descriptor, data)
    write(descriptor, data[: len(data) // 2])
    os.kill(os.getpid(), signal.SIGKILL)
os.write = half
"""
SIXTY_FOUR = """
import os, signal, sys, threading
from pathlib import Path
from guard.audit import Actor, AuditLog, load_or_create_key
path, dying, die = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
def child(number):
    log = AuditLog(
        path,
        key=lambda: load_or_create_key(path.with_suffix(".key")),
        actor=Actor.of_this_process(agent=None, command=f"writer {number}", environ={}),
        patience=120,
    )
    os.read(go, 1)
    for each in range(10):
        if number < dying and each == 5:
            exec(die, {})
        log.record("token.refreshed", reason=f"{each}")
    os._exit(0)
go, gone = os.pipe()
children = []
for number in range(64):
    pid = os.fork()
    if pid == 0:
        os.close(gone)
        child(number)
    children.append(pid)
os.close(go)
os.close(gone)
ends = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
assert sorted(ends) == [-signal.SIGKILL] * dying + [0] * (64 - dying), ends
"""
FILL_THE_DISK = """
import resource
from guard.errors import AuditBroken
size = Path(sys.argv[1]).stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 50, size + 50))
try:
    log.record("token.refreshed")
except AuditBroken as error:
    print(error)
"""
BATCH = """
with log.afterwards():
    for number in range(3):
        log.record("token.refreshed", reason=f"{number} " + "x" * 400)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "audit.jsonl"


def log_at(path: Path, *, key: bytes = KEY, **options: Any) -> AuditLog:
    return AuditLog(path, key=lambda: key, actor=ACTOR, **options)


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def written(path: Path, count: int) -> list[bytes]:
    """Write some records, and return their lines."""
    log = log_at(path)
    for number in range(count):
        log.record("token.refreshed", profile=f"profile-{number}")
    return path.read_bytes().splitlines(keepends=True)


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(
        command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def run(code: str, *arguments: object, status: int = 0) -> str:
    """Run Python code in a process of its own, and return what it says."""
    process = start(code, *arguments)
    said, errors = process.communicate()
    assert (errors, process.returncode) == ("", status)
    return said


@contextlib.contextmanager
def locked(path: Path, by: bytes = b"") -> Iterator[None]:
    """Keep the log locked, as another process that names itself `by` would."""
    with path.with_name("audit.jsonl.lock").open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if by:
            held.truncate(0)
            held.write(by)
            held.flush()
        yield


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds that a thread brings about."""
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def waiting_in(log: AuditLog) -> Sized:
    """Return what waits for its turn."""
    pen = log._pen
    assert pen is not None
    return pen._rounds._waiting


def written_lines(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows by the number of lines of each write to a log."""
    writes: list[int] = []
    write = os.write

    def counted(descriptor: int, data: bytes) -> int:
        if data.startswith(b'{"ts":'):
            writes.append(data.count(b"\n"))
        return write(descriptor, data)

    monkeypatch.setattr(os, "write", counted)
    return writes


class CountingScrubber(Scrubber):
    """Counts how often it cleans a text."""

    passes = 0

    def text(self, text: str) -> str:
        self.passes += 1
        return super().text(text)


def key_of(path: Path) -> bytes:
    """Return the key that the processes use."""
    return load_or_create_key(path.with_suffix(".key"))


# What a record holds


def test_a_record_says_who_did_what_with_which_secret(path: Path) -> None:
    log = log_at(path, trace="trace-1")
    log.record(
        "token.revoked",
        secret=Secret(TOKEN, "refresh-token"),
        outcome="failed",
        reason="no answer",
        host="auth.example.com",
        profile="work",
    )

    (record,) = records(path)
    when = datetime.fromisoformat(record.pop("ts"))
    assert abs(datetime.now(UTC) - when) < timedelta(minutes=5)
    assert re.fullmatch("[0-9a-f]{64}", record.pop("mac"))
    assert record == {
        "seq": 1,
        "event": "token.revoked",
        "actor": {
            "kind": "human",
            "agent": None,
            "uid": 1000,
            "pid": 2,
            "ppid": 1,
            "tty": "/dev/pts/7",
            "command": "twg login",
        },
        "secret": {"kind": "refresh-token", "fingerprint": log.fingerprint(TOKEN)},
        "outcome": "failed",
        "reason": "no answer",
        "host": "auth.example.com",
        "trace": "trace-1",
        "profile": "work",
        "prev": "0" * 64,
    }


def test_times_are_utc_with_microseconds(path: Path) -> None:
    line = written(path, 1)[0].decode()
    assert re.match(r'\{"ts":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z",', line)


def test_what_is_not_known_is_not_there(path: Path) -> None:
    log_at(path).record("policy.granted")
    assert set(records(path)[0]) == {"ts", "seq", "event", "actor", "outcome", "prev", "mac"}


def test_a_secret_that_is_not_at_hand_is_named_by_its_kind(path: Path) -> None:
    log_at(path).record("secret.refused", kind="an Atlassian API token", outcome="refused")
    assert records(path)[0]["secret"] == {"kind": "an Atlassian API token"}


def test_the_record_knows_the_fingerprints_of_what_was_entered_and_issued(path: Path) -> None:
    """Not of what was refused, which may be a word that stands anywhere."""
    log = log_at(path)
    log.record("secret.entered", secret=Secret(TOKEN, "api-token"))
    log.record("token.issued", secret=Secret(f"{TOKEN}2", "access-token"))
    log.record("secret.refused", secret=Secret("production", "secret"))
    log.record("store.opened")
    with path.open("ab") as file:
        file.write(b"[]\n{}\nno record\n")

    assert fingerprints_in(path) == {
        log.fingerprint(TOKEN): "api-token",
        log.fingerprint(f"{TOKEN}2"): "access-token",
    }


def test_of_a_long_record_the_newest_part_is_looked_at(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = log_at(path)
    log.record("secret.entered", secret=Secret(f"{TOKEN}1", "api-token"))
    log.record("secret.entered", secret=Secret(f"{TOKEN}2", "api-token"))
    monkeypatch.setattr(audit, "_NEWEST", path.stat().st_size - 10)

    assert fingerprints_in(path) == {log.fingerprint(f"{TOKEN}2"): "api-token"}


def test_where_nothing_is_recorded_no_fingerprint_is_known(path: Path) -> None:
    assert fingerprints_in(path) == {}
    assert not path.parent.exists()


def test_the_fingerprint_tells_secrets_apart_to_those_who_have_the_key(path: Path) -> None:
    log, other_key = log_at(path), log_at(path, key=bytes(32))
    assert log.fingerprint(TOKEN) == log_at(path).fingerprint(TOKEN)
    assert log.fingerprint(TOKEN) != log.fingerprint(TOKEN + "x")
    assert log.fingerprint(TOKEN) != other_key.fingerprint(TOKEN)
    assert re.fullmatch("[0-9a-f]{16}", log.fingerprint(TOKEN))


def test_the_mac_is_the_last_thing_in_a_line_and_that_of_all_before_it(path: Path) -> None:
    line = written(path, 1)[0].decode()
    body, mac = line.split(',"mac":"')
    assert mac == hmac.new(KEY, body.encode(), "sha256").hexdigest() + '"}\n'
    assert body.endswith(f',"prev":"{"0" * 64}"')
    # A secret that is a record shows no part of that record's MAC.
    assert log_at(path).fingerprint(body) != mac[:16]


def test_no_value_of_a_secret_is_in_the_record(path: Path) -> None:
    scrubber = Scrubber()
    scrubber.learn(TOKEN, "access-token")
    log = log_at(path, scrubber=scrubber)
    log.record(
        f"event {TOKEN}",
        secret=Secret(TOKEN, f"kind {TOKEN}"),
        outcome=TOKEN,
        reason=f"sent {TOKEN.encode().hex()}",
        host=f"{TOKEN}.example.com",
        profile=TOKEN,
    )
    log.record("secret.refused", kind=TOKEN)
    text = path.read_text()
    assert TOKEN not in text
    assert TOKEN.encode().hex() not in text
    assert records(path)[0]["reason"] == "sent ‹redacted:access-token›"


def test_words_are_cut_after_the_secrets_in_them_were_replaced(path: Path) -> None:
    """H-F3."""
    scrubber = Scrubber()
    scrubber.learn(TOKEN, "access-token")
    log_at(path, scrubber=scrubber).record("e", reason="x" * (LONGEST_REASON - 10) + TOKEN)
    reason = records(path)[0]["reason"]
    assert len(reason) == LONGEST_REASON
    assert reason.endswith("x‹redacted:")


def test_the_longest_of_records_is_read_back_as_the_last_one(path: Path) -> None:
    wide = "\U0001f512" * 10_000
    actor = Actor(kind=wide, agent=wide, uid=1, pid=1, ppid=1, tty=wide, command=wide)
    log = AuditLog(path, key=lambda: KEY, actor=actor, trace="t")
    for _ in range(3):
        log.record(
            wide, secret=Secret("x", wide), outcome=wide, reason=wide, host=wide, profile=wide
        )
    assert verify(path, KEY) == 3


def test_the_key_is_not_loaded_before_something_is_recorded(path: Path) -> None:
    loaded: list[int] = []

    def key() -> bytes:
        loaded.append(1)
        return KEY

    log = AuditLog(path, key=key, actor=ACTOR)
    assert not loaded
    log.record("e", secret=Secret(TOKEN))
    log.record("e")
    assert len(loaded) == 1


# Many writers


def test_h_g1_of_many_processes_no_line_is_lost_torn_or_out_of_chain(path: Path) -> None:
    """H-G1: eight with eight threads each, that begin at once, with neither directory nor key."""
    processes = [start(APPEND, path, 20, 8) for _ in range(8)]
    ends = [(*process.communicate(), process.returncode) for process in processes]
    assert ends == [("", "", 0)] * 8

    found = records(path)
    assert verify(path, key_of(path)) == 64 * 20
    assert [record["seq"] for record in found] == list(range(1, 64 * 20 + 1))
    assert [record["ts"] for record in found] == sorted(record["ts"] for record in found)
    for process in processes:
        for thread in range(8):
            mine = (process.pid, f"thread-{thread}")
            own = [each for each in found if (each["actor"]["pid"], each["profile"]) == mine]
            assert [record["reason"].split()[0] for record in own] == [*map(str, range(20))]


def test_h_g1_of_64_processes_some_are_killed_amid_a_line_and_no_line_is_lost(path: Path) -> None:
    """H-G1: each torn line is mended by whoever comes next, and that is recorded."""
    run(SIXTY_FOUR, path, 8, DIE_IN_THE_MIDDLE)
    run(APPEND, path, 1, 1)
    found = records(path)
    assert verify(path, key_of(path)) == len(found)
    for number in range(64):
        own = [each for each in found if each["actor"]["command"] == f"writer {number}"]
        said = [each["reason"] for each in own if each["event"] == "token.refreshed"]
        assert said == [*map(str, range(5 if number < 8 else 10))]
    mended = [each for each in found if each["event"] == "audit.mended"]
    # Fewer, where one that mends an end is killed amid its own line.
    assert 1 <= len(mended) <= 8
    assert all("an unfinished record" in each["reason"] for each in mended)


def test_what_waits_at_one_moment_is_written_at_once(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """H-G1: the one whose turn it is writes for all threads that wait."""
    written(path, 1)
    log = log_at(path)
    log.record("e")
    writes = written_lines(monkeypatch)
    with locked(path):
        threads = [threading.Thread(target=log.record, args=("e",)) for _ in range(8)]
        for thread in threads:
            thread.start()
        until(lambda: len(waiting_in(log)) == 7)
    for thread in threads:
        thread.join()
    assert writes == [1, 7]
    assert verify(path, KEY) == 10


def test_a_process_that_was_forked_waits_for_its_parent(path: Path) -> None:
    """H-G1: it has the lock's open file from its parent, but not the lock."""
    said = run(FORK, path)
    assert said.split() == ["locked", "parent", "child"]
    assert verify(path, key_of(path)) == 3


@pytest.mark.parametrize("before", [0, 3])
def test_h_g1_killed_in_the_middle_of_a_line(path: Path, before: int) -> None:
    """H-G1: the next writer mends the end, and records that it did."""
    run(APPEND, path, before, 1)
    run(DIE_IN_THE_MIDDLE + APPEND, path, 1, 1, status=-signal.SIGKILL)
    torn = path.read_bytes().rpartition(b"\n")[2]
    assert torn.startswith(b'{"ts":')

    run(APPEND, path, 1, 1)

    mended, last = records(path)[before:]
    assert mended["event"] == "audit.mended"
    assert mended["reason"] == f"an unfinished record of {len(torn)} bytes was cut off"
    assert last["event"] == "token.refreshed"
    assert verify(path, key_of(path)) == before + 2


def test_h_g3_on_a_full_disk_a_record_is_refused_and_the_others_stay(path: Path) -> None:
    """H-G3."""
    assert "the disk is full" in run(APPEND + FILL_THE_DISK, path, 2, 1)
    run(APPEND, path, 1, 1)
    assert verify(path, key_of(path)) == 3
    assert {record["event"] for record in records(path)} == {"token.refreshed"}


@pytest.mark.parametrize(
    ("on_failure", "vital", "stops"),
    [
        (None, True, True),
        (None, False, False),
        ("stop", True, True),
        ("stop", False, True),
        ("warn", True, False),
        ("warn", False, False),
    ],
)
def test_h_g3_the_setting_decides_whether_what_cannot_be_recorded_is_done(
    path: Path, on_failure: Any, *, vital: bool, stops: bool
) -> None:
    """H-G3: by default what is vital is stopped; what is done is told, and recorded later."""
    told: list[str] = []
    log = log_at(path, patience=0.05, on_failure=on_failure, warn=told.append)
    log.record("first")
    with locked(path), pytest.raises(AuditBusy) if stops else contextlib.nullcontext():
        log.record("second", vital=vital)
    assert len(told) == (not stops)
    log.record("last")
    events = [each["event"] for each in records(path)]
    assert events == (["first", "last"] if stops else ["first", "audit.delayed", "second", "last"])


def test_h_g3_a_warning_is_enough_to_prove_where_the_setting_says_so(path: Path) -> None:
    """H-G3."""
    told: list[str] = []
    log = log_at(path, patience=0.05, on_failure="warn", warn=told.append)
    log.record("first")
    with locked(path):
        log.prove()
    assert len(told) == 1


def test_what_is_to_be_durable_is_synced_before_it_returns(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = log_at(path)
    log.record("first")
    assert not log.is_settled
    at_sync: list[list[str]] = []
    monkeypatch.setattr(
        chain, "_sync", lambda _log: at_sync.append([each["event"] for each in records(path)])
    )
    log.record("second", durable=True)
    assert at_sync == [["first", "second"]]
    assert log.is_settled


def test_before_the_first_record_comes_its_preface_once(path: Path) -> None:
    def preface(log: Any) -> None:
        log.record("command.started", details={"version": "1"})

    log = log_at(path, patience=0.05, preface=preface)
    log.prove()
    with locked(path), pytest.raises(AuditBusy):
        log.record("refused")
    assert not log.has_begun
    log.record("first")
    log.record("second")
    assert [each["event"] for each in records(path)] == ["command.started", "first", "second"]
    assert records(path)[0]["details"] == {"version": "1"}


def test_details_are_scrubbed_cut_and_bounded(path: Path) -> None:
    """H-F3."""
    scrubber = Scrubber()
    scrubber.learn(TOKEN, "access-token")
    log = log_at(path, scrubber=scrubber)
    log.record("e", details={"words": [TOKEN, "x" * 900], "in": {"it": TOKEN}, "none": None})
    log.record("e", details={"words": ["x" * 400] * 200})
    first, second = [each["details"] for each in records(path)]
    assert first == {
        "words": ["‹redacted:access-token›", "x" * LONGEST_REASON],
        "in": {"it": "‹redacted:access-token›"},
    }
    assert second == {"omitted": "too long"}


def test_another_writer_is_waited_for_only_so_long_and_named(path: Path) -> None:
    written(path, 1)
    log = log_at(path, patience=0.05)
    with locked(path, by=b"4711"):
        for _ in range(2):
            with pytest.raises(AuditBusy, match=r"^process 4711 has kept .* locked for 0\.05 sec"):
                log.record("e")
    log.record("e")
    assert verify(path, KEY) == 2


def test_who_removes_the_lock_file_lets_nobody_in_beside_others(path: Path) -> None:
    log = log_at(path, patience=0.05)
    log.record("e")
    path.with_name("audit.jsonl.lock").unlink()
    with locked(path), pytest.raises(AuditBusy):
        log.record("e")
    log.record("e")
    assert path.with_name("audit.jsonl.lock").read_bytes() == b"%-10d\n" % os.getpid()
    assert verify(path, KEY) == 2


def test_h_g1_a_batch_that_is_cut_off_loses_its_unfinished_line_alone(path: Path) -> None:
    """H-G1: whole lines stay, the torn one is cut off, and that is recorded."""
    run(APPEND + DIE_IN_THE_MIDDLE + BATCH, path, 1, 1, status=-signal.SIGKILL)
    torn = path.read_bytes().rpartition(b"\n")[2]
    assert torn.startswith(b'{"ts":')
    run(APPEND, path, 1, 1)
    reasons = [record["reason"].split()[0] for record in records(path)]
    assert reasons == ["0", "0", "an", "0"]
    assert verify(path, key_of(path)) == 4


def test_h_g3_of_a_batch_that_finds_no_room_nothing_is_there(path: Path) -> None:
    """H-G3: nor does a part of it pass for all."""
    run(APPEND + FILL_THE_DISK.replace("+ 50", "+ 900") + BATCH, path, 1, 1)
    run(APPEND, path, 1, 1)
    assert ["reason" in record for record in records(path)] == [True, False, True]
    assert verify(path, key_of(path)) == 3


# What is recorded afterwards


def test_afterwards_all_is_written_at_once_in_its_order(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = log_at(path)
    log.record("first")
    writes = written_lines(monkeypatch)
    with log.afterwards():
        log.record("second")
        with log.afterwards():
            log.record("third")
        assert len(records(path)) == 1
        beside = threading.Thread(target=log.record, args=("of another thread",))
        beside.start()
        beside.join()
    log.record("last")
    events = [record["event"] for record in records(path)]
    assert events == ["first", "of another thread", "second", "third", "last"]
    assert writes == [1, 2, 1]
    assert verify(path, KEY) == 5


def test_what_cannot_be_recorded_afterwards_is_told_once_and_recorded_later(path: Path) -> None:
    told: list[str] = []
    log = log_at(path, patience=0.05, warn=told.append)
    log.record("first")
    with locked(path, by=b"4711"):
        for number in range(2):
            with log.afterwards():
                log.record("done", profile=f"profile-{number}")
        with pytest.raises(AuditBusy):
            log.record("to be done")
    assert len(told) == 1
    assert "could not be recorded yet: " in told[0]
    assert "process 4711" in told[0]

    log.record("last")
    first, late, *done, last = records(path)
    assert (first["event"], last["event"]) == ("first", "last")
    assert late["event"] == "audit.delayed"
    assert late["reason"] == "2 records could not be written when they were due"
    assert [record["profile"] for record in done] == ["profile-0", "profile-1"]
    assert verify(path, KEY) == 5


def test_of_too_many_records_that_are_late_their_number_is_recorded(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And when it fails anew after that, it is told anew."""
    monkeypatch.setattr(pen, "_MOST_OWED", 3)
    told: list[str] = []
    log = log_at(path, patience=0.05, warn=told.append)
    for _ in range(2):
        log.record("e")
        with locked(path):
            for number in range(3):
                with log.afterwards():
                    log.record("done", profile=f"profile-{number}")
                    log.record("noted")
        with log.afterwards():
            log.record("e")
    late = [each["reason"] for each in records(path) if each["event"] == "audit.delayed"]
    words = "3 records could not be written when they were due, and 3 more were lost"
    assert late == [words, words]
    assert len(told) == 2
    assert verify(path, KEY) == 2 * (1 + 1 + 3 + 1)


def test_what_fails_in_the_block_is_raised_and_what_was_recorded_stays(path: Path) -> None:
    log = log_at(path)

    def fail() -> None:
        with log.afterwards():
            log.record("begun")
            path.with_name("missing").unlink()

    with pytest.raises(FileNotFoundError):
        fail()
    assert [record["event"] for record in records(path)] == ["begun"]


# What stands in a log that is kept open


def test_the_same_words_are_cleaned_once(path: Path) -> None:
    """Cleaning takes longest of all; what stands in the record may stand in it again."""
    scrubber = CountingScrubber()
    log = log_at(path, scrubber=scrubber)
    for number in range(300):
        log.record("secret.revealed", reason="seal in the store")
        if number:
            log.record("token.refreshed", profile=f"profile-{number}")
    # The actor; the words that come again, and once more as too many others came between; others.
    assert scrubber.passes <= 1 + 2 + 299
    found = records(path)
    assert {record["actor"]["command"] for record in found} == {"twg login"}
    assert [record["profile"] for record in found[2::2]] == [f"profile-{n}" for n in range(1, 300)]


def test_words_that_cannot_be_told_apart_are_cleaned_one_by_one(path: Path) -> None:
    scrubber = Scrubber()
    scrubber.learn(TOKEN, "access-token")
    log = log_at(path, scrubber=scrubber)
    log.record("e", reason=f"a \n\x1e\n b {TOKEN}", profile="work")
    (record,) = records(path)
    assert record["reason"] == "a \n\x1e\n b ‹redacted:access-token›"
    assert record["profile"] == "work"


@pytest.mark.parametrize("name", ["audit.jsonl", "audit.head"])
def test_h_g2_what_is_done_to_an_open_log_is_seen_too(path: Path, name: str) -> None:
    """H-G2: the file is the same and as long as before."""
    log = log_at(path)
    log.record("e", profile="one")
    file = path.with_name(name)
    content = file.read_bytes()
    status = file.stat()
    file.write_bytes(content[:-20] + b"x" + content[-19:])
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    log.record("e", profile="two")
    assert [record["event"] for record in records(path)][1] == "audit.mended"


def test_h_e2_an_open_log_whose_mode_is_changed_is_refused(path: Path) -> None:
    """H-E2."""
    log = log_at(path)
    log.record("e")
    path.chmod(0o644)
    with pytest.raises(UnsafeFile):
        log.record("e")
    path.chmod(0o600)
    log.record("e")
    assert verify(path, KEY) == 2


# What was done to it


def without(lines: list[bytes], *numbers: int) -> list[bytes]:
    return [line for number, line in enumerate(lines, start=1) if number not in numbers]


def order(lines: list[bytes], *numbers: int) -> list[bytes]:
    return [lines[number - 1] for number in numbers]


def changed(lines: list[bytes], old: bytes, new: bytes) -> list[bytes]:
    assert any(old in line for line in lines)
    return [line.replace(old, new) for line in lines]


@pytest.mark.parametrize(
    ("tamper", "problem"),
    [
        (lambda x: changed(x, b"profile-2", b"profile-9"), "line 3 (record 3) was changed"),
        (lambda x: changed(x, b'"seq":3', b'"seq":7'), "line 3 (record 3) was changed"),
        (lambda x: changed(x, b'"seq":3', b'"seq" :3'), "line 3 (record 3) was changed"),
        (lambda x: changed(x, b'"seq":3', b'"seq":9,"seq":3'), "line 3 (record 3) was changed"),
        (lambda x: without(x, 1), "records 1 to 1 are missing before line 1 (record 2)"),
        (lambda x: without(x, 3), "records 3 to 3 are missing before line 3 (record 4)"),
        (lambda x: without(x, 2, 3), "records 2 to 3 are missing before line 2 (record 4)"),
        (
            lambda x: order(x, 1, 3, 2, 4, 5),
            "line 2 (record 3) was swapped with line 3 (record 2)",
        ),
        (lambda x: order(x, 1, 2, 2, 3, 4, 5), "line 3 (record 2) is repeated"),
        (lambda x: order(x, 1, 2, 3, 4, 5, 1), "line 6 (record 1) is repeated"),
        (lambda x: [*x[:2], b"\n", *x[2:]], "line 3 is not a record"),
        (lambda x: [*x[:2], b"[" * 20_000 + b"\n", *x[2:]], "line 3 is not a record"),
        (lambda x: [*x[:2], b"[]\n", *x[2:]], "line 3 is not a record"),
        (lambda x: [*x[:2], b'{"seq":3}\n', *x[2:]], "line 3 is not sound: it was inserted"),
        (lambda x: [*x, x[4][:9]], "line 6 is unfinished"),
        (lambda x: [*x[:4], x[4][:-1]], "line 5 is unfinished"),
        (lambda x: without(x, 5), "records 5 to 5 were cut off its end"),
        (lambda x: without(x, 3, 4, 5), "records 3 to 5 were cut off its end"),
        (lambda _: [], "records 1 to 5 were cut off its end"),
    ],
)
def test_h_g2_the_first_bad_record_is_named(
    path: Path, tamper: Callable[[list[bytes]], list[bytes]], problem: str
) -> None:
    """H-G2."""
    lines = written(path, 5)
    assert verify(path, KEY) == 5
    path.write_bytes(b"".join(tamper(lines)))
    with pytest.raises(AuditBroken, match=re.escape(problem)):
        verify(path, KEY)


def test_h_g2_one_from_another_chain_does_not_fit(path: Path, tmp_path: Path) -> None:
    """H-G2."""
    lines = written(path, 3)
    lines[1] = written(tmp_path / "other" / "audit.jsonl", 2)[1]
    path.write_bytes(b"".join(lines))
    with pytest.raises(AuditBroken, match=r"line 2 \(record 2\) does not follow: wrong prev"):
        verify(path, KEY)


def test_h_g2_no_bit_can_be_changed_and_nothing_cut_off_anywhere(path: Path) -> None:
    """H-G2."""
    sound = b"".join(written(path, 2))
    for place in range(len(sound)):
        for bad in (
            sound[:place],
            sound[:place] + bytes([sound[place] ^ 1]) + sound[place + 1 :],
        ):
            path.write_bytes(bad)
            with pytest.raises(AuditBroken):
                verify(path, KEY)


def test_under_another_key_the_first_record_is_bad(path: Path) -> None:
    written(path, 2)
    with pytest.raises(AuditBroken, match=r"line 1 \(record 1\) was changed"):
        verify(path, bytes(32))


def test_h_g2_a_log_removed_whole_is_missed(path: Path) -> None:
    """H-G2."""
    written(path, 2)
    path.unlink()
    with pytest.raises(AuditBroken, match="records 1 to 2 were cut off"):
        verify(path, KEY)


@pytest.mark.parametrize("tamper", [Path.unlink, lambda head: head.write_bytes(b"x" * 151)])
def test_h_g2_without_its_head_file_the_end_is_not_certain(
    path: Path, tamper: Callable[[Path], object]
) -> None:
    """H-G2: and a writer that makes a new one records that."""
    written(path, 2)
    tamper(path.with_name("audit.head"))
    with pytest.raises(AuditBroken, match=r"head file audit\.head is missing or was changed"):
        verify(path, KEY)
    log_at(path).record("e")
    assert verify(path, KEY) == 4
    assert records(path)[2]["reason"] == "the head file was missing or changed"


def test_h_g2_an_end_that_was_put_back_beside_another_head_is_seen(path: Path) -> None:
    """H-G2: both are of this key; they are not of one time."""
    written(path, 1)
    head = path.with_name("audit.head")
    earlier = path.read_bytes(), head.read_bytes()
    log_at(path).record("first")
    first = path.read_bytes()
    path.write_bytes(earlier[0])
    head.write_bytes(earlier[1])
    log_at(path).record("second")
    path.write_bytes(first)
    with pytest.raises(AuditBroken, match=r"\(record 2\) is not the one that the head file"):
        verify(path, KEY)


def test_h_g2_writing_on_does_not_hide_what_was_cut_off(path: Path) -> None:
    """H-G2."""
    lines = written(path, 5)
    path.write_bytes(b"".join(lines[:3]))
    log_at(path).record("e")
    assert records(path)[3]["reason"] == "records 4 to 5 were missing"
    with pytest.raises(AuditBroken, match=r"records 4 to 5 are missing before line 4 \(record 6\)"):
        verify(path, KEY)


def test_h_g2_writing_on_does_not_hide_a_changed_last_record(path: Path) -> None:
    """H-G2."""
    written(path, 2)
    path.write_bytes(path.read_bytes().replace(b"profile-1", b"profile-9"))
    log_at(path).record("e")
    assert records(path)[2]["reason"] == "the last record was changed"
    with pytest.raises(AuditBroken, match=r"line 2 \(record 2\) was changed"):
        verify(path, KEY)


def test_with_a_lost_key_nothing_is_added(path: Path) -> None:
    lines = written(path, 2)
    with pytest.raises(AuditBroken, match="neither its last record nor its head file"):
        log_at(path, key=bytes(32)).record("e")
    assert path.read_bytes() == b"".join(lines)


def test_to_what_is_no_record_at_all_nothing_is_added(path: Path) -> None:
    written(path, 1)
    junk = path.read_bytes() + b"x" * 100_000
    path.write_bytes(junk)
    with pytest.raises(AuditBroken, match="ends in something that is not a record"):
        log_at(path).record("e")
    assert path.read_bytes() == junk


def test_where_nothing_was_recorded_there_is_nothing_to_check_or_made(path: Path) -> None:
    assert verify(path, KEY) == 0
    assert not path.parent.exists()


# Files


def test_all_files_are_private_whatever_the_umask(path: Path) -> None:
    """H-E2."""
    before = os.umask(0)
    try:
        log = AuditLog(path, key=lambda: load_or_create_key(path.with_suffix(".key")), actor=ACTOR)
        log.record("e")
    finally:
        os.umask(before)
    modes = {each.name: each.stat().st_mode & 0o777 for each in path.parent.iterdir()}
    names = {"audit.jsonl", "audit.jsonl.lock", "audit.head", "audit.key"}
    assert modes == dict.fromkeys(names, 0o600)
    assert path.parent.stat().st_mode & 0o777 == 0o700


def link(file: Path) -> None:
    file.rename(file.with_name("elsewhere"))
    file.symlink_to("elsewhere")


def hard_link(file: Path) -> None:
    file.with_name("second").hardlink_to(file)


def fifo(file: Path) -> None:
    file.unlink()
    os.mkfifo(file, 0o600)


def directory(file: Path) -> None:
    file.unlink()
    file.mkdir(0o700)


def readable(file: Path) -> None:
    file.chmod(0o644)


@pytest.mark.parametrize("make_unsafe", [link, hard_link, fifo, directory, readable])
@pytest.mark.parametrize("name", ["audit.jsonl", "audit.head", "audit.key"])
def test_h_e2_an_unsafe_file_is_refused(
    path: Path, name: str, make_unsafe: Callable[[Path], None]
) -> None:
    """H-E2: to write and to check."""
    log_at(path, key=key_of(path)).record("e")
    make_unsafe(path.with_name(name))

    with pytest.raises(UnsafeFile):
        AuditLog(path, key=lambda: key_of(path), actor=ACTOR).record("e")
    with pytest.raises(UnsafeFile):
        verify(path, key_of(path))


def test_h_e2_a_directory_open_to_others_is_refused(path: Path) -> None:
    """H-E2."""
    written(path, 1)
    path.parent.chmod(0o755)
    with pytest.raises(UnsafeFile):
        log_at(path).record("e")


def test_a_link_in_place_of_the_lock_is_refused(path: Path) -> None:
    path.parent.mkdir(mode=0o700)
    path.with_name("audit.jsonl.lock").symlink_to("elsewhere")
    with pytest.raises(AuditBroken, match="cannot be written or read"):
        log_at(path).record("e")
    assert not path.with_name("elsewhere").exists()


def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FileUnwritable):
        log_at(tmp_path / "file" / "state" / "audit.jsonl").record("e")


# The key


def test_the_key_is_made_once_and_for_all(path: Path) -> None:
    """H-E2."""
    key_file = path.with_suffix(".key")
    keys: set[bytes] = set()
    threads = [
        threading.Thread(target=lambda: keys.add(load_or_create_key(key_file))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    keys.add(load_or_create_key(key_file))
    (key,) = keys
    assert len(key) == 32
    assert base64.urlsafe_b64decode(key_file.read_text()) == key
    assert [*path.parent.iterdir()] == [key_file]
    assert load_or_create_key(path.with_suffix(".other")) != key


@pytest.mark.parametrize(
    "content", [b"", b"short", base64.b64encode(bytes(31)), base64.b64encode(bytes(32)) + b"??"]
)
def test_what_is_no_key_is_not_taken_for_one(path: Path, content: bytes) -> None:
    load_or_create_key(path.with_suffix(".key"))
    path.with_suffix(".key").write_bytes(content)
    with pytest.raises(AuditBroken, match="not the key"):
        load_or_create_key(path.with_suffix(".key"))
    assert path.with_suffix(".key").read_bytes() == content
