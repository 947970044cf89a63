"""What a scripted server says of itself, to be added as a provider."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.oauth.servers import Server

WELL_KNOWN = "/.well-known/oauth-authorization-server"


def metadata(server: Server, **changes: Any) -> dict[str, Any]:
    """Return the server's metadata (RFC 8414)."""
    return {
        "issuer": server.url,
        "authorization_endpoint": f"{server.url}/authorize",
        "token_endpoint": f"{server.url}/token",
        "registration_endpoint": f"{server.url}/register",
        "code_challenge_methods_supported": ["S256"],
        "response_types_supported": ["code"],
    } | changes
