"""The controlling terminal: opened by itself, whatever stdin and stdout are, and left as it was."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any, Final

import anyio

from guard.errors import TerminalRequired
from guard.files import write_all

if sys.platform != "win32":
    import termios

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_DEVICE: Final = "/dev/tty"
_CLOSE_ON_EXEC: Final = getattr(os, "O_CLOEXEC", 0)
_NO_WAIT: Final = getattr(os, "O_NONBLOCK", 0)
_CHUNK: Final = 4096
_LOOK_SECONDS: Final = 0.05

_PASTES_MARKED: Final = "\x1b[?2004h"
_PASTES_UNMARKED: Final = "\x1b[?2004l"


class ControllingTerminal:
    """The terminal that this process belongs to; made by `controlling_terminal`.

    It is open twice, so that reading never waits and writing does, and neither changes how the
    standard streams behave.

    Args:
        source: Descriptor to read from, not blocking.
        sink: Descriptor to write to.
        plain: Whether it knows no control sequences (``TERM=dumb``).
    """

    def __init__(self, source: int, sink: int, *, plain: bool) -> None:
        self.source = source
        self.sink = sink
        self.plain = plain
        self._undisturbed = True

    def write(self, text: str) -> None:
        """Write `text`; a terminal that is gone is noticed by `read`."""
        with contextlib.suppress(OSError):
            write_all(self.sink, text.encode(errors="replace"))

    async def read(self) -> bytes:
        """Return what was typed since; ``b""`` if the terminal is gone.

        Raises:
            TerminalRequired: Another program took away what was typed.
        """
        while True:
            self._undisturbed = self.in_foreground()
            sure = await self._readable()
            if not self.in_foreground():
                # What is typed now is for whoever is in front; to read it would stop this process.
                await anyio.sleep(_LOOK_SECONDS)
                continue
            try:
                return os.read(self.source, _CHUNK)
            except BlockingIOError:
                if sure and self._undisturbed:
                    reason = "another program reads from it as well"
                    raise TerminalRequired(reason, overheard=True) from None
            except OSError:
                return b""

    def disturb(self) -> None:
        """Note that a shell may have read what was typed: this process was stopped."""
        self._undisturbed = False

    def size(self) -> os.terminal_size:
        """Return its columns and rows."""
        try:
            return os.get_terminal_size(self.sink)
        except OSError:
            return os.terminal_size((80, 24))

    def in_foreground(self) -> bool:
        """Tell whether this process is in the terminal's foreground job."""
        try:
            return os.tcgetpgrp(self.source) == os.getpgrp()
        except OSError:
            return True  # gone, which `read` tells

    def discard_typed(self) -> None:
        """Drop what was typed and not read: the shell must not take it for a command."""
        with contextlib.suppress(termios.error):
            termios.tcflush(self.source, termios.TCIFLUSH)

    def stop_job(self) -> None:
        """Do what Ctrl-Z does where keys make signals, unless what is typed stayed hidden."""
        if not _is_free(signal.SIGTSTP):
            os.killpg(os.getpgrp(), signal.SIGTSTP)

    @contextlib.contextmanager
    def hidden(self, redraw: Callable[[], None]) -> Iterator[None]:
        """Show nothing that is typed, and take each key as it comes, Ctrl-C included.

        Whatever was typed before and not yet read is dropped, for it was shown; so is, at the
        end, what was typed too much.

        Args:
            redraw: Called when the process goes on after it was stopped.

        Raises:
            TerminalRequired: The terminal is gone.
        """
        try:
            hiding = _Hiding(self, redraw, termios.tcgetattr(self.source))
        except termios.error:
            raise TerminalRequired("it was closed") from None
        hiding.begin()
        try:
            yield
        finally:
            hiding.end()

    async def _readable(self) -> bool:
        """Wait for input; return False if that is a guess, for the system cannot tell."""
        try:
            await anyio.wait_readable(self.source)
        except OSError:
            # macOS: its event queue does not know this device.
            await anyio.sleep(_LOOK_SECONDS)
            return False
        return True


