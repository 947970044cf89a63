"""`Reading`: a text as it reads once its escapes are undone or its encoded runs are decoded.

A reading remembers where each of its characters stood, so what is found in it can be hidden in the
text that it was read from.
"""

from __future__ import annotations

import re
from functools import cache, partial
from math import gcd
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

NOISE: Final = r"[\x00-\x20\x7f\"'`\\\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]"
"""What may stand between the characters of a secret that was quoted, wrapped or widened."""

_LONGEST_INFLATED: Final = 1 << 16
_ODDEST: Final = 5  # one in so many characters of a text may be one that cannot be printed
_PRINTABLE: Final = frozenset([0, 9, 10, 13, *range(0x20, 0x7F)])
_ODD: Final = bytes(each not in _PRINTABLE for each in range(256))
_ANSI: Final = r"\x1b(?:\[[0-9;:?]{0,32}[ -/]?[@-~]|\][^\x07\x1b]{0,256}(?:\x07|\x1b\\)|[@-Z\\-_])"
_ESCAPE: Final = (
    r"(?P<row>(?:%[0-9A-Fa-f]{2}){2,}+|(?:\\x[0-9A-Fa-f]{2}){2,}+|(?:\\u00[0-9A-Fa-f]{2}){2,}+)"
    r"|(?P<octals>(?:\\[0-3][0-7]{2}){2,}+)"
    r"|(?:%|\\+x)(?P<byte>[0-9A-Fa-f]{2})"
    r"|\\+[uU]\{?(?:0000)?(?P<unit>[0-9A-Fa-f]{4})\}?"
    r"|\\+(?P<octal>[0-3][0-7]{2})"
    r"|(?P<control>\\+[nrtabfv](?![a-z]{12})|\\+e(?=\[))"
)
_ESCAPED: Final = r"[%\\]\S*"
_ENTITY: Final = (
    r"&#[xX]0{0,8}(?P<unit>[0-9A-Fa-f]{1,6});?|&#0{0,8}(?P<decimal>[0-9]{1,7});?"
    r"|&(?P<name>amp|lt|gt|quot|apos|nbsp);"
)
_QUOTED_PRINTABLE: Final = r"(?P<row>(?:=[2-7][0-9A-F])++)|=\r?\n"
_IN_QUOTED_PRINTABLE: Final = r"=3D|=\r?\n|(?:=[2-7][0-9A-F][^=\s]{0,8}){3}"
_ENTITIES: Final = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'", "nbsp": " "}
_BASE32_DIGITS: Final = str.maketrans(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", "0123456789ABCDEFGHIJKLMNOPQRSTUV"
)
_BASE64_DIGITS: Final = str.maketrans("-_=", "+/A")
_PACKED: Final = frozenset((b"\x1f\x8b", b"x\x9c", b"x\x01", b"x\xda", b"x^"))
_LOWER_BASE32: Final = r"(?=[a-z]*[2-7])[a-z2-7]{16,}=*"
_PRINTABLE_HEX: Final = r"(?:[2-7][0-9A-Fa-f]){6}"
_BROKEN_HEX: Final = r"(?:[2-7](?:[^!-~]|[\\nr?])*[0-9A-Fa-f](?:[^!-~]|[\\nr?])*){6}"
_NO_COMMAS: Final = str.maketrans("", "", ",:;.-")
_BREAK: Final = r"(?:\s{0,8}(?:\r?\n|(?:\\+r)?\\+n)\s{0,8})"


