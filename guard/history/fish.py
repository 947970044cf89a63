"""fish's history: `- cmd:` with `when:` and `paths:` indented under it, nearly YAML."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from guard.history.entry import Entry, is_full

if TYPE_CHECKING:
    from collections.abc import Iterator

    from guard.history.entry import Line

_INSIDE: Final = b" "
_COMMAND: Final = re.compile(rb"- cmd: ?")
_PATH: Final = re.compile(rb" +- ")
_WHEN: Final = re.compile(rb" +when: *([0-9]+)\s*")
_ESCAPE: Final = re.compile(rb"\\(.)", re.DOTALL)


def entries(lines: Iterator[Line]) -> Iterator[Entry]:
    """Make entries of lines: what is indented belongs to the line above.

    A line that fish itself would skip as damaged is an entry of its own.
    """
    held: list[Line] = []
    for line in lines:
        if held and (not line.data.startswith(_INSIDE) or is_full(held)):
            yield _entry(held)
            held = []
        held.append(line)
    if held:
        yield _entry(held)


def _entry(held: list[Line]) -> Entry:
    paths = []
    when = None
    for line in held[1:]:
        if stamp := _WHEN.fullmatch(line.data):
            when = int(stamp[1][:20])
        elif _PATH.match(line.data):
            paths.append(_PATH.sub(b"", line.data, count=1))
    return Entry(
        lines=tuple(held),
        command=_decoded(_COMMAND.sub(b"", held[0].data, count=1)),
        beside=_decoded(b"".join(paths)),
        when=when,
    )


def _decoded(text: bytes) -> bytes:
    return _ESCAPE.sub(_unescaped, text.rstrip(b"\r\n"))


def _unescaped(escape: re.Match[bytes]) -> bytes:
    return b"\n" if escape[1] == b"n" else escape[1]
