"""`Lookout`: tells which kinds of secrets a text holds, by what they look like and by fingerprint.

A secret that is known by its fingerprint alone is found by making the fingerprints of the words in
a text: of each as a shell reads it, of the parts that punctuation makes of it, and of an option
together with its value.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from guard.secret import Secret

SHORTEST: Final = 4
LONGEST: Final = 4096
"""Shorter and longer words are not looked up."""

_SHORTEST_IN_FILES: Final = 16
_MOST_JOINED: Final = 8
_MOST_REMEMBERED: Final = 1 << 17

# A word as a shell reads it; a quote that is not closed is a character as any other. Nothing is
# given back, so that no text takes more than linear time.
_WORD: Final = re.compile(
    r"""(?>(?:[^\s"'\\]++|\\.|"(?:[^"\\]|\\.)*+"|'[^']*+'|["'\\])+)""", re.DOTALL
)
_PIECE: Final = re.compile(
    r"""\\(?P<escaped>.)|"(?P<double>(?:[^"\\]|\\.)*+)"|'(?P<single>[^']*+)'|[^"'\\]++|["'\\]""",
    re.DOTALL,
)
_CUT: Final = re.compile(r"""[\s=:@/&?,;#()\[\]{}<>|"'`\\]""")
_LONG_WORD: Final = re.compile(r"[A-Za-z0-9+/_.~=%:@-]{16,4096}+")
_DIGIT: Final = re.compile(r"[0-9]")
# At least eight characters, a digit and a letter among them; neither a path nor an address.
_TELLING: Final = re.compile(
    r"(?!~|\.{0,2}/|[A-Za-z]:\\|https?://)(?=\D*\d)(?=[\d\W_]*[^\d\W_])\S{8,}+"
)


class Lookout:
    """What to look for, as a function of a text.

    Args:
        shapes: Whether to look for what has the look of a secret.
        texts: Secrets at hand, or such words and pairs of them as `marks_of` returns; and the kind.
        fingerprints: Secrets known by their fingerprint alone, and the kind.
        fingerprint: Makes the fingerprint of a word.
    """

    def __init__(
        self,
        *,
        shapes: bool = False,
        texts: Mapping[str, str] | None = None,
        fingerprints: Mapping[str, str] | None = None,
        fingerprint: Callable[[str], str] | None = None,
    ) -> None:
        self._shapes = shapes
        self._texts = dict(texts or {})
        self._fingerprints = dict(fingerprints or {})
        self._fingerprint = fingerprint
        self._innocent: set[str] = set()
        # The others are ordinary words, which count only where they stand alone.
        self._telling = {text: kind for text, kind in self._texts.items() if is_telling(text)}

    def __call__(self, text: str) -> set[str]:
        """Return the kinds of secrets in `text`."""
        found = {kind for secret, kind in self._telling.items() if secret in text}
        if self._texts or self._fingerprints:
            found |= self._known(text)
        return found | {kind for _, _, kind in self._shaped(text)}

    def spans(self, text: str) -> Iterator[tuple[int, int, str]]:
        """Yield start, end and kind of each secret in a file's `text`, in order, none overlapping.

        Of what is known by fingerprint only long words with a digit are looked up here: files are
        longer than histories, and what was entered or issued looks so.
        """
        # Of two in the same place, what is known tells more than what it looks like.
        found = [*self._looked_up(text), *self._shaped(text)]
        done = 0
        for start, end, kind in sorted(found, key=lambda span: (span[0], -span[1])):
            if start >= done:
                yield start, end, kind
                done = end

    def _shaped(self, text: str) -> Iterator[tuple[int, int, str]]:
        from guard import shapes  # noqa: PLC0415 - its patterns take time

        if self._shapes:
            yield from ((start, end, shape.kind) for start, end, shape in shapes.find(text))

    def _looked_up(self, text: str) -> Iterator[tuple[int, int, str]]:
        if not self._texts and not self._fingerprints:
            return
        for match in _LONG_WORD.finditer(text):
            if _DIGIT.search(match[0]) is None:
                continue
            for part in dict.fromkeys((match[0], *_parts(match[0]))):
                if len(part) >= _SHORTEST_IN_FILES and (kind := self._kind_of(part)):
                    start = match.start() + match[0].find(part)
                    yield start, start + len(part), kind

    def _known(self, text: str) -> set[str]:
        """Return the kinds of known secrets in `text`; histories say the same again and again."""
        kinds = (self._kind_of(phrase) for phrase in phrases(words_of(text)))
        return {kind for kind in kinds if kind is not None}

    def _kind_of(self, phrase: str) -> str | None:
        if phrase in self._innocent or not SHORTEST <= len(phrase) <= LONGEST:
            return None
        kind = self._texts.get(phrase)
        if kind is None and self._fingerprints and self._fingerprint is not None:
            kind = self._fingerprints.get(self._fingerprint(phrase))
        if kind is None and len(self._innocent) < _MOST_REMEMBERED:
            self._innocent.add(phrase)
        return kind


def marks_of(secrets: Iterable[Secret], argv: Sequence[str]) -> dict[str, str]:
    """Return what tells `secrets`, which stood in `argv`, wherever they stand, and their kinds.

    That is most often the secret itself. An ordinary word, such as a password may be, stands in
    other places too, where it is none. It is told by what stands around it: the option before it,
    or the word that it is a part of.
    """
    marks: dict[str, str] = {}
    for secret in secrets:
        value = secret.reveal("look for it where it should not be")
        telling = [value] if is_telling(value) else _surroundings(value, argv)
        marks |= dict.fromkeys(telling, secret.kind)
    return marks


def is_telling(value: str) -> bool:
    """Tell whether `value` is so unlike a word, a path or an address that it means one thing."""
    return _TELLING.fullmatch(value) is not None


def words_of(text: str) -> Iterator[str]:
    """Yield the words in `text`, as a shell would read them."""
    for match in _WORD.finditer(text):
        word = match.group()
        yield _unquoted(word) if any(mark in word for mark in "\"'\\") else word


def phrases(words: Iterable[str]) -> Iterator[str]:
    """Yield what of `words` may be marks, as `marks_of` returns them.

    Words and parts of them that are telling, options with their values, and what is made of parts.
    """
    before = ""
    for word in words:
        if before.startswith("-"):
            yield f"{before} {word}"
        parts = tuple(_parts(word))
        if parts or is_telling(word):
            yield word
        yield from filter(is_telling, parts)
        yield from _pairs(word)
        before = word


def _surroundings(value: str, argv: Sequence[str]) -> Iterator[str]:
    for before, word in pairwise(["", *argv]):
        if word == value and before.startswith("-"):
            yield f"{before} {word}"
        elif pairs := [pair for pair in _pairs(word) if pair.endswith(f" {value}")]:
            yield from pairs
        elif value in _parts(word):
            yield word


def _parts(word: str) -> Iterator[str]:
    """Yield the runs of up to `_MOST_JOINED` neighbours that punctuation makes of `word`."""
    ends = [match.start() for match in _CUT.finditer(word)]
    if not ends:
        return
    starts = [0, *(end + 1 for end in ends)]
    ends.append(len(word))
    for first, start in enumerate(starts):
        for end in ends[first : first + _MOST_JOINED]:
            if end - start >= SHORTEST and end - start < len(word):
                yield word[start:end]


def _pairs(word: str) -> Iterator[str]:
    """Yield an option and its value that are one word: ``--token=x``, ``-px``, ``token=x``."""
    name, given, value = word.partition("=")
    if given:
        yield f"{name} {value}"
    elif word.startswith("-") and not word.startswith("--"):
        yield f"{word[:2]} {word[2:]}"


def _unquoted(word: str) -> str:
    return _PIECE.sub(_plain, word)


def _plain(piece: re.Match[str]) -> str:
    if piece["double"] is not None:
        return re.sub(r"\\([\"\\$`])", r"\1", piece["double"])
    if piece["single"] is not None:
        return piece["single"]
    return piece["escaped"] or ("" if piece[0] in {'"', "'"} else piece[0])
