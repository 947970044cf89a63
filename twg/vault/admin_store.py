"""`AdminStore`: the Admin API keys of organizations, sealed in a file and under a key of their own.

It is the file of the personal credentials once more, with other records in it; the two have no
file, key, lock or mark in common.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from twg.errors import AdminKeyRequired, StoreCorrupt
from twg.vault.admin_key import AdminHeader, AdminKey
from twg.vault.file_store import FileStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from twg.vault.opened import Opened


class AdminStore(FileStore[AdminHeader]):
    """Admin API keys by organization, sealed in one file. Constructing it touches nothing."""

    _kind = AdminHeader

    async def read(self, org: str) -> AdminKey | None:
        """Return the organization's key, or None.

        Raises:
            StoreCorrupt: The file cannot be opened.
            KeyUnavailable: Not for now, for want of its sealing key.
            ConfigError: Others have access to the file, or it is not one.
        """
        with self._in_words():
            return await self._file.read(lambda opened: opened.record(AdminKey, org), None)

    async def save(self, key: AdminKey) -> AdminKey:
        """Add or replace an organization's key durably; the first one becomes the active one.

        Raises:
            StoreUnwritable: It cannot be saved now; what was there still is.
            StoreCorrupt: The file cannot be opened; it is kept as it is.
            ConfigError: Others have access to the file, or it is not one.
            Busy: Another process has the file for too long.
        """
        with self._in_words():
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

    async def _change(self, org: str, change: Callable[[Opened], None]) -> None:
        def checked(opened: Opened) -> None:
            if not opened.generation_of(org):
                raise AdminKeyRequired(org)
            change(opened)

        with self._in_words():
            if not await self._file.exists():
                raise AdminKeyRequired(org)
            await self._file.change(checked)

    @contextlib.contextmanager
    def _in_words(self) -> Iterator[None]:
        """Have an error name the command that mends this file, not the one for the personal one."""
        try:
            yield
        except StoreCorrupt as error:
            error.remediation = error.remediation.replace("`twg login`", "`twg admin auth login`")
            raise
