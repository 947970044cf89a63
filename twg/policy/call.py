"""`Call`: what the policy looks at, and the ways of asking for another method, which it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import parse_qsl

from twg.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

_OVERRIDES: Final = frozenset(
    {
        *("x-http-method-override", "x-http-method", "x-method-override", "x-method"),
        *("x-original-method", "http-method-override", "_method"),
    }
)
_FORMS: Final = ("application/x-www-form-urlencoded", "multipart/")


class Call(Protocol):
    """A request to a service, less its credential."""

    @property
    def service(self) -> str:
        """One of the services of `twg api`."""

    @property
    def method(self) -> str:
        """The HTTP method."""

    @property
    def path(self) -> str:
        """Below the service's base, as it is sent; begins with a slash, holds no query."""

    @property
    def query(self) -> str:
        """The query as it is sent, without its question mark."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers, the credential's left out."""

    @property
    def body(self) -> bytes | None:
        """What is sent; None for nothing."""

    @property
    def site(self) -> str | None:
        """The host of the site; None where there is none or it is not known yet."""


def header(call: Call, name: str) -> str | None:
    """Return the value of a header, or None."""
    return next((text for key, text in call.headers.items() if key.lower() == name), None)


def parameters(call: Call) -> list[tuple[str, str]]:
    """Return the parameters of the query, names in lower case."""
    # Some servers still take a semicolon for what parts two parameters.
    pairs = parse_qsl(call.query.replace(";", "&"), keep_blank_values=True)
    return [(name.strip().lower(), value) for name, value in pairs]


def refuse_override(call: Call) -> None:
    """Refuse a call that asks for another method than its own, in whatever way.

    Raises:
        UsageError: It does: by a header, by a parameter, or by a field of a form.
    """
    names = {name.lower().replace("_", "-") for name in call.headers}
    names |= {name for name, _ in parameters(call)}
    dashed = {name.replace("_", "-") for name in _OVERRIDES}
    found = names & (_OVERRIDES | dashed)
    if found or _in_form(call):
        raise UsageError(
            "the request asks for another method than its own, which is never sent",
            "Say the method with --method, and nowhere else.",
        )


def _in_form(call: Call) -> bool:
    kind = (header(call, "content-type") or "").strip().lower()
    return kind.startswith(_FORMS) and b"_method" in (call.body or b"")
