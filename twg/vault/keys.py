"""The sealing key: made, kept in the operating system's key ring or a private file, read back."""

from __future__ import annotations

import asyncio
import base64
import os
import sys
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

import anyio
from anyio import to_thread

from guard.files import create_private, ensure_private_directory, read_private, remove_private
from twg.errors import ConfigError, KeyUnavailable
from twg.vault.header import KeyLocation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from guard.custody import Custody
    from guard.secret import Secret
    from twg.vault.header import KeyPlaceName

T = TypeVar("T")

KEY_BYTES: Final = 32
KEYRING_SECONDS: Final = 8.0
_KIND: Final = "sealing-key"
_SERVICE: Final = "twg"
_KEPT: Final = "The credentials file is kept as it is."


def new_id(stem: str) -> str:
    """Return a name for a new key that begins with `stem`: ``auth`` or ``admin``."""
    return f"{stem}-{os.urandom(8).hex()}"


class KeyPlace(Protocol):
    """A place that keeps sealing keys."""

    async def write(self, key_id: str, key: Secret) -> None:
        """Keep `key`, and prove it by reading it back.

        Raises:
            KeyUnavailable: This place cannot.
        """

    async def read(self, key_id: str) -> Secret:
        """Return the key.

        Raises:
            KeyUnavailable: It is not to be had; `why` says for what reason.
        """

    async def remove(self, key_id: str) -> None:
        """Destroy the key, if it is there.

        Raises:
            KeyUnavailable: This place cannot.
        """


class KeyKeeper:
    """Makes sealing keys, decides where each goes, and finds it again.

    Args:
        state_dir: Where key files go.
        custody: Takes keys in.
        preferred: Where a new key must go; None for the key ring, else a file.
        keyring_seconds: How long the key ring may take to answer.
        places: The places themselves, by name; None for the real ones.
    """

    def __init__(
        self,
        state_dir: Path,
        *,
        custody: Custody,
        preferred: KeyPlaceName | None = None,
        keyring_seconds: float = KEYRING_SECONDS,
        places: Mapping[str, KeyPlace] | None = None,
    ) -> None:
        self._custody = custody
        self._preferred = preferred
        self._places: Mapping[str, KeyPlace] = places or {
            "keyring": KeyringPlace(custody=custody, seconds=keyring_seconds),
            "file": FilePlace(state_dir, custody=custody),
        }

    async def create(self, stem: str) -> tuple[KeyLocation, Secret]:
        """Make a key and keep it in the best place there is.

        Args:
            stem: Begins the key's name: ``auth`` or ``admin``.

        Returns:
            Where it is, with the reason if it is a file for want of a key ring; and the key.

        Raises:
            ConfigError: The place that was asked for does not work.
            UnsafeFile, FileUnwritable: The state directory does not work.
        """
        key_id = new_id(stem)
        key = self._made()
        if self._preferred != "file":
            try:
                await self._places["keyring"].write(key_id, key)
            except KeyUnavailable as error:
                reason = str(error)
                if self._preferred == "keyring":
                    raise ConfigError(
                        f"the settings want the sealing key in the key ring, but {reason}",
                        'Mend the key ring, or set `key = "file"` under [storage] in config.toml.',
                    ) from error
            else:
                return KeyLocation(location="keyring", id=key_id), key
        else:
            reason = None
        await self._places["file"].write(key_id, key)
        return KeyLocation(location="file", id=key_id, reason=reason), key

    async def create_at(self, location: KeyLocation) -> Secret:
        """Make a key and keep it there and nowhere else.

        Raises:
            KeyUnavailable: That place cannot keep it.
            UnsafeFile, FileUnwritable: The state directory does not work.
        """
        key = self._made()
        await self._places[location.location].write(location.id, key)
        return key

    async def read(self, location: KeyLocation) -> Secret:
        """Return the key that is kept there.

        Raises:
            KeyUnavailable: It is not to be had; `why` says for what reason.
            UnsafeFile: Its file is open to others.
        """
        return await self._places[location.location].read(location.id)

    async def destroy(self, location: KeyLocation) -> None:
        """Destroy the key that is kept there.

        Raises:
            KeyUnavailable: The place does not answer.
            FileUnwritable: The file cannot be removed.
        """
        await self._places[location.location].remove(location.id)

    def _made(self) -> Secret:
        raw = base64.urlsafe_b64encode(os.urandom(KEY_BYTES)).decode()
        return self._custody.take(raw, _KIND)


