"""`twg changelog`: what changed, from what is shipped; nobody is asked."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import asyncclick as click
from anyio import to_thread

import twg
from twg.cli.command import command
from twg.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twg.cli.wiring import Wiring

KINDS: Final = ("security", "added", "changed", "fixed", "removed")
"""What changes are told under, in this order."""

_NEXT: Final = "next"
_TITLE: Final = re.compile(r"## (\S+) \((\S+)\)")
_VERSION: Final = re.compile(r"v?([0-9]+(?:\.[0-9]+){0,3})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A version, and what users notice of it.

    Attributes:
        version: Its number; ``next`` for what has come since the one that runs was released.
        date: When it was released; None if it was not yet.
        changes: The kind and the words of each change.
    """

    version: str
    date: str | None
    changes: tuple[tuple[str, str], ...]

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        told = [{"kind": kind, "text": text} for kind, text in self.changes]
        return {"version": self.version, "date": self.date, "changes": told}

    def lines(self) -> Iterator[str]:
        """Yield it as text."""
        yield f"{self.version}, {self.date or 'not released yet'}"
        for kind in KINDS:
            if told := [text for each, text in self.changes if each == kind]:
                yield ""
                yield kind.capitalize()
                yield from (f"  - {text}" for text in told)


@command(
    "changelog",
    params=[click.Option(["--since"], metavar="V", help="Only what came after this version.")],
)
async def changelog(wiring: Wiring, *, since: str | None) -> None:
    """Show what changed, newest version first. It is shipped with twg; nothing is sent."""
    after = None if since is None else _number(since)
    found = [one for one in await to_thread.run_sync(releases) if _is_after(one.version, after)]
    lines = [line for one in found for line in (*one.lines(), "")][:-1]
    nothing = f"Nothing has changed since {since}, as far as this version knows."
    # Public, though what it tells of secrets may look like one.
    wiring.output.published({"releases": [one.as_dict() for one in found]}, lines or [nothing])


def releases() -> list[Release]:
    """Return every version that is known here, newest first; it blocks."""
    home = _home()
    past = list(_released((home / "CHANGELOG.md").read_text(encoding="utf-8")))
    coming = tuple(_fragments(home / "changelog"))
    if not coming:
        return past
    told = any(one.version == twg.__version__ for one in past)
    return [Release(version=_NEXT if told else twg.__version__, date=None, changes=coming), *past]


def _home() -> Path:
    """Return where the changelog is: in the package as it is installed, else in the clone."""
    inside = Path(twg.__file__).parent
    return inside if (inside / "CHANGELOG.md").exists() else inside.parent


def _released(text: str) -> Iterator[Release]:
    for section in re.split(r"^(?=## )", text, flags=re.MULTILINE):
        if title := _TITLE.match(section):
            yield Release(version=title[1], date=title[2], changes=tuple(_changes(section)))


def _changes(section: str) -> Iterator[tuple[str, str]]:
    for part in re.split(r"^### ", section, flags=re.MULTILINE)[1:]:
        kind, _, entries = part.partition("\n")
        for entry in re.findall(r"^- (.*(?:\n  .*)*)", entries, flags=re.MULTILINE):
            yield kind.strip().lower(), " ".join(entry.split())


def _fragments(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.glob("*.md")):
        yield path.name.split(".")[-2], " ".join(path.read_text(encoding="utf-8").split())


def _number(version: str) -> tuple[int, ...]:
    found = _VERSION.fullmatch(version)
    if found is None:
        raise UsageError("--since takes a version", "For example: twg changelog --since 0.1.0")
    return tuple(int(part) for part in found[1].split("."))


def _is_after(version: str, after: tuple[int, ...] | None) -> bool:
    return after is None or version == _NEXT or _number(version) > after
