"""`Sieve`: points at the few places of a large text where a secret may be, at memory speed.

It points at too much rather than too little, and `guard.scrub` looks closely there. It is one
pattern for RE2, which walks it in one pass whatever the text. Where there is no RE2 the whole text
is looked at closely, which is slower and as good.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from guard.known import Index

_KEY: Final = 20 << 10
_SHORTEST_REACH: Final = 4096
_MOST_MEMORY: Final = 256 << 20
_BEFORE: Final = 128
_BEHIND: Final = 768
_LINE: Final = 1024
_CLOSE: Final = 64
_FEW: Final = 64
_DENSE: Final = 8
_FURTHEST: Final = 1 << 15
_LEAST_TEXT: Final = 8
_WORD: Final = "A-Za-z0-9+/_-"
_TEXT_IN_BASE64: Final = (
    f"[^{_WORD}](?:[I-Za-f][C-HS-Xi-nyz0-3][ABEFIJMNQRUVYZcdghklopstwx014589][{_WORD}]){{3}}"
)
_TEXT_IN_HEX: Final = r"[^0-9A-Za-z](?:[2-7][0-9A-Fa-f]){12}"
_DISGUISED: Final = (
    # UTF-16 in base64, and what gzip and zlib make of anything.
    f"[^{_WORD}](?:[A-Za-f][AQgw][AB][{_WORD}]A[A-H][AEIMQUYcgkosw048]A){{2}}",
    "H4sIA",
    "[^0-9A-Za-z][A-Z2-7]{16}",
    f"[^{_WORD}]eJ[w-z][{_WORD}]{{8}}",
    r"(?:%(?:25)*[2-7][0-9A-Fa-f][A-Za-z0-9._-]?){4}",
    r"(?:\\+(?:x|u00)[2-7][0-9A-Fa-f][A-Za-z0-9._-]?){4}",
    "(?:=[2-7][0-9A-F]){4}",
    r"(?:\\[01][0-7]{2}){4}",
    r"(?:&#[xX]?0*[0-9A-Fa-f]{2,3};){4}",
    r"[^0-9A-Za-z](?:(?:0[xX])?[2-7][0-9A-Fa-f][\s,:;.-]{1,3}){6}",
    r"[^0-9A-Za-z](?:(?:[3-9][0-9]|1[0-2][0-9])[\s,;]{1,3}){6}",
    # Colours and invisible characters within a word, line breaks within an encoded one.
    r"[A-Za-z0-9](?:\x1b|\\u001[bB]|\\x1[bB]|\\033)\[[0-9;]*m[A-Za-z0-9]",
    r"[A-Za-z0-9]\xe2\x80[\x8b-\x8f\xaa-\xae][A-Za-z0-9]",
    f"\\\\n[{_WORD}]{{24}}",
)
_GAP: Final = "[^A-Za-z0-9]*"
_SIGN: Final = (
    r"(?:[^A-Za-z0-9]|=[2-7][0-9A-F]|%(?:25)*[0-9A-Fa-f]{2}|\\+(?:u00|x)[0-9A-Fa-f]{2}"
    r"|&(?:amp|lt|gt|quot|apos|#[xX]?[0-9A-Fa-f]{2,4});)*"
)


class Sieve:
    """Finds where to look closely for the secrets that an index knows and those of a known look.

    Args:
        index: What is known; None for nothing.

    Attributes:
        reach: How many bytes around a place matter to what is found there.
    """

    def __init__(self, index: Index | None) -> None:
        self._index = index
        # A pattern for very many would take seconds to make, and again for each that is learnt.
        self._many = index is not None and len(index) > _FEW
        if index is None or self._many:
            self._pattern = _common()
        else:
            anchors = (_anchor(parts, gaps=plain) for parts, plain in index.stretches())
            self._pattern = pattern("|".join((*_sketches(), *_DISGUISED, *anchors)))
        longest = 0 if index is None else index.longest
        self.reach = max(_SHORTEST_REACH, 8 * longest)
        self._around = 2 * longest + _CLOSE

    def regions(self, data: bytes) -> Iterator[tuple[int, int]]:
        """Yield the stretches of `data` to look at, in order, none overlapping."""
        if self._pattern is None:
            yield 0, len(data)
            return
        places = self._places(data)
        if self._many:
            places = iter(sorted([*places, *self._known(data)]))
        start = end = 0
        for left, right in places:
            if left > end:
                if end:
                    yield start, end
                start = left
            end = max(end, right)
        if end:
            yield start, end

    def _places(self, data: bytes) -> Iterator[tuple[int, int]]:
        """Yield a stretch around each place; those within the last one are passed over."""
        at = looked = vain = right = ahead = 0
        while (match := self._pattern.search(data, at)) is not None:
            start, last = match.span()
            new = last > looked - _BEFORE and _looks().match(data, start) is not None
            reach = self._wanted(data, start, last, new=new)
            # Where one is by the other it takes less to look closely at all, and further each time.
            if reach or vain >= _DENSE:
                left = start - max(_BEFORE, self._around)
                ahead = min(_FURTHEST, 2 * ahead + _BEHIND) if left <= right else 0
                left, right = _in_lines(data, left, last + max(reach, ahead))
                yield left, right
                at = max(last, right - _CLOSE)
                vain = 0
            else:
                vain = 0 if new else vain + 1
                looked = max(start + _BEHIND, last + _CLOSE) if new else looked
                # What begins within what was none may be one.
                at = max(start + 1, last - _CLOSE)

    def _known(self, data: bytes) -> Iterator[tuple[int, int]]:
        """Yield a stretch around each place where the index, asked for each letter, has a hit."""
        if self._index is not None:
            for at in self._index.places(data):
                yield _in_lines(data, at - self._around, at + self._around)

    def _wanted(self, data: bytes, start: int, last: int, *, new: bool) -> int:
        """Return how far around a place to look; zero if it is none after all.

        What only looks like a secret was looked at already unless it is `new`.
        """
        stretch = data[start:last]
        if self._index is not None and self._index.holds(stretch):
            return self._around
        if new and (reach := _followed(data, start, last)):
            return reach
        if _encoded().match(data, start):
            return _BEHIND if _is_text(data, start) else 0
        return 0 if _looks().match(stretch) else _BEHIND


def _followed(data: bytes, start: int, last: int) -> int:
    """Return how far what looks like a secret goes on; zero if it is none."""
    stretch = data[start:last]
    if b"PRIVATE" in stretch.upper():
        return _KEY
    from guard.shapes import find  # noqa: PLC0415 - its patterns take time

    begin = max(0, start - _CLOSE)
    behind = max(start + _BEHIND, last + _CLOSE)
    ends = [end for _, end, _ in find(data[begin:behind].decode("latin-1"))]
    return max(_CLOSE, begin + ends[-1] + _CLOSE - last) if ends else 0


def _in_lines(data: bytes, left: int, right: int) -> tuple[int, int]:
    """Return a stretch made longer, so that it begins and ends with a line if that is near."""
    left, right = max(0, left), min(len(data), right)
    first = max(0, left - _LINE)
    left = max(data.rfind(b"\n", first, left) + 1, first)
    after = data.find(b"\n", right, right + _LINE)
    return left, after + 1 if after >= 0 else right


def _is_text(data: bytes, at: int) -> bool:
    """Tell whether the run of base64 or hexadecimal that begins behind `at` holds text."""
    from binascii import a2b_base64  # noqa: PLC0415 - light, but rarely needed

    run = data[at + 1 : at + 65]
    word = re.match(rb"[A-Za-z0-9+/_-]*", run)
    digits = re.match(rb"(?:[0-9A-Fa-f]{2})*", run)
    text = b"" if word is None else word[0].replace(b"-", b"+").replace(b"_", b"/")
    decoded = [a2b_base64(text[: len(text) & ~3])]
    if digits is not None:
        decoded.append(bytes.fromhex(digits[0].decode("ascii")))
    return any(len(each) >= _LEAST_TEXT and _printable(each) for each in decoded)


def _printable(data: bytes) -> bool:
    return len(data.translate(None, bytes([9, 10, 13, *range(0x20, 0x7F)]))) * 8 <= len(data)


def _anchor(parts: list[tuple[str, bool]], *, gaps: bool) -> str:
    """Return a pattern for some letters of a secret, with what may stand between them.

    Args:
        parts: The letters, and whether a sign stands behind each.
        gaps: Noise may stand between any two; else only a sign where there is one.
    """
    pieces = []
    for letters, sign in parts:
        pieces += [letters, _SIGN if sign else _GAP if gaps else ""]
    return "".join(pieces[:-1])


@cache
def _sketches() -> tuple[str, ...]:
    from guard.shapes import SHAPES  # noqa: PLC0415 - its patterns take time

    hints = [re.escape(hint) for shape in SHAPES if not shape.sketch for hint in shape.hints]
    sketches = [shape.sketch for shape in SHAPES if shape.sketch]
    return (f"(?i:{'|'.join(hints)})", *sketches, _TEXT_IN_BASE64, _TEXT_IN_HEX)


@cache
def _looks() -> re.Pattern[bytes]:
    return re.compile("|".join(_sketches()[:-2]).encode("latin-1"))


@cache
def _encoded() -> re.Pattern[bytes]:
    return re.compile(f"{_TEXT_IN_BASE64}|{_TEXT_IN_HEX}".encode("latin-1"))


@cache
def _common() -> Any:
    """Return the pattern for what looks like a secret; it is made once."""
    return pattern("|".join((*_sketches(), *_DISGUISED)))


def may_hold(text: str, wanted: str) -> bool:
    """Tell whether a text may hold what a pattern of RE2's is in."""
    fast = _quick(wanted)
    return fast is None or fast.search(text.encode("latin-1", "replace")) is not None


def among(words: tuple[str, ...], text: str) -> list[int] | None:
    """Return which lower-case words are in a text in any case; None if this cannot tell it fast."""
    fast = _all_of(words)
    try:
        return None if fast is None else fast.Match(text.encode("latin-1")) or []
    except UnicodeEncodeError:  # there may be a letter whose lower case is one of theirs
        return None


@cache
def _quick(wanted: str) -> Any:
    return pattern(wanted)


@cache
def _all_of(words: tuple[str, ...]) -> Any:
    try:
        import re2  # noqa: PLC0415 - only for large texts
    except ImportError:
        return None
    options = _options(re2)
    options.case_sensitive = False
    options.literal = True
    found = re2.Set.SearchSet(options)
    for word in words:
        found.Add(word.encode("latin-1"))
    found.Compile()
    return found


def pattern(wanted: str) -> Any:
    """Return a pattern for bytes; None where there is no RE2."""
    try:
        import re2  # noqa: PLC0415 - only for large texts
    except ImportError:
        return None
    return re2.compile(wanted.encode("latin-1"), _options(re2))


def _options(re2: Any) -> Any:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.max_mem = _MOST_MEMORY
    options.never_capture = True
    options.log_errors = False
    return options
