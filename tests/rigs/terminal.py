"""A real terminal for a program under test: a pty, what a person sees in it, and the keys."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import json
import os
import re
import struct
import subprocess
import sys
import termios
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

from tests.rigs.emulator import Emulator, Modes
from tests.rigs.waiting import comes_true

if TYPE_CHECKING:
    import signal
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from typing import Self

KEEPER = Path(__file__).with_name("terminal_keeper.py")
PATIENCE = 30.0
"""Seconds that what is waited for may take; only a fault needs them."""


class Terminal:
    """A terminal with one program in it; made by `Terminal.start`.

    Attributes:
        raw: Every byte the program has put out so far.
        pid: The program's process id.
        stopped_by: The signal that holds it stopped now, else 0.
    """

    def __init__(self, columns: int, rows: int) -> None:
        self.raw = bytearray()
        self.pid = 0
        self.stopped_by = 0
        self._master, self._slave = os.openpty()
        os.set_blocking(self._master, False)
        self._emulator = Emulator(columns, rows, self._write)
        self._changed = anyio.Event()
        self._status: int | None = None
        self._reports = b""
        self._kept = True
        self._hung_up = False
        self._set_size(columns, rows)

    @classmethod
    @asynccontextmanager
    async def start(
        cls,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        columns: int = 100,
        rows: int = 30,
        cwd: Path | None = None,
        detached: bool = True,
    ) -> AsyncIterator[Self]:
        """Run `argv` as the foreground job of a new terminal; whatever runs at the end is killed.

        Args:
            argv: The program, found on `env`'s PATH, and its arguments.
            env: Its whole environment, as from `clean_env`.
            columns: The window's width.
            rows: The window's height.
            cwd: Where it runs; `/` unless given.
            detached: Whether to cut it off from the test runner's ancestry.
        """
        terminal = cls(columns, rows)
        order = {
            "argv": list(argv),
            "env": dict(env),
            "cwd": str(cwd or "/"),
            "terminal": os.ttyname(terminal._slave),
            "detached": detached,
        }
        keeper = subprocess.Popen(  # noqa: ASYNC220 - returns at once
            [sys.executable, "-I", "-S", str(KEEPER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"PATH": os.defpath},
        )
        with keeper:  # closes the pipes, which ends the keeper, and reaps it or its parent
            try:
                await terminal._attach(keeper, order)
                yield terminal
            finally:
                with anyio.CancelScope(shield=True):
                    await terminal._detach(keeper)

    async def _attach(self, keeper: subprocess.Popen[bytes], order: dict[str, Any]) -> None:
        loop = asyncio.get_running_loop()
        loop.add_reader(self._master, self._read_output)
        loop.add_reader(_pipe(keeper.stdout), self._read_reports, _pipe(keeper.stdout))
        os.write(_pipe(keeper.stdin), json.dumps(order).encode() + b"\n")
        await self._until(lambda: bool(self.pid), "the program's start", PATIENCE)

    async def _detach(self, keeper: subprocess.Popen[bytes]) -> None:
        if keeper.stdin:
            keeper.stdin.close()
        try:
            await self._until(lambda: not self._kept, "the program's end", PATIENCE)
        finally:
            asyncio.get_running_loop().remove_reader(_pipe(keeper.stdout))
            self.hang_up()
            os.close(self._slave)

    async def until(self, wanted: str | re.Pattern[str], timeout: float = PATIENCE) -> str:  # noqa: ASYNC109 - the failure shows the screen
        """Return the transcript once it holds `wanted`, a text or a pattern.

        Blanks at the ends of lines are not seen, nor are those at the end of a wanted text.

        Raises:
            AssertionError: It did not within `timeout` seconds, or the program ended without it.
        """
        pattern = re.compile(re.escape(wanted.rstrip())) if isinstance(wanted, str) else wanted

        def seen() -> bool:
            return pattern.search(self.transcript()) is not None

        await self._until(lambda: seen() or self._ended(), repr(pattern.pattern), timeout)
        if not seen():
            raise self._failure(f"it ended with {self._status} without {pattern.pattern!r}")
        return self.transcript()

    async def exit_status(self, timeout: float = PATIENCE) -> int:  # noqa: ASYNC109 - likewise
        """Wait for the program's end; return its exit status, or minus the signal that killed it.

        Raises:
            AssertionError: It did not end within `timeout` seconds.
        """
        await self._until(lambda: self._status is not None, "its end", timeout)
        self._read_output()  # what it said last
        if self._status is None:
            raise AssertionError("unreachable")
        return self._status

    async def until_stopped(self, timeout: float = PATIENCE) -> int:  # noqa: ASYNC109 - likewise
        """Wait until a signal has stopped the program, and return that signal."""
        await self._until(lambda: bool(self.stopped_by), "its being stopped", timeout)
        return self.stopped_by

    async def until_going_on(self, timeout: float = PATIENCE) -> None:  # noqa: ASYNC109 - likewise
        """Wait until the program is stopped no longer."""
        await self._until(lambda: not self.stopped_by, "its going on", timeout)

    async def until_modes(
        self,
        wanted: Callable[[Modes], bool],
        timeout: float = PATIENCE,  # noqa: ASYNC109 - likewise
    ) -> Modes:
        """Return the modes once `wanted` is true of them, which no event tells."""
        if not await comes_true(lambda: wanted(self.modes()), timeout):
            raise self._failure(f"the modes stayed {self.modes()}")
        return self.modes()

    async def send(self, text: str | bytes) -> None:
        """Type `text`, however long; it is taken as fast as the program reads."""
        rest = text.encode() if isinstance(text, str) else text
        while rest:
            try:
                rest = rest[os.write(self._master, rest) :]
            except BlockingIOError:
                await anyio.wait_writable(self._master)

    async def send_line(self, text: str = "") -> None:
        """Type `text` and press Return."""
        await self.send(text + "\r")

    async def interrupt(self) -> None:
        """Press Ctrl-C."""
        await self.send("\x03")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the program alone."""
        os.kill(self.pid, number)

    def resize(self, columns: int, rows: int) -> None:
        """Change the window's size; the program gets SIGWINCH."""
        self._emulator.resize(columns, rows)
        self._set_size(columns, rows)

    def hang_up(self) -> None:
        """Close the terminal under the program; it gets SIGHUP, and what it says is lost."""
        if not self._hung_up:
            self._hung_up = True
            asyncio.get_running_loop().remove_reader(self._master)
            os.close(self._master)

    def screen(self) -> str:
        """What the window shows now, a line a row, without blanks at the ends of lines."""
        return self._emulator.screen()

    def transcript(self) -> str:
        """The whole scroll-back, and the window below it."""
        return self._emulator.transcript()

    def modes(self) -> Modes:
        """The terminal's modes now; as the program left them, once it has ended."""
        return Modes.of(self._slave)

    def echo_is_on(self) -> bool:
        """Whether typed characters are shown now."""
        return self.modes().echo

    def _set_size(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def _write(self, data: bytes) -> None:
        os.write(self._master, data)

    def _ended(self) -> bool:
        if self._status is None:
            return False
        self._read_output()
        return True

    def _read_output(self) -> None:
        """Take in what the program has put out since."""
        while not self._hung_up:
            try:
                data = os.read(self._master, 1 << 16)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.EIO:  # which is how a pty says that nobody has it open
                    raise
                return
            self.raw += data
            self._emulator.feed(data)
            self._tell()

    def _read_reports(self, descriptor: int) -> None:
        """Take in what the keeper reports."""
        data = os.read(descriptor, 4096)
        if not data:
            self._kept = False
            asyncio.get_running_loop().remove_reader(descriptor)
        *lines, self._reports = (self._reports + data).split(b"\n")
        for line in lines:
            self._take(json.loads(line))
        self._tell()

    def _take(self, fact: dict[str, int]) -> None:
        self.pid = fact.get("pid", self.pid)
        self._status = fact.get("status", self._status)
        self.stopped_by = fact.get("stopped", self.stopped_by)

    def _tell(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    async def _until(self, condition: Callable[[], bool], what: str, seconds: float) -> None:
        with anyio.move_on_after(seconds):
            while not condition():
                await self._changed.wait()
            return
        raise self._failure(f"no {what} within {seconds:g} s")

    def _failure(self, what: str) -> AssertionError:
        return AssertionError(f"{what}; the terminal shows:\n{self.transcript()}")


def _pipe(stream: Any) -> int:
    return int(stream.fileno())