class FilePlace:
    """Keys in files of the state directory, mode 0600.

    Args:
        state_dir: The directory.
        custody: Takes keys in.
    """

    def __init__(self, state_dir: Path, *, custody: Custody) -> None:
        self._state_dir = state_dir
        self._custody = custody

    def path(self, key_id: str) -> Path:
        """Return the key's file."""
        return self._state_dir / f"{key_id}.key"

    async def write(self, key_id: str, key: Secret) -> None:
        """Keep `key`, and prove it by reading it back.

        Raises:
            KeyUnavailable: Another value came back.
            UnsafeFile, FileUnwritable: The state directory does not work.
        """
        await to_thread.run_sync(self._create, key_id, key)
        _check_kept(key, await self.read(key_id))

    async def read(self, key_id: str) -> Secret:
        """Return the key.

        Raises:
            KeyUnavailable: The file is gone, or holds no key.
            UnsafeFile: It is not a plain private file.
        """
        path = self.path(key_id)
        data = await to_thread.run_sync(read_private, path)
        if data is None:
            raise KeyUnavailable(
                "lost",
                f"the credentials' key {path} is not there: they were made on another machine or "
                "by another user, or the key was removed",
                f"Bring the key file back, or run `twg login` to start afresh. {_KEPT}",
            )
        return _taken(data.decode("ascii", "replace").removesuffix("\n"), str(path), self._custody)

    async def remove(self, key_id: str) -> None:
        """Remove the key's file, if it is there.

        Raises:
            FileUnwritable: The file system refuses.
        """
        await to_thread.run_sync(remove_private, self.path(key_id))

    def _create(self, key_id: str, key: Secret) -> None:
        ensure_private_directory(self._state_dir)
        create_private(self.path(key_id), f"{_reveal(key, 'a file')}\n".encode())


class KeyringPlace:
    """Keys in the operating system's key ring.

    The backend is the platform's own and named here: nothing is looked up among installed
    packages, in configuration or in the environment. Calls may hang for ever, so each runs in a
    thread that can be left behind.

    Args:
        custody: Takes keys in.
        seconds: How long a call may take.
    """

    def __init__(self, *, custody: Custody, seconds: float = KEYRING_SECONDS) -> None:
        self._custody = custody
        self._seconds = seconds
        self._left_behind: threading.Thread | None = None

    async def write(self, key_id: str, key: Secret) -> None:
        """Keep `key`, and prove it by reading it back.

        Raises:
            KeyUnavailable: The key ring is absent, locked, hanging, or gave another value back.
        """
        value = _reveal(key, "the key ring")
        await self._call(lambda ring: ring.set_password(_SERVICE, key_id, value))
        _check_kept(key, await self.read(key_id))

    async def read(self, key_id: str) -> Secret:
        """Return the key.

        Raises:
            KeyUnavailable: The key ring is absent, locked or hanging, or the key is not in it.
        """
        value = await self._call(lambda ring: ring.get_password(_SERVICE, key_id))
        if value is None:
            raise KeyUnavailable(
                "lost",
                f"the credentials' key {key_id} is not in the key ring: they were made on another "
                "machine or by another user, or the key was removed",
                f"Run `twg login` to start afresh. {_KEPT}",
            )
        return _taken(str(value), f"key ring entry {key_id}", self._custody)

    async def remove(self, key_id: str) -> None:
        """Delete the key, if it is there.

        Raises:
            KeyUnavailable: The key ring is absent, locked or hanging.
        """

        def delete(ring: Any) -> None:
            if ring.get_password(_SERVICE, key_id) is not None:
                ring.delete_password(_SERVICE, key_id)

        await self._call(delete)

    async def _call(self, work: Callable[[Any], T]) -> T:
        if self._left_behind is not None and self._left_behind.is_alive():
            raise self._hanging()
        future: Future[T] = Future()
        # A daemon thread of our own: anyio's workers are not, and the interpreter would wait at
        # its end for one that hangs.
        thread = threading.Thread(
            target=_fulfil, args=(future, work), name="twg key ring", daemon=True
        )
        thread.start()
        try:
            with anyio.fail_after(self._seconds):
                return await asyncio.wrap_future(future)
        except TimeoutError:
            self._left_behind = thread
            raise self._hanging() from None

    def _hanging(self) -> KeyUnavailable:
        return KeyUnavailable(
            "hanging",
            f"the key ring did not answer within {self._seconds:g} seconds",
            "Look whether it asks for something on your desktop, or start it anew; then run the "
            f"command again. {_KEPT}",
        )


