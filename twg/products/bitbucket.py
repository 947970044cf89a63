"""Bitbucket Cloud: which token it takes, whether it takes this one, and where its API is.

It takes none of Atlassian's OAuth tokens, but an API token that a person makes with scopes and that
goes with their account's e-mail address (support.atlassian.com, "Using API tokens").
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from guard import shapes
from twg.errors import NetworkError, ProtocolError, TokenRefused
from twg.http import BadBody
from twg.products import atlassian
from twg.products.answers import (
    FORBIDDEN,
    GONE,
    OK,
    UNAUTHORIZED,
    check_available,
    host_of,
    words_in,
)
from twg.vault import BitbucketToken

if TYPE_CHECKING:
    from collections.abc import Mapping

    from guard.secret import Secret
    from twg.http import Http, Response
    from twg.vault import Credential

SECRET_KIND: Final = "bitbucket-token"  # noqa: S105 - the name of a kind
WHAT: Final = "Bitbucket API token"

NEEDED_SCOPE: Final = "read:user:bitbucket"
"""What the check of a token itself needs."""

COMMON_SCOPES: Final = (
    NEEDED_SCOPE,
    "read:workspace:bitbucket",
    "read:project:bitbucket",
    "read:repository:bitbucket",
    "read:pullrequest:bitbucket",
    "write:repository:bitbucket",
    "write:pullrequest:bitbucket",
)
"""What most people want; one that writes does not include the one that reads."""

GIT_USER: Final = "x-bitbucket-api-token-auth"
"""Whom git names with such a token, as it is the same for all accounts."""

_VERSION: Final = "/2.0"
_PRODUCTS: Final = ("bitbucket", "jira-software.ondemand", "confluence.ondemand")
_DISCOVERY_SECONDS: Final = 10.0
_OTHER_KINDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "atlassian-access-token": "it looks like an access token of a workspace, project or "
        "repository, or like an Admin API key; wanted is an API token of your account",
        "bitbucket-app-password": "it looks like an app password, which Bitbucket ended on "
        "2026-06-09; wanted is an API token with scopes",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A Bitbucket.

    Attributes:
        api_base: Where its API is.
        git_base: Where its repositories are.
        tokens_page: Where a person makes tokens for it, and revokes them.
    """

    api_base: str
    git_base: str
    tokens_page: str


ATLASSIANS: Final = Place(
    api_base="https://api.bitbucket.org",
    git_base="https://bitbucket.org",
    tokens_page="https://id.atlassian.com/manage-profile/security/api-tokens",
)


def place_at(origin_of_both: str) -> Place:
    """Return a look-alike that has the API and the page at one origin, as the sandbox does."""
    base = origin_of_both.rstrip("/")
    return Place(api_base=base, git_base=f"{base}/git", tokens_page=f"{base}/account/api-tokens")


def place_of(api_base: str) -> Place:
    """Return the Bitbucket whose API is at `api_base`."""
    return ATLASSIANS if api_base == ATLASSIANS.api_base else place_at(api_base)


def fault_of(value: str) -> str | None:
    """Return why a value cannot be an API token for Bitbucket, by its looks; None if it may be.

    Tokens vary in length and need not have a prefix, so most is for Bitbucket itself to say.
    """
    if "@" in value or ":" in value:
        return "it is more than the token: paste that alone; the e-mail address is asked for next"
    shape = shapes.looks_like(value)
    if shape is None or shape.kind == "atlassian-api-token":
        return None
    return _OTHER_KINDS.get(shape.kind, f"it looks like {shape.name}")


async def has_bitbucket(http: Http, credential: Credential) -> bool | None:
    """Ask Atlassian whether the account of a sign-in has Bitbucket.

    Its product discovery is open to some apps only, and not documented for others. So only an
    answer that lists products, Bitbucket not among them, is taken for a no.

    Returns:
        Whether it has; None where that cannot be told.
    """
    try:
        answer = await http.request(
            "POST",
            f"{credential.provider.api_base}/accessible-products",
            pinned=credential.hosts,
            bearer=credential.tokens.access,
            json={"productIds": list(_PRODUCTS), "permissionIds": []},
            deadline=_DISCOVERY_SECONDS,
        )
        listed = answer.json()["data"]["products"] if answer.status == OK else []
        products = [str(one["productId"]) for one in listed]
    except (NetworkError, ProtocolError, BadBody, LookupError, TypeError):
        return None
    return any("bitbucket" in product for product in products) if products else None


async def checked(
    http: Http, place: Place, *, profile: str, email: str, token: Secret, now: float
) -> BitbucketToken:
    """Ask Bitbucket whether it takes a token, whom it stands for and what it may do.

    Args:
        http: What the request goes through.
        place: Which Bitbucket.
        profile: The name it is to be kept under.
        email: The account's e-mail address.
        token: The token.
        now: The time, in Unix seconds.

    Raises:
        TokenRefused: Bitbucket does not take it, or it may not do what the check needs.
        NetworkError: Bitbucket cannot be reached, or (`Unavailable`) not now.
        ProtocolError: It answers as Bitbucket does not.
    """
    candidate = BitbucketToken(
        profile=profile, token=token, email=email, api_base=place.api_base, saved_at=now
    )
    answer = await get(http, candidate, url_for(candidate, "/user"))
    check_available(answer)
    if answer.status != OK:
        raise _refusal(answer)
    user = _document(answer)
    return BitbucketToken(
        profile=profile,
        token=token,
        email=email,
        account_id=words_in(user.get("account_id")),
        name=words_in(user.get("display_name")),
        scopes=_scopes(answer),
        api_base=place.api_base,
        saved_at=now,
    )