class Reading:
    """A text, and where each of its characters stood in the one that it was read from.

    Args:
        text: The text.
        outer: What it was read from; None for the original.
        places: Tells where each character starts and ends there. It is asked only once something
            was found, which for most readings is never.
    """

    __slots__ = ("_outer", "_places", "text")

    def __init__(
        self, text: str, outer: Reading | None = None, places: Callable[[], _Places] | None = None
    ) -> None:
        self.text = text
        self._outer = outer
        self._places = None if places is None else cache(places)

    def source(self, start: int, end: int) -> tuple[int, int]:
        """Return where the characters from `start` to `end` stood in the original."""
        if self._outer is None or self._places is None:
            return start, end
        starts, ends = self._places()
        return self._outer.source(starts[start], ends[end - 1])

    def decoded(self) -> Iterator[Reading]:
        """Yield what the runs in it hold that are encoded text, such as base64.

        What is decoded in the same way makes one reading, its parts kept apart.
        """
        for pattern, sketch, decode in _RUNS:
            if not _may_hold(self.text, sketch):
                continue
            found: dict[int, list[_Decoded]] = {}
            for part in decode(_compiled(pattern).finditer(self.text)):
                found.setdefault(part.way, []).append(part)
            for parts in found.values():
                text = _SEAM.join([part.text for part in parts])
                yield Reading(text, self, partial(_joined, parts))

    def unescaped(self) -> Iterator[Reading]:
        """Yield what it becomes as the escapes of one kind go, for each kind that it has."""
        text = self.text
        if "\x1b" in text and _compiled(_ANSI).search(text):
            yield from self._without(_ANSI)
        elif "%" in text or "\\" in text:
            yield from self._without(_ESCAPE)
        if "&" in text:
            yield from self._without(_ENTITY)
        quoted = "=" in text and _may_hold(text, _IN_QUOTED_PRINTABLE)
        if quoted and _compiled(_IN_QUOTED_PRINTABLE).search(text):
            yield from self._without(_QUOTED_PRINTABLE)

    def _without(self, escapes: str) -> Iterator[Reading]:
        text = self.text
        parts = []
        done = 0
        for escape in _found(escapes, text):
            start, end = escape.span()
            parts += [text[done:start], _characters(escape)]
            done = end
        if parts:
            plain = "".join([*parts, text[done:]])
            yield Reading(plain, self, partial(_around_escapes, escapes, text))


_Places = tuple["Sequence[int]", "Sequence[int]"]


class _Decoded(NamedTuple):
    """What a run holds if it is decoded in one of the ways there are, and where that stood."""

    way: int
    text: str
    places: Callable[[], _Places]


# Nothing that is looked for goes across this.
_SEAM: Final = "\n;-----;\n"


def _joined(parts: list[_Decoded]) -> _Places:
    starts: list[int] = []
    ends: list[int] = []
    for part in parts:
        if ends:
            starts.extend([ends[-1] - 1] * len(_SEAM))
            ends.extend([ends[-1]] * len(_SEAM))
        for all_, some in zip((starts, ends), part.places(), strict=True):
            all_.extend(some)
    return starts, ends


def _found(escapes: str, text: str) -> Iterator[re.Match[str]]:
    """Yield the escapes in a text, in order."""
    pattern = _compiled(escapes)
    if escapes is not _ESCAPE:
        yield from pattern.finditer(text)
        return
    # A search for the letters that all of them begin with is a hundred times faster than theirs.
    for word in _compiled(_ESCAPED).finditer(text):
        yield from pattern.finditer(text, *word.span())


def _around_escapes(escapes: str, text: str) -> _Places:
    starts: list[int] = []
    ends: list[int] = []
    done = 0
    for escape in _found(escapes, text):
        start, end = escape.span()
        starts.extend(range(done, start))
        ends.extend(range(done + 1, start + 1))
        size = len(_characters(escape))
        if size:
            step = (end - start) // size
            starts.extend(range(start, end, step))
            ends.extend(range(start + step, end + step, step))
        done = end
    starts.extend(range(done, len(text)))
    ends.extend(range(done + 1, len(text) + 1))
    return starts, ends


