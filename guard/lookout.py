"""`Lookout`: tells which kinds of secrets a text holds, by what they look like and by fingerprint.

A secret that is known by its fingerprint alone is found by making the fingerprints of the words in
a text: of each as a shell reads it, of the parts that punctuation makes of it, and of an option
together with its value.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from guard.errors import SecretRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from guard.secret import Secret
    from guard.sieve import Sieve

SHORTEST: Final = 8
"""Shorter words are looked up together with what surrounds them only."""

LONGEST: Final = 4096
"""Longer ones are not."""

REFUSED: Final = "refused-secret"
"""The kind of what is refused for the name of its option alone."""

_SOME_SECRET: Final = frozenset({REFUSED, "named-secret"})
_SHORTEST_IN_FILES: Final = 16
_MOST_JOINED: Final = 8
_LARGE: Final = 1 << 15
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
_QUOTE: Final = re.compile(r"""["'\\]""")
# Most commands have no such word, and to look at one closely takes a while.
_NAMED: Final = re.compile(
    r"(?i:token|secret|pass|key|pwd|pat|credential|auth|cookie)|\s-[tpkuH]|[?&;#]\w+="
)
_EXPANSION: Final = re.compile(r"\$\{[^}]*\}|\$\([^)]*\)|\$\w+|`[^`]*`")
_OF_ONE_LETTER: Final = re.compile(r"-[A-Za-z] ")
_ENDS: Final = frozenset({";", "&&", "||", "|", "&"})
_CUT: Final = re.compile(r"""[\s=:@/&?,;#()\[\]{}<>|"'`\\]""")
_LONG_WORD: Final = re.compile(r"[A-Za-z0-9+/_.~=%:@-]{16,4096}+")
_DIGIT: Final = re.compile(r"[0-9]")
# At least eight characters, a digit and a letter among them; no path, no address, no issue's key.
_TELLING: Final = re.compile(
    r"(?!~|\.{0,2}/|[A-Za-z]:\\|https?://|[A-Z][A-Z0-9_]*-[0-9]+$)"
    r"(?=[^0-9]*[0-9])(?=[\d\W_]*[^\d\W_])\S{8,}+"
)

_MIXED: Final = re.compile(r"(?=.*[a-z])(?=.*[A-Z]).*[0-9]")


class Lookout:
    """What to look for, as a function of a text.

    Args:
        shapes: Whether to look for what has the look of a secret.
        texts: Secrets at hand, or what else `marks_of` returns; and the kind.
        fingerprints: Secrets known by their fingerprint alone, and the kind.
        phrases: The same of what `marks_of` returns of ordinary words.
        fingerprint: Makes a fingerprint.
        programs: The programs that refuse: what is known of an option of one letter, whose value
            is an ordinary word, counts for these alone. Empty for all.
        commands: Whether to look at their commands as `guard.intake` would do.
    """

    def __init__(
        self,
        *,
        shapes: bool = False,
        texts: Mapping[str, str] | None = None,
        fingerprints: Mapping[str, str] | None = None,
        phrases: Mapping[str, str] | None = None,
        fingerprint: Callable[[str], str] | None = None,
        programs: Collection[str] = (),
        commands: bool = False,
    ) -> None:
        self._shapes = shapes
        texts = texts or {}
        # The others are ordinary words, which count only where they stand as they did.
        self._telling = {text: kind for text, kind in texts.items() if is_telling(text)}
        self._surrounded = {text: kind for text, kind in texts.items() if not is_telling(text)}
        self._fingerprints = dict(fingerprints or {})
        self._phrases = dict(phrases or {})
        self._fingerprint = fingerprint
        self._programs = programs
        self._commands = commands
        self._sieve: Sieve | None = None
        self._innocent: set[str] = set()
        self._innocent_phrases: set[str] = set()

    def __call__(self, text: str) -> set[str]:
        """Return the kinds of secrets in `text`."""
        found = {kind for secret, kind in self._telling.items() if secret in text}
        found.update(self._phrases_in(text))
        if self._commands and self._is_ours(text) and _NAMED.search(text):
            found.update(self._refused_in(text))
        # Quotes may stand in the middle of what is at hand.
        if self._fingerprints or (self._telling and _QUOTE.search(text)):
            found.update(self._words_in(text))
        return _plainest(found | {kind for _, _, kind in self._shaped(text)})

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

        if not self._shapes:
            return
        for left, right in self._regions(text):
            for start, end, shape in shapes.find(text[left:right]):
                yield left + start, left + end, shape.kind

    def _regions(self, text: str) -> Iterable[tuple[int, int]]:
        """Return where to look closely: all of a short text, few places of a long one."""
        if len(text) < _LARGE:
            return [(0, len(text))]
        if self._sieve is None:
            from guard.sieve import Sieve  # noqa: PLC0415 - only for large texts

            self._sieve = Sieve(None)
        # A byte for each character: what it points at is ASCII.
        return self._sieve.regions(text.encode("latin-1", "replace"))

    def _looked_up(self, text: str) -> Iterator[tuple[int, int, str]]:
        if not self._telling and not self._fingerprints:
            return
        for match in _LONG_WORD.finditer(text):
            for part, kind in self._in_word(match[0], shortest=_SHORTEST_IN_FILES):
                start = match.start() + match[0].find(part)
                yield start, start + len(part), kind

    def _words_in(self, text: str) -> Iterator[str]:
        for word in words_of(text):
            yield from (kind for _, kind in self._in_word(word))

    def _in_word(self, word: str, *, shortest: int = SHORTEST) -> Iterator[tuple[str, str]]:
        """Yield which parts of `word` are secrets, and their kinds."""
        # Histories and logs say the same again and again.
        if len(word) < shortest or word in self._innocent or _DIGIT.search(word) is None:
            return
        found = False
        for part in dict.fromkeys((word, *_parts(word))):
            if is_telling(part) and (kind := self._kind_of(part)) is not None:
                found = True
                yield part, kind
        if not found:
            _remember(word, self._innocent)

    def _kind_of(self, part: str) -> str | None:
        kind = self._telling.get(part)
        if kind is None and self._fingerprints and self._fingerprint is not None:
            kind = self._fingerprints.get(self._fingerprint(part))
        return kind

    def _phrases_in(self, text: str) -> Iterator[str]:
        # What is at hand is ruled out at a glance.
        near = any(mark.rpartition(" ")[2] in text for mark in self._surrounded)
        if not near and not self._phrases:
            return
        ours = not self._programs or self._is_ours(text)
        for phrase in phrases_of(words_of(text)):
            # `-p 8080` is a port to most programs.
            if (ours or _OF_ONE_LETTER.match(phrase) is None) and (kind := self._known(phrase)):
                yield kind

    def _known(self, phrase: str) -> str | None:
        kind = self._surrounded.get(phrase)
        if kind is None and self._phrases and self._fingerprint is not None:
            if phrase in self._innocent_phrases:
                return None
            kind = self._phrases.get(self._fingerprint(phrase))
            if kind is None:
                _remember(phrase, self._innocent_phrases)
        return kind

    def _is_ours(self, text: str) -> bool:
        return any(program in text for program in self._programs)

    def _refused_in(self, text: str) -> Iterator[str]:
        """Yield what would be refused of a command, which may have been typed elsewhere."""
        from guard.intake import refuse_arguments  # noqa: PLC0415 - only for such commands

        # What a shell puts there by itself is not in its history.
        words = list(words_of(_EXPANSION.sub("$", text)))
        for at, word in enumerate(words, start=1):
            if word.rpartition("/")[2] in self._programs:
                try:
                    refuse_arguments(_one_command(words[at:]))
                except SecretRefused as error:
                    for value in error.values:
                        yield REFUSED if value.kind == "secret" else value.kind


