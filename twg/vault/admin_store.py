"""`AdminStore`: the Admin API keys of organizations, sealed in a file and under a key of their own.

It is the file of the personal credentials once more, with other records in it; the two have no
file, key, lock or mark in common.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from twg.errors import AdminKeyRequired, StoreCorrupt
from twg.vault.admin_key import AdminHeader, AdminKey
from twg.vault.sealed_file import SealedFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from guard.custody import Custody
    from twg.vault.header import KeyLocation, KeyPlaceName
    from twg.vault.keys import KeyKeeper
    from twg.vault.moving import Moved
    from twg.vault.opened import Opened


class AdminStore:
    """Admin API keys by organization, sealed in one file. Constructing it touches nothing.

    Args:
        path: The file, such as ``…/admin.conf``; its stem names keys and locks.
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

    async def summaries(self) -> AdminHeader:
        """Return the clear header: no key is needed and no secret opened.

        Raises:
            StoreCorrupt: The file is damaged, or a newer twg wrote it.
            ConfigError: Others have access to the file, or it is not one.
        """
        with _in_its_own_words():
            return await self._file.header(AdminHeader)

    async def read(self, org: str) -> AdminKey | None:
        """Return the organization's key, or None.

        Raises:
            StoreCorrupt: The file cannot be opened.
            KeyUnavailable: Not for now, for want of its sealing key.
            ConfigError: Others have access to the file, or it is not one.
        """
        with _in_its_own_words():
            return await self._file.read(lambda opened: opened.record(AdminKey, org), None)

    async def save(self, key: AdminKey) -> AdminKey:
        """Add or replace an organization's key durably; the first one becomes the active one.

        Raises:
            StoreUnwritable: It cannot be saved now; what was there still is.
            StoreCorrupt: The file cannot be opened; it is kept as it is.
            ConfigError: Others have access to the file, or it is not one.
            Busy: Another process has the file for too long.
        """
        with _in_its_own_words():
            return await self._file.change(lambda opened: opened.put(key))

    async def remove(self, org: str) -> None:
        """Remove an organization's key durably; a sole one left over becomes active.

        Raises:
            AdminKeyRequired: There is none.
            And as `save`.
        """
        await self._change(org, lambda opened: opened.drop(org))

    async def activate(self, org: str) -> None:
        """Make `org` the organization that is used.

        Raises:
            AdminKeyRequired: There is no key for it.
            And as `save`.
        """
        await self._change(org, lambda opened: opened.activate(org))

    async def prove_replaceable(self) -> None:
        """Show that a `save` would find room and permission now; nothing is changed.

        Raises:
            StoreUnwritable: It would not.
            ConfigError: Others have access to the file, or it is not one.
        """
        await self._file.prove_replaceable()

    async def open(self) -> None:
        """Show that the file opens; one that is not there does.

        Raises:
            As `read`.
        """
        with _in_its_own_words():
            await self._file.read(lambda _opened: None, None)

    async def move_key(self, place: KeyPlaceName) -> Moved | None:
        """Make a new sealing key in `place`, seal the file anew with it, destroy the old key.

        The new file is opened from the disk with its key read back before the old key goes. Killed
        anywhere, the file opens, and the next call destroys the key that is not in use.

        Returns:
            What came of it; None if there is no file yet.

        Raises:
            ConfigError: That place cannot keep a key; nothing was changed.
            And as `save`.
        """
        with _in_its_own_words():
            return await self._file.move_key(place)

    async def settle_keys(self) -> tuple[KeyLocation, ...]:
        """Destroy the keys that a move which was cut short left; return those that are left still.

        Raises:
            As `save`.
        """
        with _in_its_own_words():
            return await self._file.settle_keys()

    async def unsettled_keys(self) -> tuple[KeyLocation, ...]:
        """Return the keys that a move is about; there are none unless one was cut short.

        Raises:
            StoreCorrupt, ConfigError: What notes them was changed, or others have access to it.
        """
        return await self._file.unsettled_keys()

    async def set_aside(self) -> Path | None:
        """Put a file that does not open aside; see `SealedStore.set_aside`."""
        with _in_its_own_words():
            return await self._file.set_aside()

    async def _change(self, org: str, change: Callable[[Opened], None]) -> None:
        def checked(opened: Opened) -> None:
            if not opened.generation_of(org):
                raise AdminKeyRequired(org)
            change(opened)

        with _in_its_own_words():
            if not await self._file.exists():
                raise AdminKeyRequired(org)
            await self._file.change(checked)


@contextlib.contextmanager
def _in_its_own_words() -> Iterator[None]:
    """Have an error name the command that mends this file, not the one for the personal one."""
    try:
        yield
    except StoreCorrupt as error:
        error.remediation = error.remediation.replace("`twg login`", "`twg admin auth login`")
        raise
