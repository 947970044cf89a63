"""Custody: every secret is known to the scrubber at once, and each use of one is on record."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from guard.audit import Actor, AuditLog, verify
from guard.custody import Custody, LateCustody
from guard.errors import UnsafeFile
from guard.scrub import Scrubber

REPOSITORY = Path(__file__).parents[2]
KEY = bytes(32)
TOKEN = "n0t-A-r3al_token.Value~9"


@pytest.fixture
def log(tmp_path: Path) -> AuditLog:
    actor = Actor.of_this_process(agent=None, command="test", environ={})
    return AuditLog(tmp_path / "state" / "audit.jsonl", key=lambda: KEY, actor=actor)


@pytest.fixture
def custody(log: AuditLog) -> Custody:
    return Custody(Scrubber(), log)


def records(log: AuditLog) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.path.read_text().splitlines()]


@pytest.mark.parametrize("way", ["take", "enter"])
def test_a_secret_is_known_to_the_scrubber_from_the_start(custody: Custody, way: str) -> None:
    secret = getattr(custody, way)(TOKEN, "access-token")
    assert secret.kind == "access-token"
    assert custody.scrubber.text(f"a {TOKEN}") == "a ‹redacted:access-token›"


def test_a_late_one_makes_its_parts_once_there_is_a_secret(log: AuditLog) -> None:
    made = []

    def parts() -> tuple[Scrubber, AuditLog]:
        made.append(Scrubber())
        return made[0], log

    custody = LateCustody(parts)
    assert not made

    custody.take(TOKEN, "access-token")

    assert made[0].text(TOKEN) == "‹redacted:access-token›"
    assert custody.audit is log


def test_what_comes_from_a_store_or_a_server_leaves_no_record(
    custody: Custody, log: AuditLog
) -> None:
    custody.take(TOKEN, "access-token")
    assert not log.path.exists()


def test_what_a_person_enters_is_on_record(custody: Custody, log: AuditLog) -> None:
    custody.enter(TOKEN, "bitbucket-token")
    (record,) = records(log)
    assert record["event"] == "secret.entered"
    assert record["secret"] == {"kind": "bitbucket-token", "fingerprint": log.fingerprint(TOKEN)}


def test_each_use_is_on_record_once_with_its_purpose(custody: Custody, log: AuditLog) -> None:
    secret = custody.take(TOKEN, "access-token")
    assert secret.reveal("send it") == TOKEN
    assert secret.reveal("take its fingerprint for the audit record") == TOKEN
    assert [(record["event"], record["reason"]) for record in records(log)] == [
        ("secret.revealed", "send it"),
        ("secret.revealed", "take its fingerprint for the audit record"),
    ]
    subject = {"kind": "access-token", "fingerprint": log.fingerprint(TOKEN)}
    assert [record["secret"] for record in records(log)] == [subject] * 2
    assert verify(log.path, KEY) == 2
    assert TOKEN not in log.path.read_text()


def test_another_log_s_look_at_a_secret_is_on_record(
    custody: Custody, log: AuditLog, tmp_path: Path
) -> None:
    actor = Actor.of_this_process(agent=None, command="other", environ={})
    other = AuditLog(tmp_path / "other" / "audit.jsonl", key=lambda: KEY, actor=actor)
    other.record("token.issued", secret=custody.take(TOKEN, "access-token"))
    assert [record["event"] for record in records(log)] == ["secret.revealed"]
    assert [record["event"] for record in records(other)] == ["token.issued"]


def test_what_cannot_be_recorded_does_not_happen(custody: Custody, log: AuditLog) -> None:
    """H-G3."""
    secret = custody.take(TOKEN, "access-token")
    log.path.parent.mkdir(mode=0o755)
    with pytest.raises(UnsafeFile):
        secret.reveal("send it")
    with pytest.raises(UnsafeFile):
        custody.enter(TOKEN, "access-token")


def test_without_a_record_secrets_are_hidden_all_the_same() -> None:
    custody = Custody(Scrubber())
    assert custody.enter(TOKEN, "access-token").reveal("test") == TOKEN
    assert custody.scrubber.text(TOKEN) == "‹redacted:access-token›"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such switch")
def test_the_first_secret_closes_the_memory_of_the_process() -> None:
    code = """
import ctypes
from guard.custody import Custody
from guard.scrub import Scrubber
is_open = lambda: ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)
custody = Custody(Scrubber())
print(is_open())
custody.take("n0t-A-r3al_token", "k")
print(is_open())
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["1", "0"]
