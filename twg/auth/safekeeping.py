"""New tokens on their way into the store, and what becomes of them when it does not take them."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import anyio

from guard.errors import GuardError
from twg.errors import AuthRequired, StoreConflict, StoreUnwritable, TwgError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AsyncExitStack

    from guard.secret import Secret
    from twg.vault import Credential, CredentialStore, Tokens

_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Successor:
    """Tokens that came for a refresh token, which may be spent now.

    Attributes:
        spent: That refresh token.
        tokens: What came for it.
    """

    spent: Secret
    tokens: Tokens

    def follows(self, credential: Credential) -> bool:
        """Tell whether `credential` still has the refresh token that these came for."""
        return same(credential.tokens.refresh, self.spent)

    def applied_to(self, credential: Credential) -> Credential:
        """Return `credential` with these tokens; all else stays, such as another default site."""
        return replace(
            credential,
            tokens=self.tokens,
            refreshed_at=self.tokens.issued_at,
            refused=None,
            used_at=None,
        )


class Safekeeping:
    """Saves successors, or keeps them in memory until the store takes them.

    As long as it keeps any, it keeps the credential's lease too: the store has the predecessor,
    which is spent, and no other process is to send that.

    Args:
        store: Where they belong.
        warn: Tells the person one line.
    """

    def __init__(self, store: CredentialStore, warn: Callable[[str], None]) -> None:
        self._store = store
        self._warn = warn
        self._kept: dict[str, tuple[Successor, StoreUnwritable]] = {}
        self._leases: dict[str, AsyncExitStack] = {}

    def peek(self, profile: str) -> Credential | None:
        """Return the newest credential if it is at hand; None if it must be read."""
        return None if profile in self._kept else self._store.peek(profile)

    async def read(self, profile: str) -> Credential:
        """Return the profile's credential, with the tokens kept for it, if any.

        Those are tried to save again.

        Raises:
            AuthRequired: Nobody is signed in on it.
            StoreCorrupt: The store cannot be opened.
        """
        credential = await self._store.read(profile)
        if credential is None:
            await self._forget(profile)
            raise AuthRequired.nobody(profile)
        if profile not in self._kept:
            return credential
        return await self.save(self._kept[profile][0], credential)

    async def save(self, successor: Successor, credential: Credential) -> Credential:
        """Save the successor of `credential`'s tokens, or keep it in memory; return the newest.

        Raises:
            AuthRequired: The person has signed out meanwhile.
        """
        profile = credential.profile
        try:
            newest = await self._save(successor, credential)
        except AuthRequired:
            await self._forget(profile)
            raise
        except (TwgError, GuardError) as error:
            if profile not in self._kept:
                self._warn(f"the new tokens of {profile!r} could not be saved yet: {error}")
            self._kept[profile] = successor, _unwritable(error)
            return successor.applied_to(credential)
        await self._forget(profile)
        return newest

    def why_kept(self, profile: str) -> StoreUnwritable | None:
        """Return why the profile's newest tokens are in memory alone; None if they are not."""
        return self._kept[profile][1] if profile in self._kept else None

    @property
    def keeps_any(self) -> bool:
        """Whether there are tokens in memory alone."""
        return bool(self._kept)

    def lease_of(self, profile: str) -> AsyncExitStack | None:
        """Hand over the lease that is kept for the profile, if there is one."""
        return self._leases.pop(profile, None)

    async def take_back(self, profile: str, lease: AsyncExitStack) -> None:
        """Keep the lease if there are tokens of the profile in memory alone, else let go of it."""
        if profile in self._kept:
            self._leases[profile] = lease
        else:
            await lease.aclose()

    async def keep_trying(self) -> None:
        """Try to save what is kept until nothing is, ever more seldom."""
        pause = _FIRST_PAUSE
        while self._kept:
            await anyio.sleep(pause)
            for profile in tuple(self._kept):
                with contextlib.suppress(TwgError, GuardError):  # whoever asks for it is told
                    await self.read(profile)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def finish(self) -> None:
        """Try a last time to save what is kept, and tell of what is lost now."""
        for profile in tuple(self._kept):
            with contextlib.suppress(TwgError, GuardError):
                await self.read(profile)
            if (why := self.why_kept(profile)) is not None:
                self._warn(
                    f"the new tokens of {profile!r} were lost: {why}. "
                    "If twg then asks for it, sign in again"
                )
                await self._forget(profile)

    async def _forget(self, profile: str) -> None:
        self._kept.pop(profile, None)
        if (lease := self.lease_of(profile)) is not None:
            await lease.aclose()

    async def _save(self, successor: Successor, credential: Credential) -> Credential:
        while successor.follows(credential):
            renewed = successor.applied_to(credential)
            try:
                return await self._store.save(renewed, expected=credential.generation)
            except StoreConflict:
                # Who changes anything else of the credential, such as its default site, needs no
                # lease for it: theirs stays, and so do the new tokens.
                found = await self._store.read(credential.profile)
                if found is None:
                    raise AuthRequired.nobody(credential.profile) from None
                credential = found
        return credential


def same(one: Secret | None, other: Secret | None) -> bool:
    """Tell whether both are there and hold the same value."""
    return one is not None and other is not None and one.same_as(other)


def _unwritable(error: TwgError | GuardError) -> StoreUnwritable:
    remedy = error.remediation if isinstance(error, TwgError) else error.remedy
    return StoreUnwritable(str(error).rstrip("."), remedy)
