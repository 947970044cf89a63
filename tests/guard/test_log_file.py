"""The log's file: private, bounded, shared by any number of writers, and without a secret."""

from __future__ import annotations

import io
import json
import logging
import threading
from typing import TYPE_CHECKING

import pytest

from guard import logs
from guard.errors import UnsafeFile
from guard.log_file import LogFile
from guard.scrub import Scrubber

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOKEN = "n0t-A-r3al_token.Value~9"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "log" / "twg.jsonl"


@pytest.fixture
def _reset() -> Iterator[None]:
    yield
    logs.reset()


def test_it_and_its_directory_are_private(path: Path) -> None:
    """H-E2."""
    LogFile(path, 100).write("one\n")
    assert path.stat().st_mode & 0o777 == 0o600
    for directory in (path.parent, path.parent.parent):
        assert directory.stat().st_mode & 0o777 == 0o700


def test_a_full_one_goes_on_anew_and_the_one_before_is_kept(path: Path) -> None:
    file = LogFile(path, 30)
    for number in range(7):
        file.write(f"line {number:03d}\n")
    assert path.with_name("twg.1.jsonl").read_text() == "line 003\nline 004\nline 005\n"
    assert path.read_text() == "line 006\n"


def test_what_another_process_began_anew_is_written_on(path: Path) -> None:
    first, second = LogFile(path, 30), LogFile(path, 30)
    second.write("second\n")
    for _ in range(4):
        first.write("first 1234\n")
    second.write("second\n")
    assert path.read_text().splitlines()[-1] == "second"


def test_many_writers_at_once_tear_no_line(path: Path) -> None:
    def write(writer: int) -> None:
        file = LogFile(path, 16_000)
        for number in range(100):
            file.write(json.dumps([writer, number, "x" * 40]) + "\n")

    threads = [threading.Thread(target=write, args=[each]) for each in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    both = path.with_name("twg.1.jsonl").read_text() + path.read_text()
    found = sorted(json.loads(line)[:2] for line in both.splitlines())
    assert found == [[writer, number] for writer in range(4) for number in range(100)]


def test_h_e2_one_that_others_can_read_is_refused(path: Path) -> None:
    """H-E2."""
    LogFile(path, 100).write("one\n")
    path.chmod(0o644)
    with pytest.raises(UnsafeFile):
        LogFile(path, 100).write("two\n")


@pytest.mark.usefixtures("_reset")
def test_what_is_kept_is_json_scrubbed_and_carries_the_trace(path: Path) -> None:
    """H-F1: what is shown beside it is the same record."""
    scrubber = Scrubber()
    scrubber.learn(TOKEN, "access-token")
    shown = io.StringIO()
    logs.show(scrubber, stream=shown, file=LogFile(path, 10_000), facts={"trace": "0af7"})
    logs.get("twg.http").info("answered", status=200, word=TOKEN, parts=[TOKEN, 1])
    logging.getLogger("a.library").warning("its own words: %s", TOKEN)
    logs.reset()

    ours, library = [json.loads(line) for line in path.read_text().splitlines()]
    assert ours.pop("timestamp").endswith("Z")
    assert ours == {
        "event": "answered",
        "logger": "twg.http",
        "level": "info",
        "trace": "0af7",
        "status": 200,
        "word": "‹redacted:access-token›",
        "parts": ["‹redacted:access-token›", 1],
    }
    assert (library["trace"], library["logger"]) == ("0af7", "a.library")
    assert TOKEN not in path.read_text() + shown.getvalue()
    assert shown.getvalue().count(" trace=0af7") == 2


@pytest.mark.usefixtures("_reset")
def test_what_cannot_be_kept_is_counted_and_the_program_goes_on(path: Path) -> None:
    path.parent.mkdir(parents=True, mode=0o755)
    path.parent.chmod(0o755)
    logs.show(Scrubber(), file=LogFile(path, 100))
    logs.get("twg.http").info("answered")
    assert logs.lost() == 1
    assert not path.exists()