def marks_of(secrets: Iterable[Secret], argv: Sequence[str]) -> dict[str, str]:
    """Return what tells `secrets`, which stood in `argv`, wherever they stand, and their kinds.

    That is most often the secret itself. An ordinary word, such as a password may be, stands in
    other places too, where it is none. It is told by what stands around it: the option before it,
    or the word that it is a part of.
    """
    marks: dict[str, str] = {}
    for secret in secrets:
        value = secret.reveal("look for it where it should not be")
        # What has no shape is a secret for its option's name alone; one letter says little.
        doubtful = secret.kind == "secret" and _MIXED.match(value) is None
        doubtful = doubtful and _is_of_one_letter(value, argv)
        by_itself = is_telling(value) and not doubtful
        marks |= dict.fromkeys([value] if by_itself else _surroundings(value, argv), secret.kind)
    return marks


def is_telling(value: str) -> bool:
    """Tell whether `value` is so unlike a word, a path or an address that it means one thing."""
    return _TELLING.fullmatch(value) is not None


def words_of(text: str) -> Iterable[str]:
    """Return the words in `text`, as a shell would read them."""
    if _QUOTE.search(text) is None:
        return text.split()
    return (_unquoted(match.group()) for match in _WORD.finditer(text))


def phrases_of(words: Iterable[str]) -> Iterator[str]:
    """Yield what `marks_of` may have returned of ordinary words.

    That is an option with its value, or a word that has parts.
    """
    before = ""
    for word in words:
        if len(word) > LONGEST:
            continue
        if before.startswith("-"):
            yield f"{before} {word}"
        if _CUT.search(word):
            yield word
        yield from _pairs(word)
        before = word


def _is_of_one_letter(value: str, argv: Sequence[str]) -> bool:
    return any(
        _OF_ONE_LETTER.fullmatch(f"{before} ") if word == value else word[2:] == value
        for before, word in pairwise(["", *argv])
        if word == value or _OF_ONE_LETTER.match(f"{word[:2]} ")
    )


def _surroundings(value: str, argv: Sequence[str]) -> Iterator[str]:
    for before, word in pairwise(["", *argv]):
        if word == value and before.startswith("-"):
            yield f"{before} {word}"
        elif pairs := [pair for pair in _pairs(word) if pair.endswith(f" {value}")]:
            yield from pairs
        elif _CUT.search(word) and (word == value or value in {*_CUT.split(word), *_parts(word)}):
            yield word


def _remember(text: str, innocent: set[str]) -> None:
    if len(innocent) < _MOST_REMEMBERED:
        innocent.add(text)


def _plainest(kinds: set[str]) -> set[str]:
    """Return `kinds` without those that only say that it is some secret, if others say more."""
    plain = kinds - _SOME_SECRET
    return plain or (kinds & {REFUSED}) or kinds


def _one_command(words: Iterable[str]) -> list[str]:
    """Return the words up to where a shell begins another command."""
    command = []
    for word in words:
        if word in _ENDS:
            break
        command.append(word.removesuffix(";"))
        if word.endswith(";"):
            break
    return command


def _parts(word: str) -> Iterator[str]:
    """Yield the runs of up to `_MOST_JOINED` neighbours that punctuation makes of `word`."""
    ends = [match.start() for match in _CUT.finditer(word)]
    if not ends:
        return
    starts = [0, *(end + 1 for end in ends)]
    ends.append(len(word))
    for first, start in enumerate(starts):
        for end in ends[first : first + _MOST_JOINED]:
            if SHORTEST <= end - start < len(word):
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
