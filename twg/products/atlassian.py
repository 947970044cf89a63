"""Atlassian's cloud: its authorization server, who is signed in, which sites, where each API is."""

from __future__ import annotations

import unicodedata
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from twg.errors import AuthRequired, ConfigError, ProtocolError, UsageError
from twg.http import BadBody, origin
from twg.products.answers import (
    FORBIDDEN,
    NOT_FOUND,
    OK,
    UNAUTHORIZED,
    check_available,
    host_of,
    words_in,
)
from twg.products.call import GRAPHQL, GRAPHQL_PATH
from twg.vault import Account, Site

if TYPE_CHECKING:
    from collections.abc import Mapping

    from guard.secret import Secret
    from twg.http import Http, Response
    from twg.vault import Credential, CredentialSummary, Provider

ISSUER: Final = "https://auth.atlassian.com"
API_BASE: Final = "https://api.atlassian.com"

SERVICES: Final = ("jira", "confluence", "atlassian", GRAPHQL)
"""Those that take the sign-in's own token."""

WITH_SITES: Final = ("jira", "confluence")
"""Those of them that are on a site."""

# How a scope tells its product: `read:jira-work`, `read:page:confluence`. Requests of Jira Service
# Management go through Jira's gateway.
_NAMES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"jira": ("jira", "servicedesk"), "confluence": ("confluence",)}
)
_MORE_SCOPES: Final = (
    "Allow your OAuth app more, name those scopes in `twg provider add` with --scope, and run "
    "`twg login --force`."
)
_USUAL_IDLE_DAYS: Final = 30.0
_MOST_DECODINGS: Final = 8


def is_atlassian(issuer: str) -> bool:
    """Tell whether `issuer` is Atlassian's own authorization server."""
    return issuer.rstrip("/") == ISSUER


def api_base(issuer: str) -> str:
    """Return where the APIs of a provider with this issuer are.

    Atlassian's are on a host of their own; any other provider's, the sandbox's too, are taken to
    be at the issuer's origin.
    """
    return API_BASE if is_atlassian(issuer) else origin(issuer)


def idle_days(issuer: str) -> float:
    """Return after how many days without use a refresh token of this issuer is taken to lapse."""
    from twg.products import presets  # noqa: PLC0415 - reads its files

    known = presets.for_issuer(issuer)
    return (known.idle_days if known else None) or _USUAL_IDLE_DAYS


async def account_of(http: Http, provider: Provider, access: Secret) -> Account | None:
    """Ask who signed in: Atlassian's ``/me``, or the provider's userinfo endpoint.

    Returns:
        The account, or None where the provider does not tell.

    Raises:
        ProtocolError: The token that was just issued is not accepted.
        NetworkError: The provider cannot be reached, or (`Unavailable`) not now.
    """
    url = provider.endpoints.userinfo
    if url is None or is_atlassian(provider.issuer):
        url = f"{provider.api_base}/me"
    answer = await http.request("GET", url, pinned=provider.hosts, bearer=access)
    # A token for one resource (RFC 8707) need not be good for the userinfo endpoint.
    if answer.status == UNAUTHORIZED and provider.resource is None:
        raise _not_accepted(answer)
    found = _json(answer)
    if not isinstance(found, dict):
        return None
    identifier = _text(found, "account_id", "sub")
    if identifier is None:
        return None
    return Account(
        id=identifier,
        name=_text(found, "name", "nickname", "preferred_username"),
        email=_text(found, "email"),
    )


async def sites_of(http: Http, provider: Provider, access: Secret) -> tuple[Site, ...]:
    """Ask which sites the person consented to (``accessible-resources``).

    One site may come once for each product; it is listed once here, with all its scopes.

    Returns:
        The sites; none where the provider is another than Atlassian and has no such thing.

    Raises:
        ProtocolError: Atlassian, or one that answers in its way, gives no list.
        NetworkError: The provider cannot be reached, or (`Unavailable`) not now.
    """
    url = f"{provider.api_base}/oauth/token/accessible-resources"
    answer = await http.request("GET", url, pinned=provider.hosts, bearer=access)
    found = _json(answer)
    if found is None and not is_atlassian(provider.issuer):
        return ()
    if answer.status == UNAUTHORIZED:
        raise _not_accepted(answer)
    if not isinstance(found, list):
        raise ProtocolError(
            f"{host_of(answer)} was asked for the sites of this sign-in and gave no list "
            f"(HTTP {answer.status})",
            "Sign in again. If it goes on, see https://status.atlassian.com.",
        )
    sites: dict[str, Site] = {}
    for site in filter(None, map(_site, found)):
        known = sites.get(site.host)
        scopes = tuple(dict.fromkeys((known.scopes if known else ()) + site.scopes))
        sites[site.host] = Site(
            host=site.host, cloud_id=site.cloud_id, name=site.name, scopes=scopes
        )
    return tuple(sites.values())