def _fulfil(future: Future[T], work: Callable[[Any], T]) -> None:
    future.set_running_or_notify_cancel()
    try:
        result = _translated(work)
    except BaseException as error:  # noqa: BLE001 - whatever it is, the waiting task gets it
        future.set_exception(error)
    else:
        future.set_result(result)


def _translated(work: Callable[[Any], T]) -> T:
    """Do `work` on the platform's key ring, its failures told apart."""
    from keyring.errors import InitError, KeyringLocked  # noqa: PLC0415 - only where one is opened

    try:
        return work(_backend())
    except KeyringLocked as error:
        raise KeyUnavailable(
            "locked",
            "the key ring is locked",
            f"Unlock it (log in to your desktop), then run the command again. {_KEPT}",
        ) from error
    except (ImportError, InitError, OSError, RuntimeError) as error:
        raise KeyUnavailable(
            "absent",
            f"there is no key ring in this session ({_words(error)})",
            f"Run the command in the desktop session where you signed in. {_KEPT}",
        ) from error
    except Exception as error:
        raise KeyUnavailable(
            "failed",
            f"the key ring failed ({_words(error)})",
            f"Start the key ring anew, then run the command again. {_KEPT}",
        ) from error


def _backend() -> Any:
    """Return the platform's own key ring.

    Raises:
        RuntimeError, OSError, ImportError: There is none in this session.
    """
    if sys.platform == "darwin":
        from keyring.backends.macOS import Keyring as Backend  # noqa: PLC0415 - one of three
    elif sys.platform == "win32":
        from keyring.backends.Windows import (  # noqa: PLC0415 - one of three
            WinVaultKeyring as Backend,
        )
    else:
        from keyring.backends.SecretService import (  # noqa: PLC0415 - one of three
            Keyring as Backend,
        )
    Backend.priority  # noqa: B018 - raises where this session has no such key ring
    # Its constructor does one thing: it lets KEYRING_PROPERTY_* variables change its attributes.
    ring = Backend.__new__(Backend)
    # macOS: likewise KEYCHAIN_PATH, at import.
    vars(ring)["keychain"] = None
    return ring


def _taken(value: str, where: str, custody: Custody) -> Secret:
    """Take a key's text in, once it can be a key."""
    try:
        raw = base64.urlsafe_b64decode(value)
    except ValueError:
        raw = b""
    if len(raw) != KEY_BYTES or base64.urlsafe_b64encode(raw).decode() != value:
        raise KeyUnavailable(
            "lost",
            f"{where} holds no sealing key: it was changed",
            f"Bring it back from a copy, or run `twg login` to start afresh. {_KEPT}",
        )
    return custody.take(value, _KIND)


def _check_kept(key: Secret, kept: Secret) -> None:
    if not key.same_as(kept):
        raise KeyUnavailable("failed", "the key that was just written came back changed")


def _reveal(key: Secret, where: str) -> str:
    return key.reveal(f"keep in {where}")


def _words(error: BaseException) -> str:
    first = (str(error).splitlines() or [""])[0].strip().rstrip(".")
    return first[:200] or type(error).__name__
