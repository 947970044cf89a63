"""`upkeep.json`: what the last run did. It holds names, times and reasons; no secret, no token."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from anyio import to_thread

from guard.errors import UnsafeFile
from guard.files import ensure_private_directory, read_private, replace_private

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_VERSION: Final = 1
_LONGEST: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What became of one sign-in.

    Attributes:
        outcome: ``renewed``, ``fresh`` or ``failed``.
        code: Where it failed, the word by which programs tell failures apart.
        reason: Where it failed, why, in words.
        due_at: When it is due next, in Unix seconds; None for never.
    """

    outcome: str
    code: str | None = None
    reason: str | None = None
    due_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The last run.

    Attributes:
        started_at: When it began, in Unix seconds.
        finished_at: When it ended.
        outcome: ``ok``, ``partial`` or ``failed``.
        profiles: What became of each sign-in.
        reason: Where no sign-in could be looked at, why.
    """

    started_at: float
    finished_at: float
    outcome: str
    profiles: Mapping[str, Note] = field(default_factory=dict)
    reason: str | None = None

    @property
    def next_due_at(self) -> float | None:
        """When the next sign-in is due, in Unix seconds; None if none will be."""
        return min((n.due_at for n in self.profiles.values() if n.due_at is not None), default=None)


def path_in(state_dir: Path) -> Path:
    """Return where the record is."""
    return state_dir / "upkeep.json"


async def keep(state_dir: Path, record: Record) -> None:
    """Replace the record, atomically.

    Raises:
        UnsafeFile: What stands there is not a private file, or the directory is open to others.
        FileUnwritable: The file system refuses.
    """
    value = {"version": _VERSION, **asdict(record), "next_due_at": record.next_due_at}
    data = json.dumps(value, indent=2).encode() + b"\n"

    def replace() -> None:
        ensure_private_directory(state_dir)
        replace_private(path_in(state_dir), data)

    await to_thread.run_sync(replace)


async def load(state_dir: Path) -> Record | None:
    """Return the record; None if there is none, or it cannot be read."""

    def read() -> bytes:
        return read_private(path_in(state_dir), limit=_LONGEST) or b"null"

    try:
        return _parsed(json.loads(await to_thread.run_sync(read)))
    except (UnsafeFile, ValueError, TypeError, KeyError, AttributeError):
        return None


def _parsed(value: Any) -> Record | None:
    if value is None or value["version"] != _VERSION:
        return None
    return Record(
        started_at=float(value["started_at"]),
        finished_at=float(value["finished_at"]),
        outcome=str(value["outcome"]),
        profiles={str(name): Note(**note) for name, note in value["profiles"].items()},
        reason=value["reason"],
    )
