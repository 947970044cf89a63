"""`Index`: finds which of very many known secrets a text holds, without looking for each.

Only letters and digits count at first: every stretch of eight of them is looked up in one table, in
which each secret has a few entries, one for each way in which it may be encoded. So a text costs
the same whether ten secrets are known or ten thousand, and quotes, line wraps, colons and colours
inside a secret do not matter. What is found so is then compared character by character.
"""

from __future__ import annotations

import re
import string
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import compress, pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from guard.readings import NOISE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from guard.readings import Reading

GRAM: Final = 8
"""How many letters and digits are looked up at once."""

WHOLE: Final = 16
"""A secret with fewer characters is looked for whole; of longer ones, three quarters will do."""

_LETTERS: Final = frozenset(string.ascii_letters + string.digits)
_OTHERS: Final = bytes(each for each in range(256) if chr(each) not in _LETTERS)
_IS_LETTER: Final = bytes(chr(each) in _LETTERS for each in range(256))
_LOWER: Final = bytes(range(256)).lower()
_BASE64: Final = frozenset(string.ascii_letters + string.digits + "+/-_")
_ROT13: Final = str.maketrans(
    string.ascii_lowercase + string.ascii_uppercase,
    string.ascii_lowercase[13:]
    + string.ascii_lowercase[:13]
    + string.ascii_uppercase[13:]
    + string.ascii_uppercase[:13],
)
_MOST_ALIKE: Final = 8
_MANY_LETTERS: Final = 1 << 16
_WORTH: Final = 32  # so many lookups cost what it costs to make an entry a part of a pattern
_LONGEST_GAP: Final = 64
_START: Final = 4
_WIDEST: Final = 6
_QUOTES: Final = frozenset("\"'<>")
_CLOSING: Final = ")]}.,;:!?…"


class Found(NamedTuple):
    """Where a known value stands in the original text."""

    start: int
    end: int
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Encoding:
    """One way to write a value, from which its letters can be told.

    Attributes:
        encode: Writes a value.
        offset: For base64, how many bytes stand before the value; -1 for all else. The characters
            at the ends may share bits with their neighbours.
        any_case: Letters may have any case; else they have their own, or all have the same.
        backwards: It ends with what the value begins with.
    """

    encode: Callable[[str], str]
    offset: int = -1
    any_case: bool = False
    backwards: bool = False

    def beginning(self, value: str) -> str:
        """Write as much of a value as can be told by."""
        return self.encode(value if self.backwards else beginning(value))


class _Entry(NamedTuple):
    """An entry of the table: a value, its encoding and where the stretch stands in its letters."""

    value: str
    encoding: _Encoding
    at: int


