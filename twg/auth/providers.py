"""Making a provider out of what its server says of itself and what the person adds."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from twg.errors import ConfigError
from twg.http import origin
from twg.oauth import discover, metadata, redirect_place, register
from twg.vault import Endpoints, Provider

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from guard.custody import Custody
    from guard.secret import Secret
    from twg.http import Http
    from twg.oauth import RegisteredClient, ServerMetadata

ENDPOINT_KINDS: Final = tuple(metadata.ENDPOINT_OF)
"""What ``--endpoint KIND=URL`` knows."""

# OpenID Connect Core section 11: offline_access asks for a refresh token and needs a consent
# prompt; the others name the person.
_WANTED_SCOPES: Final = ("openid", "profile", "email", "offline_access")
_LOOPBACK_CALLBACK: Final = "http://127.0.0.1/callback"
_ABSOLUTE_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!-\"$-~]+")
_BY_SECRET: Final = ("client_secret_basic", "client_secret_post")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a person says of a provider; the rest is found out.

    Attributes:
        name: What to call it.
        issuer: Its issuer identifier (RFC 8414 section 2).
        api_base: The origin of the APIs.
        client_id: None to register a client (RFC 7591).
        ask_secret: For a confidential client: asks a person for its secret.
        scopes: Empty for the usual ones.
        redirect_uri: A fixed one, for providers that compare it to the letter.
        resource: RFC 8707, sent at sign-in and at every refresh.
        endpoints: Kind to URL, for what discovery does not list.
        authorize_parameters: Further parameters of the authorization request.
        token_body: ``form``, or ``json`` for servers that want that.
    """

    name: str
    issuer: str
    api_base: str
    client_id: str | None = None
    ask_secret: Callable[[], Awaitable[Secret]] | None = None
    scopes: tuple[str, ...] = ()
    redirect_uri: str | None = None
    resource: str | None = None
    endpoints: Mapping[str, str] = field(default_factory=dict)
    authorize_parameters: Mapping[str, str] = field(default_factory=dict)
    token_body: str = "form"  # noqa: S105 - the name of an encoding


async def found(http: Http, custody: Custody, wish: Wish) -> Provider:
    """Discover, and where needed register, the provider that `wish` describes.

    A person is asked for the client's secret last: once all else is known to be good.

    Raises:
        ConfigError: It needs a client id and offers no registration, or something in `wish` cannot
            be used, such as a URL that is neither https nor on loopback; then nothing was sent.
        ProtocolError: Its documents are not sound.
        GrantRefused: It refuses to register a client.
        NetworkError: It cannot be reached.
        GuardError: The person was asked for the secret and gave none.
    """
    _check(wish)
    server = await discover(http, wish.issuer, overrides=wish.endpoints)
    scopes = wish.scopes or _usual_scopes(server)
    auth_method = _auth_method(server, wish)
    if wish.client_id is None:
        registered = await _register(http, custody, server, wish, scopes)
        client_id, secret = registered.client_id, registered.client_secret
        auth_method = registered.token_endpoint_auth_method
    else:
        client_id = wish.client_id
        secret = None if wish.ask_secret is None else await wish.ask_secret()
    parameters = dict(wish.authorize_parameters)
    if "offline_access" in scopes:
        parameters.setdefault("prompt", "consent")
    return Provider(
        name=wish.name,
        issuer=server.issuer,
        client_id=client_id,
        client_secret=secret,
        endpoints=Endpoints(
            authorization=server.authorization_endpoint,
            token=server.token_endpoint,
            device=server.device_authorization_endpoint,
            revocation=server.revocation_endpoint,
            registration=server.registration_endpoint,
            userinfo=server.userinfo_endpoint,
        ),
        redirect_uri=wish.redirect_uri,
        scopes=scopes,
        resource=wish.resource,
        api_base=wish.api_base,
        registered=wish.client_id is None,
        authorize_params=parameters,
        token_auth_method=auth_method,
        token_body=wish.token_body,
        iss_required=server.iss_parameter_supported,
    )


def _check(wish: Wish) -> None:
    origin(wish.api_base)
    if wish.ask_secret is not None and wish.client_id is None:
        raise ConfigError(
            "a client secret without a client id has no use",
            "Name the client: --client-id ID. Without it, twg registers one of its own.",
        )
    if wish.redirect_uri is not None:
        redirect_place(wish.redirect_uri)  # told now, not once the person has set it there
    # RFC 8707 section 2: an absolute URI without a fragment; its scheme may be any.
    if wish.resource is not None and not _ABSOLUTE_URI.fullmatch(wish.resource):
        raise ConfigError("the resource is not an absolute URI without a fragment (RFC 8707)")


def _usual_scopes(server: ServerMetadata) -> tuple[str, ...]:
    if not server.scopes_supported:
        return ("openid", "offline_access")
    return tuple(scope for scope in _WANTED_SCOPES if scope in server.scopes_supported)


def _auth_method(server: ServerMetadata, wish: Wish) -> str:
    if wish.ask_secret is None:
        return "none"
    if wish.token_body == "json":  # noqa: S105 - the name of an encoding
        return "client_secret_post"
    # RFC 8414 section 2: where the list is missing, client_secret_basic is meant.
    offered = server.token_endpoint_auth_methods_supported or _BY_SECRET[:1]
    for method in _BY_SECRET:
        if method in offered:
            return method
    raise ConfigError(
        f"{wish.issuer} takes no client secret from us (it wants: {', '.join(offered)})",
        "Make a public client there, and add the provider without --confidential.",
    )


async def _register(
    http: Http, custody: Custody, server: ServerMetadata, wish: Wish, scopes: tuple[str, ...]
) -> RegisteredClient:
    if server.registration_endpoint is None:
        raise ConfigError(
            f"{wish.issuer} offers no dynamic client registration",
            "Make an OAuth client there by hand and name it with --client-id.",
        )
    return await register(
        http,
        server.registration_endpoint,
        redirect_uris=(wish.redirect_uri or _LOOPBACK_CALLBACK,),
        scopes=scopes,
        client_name="twg",
        device_grant=server.device_authorization_endpoint is not None,
        custody=custody,
    )
