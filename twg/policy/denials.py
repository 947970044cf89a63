"""What agents asked for and did not get: for the record, and for the person who is to decide.

An agent that is told no may ask again at once, a hundred times. The record gets the first of each
kind, and after a while how many there were since; the file here counts all of them. It is not
sealed: who changes it changes what a person is shown, not what is allowed.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from guard.errors import FileUnwritable
from guard.files import read_private, replace_private
from twg.vault.records import from_plain

if TYPE_CHECKING:
    from pathlib import Path

    from twg.vault.locks import ProcessLock

QUIET: Final = 600.0
"""For how many seconds the same is not recorded again."""

_MOST: Final = 20
_MOST_RECORDED: Final = 10
_LARGEST: Final = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Denial:
    """What one agent asked for, once or often.

    Attributes:
        agent: The agent's name.
        access: What it would have done.
        service: Where.
        what: Method and path.
        command: What a person is to run, to allow it; None where nothing does.
        first: When it asked first, in Unix seconds.
        last: When it asked last.
        times: How often it asked.
        recorded: When that was recorded last.
    """

    agent: str
    access: str
    service: str
    what: str
    command: str | None
    first: float
    last: float
    times: int = 1
    recorded: float = 0.0

    def is_same(self, other: Denial) -> bool:
        """Tell whether both are about the same."""
        return (self.agent, self.access, self.service, self.what) == (
            *(other.agent, other.access, other.service, other.what),
        )


@dataclass(frozen=True, slots=True)
class Denials:
    """The newest of what was denied. All of it blocks.

    Attributes:
        path: The file.
        lock: Its lock.
    """

    path: Path
    lock: ProcessLock

    def newest_first(self) -> list[Denial]:
        """Return what was denied."""
        return sorted(self._read()[0], key=lambda one: one.last, reverse=True)

    def note(self, denial: Denial) -> int | None:
        """Count a denial.

        Returns:
            None if it is not to be recorded now; else how many were not since the last record.
        """
        with self.lock.held_here(lambda: False):
            known, silent = self._read()
            before = next((one for one in known if one.is_same(denial)), None)
            others = [one for one in known if one is not before]
            if before is not None:
                denial = replace(
                    denial, first=before.first, times=before.times + 1, recorded=before.recorded
                )
            recent = [one for one in known if 0 <= denial.last - one.recorded < QUIET]
            is_told = before not in recent and len(recent) < _MOST_RECORDED
            if is_told:
                denial = replace(denial, recorded=denial.last)
            # What was recorded lately stays, or it would be recorded again.
            others.sort(key=lambda one: (one not in recent, -one.last))
            self._write([denial, *others][:_MOST], 0 if is_told else silent + 1)
            return silent if is_told else None

    def _read(self) -> tuple[list[Denial], int]:
        data = read_private(self.path, limit=_LARGEST)
        try:
            found = json.loads(data or b"{}")
            known = [from_plain(Denial, one) for one in found.get("denials", [])]
            return known, int(found.get("silent", 0))
        except (ValueError, TypeError, AttributeError, RecursionError):
            return [], 0  # it is only ever shown, so a spoilt one begins afresh

    def _write(self, denials: list[Denial], silent: int) -> None:
        facts: dict[str, Any] = {"denials": [asdict(one) for one in denials], "silent": silent}
        replace_private(self.path, json.dumps(facts).encode() + b"\n")


def forgiving(denials: Denials, denial: Denial) -> int | None:
    """Count a denial; where that cannot be done, have it recorded as it is."""
    from guard.errors import UnsafeFile  # noqa: PLC0415 - only here
    from twg.errors import TwgError  # noqa: PLC0415 - only here

    try:
        return denials.note(denial)
    except (TwgError, UnsafeFile, FileUnwritable):
        return 0
