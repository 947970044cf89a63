"""Signing out: the tokens are ended at the provider first, then removed here."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from twg import events
from twg.auth.clients import client_of
from twg.auth.tasks import unbroken
from twg.errors import GrantRefused, ProtocolError

if TYPE_CHECKING:
    from guard.custody import Custody
    from twg.http import Http
    from twg.vault import Credential, CredentialStore


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedOut:
    """What signing out came to.

    Attributes:
        profile: The profile.
        revoked: The provider has ended the tokens.
        issuer: Where to end them by hand.
        why_not: Where it has not: the reason in words.
        lives_until: Then: when the access token ends by itself, in Unix seconds, if known.
    """

    profile: str
    revoked: bool
    issuer: str
    why_not: str | None = None
    lives_until: float | None = None


class SignOut:
    """Ends sign-ins.

    Args:
        store: Where credentials are.
        http: What requests go through.
        custody: Whose audit record notes it.
    """

    def __init__(self, *, store: CredentialStore, http: Http, custody: Custody) -> None:
        self._store = store
        self._http = http
        self._custody = custody

    async def run(self, profile: str, *, local_only: bool = False) -> SignedOut | None:
        """Revoke the profile's tokens at the provider (RFC 7009), then remove them here.

        Args:
            profile: The profile.
            local_only: Ask the provider nothing.

        Returns:
            What it came to; None if nobody was signed in.

        Raises:
            NetworkError: The provider cannot be reached; the credential is kept.
            StoreError: The store cannot be opened or written; nothing was sent.
            Busy: Another process holds the profile for too long.
        """
        async with self._store.lease(profile):
            credential = await self._store.read(profile)
            if credential is None:
                return None
            await self._store.prove_replaceable()
            if local_only:
                why_not: str | None = "not asked (--local-only)"
            else:
                why_not = await revoke(self._http, credential, self._custody)
            # Whatever generation: under the lease nobody renews it or signs in anew, and what else
            # may have been changed, such as its default site, goes with it.
            await unbroken(partial(self._store.remove, profile, expected=None))
        self._note(credential, why_not)
        return SignedOut(
            profile=profile,
            revoked=why_not is None,
            issuer=credential.provider.issuer,
            why_not=why_not,
            lives_until=credential.expires_at if why_not else None,
        )

    def _note(self, credential: Credential, why_not: str | None) -> None:
        if self._custody.audit is None:
            return
        with self._custody.afterwards():  # they are gone, whether or not that can be recorded
            note = events.token_revoked if why_not is None else events.credential_removed
            note(
                self._custody.audit,
                secret=credential.tokens.refresh or credential.tokens.access,
                reason=why_not,
                host=urlsplit(credential.provider.issuer).netloc,
                profile=credential.profile,
            )


async def revoke(http: Http, credential: Credential, custody: Custody) -> str | None:
    """End the credential's tokens at its provider: the refresh token first, then the access token.

    Returns:
        None when the provider has ended them, else why it has not ended one of them.

    Raises:
        NetworkError: The provider cannot be reached.
    """
    from twg.oauth import revocation  # noqa: PLC0415 - only here is it needed

    endpoint = credential.provider.endpoints.revocation
    if endpoint is None:
        return "the provider has no revocation endpoint"
    client = client_of(credential.provider, custody)
    tokens = {
        "refresh_token": credential.tokens.refresh,
        "access_token": credential.tokens.access,
    }
    why_not = None
    for hint, token in tokens.items():
        if token is None:
            continue
        try:
            await revocation.revoke(http, client, endpoint, token, hint=hint)
        except (GrantRefused, ProtocolError) as error:
            why_not = why_not or str(error)
    return why_not
