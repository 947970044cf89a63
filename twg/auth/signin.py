"""Signing in: a person consents at the provider; what they get is sealed before anyone uses it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import urlsplit

import anyio

from twg import events
from twg.auth.ages import Ages, this_uptime
from twg.auth.consent import Consent
from twg.auth.method import Method
from twg.auth.signout import revoke
from twg.auth.tasks import unbroken
from twg.errors import ConfigError, TwgError
from twg.vault import Credential, Tokens

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from guard.custody import Custody
    from guard.secret import Secret
    from twg.auth.method import Choice
    from twg.http import Http
    from twg.oauth import TokenResponse
    from twg.vault import Account, CredentialStore, Provider, Site

IDLE_DAYS: Final = 30.0
"""Days without use after which a refresh token is taken to lapse, where nobody knows better."""

_REVOCATION_SECONDS: Final = 10.0


class Narrator(Protocol):
    """Tells the person what happens, on their terminal."""

    def say(self, line: str) -> None:
        """Show one line."""

    def show_address(self, url: str) -> None:
        """Show a URL to open, ready to copy."""

    def show_code(self, uri: str, complete: str | None, code: str) -> None:
        """Show the verification URL and the user code of a device sign-in."""

    def waiting(self, what: str, seconds: float) -> AbstractAsyncContextManager[None]:
        """Show, while the context lasts, what is awaited and how long is left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who signed in, and where they may go.

    Attributes:
        account: The person; None where the provider does not say.
        sites: The sites consented to; may be empty.
    """

    account: Account | None
    sites: tuple[Site, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """The ways to reach the person and their surroundings, passed in by the command.

    Attributes:
        narrator: Tells.
        paste: Asks for the redirected URL in the hidden prompt; None where there is no prompt.
        environ: The environment a browser is started in.
    """

    narrator: Narrator
    paste: Callable[[], Awaitable[Secret]] | None
    environ: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A finished sign-in.

    Attributes:
        credential: As it was saved.
        still_alive: Why the tokens it replaced could not be revoked, or None.
    """

    credential: Credential
    still_alive: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Order:
    """What a sign-in is to come to."""

    provider: Provider
    profile: str
    site: str | None
    idle_days: float | None


