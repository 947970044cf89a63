"""Holds a terminal for one program the way a shell does; started by `tests.rigs.terminal`.

It leads the terminal's session, so that the terminal outlives the program and its modes can still
be read afterwards (the kernel resets them when the session leader ends). It runs the program as
the foreground job, passes a hang-up on to it, and reports on standard output, a JSON object a line:
`{"pid": pid}`, `{"stopped": signal}` (0: it goes on), `{"status": code}`.
It ends when its standard input closes, and the program with it.

With `detached` it first becomes an orphan: the program's ancestors are then this process and
whoever adopts orphans here, so nothing can be read off the test runner's own ancestry.
"""

from __future__ import annotations

import fcntl
import json
import os
import selectors
import signal
import sys
import termios
import time
from typing import Any

GRACE = 3.0
"""Seconds that the program has to end after a hang-up, before it is killed."""


def become_orphan() -> None:
    """Go on in a grandchild whose parent has ended."""
    if os.fork():
        os._exit(0)


def take_terminal(path: str) -> int:
    """Lead a new session whose controlling terminal is `path`, and return it."""
    os.setsid()
    terminal = os.open(path, os.O_RDWR)
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
    return terminal


def start_job(terminal: int, order: dict[str, Any]) -> int:
    """Start the program as the terminal's foreground job, and return its process id."""
    in_front, tell_front = os.pipe()
    set_up, tell_set_up = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(tell_front)
        os.read(in_front, 1)
        run(terminal, order)
    os.setpgid(pid, pid)
    os.tcsetpgrp(terminal, pid)
    for end in (in_front, tell_front, tell_set_up):
        os.close(end)
    os.read(set_up, 1)  # a key pressed from now on finds signals as the program expects them
    os.close(set_up)
    return pid


def run(terminal: int, order: dict[str, Any]) -> None:
    """Become the program."""
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)  # those the test runner ignored, too
    for standard in range(3):
        os.dup2(terminal, standard)
    os.closerange(3, 1024)
    try:
        os.chdir(order["cwd"])
        os.execvpe(order["argv"][0], order["argv"], order["env"])  # noqa: S606 - argv as it is
    except OSError as error:
        os.write(2, f"{order['argv'][0]}: {error.strerror}\r\n".encode())
    os._exit(127)


def report(**facts: Any) -> None:
    """Tell the test; it may have gone."""
    try:
        os.write(1, json.dumps(facts).encode() + b"\n")
    except BrokenPipeError:
        return


def reap(pid: int) -> bool:
    """Report what happened to the program since; True once it has ended."""
    flags = os.WNOHANG | os.WUNTRACED | os.WCONTINUED
    found, status = os.waitpid(pid, flags)
    if not found:
        return False
    if os.WIFSTOPPED(status):
        report(stopped=os.WSTOPSIG(status))
    elif os.WIFCONTINUED(status):
        report(stopped=0)
    else:
        report(status=os.waitstatus_to_exitcode(status))
        return True
    return reap(pid)


def signal_job(pid: int, number: int) -> None:
    """Send a signal to the program and what it started in its process group."""
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return


class Keeper:
    """Waits for the program, for a hang-up and for the end of the test at once."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.running = True
        self.wanted = True
        self.selector = selectors.DefaultSelector()
        self.signals, wake = os.pipe()
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        self.selector.register(self.signals, selectors.EVENT_READ)
        self.selector.register(0, selectors.EVENT_READ)

    def keep(self) -> None:
        """Return when the test has no more use for the terminal and the program has ended."""
        self.reap()
        while self.wanted:
            self.wait(None)
        if self.running:
            signal_job(self.pid, signal.SIGHUP)
            signal_job(self.pid, signal.SIGCONT)
            deadline = time.monotonic() + GRACE
            while time.monotonic() < deadline and self.wait(GRACE):
                pass
        signal_job(self.pid, signal.SIGKILL)  # and what it left running in its group
        while self.running:
            self.wait(None)

    def wait(self, seconds: float | None) -> bool:
        """Handle what comes next, and return whether the program still runs."""
        for key, _ in self.selector.select(seconds):
            if key.fd == self.signals:
                self.handle(os.read(self.signals, 64))
            elif not os.read(0, 64):
                self.wanted = False
                self.selector.unregister(0)
        return self.running

    def handle(self, numbers: bytes) -> None:
        """Do as a shell does with these signals."""
        if signal.SIGHUP in numbers and self.running:
            signal_job(self.pid, signal.SIGHUP)
            signal_job(self.pid, signal.SIGCONT)
        self.reap()

    def reap(self) -> None:
        """Notice whether the program has ended."""
        if self.running:
            self.running = not reap(self.pid)


def main() -> None:
    """Carry out the order: a line of JSON on standard input, where no other process can read it."""
    order = json.loads(sys.stdin.buffer.readline())
    if order["detached"]:
        become_orphan()
    for number in (signal.SIGCHLD, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    for number in (signal.SIGTTOU, signal.SIGINT, signal.SIGTSTP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    terminal = take_terminal(order["terminal"])
    pid = start_job(terminal, order)
    os.close(terminal)
    report(pid=pid)
    Keeper(pid).keep()


if __name__ == "__main__":
    main()
