"""How a command tells the audit record what it was and how it ended."""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from guard import agents, intake
from guard.errors import SecretRefused
from twg import __version__, events

if TYPE_CHECKING:
    from guard.events import Recorder
    from twg.cli.wiring import Wiring

DROPPED: Final = "‹dropped›"

_MOST_ANCESTORS: Final = 16
_MOST_ARGUMENTS: Final = 40
_INTERRUPTED: Final = 130
_REFUSED: Final = frozenset({64, 79, 80})


def started(log: Recorder, wiring: Wiring) -> None:
    """Record who and what runs, and where."""
    agent = wiring.agent
    events.command_started(
        log,
        recognised_by=None if agent is None else agent.sign,
        user=_user(),
        ancestors=_ancestors(),
        directory=_directory(),
        version=__version__,
        python=".".join(map(str, sys.version_info[:3])),
        platform=sys.platform,
    )


def ended(log: Recorder, wiring: Wiring, *, status: int, seconds: float) -> None:
    """Record how the command ended, in the words of Atlassian's audit log.

    Args:
        log: The record.
        wiring: What it depended on.
        status: Its exit status.
        seconds: How long it took.
    """
    agent = wiring.agent
    words = wiring.command_path.split()
    events.command_ended(
        log,
        outcome=_outcome(status),
        # Not at the start: by now all secrets are known that may be among them.
        arguments=_without_secrets(wiring),
        command_name=wiring.command_path,
        command_family=words[1] if len(words) > 1 else words[0],
        command_type=_kind(wiring.used),
        status_code=status,
        invocation_source="user" if agent is None else "agent",
        agent_runtime=None if agent is None else agent.name,
        permissions_used=sorted(wiring.used),
        cli_version=__version__,
        duration_ms=round(seconds * 1000),
        manually_interrupted=status == _INTERRUPTED,
        trace_id=wiring.trace,
    )


def _outcome(status: int) -> Literal["ok", "failed", "refused", "interrupted"]:
    if status == _INTERRUPTED:
        return "interrupted"
    if status in _REFUSED:
        return "refused"
    return "failed" if status else "ok"


def _kind(used: set[Literal["read", "write", "delete"]]) -> Literal["read", "write", "delete"]:
    # The gravest of them.
    if "delete" in used:
        return "delete"
    return "write" if "write" in used else "read"


def _without_secrets(wiring: Wiring) -> list[str]:
    """Return the arguments; none where one was refused, for who knows where a secret ends."""
    arguments = wiring.argv[:_MOST_ARGUMENTS]
    try:
        intake.refuse_arguments(wiring.argv)
    except SecretRefused:
        return [DROPPED] * len(arguments)
    return [DROPPED] * len(arguments) if wiring.has_refused else [*arguments]


def _ancestors() -> list[str]:
    # Most have one name twice: the kernel's and that of their command line.
    names = (name for name, _ in itertools.groupby(agents.ancestor_names()))
    return [*itertools.islice(names, _MOST_ANCESTORS)]


def _user() -> str | None:
    if sys.platform == "win32":
        return None
    import pwd  # noqa: PLC0415 - not on Windows

    with contextlib.suppress(KeyError):
        return pwd.getpwuid(os.getuid()).pw_name
    return None


def _directory() -> str | None:
    with contextlib.suppress(OSError):
        return str(Path.cwd())
    return None