class Index:
    """Known values, to be found by eight of their letters and digits.

    A value costs about a kilobyte and a half here, however long it is, and forty microseconds once.
    """

    def __init__(self) -> None:
        self._entries: dict[bytes, tuple[_Entry, ...]] = {}
        self._odd: dict[str, str] = {}
        self._starts: dict[bytes, list[_Entry]] = {}
        self._started = 0
        self._fast: tuple[int, Any] = (0, None)
        self._asked = 0
        self.longest = 0
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, value: str) -> None:
        """Know `value` from now on."""
        self.longest = max(self.longest, len(value))
        self._count += 1
        for encoding in ENCODINGS:
            letters = skeleton(encoding.beginning(value))
            if len(letters) < GRAM:
                if encoding is ENCODINGS[0]:
                    self._add_odd(value)
                continue
            gram, at = self._choose(letters)
            entry = _Entry(value, encoding, at)
            self._entries[gram] = (*self._entries.get(gram, ()), entry)

    def _add_odd(self, value: str) -> None:
        """Know a value of more signs than letters, and as it reads once its bytes are unescaped."""
        self._odd[value] = value
        self._odd[value.encode("utf-8", "surrogatepass").decode("latin-1")] = value

    def find(self, reading: Reading) -> Iterator[Found]:
        """Yield where the known values stand in a reading, as places of the original."""
        text = reading.text
        for spelling, value in self._odd.items():
            for start, end in _literally(spelling, text):
                yield Found(*reading.source(start, end), value)
        hits = self._hits(skeleton(text))
        if hits:
            signs = text.encode("ascii", "replace").translate(_IS_LETTER)
            letters = [*compress(range(len(text)), signs)]
            written = cache(_written)  # for as long as this takes
            for at, entry in hits:
                span = _compared(entry, written(entry), text, letters[at])
                if span is not None:
                    yield Found(*reading.source(*span), entry.value)

    def holds(self, stretch: bytes) -> bool:
        """Tell whether the letters and digits of `stretch` are those that a value is known by."""
        return stretch.translate(_LOWER, _OTHERS) in self._entries

    def places(self, data: bytes) -> list[int]:
        """Return where in `data` the letters are that a value is known by."""
        spellings = [spelling.encode("utf-8", "surrogatepass") for spelling in self._odd]
        places = [
            found.start() for each in spellings for found in re.finditer(re.escape(each), data)
        ]
        hits = self._hits(data.translate(_LOWER, _OTHERS))
        if hits:
            letters = [*compress(range(len(data)), data.translate(_IS_LETTER))]
            places += [letters[at] for at, _ in hits]
        return places

    def stretches(self) -> Iterator[tuple[list[tuple[str, bool]], bool]]:
        """Yield, for a pattern, the letters by which each value is known in each encoding.

        Each letter comes with whether a sign stands behind it, each stretch with whether it is the
        value itself, in no encoding.
        """
        for spelling in self._odd:
            yield [(re.escape(_octets(each)), True) for each in spelling], True
        for entry in (entry for entries in self._entries.values() for entry in entries):
            wanted = entry.encoding.encode(entry.value)
            places = [*_letters(wanted)][entry.at : entry.at + GRAM]
            signs = [behind > at + 1 for at, behind in pairwise(places)]
            plain = entry.encoding is ENCODINGS[0]
            pattern = "(?i:{})" if plain or entry.encoding.any_case else "{}"
            letters = [pattern.format(wanted[at]) for at in places]
            yield [*zip(letters, [*signs, False], strict=True)], plain

    def beginning(self, data: bytes) -> int:
        """Return where in `data` a value may begin whose end is yet to come; else the end."""
        if self._odd:
            return _last_word(data)
        starts = self._beginnings()
        letters = data.translate(_LOWER, _OTHERS)
        for at in range(max(0, len(letters) - self.longest * 3), len(letters)):
            rest = letters[at:]
            for entry in starts.get(rest[:_START], ()):
                wanted = entry.encoding.encode(entry.value)
                whole = skeleton(wanted)
                if whole.startswith(rest) and whole != rest:
                    place = [nth for nth, each in enumerate(data) if chr(each) in _LETTERS][at]
                    # So few letters say nothing in another case or in a word of their own.
                    if len(rest) >= _START or (
                        chr(data[place]) == wanted[next(_letters(wanted))]
                        and data[place:].split() == [data[place:]]
                    ):
                        return _last_word(data[:place])
        return len(data)

    def _beginnings(self) -> dict[bytes, list[_Entry]]:
        """Return the entries by the first one to four letters of what they stand for."""
        entries = [entry for entries in self._entries.values() for entry in entries]
        if self._started != len(entries):
            self._starts = {}
            for entry in entries:
                wanted = skeleton(entry.encoding.encode(entry.value))
                for size in range(1, _START + 1):
                    self._starts.setdefault(wanted[:size], []).append(entry)
            self._started = len(entries)
        return self._starts

    def _hits(self, letters: bytes) -> list[tuple[int, _Entry]]:
        # One lookup after the other: a finalizer may add to the table at any moment.
        entries = self._entries
        if not entries:
            return []
        return [
            (at, entry)
            for at in self._candidates(letters, len(entries))
            if (gram := letters[at : at + GRAM]) in entries
            for entry in entries[gram]
        ]

    def _candidates(self, letters: bytes, size: int) -> Iterable[int]:
        """Return where an entry may be: once so much was asked for, a pattern of all tells."""
        if self._fast[0] != size:
            self._asked += len(letters)
            if self._asked < max(_MANY_LETTERS, size * _WORTH):
                return range(len(letters) - GRAM + 1)
            from guard.sieve import pattern  # noqa: PLC0415 - only for large texts

            self._asked = 0
            self._fast = size, pattern(b"|".join([*self._entries]).decode("ascii"))
        fast = self._fast[1]
        return range(len(letters) - GRAM + 1) if fast is None else _overlapping(fast, letters)

    def _choose(self, letters: bytes) -> tuple[bytes, int]:
        """Return a stretch of `letters`, from the end, that few others have, and where it is.

        Secrets of one issuer begin alike.
        """
        entries = self._entries
        starts = range(len(letters) - GRAM, -1, -1)[:_MOST_ALIKE]
        for at in starts:
            gram = letters[at : at + GRAM]
            if gram not in entries:
                return gram, at
        grams = ((letters[at : at + GRAM], at) for at in starts)
        return min(grams, key=lambda gram: len(entries[gram[0]]))


