"""less's history: what was searched for and which commands were run, each after a quote."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from guard.history.entry import Entry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from guard.history.entry import Line

# All that less writes itself (less, cmdbuf.c); another line that begins with a dot is an entry.
_HEADINGS: Final = frozenset({b".less-history-file:", b".search", b".shell", b".mark"})


def entries(lines: Iterator[Line]) -> Iterator[Entry]:
    """Make entries of lines; headings stay."""
    for line in lines:
        text = line.data.rstrip(b"\r\n")
        yield Entry(lines=(line,), command=text.removeprefix(b'"'), kept=text in _HEADINGS)
