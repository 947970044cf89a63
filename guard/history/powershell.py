"""PowerShell's history, as PSReadLine writes it: a command a line, a backtick where it goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from guard.history.entry import Entry, is_full

if TYPE_CHECKING:
    from collections.abc import Iterator

    from guard.history.entry import Line


def entries(lines: Iterator[Line]) -> Iterator[Entry]:
    """Make entries of lines; one that ends with a backtick goes on in the next."""
    held: list[Line] = []
    for line in lines:
        held.append(line)
        if not line.data.rstrip(b"\r\n").endswith(b"`") or is_full(held):
            yield _entry(held)
            held = []
    if held:
        yield _entry(held)


def _entry(held: list[Line]) -> Entry:
    *before, last = (line.data.rstrip(b"\r\n") for line in held)
    command = b"\n".join([*(text.removesuffix(b"`") for text in before), last])
    return Entry(lines=tuple(held), command=command)
