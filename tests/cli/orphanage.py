"""Runs a program as an orphan without a terminal, so that nothing is read off its starter.

Started by `tests.cli.console` as a script, with the program and its arguments. Between the program
and whoever adopts orphans stands this script alone; it ends with the program's exit status.
"""

from __future__ import annotations

import os
import signal
import sys

LONGEST_LIFE = 60
"""Seconds after which the kernel ends the program, should the test have given it up."""


def keep(argv: list[str], tell: int) -> None:
    """Run the program and tell its exit status."""
    os.setsid()
    pid = os.fork()
    if pid == 0:
        os.close(tell)
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        signal.alarm(LONGEST_LIFE)  # outlasts the exec
        os.execvp(argv[0], argv)  # noqa: S606 - argv as it is
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.write(tell, bytes([status & 0xFF]))
    os._exit(0)


def main() -> None:
    """Leave a grandchild to run the program, and wait for its word."""
    hear, tell = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(hear)
        if os.fork() == 0:
            keep(sys.argv[1:], tell)
        os._exit(0)
    os.close(tell)
    os.waitpid(child, 0)
    told = os.read(hear, 1)
    os._exit(told[0] if told else 127)


if __name__ == "__main__":
    main()
