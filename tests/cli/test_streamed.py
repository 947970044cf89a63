"""`Streamed`: a service's bytes on a terminal, in a file and in a text stream."""

from __future__ import annotations

import io
import os

import pytest

from guard.scrub import Scrubber
from twg.cli.streamed import Streamed
from twg.errors import OutputUnwritable

SECRET = "made-up-secret-0123456789"


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(stdout: io.StringIO, *pieces: bytes) -> str:
    scrubber = Scrubber()
    scrubber.learn(SECRET, "thing")
    stream = Streamed(stdout, scrubber)
    for piece in pieces:
        stream.write(piece)
    stream.finish(line=True)
    return stdout.getvalue()


@pytest.mark.parametrize("cut", range(1, 24))
def test_a_terminal_gets_no_control_characters_wherever_chunks_end(cut: int) -> None:
    sent = "a\x1b[2J\tü\r\nb\x9b\u202e\rc\n".encode()

    assert shown(Tty(), sent[:cut], sent[cut:]) == "a�[2J\tü\nb���c\n"


@pytest.mark.parametrize("cut", range(1, len(SECRET)))
def test_a_secret_is_hidden_wherever_chunks_end(cut: int) -> None:
    """H-F1: on a terminal, too, where what has come is shown at once."""
    sent = f"x {SECRET} y".encode()

    for stdout in (Tty(), io.StringIO()):
        assert shown(stdout, sent[: 2 + cut], sent[2 + cut :]) == "x ‹redacted:thing› y\n"


def test_of_what_breaks_off_no_part_of_a_secret_is_shown() -> None:
    """H-F3."""
    stdout = io.StringIO()
    scrubber = Scrubber()
    scrubber.learn(SECRET, "thing")
    stream = Streamed(stdout, scrubber)
    stream.write(f"all that came, and {SECRET[:-3]}".encode())

    stream.stop()

    assert stdout.getvalue() == "all that came, and "


def test_a_file_gets_the_bytes_as_they_came() -> None:
    sent = b"\xff\xfe\x00 \r\n\x1b"
    raw = io.BytesIO()
    stdout = io.TextIOWrapper(raw, "ascii")
    stdout.write("before\n")

    stream = Streamed(stdout, None)
    stream.write(sent)
    stream.finish(line=False)

    assert raw.getvalue() == b"before\n" + sent


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")  # noqa: PTH110 - short
def test_a_full_disk_is_told() -> None:
    with open("/dev/full", "w", buffering=1, encoding="utf-8") as full:  # noqa: PTH123 - as it is
        stream = Streamed(full, None)
        stream.write(b"x")
        with pytest.raises(OutputUnwritable):
            stream.finish(line=True)
