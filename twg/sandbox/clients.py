"""The applications that may ask for authorization, and which redirect URIs are theirs."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from twg.sandbox import scopes
from twg.sandbox.people import CLIENT_ID
from twg.sandbox.storage import digest

if TYPE_CHECKING:
    from urllib.parse import SplitResult

    from twg.sandbox.storage import Storage

DEVICE_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
GRANT_TYPES: Final = ("authorization_code", "refresh_token", DEVICE_GRANT)
AUTH_METHODS: Final = ("none", "client_secret_basic", "client_secret_post")
_NOT_IN_URIS: Final = frozenset(' "<>\\^`{|}')
LOOPBACK_HOSTS: Final = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True)
class Client:
    """A client in the terms Authlib asks for (its `ClientMixin`).

    Attributes:
        redirect_uris: As registered; loopback ones match with any port (RFC 8252 section 7.3).
        any_loopback: Every loopback redirect URI is this client's.
        secret: Hash of the client secret, None for a public client.
    """

    client_id: str
    name: str
    redirect_uris: tuple[str, ...]
    any_loopback: bool
    secret: str | None
    auth_method: str
    grant_types: tuple[str, ...]
    scope: str | None

    def get_client_id(self) -> str:
        """Return the client identifier."""
        return self.client_id

    def get_default_redirect_uri(self) -> str | None:
        """Return the only registered redirect URI, else None."""
        return self.redirect_uris[0] if len(self.redirect_uris) == 1 else None

    def get_allowed_scope(self, scope: str | None) -> str:
        """Return the part of `scope` this client may have, or the default where none is asked."""
        asked = (scope or " ".join(scopes.DEFAULT)).split()
        allowed = None if self.scope is None else set(self.scope.split())
        return " ".join(dict.fromkeys(v for v in asked if allowed is None or v in allowed))

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Tell whether the redirect URI is this client's."""
        if self.any_loopback and _loopback(redirect_uri):
            return True
        return any(_same(registered, redirect_uri) for registered in self.redirect_uris)

    def check_client_secret(self, client_secret: str) -> bool:
        """Compare the secret in constant time."""
        return self.secret is not None and hmac.compare_digest(self.secret, digest(client_secret))

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        """Tell whether the client authenticates by `method`, the same at every endpoint."""
        del endpoint
        if self.auth_method == "none":
            return method == "none"
        # Atlassian takes a secret either way, whichever was registered.
        return method in {"client_secret_basic", "client_secret_post"}

    def check_response_type(self, response_type: str) -> bool:
        """Tell whether the client uses `response_type`."""
        return response_type == "code" and "authorization_code" in self.grant_types

    def check_grant_type(self, grant_type: str) -> bool:
        """Tell whether the client uses `grant_type`."""
        return grant_type in self.grant_types


BUILT_IN: Final = Client(
    client_id=CLIENT_ID,
    name="twg",
    redirect_uris=(),
    any_loopback=True,
    secret=None,
    auth_method="none",
    grant_types=GRANT_TYPES,
    scope=None,
)


def find_client(storage: Storage, client_id: str) -> Client | None:
    """Return the built-in or a registered client, or None."""
    if client_id == CLIENT_ID:
        return BUILT_IN
    found = storage.client(client_id)
    return _registered(client_id, *found) if found else None


def _registered(client_id: str, secret: str | None, metadata: dict[str, Any]) -> Client:
    return Client(
        client_id=client_id,
        name=str(metadata.get("client_name") or client_id),
        redirect_uris=tuple(metadata.get("redirect_uris") or ()),
        any_loopback=False,
        secret=secret,
        auth_method=str(metadata["token_endpoint_auth_method"]),
        grant_types=tuple(metadata.get("grant_types") or ("authorization_code",)),
        scope=metadata.get("scope") or None,
    )


def is_acceptable_redirect(uri: str) -> bool:
    """Tell whether a client may register `uri`: https, or http on loopback, without a fragment."""
    try:
        parts = urlsplit(uri)
        _ = parts.port
    except ValueError:
        return False
    return not parts.fragment and (
        (parts.scheme == "https" and bool(parts.hostname)) or _loopback(uri)
    )


def _loopback(uri: str) -> bool:
    parts = _plain(uri)
    return parts is not None and parts.scheme == "http" and parts.hostname in LOOPBACK_HOSTS


def _same(registered: str, asked: str) -> bool:
    if registered == asked:
        return True
    left, right = _plain(registered), _plain(asked)
    if left is None or right is None or not (_loopback(registered) and _loopback(asked)):
        return False
    return (left.hostname, left.path, left.query) == (right.hostname, right.path, right.query)


def _plain(uri: str) -> SplitResult | None:
    """Split a URI, refusing user names, fragments, odd ports and what no URI may hold."""
    if not uri.isascii() or not uri.isprintable() or set(uri) & _NOT_IN_URIS:
        return None
    try:
        parts = urlsplit(uri)
        _ = parts.port
    except ValueError:
        return None
    return None if "@" in parts.netloc or parts.fragment else parts
