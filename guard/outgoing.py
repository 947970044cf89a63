"""The way out: what a program is told to send is looked through, so that no secret leaves with it.

The credential itself is added behind this, where the request goes on the wire.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from guard.errors import SecretRefused
from guard.secret import Secret
from guard.shapes import find, shapes_in

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from guard.scrub import Scrubber

_KNOWN: Final = "one that is kept here"
_MOST_LAYERS: Final = 3
_SHORT: Final = 65536
# What may stand on a command line, and so in a history; a body is no such thing.
_WORD: Final = 4096


def refuse_outgoing(parts: Iterable[tuple[str, str | bytes]], *, scrubber: Scrubber) -> None:
    """Refuse to send what holds a secret: one that is known, in any form, or one by its looks.

    What is packed (gzip and the like) is looked at as it is, and not through.

    Args:
        parts: Name and content of each, such as ``("the query", "a=b")``; names are told, contents
            never.
        scrubber: Knows the secrets of this run.

    Raises:
        SecretRefused: It names the first such part.
    """
    for name, content in parts:
        looks = _looks(content, scrubber)
        if looks is None:
            continue
        values = tuple(_exposed(content))
        del parts, content  # a traceback that shows variables must not show these
        raise SecretRefused("request", name, looks, values=values)


def _looks(content: str | bytes, scrubber: Scrubber) -> str | None:
    """Return what the secret in `content` looks like, in words; None if there is none."""
    for text in _readings(content):
        # Disguises are looked through where that is no wait, and no noise to see secrets in.
        if len(text) <= _SHORT and (shape := next(shapes_in(text), None)):
            return shape.name
        if scrubber.text(text) != text:
            return next((shape.name for _, _, shape in find(text)), _KNOWN)
    return None


def _readings(content: str | bytes) -> Iterator[str]:
    """Yield `content` as text: as it is, without the zeros of UTF-16, and percent-decoded."""
    text = content if isinstance(content, str) else content.decode("utf-8", "replace")
    yield from dict.fromkeys((text, text.replace("\0", "")))
    for _ in range(_MOST_LAYERS):
        decoded = unquote(text, errors="replace")
        if decoded == text:
            return
        text = decoded
        yield text


def _exposed(content: str | bytes) -> Iterator[Secret]:
    """Yield the secrets in `content` as far as they can be told, and all of it if it is short."""
    text = content if isinstance(content, str) else content.decode("utf-8", "replace")
    for start, end, shape in find(text):
        yield Secret(text[start:end], shape.kind)
    if len(text) <= _WORD:
        yield Secret(text)
