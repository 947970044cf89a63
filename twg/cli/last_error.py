"""The last error here, for a report: what may be shown to anybody, and so without its message."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from guard import files
from guard.errors import GuardError
from twg import __version__
from twg.errors import Code, TwgError

if TYPE_CHECKING:
    from pathlib import Path

    from twg.cli.failure import Failure
    from twg.cli.wiring import Wiring

_LONGEST: Final = 4096
_NOBODYS_FAULT: Final = frozenset(
    {Code.USAGE, Code.INTERRUPTED, Code.HUMAN_REQUIRED, Code.TTY_REQUIRED}
)


class LastError(NamedTuple):
    """A failure, as it is kept.

    Attributes:
        code: The stable word.
        exit_code: The exit status.
        command: The words that call the command; none of its arguments.
        at: When, as Unix time.
        trace: What ties it to the audit record.
        version: The version that failed.
    """

    code: str
    exit_code: int
    command: str
    at: float
    trace: str
    version: str


def path_in(state_dir: Path) -> Path:
    """Return where it is kept."""
    return state_dir / "last-error.json"


def keep(wiring: Wiring, failure: Failure) -> None:
    """Keep a failure, if it may be of use in a report; what cannot be kept is not.

    A state directory is made for a bug alone: what is refused at the door leaves nothing behind.
    """
    if failure.code in _NOBODYS_FAULT:
        return
    with suppress(GuardError, TwgError, OSError):
        state = wiring.settings.state_dir
        if failure.code is Code.INTERNAL:
            files.ensure_private_directory(state)
        error = LastError(
            code=failure.code.value,
            exit_code=failure.exit_status,
            command=wiring.command_path,
            at=time.time(),
            trace=wiring.trace,
            version=__version__,
        )
        files.replace_private(path_in(state), json.dumps(error._asdict()).encode() + b"\n")


def kept(state_dir: Path) -> LastError | None:
    """Return what is kept; None where nothing is, or it cannot be read. It blocks."""
    try:
        data = files.read_private(path_in(state_dir), limit=_LONGEST)
        return None if data is None else _parsed(json.loads(data))
    except (GuardError, ValueError, TypeError, KeyError):
        return None


def _parsed(value: dict[str, Any]) -> LastError:
    return LastError(
        code=Code(value["code"]).value,
        exit_code=int(value["exit_code"]),
        command=str(value["command"]),
        at=float(value["at"]),
        trace=str(value["trace"]),
        version=str(value["version"]),
    )
