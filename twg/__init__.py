"""Sign-in to Atlassian for people and their AI agents, as a library and a command.

For a program that goes by a sign-in which a person made with `twg login`: `TokenManager` hands out
usable access tokens from a `SealedStore`, and `BearerAuth` puts them on the requests of any
`httpx.AsyncClient`. What `__all__` has, and what docs/library.md uses, is promised; all else may
change from one version to the next. Nothing is imported before it is asked for.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from guard.doors import door

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twg.auth import BearerAuth, TokenManager
    from twg.errors import (
        AuthError,
        AuthExpired,
        AuthRequired,
        AuthRevoked,
        Busy,
        Code,
        ConfigError,
        NetworkError,
        ProtocolError,
        StoreError,
        TwgError,
    )
    from twg.http import Http
    from twg.vault import Credential, CredentialStore, KeyKeeper, MemoryStore, SealedStore

__all__ = [
    "AuthError",
    "AuthExpired",
    "AuthRequired",
    "AuthRevoked",
    "BearerAuth",
    "Busy",
    "Code",
    "ConfigError",
    "Credential",
    "CredentialStore",
    "Http",
    "KeyKeeper",
    "MemoryStore",
    "NetworkError",
    "ProtocolError",
    "SealedStore",
    "StoreError",
    "TokenManager",
    "TwgError",
    "__version__",
]

__version__ = "0.1.0"

_HOMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "BearerAuth": "auth",
        "Credential": "vault",
        "CredentialStore": "vault",
        "Http": "http",
        "KeyKeeper": "vault",
        "MemoryStore": "vault",
        "SealedStore": "vault",
        "TokenManager": "auth",
    }
)

if not TYPE_CHECKING:  # a type checker goes by the imports above, and finds misspelt names
    __getattr__, __dir__ = door(__name__, __all__, _HOMES, rest="errors")
