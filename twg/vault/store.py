"""`SealedStore`: all credentials of one person in one sealed file, safe among many processes."""

from __future__ import annotations

import contextlib
import hashlib
from typing import TYPE_CHECKING

from anyio import to_thread

from guard.errors import GuardError
from twg.errors import AuthRequired, TwgError
from twg.vault.condition import examine
from twg.vault.header import Header
from twg.vault.moving import unsettled
from twg.vault.protocol import check_generation
from twg.vault.sealed_file import SealedFile, at_the_edge

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from guard.custody import Custody
    from twg.vault.bitbucket import BitbucketToken
    from twg.vault.condition import Condition
    from twg.vault.credential import Credential, Provider
    from twg.vault.header import KeyLocation, KeyPlaceName
    from twg.vault.keys import KeyKeeper
    from twg.vault.moving import Moved
    from twg.vault.opened import Opened


class SealedStore:
    """Credentials and providers, sealed in one file. Implements `CredentialStore`.

    Constructing it touches nothing; the file, its directory and its key are made by the first
    save.

    Args:
        path: The file, such as ``…/auth.conf``; its stem names keys and locks.
        state_dir: Where locks, key files and the rollback mark are.
        keys: Keeps the sealing key.
        custody: Takes in secrets that are read; its audit record notes openings and writes.
        lock_seconds: How long to wait for another process.
    """

    def __init__(
        self,
        path: Path,
        *,
        state_dir: Path,
        keys: KeyKeeper,
        custody: Custody,
        lock_seconds: float = 30.0,
    ) -> None:
        self._file = SealedFile(
            path, state_dir=state_dir, keys=keys, custody=custody, lock_seconds=lock_seconds
        )

    async def summaries(self) -> Header:
        """Return the clear header: no key is needed and no secret opened.

        It is believed for display only; it is authenticated whenever the store is opened.

        Raises:
            StoreCorrupt: The file is damaged, or a newer twg wrote it.
            ConfigError: Others have access to the file, or it is not one.
        """
        return await self._file.header(Header)

    def peek(self, profile: str) -> Credential | None:
        """Return the profile's credential as it is known now; None if it must be read.

        It costs one `lstat`. On a network file system that may be seconds behind; `read` is not.

        Raises:
            StoreCorrupt: Its record is not sound.
        """
        opened = self._file.peek()
        return None if opened is None else opened.credential(profile)

    async def read(self, profile: str) -> Credential | None:
        """Return the profile's credential, or None.

        Where this process knows the file as it is, that is seen at once: nothing is opened, and
        nothing recorded.

        Raises:
            StoreCorrupt: The store cannot be opened.
            KeyUnavailable: Not for now, for want of its key.
            ConfigError: Others have access to the file, or it is not one.
        """
        return await self._file.read(lambda opened: opened.credential(profile), None)

    async def read_all(self) -> tuple[Credential, ...]:
        """Return all credentials, sorted by profile.

        Raises:
            As `read`.
        """

        def every(opened: Opened) -> tuple[Credential, ...]:
            found = (opened.credential(profile) for profile in opened.profiles)
            return tuple(credential for credential in found if credential is not None)

        return await self._file.read(every, ())

    async def provider(self, name: str) -> Provider | None:
        """Return the saved provider with its client secret, or None.

        Raises:
            As `read`.
        """
        return await self._file.read(lambda opened: opened.provider(name), None)

    async def providers(self) -> tuple[Provider, ...]:
        """Return all saved providers, sorted by name.

        Raises:
            As `read`.
        """

        def every(opened: Opened) -> tuple[Provider, ...]:
            found = (opened.provider(name) for name in opened.provider_names)
            return tuple(provider for provider in found if provider is not None)

        return await self._file.read(every, ())

    async def save(self, credential: Credential, *, expected: int | None) -> Credential:
        """Save a credential durably if nobody else did meanwhile; see `CredentialStore.save`.

        The first credential of a store becomes the active one.

        Raises:
            StoreConflict: The store has another generation; nothing was saved.
            StoreUnwritable: It cannot be saved now; what was there still is.
            StoreCorrupt: The store cannot be opened; it is kept as it is.
            ConfigError: Others have access to the file, or it is not one.
            Busy: Another process has the store for too long.
        """

        def change(opened: Opened) -> Credential:
            found = opened.generation_of(credential.profile)
            check_generation(credential.profile, found, expected)
            return opened.put(credential)

        return await self._file.change(change)

    async def remove(self, profile: str, *, expected: int | None) -> bool:
        """Remove the profile's credential durably; return False if there is none.

        If it was the active one, a sole one left over becomes active, else none is.

        Raises:
            As `save`.
        """

        def change(opened: Opened) -> bool:
            found = opened.generation_of(profile)
            if not found:
                return False
            check_generation(profile, found, expected)
            opened.drop(profile)
            return True

        return await self._file.exists() and await self._file.change(change)

    async def activate(self, profile: str) -> None:
        """Make `profile` the active one.

        Raises:
            AuthRequired: Nobody is signed in on it.
            And as `save`.
        """

        def change(opened: Opened) -> None:
            if not opened.generation_of(profile):
                raise _nobody(profile)
            opened.activate(profile)

        if not await self._file.exists():
            raise _nobody(profile)
        await self._file.change(change)

    async def save_provider(self, provider: Provider) -> None:
        """Add or replace a saved provider. Credentials keep the one they were issued by.

        Raises:
            As `save`.
        """
        await self._file.change(lambda opened: opened.put_provider(provider))

    async def remove_provider(self, name: str) -> bool:
        """Remove a saved provider; return False if there is none.

        Raises:
            As `save`.
        """

        def change(opened: Opened) -> bool:
            if name not in opened.provider_names:
                return False
            opened.drop_provider(name)
            return True

        return await self._file.exists() and await self._file.change(change)

    async def bitbucket(self, profile: str) -> BitbucketToken | None:
        """Return the profile's Bitbucket token, or None.

        Raises:
            As `read`.
        """
        return await self._file.read(lambda opened: opened.bitbucket(profile), None)

    async def save_bitbucket(self, token: BitbucketToken) -> None:
        """Add or replace a profile's Bitbucket token; its sign-in, if any, stays as it is.

        Raises:
            As `save`.
        """
        await self._file.change(lambda opened: opened.put_bitbucket(token))

    async def remove_bitbucket(self, profile: str) -> BitbucketToken | None:
        """Remove the profile's Bitbucket token and return it; None if there was none.

        Raises:
            As `save`.
        """

        def change(opened: Opened) -> BitbucketToken | None:
            found = opened.bitbucket(profile)
            if found is not None:
                opened.drop_bitbucket(profile)
            return found

        return await self._file.change(change) if await self._file.exists() else None

    def lease(self, profile: str) -> AbstractAsyncContextManager[None]:
        """Hold the profile alone among all tasks, threads and processes; not re-entrant.

        Raises:
            Busy: Another one had it for too long.
            StoreUnwritable, ConfigError: The lock cannot be made.
        """
        return self._lease(profile)

    async def prove_replaceable(self) -> None:
        """Show that a `save` would find room and permission now; nothing is changed.

        Raises:
            StoreUnwritable: It would not.
            ConfigError: Others have access to the file, or it is not one.
        """
        await self._file.prove_replaceable()

    async def key_location(self) -> KeyLocation | None:
        """Return where the sealing key lives; None where there is no store yet.

        Raises:
            As `summaries`.
        """
        return (await self.summaries()).key

    async def move_key(self, place: KeyPlaceName) -> Moved | None:
        """Make a new sealing key in `place`, seal the file anew with it, destroy the old key.

        The new file is opened from the disk with its key read back before the old key goes. Killed
        anywhere, the file opens, and the next call destroys the key that is not in use. Renewals
        that are under way end first: where one runs, from cron perhaps, the new place may be out of
        reach, and it could not save what it was sent.

        Returns:
            What came of it; None if there is no file yet.

        Raises:
            ConfigError: That place cannot keep a key; nothing was changed.
            And as `save`.
        """
        async with contextlib.AsyncExitStack() as leases:
            # In one order, whoever does this: so no two wait for each other.
            for profile in sorted((await self.summaries()).profiles):
                await leases.enter_async_context(self.lease(profile))
            return await self._file.move_key(place)

    async def settle_keys(self) -> tuple[KeyLocation, ...]:
        """Destroy the keys that a move which was cut short left; return those that are left still.

        Raises:
            As `save`.
        """
        return await self._file.settle_keys()

    async def unsettled_keys(self) -> tuple[KeyLocation, ...]:
        """Return the keys that a move is about; there are none unless one was cut short.

        Raises:
            StoreCorrupt, ConfigError: What notes them was changed, or others have access to it.
        """
        return await self._file.unsettled_keys()

    async def set_aside(self) -> Path | None:
        """Put a store that does not open aside, so that a new sign-in can begin afresh.

        Returns:
            Where it is now; None if it opens, or there is none: nothing was done.

        Raises:
            StoreCorrupt: A newer twg wrote it, or its key may come back: it is left alone.
            StoreUnwritable: It cannot be moved.
            Busy: Another process has the store for too long.
        """
        return await self._file.set_aside()

    async def describe(self) -> Condition:
        """Return what `twg doctor` tells of the store; never raises for what it finds."""
        condition = await to_thread.run_sync(examine, self._file.path, self._file.state_dir)
        for check in (self._check_opens, self._check_writable, self._check_settled):
            try:
                await check()
            except TwgError as error:
                problem = f"{str(error).rstrip('.')}. {error.remediation}"
                condition = condition.with_problem(problem)
            except GuardError as error:  # the record of the look cannot be written
                condition = condition.with_problem(f"{error} {error.remedy}")
        with contextlib.suppress(TwgError, GuardError):
            condition = condition.with_header(await self.summaries(), self._file.state_dir)
        return condition

    async def _check_opens(self) -> None:
        await self._file.read(lambda _opened: None, None)

    async def _check_writable(self) -> None:
        if await self._file.exists():
            await self.prove_replaceable()

    async def _check_settled(self) -> None:
        if await self.unsettled_keys():
            raise unsettled(self._file.path)

    @contextlib.asynccontextmanager
    async def _lease(self, profile: str) -> AsyncIterator[None]:
        # A digest, for a profile's name need not do as a file's name.
        digest = hashlib.sha256(profile.encode("utf-8", "surrogatepass")).hexdigest()
        lock = self._file.lock(f"{self._file.path.stem}-{digest[:16]}", f"the profile {profile!r}")
        async with contextlib.AsyncExitStack() as stack:
            with at_the_edge(self._file.path):
                await stack.enter_async_context(lock.held())
            yield


def _nobody(profile: str) -> AuthRequired:
    return AuthRequired(profile, f"nobody is signed in on the profile {profile!r}")
