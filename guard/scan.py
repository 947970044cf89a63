"""Looks for secrets in files and directories, and tells where they are without showing them.

Files are looked at as bytes, whatever they are, a block at a time. In directories no link is
followed: what it leads to is either below them too, or not what was asked for. All of this blocks.
"""

from __future__ import annotations

import codecs
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Spans = Callable[[str], Iterable[tuple[int, int, str]]]
    """Given a text: start, end and kind of each secret in it, in order."""

MOST: Final = 1000
"""So many secrets are told of one file."""

_BLOCK: Final = 1 << 20
# What begins nearer to the end of a block than this is looked at together with the next one. It is
# longer than any secret.
_OVERLAP: Final = 1 << 16
_CONTEXT: Final = 256
_KERNELS: Final = frozenset({"proc", "sys", "dev"})
_NO_FOLLOW: Final = getattr(os, "O_NOFOLLOW", 0)
_NO_WAIT: Final = getattr(os, "O_NONBLOCK", 0)
_CLOSE_ON_EXEC: Final = getattr(os, "O_CLOEXEC", 0)

_MARKS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8-sig"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """Where a secret stands.

    Attributes:
        line: Its line, from 1.
        column: The character of that line that it begins at, from 1.
        kind: What it is, in words joined by dashes.
    """

    line: int
    column: int
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanned:
    """What became of one path.

    Attributes:
        path: The path, as it was given or found.
        matches: The secrets in it.
        skipped: Why it, or a part of it, was passed over on purpose; None if it was not.
        problem: Why it could not be read; None if it could.
    """

    path: Path
    matches: tuple[Match, ...] = ()
    skipped: str | None = None
    problem: str | None = None


class Readable(Protocol):
    """What gives bytes."""

    def read(self, size: int, /) -> bytes | None:
        """Return at most so many bytes; none at the end."""


def scan(paths: Iterable[Path], spans: Spans) -> Iterator[Scanned]:
    """Look at `paths`, and at all that is below them; yield what became of each file.

    Args:
        paths: Files and directories.
        spans: Finds the secrets in a text.
    """
    for path in paths:
        try:
            is_directory = stat.S_ISDIR(path.stat().st_mode)
        except OSError as error:
            yield Scanned(path=path, problem=_words(error))
            continue
        if is_directory:
            yield from _directory(path, spans)
        else:
            yield _file(path, spans, follow=True)


def scan_stream(stream: Readable, path: Path, spans: Spans) -> Scanned:
    """Look at what comes from `stream`, which is called `path`."""
    matches: list[Match] = []
    try:
        for match in _matches(_texts(stream), spans):
            if len(matches) == MOST:
                told = f"only its first {MOST} findings are listed"
                return Scanned(path=path, matches=tuple(matches), skipped=told)
            matches.append(match)
    except OSError as error:
        return Scanned(path=path, matches=tuple(matches), problem=_words(error))
    return Scanned(path=path, matches=tuple(matches))


def _directory(top: Path, spans: Spans) -> Iterator[Scanned]:
    unreadable: list[OSError] = []
    for name, folders, files in os.walk(top, onerror=unreadable.append):
        folder = Path(name)
        for passed_over in [each for each in folders if _why_not(folder / each)]:
            folders.remove(passed_over)
            below = folder / passed_over
            yield Scanned(path=below, skipped=_why_not(below))
        folders.sort()
        for file in sorted(files):
            if stat.S_ISREG(_mode(folder / file)):
                yield _file(folder / file, spans)
    yield from (Scanned(path=Path(each.filename), problem=_words(each)) for each in unreadable)


def _why_not(folder: Path) -> str | None:
    """Return why a directory is passed over, or None if it is not."""
    if folder.name == "objects" and folder.parent.name == ".git":
        return "git's objects are compressed; check out what is to be looked at"
    if folder.name in _KERNELS and str(folder.absolute()) == f"/{folder.name}":
        return "what is there is the kernel's, and some of it has no end"
    return None


def _file(path: Path, spans: Spans, *, follow: bool = False) -> Scanned:
    # Whatever was put in its place meanwhile must not make the opening wait.
    flags = os.O_RDONLY | _NO_WAIT | _CLOSE_ON_EXEC | (0 if follow else _NO_FOLLOW)
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        return Scanned(path=path, problem=_words(error))
    with open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123 - a descriptor
        mode = os.fstat(descriptor).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
            return Scanned(path=path, problem="it is neither a file nor a directory")
        os.set_blocking(descriptor, True)
        return scan_stream(file, path, spans)


def _texts(stream: Readable) -> Iterator[str]:
    """Yield the stream's text block by block; bytes that are no text are a character each."""
    data = stream.read(_BLOCK)
    decoder = codecs.getincrementaldecoder(_encoding(data or b""))(errors="replace")
    while data:
        yield decoder.decode(data)
        data = stream.read(_BLOCK)


def _encoding(data: bytes) -> str:
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return encoding
    # Unmarked UTF-16 of ASCII has a zero in every other byte.
    for encoding, zeros in (("utf-16-le", data[1:1024:2]), ("utf-16-be", data[0:1024:2])):
        if zeros and zeros.count(0) * 2 > len(zeros):
            return encoding
    return "utf-8"


def _matches(texts: Iterator[str], spans: Spans) -> Iterator[Match]:
    window = _Window()
    for text in texts:
        yield from window.look(text, spans, margin=_OVERLAP)
    yield from window.look("", spans, margin=0)


class _Window:
    """The stretch of a text that is looked at now, and where in the whole it begins."""

    def __init__(self) -> None:
        self._text = ""
        self._seen = 0  # so many of its characters are there for what follows them
        self._line = 1
        self._column = 1

    def look(self, more: str, spans: Spans, *, margin: int) -> Iterator[Match]:
        """Go on by `more`; yield what begins before the last `margin` characters."""
        self._text += more
        limit = len(self._text) - margin
        if limit <= self._seen:
            return
        done, line, column = 0, self._line, self._column
        for start, _, kind in spans(self._text):
            if self._seen <= start < limit:
                line, column = self._place(line, column, done, start)
                done = start
                yield Match(line=line, column=column, kind=kind)
        self._move(limit)

    def _move(self, limit: int) -> None:
        start = max(0, limit - _CONTEXT)
        self._line, self._column = self._place(self._line, self._column, 0, start)
        self._text = self._text[start:]
        self._seen = limit - start

    def _place(self, line: int, column: int, done: int, at: int) -> tuple[int, int]:
        """Return where the character `at` is, if that at `done` is at `line` and `column`."""
        breaks = self._text.count("\n", done, at)
        if not breaks:
            return line, column + at - done
        return line + breaks, at - self._text.rfind("\n", done, at)


def _mode(path: Path) -> int:
    try:
        return path.lstat().st_mode
    except OSError:
        return 0


def _words(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
