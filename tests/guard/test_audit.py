"""The audit record: nothing is lost among many writers, and whatever is done to it is seen."""

from __future__ import annotations

import base64
import fcntl
import hmac
import json
import os
import re
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from guard.audit import LONGEST_REASON, Actor, AuditLog, load_or_create_key, verify
from guard.errors import AuditBroken, FileUnwritable, UnsafeFile
from guard.scrub import Scrubber
from guard.secret import Secret
from tests.rigs.surroundings import clean_env
from tests.rigs.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable

REPOSITORY = Path(__file__).parents[2]
KEY = bytes(range(32))
ACTOR = Actor(
    kind="human", agent=None, uid=1000, pid=2, ppid=1, tty="/dev/pts/7", command="twg login"
)
TOKEN = "n0t-A-r3al_token.Value~9"

APPEND = """
import sys
from pathlib import Path
from guard.audit import Actor, AuditLog, load_or_create_key
log = AuditLog(
    Path(sys.argv[1]),
    key=lambda: load_or_create_key(Path(sys.argv[1]).with_suffix(".key")),
    actor=Actor.of_this_process(agent=None, command="writer"),
    patience=60,
)
for number in range(int(sys.argv[2])):
    log.record("token.refreshed", reason=f"{number} " + "x" * 400)
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


def test_the_fingerprint_tells_secrets_apart_to_those_who_have_the_key(path: Path) -> None:
    log, other_key = log_at(path), log_at(path, key=bytes(32))
    assert log.fingerprint(TOKEN) == log_at(path).fingerprint(TOKEN)
    assert log.fingerprint(TOKEN) != log.fingerprint(TOKEN + "x")
    assert log.fingerprint(TOKEN) != other_key.fingerprint(TOKEN)
    assert re.fullmatch("[0-9a-f]{16}", log.fingerprint(TOKEN))


def test_the_mac_is_that_of_the_record_as_canonical_json(path: Path) -> None:
    written(path, 1)
    (record,) = records(path)
    mac = record.pop("mac")
    canonical = json.dumps(record, sort_keys=True, separators=(",", ":"))
    assert mac == hmac.new(KEY, canonical.encode(), "sha256").hexdigest()
    # A secret that is a record shows no part of that record's MAC.
    assert log_at(path).fingerprint(canonical) != mac[:16]


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
    """H-G1: sixteen that begin at once, with neither directory nor key."""
    processes = [start(APPEND, path, 20) for _ in range(16)]
    ends = [(*process.communicate(), process.returncode) for process in processes]
    assert ends == [("", "", 0)] * 16

    found = records(path)
    assert verify(path, key_of(path)) == 16 * 20
    assert [record["seq"] for record in found] == list(range(1, 16 * 20 + 1))
    assert [record["ts"] for record in found] == sorted(record["ts"] for record in found)
    for process in processes:
        own = [record for record in found if record["actor"]["pid"] == process.pid]
        assert [record["reason"].split()[0] for record in own] == [*map(str, range(20))]


def test_threads_may_share_a_log(path: Path) -> None:
    log = log_at(path, patience=60)

    def work() -> None:
        for _ in range(10):
            log.record("e")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert verify(path, KEY) == 80


@pytest.mark.parametrize("before", [0, 3])
def test_h_g1_killed_in_the_middle_of_a_line(path: Path, before: int) -> None:
    """H-G1: the next writer mends the end, and records that it did."""
    run(APPEND, path, before)
    run(DIE_IN_THE_MIDDLE + APPEND, path, 1, status=-signal.SIGKILL)
    torn = path.read_bytes().rpartition(b"\n")[2]
    assert torn.startswith(b'{"ts":')

    run(APPEND, path, 1)

    mended, last = records(path)[before:]
    assert mended["event"] == "audit.mended"
    assert mended["reason"] == f"an unfinished record of {len(torn)} bytes was cut off"
    assert last["event"] == "token.refreshed"
    assert verify(path, key_of(path)) == before + 2


def test_h_g3_on_a_full_disk_a_record_is_refused_and_the_others_stay(path: Path) -> None:
    """H-G3."""
    assert "the disk is full" in run(APPEND + FILL_THE_DISK, path, 2)
    run(APPEND, path, 1)
    assert verify(path, key_of(path)) == 3
    assert {record["event"] for record in records(path)} == {"token.refreshed"}


def test_another_writer_is_waited_for_only_so_long(path: Path) -> None:
    written(path, 1)
    lock = path.with_name("audit.jsonl.lock")
    with lock.open("r+") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(AuditBroken, match=r"kept it locked for 0\.05 seconds"):
            log_at(path, patience=0.05).record("e")
    log_at(path).record("e")
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
        (lambda x: changed(x, b'"seq":3', b'"seq":7'), "line 3 (record 7) was changed"),
        (lambda x: changed(x, b'"seq":3', b'"seq" :3'), "line 3 (record 3) was changed"),
        (lambda x: changed(x, b'"seq":3', b'"seq":9,"seq":3'), "line 3 (record 3) was changed"),
        (lambda x: without(x, 1), "records 1 to 1 are missing before line 1 (record 2)"),
        (lambda x: without(x, 3), "records 3 to 3 are missing before line 3 (record 4)"),
        (lambda x: without(x, 2, 3), "records 2 to 3 are missing before line 2 (record 4)"),
        (lambda x: order(x, 1, 3, 2, 4, 5), "records 2 to 2 are missing before line 2 (record 3)"),
        (lambda x: order(x, 1, 2, 2, 3, 4, 5), "line 3 (record 2) is repeated or out of order"),
        (lambda x: order(x, 1, 2, 3, 4, 5, 1), "line 6 (record 1) is repeated or out of order"),
        (lambda x: [*x[:2], b"\n", *x[2:]], "line 3 is not a record"),
        (lambda x: [*x[:2], b"[" * 20_000 + b"\n", *x[2:]], "line 3 is not a record"),
        (lambda x: [*x[:2], b"[]\n", *x[2:]], "line 3 is not a record"),
        (lambda x: [*x[:2], b'{"seq":3}\n', *x[2:]], "line 3 (record 3) was changed"),
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


# Who acts

WHO = """
import json, os
from dataclasses import asdict
from guard.audit import Actor
print("who:", json.dumps(asdict(Actor.of_this_process(agent=None, command="c", environ={}))))
"""


@pytest.mark.parametrize(
    ("agent", "environ", "kind"),
    [
        ("claude", {"CI": "true"}, "agent"),
        (None, {"CI": "true"}, "ci"),
        (None, {"CI": "1"}, "ci"),
    ],
)
def test_an_agent_and_ci_are_told_from_a_person(
    agent: str | None, environ: dict[str, str], kind: str
) -> None:
    actor = Actor.of_this_process(agent=agent, command="twg api", environ=environ)
    assert (actor.kind, actor.agent, actor.command) == (kind, agent, "twg api")
    assert (actor.uid, actor.pid, actor.ppid) == (os.getuid(), os.getpid(), os.getppid())


def test_ci_is_known_by_the_process_s_own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "TRUE")
    assert Actor.of_this_process(agent=None, command="c").kind == "ci"


def test_without_a_terminal_it_is_a_service() -> None:
    command = [sys.executable, "-c", WHO]
    done = subprocess.run(
        command, cwd=REPOSITORY, check=True, capture_output=True, text=True, start_new_session=True
    )
    who = json.loads(done.stdout.removeprefix("who:"))
    assert (who["kind"], who["tty"]) == ("service", None)


@pytest.mark.parametrize(
    ("redirected", "terminal"), [("", "/dev/pts/"), (" <&- 2>&1 | cat", "/dev/tty")]
)
async def test_at_a_terminal_it_is_a_person(tmp_path: Path, redirected: str, terminal: str) -> None:
    command = ["sh", "-c", f"\"{sys.executable}\" -c '{WHO}'{redirected}"]
    env = clean_env(tmp_path)
    async with Terminal.start(command, env=env, cwd=REPOSITORY, columns=300) as window:
        shown = await window.until(re.compile(r"who: .*\}"))
    who = json.loads(shown[shown.index("{") : shown.index("}") + 1])
    assert who["kind"] == "human"
    assert who["tty"].startswith(terminal)
