"""From a provider as it is stored to the client that the protocol wants."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from guard.custody import Custody
    from twg.oauth.token import Client
    from twg.vault.credential import Provider


def client_of(provider: Provider, custody: Custody) -> Client:
    """Return the OAuth client that `provider` describes, pinned to the provider's own hosts."""
    from twg.oauth.token import Client  # noqa: PLC0415 - keeps Authlib out of light commands

    return Client(
        client_id=provider.client_id,
        secret=provider.client_secret,
        auth_method=provider.token_auth_method,
        token_endpoint=provider.endpoints.token,
        body=provider.token_body,
        pinned=provider.hosts,
        custody=custody,
    )
