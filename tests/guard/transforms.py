"""Ways in which a secret is written when it leaks, by name; `python -m` prints what is caught."""

from __future__ import annotations

import base64
import codecs
import gzip
import html
import json
import quopri
import re
import shlex
import sys
import textwrap
import zlib
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Callable


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _wrapped(text: str, columns: int) -> str:
    return "\n".join(textwrap.wrap(text, columns))


def _spaced(value: str, by: str) -> str:
    return by.join(f"{each:02x}" for each in value.encode())


def _numbered(value: str, form: str) -> str:
    return "".join(form.format(ord(each)) for each in value)


TRANSFORMS: Final[dict[str, Callable[[str], str]]] = {
    "plain": str,
    "hexadecimal": lambda value: value.encode().hex(),
    "hexadecimal, upper case": lambda value: value.encode().hex().upper(),
    "hexadecimal with colons": lambda value: _spaced(value, ":"),
    "base64": lambda value: _b64(value.encode()),
    "base64, unpadded": lambda value: _b64(value.encode()).rstrip("="),
    "base64, one byte on": lambda value: _b64(b"x" + value.encode()),
    "base64, two bytes on": lambda value: _b64(b"xy" + value.encode()),
    "base64url": lambda value: base64.urlsafe_b64encode(value.encode()).decode().rstrip("="),
    "base64 wrapped at 76": lambda value: _wrapped(_b64((value * 4).encode()), 76),
    "base64 wrapped at 64": lambda value: _wrapped(_b64((value * 4).encode()), 64),
    "base64 of user:secret": lambda value: _b64(f"alice@example.com:{value}".encode()),
    "base64 of JSON": lambda value: _b64(json.dumps({"user": "alice", "token": value}).encode()),
    "base32": lambda value: base64.b32encode(value.encode()).decode(),
    "URL": lambda value: quote(value, safe=""),
    "URL, every character": lambda value: _numbered(value, "%{:02X}"),
    "URL, lower case": lambda value: _numbered(value, "%{:02x}"),
    "URL twice": lambda value: quote(_numbered(value, "%{:02X}"), safe=""),
    "JSON": lambda value: json.dumps(value)[1:-1],
    "JSON twice": lambda value: json.dumps(json.dumps({"a": value}))[1:-1],
    "\\u escapes": lambda value: _numbered(value, "\\u{:04x}"),
    "\\x escapes": lambda value: _numbered(value, "\\x{:02x}"),
    "XML": escape,
    "XML, decimal": lambda value: _numbered(value, "&#{};"),
    "XML, hexadecimal": lambda value: _numbered(value, "&#x{:x};"),
    "shell, single quotes": lambda value: value.replace("'", "'\\''"),
    "shell, backslashes": lambda value: "".join(f"\\{each}" for each in value),
    "shell, split by quotes": lambda value: f"{value[:9]}''{value[9:15]}\"\"{value[15:]}",
    "UTF-16, little end first": lambda value: value.encode("utf-16-le").decode("latin-1"),
    "UTF-16, big end first": lambda value: value.encode("utf-16-be").decode("latin-1"),
    "colours inside": lambda value: f"\x1b[1m{value[:7]}\x1b[31m{value[7:]}\x1b[0m",
    "line wraps inside": lambda value: _wrapped(value, 10),
}
"""The 32 of the field's comparisons."""

MORE: Final[dict[str, Callable[[str], str]]] = {
    "three quarters": lambda value: value[: -(-len(value) * 3 // 4)],
    "all upper case": str.upper,
    "all lower case": str.lower,
    "reversed": lambda value: value[::-1],
    "hexadecimal with spaces": lambda value: _spaced(value, " "),
    "hexadecimal bytes of C": lambda value: ", ".join(f"0x{each:02x}" for each in value.encode()),
    "decimal bytes": lambda value: ", ".join(str(each) for each in value.encode()),
    "octal escapes": lambda value: _numbered(value, "\\{:03o}"),
    "quoted-printable": lambda value: quopri.encodestring(value.encode(), quotetabs=True).decode(),
    "quoted-printable, every character": lambda value: _numbered(value, "={:02X}"),
    "XML with zeros": lambda value: _numbered(value, "&#x{:06x};"),
    "HTML": html.escape,
    "form": quote_plus,
    "shell quoting by Python": shlex.quote,
    "zero-width spaces inside": "\u200b".join,
    "soft hyphens inside": "\u00ad".join,
    "NULs inside": "\0".join,
    "blanks inside": " ".join,
    "base64 twice": lambda value: _b64(_b64(value.encode()).encode()),
    "base64 of hexadecimal": lambda value: _b64(value.encode().hex().encode()),
    "hexadecimal of base64": lambda value: _b64(value.encode()).encode().hex(),
    "base64 of UTF-16": lambda value: _b64(value.encode("utf-16-le")),
    "base64 of gzip": lambda value: _b64(gzip.compress(value.encode())),
    "base64 of zlib": lambda value: _b64(zlib.compress(value.encode())),
    "base64, then URL": lambda value: quote(_b64(b"x" + value.encode()), safe=""),
    "base64 wrapped, in JSON": lambda value: json.dumps(_wrapped(_b64((value * 4).encode()), 76)),
    "colours inside, in JSON": lambda value: json.dumps(f"{value[:7]}\x1b[31m{value[7:]}"),
    "URL, every other character": lambda value: "".join(
        f"%{ord(each):02X}" if nth % 2 else each for nth, each in enumerate(value)
    ),
    "Python's repr of bytes": lambda value: repr(value.encode()),
    "ROT13": lambda value: codecs.encode(value, "rot13"),
    "base85": lambda value: base64.b85encode(value.encode()).decode(),
    "base32, lower case": lambda value: base64.b32encode(value.encode()).decode().lower(),
    "dashes inside": "-".join,
    "every other character": lambda value: value[::2],
}
"""Some beyond them."""

MISSED: Final = frozenset(
    {
        "base85",
        "every other character",
    }
)
"""Those of all that are not seen."""


def traces(value: str, shown: str) -> list[str]:
    """Return the stretches of a written secret, eight letters and more, that are still shown."""
    return [part for part in re.findall(r"[A-Za-z0-9+/=%\\&#;_-]{8,}", value) if part in shown]


def main() -> None:
    """Print a line for each transform."""
    from guard.scrub import Scrubber  # noqa: PLC0415 - for the report alone

    value = "n0t-A-r3al_token.Value~9Qx7pLm2Zr"
    scrubber = Scrubber()
    scrubber.learn(value, "k")
    for name, transform in {**TRANSFORMS, **MORE}.items():
        written = transform(value)
        caught = not traces(written, scrubber.text(f"before {written} after"))
        sys.stdout.write(f"{'caught' if caught else 'MISSED'}  {name}\n")


if __name__ == "__main__":
    main()
