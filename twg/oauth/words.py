"""What a server says, made fit to be shown: no control characters, no markup games, no tokens."""

from __future__ import annotations

import re
import unicodedata
from typing import Any, Final

MAX_WORDS: Final = 300
_MAX_CODE: Final = 64
_UNSHOWN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_RUN: Final = re.compile(r"[A-Za-z0-9_~+/=.%-]{20,}")


def clean(text: Any, limit: int = MAX_WORDS) -> str:
    """Return a server's `text` for a person: one line, bounded; ``""`` if it is no text.

    Control, format and bidirectional characters go (no terminal takes orders from a server), and
    so do runs that look like a token: some servers repeat what they were sent.
    """
    if not isinstance(text, str):
        return ""
    # A bounded part is looked at, so that a megabyte of words costs nothing; it is cut to length
    # only after tokens are out, lest half of one remain.
    shown = "".join(_shown(character) for character in text[: limit * 8])
    shown = " ".join(_RUN.sub(_without_token, shown).split())
    return shown if len(shown) <= limit else f"{shown[: limit - 1]}…"


def clean_address(url: Any) -> str:
    """Return an address that a server gave, for a message; a word in its place if it is odd."""
    if isinstance(url, str) and 0 < len(url) <= MAX_WORDS and is_visible_ascii(url):
        return url
    return "no address" if url is None or url == "" else "something unreadable"


def clean_code(code: Any) -> str:
    """Return an error code (RFC 6749 section 5.2) if it is one; else ``""``."""
    if isinstance(code, str) and 0 < len(code) <= _MAX_CODE and is_visible_ascii(code):
        return code
    return ""


def is_visible_ascii(text: str) -> bool:
    """Tell whether `text` has only visible ASCII characters: no space, no control (RFC 6749 A)."""
    return all("!" <= character <= "~" for character in text)


def _shown(character: str) -> str:
    if character.isspace():
        return " "
    return "" if unicodedata.category(character) in _UNSHOWN else character


def _without_token(run: re.Match[str]) -> str:
    text = run.group()
    mixed = any(c.isdigit() for c in text) or (text.lower() != text and text.upper() != text)
    return "[…]" if mixed else text