def _may_hold(text: str, sketch: str) -> bool:
    from guard.shapes import is_large  # noqa: PLC0415 - what only learns needs no shapes

    if not is_large(text):
        return True
    from guard.sieve import may_hold  # noqa: PLC0415 - only for large texts

    return may_hold(text, sketch)


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _characters(escape: re.Match[str]) -> str:
    """Return what an escape, or a row of escapes of one kind, stands for."""
    kind = escape.lastgroup
    if kind is None:
        return ""
    digits = escape[kind]
    match kind:
        case "row":
            for lead in ("%", "\\x", "\\u00", "="):
                digits = digits.replace(lead, "")
            return bytes.fromhex(digits).decode("latin-1")
        case "octals":
            return "".join([chr(int(each, 8)) for each in digits[1:].split("\\")])
        case "name":
            return _ENTITIES[digits]
        case "control":
            # With the bracket behind it, `\e` is a colour's beginning.
            return "\x1b" if digits.endswith("e") else " "
        case _:
            return _chr(int(digits, _BASES.get(kind, 16)), escape)


_BASES: Final = {"decimal": 10, "octal": 8}


def _chr(code: int, escape: re.Match[str]) -> str:
    return chr(code) if code <= 0x10FFFF else escape[0]  # noqa: PLR2004 - the last there is


# Runs


def _unbroken(run: re.Match[str]) -> str:
    """Return a run without its line breaks."""
    text = run[0]
    return _compiled(_BREAK).sub("", text) if "\n" in text or "\\" in text else text


def _places(run: re.Match[str]) -> Sequence[int]:
    """Return where each character of a run stood that is no part of a line break."""
    kept: list[int] = []
    done, end = run.span()
    for gap in _compiled(_BREAK).finditer(run.string, done, end):
        kept.extend(range(done, gap.start()))
        done = gap.end()
    kept.extend(range(done, end))
    return kept


class _Digits(NamedTuple):
    """What a run has of the digits of one encoding, and where in the run they begin."""

    text: str
    run: re.Match[str]
    start: int = 0


def _of_words(runs: Iterable[re.Match[str]]) -> Iterator[_Decoded]:
    """Decode runs of letters and digits in each of the ways in which they can be decoded."""
    hexadecimal: list[_Digits] = []
    base32: list[_Digits] = []
    base64: list[_Digits] = []
    runs = [*runs]
    hexed = bool(runs) and _may_hold(runs[0].string, _BROKEN_HEX)
    for run in runs:
        text = _unbroken(run)
        if hexed and _compiled(_PRINTABLE_HEX).search(text):
            found = _compiled(r"[0-9A-Fa-f]{16,}+").finditer(text)
            hexadecimal += [_Digits(digits[0], run, digits.start()) for digits in found]
        if text.isupper() or _compiled(_LOWER_BASE32).fullmatch(text):
            found = _compiled(r"[A-Z2-7]{13,}+").finditer(text.upper())
            base32 += [_Digits(letters[0], run, letters.start()) for letters in found]
        elif not text.islower():
            base64.append(_Digits(text.rstrip("="), run))
    for bits, zero, each, decode in (
        (4, "0", hexadecimal, bytes.fromhex),
        (5, "A", base32, _from_base32),
        (6, "A", base64, _from_base64),
    ):
        yield from _of_digits(each, bits, zero, decode)


