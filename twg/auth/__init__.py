"""Sign in, renew, sign out: the core that composes protocol and store; entered by this door.

`SignIn` signs a person in, `TokenManager` hands out usable access tokens, `BearerAuth` puts them on
the requests of any `httpx.AsyncClient`, `SignOut` ends a sign-in. Names are imported when first
used, so that a command which stays local pays for none of them. `docs/refresh.md` has an example,
and the argument why nothing is lost.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from guard.doors import door

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twg.auth.bearer import BearerAuth
    from twg.auth.signin import Identity, Narrator, Outcome, People, SignIn
    from twg.auth.signout import SignedOut, SignOut
    from twg.auth.tokens import TokenManager

__all__ = [
    "BearerAuth",
    "Identity",
    "Narrator",
    "Outcome",
    "People",
    "SignIn",
    "SignOut",
    "SignedOut",
    "TokenManager",
]

_HOMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "BearerAuth": "bearer",
        "Identity": "signin",
        "Narrator": "signin",
        "Outcome": "signin",
        "People": "signin",
        "SignIn": "signin",
        "SignOut": "signout",
        "SignedOut": "signout",
        "TokenManager": "tokens",
    }
)

if not TYPE_CHECKING:  # a type checker goes by the imports above, and finds misspelt names
    __getattr__, __dir__ = door(__name__, __all__, _HOMES)
