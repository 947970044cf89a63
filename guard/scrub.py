"""`Scrubber`: replaces each secret that it knows or recognises by a mark as `‹redacted:jwt›`.

Whatever goes where others may read it (logs, tracebacks, output, the audit record) passes here
first. A text is read as it stands, then again with its escapes undone and its encoded runs decoded,
a few layers deep; see `guard.readings`. SECURITY.md names what is not seen so.
"""

from __future__ import annotations

import re
import threading
from bisect import bisect_right
from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from guard.readings import Reading
from guard.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from guard.known import Index
    from guard.sieve import Sieve

SHORTEST: Final = 8
"""A value with fewer characters is not learnt: it would turn every text to marks."""

DEEPEST: Final = 64
"""What is nested deeper than this is cut off."""

# A whole structure under one of these is hidden, a word under more names than these (`_item`). They
# are compared in lower case, without dashes and underscores.
SECRET_NAMES: Final = frozenset(
    {
        "accesstoken",
        "apikey",
        "apitoken",
        "authorization",
        "clientassertion",
        "clientsecret",
        "codeverifier",
        "cookie",
        "devicecode",
        "idtoken",
        "passphrase",
        "password",
        "privatekey",
        "proxyauthorization",
        "refreshtoken",
        "registrationaccesstoken",
        "setcookie",
    }
)

_CUT_OFF: Final = "‹too-deep›"
_UNPRINTABLE: Final = "‹unprintable›"
_MARK: Final = r"(?:‹|\\u2039)redacted:([^‹›\\#]{1,64})(?:#[0-9a-z]{1,64})?(?:›|\\u203a)"
_MOST_PASSES: Final = 4
_LARGE: Final = 1 << 15
_DEEPEST_DISGUISE: Final = 4


class Span(NamedTuple):
    """A stretch of text to hide.

    Attributes:
        start: Where it starts.
        end: Where it ends.
        rank: Of two that overlap, the one that ranks higher names the kind.
        kind: What it is.
        fingerprint: What its mark is to show besides.
    """

    start: int
    end: int
    rank: tuple[int, int]
    kind: str
    fingerprint: str = ""

    @property
    def mark(self) -> str:
        """What stands in its place."""
        return mark(self.kind, self.fingerprint)


class Scrubbed(NamedTuple):
    """What became of a text, and how often which kind of secret was in it."""

    text: str
    found: Counter[str]