def _of_digits(
    words: list[_Digits], bits: int, zero: str, decode: Callable[[str], bytes]
) -> Iterator[_Decoded]:
    """Yield what words of digits hold from each of the first on, if it is text.

    They are decoded at once, each put where a group of digits begins: one by one takes far longer.
    """
    if not words:
        return
    group = 8 // gcd(bits, 8)
    sizes = [(len(word.text) // group + 2) * group for word in words]
    joined = "".join([word.text.ljust(size, zero) for word, size in zip(words, sizes, strict=True)])
    for shift in range(group):
        data = decode(joined[shift:] + shift * zero)
        odd = data.translate(_ODD)
        at = 0
        for word, size in zip(words, sizes, strict=True):
            end = at + (len(word.text) - shift) * bits // 8
            if data[at : at + 2] in _PACKED:
                yield from _inflated(data[at:end], word.run)
            elif odd.count(1, at, end) * _ODDEST <= end - at:
                places = partial(_of_bits, word.run, word.start + shift, bits, end - at)
                yield _Decoded(bits << 8 | shift, data[at:end].decode("latin-1"), places)
            at += size * bits // 8


def _from_base64(text: str) -> bytes:
    from binascii import a2b_base64  # noqa: PLC0415 - light, but rarely needed

    return a2b_base64(text.translate(_BASE64_DIGITS))


def _from_base32(text: str) -> bytes:
    return int(text.translate(_BASE32_DIGITS), 32).to_bytes(len(text) * 5 // 8, "big")


def _of_bits(run: re.Match[str], shift: int, bits: int, size: int) -> _Places:
    places = _places(run)[shift:]
    last = len(places) - 1
    return (
        [places[at * 8 // bits] for at in range(size)],
        [places[min(last, (at * 8 + 7) // bits)] + 1 for at in range(size)],
    )


def _inflated(data: bytes, run: re.Match[str]) -> Iterator[_Decoded]:
    import zlib  # noqa: PLC0415 - rarely needed

    try:
        plain = zlib.decompressobj(wbits=47).decompress(data, _LONGEST_INFLATED)
    except zlib.error:
        return
    # Which characters of the run a stretch comes from cannot be told. One of these is large enough.
    start, end = run.span()
    size = len(plain)
    yield _Decoded(-1 - start, plain.decode("latin-1"), lambda: ([start] * size, [end] * size))


def _of_hex_lists(runs: Iterable[re.Match[str]]) -> Iterator[_Decoded]:
    pattern = _compiled(r"[0-9A-Fa-f]{2}(?![xX])")
    for run in runs:
        digits = "".join(run[0].replace("0x", "").replace("0X", "").split())
        yield from _of_list(bytes.fromhex(digits.translate(_NO_COMMAS)), pattern, run)


def _of_decimals(runs: Iterable[re.Match[str]]) -> Iterator[_Decoded]:
    pattern = _compiled(r"[0-9]+")
    for run in runs:
        yield from _of_list(
            bytes([int(each) % 256 for each in pattern.findall(run[0])]), pattern, run
        )


def _of_list(data: bytes, pattern: re.Pattern[str], run: re.Match[str]) -> Iterator[_Decoded]:
    if _is_readable(data):
        yield _Decoded(0, data.decode("latin-1"), partial(_of_each, pattern, run))


def _of_each(pattern: re.Pattern[str], run: re.Match[str]) -> _Places:
    start = run.start()
    spans = [each.span() for each in pattern.finditer(run[0])]
    return [start + each for each, _ in spans], [start + each for _, each in spans]


def _is_readable(data: bytes) -> bool:
    return data.translate(_ODD).count(1) * _ODDEST <= len(data)


# A blank beyond Latin 1 is a question mark to RE2.
_BLANK: Final = r"\x00-\x20\x85\xa0?"
_WORD: Final = "A-Za-z0-9+/_-"
_HEX_LIST: Final = (
    r"(?<![0-9A-Za-z])(?:0[xX])?[0-9A-Fa-f]{2}"
    r"(?:[\s,:;.-]{1,4}(?:0[xX])?[0-9A-Fa-f]{2}(?![0-9A-Za-z])){7,}+"
)

# Each with what is in every text that it matches in, as RE2 has it.
_RUNS: Final[
    tuple[tuple[str, str, Callable[[Iterable[re.Match[str]]], Iterator[_Decoded]]], ...]
] = (
    (
        rf"(?<![{_WORD}])[{_WORD}]{{11,}}={{0,6}}(?:{_BREAK}[{_WORD}]+={{0,2}})*",
        f"[{_WORD}]{{11}}",
        _of_words,
    ),
    (_HEX_LIST, rf"(?:[0-9A-Fa-f]{{2}}[{_BLANK},:;.-]{{1,4}}(?:0[xX])?){{7}}", _of_hex_lists),
    (
        r"(?<![0-9])[0-9]{2,3}(?:[\s,;]{1,3}[0-9]{2,3}(?![0-9])){7,}+",
        f"(?:[0-9]{{2,3}}[{_BLANK},;]{{1,3}}){{7}}",
        _of_decimals,
    ),
)
