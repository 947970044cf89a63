"""`Renewer`: one renewal, under the credential's lease, from reading it to saving its successor.

A refresh token may work only once. So the store is proven replaceable and a mark is saved before it
is sent, and nothing cancels from send to save. The mark tells the next one of a renewal that was
cut short (the process killed, the answer lost): the token may be spent. It is tried again all the
same, and only the provider's refusal makes an end of it.
"""

from __future__ import annotations

import contextlib
import math
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import anyio

from guard.errors import GuardError
from twg import events
from twg.auth.safekeeping import Successor, same
from twg.auth.tasks import End, first_of
from twg.errors import (
    AuthExpired,
    AuthRequired,
    AuthRevoked,
    Busy,
    GrantRefused,
    NetworkError,
    StoreConflict,
    TwgError,
)
from twg.vault import Tokens

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

    from guard.custody import Custody
    from guard.secret import Secret
    from twg.auth.ages import Ages, Stamp
    from twg.auth.hosts import Host, Hosts
    from twg.auth.safekeeping import Safekeeping
    from twg.errors import AuthError
    from twg.http import Http
    from twg.oauth import TokenResponse
    from twg.vault import Credential, CredentialStore

_LOOK: Final = 0.05
"""How often who waits for the lease looks whether another renewal is saved, in seconds."""