async def checked_again(http: Http, token: BitbucketToken) -> BitbucketToken:
    """Ask Bitbucket whether it still takes a stored token; return it as it is now.

    Raises:
        As `checked`.
    """
    return await checked(
        http,
        place_of(token.api_base),
        profile=token.profile,
        email=token.email,
        token=token.token,
        now=token.saved_at,
    )


def url_for(token: BitbucketToken, path: str) -> str:
    """Return the URL of `path` at the Bitbucket that a token is for.

    Args:
        token: The token.
        path: Begins with one slash, and with the interface's version or without; may carry a query.

    Raises:
        UsageError: A path that leads elsewhere.
    """
    atlassian.check_path(path)
    return atlassian.below(token.api_base, path, _VERSION)


async def get(http: Http, token: BitbucketToken, url: str, **limits: Any) -> Response:
    """Get `url` with a token, as its account's e-mail address has it (RFC 7617).

    Raises:
        ConfigError: It is at another origin than the token is for; nothing was sent.
        NetworkError: No answer.
    """
    return await http.request(
        "GET", url, pinned=token.hosts, basic=(token.email, token.token), **limits
    )


def lacking(scopes: tuple[str, ...]) -> tuple[str, ...]:
    """Return which of the common scopes are not among these."""
    return tuple(scope for scope in COMMON_SCOPES if scope not in scopes)


def why_refused(answer: Response) -> tuple[str, str] | None:
    """Return what an error means for the token and what to do, where Bitbucket tells."""
    granted = _granted(answer) if answer.status == FORBIDDEN else None
    if granted is None:
        return None
    needed = ", ".join(_required(answer))
    remedy = "Make another token that has it too, and run `twg setup bitbucket --force`."
    return f"the stored token lacks a scope{f': {needed}' if needed else ''}", remedy


def why_empty(token: BitbucketToken) -> str | None:
    """Return why a list may be empty for a token: it has no scope to read any."""
    if not token.scopes or any(not scope.startswith("write:") for scope in token.scopes):
        return None
    return "the list is empty, and the stored token has no scope to read: there may be more"


def _refusal(answer: Response) -> TokenRefused | ProtocolError:
    """Return what an answer to the check means that is not the account."""
    host, status = host_of(answer), answer.status
    if answer.headers.get("x-credential-type", "").endswith("access_token"):
        return TokenRefused(
            host,
            "it belongs to a workspace, project or repository, not to an account",
            "Make an API token of your account instead, with scopes.",
        )
    if status == UNAUTHORIZED:
        # Bitbucket's answer is one and the same for all of these.
        return TokenRefused(
            host,
            "it is unknown, has expired, has no scopes, or is another account's",
            "Copy it again and see that the e-mail address is its account's, or make another one "
            "by “Create API token with scopes”, for Bitbucket; `twg setup bitbucket` takes it.",
        )
    if status in {FORBIDDEN, GONE}:
        return _without_right(answer, host)
    return ProtocolError(
        f"{host} was asked whom the token stands for and answered HTTP {status}",
        "Try again. If it goes on, see https://bitbucket.status.atlassian.com.",
    )


def _without_right(answer: Response, host: str) -> TokenRefused:
    granted = _granted(answer)
    if granted is None:
        return TokenRefused(
            host,
            f"it answered HTTP {answer.status}",
            "See whether you can open bitbucket.org in your browser; your organization may "
            "allow certain networks only.",
        )
    return TokenRefused(
        host,
        f"it lacks the scope {NEEDED_SCOPE} (it has: {', '.join(granted) or 'none'})",
        f"Make another one that has {NEEDED_SCOPE} too: a token's scopes cannot be changed.",
    )


def _granted(answer: Response) -> tuple[str, ...] | None:
    """Return the scopes that a token has by an answer that it lacks one; None if it says none."""
    try:
        detail = answer.json()["error"]["detail"]
        return tuple(filter(None, map(words_in, detail["granted"])))
    except (BadBody, LookupError, TypeError):
        return _scopes(answer) or None


def _required(answer: Response) -> tuple[str, ...]:
    try:
        required = answer.json()["error"]["detail"]["required"]
        return tuple(filter(None, map(words_in, required)))
    except (BadBody, LookupError, TypeError):
        return ()


def _scopes(answer: Response) -> tuple[str, ...]:
    told = answer.headers.get("x-oauth-scopes", "").split(",")
    return tuple(sorted(filter(None, (words_in(scope.strip()) for scope in told))))


def _document(answer: Response) -> Mapping[str, Any]:
    try:
        found = answer.json()
    except BadBody:
        found = None
    if not isinstance(found, dict):
        raise ProtocolError(f"{host_of(answer)} does not say whom the token stands for")
    return found
