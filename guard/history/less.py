"""less's history: what was searched for and which commands were run, each after a quote."""

from __future__ import annotations

from typing import TYPE_CHECKING

from guard.history.entry import Entry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from guard.history.entry import Line


def entries(lines: Iterator[Line]) -> Iterator[Entry]:
    """Make entries of lines; headings, which start with a dot, stay."""
    for line in lines:
        text = line.data.rstrip(b"\r\n")
        yield Entry(lines=(line,), command=text.removeprefix(b'"'), kept=text.startswith(b"."))
