"""The vault: credentials sealed on disk, with their key and their locks; entered by this door.

Plain values (`Credential` and its parts), a `CredentialStore` as the rest of twg sees it, and
`SealedStore`, which keeps them in one file under a key that a `KeyKeeper` keeps; `MemoryStore` has
them in memory only. `AdminStore` keeps organizations' Admin API keys in a file of its own, and
`GrantStore` what agents may do. Names are imported when first used: the locks and the key ring cost
time that a command without them should not pay.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from guard.doors import door

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twg.vault.admin_key import AdminHeader, AdminKey, AdminKeySummary
    from twg.vault.admin_store import AdminStore
    from twg.vault.bitbucket import BitbucketSummary, BitbucketToken
    from twg.vault.condition import Condition
    from twg.vault.credential import (
        Account,
        Credential,
        CredentialSummary,
        Endpoints,
        Provider,
        ProviderSummary,
        Site,
        Tokens,
    )
    from twg.vault.grant import Grant, GrantHeader
    from twg.vault.grant_store import GrantStore
    from twg.vault.header import Header, KeyLocation, KeyPlaceName
    from twg.vault.keys import KeyKeeper, KeyPlace
    from twg.vault.memory import MemoryStore
    from twg.vault.protocol import CredentialStore
    from twg.vault.store import SealedStore

__all__ = [
    "Account",
    "AdminHeader",
    "AdminKey",
    "AdminKeySummary",
    "AdminStore",
    "BitbucketSummary",
    "BitbucketToken",
    "Condition",
    "Credential",
    "CredentialStore",
    "CredentialSummary",
    "Endpoints",
    "Grant",
    "GrantHeader",
    "GrantStore",
    "Header",
    "KeyKeeper",
    "KeyLocation",
    "KeyPlace",
    "KeyPlaceName",
    "MemoryStore",
    "Provider",
    "ProviderSummary",
    "SealedStore",
    "Site",
    "Tokens",
]

_HOMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "AdminHeader": "admin_key",
        "AdminKey": "admin_key",
        "AdminKeySummary": "admin_key",
        "AdminStore": "admin_store",
        "BitbucketSummary": "bitbucket",
        "BitbucketToken": "bitbucket",
        "Condition": "condition",
        "CredentialStore": "protocol",
        "Grant": "grant",
        "GrantHeader": "grant",
        "GrantStore": "grant_store",
        "Header": "header",
        "KeyKeeper": "keys",
        "KeyLocation": "header",
        "KeyPlace": "keys",
        "KeyPlaceName": "header",
        "MemoryStore": "memory",
        "SealedStore": "store",
    }
)

if not TYPE_CHECKING:  # a type checker goes by the imports above, and finds misspelt names
    __getattr__, __dir__ = door(__name__, __all__, _HOMES, rest="credential")
