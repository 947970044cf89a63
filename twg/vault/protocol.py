"""What the rest of twg knows of a credential store: read, compare-and-swap, lease. No files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from twg.errors import StoreConflict

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from twg.vault.credential import Credential


class CredentialStore(Protocol):
    """Keeps credentials by profile; each save raises a generation that never comes back."""

    def peek(self, profile: str) -> Credential | None:
        """Return the profile's credential as it is known now; None if it must be read.

        It takes microseconds and waits for nothing, so that it can stand before every use of a
        token. What it returns was the newest a moment ago, as far as one look can tell; who is to
        send a refresh token reads under the lease.
        """

    async def read(self, profile: str) -> Credential | None:
        """Return the profile's credential as last saved by whomever, or None.

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

        It guards against other holders of the lease, not against `save`. Not re-entrant. It may be
        let go of in another task of the same event loop than the one that took it.

        Raises:
            Busy: Another one had it for too long.
        """

    async def prove_replaceable(self) -> None:
        """Show that a `save` would find room and permission now; nothing is changed.

        Raises:
            StoreUnwritable: It would not.
        """


def check_generation(profile: str, found: int, expected: int | None) -> None:
    """Let a change of `profile` pass if the generation there is the expected one, or any will do.

    Raises:
        StoreConflict: It is another one.
    """
    if expected is not None and found != expected:
        raise StoreConflict(
            f"the credential of {profile!r} was changed by another process meanwhile "
            f"(number {found} is there, {expected} was expected)"
        )
