"""What the rest of twg knows of a credential store: read, compare-and-swap, lease. No files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from twg.vault.credential import Credential


class CredentialStore(Protocol):
    """Keeps credentials by profile; each save raises a generation that never comes back."""

    async def read(self, profile: str) -> Credential | None:
        """Return the profile's credential as last saved, or None.

        Raises:
            StoreCorrupt: The store cannot be opened.
        """

    async def save(self, credential: Credential, *, expected: int | None) -> Credential:
        """Save a credential durably if nobody else did meanwhile; other profiles stay untouched.

        Args:
            credential: What to save, whatever its own generation says.
            expected: The generation the profile must have in the store: that of the credential
                that was read; 0 for none there; None for whatever is there.

        Returns:
            The credential with its new generation: higher than any this store gave before.

        Raises:
            StoreConflict: The store has another generation; nothing was saved.
            StoreUnwritable: It cannot be saved now; what was there still is.
            StoreCorrupt: The store cannot be opened; it is kept as it is.
            Busy: Another process has the store for too long.
        """

    async def remove(self, profile: str, *, expected: int | None) -> bool:
        """Remove the profile's credential durably; return False if there is none.

        Raises:
            As `save`.
        """

    def lease(self, profile: str) -> AbstractAsyncContextManager[None]:
        """Hold the profile alone, among all tasks, threads and processes, as a renewal must.

        It guards against other holders of the lease, not against `save`. Not re-entrant.

        Raises:
            Busy: Another one had it for too long.
        """

    async def prove_replaceable(self) -> None:
        """Show that a `save` would find room and permission now; nothing is changed.

        Raises:
            StoreUnwritable: It would not.
        """
