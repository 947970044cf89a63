"""`Reading`: a text as it reads once its escapes are undone or its encoded runs are decoded.

A reading remembers where each of its characters stood, so what is found in it can be hidden in the
text that it was read from.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

NOISE: Final = r"[\x00-\x20\x7f\"'`\\\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]"
"""What may stand between the characters of a secret that was quoted, wrapped or widened."""

_LONGEST_INFLATED: Final = 1 << 16
_FEWEST_PRINTABLE: Final = 0.8
_PRINTABLE: Final = bytes([0, 9, 10, 13, *range(0x20, 0x7F)])
_ANSI: Final = r"\x1b(?:\[[0-9;:?]{0,32}[ -/]?[@-~]|\][^\x07\x1b]{0,256}(?:\x07|\x1b\\)|[@-Z\\-_])"
_ESCAPE: Final = (
    r"(?P<row>(?:%[0-9A-Fa-f]{2}){2,}+|(?:\\x[0-9A-Fa-f]{2}){2,}+|(?:\\u00[0-9A-Fa-f]{2}){2,}+)"
    r"|(?:%|\\+x)(?P<byte>[0-9A-Fa-f]{2})"
    r"|\\+[uU]\{?(?:0000)?(?P<unit>[0-9A-Fa-f]{4})\}?"
    r"|\\+(?P<octal>[0-3][0-7]{2})"
    r"|(?P<control>\\+[nrtabfv](?![a-z]{12})|\\+e(?=\[))"
)
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
_LOWER_BASE32: Final = r"(?=[a-z]*[2-7])[a-z2-7]{16,}=*"
_PRINTABLE_HEX: Final = r"(?:[2-7][0-9A-Fa-f]){6}"
_BREAK: Final = r"(?:\s{0,8}(?:\r?\n|(?:\\+r)?\\+n)\s{0,8})"


class Reading:
    """A text, and for each of its characters the stretch of the original that it was read from."""

    __slots__ = ("_ends", "_starts", "text")

    def __init__(
        self,
        text: str,
        starts: Sequence[int] | None = None,
        ends: Sequence[int] | None = None,
    ) -> None:
        self.text = text
        self._starts = starts
        self._ends = ends

    def source(self, start: int, end: int) -> tuple[int, int]:
        """Return where the characters from `start` to `end` stood in the original."""
        if self._starts is None or self._ends is None:
            return start, end
        return self._starts[start], self._ends[end - 1]

    def inner(self, text: str, starts: Sequence[int], ends: Sequence[int]) -> Reading:
        """Return what was read from this reading, its places being those of the original."""
        if self._starts is None or self._ends is None:
            return Reading(text, starts, ends)
        mine, last = self._starts, self._ends
        return Reading(text, [mine[at] for at in starts], [last[at - 1] for at in ends])

    def decoded(self) -> Iterator[Reading]:
        """Yield what the runs in it hold that are encoded text, such as base64."""
        for pattern, decode in _RUNS:
            for run in _compiled(pattern).finditer(self.text):
                for text, starts, ends in decode(run):
                    yield self.inner(text, starts, ends)

    def unescaped(self) -> Iterator[Reading]:
        """Yield what it becomes as the escapes of one kind go, for each kind that it has."""
        text = self.text
        if "\x1b" in text and _compiled(_ANSI).search(text):
            yield from self._without(_ANSI)
        elif "%" in text or "\\" in text:
            yield from self._without(_ESCAPE)
        if "&" in text:
            yield from self._without(_ENTITY)
        if "=" in text and _compiled(_IN_QUOTED_PRINTABLE).search(text):
            yield from self._without(_QUOTED_PRINTABLE)

    def _without(self, escapes: str) -> Iterator[Reading]:
        text = self.text
        parts: list[str] = []
        starts: list[int] = []
        ends: list[int] = []
        done = 0
        for escape in _compiled(escapes).finditer(text):
            start, end = escape.span()
            parts += [text[done:start], _characters(escape)]
            starts.extend(range(done, start))
            ends.extend(range(done + 1, start + 1))
            if parts[-1]:
                step = (end - start) // len(parts[-1])
                starts.extend(range(start, end, step))
                ends.extend(range(start + step, end + step, step))
            done = end
        if done:
            starts.extend(range(done, len(text)))
            ends.extend(range(done + 1, len(text) + 1))
            yield self.inner("".join([*parts, text[done:]]), starts, ends)


_Decoded = tuple[str, "Sequence[int]", "Sequence[int]"]


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


def _pieces(run: re.Match[str]) -> tuple[str, Sequence[int]]:
    """Return the characters of a run that count, and where they stood: without its line breaks."""
    text, start = run[0], run.start()
    if text.isalnum() or not _compiled(_BREAK).search(text):
        return text, range(start, start + len(text))
    kept: list[int] = []
    done = 0
    for gap in _compiled(_BREAK).finditer(text):
        kept.extend(range(done, gap.start()))
        done = gap.end()
    kept.extend(range(done, len(text)))
    return "".join([text[at] for at in kept]), [start + at for at in kept]


def _of_word(run: re.Match[str]) -> Iterator[_Decoded]:
    """Decode a run of letters and digits in each of the ways in which it can be decoded."""
    text, places = _pieces(run)
    if _compiled(_PRINTABLE_HEX).search(text):
        for digits in _compiled(r"[0-9A-Fa-f]{16,}+").finditer(text):
            yield from _of_hex(digits[0], places[digits.start() :])
    if text.isupper() or _compiled(_LOWER_BASE32).fullmatch(text):
        for letters in _compiled(r"[A-Z2-7]{13,}+").finditer(text.upper()):
            yield from _of_base32(letters[0], places[letters.start() :])
    elif not text.islower():
        yield from _of_base64(text, places)


def _of_base64(text: str, places: Sequence[int]) -> Iterator[_Decoded]:
    from binascii import a2b_base64  # noqa: PLC0415 - light, but rarely needed

    text = text.rstrip("=").replace("-", "+").replace("_", "/").replace("=", "A")
    for shift in range(4):
        part = text[shift:]
        part = part[: len(part) - (len(part) % 4 == 1)]
        data = a2b_base64(part + "=" * (-len(part) % 4))
        yield from _readable(data, places[shift:], 6)


def _of_base32(text: str, places: Sequence[int]) -> Iterator[_Decoded]:
    for shift in range(8):
        part = text[shift:]
        bits = int(part.translate(_BASE32_DIGITS), 32) >> len(part) * 5 % 8
        data = bits.to_bytes(len(part) * 5 // 8, "big")
        yield from _readable(data, places[shift:], 5)


def _of_hex(text: str, places: Sequence[int]) -> Iterator[_Decoded]:
    for shift in range(2):
        size = (len(text) - shift) // 2
        data = bytes.fromhex(text[shift : shift + 2 * size])
        starts = places[shift : shift + 2 * size : 2]
        yield from _listed(data, starts, [at + 2 for at in starts])


def _of_hex_list(run: re.Match[str]) -> Iterator[_Decoded]:
    digits = [*_compiled(r"[0-9A-Fa-f]{2}(?![xX])").finditer(run[0])]
    start = run.start()
    yield from _listed(
        bytes.fromhex("".join(each[0] for each in digits)),
        [start + each.start() for each in digits],
        [start + each.end() for each in digits],
    )


def _of_decimals(run: re.Match[str]) -> Iterator[_Decoded]:
    numbers = [*_compiled(r"[0-9]+").finditer(run[0])]
    start = run.start()
    yield from _listed(
        bytes(int(each[0]) % 256 for each in numbers),
        [start + each.start() for each in numbers],
        [start + each.end() for each in numbers],
    )


def _listed(data: bytes, starts: Sequence[int], ends: Sequence[int]) -> Iterator[_Decoded]:
    if _is_readable(data):
        yield data.decode("latin-1"), starts, ends


def _readable(data: bytes, places: Sequence[int], bits: int) -> Iterator[_Decoded]:
    if data[:2] in {b"\x1f\x8b", b"x\x9c", b"x\x01", b"x\xda", b"x^"}:
        yield from _inflated(data, places)
    elif _is_readable(data):
        last = len(places) - 1
        yield (
            data.decode("latin-1"),
            [places[at * 8 // bits] for at in range(len(data))],
            [places[min(last, (at * 8 + 7) // bits)] + 1 for at in range(len(data))],
        )


def _inflated(data: bytes, places: Sequence[int]) -> Iterator[_Decoded]:
    import zlib  # noqa: PLC0415 - rarely needed

    try:
        plain = zlib.decompressobj(wbits=47).decompress(data, _LONGEST_INFLATED)
    except zlib.error:
        return
    # Which characters of the run a stretch comes from cannot be told.
    size = len(plain)
    yield plain.decode("latin-1"), [places[0]] * size, [places[-1] + 1] * size


def _is_readable(data: bytes) -> bool:
    return len(data.translate(None, _PRINTABLE)) <= (1 - _FEWEST_PRINTABLE) * len(data)


_HEX_LIST: Final = (
    r"(?<![0-9A-Za-z])(?:0[xX])?[0-9A-Fa-f]{2}"
    r"(?:[\s,:;.-]{1,4}(?:0[xX])?[0-9A-Fa-f]{2}(?![0-9A-Za-z])){7,}+"
)

_RUNS: Final[tuple[tuple[str, Callable[[re.Match[str]], Iterator[_Decoded]]], ...]] = (
    (
        rf"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{{11,}}={{0,6}}(?:{_BREAK}[A-Za-z0-9+/_-]+={{0,2}})*",
        _of_word,
    ),
    (_HEX_LIST, _of_hex_list),
    (r"(?<![0-9])[0-9]{2,3}(?:[\s,;]{1,3}[0-9]{2,3}(?![0-9])){7,}+", _of_decimals),
)