class Renewer:
    """Renews the credentials of one store.

    Args:
        store: Where credentials are.
        keeping: Saves what arrives.
        http: What requests go through.
        custody: Takes in the tokens that arrive.
        ages: Tells which are due.
        hosts: What is known of those who are asked.
    """

    def __init__(
        self,
        *,
        store: CredentialStore,
        keeping: Safekeeping,
        http: Http,
        custody: Custody,
        ages: Ages,
        hosts: Hosts,
    ) -> None:
        self._store = store
        self._keeping = keeping
        self._http = http
        self._custody = custody
        self._ages = ages
        self._hosts = hosts
        self._sending: dict[str, str] = {}
        self._turns: defaultdict[str, anyio.Lock] = defaultdict(_turn)

    @property
    def sending(self) -> Mapping[str, str]:
        """By profile, the hosts whose answers are awaited or being saved now."""
        return dict(self._sending)

    async def renew(
        self,
        profile: str,
        *,
        seen: Credential | None = None,
        force: bool = False,
        patience: float = math.inf,
    ) -> Credential:
        """Renew the credential if it is due, or always with `force`; return the newest.

        A cancel scope ends it before the refresh token is sent or after the answer is saved, not in
        between. asyncio's own cancellation does at any time, so call it in a task of your own.

        Args:
            profile: The profile.
            seen: What the caller found wanting; once the store has another access token, that is
                returned.
            force: Renew a fresh one too.
            patience: Seconds to wait for another renewal of this credential.

        Raises:
            AuthRequired: Nobody is signed in on it.
            AuthExpired: The sign-in lapsed, or there is nothing to renew it with.
            AuthRevoked: The provider ended it.
            GrantRefused: The provider refused for another reason, such as a wrong client secret.
            NetworkError: The provider could not be reached.
            ProtocolError: Its answer cannot be used.
            StoreUnwritable: The store cannot keep new tokens; nothing was sent.
            StoreCorrupt: The store cannot be opened.
            Busy: Another process holds the credential for too long.
        """
        renew = partial(self._renew, profile, seen=seen, force=force, patience=patience)
        if seen is None:
            return await renew()
        # Of many that wait for another's renewal, none needs the lease once that one is saved.
        return await first_of(renew, partial(self._saved_by_another, seen))

    async def _renew(
        self, profile: str, *, seen: Credential | None, force: bool, patience: float
    ) -> Credential:
        async with self._lease(profile, patience):
            credential = await self._keeping.read(profile)
            if seen is not None and not same(credential.tokens.access, seen.tokens.access):
                return credential
            ages = self._ages
            if not (force or ages.is_due(credential) or ages.is_expired(credential)):
                return credential
            _check_renewable(credential)
            try:
                # By force without having seen anything: a person's wish, not a caller's need.
                return await self._send(credential, insist=force and seen is None)
            except (TwgError, GuardError) as error:
                self._note(events.token_refresh_failed, credential, str(error))
                raise

    async def _saved_by_another(self, seen: Credential) -> Credential:
        """Return the credential once the store has another access token than the one seen."""
        while True:
            await anyio.sleep(_LOOK)
            with contextlib.suppress(TwgError, GuardError):  # who gets the lease tells of that
                found = self._store.peek(seen.profile) or await self._store.read(seen.profile)
                # As long as tokens are kept in memory, the store has older ones.
                if found is None or self._keeping.why_kept(seen.profile) is not None:
                    continue
                if not same(found.tokens.access, seen.tokens.access):
                    return found

    @contextlib.asynccontextmanager
    async def _lease(self, profile: str, patience: float) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            with anyio.move_on_after(patience) as wait:
                # Tasks of ours first, for they share a lease that is kept.
                await stack.enter_async_context(self._turns[profile])
                lease = self._keeping.lease_of(profile) or await self._leased(profile)
            if wait.cancelled_caught:
                raise Busy(f"the profile {profile!r}", None, patience)
            try:
                yield
            finally:
                await self._keeping.take_back(profile, lease)

    async def _leased(self, profile: str) -> contextlib.AsyncExitStack:
        lease = contextlib.AsyncExitStack()
        await lease.enter_async_context(self._store.lease(profile))
        return lease

    async def _send(self, credential: Credential, *, insist: bool) -> Credential:
        host = self._hosts.at(credential.provider.endpoints.token)
        doubtful = credential.used_at is not None
        async with contextlib.AsyncExitStack() as place:
            await place.enter_async_context(host.place(insist=insist))
            await self._store.prove_replaceable()
            credential = await self._marked(credential)
            exchange = partial(self._exchange, host, place, credential, doubtful=doubtful)
            first = await End.of(exchange)
        if not isinstance(first.error, NetworkError):
            return first.result()
        doubtful = doubtful or first.error.sent
        if not host.is_soon_rested:
            return await self._ended(credential, first, doubtful=doubtful)
        # The answer may have been lost after the server had rotated: the same token, once more.
        async with contextlib.AsyncExitStack() as place:
            await place.enter_async_context(host.place())
            await self._store.prove_replaceable()  # the disk may have filled meanwhile
            exchange = partial(self._exchange, host, place, credential, doubtful=doubtful)
            second = await End.of(exchange)
        return await self._ended(credential, second, doubtful=doubtful)

    async def _ended(
        self, credential: Credential, end: End[Credential], *, doubtful: bool
    ) -> Credential:
        """Return what came of it, the mark taken away where the token was never sent."""
        if isinstance(end.error, NetworkError) and not (doubtful or end.error.sent):
            with contextlib.suppress(TwgError, GuardError):  # a mark too many is no harm
                unmarked = replace(credential, used_at=None)
                await self._store.save(unmarked, expected=credential.generation)
        return end.result()

    async def _marked(self, credential: Credential) -> Credential:
        """Save, unless it is known already, that the refresh token is about to be sent."""
        while credential.used_at is None:
            marked = replace(credential, used_at=self._ages.stamp().wall)
            try:
                return await self._store.save(marked, expected=credential.generation)
            except StoreConflict:
                credential = await self._keeping.read(credential.profile)
                _check_renewable(credential)
        return credential

    async def _exchange(
        self,
        host: Host,
        place: contextlib.AsyncExitStack,
        credential: Credential,
        *,
        doubtful: bool,
    ) -> Credential:
        spent = _refresh_token(credential)
        with anyio.CancelScope(shield=True), self._noted_as_sending(credential):
            # A token's life begins between the request and the answer: the earlier is the safe one.
            asked_at = self._ages.stamp()
            try:
                with host.asked():
                    answer = await self._ask(credential, spent)
            except GrantRefused as error:
                newest = await self._after_refusal(credential, error, doubtful=doubtful)
            else:
                await place.aclose()  # the next one may be on its way while this one is saved
                successor = Successor(spent=spent, tokens=_tokens(credential, answer, asked_at))
                newest = await self._keeping.save(successor, credential)
                self._ages.issued(answer.access, newest.profile, asked_at)
                unsaved = self._keeping.why_kept(credential.profile)
                self._note(events.token_refreshed, newest, str(unsaved or ""))
        return newest

    @contextlib.contextmanager
    def _noted_as_sending(self, credential: Credential) -> Iterator[None]:
        self._sending[credential.profile] = urlsplit(credential.provider.endpoints.token).netloc
        try:
            yield
        finally:
            del self._sending[credential.profile]

    async def _ask(self, credential: Credential, refresh: Secret) -> TokenResponse:
        from twg.auth.clients import client_of  # noqa: PLC0415 - only a renewal needs the protocol
        from twg.oauth import token  # noqa: PLC0415 - likewise

        provider = credential.provider
        client = client_of(provider, self._custody)
        return await token.refresh(self._http, client, refresh, resource=provider.resource)

    async def _after_refusal(
        self, credential: Credential, error: GrantRefused, *, doubtful: bool
    ) -> Credential:
        """Remember that the refresh token is dead, unless another process has replaced it."""
        if error.error != "invalid_grant":
            # Not a word about the token: a wrong client secret (`invalid_client`, or
            # `access_denied` at Atlassian) is a setting, and nobody signs in again for it.
            raise error
        found = await self._store.read(credential.profile)
        if found is None:
            raise AuthRequired.nobody(credential.profile) from error
        if not same(found.tokens.refresh, credential.tokens.refresh):
            return found
        refused = self._refused(found, error, doubtful=doubtful)
        with contextlib.suppress(TwgError, GuardError):  # else the next one is told by the provider
            await self._store.save(refused, expected=found.generation)
        refusal = _refusal(refused)
        if isinstance(refusal, AuthExpired):
            self._note(events.session_expired, refused, str(refusal))
        raise refusal from error

    def _refused(
        self, credential: Credential, error: GrantRefused, *, doubtful: bool
    ) -> Credential:
        lapses_at = credential.lapses_at
        if lapses_at is not None and self._ages.stamp().wall >= lapses_at:
            return credential.as_refused(
                f"the sign-in lapsed after {credential.idle_days:.0f} days without use"
            )
        if doubtful and credential.used_at is not None:
            return credential.as_refused(
                f"a renewal was cut off at {_local(credential.used_at)}: its answer never arrived, "
                f"and {error.host} had already rotated the token"
            )
        why = f"{error.host} no longer accepts this sign-in"
        words = error.description or error.error
        return replace(credential.as_refused(f"{why} ({words})"), used_at=None)

    def _note(self, event: Callable[..., None], credential: Credential, reason: str) -> None:
        if self._custody.audit is None:
            return
        # It has happened by now, whether or not it can be recorded.
        with self._custody.afterwards():
            event(
                self._custody.audit,
                secret=credential.tokens.refresh or credential.tokens.access,
                reason=reason or None,
                host=urlsplit(credential.provider.issuer).netloc,
                profile=credential.profile,
            )


