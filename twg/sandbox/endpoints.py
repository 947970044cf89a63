"""The authorization server's other endpoints: device, revocation, registration and metadata."""

from __future__ import annotations

import secrets
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from authlib.consts import default_json_headers
from authlib.oauth2.rfc6749 import InvalidClientError
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7591 import ClientRegistrationEndpoint
from authlib.oauth2.rfc7591.errors import InvalidClientMetadataError, InvalidRedirectURIError
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from authlib.oauth2.rfc8628 import DeviceAuthorizationEndpoint

from twg.sandbox import scopes
from twg.sandbox.authorization import DEVICE_INTERVAL_SECONDS, Server
from twg.sandbox.clients import (
    AUTH_METHODS,
    DEVICE_GRANT,
    GRANT_TYPES,
    find_client,
    is_acceptable_redirect,
)
from twg.sandbox.people import PEOPLE

if TYPE_CHECKING:
    from twg.sandbox.authorization import Wire
    from twg.sandbox.clients import Client
    from twg.sandbox.context import Sandbox
    from twg.sandbox.storage import Token

DEVICE_SECONDS: Final = 600


def build_server(sandbox: Sandbox) -> Server:
    """Return the authorization server with all its endpoints."""
    server = Server(sandbox)
    server.register_endpoint(_DeviceEndpoint(server))
    server.register_endpoint(_Revocation(server))
    server.register_endpoint(_Registration(server))
    return server


def metadata(issuer: str) -> dict[str, Any]:
    """Return the authorization server metadata (RFC 8414 section 2), checked by Authlib's rules."""
    document = {
        "issuer": issuer,
        "authorization_endpoint": f"{issuer}/authorize",
        "token_endpoint": f"{issuer}/oauth/token",
        "device_authorization_endpoint": f"{issuer}/oauth/device/code",
        "revocation_endpoint": f"{issuer}/oauth/revoke",
        "registration_endpoint": f"{issuer}/oidc/register",
        "userinfo_endpoint": f"{issuer}/userinfo",
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": list(GRANT_TYPES),
        "scopes_supported": list(scopes.OAUTH),
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": list(AUTH_METHODS),
        "revocation_endpoint_auth_methods_supported": list(AUTH_METHODS),
        "authorization_response_iss_parameter_supported": True,
        "service_documentation": f"{issuer}/",
        "sandbox": True,
    }
    return dict(AuthorizationServerMetadata(document))


class _DeviceEndpoint(DeviceAuthorizationEndpoint):  # type: ignore[misc]  # Authlib ships no types
    CLIENT_AUTH_METHODS = AUTH_METHODS
    EXPIRES_IN = DEVICE_SECONDS
    INTERVAL = DEVICE_INTERVAL_SECONDS

    def authenticate_client(self, request: Any) -> Client:
        client: Client = super().authenticate_client(request)
        if not client.check_grant_type(DEVICE_GRANT):
            raise InvalidClientError("grant_type is not enabled for client")
        return client

    def get_verification_uri(self) -> str:
        return f"{self.server.sandbox.issuer}/oauth/activate"

    def save_device_credential(
        self, client_id: str, scope: str | None, data: dict[str, Any]
    ) -> None:
        sandbox: Sandbox = self.server.sandbox
        client = find_client(sandbox.storage, client_id)
        allowed = client.get_allowed_scope(scope) if client else ""
        user_code, device_code = data["user_code"], data["device_code"]
        sandbox.storage.add_device(device_code, user_code, client_id, allowed, DEVICE_SECONDS)
        sandbox.observations.issued("device_code", device_code, "")
        if sandbox.options.auto_approve:
            alice = PEOPLE["alice"]
            sites = (alice.sites[0].cloud_id,)
            grant_id = sandbox.storage.add_grant(client_id, alice.username, sites, allowed)
            sandbox.storage.decide_device(user_code, "accept", grant_id)


class _RevocableToken:
    def __init__(self, token: Token) -> None:
        self.token = token

    def check_client(self, client: Client) -> bool:
        return self.token.client_id == client.client_id


class _Revocation(RevocationEndpoint):  # type: ignore[misc]  # Authlib ships no types
    CLIENT_AUTH_METHODS = AUTH_METHODS

    def query_token(self, token_string: str, token_type_hint: str | None) -> _RevocableToken | None:
        del token_type_hint  # RFC 7009 section 2.1: a wrong hint must not hide the token
        token = self.server.sandbox.storage.token(token_string)
        return _RevocableToken(token) if token else None

    def revoke_token(self, token: _RevocableToken, request: Any) -> None:
        del request
        self.server.sandbox.storage.revoke_token(token.token)
        self.server.sandbox.observations.revoked()


class _Registration(ClientRegistrationEndpoint):  # type: ignore[misc]  # Authlib ships no types
    def create_endpoint_request(self, request: Wire) -> _RegistrationRequest:
        return _RegistrationRequest(request)

    def authenticate_token(self, request: _RegistrationRequest) -> bool:
        del request  # registration is open, as at Atlassian's MCP servers
        return True

    def get_server_metadata(self) -> dict[str, Any]:
        return metadata(self.server.sandbox.issuer)

    def extract_client_metadata(self, request: _RegistrationRequest) -> dict[str, Any]:
        try:
            found: dict[str, Any] = super().extract_client_metadata(request)
        except (TypeError, AttributeError) as error:
            # Authlib trusts the members' types.
            raise InvalidClientMetadataError("a member has the wrong type") from error
        uris = found.get("redirect_uris") or []
        if not isinstance(uris, list) or not all(
            isinstance(uri, str) and is_acceptable_redirect(uri) for uri in uris
        ):
            raise InvalidRedirectURIError("redirect_uris must be https, or http on loopback")
        grant_types = found.setdefault("grant_types", ["authorization_code"])
        if "authorization_code" in grant_types and not uris:
            raise InvalidRedirectURIError("redirect_uris is required")
        found.setdefault("response_types", ["code"] if uris else [])
        return found

    def generate_client_info(self, request: _RegistrationRequest) -> dict[str, Any]:
        info: dict[str, Any] = {
            "client_id": secrets.token_urlsafe(18),
            "client_id_issued_at": int(time.time()),
        }
        method = request.payload.data.get("token_endpoint_auth_method", "client_secret_basic")
        if method != "none":
            info["client_secret"] = secrets.token_urlsafe(36)
            info["client_secret_expires_at"] = 0
        return info

    def save_client(
        self, client_info: dict[str, Any], client_metadata: dict[str, Any], request: Any
    ) -> str:
        del request
        sandbox: Sandbox = self.server.sandbox
        client_id: str = client_info["client_id"]
        secret: str | None = client_info.get("client_secret")
        sandbox.storage.add_client(client_id, secret, client_metadata)
        if secret:
            sandbox.observations.issued("client_secret", secret, "")
        return client_id


class _RegistrationRequest:
    """The JSON request of RFC 7591 section 3.1 as Authlib's endpoint reads it."""

    class _Payload:
        def __init__(self, data: dict[str, Any]) -> None:
            self.data = data

    def __init__(self, wire: Wire) -> None:
        self.headers = wire.headers
        self.payload = self._Payload(wire.document)
        self.credential: Any = None


def refused(error: str, description: str, status: int = HTTPStatus.BAD_REQUEST) -> tuple[int, Any]:
    """Return an OAuth error as `(status, JSON)` (RFC 6749 section 5.2)."""
    return status, {"error": error, "error_description": description}


JSON_HEADERS: Final = dict(default_json_headers)
