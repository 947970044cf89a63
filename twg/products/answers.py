"""What the products' answers have in common, whichever service they come from."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from twg.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twg.http import Response

OK: Final = 200
UNAUTHORIZED: Final = 401
FORBIDDEN: Final = 403
NOT_FOUND: Final = 404
GONE: Final = 410

_TOO_MANY_REQUESTS: Final = 429
_SERVER_ERROR: Final = 500
_EMAIL: Final = re.compile(r"[^@\s:]{1,128}@[^@\s:]{1,128}")


def host_of(answer: Response) -> str:
    """Return who answered."""
    return urlsplit(answer.url).netloc


def check_available(answer: Response) -> None:
    """Refuse an answer that says nothing but that there will be one later.

    Raises:
        Unavailable: It does.
    """
    if answer.status == _TOO_MANY_REQUESTS or answer.status >= _SERVER_ERROR:
        words = f"it answered HTTP {answer.status}"
        raise Unavailable(host_of(answer), words, status=answer.status)


def own_words(document: Any) -> str | None:
    """Return what an error's document says for people; None where it says nothing known.

    Each product has its own shape: Jira's `errorMessages` and `errors` by field, Confluence's and
    the Admin APIs' list of `errors`, Bitbucket's `error.message`, the gateway's `message`.
    """
    said = [words_in(each) for each in _sayings(document)]
    return "; ".join(dict.fromkeys(filter(None, said))) or None


def _sayings(document: Any) -> Iterator[Any]:
    if not isinstance(document, dict):
        return
    yield from _listed(document.get("errorMessages"))
    errors = document.get("errors")
    if isinstance(errors, dict):
        yield from (f"{name}: {words}" for name, words in errors.items())
    for each in _listed(errors):
        told = each if isinstance(each, dict) else {"message": each}
        yield from (told.get(name) for name in ("message", "title", "detail"))
    inner = document.get("error")
    yield inner.get("message") if isinstance(inner, dict) else inner
    yield from (document.get(name) for name in ("message", "errorMessage", "error_description"))


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def words_in(value: Any) -> str | None:
    """Return what can be shown of a text; None for none.

    It goes to terminals: what could steer one is left out, direction marks included.
    """
    text = "".join(filter(str.isprintable, value)) if isinstance(value, str) else ""
    return text or None


def email_fault(value: str) -> str | None:
    """Return why a line is no e-mail address, or None if it is one."""
    return None if _EMAIL.fullmatch(value) else "it is not an e-mail address"
