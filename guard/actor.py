"""`Actor`: who acts, as well as a process can know."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Actor(NamedTuple):
    """Who acts.

    Attributes:
        kind: ``human``, ``agent``, ``ci`` or ``service``.
        agent: The agent's name out of the closed set, if it is one.
        uid: The user's number; None where there is no such thing.
        pid: The process.
        ppid: Its parent.
        tty: The controlling terminal, if there is one.
        command: The command's words; never its arguments.
    """

    kind: str
    agent: str | None
    uid: int | None
    pid: int
    ppid: int
    tty: str | None
    command: str

    @classmethod
    def of_this_process(
        cls, *, agent: str | None, command: str, environ: Mapping[str, str] | None = None
    ) -> Actor:
        """Describe who runs this process.

        Args:
            agent: The name of the AI agent that runs it, or None.
            command: The command's words, without arguments.
            environ: The environment; this process's own unless given.
        """
        terminal = _controlling_terminal()
        environ = os.environ if environ is None else environ
        if agent is not None:
            kind = "agent"
        elif environ.get("CI", "").lower() in {"true", "1"}:
            kind = "ci"
        else:
            kind = "human" if terminal is not None else "service"
        return cls(
            kind=kind,
            agent=agent,
            uid=os.getuid() if hasattr(os, "getuid") else None,
            pid=os.getpid(),
            ppid=os.getppid(),
            tty=terminal,
            command=command,
        )


def _controlling_terminal() -> str | None:
    """Return the name of the terminal that this process belongs to, as well as it is known."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | getattr(os, "O_NOCTTY", 0)))
    except OSError:
        return None
    for descriptor in (0, 1, 2):
        with contextlib.suppress(OSError):
            return os.ttyname(descriptor)
    return "/dev/tty"