class Scrubber:
    """Knows secrets, and hides them. Any thread may use it at any time.

    Args:
        fingerprint: Makes of a value what its mark is to show besides the kind: a keyed
            fingerprint, in lower-case letters and digits. None for marks of the kind alone.
    """

    def __init__(self, fingerprint: Callable[[str], str] | None = None) -> None:
        # Re-entrant: a finalizer that logs may run at any allocation, under the lock too.
        self._lock = threading.RLock()
        self._fingerprint = fingerprint
        self._kinds: dict[str, str] = {}
        self._marks: set[str] = set()
        self._waiting: list[str] = []
        self._index: Index | None = None
        self._sieve: tuple[int, Sieve] | None = None

    def learn(self, value: str, kind: str) -> None:
        """Replace `value`, however it is written, by the mark of `kind` from now on.

        A value of fewer than `SHORTEST` characters is not learnt; only what it looks like, or the
        key it stands under, still hides it. So such a value is no secret to accept anywhere.
        """
        value = value.strip()
        if len(value) < SHORTEST:
            return
        with self._lock:
            if value not in self._kinds:
                self._kinds[value] = kind
                self._marks.add(kind)
                self._waiting.append(value)

    def text(self, text: str) -> str:
        """Return `text` with all that is known or looks like a secret replaced by marks.

        The marks themselves stay, so that scrubbing again changes nothing.
        """
        return self.scrubbed(text).text

    def scrubbed(self, text: str) -> Scrubbed:
        """Return what `text` returns, and what was found."""
        if len(text) > _LARGE:
            return self._streamed(text)
        found: Counter[str] = Counter()
        # A replacement can make a secret of what was none: its mark ends what stood before it.
        for _ in range(_MOST_PASSES):  # pragma: no branch - it settles before
            spans = self.spans(text)
            if not spans:
                break
            found.update(span.kind for span in spans)
            text = _replaced(text, spans)
        return Scrubbed(text, found)

    def spans(self, text: str) -> list[Span]:
        """Return what is to be hidden in `text`, in order, none overlapping."""
        return [*_merged(sorted(self._spans(text)))]

    def sieve(self) -> Sieve:
        """Return what finds the few places of a large text to look at."""
        from guard.sieve import Sieve  # noqa: PLC0415 - only for large texts

        index = self._current_index()
        with self._lock:
            known = 0 if index is None else len(self._kinds)
            if self._sieve is None or self._sieve[0] != known:
                self._sieve = known, Sieve(index)
            return self._sieve[1]

    def beginning(self, data: bytes) -> int:
        """Return where in `data` a known secret may begin that does not end in it, else its end."""
        index = self._current_index()
        return len(data) if index is None else index.beginning(data)

    def data(self, value: Any) -> Any:
        """Return a JSON-like structure with its secrets replaced by marks.

        It is for use before serialising: escapes in serialised text can hide a secret. What stands
        under a key that names a secret is replaced whole, and what JSON does not have becomes text.
        """
        return self._data(value, DEEPEST)

    def _streamed(self, text: str) -> Scrubbed:
        from guard.stream import Redactor  # noqa: PLC0415 - only for large texts

        redactor = Redactor(self)
        data = text.encode("utf-8", "surrogatepass")
        shown = redactor.feed(data) + redactor.finish()
        # What is cut so large is cut through no character.
        return Scrubbed(shown.decode("utf-8", "surrogatepass"), Counter(redactor.found))

    def _spans(self, text: str) -> Iterator[Span]:
        marks = [(*match.span(), match[1]) for match in _marks(text)]
        for span in self._found(Reading(text), _DEEPEST_DISGUISE):
            around = _kind_around(marks, span)
            # A secret may be the very word that a mark has for its kind.
            if not (around in self._marks if span.rank[0] else around.replace("-", "").isalpha()):
                yield span

    def _found(self, reading: Reading, depth: int) -> Iterator[Span]:
        """Yield what a reading holds, and what shows as its disguises are taken off."""
        yield from self._known(reading)
        yield from _shaped(reading)
        if depth:
            for inner in chain(reading.unescaped(), reading.decoded()):
                yield from self._found(inner, depth - 1)

    def _known(self, reading: Reading) -> Iterator[Span]:
        index = self._current_index()
        if index is not None:
            for start, end, value in index.find(reading):
                yield Span(start, end, (1, end - start), self._kinds[value], self._tag(value))

    def _tag(self, value: str) -> str:
        return "" if self._fingerprint is None else self._fingerprint(value)

    def _current_index(self) -> Index | None:
        """Return the index; new values are put into it here, for learning is to be cheap."""
        with self._lock:
            if self._waiting and self._index is None:
                from guard.known import Index  # noqa: PLC0415 - only where a secret is known

                self._index = Index()
            while self._waiting and self._index is not None:
                self._index.add(self._waiting.pop())
            return self._index

    def _data(self, value: Any, depth: int) -> Any:
        from collections.abc import Mapping  # noqa: PLC0415 - keeps the import of this light

        if isinstance(value, list | tuple | Mapping):
            return self._structure(value, depth - 1) if depth else _CUT_OFF
        if value is None or isinstance(value, bool | int | float):
            return value
        return self.text(_words(value))

    def _structure(self, value: list[Any] | tuple[Any, ...] | Mapping[Any, Any], depth: int) -> Any:
        if isinstance(value, list):
            return [self._data(item, depth) for item in value]
        if isinstance(value, tuple):
            return tuple(self._data(item, depth) for item in value)
        return {self._data(key, 0): self._item(key, item, depth) for key, item in value.items()}

    def _item(self, key: Any, value: Any, depth: int) -> Any:
        from guard.shapes import names_secret  # noqa: PLC0415 - its patterns take time

        if value is None or isinstance(value, bool | Secret):
            return self._data(value, depth)
        name = _words(key).lower().replace("_", "-")
        if name.replace("-", "") in SECRET_NAMES:
            return mark(name)
        if not isinstance(value, list | tuple | dict) and names_secret(_words(key)):
            return mark("named-secret")
        return self._data(value, depth)


def mark(kind: str, fingerprint: str = "") -> str:
    """Return what stands in a secret's place."""
    return f"‹redacted:{kind}#{fingerprint}›" if fingerprint else f"‹redacted:{kind}›"


def _replaced(text: str, spans: Iterable[Span]) -> str:
    parts = []
    done = 0
    for span in spans:
        parts += [text[done : span.start], mark(span.kind, span.fingerprint)]
        done = span.end
    return "".join([*parts, text[done:]])


def _shaped(reading: Reading) -> Iterator[Span]:
    from guard.shapes import find  # noqa: PLC0415 - its patterns take time

    for start, end, shape in find(reading.text):
        yield Span(*reading.source(start, end), (0, end - start), shape.kind)


def _marks(text: str) -> Iterator[re.Match[str]]:
    return re.finditer(_MARK, text) if "redacted:" in text else iter(())


def _kind_around(marks: list[tuple[int, int, str]], span: Span) -> str:
    """Return the kind if a span is a mark or a part of one; else nothing."""
    nth = bisect_right(marks, span.start, key=lambda mark: mark[0]) - 1
    return marks[nth][2] if nth >= 0 and span.end <= marks[nth][1] else ""


def _merged(spans: Iterable[Span]) -> Iterator[Span]:
    """Make one of spans that overlap; they come in order."""
    whole: Span | None = None
    for span in spans:
        if whole is None or span.start >= whole.end:
            if whole is not None:
                yield whole
            whole = span
        else:
            name = max(whole, span, key=lambda each: each.rank)
            end = max(whole.end, span.end)
            whole = Span(whole.start, end, name.rank, name.kind, name.fingerprint)
    if whole is not None:
        yield whole


def _words(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bytes | bytearray):
        return value.decode("utf-8", "backslashreplace")
    try:
        return repr(value)
    except Exception:  # noqa: BLE001 - whatever it is, what is to be shown is shown without it
        return _UNPRINTABLE