@contextlib.contextmanager
def controlling_terminal() -> Iterator[ControllingTerminal]:
    """Open the controlling terminal.

    Raises:
        TerminalRequired: There is none, or this process is in its background.
    """
    with contextlib.ExitStack() as stack:
        opened = []
        for flags in (os.O_RDONLY | _NO_WAIT, os.O_WRONLY):
            try:
                # It cannot become the controlling terminal by this: it is that already.
                descriptor = os.open(_DEVICE, flags | _CLOSE_ON_EXEC)
            except OSError:
                raise TerminalRequired("this process has none") from None
            stack.callback(os.close, descriptor)
            opened.append(descriptor)
        plain = os.environ.get("TERM", "dumb") == "dumb"
        terminal = ControllingTerminal(*opened, plain=plain)
        if not terminal.in_foreground():
            raise TerminalRequired("this process runs in its background")
        yield terminal


class _Hiding:
    """Keeps what is typed hidden, except while this process is stopped.

    Args:
        terminal: The terminal.
        redraw: Called when the process goes on after it was stopped.
        before: The terminal's modes as they were.
    """

    def __init__(
        self, terminal: ControllingTerminal, redraw: Callable[[], None], before: list[Any]
    ) -> None:
        self._terminal = terminal
        self._redraw = redraw
        self._before = before
        self._raw = _raw(before)
        self._handled: list[signal.Signals] = []
        self._later: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Hide from now on."""
        # First of all: should it fail, nothing is to be taken back.
        self._hide(termios.TCSAFLUSH)
        for number, handler in ((signal.SIGTSTP, self._stop), (signal.SIGCONT, self._go_on)):
            if _is_free(number):
                asyncio.get_running_loop().add_signal_handler(number, handler)
                self._handled.append(number)

    def end(self) -> None:
        """Leave the terminal as it was."""
        if self._later is not None:
            self._later.cancel()
        self._show(termios.TCSAFLUSH)
        for number in self._handled:
            asyncio.get_running_loop().remove_signal_handler(number)

    def _stop(self) -> None:
        """Stop as SIGTSTP asks for, with the terminal as it was."""
        self._show(termios.TCSADRAIN)
        loop = asyncio.get_running_loop()
        loop.remove_signal_handler(signal.SIGTSTP)
        # To this thread: another one could take a signal to the process a moment too late.
        signal.raise_signal(signal.SIGTSTP)
        loop.add_signal_handler(signal.SIGTSTP, self._stop)
        self._go_on()

    def _go_on(self) -> None:
        """Hide again, once this process is in front; also after a stop that nobody announced."""
        self._terminal.disturb()
        if self._later is not None:
            self._later.cancel()
        if not self._terminal.in_foreground():
            self._later = asyncio.get_running_loop().call_later(_LOOK_SECONDS, self._go_on)
            return
        with contextlib.suppress(termios.error):
            if termios.tcgetattr(self._terminal.source) != self._raw:
                self._hide(termios.TCSADRAIN)
                self._redraw()

    def _hide(self, when: int) -> None:
        try:
            termios.tcsetattr(self._terminal.source, when, self._raw)
        except termios.error:
            raise TerminalRequired("it was closed") from None
        if not self._terminal.plain:
            self._terminal.write(_PASTES_MARKED)

    def _show(self, when: int) -> None:
        # Behind a shell the modes are the shell's, and to set them would stop this process.
        if not self._terminal.in_foreground():
            return
        if not self._terminal.plain:
            self._terminal.write(_PASTES_UNMARKED)
        with contextlib.suppress(termios.error):
            termios.tcsetattr(self._terminal.source, when, self._before)


def _raw(modes: list[Any]) -> list[Any]:
    """Return `modes` without echo, lines and keys that make signals; output stays as it is."""
    iflag, oflag, cflag, lflag, ispeed, ospeed, characters = modes
    iflag &= ~(termios.BRKINT | termios.ICRNL | termios.INLCR | termios.IGNCR)
    iflag &= ~(termios.ISTRIP | termios.IXON | termios.IXOFF)
    lflag &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.IEXTEN | termios.ISIG)
    characters = list(characters)
    characters[termios.VMIN], characters[termios.VTIME] = 1, 0
    return [iflag, oflag, cflag, lflag, ispeed, ospeed, characters]


def _is_free(number: signal.Signals) -> bool:
    """Tell whether a handler for the signal can be set and takes nobody's place."""
    in_main = threading.current_thread() is threading.main_thread()
    return in_main and signal.getsignal(number) is signal.SIG_DFL