def unknown(service: str) -> UsageError:
    """Return the error for a service that there is not."""
    known = ", ".join((*SERVICES, "bitbucket", "admin"))
    return UsageError(f"{service!r} is not a service", f"Name one of {known}: `twg api --help`.")


def base_of(credential: Credential, service: str, site: str | None = None) -> str:
    """Return the URL that paths of `service` begin with for this credential.

    Raises:
        UsageError: An unknown service.
        AuthRequired: The person chose no site when they signed in.
        ConfigError: The site was not consented to, or the provider has no sites.
    """
    if service not in SERVICES:
        raise unknown(service)
    base = credential.provider.api_base.rstrip("/")
    if service in WITH_SITES:
        base = f"{base}/ex/{service}/{_cloud_id(credential, site)}"
    return base


def url_for(credential: Credential, service: str, path: str, site: str | None = None) -> str:
    """Return the URL of `path` at `service` for this credential.

    Args:
        credential: Whose sites count.
        service: One of `SERVICES`.
        path: Begins with one slash; may carry a query.
        site: The host of the site; None for the credential's default.

    Raises:
        UsageError: An unknown service, or a path that leads elsewhere.
        AuthRequired: The person chose no site when they signed in.
        ConfigError: The site was not consented to, or the provider has no sites.
    """
    check_path(path)
    route = path.partition("?")[0]
    if service == GRAPHQL and route != GRAPHQL_PATH:
        raise UsageError(f"the path of graphql is {GRAPHQL_PATH}", "Leave the path out.")
    return below(base_of(credential, service, site), path)


def site_called(credential: Credential, service: str, host: str | None) -> str | None:
    """Return the host of the site that a call goes to; None for a service without sites.

    Raises:
        AuthRequired: The person chose no site when they signed in.
        ConfigError: The site was not consented to, or the provider has no sites.
    """
    if service not in WITH_SITES:
        return None
    if (site := _site_called(credential, host)) is not None:
        return site.host
    raise not_covered(credential, host)


def misses_sites(credential: Credential) -> bool:
    """Tell whether a sign-in was to cover sites, by the scopes asked for, and covers none."""
    wanted = credential.provider.scopes
    return not credential.sites and any(_is_of(scope, name) for scope in wanted for name in _NAMES)


def lacks_scope(answer: Response) -> bool:
    """Tell whether the gateway refuses a sound token for its scopes; a new one has no others."""
    if answer.status not in {UNAUTHORIZED, FORBIDDEN}:
        return False
    try:
        found = answer.json()
    except BadBody:
        return False
    message = found.get("message") if isinstance(found, dict) else None
    return isinstance(message, str) and "scope does not match" in message.lower()


def why_refused(
    credential: Credential | CredentialSummary, service: str, site: str | None, answer: Response
) -> tuple[str, str] | None:
    """Return what an error of the gateway means and what to do about it, where that is known.

    Args:
        credential: What was called with.
        service: One of `SERVICES`.
        site: As for `url_for`.
        answer: What came.
    """
    called = _site_called(credential, site)
    refused = answer.status in {UNAUTHORIZED, FORBIDDEN, NOT_FOUND}
    if service in _NAMES and called and refused and not _has(called, service):
        others = [one.host for one in credential.sites if _has(one, service)]
        return (
            f"this sign-in has no {service.capitalize()} on the site {called.host}",
            f"Call a site that has it: --site {others[0]}." if others else _MORE_SCOPES,
        )
    if lacks_scope(answer):
        return "this sign-in has no scope for that call", _MORE_SCOPES
    return None


def why_empty(credential: Credential, service: str, site: str | None) -> str | None:
    """Return why a product's lists may be empty for a sign-in: it has no scope to read them.

    Some lists come back empty then, where others are refused. None where it has one, or where its
    scopes are not known.
    """
    called = _site_called(credential, site)
    if service not in _NAMES or called is None or not called.scopes:
        return None
    if any(_is_of(scope, service) and not _only_writes(scope) for scope in called.scopes):
        return None
    return (
        f"the list is empty, and this sign-in has no scope to read {service.capitalize()} on "
        f"{called.host}: there may be more than it may see. {_MORE_SCOPES}"
    )


def _only_writes(scope: str) -> bool:
    return scope.startswith(("write:", "delete:"))


def _has(site: Site, service: str) -> bool:
    """Tell whether a site lists a scope of the product; one that lists none is believed to."""
    return not site.scopes or any(_is_of(scope, service) for scope in site.scopes)


