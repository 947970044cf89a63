"""`Scrubber`: replaces every secret it knows, and all that looks like one, by a mark as `‹jwt›`.

Whatever goes where others may read it (logs, tracebacks, output, the audit record) passes here
first. A value is known in each form in which programs commonly write it; see `forms`.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from guard.known import Index
from guard.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

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
_MARKS: Final = (("‹", "›"), ("\\u2039", "\\u203a"))  # the latter once they are in JSON
_LONGEST_KIND: Final = 40
_MOST_PASSES: Final = 4
_ESCAPES: Final = "%\\&"
_BASE64: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One way in which a secret may be written.

    Attributes:
        text: What to look for.
        kind: The secret's kind.
        escape: A character in it that the secret itself does not have, or nothing; a text without
            that character does not hold the form.
        leads: The base64 character before it holds bits of the secret too.
        trails: So does the one behind it.
    """

    text: str
    kind: str
    escape: str = ""
    leads: bool = False
    trails: bool = False

    def spans(self, text: str) -> Iterator[_Span]:
        """Find the form in `text`, wherever it begins."""
        start = text.find(self.text)
        while start >= 0:
            yield self._span(text, start)
            start = text.find(self.text, start + 1)

    def _span(self, text: str, start: int) -> _Span:
        end = start + len(self.text)
        rank = (1, len(self.text))
        if self.leads and text[start - 1 : start] in _BASE64:
            start -= 1
        if self.trails:
            end += text[end : end + 1] in _BASE64
            padding = text[end : end + 2]
            end += len(padding) - len(padding.lstrip("="))
        return _Span(start, end, rank, self.kind)


@dataclass(frozen=True, slots=True, order=True)
class _Span:
    """A stretch of text to hide.

    Attributes:
        start: Where it starts.
        end: Where it ends.
        rank: Of two that overlap, the one that ranks higher names the kind.
        kind: What it is.
    """

    start: int
    end: int
    rank: tuple[int, int]
    kind: str


class Scrubber:
    """Knows secrets, and hides them. Any thread may use it at any time."""

    def __init__(self) -> None:
        # Re-entrant: a finalizer that logs may run at any allocation, under the lock too.
        self._lock = threading.RLock()
        self._kinds: dict[str, str] = {}
        self._marks: set[str] = set()
        self._waiting: list[str] = []
        self._index = Index()

    def learn(self, value: str, kind: str) -> None:
        """Replace `value`, in each of its forms, by the mark of `kind` from now on.

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
        # A replacement can make a secret of what was none, such as of `token=a‹jwt›`.
        for _ in range(_MOST_PASSES):  # pragma: no branch - it settles before
            former, text = text, self._once(text)
            if text == former:
                break
        return text

    def data(self, value: Any) -> Any:
        """Return a JSON-like structure with its secrets replaced by marks.

        It is for use before serialising: escapes in serialised text can hide a secret. What stands
        under a key that names a secret is replaced whole, and what JSON does not have becomes text.
        """
        return self._data(value, DEEPEST)

    def _once(self, text: str) -> str:
        parts = []
        done = 0
        for span in _merged(sorted([*self._known(text), *_shaped(text)])):
            parts += [text[done : span.start], mark(span.kind)]
            done = span.end
        return "".join([*parts, text[done:]])

    def _known(self, text: str) -> Iterator[_Span]:
        possible = {"", *(character for character in _ESCAPES if character in text)}
        for form in self._possible_forms(text):
            if form.escape not in possible:
                continue
            for span in form.spans(text):
                # A secret may be the very word that a mark has for its kind.
                if _kind_around(text, span.start, span.end) not in self._marks:
                    yield span

    def _possible_forms(self, text: str) -> Iterator[Form]:
        """Yield the forms of the values that `text` may hold.

        New values are put into the index here, for learning is to be cheap.
        """
        with self._lock:
            while self._waiting:
                self._index.add(self._waiting.pop())
            values = self._index.candidates(text)
        for value in values:
            yield from forms(value, self._kinds[value])

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


def mark(kind: str) -> str:
    """Return what stands in a secret's place."""
    return f"‹{kind}›"


def forms(value: str, kind: str) -> Iterator[Form]:
    """Make each form of a secret: plain, hexadecimal, base64, and as other languages escape it.

    The escapes are those of URLs and JSON (once and twice, with numbers for every character too),
    XML, shells and Python; their hexadecimal digits in either case.
    """
    data = value.encode("utf-8", "surrogatepass")
    yield Form(text=value, kind=kind)
    yield Form(text=data.hex(), kind=kind)
    yield Form(text=data.hex().upper(), kind=kind)
    yield from _base64_forms(data, kind)
    for text in _escaped(value) - {value}:
        escape = next((each for each in _ESCAPES if each in text and each not in value), "")
        yield Form(text=text, kind=kind, escape=escape)


