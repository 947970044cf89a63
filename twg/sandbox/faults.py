"""Which misbehaviours the sandbox can show on request, in one table.

A fault is asked for as `NAME`, `NAME:N` (only the first N times), `NAME@PLACE` or `NAME@PLACE:N`.
Nothing here imports a server, so that the command line can check names and list them.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from twg.sandbox.errors import SandboxFaultUnknown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Place(StrEnum):
    """Where a fault shows. `REFRESH` and `POLL` are the token endpoint seen by one grant type."""

    AUTHORIZE = "authorize"
    DISCOVERY = "discovery"
    TOKEN = "token"
    REFRESH = "refresh"
    DEVICE = "device"
    POLL = "poll"
    REVOCATION = "revocation"
    REGISTRATION = "registration"
    RESOURCE = "resource"


ANYWHERE: Final = frozenset(Place) - {Place.AUTHORIZE}


@dataclass(frozen=True)
class Fault:
    """One misbehaviour.

    Attributes:
        name: What `--fault` takes.
        place: Where it shows unless told otherwise.
        summary: What it does, in one sentence.
        places: Where else it can be sent with `@PLACE`.
        times: How often it shows when no count is given; None is always.
    """

    name: str
    place: Place
    summary: str
    places: frozenset[Place] = frozenset()
    times: int | None = None


def _table() -> Iterable[Fault]:
    at = Place
    to = at.AUTHORIZE
    yield Fault("wrong-state", to, "The redirect carries another `state` than was sent.")
    yield Fault("missing-state", to, "The redirect carries no `state`.")
    yield Fault("replayed-state", to, "The redirect carries the `state` of the sign-in before.")
    yield Fault("wrong-iss", to, "The redirect names another issuer in `iss`.")
    yield Fault("missing-iss", to, "The redirect carries no `iss`, though the metadata promise it.")
    yield Fault("foreign-code", to, "The redirect carries a code issued to another client.")
    yield Fault("error-markup", to, "The redirect is an error whose description is markup.")
    yield Fault("consent-denied", to, "The person declines: `access_denied`.")
    yield Fault("app-blocked", to, "A page says that an admin must authorize the app; no redirect.")
    yield Fault("replay-callback", to, "The callback is called before the browser gets there.")
    yield Fault("prefetch-callback", to, "A HEAD request reaches the callback before the browser.")
    yield Fault("foreign-host-callback", to, "A callback with a foreign Host comes first.")
    yield Fault("foreign-origin-callback", to, "A callback with a foreign Origin comes first.")

    to = at.DISCOVERY
    yield Fault("discovery-issuer", to, "The metadata name another issuer.")
    yield Fault("discovery-http-endpoint", to, "The token endpoint is plain http on another host.")
    yield Fault("discovery-foreign-endpoint", to, "The token endpoint is https on another host.")
    yield Fault("pkce-plain-only", to, "The metadata offer PKCE `plain` only.")
    yield Fault("discovery-redirect", to, "The metadata are a redirect to another place.")
    yield Fault("openid-only", to, "There is no RFC 8414 document, only OpenID configuration.")

    yield Fault("token-redirect", at.TOKEN, "The token endpoint answers 307 to another place.")
    yield from _transport()
    yield from _token_answers()
    yield from _token_errors()
    yield from _device()

    yield Fault("revoke-refused", at.REVOCATION, "Revocation is refused to public clients.")
    yield Fault("register-200", at.REGISTRATION, "Registration answers 200 instead of 201.")
    yield Fault("no-registration", at.REGISTRATION, "Registration is refused.")
    yield Fault("echo-token", at.RESOURCE, "Answers repeat the Authorization header they got.")
    yield Fault("resource-401", at.RESOURCE, "A valid access token is answered 401.")
    yield Fault("no-sites", at.RESOURCE, "The person's sites are an empty list.")
    yield Fault("sites-no-list", at.RESOURCE, "The person's sites are an object, not a list.")


def _transport() -> Iterable[Fault]:
    for name, place, summary in (
        ("redirect", Place.TOKEN, "A 307 redirect to another place."),
        ("huge-document", Place.DISCOVERY, "A well-formed JSON document of 10 MB."),
        ("huge-headers", Place.TOKEN, "A megabyte of response headers."),
        ("endless-body", Place.TOKEN, "A body that never ends."),
        ("gzip-bomb", Place.TOKEN, "A small gzip body that unpacks to 128 MB."),
        ("html-200", Place.TOKEN, "An HTML page with status 200."),
        ("wrong-content-type", Place.TOKEN, "The right JSON, called image/png."),
        ("bad-json", Place.TOKEN, "JSON that breaks off in the middle."),
        ("json-depth", Place.TOKEN, "JSON nested 10,000 levels deep."),
        ("duplicate-keys", Place.TOKEN, "JSON with every key twice, first with a false value."),
        ("error-500", Place.TOKEN, "HTTP 500 with a JSON body."),
        ("error-502-html", Place.TOKEN, "HTTP 502 with an HTML body."),
        ("error-503", Place.TOKEN, "HTTP 503 without a body."),
        ("rate-limit-seconds", Place.TOKEN, "HTTP 429 with Retry-After in seconds."),
        ("rate-limit-date", Place.TOKEN, "HTTP 429 with Retry-After as a date."),
        ("reset", Place.TOKEN, "The connection is reset before the request is handled."),
        ("lost-answer", Place.TOKEN, "The request is handled, then the connection is reset."),
        ("timeout", Place.TOKEN, "No answer ever comes."),
        ("empty-error", Place.TOKEN, "HTTP 400 without a body."),
    ):
        yield Fault(name, place, summary, ANYWHERE)


def _token_answers() -> Iterable[Fault]:
    moved = frozenset({Place.REFRESH, Place.POLL})
    for name, summary in (
        ("expires-string", "`expires_in` is a string of digits."),
        ("expires-negative", "`expires_in` is negative."),
        ("expires-zero", "`expires_in` is zero."),
        ("expires-huge", "`expires_in` is 1e18."),
        ("expires-missing", "`expires_in` is left out."),
        ("expires-nan", "`expires_in` is NaN, which is not JSON."),
        ("scope-changed", "The answer grants another scope than was asked for."),
        ("token-type-mac", "`token_type` is `mac`."),
        ("token-type-lower", "`token_type` is `bearer` in lower case, which is right."),
        ("empty-token", "The access token is an empty string."),
        ("control-chars-token", "The access token holds control characters."),
        ("no-refresh-token", "No refresh token is given, though offline_access was granted."),
    ):
        yield Fault(name, Place.TOKEN, summary, moved)
    yield Fault(
        "refresh-no-refresh-token",
        Place.REFRESH,
        "A refresh gives no new refresh token; the old one goes on.",
    )
    yield Fault(
        "refresh-same-token", Place.REFRESH, "A refresh gives the same refresh token again."
    )


def _token_errors() -> Iterable[Fault]:
    for name, summary in (
        ("invalid-grant-400", "HTTP 400 `invalid_grant`."),
        ("invalid-grant-401", "HTTP 401 `invalid_grant`."),
        ("invalid-grant-403", "HTTP 403 `invalid_grant`, as Atlassian answers."),
        ("access-denied-secret", "HTTP 401 `access_denied`, as for a wrong client secret."),
    ):
        yield Fault(name, Place.REFRESH, summary, frozenset({Place.TOKEN, Place.POLL}))


def _device() -> Iterable[Fault]:
    to = Place.DEVICE
    yield Fault("no-device", to, "The device grant is not enabled for the client.")
    yield Fault("device-no-interval", to, "The device answer has no `interval`.")
    yield Fault("device-bad-uri", to, "The verification URLs are not http(s).")
    yield Fault("device-control-chars", to, "URLs and code hold terminal control characters.")
    yield Fault("device-short-life", to, "The device code is said to live for one second.")
    yield Fault("device-slow-down", Place.POLL, "The first poll is answered `slow_down`.", times=1)
    yield Fault("device-expired", Place.POLL, "Polls are answered `expired_token`.")
    yield Fault("device-denied", Place.POLL, "Polls are answered `access_denied`.")


FAULTS: Final[Mapping[str, Fault]] = MappingProxyType({fault.name: fault for fault in _table()})


@dataclass
class _Asked:
    fault: Fault
    place: Place
    left: int | None


class Faults:
    """The faults a sandbox was started with, each with how often it is still to show.

    Args:
        asked: The words given to `--fault`.

    Raises:
        SandboxFaultUnknown: A word is not `NAME[@PLACE][:N]` of the table.
    """

    def __init__(self, asked: Iterable[str] = ()) -> None:
        self._asked = [_parse(word) for word in asked]
        self._lock = threading.Lock()

    def take(self, name: str, places: Iterable[Place]) -> bool:
        """Tell whether fault `name` is to show now at one of `places`, and count it."""
        wanted = set(places)
        with self._lock:
            for asked in self._asked:
                if asked.fault.name == name and asked.place in wanted and asked.left != 0:
                    if asked.left is not None:
                        asked.left -= 1
                    return True
        return False

    def become(self, words: Iterable[str]) -> None:
        """Show the faults of `words` from now on, and no others.

        Raises:
            SandboxFaultUnknown: A word is not `NAME[@PLACE][:N]` of the table.
        """
        asked = [_parse(word) for word in words]
        with self._lock:
            self._asked = asked

    def __bool__(self) -> bool:
        return bool(self._asked)


def check(asked: Iterable[str]) -> None:
    """Raise `SandboxFaultUnknown` unless every word names a fault of the table."""
    Faults(asked)


def _parse(word: str) -> _Asked:
    head, colon, count = word.partition(":")
    name, at, place = head.partition("@")
    fault = FAULTS.get(name)
    if fault is None:
        raise SandboxFaultUnknown(
            f"there is no fault called {name!r}", f"Choose from: {', '.join(sorted(FAULTS))}."
        )
    if at and place not in fault.places | {fault.place}:
        places = ", ".join(sorted(fault.places | {fault.place}))
        raise SandboxFaultUnknown(
            f"the fault {name} cannot show at {place!r}", f"Choose from: {places}."
        )
    if colon and not (count.isascii() and count.isdigit() and int(count)):
        raise SandboxFaultUnknown(
            f"{count!r} is no count for the fault {name}", f"Write {head}:1, or leave it out."
        )
    times = int(count) if colon else fault.times
    return _Asked(fault, Place(place) if at else fault.place, times)
