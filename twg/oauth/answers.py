"""Reading what an OAuth endpoint answers: a document, a refusal, or neither (RFC 6749, 5)."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from twg.errors import ConfigError, GrantRefused, ProtocolError, Unavailable
from twg.http import BadBody, origin
from twg.oauth.words import clean, clean_code, is_visible_ascii

if TYPE_CHECKING:
    from twg.http import Response

_MAX_URL: Final = 2048
_OK_FROM: Final = 200
_REDIRECT_FROM: Final = 300
_ERROR_FROM: Final = 400
_SERVER_ERROR_FROM: Final = 500
_TRY_AGAIN: Final = frozenset({408, 425, 429})
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,30}(\.[0-9]{1,30})?")


def document_of(answer: Response) -> dict[str, Any]:
    """Return the JSON object of a successful answer.

    The body decides, not the declared content type: servers differ there.

    Raises:
        GrantRefused: It is an OAuth error, with whatever status.
        Unavailable: 429, 5xx, or a web page where JSON should be.
        ProtocolError: A redirect, or no JSON object.
    """
    check_success(answer)
    if is_page(answer):
        raise Unavailable(
            host_of(answer), "it answered with a web page instead of JSON", status=answer.status
        )
    try:
        document = answer.json()
    except BadBody as error:
        raise ProtocolError(f"the answer of {host_of(answer)} cannot be used: {error}") from None
    if not isinstance(document, dict):
        raise ProtocolError(f"the answer of {host_of(answer)} is not a JSON object")
    if "error" in document:
        raise _refusal(answer, document)
    return document


def check_success(answer: Response) -> None:
    """Return if the status says success.

    Raises:
        GrantRefused: An OAuth error (4xx), its words cleaned; without words if none came.
        Unavailable: 408, 425, 429, 5xx, or a 4xx web page, which no OAuth endpoint sends.
        ProtocolError: A redirect, or a status that does not belong here.
    """
    status = answer.status
    if _OK_FROM <= status < _REDIRECT_FROM:
        return
    if status < _ERROR_FROM:
        raise ProtocolError(f"{host_of(answer)} answered with a redirect, which is not followed")
    if status >= _SERVER_ERROR_FROM or status in _TRY_AGAIN or is_page(answer):
        raise Unavailable(
            host_of(answer),
            f"it answered HTTP {status}",
            status=status,
            retry_after=answer.retry_after(),
        )
    raise _refusal(answer, object_or_empty(answer))


def object_or_empty(answer: Response) -> dict[str, Any]:
    """Return the answer's JSON object, or an empty one where there is none."""
    try:
        document = answer.json()
    except BadBody:
        return {}
    return document if isinstance(document, dict) else {}


def is_page(answer: Response) -> bool:
    """Tell whether the answer is a web page: a proxy's, a captive portal's, an error page."""
    declared = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    html = declared in {"text/html", "application/xhtml+xml"}
    return (html and bool(answer.body.strip())) or answer.body.lstrip()[:1] == b"<"


def host_of(answer: Response) -> str:
    """Return who answered, for messages."""
    return urlsplit(answer.url).netloc


def number_of(value: Any) -> float | None:
    """Return a JSON number, or a string that holds one, as a float; None for anything else."""
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        return float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return None if math.isnan(value) else float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def checked_address(url: Any, what: str, near: str) -> str:
    """Return `url`, given by the server at `near`, if it may be opened or called.

    Args:
        url: What the server gave.
        what: Its name, for the message.
        near: The URL it was asked at. Only a server on loopback may name plain http addresses
            (again on loopback): a distant one would be choosing among this machine's services.

    Raises:
        ProtocolError: Not an absolute https URL, or with userinfo, control characters or the like.
    """
    if not isinstance(url, str) or len(url) > _MAX_URL or not is_visible_ascii(url):
        raise ProtocolError(f"{urlsplit(near).netloc} gave a {what} that is not a URL")
    try:
        scheme = origin(url).partition(":")[0]
    except ConfigError:
        raise ProtocolError(
            f"{urlsplit(near).netloc} gave a {what} that is not a plain https URL"
        ) from None
    if scheme == "http" and urlsplit(near).scheme != "http":
        raise ProtocolError(f"{urlsplit(near).netloc} gave a {what} on this machine's own address")
    return url


def _refusal(answer: Response, document: dict[str, Any]) -> GrantRefused:
    return GrantRefused(
        clean_code(document.get("error")),
        clean(document.get("error_description")),
        answer.status,
        host_of(answer),
    )