def _base64_forms(data: bytes, kind: str) -> Iterator[Form]:
    """Make the base64 forms, wherever in the encoded data the secret stands.

    The characters that depend on nothing but the secret are looked for; those at its ends share
    bits with its neighbours. So padding does not matter either.
    """
    import base64  # noqa: PLC0415 - only where something is scrubbed

    for offset in range(3):
        encoded = base64.b64encode(bytes(offset) + data + bytes(2)).decode()
        core = encoded[-(-offset * 8 // 6) : (offset + len(data)) * 8 // 6]
        trails = (offset + len(data)) % 3 != 0
        for text in (core, core.replace("+", "-").replace("/", "_")):
            yield Form(text=text, kind=kind, leads=offset != 0, trails=trails)


def _escaped(value: str) -> set[str]:
    in_json = _in_json(value) | _in_unicode_escapes(value)
    return {
        *_in_url(value),
        *(again for text in _in_url(value) for again in _in_url(text)),
        *in_json,
        *(again for text in in_json for again in _in_json(text)),
        *_in_xml(value),
        *_in_shell(value),
        *_in_python(value),
    }


def _in_url(value: str) -> set[str]:
    from urllib.parse import quote, quote_plus  # noqa: PLC0415 - only where something is scrubbed

    data = value.encode("utf-8", "surrogatepass")
    texts = {quote(data, safe=safe) for safe in ("", "/", "!*'()", "/?:@!$&'()*+,;=")}
    return _in_both_cases({*texts, quote_plus(data), "".join(f"%{byte:02X}" for byte in data)})


def _in_json(value: str) -> set[str]:
    import json  # noqa: PLC0415 - only where something is scrubbed

    plain = {json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    slashed = {text.replace("/", "\\/") for text in plain}
    markup = {
        text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
        for text in plain
    }
    return _in_both_cases(plain | slashed | markup)


def _in_unicode_escapes(value: str) -> set[str]:
    units = value.encode("utf-16-be", "surrogatepass").hex()
    return _in_both_cases({"".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))})


def _in_xml(value: str) -> set[str]:
    entities = value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    quoted = entities.replace('"', "&quot;")
    return {
        entities,
        quoted,
        *(quoted.replace("'", apostrophe) for apostrophe in ("&apos;", "&#x27;", "&#39;")),
        "".join(f"&#{ord(character)};" for character in value),
        "".join(f"&#x{ord(character):x};" for character in value),
        "".join(f"&#x{ord(character):X};" for character in value),
    }


def _in_shell(value: str) -> set[str]:
    import re  # noqa: PLC0415 - only where something is scrubbed

    return {
        value.replace("'", "'\\''"),
        value.replace("'", "'\"'\"'"),
        re.sub(r'([\\"$`])', r"\\\1", value),
        re.sub(r"([^\w@%+=:,./-])", r"\\\1", value),
        re.sub(r"([^\w@%+=:./-])", r"\\\1", value),
    }


def _in_python(value: str) -> set[str]:
    data = value.encode("utf-8", "surrogatepass")
    # Which quotes are escaped depends on those in the rest of the literal.
    beside = "\"'"
    return {
        repr(value)[1:-1],
        repr(value + beside)[1:-4],
        repr(data)[2:-1],
        repr(data + beside.encode())[2:-4],
    }


def _in_both_cases(texts: set[str]) -> set[str]:
    """Return the texts with the hexadecimal digits of their escapes in lower and in upper case."""
    import re  # noqa: PLC0415 - only where something is scrubbed

    digits = re.compile(r"(?<=%)[0-9A-Fa-f]{2}|(?<=\\u)[0-9A-Fa-f]{4}")
    lower = {digits.sub(lambda found: found[0].lower(), text) for text in texts}
    upper = {digits.sub(lambda found: found[0].upper(), text) for text in texts}
    return texts | lower | upper


def _shaped(text: str) -> Iterator[_Span]:
    from guard.shapes import find  # noqa: PLC0415 - its patterns take time

    for start, end, shape in find(text):
        if not _kind_around(text, start, end).replace("-", "").isalpha():
            yield _Span(start, end, (0, end - start), shape.kind)


def _kind_around(text: str, start: int, end: int) -> str:
    """Return the kind if that stretch of text is a mark or a part of one; else nothing."""
    for opening, closing in _MARKS:
        left = text.rfind(opening, max(0, start - _LONGEST_KIND), start + len(opening))
        right = text.find(closing, start, end + _LONGEST_KIND)
        if 0 <= left < right and end <= right + len(closing):
            return text[left + len(opening) : right]
    return ""


def _merged(spans: Iterable[_Span]) -> Iterator[_Span]:
    """Make one of spans that overlap; they come in order."""
    whole: _Span | None = None
    for span in spans:
        if whole is None or span.start >= whole.end:
            if whole is not None:
                yield whole
            whole = span
        else:
            name = max(whole, span, key=lambda each: each.rank)
            whole = _Span(whole.start, max(whole.end, span.end), name.rank, name.kind)
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
