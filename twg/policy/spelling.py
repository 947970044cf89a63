"""How a path may be spelt: what lowers a class matches to the letter, what raises it in any way."""

from __future__ import annotations

import re
import unicodedata
from typing import Final
from urllib.parse import unquote

_PLAIN: Final = re.compile(r"(?:/[A-Za-z0-9_~@:+=,.-]+)+")
_MOST_DECODINGS: Final = 8


def is_plain(path: str) -> bool:
    """Tell whether a path reads the same for whoever reads it: nothing encoded, empty or dotted."""
    return _PLAIN.fullmatch(path) is not None and not {".", ".."} & set(path.split("/"))


def readings(path: str) -> list[tuple[str, ...]] | None:
    """Return the parts of a path for each way in which a server may read it, in lower case.

    None where it is encoded over and over.
    """
    found, text = [], path
    for _ in range(_MOST_DECODINGS):
        found.append(_parts(text))
        plain = unicodedata.normalize("NFKC", unquote(text))
        if plain == text:
            return found
        text = plain
    return None


def _parts(path: str) -> tuple[str, ...]:
    parts: list[str] = []
    for each in path.replace("\\", "/").split("/"):
        # Servers drop what follows a semicolon, and empty parts, before they look.
        name = each.partition(";")[0].strip().casefold()
        if name == "..":
            parts[-1:] = []
        elif name not in {"", "."}:
            parts.append(name)
    return tuple(parts)
