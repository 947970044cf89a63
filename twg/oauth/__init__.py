"""OAuth 2.1 as a native client speaks it, an RFC a file; entered by this door.

Nothing here stores, prints or opens anything: it takes an HTTP client and a custody, and gives back
plain values with every secret in a `guard.Secret`. Names are imported when first used, so that a
renewal does not pay for the sign-in.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from guard.doors import door

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twg.oauth.authorization_code import AuthorizationRequest
    from twg.oauth.device import DeviceAuthorization
    from twg.oauth.loopback import LoopbackListener, redirect_place
    from twg.oauth.metadata import ServerMetadata, discover
    from twg.oauth.pages import Page
    from twg.oauth.registration import RegisteredClient, register
    from twg.oauth.revocation import revoke
    from twg.oauth.token import Client, TokenResponse, refresh

__all__ = [
    "AuthorizationRequest",
    "Client",
    "DeviceAuthorization",
    "LoopbackListener",
    "Page",
    "RegisteredClient",
    "ServerMetadata",
    "TokenResponse",
    "discover",
    "redirect_place",
    "refresh",
    "register",
    "revoke",
]

_HOMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "AuthorizationRequest": "authorization_code",
        "Client": "token",
        "DeviceAuthorization": "device",
        "LoopbackListener": "loopback",
        "Page": "pages",
        "RegisteredClient": "registration",
        "ServerMetadata": "metadata",
        "TokenResponse": "token",
        "discover": "metadata",
        "redirect_place": "loopback",
        "refresh": "token",
        "register": "registration",
        "revoke": "revocation",
    }
)

if not TYPE_CHECKING:  # a type checker goes by the imports above, and finds misspelt names
    __getattr__, __dir__ = door(__name__, __all__, _HOMES)
