"""`forms`: a secret as programs commonly write it, for those who look whether one leaked."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def forms(value: str) -> Iterator[str]:
    """Make each form of a secret: plain, hexadecimal, base64, and as other languages escape it.

    The escapes are those of URLs and JSON (once and twice, with numbers for every character too),
    XML, shells and Python; their hexadecimal digits in either case.
    """
    data = value.encode("utf-8", "surrogatepass")
    yield value
    yield data.hex()
    yield data.hex().upper()
    yield from _base64_forms(data)
    yield from _escaped(value) - {value}


def _base64_forms(data: bytes) -> Iterator[str]:
    """Make the base64 forms, wherever in the encoded data the secret stands.

    The characters that depend on nothing but the secret are looked for; those at its ends share
    bits with its neighbours. So padding does not matter either.
    """
    import base64  # noqa: PLC0415 - only where something is scrubbed

    for offset in range(3):
        encoded = base64.b64encode(bytes(offset) + data + bytes(2)).decode()
        core = encoded[-(-offset * 8 // 6) : (offset + len(data)) * 8 // 6]
        yield core
        yield core.replace("+", "-").replace("/", "_")


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
