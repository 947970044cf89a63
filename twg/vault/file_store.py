"""`FileStore`: what every store in a sealed file offers, whatever it keeps."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Generic, TypeVar

from twg.vault.sealed_file import SealedFile

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from guard.custody import Custody
    from twg.vault.admin_key import AdminHeader
    from twg.vault.grant import GrantHeader
    from twg.vault.header import Header, KeyLocation, KeyPlaceName
    from twg.vault.keys import KeyKeeper
    from twg.vault.moving import Moved

H = TypeVar("H", "Header", "AdminHeader", "GrantHeader")


class FileStore(Generic[H]):
    """A store in one sealed file, of which a header is in clear.

    Constructing it touches nothing; the file, its directory and its key are made by the first
    save.

    Args:
        path: The file, such as ``…/auth.conf``; its stem names keys and locks.
        state_dir: Where locks, key files and the rollback mark are.
        keys: Keeps the sealing key.
        custody: Takes in secrets that are read; its audit record notes openings and writes.
        lock_seconds: How long to wait for another process.
    """

    _kind: type[H]  # its header's; each store says which
    _what = "the credential store"
    _pinned = False

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
            path,
            state_dir=state_dir,
            keys=keys,
            custody=custody,
            lock_seconds=lock_seconds,
            what=self._what,
            pinned=self._pinned,
        )

    async def summaries(self) -> H:
        """Return the clear header: no key is needed and no secret opened.

        It is believed for display only; it is authenticated whenever the store is opened.

        Raises:
            StoreCorrupt: The file is damaged, or a newer twg wrote it.
            ConfigError: Others have access to the file, or it is not one.
        """
        with self._in_words():
            return await self._file.header(self._kind)

    async def key_location(self) -> KeyLocation | None:
        """Return where the sealing key lives; None where there is no store yet.

        Raises:
            As `summaries`.
        """
        return (await self.summaries()).key

    async def open(self) -> None:
        """Show that the file opens; one that is not there does.

        Raises:
            StoreCorrupt: It cannot be opened.
            KeyUnavailable: Not for now, for want of its sealing key.
            ConfigError: Others have access to the file, or it is not one.
        """
        with self._in_words():
            await self._file.read(lambda _opened: None, None)

    async def prove_replaceable(self) -> None:
        """Show that a save would find room and permission now; nothing is changed.

        Raises:
            StoreUnwritable: It would not.
            ConfigError: Others have access to the file, or it is not one.
        """
        await self._file.prove_replaceable()

    async def move_key(self, place: KeyPlaceName) -> Moved | None:
        """Make a new sealing key in `place`, seal the file anew with it, destroy the old key.

        The new file is opened from the disk with its key read back before the old key goes. Killed
        anywhere, the file opens, and the next call destroys the key that is not in use.

        Returns:
            What came of it; None if there is no file yet.

        Raises:
            ConfigError: That place cannot keep a key; nothing was changed.
            StoreUnwritable: It cannot be saved now; what was there still is.
            StoreCorrupt: The file cannot be opened; it is kept as it is.
            Busy: Another process has the file for too long.
        """
        with self._in_words():
            return await self._file.move_key(place)

    async def settle_keys(self) -> tuple[KeyLocation, ...]:
        """Destroy the keys that a move which was cut short left; return those that are left still.

        Raises:
            As `move_key`.
        """
        with self._in_words():
            return await self._file.settle_keys()

    async def unsettled_keys(self) -> tuple[KeyLocation, ...]:
        """Return the keys that a move is about; there are none unless one was cut short.

        Raises:
            StoreCorrupt, ConfigError: What notes them was changed, or others have access to it.
        """
        return await self._file.unsettled_keys()

    async def set_aside(self) -> Path | None:
        """Put a file that does not open aside, so that a new one can begin afresh.

        Returns:
            Where it is now; None if it opens, or there is none: nothing was done.

        Raises:
            StoreCorrupt: A newer twg wrote it, or its key may come back: it is left alone.
            StoreUnwritable: It cannot be moved.
            Busy: Another process has the store for too long.
        """
        with self._in_words():
            return await self._file.set_aside()

    def _in_words(self) -> AbstractContextManager[None]:
        """Say what is wrong with the file in the words of what is kept in it."""
        return contextlib.nullcontext()
