"""`Index`: tells which of very many known secrets a text may hold, without looking for each.

Of a text only its letters and digits count here, once its escapes are undone: so quotes, line
wraps, colons and colours inside a secret do not matter. Every stretch of eight of them is looked up
in one table, in which each secret has a few entries: one for each way in which it may be encoded.
So a text costs the same whether ten secrets are known or ten thousand.
"""

from __future__ import annotations

import re
import string
from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

GRAM: Final = 8
"""How many letters and digits are looked up at once."""

WHOLE: Final = 16
"""A secret with fewer characters is looked for whole; of longer ones, three quarters will do."""

_ALNUM: Final = (string.ascii_letters + string.digits).encode()
_OTHERS: Final = bytes(each for each in range(256) if each not in _ALNUM)
_LOWER: Final = bytes(range(256)).lower()
_MOST_LAYERS: Final = 3
_CROWD: Final = 8
_ESCAPES: Final = ("%", "\\", "&")
_ESCAPE: Final = (
    r"(?:%|\\x)([0-9A-Fa-f]{2})"
    r"|\\[uU]\{?(?:0000)?([0-9A-Fa-f]{4})\}?"
    r"|&#[xX]0{0,8}([0-9A-Fa-f]{1,6});|&#0{0,8}([0-9]{1,7});"
    r"|(&(?:amp|lt|gt|quot|apos);|\\[nrtabfv])"
)
_DECIMAL: Final = 4
_NAMED: Final = 5


class Index:
    """Known values, to be found by what eight of their letters and digits are.

    A value costs about 600 bytes here, however long it is, and twenty microseconds once.
    """

    def __init__(self) -> None:
        self._holders: dict[bytes, tuple[str, ...]] = {}
        self._odd: list[str] = []

    def add(self, value: str) -> None:
        """Know `value` from now on."""
        grams = [self._gram(skeleton) for skeleton in _skeletons(value)]
        if not all(grams):
            self._odd.append(value)  # of signs more than of letters: each text is asked for it
            return
        for gram in {*grams}:
            self._holders[gram] = (*self._holders.get(gram, ()), value)

    def candidates(self, text: str) -> list[str]:
        """Return the values that `text` may hold in some form; any other it does not hold."""
        found = dict.fromkeys(self._odd)
        if self._holders:
            for reading in readings(text):
                found |= dict.fromkeys(self._held(skeleton(reading)))
        return list(found)

    def _held(self, letters: bytes) -> Iterator[str]:
        # One lookup after the other: a finalizer may add to the table at any moment.
        holders = self._holders
        for at in range(len(letters) - GRAM + 1):
            if (gram := letters[at : at + GRAM]) in holders:
                yield from holders[gram]

    def _gram(self, letters: bytes) -> bytes:
        """Return a stretch of `letters`, from the end, that few others have; nothing if too few.

        Secrets of one issuer begin alike.
        """
        ends = range(len(letters), GRAM - 1, -1)[:_CROWD]
        grams = [letters[end - GRAM : end] for end in ends]
        return min(grams, key=lambda gram: len(self._holders.get(gram, ())), default=b"")


def skeleton(text: str) -> bytes:
    """Return the letters and digits of `text`, in lower case."""
    return text.encode("ascii", "ignore").translate(_LOWER, _OTHERS)


def readings(text: str) -> Iterator[str]:
    """Yield `text` as it stands, then with one layer of escapes undone after the other."""
    yield text
    for _ in range(_MOST_LAYERS):
        if not any(each in text for each in _ESCAPES):
            return
        before, text = text, _escape().sub(_character, text)
        if text == before:
            return
        yield text


def _skeletons(value: str) -> Iterator[bytes]:
    """Yield what is left of the letters and digits of each encoding of a value's beginning."""
    import base64  # noqa: PLC0415 - only where something is scrubbed

    length = len(value)
    beginning = value if length < WHOLE else value[: -(-length * 3 // 4)]
    data = beginning.encode("utf-8", "surrogatepass")
    yield skeleton(beginning)
    yield data.hex().encode()
    for offset in range(3):
        encoded = base64.b64encode(bytes(offset) + data + bytes(2)).decode()
        yield skeleton(encoded[-(-offset * 8 // 6) : (offset + len(data)) * 8 // 6])


@cache
def _escape() -> re.Pattern[str]:
    return re.compile(_ESCAPE)


def _character(escape: re.Match[str]) -> str:
    group = escape.lastindex or 0
    if group == _NAMED:
        return " "
    code = int(escape[group], 10 if group == _DECIMAL else 16)
    return chr(code) if code <= 0x10FFFF else escape[0]  # noqa: PLR2004 - the last there is
