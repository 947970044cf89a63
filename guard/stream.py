"""`Redactor`: scrubs bytes that come in chunks, however they are cut, and holds little back."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from guard.scrub import Scrubber

BLOCK: Final = 1 << 19
"""So much is scrubbed at once; a long stream needs a few times that in memory."""

_BEFORE: Final = 512
_LONGEST_WORD: Final = 4096
_NAMES: Final = rb"token|secret|pass|key|pwd|jwt|code|assertion|credential|jsessionid"
_OPEN: Final = (
    # The value behind a secret's name, and the word behind a scheme.
    rb"(?i:" + _NAMES + rb")[A-Za-z0-9_-]{0,32}\\?[\"']?\s{0,4}[=:][>=]?\s{0,4}"
    rb"(?P<value>\\?[\"'][^\"'\n]{0,512}|[^\s\"']*)\Z"
    rb"|(?i:basic|bearer)\s{1,4}(?P<word>\S*)\Z"
    # A word with escapes, with what tokens of some issuer begin with, or long.
    rb"|(?P<odd>(?<!\S)\S*(?:%[2-7]|\\[ux][0-9]|&#[0-9xX]|://|=[3-7][0-9A-F]|[A-Za-z0-9]\x1b"
    rb"|A[TC]TT|AT[ST]TT|ATBB|ATOA|eyJ|gh[pousr]_|github_|A[KS]IA|gl[a-z]{2,5}-|xox|xapp-|AIza"
    rb"|sk-|[sr]k_|SG\.|hf_|npm_|pypi-|hv[sbr]\.|dckr_|do[opr]_|Q~|[A-Za-z0-9+/_-]{16})\S*)\Z"
)


class _Piece(NamedTuple):
    """A stretch of bytes to hide, its kind and its mark."""

    start: int
    end: int
    kind: str
    mark: bytes


class Redactor:
    """Scrubs a stream: what goes in at `feed` comes out, a little later, without its secrets.

    Bytes that are no UTF-8 come out as they are.

    Args:
        scrubber: Knows the secrets, those learnt meanwhile too.
    """

    def __init__(self, scrubber: Scrubber) -> None:
        self._scrubber = scrubber
        self._before = b"\n"  # the end of what has gone out, as it was
        self._waiting: list[bytes | memoryview] = []
        self._size = 0
        self._found: Counter[str] = Counter()

    @property
    def found(self) -> Mapping[str, int]:
        """How often each kind of secret was found so far."""
        return self._found

    def feed(self, data: bytes) -> bytes:
        """Take more of the stream, and return what can go out by now."""
        out: list[bytes | memoryview] = []
        view = memoryview(bytes(data))  # bytes are not copied until they are looked at
        for start in range(0, len(data), BLOCK):
            self._waiting.append(view[start : start + BLOCK])
            self._size += len(self._waiting[-1])
            if self._size >= BLOCK:
                out.append(self._pass_on(self._at_line))
        return b"".join(out)

    def flush(self) -> bytes:
        """Return all but what could be the beginning of a secret: for when the stream pauses."""
        return bytes(self._pass_on(self._at_word))

    def finish(self) -> bytes:
        """Return the rest: the stream is over."""
        return bytes(self._pass_on(lambda _data, _pieces: self._size + len(self._before)))

    def _pass_on(self, choose: Callable[[bytes, list[_Piece]], int]) -> bytes | memoryview:
        data = b"".join([self._before, *self._waiting])
        begin = len(self._before)
        pieces = [piece for piece in self._pieces(data) if piece.end > begin]
        cut = max(begin, choose(data, pieces))
        gone = [piece for piece in pieces if max(begin, piece.start) < cut]
        self._found.update(piece.kind for piece in gone)
        out = _replaced(data, begin, cut, gone)
        self._before = data[max(0, cut - _BEFORE) : cut]
        self._waiting = [data[cut:]]
        self._size = len(data) - cut
        return out

    def _pieces(self, data: bytes) -> Iterator[_Piece]:
        done = 0
        for start, end in self._scrubber.sieve().regions(data):
            if end > done:
                pieces, done = self._looked_at(data, max(start, done), end)
                yield from pieces

    def _looked_at(self, data: bytes, start: int, end: int) -> tuple[list[_Piece], int]:
        """Look closely at a stretch, and further if what is found does not end in it."""
        while True:
            pieces = self._found_in(data, start, end)
            if not pieces or pieces[-1].end < end - 1 or end == len(data):
                return pieces, end
            end = min(len(data), end + 2 * (end - start))

    def _found_in(self, data: bytes, start: int, end: int) -> list[_Piece]:
        text = data[start:end].decode("utf-8", "surrogateescape")
        plain = text.isascii()
        pieces = []
        for span in self._scrubber.spans(text):
            left, right = span.start, span.end
            if not plain:
                left, right = _size(text[:left]), _size(text[:right])
            pieces.append(_Piece(start + left, start + right, span.kind, span.mark.encode()))
        return pieces

    def _at_line(self, data: bytes, pieces: list[_Piece]) -> int:
        """Cut at the end of a line, so far from the end that nothing before it is cut through."""
        limit = max(0, len(data) - self._scrubber.sieve().reach)
        cut = data.rfind(b"\n", limit // 2, limit) + 1 or limit
        return _before_pieces(cut, pieces, len(data) // 2)

    def _at_word(self, data: bytes, pieces: list[_Piece]) -> int:
        """Cut before what the next bytes could make a secret of."""
        tail = max(0, len(data) - _LONGEST_WORD)
        cut = len(data)
        open_ = _open().search(data, tail)
        if open_ is not None:
            cut = open_.start(open_.lastgroup or 0)
        cut = min(cut, tail + self._scrubber.beginning(data[tail:]))
        touching = [piece.start for piece in pieces if piece.end == len(data)]
        return _before_pieces(min([cut, *touching]), pieces, 0)


def _before_pieces(cut: int, pieces: list[_Piece], least: int) -> int:
    """Return a cut that goes through no piece, unless it were before `least` then."""
    for piece in reversed(pieces):
        if piece.start < cut < piece.end and piece.start >= least:
            cut = piece.start
    return cut


def _replaced(data: bytes, begin: int, cut: int, pieces: list[_Piece]) -> bytes | memoryview:
    # To copy it, and then again with what goes out beside it, takes a third of the time.
    view = memoryview(data)
    if not pieces:
        return view[begin:cut]
    out: list[bytes | memoryview] = []
    done = begin
    for piece in pieces:
        out += [view[done : max(done, piece.start)], piece.mark]
        done = min(cut, max(done, piece.end))
    return b"".join([*out, view[done:cut]])


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogateescape"))


@cache
def _open() -> re.Pattern[bytes]:
    return re.compile(_OPEN)