def _turn() -> anyio.Lock:
    # A renewal waits often enough: where its turn has come, it need not let others go first.
    return anyio.Lock(fast_acquire=True)


def _check_renewable(credential: Credential) -> None:
    if credential.refused is not None:
        raise _refusal(credential)
    _refresh_token(credential)


def _refresh_token(credential: Credential) -> Secret:
    if credential.tokens.refresh is None:
        raise AuthExpired(
            credential.profile, "the provider gave no refresh token to renew this sign-in with"
        )
    return credential.tokens.refresh


def _refusal(credential: Credential) -> AuthError:
    """Return the error for a credential that was refused; the mark tells which, for good."""
    kind = AuthRevoked if credential.used_at is None else AuthExpired
    return kind(credential.profile, credential.refused or "")


def _tokens(credential: Credential, answer: TokenResponse, asked_at: Stamp) -> Tokens:
    return Tokens(
        access=answer.access,
        refresh=answer.refresh or credential.tokens.refresh,
        token_type=answer.token_type,
        scopes=answer.scopes or credential.tokens.scopes,
        issued_at=asked_at.wall,
        expires_in=answer.expires_in,
        boot_id=asked_at.boot_id,
        issued_boottime=asked_at.boottime,
    )


def _local(when: float) -> str:
    """Return a Unix time as the person's clock shows it, such as ``09:30 on 2026-12-25``."""
    return datetime.fromtimestamp(when, tz=UTC).astimezone().strftime("%H:%M on %Y-%m-%d")