class SignIn:
    """Signs persons in.

    Args:
        store: Where the credential is sealed.
        http: What requests go through.
        custody: Takes in the tokens.
        people: The person and their surroundings.
        identify: Asks the product who this is and which sites they chose.
        wait_seconds: How long the person may take.
        clock: The wall clock, in Unix seconds.
    """

    def __init__(
        self,
        *,
        store: CredentialStore,
        http: Http,
        custody: Custody,
        people: People,
        identify: Callable[[Http, Provider, Secret], Awaitable[Identity]],
        wait_seconds: float = 300.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._http = http
        self._custody = custody
        self._people = people
        self._identify = identify
        self._wait_seconds = wait_seconds
        self._clock = clock

    async def run(
        self,
        provider: Provider,
        choice: Choice,
        *,
        profile: str,
        site: str | None = None,
        idle_days: float | None = IDLE_DAYS,
        without_device: Callable[[Choice], Choice],
    ) -> Outcome:
        """Sign a person in and seal what they get.

        Args:
            provider: Where to sign in.
            choice: Which way.
            profile: The name to keep it under; what stood there is replaced and revoked.
            site: The host of the default site; None for the first one consented to.
            idle_days: Days without use after which the refresh token lapses; None for never.
            without_device: Chooses again when the provider refuses the device grant.

        Raises:
            StoreUnwritable: Nothing could be kept; nothing was asked of the person.
            SignInRefused: The person or the provider declined, or nobody answered in time.
            GrantRefused: The provider refuses our client.
            ProtocolError: The provider broke the protocol.
            NetworkError: The provider could not be reached.
            ConfigError: The redirect URI cannot be used, or `site` was not consented to.
            StoreCorrupt: The store cannot be opened.
            Busy: Another process holds the profile for too long.
        """
        await self._store.prove_replaceable()
        order = _Order(provider=provider, profile=profile, site=site, idle_days=idle_days)
        credential, previous = await self._sealed(order, choice, without_device)
        still_alive = None if previous is None else await self._ended(previous)
        return Outcome(credential=credential, still_alive=still_alive)

    async def _sealed(
        self, order: _Order, choice: Choice, without_device: Callable[[Choice], Choice]
    ) -> tuple[Credential, Credential | None]:
        """Return the new credential, saved, and the one that it replaced."""
        consent = Consent(
            order.provider,
            http=self._http,
            custody=self._custody,
            people=self._people,
            wait_seconds=self._wait_seconds,
        )
        if choice.method is Method.DEVICE:
            answer = await consent.by_device(choice)
            if answer is not None:
                return await self._seal(order, answer, _tell_nobody)
            choice = without_device(choice)
        async with consent.by_code(choice) as (answer, tell):
            credential, previous = await self._seal(order, answer, tell)
        return credential, previous

    async def _seal(
        self,
        order: _Order,
        answer: TokenResponse,
        tell: Callable[[Account | None], Awaitable[None]],
    ) -> tuple[Credential, Credential | None]:
        credential = self._issued(order, answer)
        saved: list[Credential] = []
        try:
            identity = await self._identify(self._http, order.provider, answer.access)
            credential = credential.with_identity(
                account=identity.account,
                sites=identity.sites,
                site=_default_site(identity.sites, order.site),
            )
            async with self._store.lease(order.profile):
                previous = await self._store.read(order.profile)
                await unbroken(partial(self._save_and_tell, credential, saved, tell))
        except BaseException:
            if not saved:
                # Tokens that nobody keeps are ended, rather than lost sight of.
                self._note(events.token_issued, credential)
                await self._ended(credential)
            raise
        return saved[0], previous

    async def _save_and_tell(
        self,
        credential: Credential,
        saved: list[Credential],
        tell: Callable[[Account | None], Awaitable[None]],
    ) -> None:
        saved.append(await self._store.save(credential, expected=None))
        self._note(events.token_issued, credential)
        await tell(credential.account)

    def _issued(self, order: _Order, answer: TokenResponse) -> Credential:
        now = Ages(self._clock, this_uptime()).stamp()
        tokens = Tokens(
            access=answer.access,
            refresh=answer.refresh,
            token_type=answer.token_type,
            scopes=answer.scopes or order.provider.scopes,
            issued_at=now.wall,
            expires_in=answer.expires_in,
            boot_id=now.boot_id,
            issued_boottime=now.boottime,
        )
        return Credential(
            profile=order.profile,
            provider=order.provider,
            tokens=tokens,
            signed_in_at=now.wall,
            refreshed_at=now.wall,
            idle_days=order.idle_days,
        )

    async def _ended(self, credential: Credential) -> str | None:
        """Revoke tokens that are kept no longer; return why that did not work, or None.

        It gives up soon: a person waits, or has pressed Ctrl-C.
        """
        why_not: str | None = "the provider did not answer in time"
        with anyio.move_on_after(_REVOCATION_SECONDS, shield=True):
            try:
                why_not = await revoke(self._http, credential, self._custody)
            except TwgError as error:
                why_not = str(error)
        self._note(events.token_revoked, credential, why_not)
        return why_not

    def _note(
        self, event: Callable[..., None], credential: Credential, why_not: str | None = None
    ) -> None:
        if self._custody.audit is None:
            return
        with self._custody.afterwards():  # it has happened, whether or not it can be recorded
            event(
                self._custody.audit,
                secret=credential.tokens.refresh or credential.tokens.access,
                reason=why_not,
                host=urlsplit(credential.provider.issuer).netloc,
                profile=credential.profile,
            )


async def _tell_nobody(account: Account | None) -> None:
    del account


def _default_site(sites: Sequence[Site], wanted: str | None) -> str | None:
    hosts = [known.host for known in sites]
    if wanted is None:
        return hosts[0] if hosts else None
    if wanted.lower() not in hosts:
        raise ConfigError(
            f"the site {wanted} was not consented to (but: {', '.join(hosts) or 'none'})",
            "Run the command again and choose that site on the consent page, or leave out --site.",
        )
    return wanted.lower()
