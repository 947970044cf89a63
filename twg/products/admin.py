"""Atlassian's Admin APIs for organizations: which API key they take, and where they are.

An organization admin makes such a key by hand; it is good for one organization, goes with no
account, and no API revokes it (support.atlassian.com, "Manage an organization with the admin
APIs").
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from twg.errors import AdminKeyExpired, AdminKeyRefused, ProtocolError
from twg.http import BadBody, origin
from twg.products import atlassian
from twg.products.answers import (
    FORBIDDEN,
    NOT_FOUND,
    OK,
    UNAUTHORIZED,
    check_available,
    host_of,
    words_in,
)
from twg.vault import AdminKey

if TYPE_CHECKING:
    from collections.abc import Mapping

    from guard.secret import Secret
    from twg.http import Http, Response

SERVICE: Final = "admin"
SECRET_KIND: Final = "admin-api-key"  # noqa: S105 - the name of a kind
WHAT: Final = "Admin API key"
LOOKS: Final = frozenset({"atlassian-access-token"})
"""What a key may look like, beside nothing: access tokens of a workspace begin as newer keys do."""

_PREFIX: Final = "/admin"
_ORG: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where organizations are administered.

    Attributes:
        api_base: Where the API is.
        keys_page: Where an organization admin makes keys for it, and revokes them.
    """

    api_base: str
    keys_page: str


ATLASSIANS: Final = Place(
    api_base=atlassian.API_BASE, keys_page="https://admin.atlassian.com (Settings > API keys)"
)


def place_of(api_base: str) -> Place:
    """Return the place whose API is at `api_base`; a look-alike has both at one origin."""
    if api_base == ATLASSIANS.api_base:
        return ATLASSIANS
    base = api_base.rstrip("/")
    return Place(api_base=base, keys_page=f"{base}/admin/api-keys")


def org_fault(value: str) -> str | None:
    """Return why a word is no organization ID, or None if it may be one."""
    if _ORG.fullmatch(value):
        return None
    return "it is no organization ID: those have letters, digits and dashes"


async def checked(
    http: Http, place: Place, *, org: str, email: str, key: Secret, now: float
) -> AdminKey:
    """Ask for the organization with a key that was entered, and return what is to be kept.

    Args:
        http: What the request goes through.
        place: Where to ask.
        org: The organization's ID.
        email: Who entered it.
        key: The key.
        now: The time, in Unix seconds.

    Raises:
        AdminKeyRefused: The key is not accepted, or not for this organization.
        ProtocolError: The answer is of no use.
        NetworkError: No answer, or (`Unavailable`) not now.
    """
    answer = await http.request(
        "GET",
        f"{place.api_base}{_PREFIX}/v1/orgs/{org}",
        pinned=frozenset({origin(place.api_base)}),
        bearer=key,
    )
    check_available(answer)
    if answer.status != OK:
        raise _refusal(answer, place, org)
    document = _document(answer)
    data = _mapping(document.get("data"))
    told = str(data.get("id"))
    if told.lower() != org.lower():
        raise ProtocolError(
            f"{host_of(answer)} does not tell of the organization that was asked for",
            "Try again. If it goes on, see https://status.atlassian.com.",
        )
    meta = _mapping(_mapping(document.get("meta")).get("apiKey"))
    return AdminKey(
        org=told,
        key=key,
        name=words_in(_mapping(data.get("attributes")).get("name")),
        email=email,
        api_base=place.api_base,
        saved_at=now,
        expires_at=_moment(meta.get("expiresAt")),
    )


async def try_out(http: Http, key: AdminKey) -> None:
    """Ask for the organization with a key that is kept.

    Raises:
        AdminKeyExpired: It is not accepted any more.
        And as `checked`.
    """
    place = place_of(key.api_base)
    try:
        await checked(http, place, org=key.org, email=key.email, key=key.key, now=key.saved_at)
    except AdminKeyRefused as error:
        raise AdminKeyExpired(key.org, str(error)) from error


def url_for(key: AdminKey, path: str) -> str:
    """Return the URL of `path` at the Admin APIs.

    Args:
        key: Decides where they are.
        path: Begins with one slash, with or without `/admin` in front; may carry a query.

    Raises:
        UsageError: A path that leads elsewhere.
    """
    atlassian.check_path(path)
    return atlassian.below(key.api_base, path, _PREFIX)


def not_accepted(key: AdminKey, answer: Response) -> AdminKeyExpired:
    """Return what it means that a key is not accepted any more."""
    return AdminKeyExpired(
        key.org,
        f"{host_of(answer)} does not accept the Admin API key of the organization {key.org}: "
        "it has expired, was revoked, or this API takes no such key",
        f"Make another at {place_of(key.api_base).keys_page}, then run "
        f"`twg admin auth login --org {key.org}` in a terminal.",
    )


def _refusal(answer: Response, place: Place, org: str) -> AdminKeyRefused | ProtocolError:
    """Return what an answer to the check means that is not the organization."""
    host, status = host_of(answer), answer.status
    if status == UNAUTHORIZED:
        return AdminKeyRefused(
            org,
            f"{host} does not accept this key: it is unknown, has expired or was revoked",
            f"Copy it again, or make another at {place.keys_page}; `twg admin auth login` "
            "takes it.",
        )
    if status == FORBIDDEN:
        return AdminKeyRefused(
            org,
            f"{host} accepts this key, but it may not read the organization {org}",
            f"Make one at {place.keys_page} without scopes, or with the scopes to read it.",
        )
    if status == NOT_FOUND:
        return AdminKeyRefused(
            org,
            f"{host} accepts this key, but not for the organization {org}: it was made for "
            "another one, or there is none of this ID",
            "`twg admin auth login --org ID` wants the ID shown beside the key at "
            f"{place.keys_page}.",
        )
    return ProtocolError(
        f"{host} was asked for the organization and answered HTTP {status}",
        "Try again. If it goes on, see https://status.atlassian.com.",
    )


def _document(answer: Response) -> Mapping[str, Any]:
    try:
        return _mapping(answer.json())
    except BadBody:
        return {}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _moment(value: Any) -> float | None:
    try:
        when = datetime.fromisoformat(value)
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
