"""The token endpoint: who we are to it, what it answers, and renewal (RFC 6749, 2.3, 5 and 6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote_plus

from twg.errors import ConfigError, ProtocolError
from twg.oauth.answers import document_of, host_of, number_of
from twg.oauth.words import clean, is_visible_ascii

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from guard.custody import Custody
    from guard.secret import Secret
    from twg.http import Http, Response

MAX_TOKEN: Final = 64 * 1024
MAX_LIFETIME: Final = 365 * 86_400.0
AUTH_METHODS: Final = ("none", "client_secret_basic", "client_secret_post")


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Our client at one authorization server.

    Attributes:
        client_id: Its identifier there (RFC 6749 section 2.2).
        secret: Its secret; None for a public client.
        auth_method: One of `AUTH_METHODS` (RFC 7591 section 2).
        token_endpoint: The token endpoint.
        body: ``form``, as RFC 6749 has it, or ``json`` for servers that want that.
        pinned: The origins its secrets and tokens may go to.
        custody: Takes in every secret that arrives.
    """

    client_id: str
    secret: Secret | None = None
    auth_method: str = "none"
    token_endpoint: str
    body: str = "form"
    pinned: frozenset[str]
    custody: Custody

    def __post_init__(self) -> None:
        if self.auth_method not in AUTH_METHODS:
            raise ConfigError(f"client authentication by {self.auth_method!r} is not known here")
        if self.body not in {"form", "json"}:
            raise ConfigError(f"a request body is `form` or `json`, not {self.body!r}")
        if (self.secret is None) != (self.auth_method == "none"):
            raise ConfigError(
                "a client has a secret exactly if it authenticates with one",
                "Add the provider again, with --confidential if it has a client secret.",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenResponse:
    """A successful token answer (RFC 6749 section 5.1).

    Attributes:
        access: The access token.
        refresh: The refresh token; None if none came, and then an older one stays good.
        token_type: Always ``Bearer``.
        scopes: What was granted; None if the server did not say, which means: as asked for.
        expires_in: Lifetime in seconds, between 0 (due at once) and a year; None if unknown.
        server_time: The server's clock when it answered, in Unix seconds, if it told.
    """

    access: Secret
    refresh: Secret | None
    token_type: str
    scopes: tuple[str, ...] | None
    expires_in: float | None
    server_time: float | None


async def refresh(
    http: Http,
    client: Client,
    refresh_token: Secret,
    *,
    scopes: Sequence[str] | None = None,
    resource: str | None = None,
) -> TokenResponse:
    """Renew with a refresh token (RFC 6749 section 6).

    Args:
        http: What the request goes through.
        client: Who asks.
        refresh_token: Spent by this where the server rotates.
        scopes: To ask for fewer than before; None for the same.
        resource: The resource indicator (RFC 8707), as at sign-in.

    Raises:
        GrantRefused: The server said no; ``invalid_grant`` means that the token is dead, any other
            error that something else is wrong.
        NetworkError: No answer. Whether the token is spent is unknown.
        Unavailable: It cannot serve now.
        ProtocolError: An answer that cannot be used.
    """
    parameters: dict[str, str | Secret] = {
        "grant_type": "refresh_token",
        "refresh_token": refresh_token,
    }
    if scopes is not None:
        parameters["scope"] = " ".join(scopes)
    if resource is not None:
        parameters["resource"] = resource
    return await request_token(http, client, parameters)


async def request_token(
    http: Http, client: Client, parameters: Mapping[str, str | Secret], *, deadline: float = 30.0
) -> TokenResponse:
    """Ask the token endpoint for what `parameters` describe; raises as `refresh`."""
    answer = await post(http, client, client.token_endpoint, parameters, deadline=deadline)
    return token_response(answer, client.custody)


async def post(
    http: Http,
    client: Client,
    endpoint: str,
    parameters: Mapping[str, str | Secret],
    *,
    deadline: float = 30.0,
) -> Response:
    """Post `parameters` to one of the server's endpoints as `client` (RFC 6749 section 2.3.1).

    Raises:
        ConfigError: The endpoint is not among the client's pinned origins; nothing was sent.
        NetworkError: No answer.
        ProtocolError: A body that is too long.
    """
    body = dict(parameters)
    basic = None
    if client.secret is not None and client.auth_method == "client_secret_basic":
        basic = (quote_plus(client.client_id), _form_encoded(client.secret, client.custody))
    else:
        body["client_id"] = client.client_id
        if client.secret is not None:
            body["client_secret"] = client.secret
    return await http.request(
        "POST",
        endpoint,
        pinned=client.pinned,
        form=body if client.body == "form" else None,
        json=body if client.body == "json" else None,
        basic=basic,
        deadline=deadline,
    )


def token_response(answer: Response, custody: Custody) -> TokenResponse:
    """Read a token endpoint's answer, strictly; raises as `refresh`."""
    document = document_of(answer)
    host = host_of(answer)
    # First of all into custody: whatever is wrong with the rest, no log shows these from now on.
    access = secret_in(document, "access_token", "access-token", custody, host)
    renewal = secret_in(document, "refresh_token", "refresh-token", custody, host)
    if access is None:
        raise ProtocolError(f"{host} answered without an access token")
    token_type = document.get("token_type")
    if not isinstance(token_type, str) or token_type.lower() != "bearer":
        shown = clean(token_type, 40) or "none"
        raise ProtocolError(f"{host} issued a token that is not a bearer token (type: {shown})")
    return TokenResponse(
        access=access,
        refresh=renewal,
        token_type="Bearer",  # noqa: S106 - the name of a type
        scopes=_scopes(document.get("scope")),
        expires_in=_lifetime(document.get("expires_in")),
        server_time=answer.server_time(),
    )


def secret_in(
    document: Mapping[str, Any], name: str, kind: str, custody: Custody, host: str
) -> Secret | None:
    """Take the secret `name` of a server's document into custody; None if there is none.

    Raises:
        ProtocolError: It is not a string of visible ASCII characters (RFC 6749 appendix A), or
            absurdly long.
    """
    value = document.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > MAX_TOKEN or not is_visible_ascii(value):
        raise ProtocolError(f"{host} sent a {name} that cannot be one")
    return custody.take(value, kind)


def _form_encoded(secret: Secret, custody: Custody) -> Secret:
    # RFC 6749 section 2.3.1: both halves are form-encoded before they become Basic credentials.
    plain = secret.reveal("encode for Basic authentication")
    encoded = quote_plus(plain)
    return secret if encoded == plain else custody.take(encoded, secret.kind)


def _scopes(value: Any) -> tuple[str, ...] | None:
    # A scope may be shown and is stored in clear: what is not a scope-token (section 3.3) goes.
    if not isinstance(value, str):
        return None
    return tuple(scope for scope in value.split() if is_visible_ascii(scope))


def _lifetime(value: Any) -> float | None:
    # The token itself is good, so a strange lifetime does not cost the person a sign-in: absurdly
    # long is held to a year, zero or less is due at once, and no number at all is unknown.
    seconds = number_of(value)
    return None if seconds is None else min(max(seconds, 0.0), MAX_LIFETIME)
