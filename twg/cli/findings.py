"""Secrets that were found, for people and for programs: where and of what kind, never which."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from twg.cli.moments import duration, stamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from guard.history import Finding
    from guard.scan import Scanned
    from twg.cli.wiring import Wiring

_GAP: Final = "  "


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A secret where none belongs.

    Attributes:
        path: The file.
        line: Its line, or that of the history's entry, from 1.
        column: Where in that line it begins, from 1; None in a history.
        kind: What it is, in words joined by dashes.
        shell: Whose history the file is; None for other files.
        when: When it was typed, as Unix time, where that is known.
    """

    path: Path
    line: int
    kind: str
    column: int | None = None
    shell: str | None = None
    when: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "path": str(self.path),
            "line": self.line,
            "column": self.column,
            "kind": self.kind,
            "shell": self.shell,
            "when": stamp(self.when),
        }


def in_history(finding: Finding) -> Found:
    """Return what was found in a history."""
    return Found(
        path=finding.path,
        line=finding.line,
        kind=finding.kind,
        shell=finding.shell,
        when=finding.when.timestamp() if finding.when else None,
    )


def in_file(scanned: Scanned) -> list[Found]:
    """Return what was found in a file."""
    return [
        Found(path=scanned.path, line=each.line, column=each.column, kind=each.kind)
        for each in scanned.matches
    ]


def table(wiring: Wiring, found: Iterable[Found]) -> list[str]:
    """Return a line for each: where it is, what it is, how old."""
    return _aligned([(_place(wiring, each), each.kind, _age(each)) for each in found])


def counted(found: Sequence[Found]) -> str:
    """Return how many there are, in how many files."""
    files = len({each.path for each in found})
    secrets = "1 secret" if len(found) == 1 else f"{len(found)} secrets"
    return f"{secrets} in {'1 file' if files == 1 else f'{files} files'}"


def _place(wiring: Wiring, found: Found) -> str:
    place = f"{wiring.shown(found.path)}:{found.line}"
    return place if found.column is None else f"{place}:{found.column}"


def _age(found: Found) -> str:
    if found.when is None:
        return ""
    return f"{duration(max(0.0, time.time() - found.when))} ago"


def _aligned(rows: list[tuple[str, str, str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        _GAP.join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
