"""`GrantStore`: the grants, sealed in a file and under a key of their own, pinned to their place.

A credential that is put back from a copy is of no use; a grant would be. So this file counts only
as it was left by the last write here: its mark names the very file, with the time of its change,
which no program can set. A file that was edited, copied back, or removed grants nothing. All is
done under the file's lock, so that no two processes use up the same call.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from twg.errors import KeyUnavailable, StoreCorrupt
from twg.vault.file_store import FileStore
from twg.vault.grant import Grant, GrantHeader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from twg.vault.opened import Opened

    Change = Callable[[Sequence[Grant]], Sequence[Grant]]


class GrantStore(FileStore[GrantHeader]):
    """Grants by name, sealed in one file. Constructing it touches nothing."""

    _kind = GrantHeader
    _what = "the grants"
    _pinned = True

    async def all(self) -> tuple[Grant, ...]:
        """Return the grants, as they were saved here and not otherwise.

        Raises:
            StoreCorrupt: The file was changed, put back, or does not open: it grants nothing.
            KeyUnavailable: It does not for now, for want of its sealing key.
            ConfigError: Others have access to the file, or it is not one.
            Busy: Another process has the file for too long.
        """
        with self._in_words():
            if not await self._file.exists():
                return ()
            return await self._file.change(_all)

    async def change(self, change: Change) -> tuple[Grant, ...]:
        """Replace the grants by what `change` makes of them, durably; where it keeps them, nothing.

        Returns:
            The grants as they are now.

        Raises:
            StoreUnwritable: They cannot be saved now; what was there still is.
            And as `all`.
        """
        with self._in_words():
            if not await self._file.exists():
                return ()
            return await self._file.change(lambda opened: _changed(opened, change))

    async def add(self, grant: Grant, *, keep: Callable[[Grant], bool]) -> Grant:
        """Add a grant durably. A file that does not count is put aside, and a new one begun.

        Args:
            grant: The grant.
            keep: Tells which of the others are still of use.

        Raises:
            StoreUnwritable: It cannot be saved now.
            StoreCorrupt: A newer twg wrote the file.
            KeyUnavailable: Its key is not to be had for now.
            ConfigError: Others have access to the file, or it is not one.
            Busy: Another process has the file for too long.
        """

        def added(opened: Opened) -> Grant:
            _changed(opened, lambda grants: [one for one in grants if keep(one)])
            return opened.put(grant)

        with self._in_words():
            try:
                return await self._file.change(added)
            except StoreCorrupt as error:
                if isinstance(error, KeyUnavailable) and error.why != "lost":
                    raise
            await self._file.put_aside()
            return await self._file.change(added)

    @contextlib.contextmanager
    def _in_words(self) -> Iterator[None]:
        """Have an error name the command that mends this file."""
        try:
            yield
        except KeyUnavailable as error:
            error.remediation = error.remediation.replace("`twg login`", "`twg policy grant`")
            raise
        except StoreCorrupt as error:
            error.remediation = (
                "Nothing in it counts. Whoever grants anew (`twg policy grant`) begins a new file."
            )
            raise


def _all(opened: Opened) -> tuple[Grant, ...]:
    found = (opened.record(Grant, name) for name in opened.profiles)
    return tuple(grant for grant in found if grant is not None)


def _changed(opened: Opened, change: Change) -> tuple[Grant, ...]:
    before = {grant.id: grant for grant in _all(opened)}
    after = {grant.id: grant for grant in change(list(before.values()))}
    for name in before.keys() - after.keys():
        opened.drop(name)
    for name, grant in after.items():
        if before.get(name) != grant:
            opened.put(grant)
    return _all(opened)
