"""`twg guard filter` in real pipes: nothing stalls, nothing else changes, no secret comes out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import IO, TYPE_CHECKING

import pytest

from tests.rigs.surroundings import clean_env

if TYPE_CHECKING:
    from pathlib import Path

JWT = "eyJhbGciOiJub25lIn0.eyJleGFtcGxlIjoxfQ.ZXhhbXBsZS1leGFtcGxl"
MARK = "‹redacted:jwt›"
COMMAND = [sys.executable, "-m", "twg", "guard", "filter"]


def filtered(data: bytes, env: dict[str, str], *words: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*COMMAND, *words], input=data, env=env, capture_output=True, check=True, timeout=120
    )


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return clean_env(tmp_path)


def running(env: dict[str, str]) -> subprocess.Popen[bytes]:
    pipe = subprocess.PIPE
    return subprocess.Popen(COMMAND, env=env, stdin=pipe, stdout=pipe, stderr=pipe)


def opened(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream


def arrives(process: subprocess.Popen[bytes], expected: bytes) -> None:
    """Read as much as is expected: if that does not come, the test runs into its time limit."""
    seen = b""
    while len(seen) < len(expected):
        seen += os.read(opened(process.stdout).fileno(), len(expected) - len(seen))
    assert seen == expected


def test_what_holds_a_secret_loses_it_and_all_else_stays(env: dict[str, str]) -> None:
    data = f"one\r\n{JWT} \xff\n\n\ttwo".encode("latin-1") + b"\x00\x80\xfe\n"
    done = filtered(data, env)
    assert done.stdout == data.replace(JWT.encode(), MARK.encode())
    assert done.stderr.decode() == "twg: 1 secret hidden: 1 jwt\n"


def test_it_tells_the_kinds_that_it_found(env: dict[str, str]) -> None:
    done = filtered(f"{JWT}\npassword=hunter2hunter2\n{JWT}\n".encode(), env)
    assert done.stderr.decode() == "twg: 3 secrets hidden: 2 jwt, 1 named-secret\n"


def test_it_tells_that_there_was_none(env: dict[str, str]) -> None:
    done = filtered(b"nothing\n", env)
    assert (done.stdout, done.stderr) == (b"nothing\n", b"twg: no secret found\n")
    assert filtered(b"", env).stdout == b""


def test_a_program_is_told_as_json_and_the_stream_stays_a_stream(env: dict[str, str]) -> None:
    done = filtered(f"{JWT}\n".encode(), env | {"CLAUDECODE": "1"})
    assert done.stdout.decode() == f"{MARK}\n"
    assert json.loads(done.stderr) == {"ok": True, "data": {"found": {"jwt": 1}}}


def test_what_was_written_arrives_while_the_writer_pauses(env: dict[str, str]) -> None:
    """It reads on only once the answer to what it wrote is there, as a program in a dialogue."""
    process = running(env)
    with process:
        stdin = opened(process.stdin)
        for line in (b"first line\n", b"Your name: ", f"got {JWT}\n".encode(), b"50% "):
            stdin.write(line)
            stdin.flush()
            arrives(process, line.replace(JWT.encode(), MARK.encode()))
        stdin.close()
        assert opened(process.stdout).read() == b""
        assert opened(process.stderr).read() == b"twg: 1 secret hidden: 1 jwt\n"
    assert process.returncode == 0


def test_a_secret_is_hidden_though_the_writer_pauses_within_it(env: dict[str, str]) -> None:
    """H-F1: split over two chunks."""
    process = running(env)
    with process:
        stdin = opened(process.stdin)
        stdin.write(f"some words {JWT[:30]}".encode())
        stdin.flush()
        arrives(process, b"some words ")
        stdin.write(f"{JWT[30:]}\n".encode())
        stdin.close()
        assert opened(process.stdout).read() == f"{MARK}\n".encode()
    assert process.returncode == 0


def test_a_reader_that_goes_away_ends_it_quietly(env: dict[str, str]) -> None:
    process = running(env)
    with process:
        opened(process.stdout).close()
        try:
            opened(process.stdin).write(b"a line\n" * 200_000)
            opened(process.stdin).close()
        except BrokenPipeError:
            pass  # it has ended already
        assert opened(process.stderr).read() == b""
    assert process.returncode == 0


def test_a_large_stream_comes_out_whole(env: dict[str, str]) -> None:
    line = b"2026-11-25T12:00:00Z INFO handler took 17 ms for /rest/api/3/issue/PROJ-17\n"
    data = line * 30_000 + f"x {JWT}\n".encode() + line * 30_000
    done = filtered(data, env)
    assert done.stdout == data.replace(JWT.encode(), MARK.encode())


def test_it_opens_and_makes_nothing(env: dict[str, str], tmp_path: Path) -> None:
    filtered(b"nothing\n", env)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_its_help_says_what_it_does_not_know(env: dict[str, str]) -> None:
    done = filtered(b"", env, "--help")
    assert "Stored credentials are not opened" in " ".join(done.stdout.decode().split())
