"""zsh's history: plain or extended (`: time:seconds;command`), with bytes of its own escaped."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from guard.history.entry import Entry, is_full

if TYPE_CHECKING:
    from collections.abc import Iterator

    from guard.history.entry import Line

_EXTENDED: Final = re.compile(rb": *([0-9]+):([0-9]+);")
_CONTINUED: Final = b"\\\n"
# What zsh uses within itself it writes as 0x83 and the byte with its sixth bit flipped.
_META_BYTE: Final = b"\x83"
_META: Final = re.compile(rb"\x83(.)", re.DOTALL)
# A command that ends with a backslash is followed by a space, for the next line is not its.
_FINAL_BACKSLASH: Final = re.compile(rb"(\\ *) \Z")


def entries(lines: Iterator[Line]) -> Iterator[Entry]:
    """Make entries of lines; one that ends with a backslash goes on in the next."""
    held: list[Line] = []
    for line in lines:
        held.append(line)
        if not line.data.endswith(_CONTINUED) or is_full(held):
            yield _entry(held)
            held = []
    if held:
        yield _entry(held)


def _entry(held: list[Line]) -> Entry:
    text = held[0].data if len(held) == 1 else b"".join(line.data for line in held)
    text = text.replace(_CONTINUED, b"\n").rstrip(b"\n")
    when = None
    if extended := _EXTENDED.match(text):
        when = int(extended[1][:20])
        text = text[extended.end() :]
    elif text.startswith(b"\\:"):
        text = text[1:]
    if text.endswith(b" "):
        text = _FINAL_BACKSLASH.sub(rb"\1", text)
    if _META_BYTE in text:
        text = _META.sub(lambda found: bytes((found[1][0] ^ 32,)), text)
    return Entry(lines=tuple(held), command=text, when=when)
