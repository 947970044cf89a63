"""Becoming a client without a developer console (RFC 7591)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from twg.errors import GrantRefused, ProtocolError
from twg.oauth.answers import document_of, host_of
from twg.oauth.device import GRANT_TYPE as DEVICE_GRANT_TYPE
from twg.oauth.token import AUTH_METHODS, secret_in
from twg.oauth.words import clean, is_visible_ascii

if TYPE_CHECKING:
    from collections.abc import Sequence

    from guard.custody import Custody
    from guard.secret import Secret
    from twg.http import Http, Response

_MAX_CLIENT_ID: Final = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisteredClient:
    """What a server made of us (RFC 7591 section 3.2.1).

    Attributes:
        client_id: Our identifier there.
        client_secret: Given by some servers though none was asked for; None for a public client.
        token_endpoint_auth_method: How we authenticate there.
    """

    client_id: str
    client_secret: Secret | None
    token_endpoint_auth_method: str


async def register(
    http: Http,
    endpoint: str,
    *,
    redirect_uris: Sequence[str],
    scopes: Sequence[str],
    client_name: str,
    device_grant: bool,
    custody: Custody,
) -> RegisteredClient:
    """Register a native public client; nothing secret is sent.

    Args:
        http: What the request goes through.
        endpoint: The registration endpoint.
        redirect_uris: Where it is redirected to.
        scopes: What it may ask for.
        client_name: What the consent page calls it.
        device_grant: Ask for the device grant too; where the server refuses that, it is registered
            without.
        custody: Takes in a client secret.

    Raises:
        GrantRefused: The server refuses.
        NetworkError: It cannot be reached, or (`Unavailable`) not now.
        ProtocolError: An answer that cannot be used.
    """
    wish = _wish(redirect_uris, scopes, client_name)
    if device_grant:
        asked = wish | {"grant_types": [*wish["grant_types"], DEVICE_GRANT_TYPE]}
        try:
            return _registered(await http.request("POST", endpoint, json=asked), custody)
        except GrantRefused:
            # Servers refuse a grant type that not all may have in various words and with various
            # statuses (section 3.2.2); were it for another reason, they refuse again.
            pass
    try:
        return _registered(await http.request("POST", endpoint, json=wish), custody)
    except GrantRefused as error:
        error.remediation = (
            "It may register no apps by itself: make one there, then run the command again with "
            "its --client-id."
        )
        raise


def _wish(redirect_uris: Sequence[str], scopes: Sequence[str], name: str) -> dict[str, Any]:
    return {
        "client_name": name,
        "application_type": "native",
        "redirect_uris": list(redirect_uris),
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
        "scope": " ".join(scopes),
    }


def _registered(answer: Response, custody: Custody) -> RegisteredClient:
    document = document_of(answer)
    host = host_of(answer)
    secret = secret_in(document, "client_secret", "client-secret", custody, host)
    method = _auth_method(document, host) if secret else "none"
    client_id = document.get("client_id")
    if not isinstance(client_id, str) or not 0 < len(client_id) <= _MAX_CLIENT_ID:
        raise ProtocolError(f"{host} registered a client without a client_id")
    if not is_visible_ascii(client_id):
        raise ProtocolError(f"{host} registered a client_id that cannot be one")
    return RegisteredClient(
        client_id=client_id,
        client_secret=None if method == "none" else secret,
        token_endpoint_auth_method=method,
    )


def _auth_method(document: dict[str, Any], host: str) -> str:
    # Section 2: where the method is left out, Basic is meant.
    method = document.get("token_endpoint_auth_method") or "client_secret_basic"
    if method not in AUTH_METHODS:
        raise ProtocolError(
            f"{host} wants a client authentication that twg does not have: {clean(method, 60)}"
        )
    return str(method)
