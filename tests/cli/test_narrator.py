"""What a person sees while a sign-in waits: a line that counts down, an address, a code."""

from __future__ import annotations

import fcntl
import io
import os
import re
import select
import struct
import termios
from contextlib import contextmanager
from typing import TYPE_CHECKING

import anyio
import pytest

from tests.rigs.emulator import Emulator
from tests.rigs.waiting import comes_true
from twg.cli.narrator import SilentNarrator, TerminalNarrator
from twg.cli.output import Output

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import TextIO

XTERM = {"TERM": "xterm-256color"}
END = b"\x1b]0;end\x07"
"""Sets the window's title, which is not looked at."""
URL = "https://auth.example.com/device"


class Window:
    """A terminal's window, and the stream that is drawn on it."""

    def __init__(self, stream: TextIO, ours: int, columns: int) -> None:
        self.stream = stream
        self._ours = ours
        self._emulator = Emulator(columns, 40, lambda _answer: None)

    def shown(self) -> str:
        """What the window shows once all that was drawn so far has come through."""
        os.write(self.stream.fileno(), END)
        drawn = b""
        while not drawn.endswith(END):
            assert select.select([self._ours], [], [], 30)[0], "a terminal passes on what it gets"
            drawn += os.read(self._ours, 1 << 16)
        self._emulator.feed(drawn)
        return self._emulator.screen()


@contextmanager
def window(columns: int = 80, encoding: str = "utf-8") -> Iterator[Window]:
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    with open(theirs, "w", encoding=encoding) as stream:  # noqa: PTH123 - a descriptor
        yield Window(stream, ours, columns)
    os.close(ours)


@contextmanager
def unwritable(stream: TextIO) -> Iterator[None]:
    """Have every write to a stream fail for a while."""
    kept = os.dup(stream.fileno())
    with open(os.devnull, "rb") as nobody:  # noqa: PTH123 - a device
        os.dup2(nobody.fileno(), stream.fileno())
        yield
    os.dup2(kept, stream.fileno())
    os.close(kept)


def narrator(stream: TextIO, environ: Mapping[str, str] = XTERM) -> TerminalNarrator:
    return TerminalNarrator(Output("text", stdout=stream, stderr=stream), stream, environ)


async def test_a_line_counts_down_and_is_gone_in_the_end() -> None:
    with window() as seen:
        async with narrator(seen.stream).waiting("Waiting for you", 90.5):
            assert await comes_true(lambda: "(1:30 left; Ctrl-C to stop)" in seen.shown(), 30)
            assert await comes_true(lambda: "(1:29 left; Ctrl-C to stop)" in seen.shown(), 30)
            assert seen.shown().count("Waiting for you") == 1, "it is drawn in place"
        assert seen.shown() == ""


async def test_a_narrow_window_gets_a_line_that_fits() -> None:
    with window(columns=50) as seen:
        async with narrator(seen.stream).waiting("Waiting for you " * 10, 60):
            assert await comes_true(lambda: "Waiting" in seen.shown(), 30)
            assert len(seen.shown().splitlines()) == 1


async def test_an_error_comes_through_as_it_is_and_the_line_goes() -> None:
    with window() as seen:

        async def failing() -> None:
            async with narrator(seen.stream).waiting("Waiting", 60):
                assert await comes_true(lambda: "Waiting" in seen.shown(), 30)
                raise ValueError("no")

        with pytest.raises(ValueError, match="no"):
            await failing()
        assert seen.shown() == ""


async def test_a_cancellation_ends_the_line() -> None:
    with window() as seen:
        with anyio.CancelScope() as scope:
            async with narrator(seen.stream).waiting("Waiting", 60):
                scope.cancel()
                await anyio.sleep_forever()
        assert scope.cancelled_caught
        assert seen.shown() == ""


async def test_a_terminal_that_is_gone_is_no_error() -> None:
    with window() as seen:
        teller = narrator(seen.stream)
        with unwritable(seen.stream):
            async with teller.waiting("Waiting", 60):
                await anyio.lowlevel.checkpoint()
            with pytest.raises(OSError, match="Bad file descriptor"):
                seen.stream.flush()


@pytest.mark.parametrize("environ", [{}, {"TERM": "dumb"}])
async def test_a_plain_terminal_gets_the_line_once(environ: dict[str, str]) -> None:
    with window() as seen:
        async with narrator(seen.stream, environ).waiting("Waiting", 65):
            assert seen.shown() == "Waiting (1:05 left; Ctrl-C to stop)"
        assert seen.shown() == "Waiting (1:05 left; Ctrl-C to stop)"


async def test_a_file_gets_the_line_once() -> None:
    stream = io.StringIO()
    async with narrator(stream).waiting("Waiting", 5):
        pass

    assert stream.getvalue() == "Waiting (0:05 left; Ctrl-C to stop)\n"


def test_an_address_stands_alone_on_its_line() -> None:
    stream = io.StringIO()
    narrator(stream).show_address(f"{URL}?a=b")

    assert stream.getvalue() == f"\n{URL}?a=b\n\n"


def test_a_code_is_shown_with_where_to_enter_it() -> None:
    stream = io.StringIO()
    narrator(stream).show_code(URL, f"{URL}?user_code=ABCD-EFGH", "ABCD-EFGH")

    shown = stream.getvalue()
    assert f"  Open   {URL}\n  Enter  ABCD-EFGH\n" in shown
    assert "only if you started this sign-in yourself" in shown
    assert "█" not in shown, "in a file, nobody scans it"


def test_a_terminal_gets_a_code_to_scan_where_there_is_room() -> None:
    def drawn(columns: int, encoding: str = "utf-8") -> str:
        with window(columns, encoding) as seen:
            narrator(seen.stream).show_code(URL, f"{URL}?user_code=ABCD-EFGH", "ABCD-EFGH")
            return seen.shown()

    assert re.search("[▀▄█]", drawn(80))
    assert not re.search("[▀▄█]", drawn(40))
    assert not re.search("[▀▄█]", drawn(80, "ascii"))


async def test_a_silent_one_only_waits() -> None:
    silent = SilentNarrator()
    silent.say("x")
    silent.show_address(URL)
    silent.show_code(URL, None, "x")
    async with silent.waiting("x", 5):
        waited = True

    assert waited
