"""Where a shell command of several lines ends, told by its quotes, blocks and here-documents.

It is told loosely: nothing is expanded, and what no shell would read ends somewhere.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOKEN: Final = re.compile(
    rb"""
    (?P<blank> [ \t\r]+ | \\\n)
    | (?P<line> \n)
    | (?P<comment> (?<![^\s;&|()]) \#[^\n]*)
    | (?P<document> <<-?[ \t]*(?P<quote>["']?)(?P<mark>[A-Za-z_][\w.-]*)(?P=quote))
    | (?P<operator> && | \|\|? | ;;? | & | \( | \))
    | (?P<quoted> '[^']*' | "(?:\\.|[^"\\])*" | `(?:\\.|[^`\\])*`)
    | (?P<open> ['"`] | \\\Z)
    | (?P<word> (?: \\. | <<< | [^\s\\;&|()'"`<] | <(?!<) )+)
    | (?P<other> .)
    """,
    re.VERBOSE | re.DOTALL,
)
_OPENS: Final = frozenset({b"if", b"case", b"for", b"while", b"until", b"select", b"{"})
_CLOSES: Final = frozenset({b"fi", b"esac", b"done", b"}"})
_LEADS: Final = frozenset({b"then", b"do", b"else", b"elif", b"!", b"time"}) | _OPENS
_GOES_ON: Final = frozenset({b"&&", b"||", b"|"})


def is_whole(command: bytes) -> bool:
    """Tell whether a shell that reads these lines runs them, and does not ask for more."""
    depth = 0
    starts = True  # a command, so that the next word may be one of the shell's own
    last = b""
    for kind, word in _tokens(command.rstrip(b"\r\n")):
        if kind == "open":
            return False
        if kind == "line":
            starts = True
            continue
        if kind == "operator":
            depth += (word == b"(") - (word == b")")
        elif starts and kind == "word":
            depth += (word in _OPENS) - (word in _CLOSES)
        starts = kind == "operator" or (starts and word in _LEADS)
        last = word
    return depth <= 0 and last not in _GOES_ON


def _tokens(text: bytes) -> Iterator[tuple[str, bytes]]:
    position = 0
    marks: list[bytes] = []
    while found := _TOKEN.match(text, position):
        position = found.end()
        kind = found.lastgroup or ""
        if found["mark"] is not None:
            kind = "document"
            marks.append(found["mark"])
        elif kind == "line" and marks:
            end = _end_of_documents(text, position, marks)
            if end is None:
                yield "open", b""
                return
            position, marks = end, []
        if kind not in {"blank", "comment"}:
            yield kind, found[0]
    if marks:
        yield "open", b""


def _end_of_documents(text: bytes, start: int, marks: list[bytes]) -> int | None:
    for mark in marks:
        found = re.compile(rb"^\t*" + re.escape(mark) + rb"$", re.MULTILINE).search(text, start)
        if found is None:
            return None
        start = found.end()
    return start
