"""Who signed in and where they may go, asked of the product right after a sign-in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twg.auth.signin import Identity
from twg.products import atlassian

if TYPE_CHECKING:
    from guard.secret import Secret
    from twg.http import Http
    from twg.vault import Provider


async def identify(http: Http, provider: Provider, access: Secret) -> Identity:
    """Ask who `access` stands for and which sites they consented to.

    Raises:
        ProtocolError: The token that was just issued is not accepted.
        NetworkError: The provider could not be reached.
    """
    account = await atlassian.account_of(http, provider, access)
    return Identity(account=account, sites=await atlassian.sites_of(http, provider, access))
