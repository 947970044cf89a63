"""Runs `twg` for an agent in many processes at once: `python -m tests.policy.crowd N WORD…`."""

from __future__ import annotations

import os
import sys

from tests.refresh.workers import next_line, say
from twg.cli.main import run

_WARM = (
    *("twg.cli.api", "twg.cli.calling", "twg.auth.tokens", "twg.vault.store", "twg.vault.locks"),
    *("twg.policy.policy", "twg.vault.grant_store", "twg.cli.api_call"),
)


def main(processes: int, *words: str) -> None:
    """Fork that many children, let them begin at once; print each one's exit status."""
    for module in _WARM:
        __import__(module)
    environ = dict(os.environ)
    children = []
    waits, begins = os.pipe()
    for _ in range(processes):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                os.close(begins)
                os.read(waits, 1)
                _mute()
                status = run(words, environ)
            finally:
                os._exit(status)
        children.append(child)
    say("ready")
    next_line()
    os.close(begins)  # what all of them wait for
    ended = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    say(" ".join(map(str, ended)))


def _mute() -> None:
    """Send this process's output nowhere: two hundred of them would mix theirs."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(nowhere, descriptor)


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
