"""Tells a person, on their terminal, what a sign-in waits for and how long it still will."""

from __future__ import annotations

import io
import os
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final, TextIO

import anyio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from twg.cli.output import Output

_REDRAW_SECONDS: Final = 1.0
_CLEAR_LINE: Final = "\r\x1b[K"
_QR_MARGIN: Final = 2
_NARROWEST: Final = 40
_ROOM_BESIDE_QR: Final = 8


class TerminalNarrator:
    """Tells what happens on `stream`, with a line that counts down where that is a terminal.

    Args:
        output: Prints lines, scrubbed.
        stream: Where the counting line is drawn.
        environ: Says what the terminal can do.
    """

    def __init__(self, output: Output, stream: TextIO, environ: Mapping[str, str]) -> None:
        self._output = output
        self._stream = stream
        self._live = stream.isatty() and environ.get("TERM", "dumb") != "dumb"

    def say(self, line: str) -> None:
        """Show one line."""
        self._output.say(line)

    def show_address(self, url: str) -> None:
        """Show a URL to open, ready to copy: alone on its line, with nothing around it."""
        self._output.say("")
        self._output.say(url)
        self._output.say("")

    def show_code(self, uri: str, complete: str | None, code: str) -> None:
        """Show the verification URL and the user code, and where there is room a QR code."""
        self._output.say("")
        self._output.say(f"  Open   {uri}")
        self._output.say(f"  Enter  {code}")
        self._output.say("")
        for line in self._qr_code(complete or uri):
            self._output.say(f"  {line}")
        self._output.say("Enter the code only if you started this sign-in yourself.")

    @asynccontextmanager
    async def waiting(self, what: str, seconds: float) -> AsyncIterator[None]:
        """Show, while the context lasts, what is awaited and how long is left."""
        if not self._live:
            self._output.say(f"{what} ({_clock(seconds)} left; Ctrl-C to stop)")
            yield
            return
        failure = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._count_down, what, time.monotonic() + seconds)
            try:
                yield
            except Exception as error:  # noqa: BLE001 - raised again below
                # Carried past the task group, which would wrap it.
                failure = error
            finally:
                tasks.cancel_scope.cancel()
                self._draw(_CLEAR_LINE)
        if failure is not None:
            raise failure

    async def _count_down(self, what: str, end: float) -> None:
        while True:
            left = max(0.0, end - time.monotonic())
            line = f"{what} ({_clock(left)} left; Ctrl-C to stop)"
            self._draw(_CLEAR_LINE + line[: self._columns() - 1])
            await anyio.sleep(_REDRAW_SECONDS)

    def _draw(self, text: str) -> None:
        with suppress(OSError):  # the terminal is gone; the signal that says so is on its way
            self._stream.write(text)
            self._stream.flush()

    def _columns(self) -> int:
        try:
            return max(_NARROWEST, os.get_terminal_size(self._stream.fileno()).columns)
        except (OSError, ValueError, io.UnsupportedOperation):
            return 80

    def _qr_code(self, url: str) -> list[str]:
        if not self._live or "utf" not in (self._stream.encoding or "").lower():
            return []
        import segno  # noqa: PLC0415 - only a device sign-in on a terminal shows one

        drawn = io.StringIO()
        code = segno.make(url, error="l", micro=False)
        code.terminal(drawn, compact=True, border=_QR_MARGIN)
        lines = drawn.getvalue().splitlines()
        fits = lines and len(lines[0]) + _ROOM_BESIDE_QR <= self._columns()
        return [*lines, ""] if fits else []


class SilentNarrator:
    """Tells nothing, for a sign-in that nobody watches."""

    def say(self, line: str) -> None:
        """Leave out a line."""

    def show_address(self, url: str) -> None:
        """Leave out the URL."""

    def show_code(self, uri: str, complete: str | None, code: str) -> None:
        """Leave out the code."""

    @asynccontextmanager
    async def waiting(self, what: str, seconds: float) -> AsyncIterator[None]:
        """Wait in silence."""
        del what, seconds
        yield


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02}"