def _is_of(scope: str, service: str) -> bool:
    return any(name in scope for name in _NAMES[service])


def _site_called(credential: Credential | CredentialSummary, host: str | None) -> Site | None:
    wanted = credential.site if host is None else host.lower()
    return next((site for site in credential.sites if site.host == wanted), None)


def _cloud_id(credential: Credential, host: str | None) -> str:
    if (site := _site_called(credential, host)) is not None:
        return site.cloud_id
    raise not_covered(credential, host)


def not_covered(credential: Credential, host: str | None) -> AuthRequired | ConfigError:
    """Return the error for a site that a sign-in does not cover.

    Args:
        credential: The sign-in.
        host: The site's host; None for the default one.
    """
    if misses_sites(credential):
        return AuthRequired(
            credential.profile,
            "this sign-in covers no site: none was chosen on the consent page",
            command="twg login --force",
        )
    if not credential.sites:
        return ConfigError(
            f"this sign-in covers no site: {credential.provider.name} has none",
            "Sign in at Atlassian: `twg provider list` shows how to add it.",
        )
    wanted = credential.site if host is None else host.lower()
    consented = ", ".join(site.host for site in credential.sites)
    return ConfigError(
        f"this sign-in does not cover the site {wanted} (it covers: {consented})",
        "Use one of those, or run `twg login --force` and choose that site on the consent page.",
    )


def below(base: str, path: str, prefix: str = "") -> str:
    """Return the URL of a path that was checked, with `prefix` in front where it is not yet.

    Raises:
        UsageError: It leads elsewhere all the same.
    """
    front = "" if path.startswith(f"{prefix}/") else prefix
    url = f"{base.rstrip('/')}{front}{path}"
    if origin(url) != origin(base):  # pragma: no cover - the path has been checked; this is on top
        raise UsageError("the path leads to another host")
    return url


def check_path(path: str) -> None:
    """Refuse a path that leads elsewhere for anyone who reads it on the way.

    Decided on the characters, before anything parses them, and again on what is left when they are
    decoded: a gateway may decode once, and what stands behind it again.
    """
    if not path.startswith("/"):
        raise UsageError(
            "the path must begin with one slash and name no host", "For example: /rest/api/3/myself"
        )
    if set(path) & {"#", "\\"} or not all("!" <= character <= "~" for character in path):
        raise UsageError(
            "the path holds a `#`, a backslash, a space or a character that is not plain ASCII",
            "Percent-encode it.",
        )
    for step in _decodings(path.partition("?")[0]):
        if "\\" in step or any(unicodedata.category(character) == "Cc" for character in step):
            raise UsageError("the path holds a backslash or a control character, encoded")
        if step.startswith("//"):
            raise UsageError("the path must begin with one slash and name no host")
        # Some servers drop what follows a semicolon before they climb.
        if any(part.partition(";")[0] in {".", ".."} for part in step.split("/")):
            raise UsageError("the path must not hold `.` or `..` as a part")


def _decodings(path: str) -> list[str]:
    """Return the path as it is and as it comes out of decoding it, again and again."""
    steps = [path]
    while len(steps) < _MOST_DECODINGS:
        plain = unicodedata.normalize("NFKC", unquote(steps[-1]))
        if plain == steps[-1]:
            return steps
        steps.append(plain)
    raise UsageError("the path is percent-encoded over and over", "Encode it once.")


def _not_accepted(answer: Response) -> ProtocolError:
    return ProtocolError(f"{host_of(answer)} does not accept the token that was just issued")


def _json(answer: Response) -> Any:
    """Return the answer's JSON; None for anything but a successful one."""
    check_available(answer)
    if answer.status != OK:
        return None
    try:
        return answer.json()
    except BadBody:
        return None


def _text(found: Mapping[str, Any], *names: str) -> str | None:
    """Return the first of these that says anything."""
    return next(filter(None, (words_in(found.get(name)) for name in names)), None)


def _site(entry: Any) -> Site | None:
    if not isinstance(entry, dict):
        return None
    cloud_id, url, scopes = entry.get("id"), entry.get("url"), entry.get("scopes")
    # It becomes part of a path.
    if not isinstance(cloud_id, str) or not cloud_id.isascii():
        return None
    if not cloud_id.replace("-", "").isalnum():
        return None
    host = _site_host(url)
    if host is None:
        return None
    return Site(
        host=host,
        cloud_id=cloud_id,
        name=_text(entry, "name"),
        scopes=tuple(filter(_is_word, scopes)) if isinstance(scopes, list) else (),
    )


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and value.isprintable()


def _site_host(url: Any) -> str | None:
    try:
        return urlsplit(origin(url)).netloc.removesuffix(":443") if isinstance(url, str) else None
    except ConfigError:
        return None
