"""`Call`: what `twg api` is about to send, as one value, and what nobody may put into it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, unquote_plus, urlencode

from twg.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing (RFC 9110 section 9.2.1), so that they may be sent again."""

GRAPHQL: Final = "graphql"
GRAPHQL_PATH: Final = "/graphql"

_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
_VALUE: Final = re.compile(r"[\t\x20-\x7e]{0,4096}")
_CREDENTIAL: Final = "twg adds the credential itself, and takes none from anybody"
_OTHER_METHOD: Final = "the method is what --method says, and nothing else"
_OTHER_PLACE: Final = "where a call goes follows from service, path and site"
_FRAMING: Final = "twg says itself how a request is framed"
_REFUSED: Final[Mapping[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(("authorization", "cookie", "cookie2", "set-cookie"), _CREDENTIAL),
        **dict.fromkeys(
            ("x-http-method-override", "x-http-method", "x-method-override", "x-method"),
            _OTHER_METHOD,
        ),
        **dict.fromkeys(("host", "forwarded", "x-original-url", "x-rewrite-url"), _OTHER_PLACE),
        **dict.fromkeys(
            (
                *("content-length", "transfer-encoding", "connection", "keep-alive", "upgrade"),
                *("te", "trailer", "expect", "accept-encoding", "http2-settings"),
            ),
            _FRAMING,
        ),
    }
)
_REFUSED_PREFIXES: Final = (
    ("proxy-", _CREDENTIAL),
    ("x-forwarded-", _OTHER_PLACE),
    ("x-original-", _OTHER_PLACE),
)
_METHOD_PARAMETERS: Final = frozenset(
    {"_method", "x-http-method-override", "x-http-method", "x-method-override", "httpmethod"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request to a service, less its credential.

    Attributes:
        service: One of the services of `twg api`.
        method: The HTTP method, in upper case.
        path: Below the service's base; begins with one slash.
        query: The query as it is sent, without its question mark.
        headers: Further headers; names in lower case.
        body: What is sent; None for nothing.
        site: The host of the site it is for; None for services without sites, and for the default
            one until the sign-in has been read.
    """

    service: str
    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    site: str | None = None

    def __post_init__(self) -> None:
        frozen = MappingProxyType({name.lower(): text for name, text in self.headers.items()})
        object.__setattr__(self, "headers", frozen)

    @property
    def target(self) -> str:
        """Path and query."""
        return f"{self.path}?{self.query}" if self.query else self.path

    @property
    def is_safe(self) -> bool:
        """Whether it may be sent again after a fault: by its method alone."""
        return self.method in SAFE

    def with_parameter(self, name: str, value: str) -> Call:
        """Return the same call with one parameter of its query set."""
        kept = [pair for pair in self.query.split("&") if pair and _name_in(pair) != name]
        return replace(self, query="&".join([*kept, urlencode({name: value})]))


def checked_method(word: str) -> str:
    """Return a method in upper case.

    Raises:
        UsageError: It is none that the services have.
    """
    method = word.upper()
    if method not in METHODS:
        known = ", ".join(sorted(METHODS))
        raise UsageError("this is not a method that the services have", f"Known are {known}.")
    return method


def checked_headers(words: Iterable[str]) -> dict[str, str]:
    """Return headers given as ``name: value``; the last one of a name counts.

    Raises:
        UsageError: One is malformed, or is not anybody's to set.
    """
    found = {}
    for word in words:
        name, colon, value = word.partition(":")
        name, value = name.strip().lower(), value.strip(" \t")
        if not colon or not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise UsageError("a header is not of the form `name: value`, in plain ASCII")
        reason = _why_refused(name)
        if reason is not None:
            raise UsageError(f"the header {name} cannot be set: {reason}", "Leave it out.")
        found[name] = value
    return found


def check_query(query: str) -> None:
    """Refuse a query that would have the service take another method.

    Raises:
        UsageError: It has such a parameter.
    """
    for name, _ in parse_qsl(query.replace(";", "&"), keep_blank_values=True):
        if name.strip().lower() in _METHOD_PARAMETERS:
            raise UsageError(f"the parameter {name} cannot be set: {_OTHER_METHOD}")


def _why_refused(name: str) -> str | None:
    # Some servers read an underscore as a dash.
    name = name.replace("_", "-")
    if name in _REFUSED:
        return _REFUSED[name]
    return next((why for prefix, why in _REFUSED_PREFIXES if name.startswith(prefix)), None)


def _name_in(pair: str) -> str:
    return unquote_plus(pair.partition("=")[0])
