"""The system's log hears of the record's newest line, and nobody waits for it."""

from __future__ import annotations

import json
import os
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from guard import pen
from guard.actor import Actor
from guard.audit import AuditLog, Keeping
from guard.links import Link
from guard.syslog import SystemLog

if TYPE_CHECKING:
    from collections.abc import Iterator

ACTOR = Actor(kind="human", agent=None, uid=1, pid=2, ppid=1, tty=None, command="twg api")


@pytest.fixture
def place() -> Iterator[str]:
    # The path of a socket has to be short.
    with tempfile.TemporaryDirectory(prefix="twg-") as directory:
        yield str(Path(directory) / "log")


@pytest.fixture
def system_log(place: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(place)
        listening.setblocking(False)  # noqa: FBT003 - its signature
        yield listening


def heard(listening: socket.socket) -> list[str]:
    lines = []
    while True:
        try:
            lines.append(listening.recv(4096).decode())
        except BlockingIOError:
            return lines


def test_it_is_told_number_and_mac_as_a_security_message(
    place: str, system_log: socket.socket
) -> None:
    SystemLog("twg", ["/nowhere/at/all", place])(Link(7, "ab" * 32))
    assert heard(system_log) == [f"<86>twg[{os.getpid()}]: audit seq=7 mac={'ab' * 32}"]


def test_one_that_is_not_there_or_does_not_keep_up_is_nobodys_trouble(
    place: str, system_log: socket.socket
) -> None:
    tell = SystemLog("twg", [place])
    for number in range(10_000):
        tell(Link(number, "ab" * 32))
    assert heard(system_log)
    system_log.close()
    tell(Link(1, "ab" * 32))
    SystemLog("twg", [])(Link(1, "ab" * 32))


def test_h_g2_the_newest_record_is_told_at_the_end_at_each_rotation_and_now_and_then(
    tmp_path: Path, place: str, system_log: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """H-G2: who puts back an older record with its head is told by the system's log."""
    monkeypatch.setattr(pen, "_MIRRORED_EACH", 3)
    path = tmp_path / "state" / "audit.jsonl"
    log = AuditLog(
        path,
        key=lambda: bytes(32),
        actor=ACTOR,
        mirror=SystemLog("twg", [place]),
        keeping=Keeping(bytes_a_file=1100),
    )
    log.finish()
    for _ in range(5):
        log.record("e")
    log.finish()
    log.finish()
    told = [line.rpartition("seq=")[2].split(" mac=") for line in heard(system_log)]
    assert [int(seq) for seq, _ in told] == [3, 6]
    newest = json.loads(path.read_text().splitlines()[-1])
    assert told[-1] == [str(newest["seq"]), newest["mac"]]