def _overlapping(pattern: Any, data: bytes) -> Iterator[int]:
    at = -1
    while (match := pattern.search(data, at + 1)) is not None:
        at = match.start()
        yield at


def beginning(value: str) -> str:
    """Return as much of `value` as is hidden even where the rest is missing."""
    return value if len(value) < WHOLE else value[: -(-len(value) * 3 // 4)]


def skeleton(text: str) -> bytes:
    """Return the letters and digits of `text`, in lower case."""
    return text.encode("ascii", "ignore").translate(_LOWER, _OTHERS)


def _last_word(data: bytes) -> int:
    return max(data.rfind(blank) for blank in (b" ", b"\t", b"\n")) + 1


def _letters(text: str) -> Iterator[int]:
    return (at for at, character in enumerate(text) if character in _LETTERS)


def _written(entry: _Entry) -> tuple[str, int, int]:
    """Return how an entry's value is written, where its stretch is in it, and how much will do."""
    wanted = entry.encoding.encode(entry.value)
    middle = next(place for nth, place in enumerate(_letters(wanted)) if nth == entry.at)
    return wanted, middle, len(entry.encoding.beginning(entry.value))


def _compared(
    entry: _Entry, written: tuple[str, int, int], text: str, at: int
) -> tuple[int, int] | None:
    """Return where an entry's value stands in `text` that has its stretch at `at`, if it does."""
    encoding = entry.encoding
    wanted, middle, least = written
    spellings = [wanted]
    if encoding.offset < 0 and not encoding.any_case and len(wanted) >= WHOLE:
        spellings += [wanted.lower(), wanted.upper()]
    for spelling in spellings:
        span = _aligned(spelling, middle, least, text, at, encoding)
        if span is not None:
            return span if encoding.offset < 0 else _padded(entry, text, *span)
    return None


def _aligned(
    wanted: str, middle: int, least: int, text: str, at: int, encoding: _Encoding
) -> tuple[int, int] | None:
    """Return where `wanted`, or at least so much of it, is in `text`: its `middle` at `at`."""
    if at >= middle and text.startswith(wanted, at - middle):
        return at - middle, at - middle + len(wanted)
    # In a long value any sign is noise.
    noise = _noise() if len(skeleton(wanted)) < WHOLE else _sign()
    behind, start = _follow(wanted[:middle][::-1], text, at - 1, encoding, noise, step=-1)
    if behind < middle:
        return None
    ahead, end = _follow(wanted[middle:], text, at, encoding, noise)
    if middle + ahead < least:
        return None
    start += 1
    if middle + ahead < len(wanted):
        end = _after_rest(text, end, len(wanted) - middle - ahead)
    return start, end


def _follow(
    wanted: str,
    text: str,
    at: int,
    encoding: _Encoding,
    noise: re.Pattern[str],
    *,
    step: int = 1,
) -> tuple[int, int]:
    """Walk along both while they agree; return how far that was in one, and where in the other.

    Noise between two characters of `text` is passed over, and what is noise in `wanted` may be
    missing. `text` is walked from `at` on, backwards if `step` is.
    """
    matched = 0
    done = at
    end = len(text) if step > 0 else -1
    for nth, character in enumerate(wanted):
        gap = at
        while gap != end and not _agree(character, text[gap], encoding):
            noisy = abs(gap - at) <= _LONGEST_GAP and noise.match(text, gap)
            gap = gap + step if noisy else end
        if gap != end:
            at = gap + step
            if ord(character) > 127:  # noqa: PLR2004 - ASCII ends here
                at = _after_foreign(text, at, step, end)
            matched, done = nth + 1, at
        elif noise.match(character) or ord(character) > 127:  # noqa: PLR2004 - as above
            matched = nth + 1
        else:
            break
    return matched, done


def _agree(wanted: str, seen: str, encoding: _Encoding) -> bool:
    if wanted == seen or (encoding.any_case and wanted.lower() == seen.lower()):
        return True
    if encoding.offset >= 0:
        return wanted + seen in {"+-", "/_", "-+", "_/"}
    # A blank is a plus in a query; a letter beyond ASCII may be some bytes.
    return (wanted, seen) == (" ", "+") or (ord(wanted) > 127 and ord(seen) > 127)  # noqa: PLR2004


def _after_rest(text: str, at: int, missing: int) -> int:
    """Return where the word ends that a secret's beginning is in: its rest, oddly written."""
    last = min(len(text), at + missing * _WIDEST)
    end = at
    while end < last and not text[end].isspace() and text[end] not in _QUOTES:
        end += 1
    return at + len(text[at:end].rstrip(_CLOSING))


def _after_foreign(text: str, at: int, step: int, end: int) -> int:
    while at != end and 0x80 <= ord(text[at]) < 0xC0:  # noqa: PLR2004 - the rest of UTF-8
        at += step
    return at


def _padded(entry: _Entry, text: str, start: int, end: int) -> tuple[int, int]:
    """Return a stretch of base64 with the characters at its ends that hold bits of it too."""
    offset = entry.encoding.offset
    size = len(entry.value.encode("utf-8", "surrogatepass"))
    if offset and text[start - 1 : start] in _BASE64:
        start -= 1
    if (offset + size) % 3 and text[end : end + 1] in _BASE64:
        end += 1
    padding = text[end : end + 2]
    return start, end + len(padding) - len(padding.lstrip("="))


def _literally(value: str, text: str) -> Iterator[tuple[int, int]]:
    """Yield where a value of few letters stands, noise between its characters or not."""
    return (match.span() for match in _literal(value).finditer(text))


@lru_cache(maxsize=64)
def _literal(value: str) -> re.Pattern[str]:
    if len(_noise().sub("", value)) < GRAM // 2:
        return re.compile(re.escape(value))
    noise = _noise()
    parts = [
        f"[{re.escape(each)}+]?" if each == " " else re.escape(each) + "?" * bool(noise.match(each))
        for each in value
    ]
    return re.compile(f"{NOISE}{{0,8}}".join(parts))


def _octets(character: str) -> str:
    return character.encode("utf-8", "surrogatepass").decode("latin-1")


@cache
def _noise() -> re.Pattern[str]:
    return re.compile(NOISE + "|[^\x00-\x7f]")


@cache
def _sign() -> re.Pattern[str]:
    return re.compile("[^A-Za-z0-9]")


def _in_hex(value: str) -> str:
    return value.encode("utf-8", "surrogatepass").hex()


def _in_base64(offset: int) -> Callable[[str], str]:
    """Return what encodes a value that `offset` bytes stand before: what depends on it alone."""

    def encode(value: str) -> str:
        from binascii import b2a_base64  # noqa: PLC0415 - light, but rarely needed

        data = value.encode("utf-8", "surrogatepass")
        encoded = b2a_base64(bytes(offset) + data + bytes(2)).decode("ascii")
        return encoded[-(-offset * 8 // 6) : (offset + len(data)) * 8 // 6]

    return encode


ENCODINGS: Final = (
    _Encoding(encode=str),
    _Encoding(encode=_in_hex, any_case=True),
    *(_Encoding(encode=_in_base64(offset), offset=offset) for offset in range(3)),
    _Encoding(encode=lambda value: value[::-1], backwards=True),
    _Encoding(encode=lambda value: value.translate(_ROT13)),
)
"""How a value may be written; what has escapes in it is read without them first."""
