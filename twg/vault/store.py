"""`SealedStore`: all credentials of one person in one sealed file, safe among many processes."""

from __future__ import annotations

import contextlib
import hashlib
from typing import TYPE_CHECKING

from anyio import to_thread

from guard.errors import GuardError
from twg.errors import AuthRequired, TwgError
from twg.vault.condition import examine
from twg.vault.file_store import FileStore
from twg.vault.header import Header
from twg.vault.moving import unsettled
from twg.vault.protocol import check_generation
from twg.vault.sealed_file import at_the_edge

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

    from twg.vault.bitbucket import BitbucketToken
    from twg.vault.condition import Condition
    from twg.vault.credential import Credential, Provider
    from twg.vault.header import KeyPlaceName
    from twg.vault.moving import Moved
    from twg.vault.opened import Opened


class SealedStore(FileStore[Header]):
    """Credentials and providers, sealed in one file. Implements `CredentialStore`.

    Constructing it touches nothing; the file, its directory and its key are made by the first
    save.
    """

    _kind = Header

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
                raise AuthRequired.nobody(profile)
            opened.activate(profile)

        if not await self._file.exists():
            raise AuthRequired.nobody(profile)
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

    async def move_key(self, place: KeyPlaceName) -> Moved | None:
        """Move the sealing key as `FileStore.move_key` does; renewals under way end first.

        Where one runs, from cron perhaps, the new place may be out of reach, and it could not save
        what it was sent.

        Returns, Raises:
            As `FileStore.move_key`.
        """
        async with contextlib.AsyncExitStack() as leases:
            # In one order, whoever does this: so no two wait for each other.
            for profile in sorted((await self.summaries()).profiles):
                await leases.enter_async_context(self.lease(profile))
            return await super().move_key(place)

    async def describe(self) -> Condition:
        """Return what `twg doctor` tells of the store; never raises for what it finds."""
        condition = await to_thread.run_sync(examine, self._file.path, self._file.state_dir)
        for check in (self.open, self._check_writable, self._check_settled):
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
