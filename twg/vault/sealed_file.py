"""`SealedFile`: one sealed file, read without a lock and changed under one, by many processes.

Readers take no lock: the file is only ever replaced as a whole. Writers take the file's lock, read
it again, change one record and replace it; so none undoes another's work. Lock, reading, writing
and release happen in one worker thread, out of the reach of cancellation.
"""

from __future__ import annotations

import contextlib
import threading
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from anyio import to_thread

from guard.errors import FileUnwritable, GuardError, UnsafeFile
from guard.files import (
    check_private_directory,
    ensure_private_directory,
    prove_replaceable,
    read_private,
    replace_private,
)
from twg.errors import (
    ConfigError,
    KeyUnavailable,
    StoreConflict,
    StoreCorrupt,
    StoreUnwritable,
    TwgError,
)
from twg.vault.condition import set_aside
from twg.vault.header import Header
from twg.vault.locks import ProcessLock
from twg.vault.mark import Mark
from twg.vault.opened import Opened
from twg.vault.sealed import Sealer, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from guard.custody import Custody
    from guard.secret import Secret
    from twg.vault.header import KeyLocation
    from twg.vault.keys import KeyKeeper
    from twg.vault.sealed import Document

T = TypeVar("T")

_ROOM: Final = 64 * 1024
"""What a file may grow by in one change, in bytes."""


class SealedFile:
    """One sealed file with its key, lock and rollback mark. Constructing it touches nothing.

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
        lock_seconds: float,
    ) -> None:
        self.path = path
        self.state_dir = state_dir
        self._keys = keys
        self._custody = custody
        self._lock_seconds = lock_seconds
        self._known: tuple[KeyLocation, Secret] | None = None
        self._spare: tuple[KeyLocation, Secret] | None = None

    async def header(self) -> Header:
        """Return the clear header; an empty one if there is no file.

        Raises:
            StoreCorrupt: The file is damaged, or a newer twg wrote it.
            ConfigError: Others have access to the file, or it is not one.
        """
        document = await self._in_thread(self._document)
        return Header() if document is None else document.read_header()

    async def exists(self) -> bool:
        """Tell whether there is a file.

        Raises:
            ConfigError: Others have access to it, or it is not one.
        """
        return await self._in_thread(self._bytes) is not None

    async def prove_replaceable(self) -> None:
        """Show that a change would find room and permission now; the file stays as it is.

        Raises:
            StoreUnwritable: It would not.
            ConfigError: Others have access to the file, or it is not one.
        """
        await self._in_thread(self._prove_replaceable)

    async def set_aside(self) -> Path | None:
        """Move a file that does not open to a name of its own; see `SealedStore.set_aside`."""
        judged = await self._in_thread(self._bytes)
        try:
            await self.read(lambda _opened: None, None)
        except KeyUnavailable as error:
            if error.why != "lost":
                raise
        except StoreCorrupt:
            pass
        else:
            return None
        self._known = None
        return await self._in_locked_thread(partial(set_aside, self.path, judged))

    def lock(self, name: str, what: str) -> ProcessLock:
        """Return the lock of that name, in the state directory."""
        return ProcessLock(
            state_dir=self.state_dir, name=name, what=what, seconds=self._lock_seconds
        )

    async def read(self, look: Callable[[Opened], T], nothing: T) -> T:
        """Open the file and return what `look` finds in it; `nothing` if there is no file.

        Raises:
            StoreCorrupt: It cannot be opened.
            KeyUnavailable: Not for now, for want of its key.
            ConfigError: Others have access to the file, or it is not one.
        """
        while True:
            location = await self._located()
            if location is None:
                return nothing
            work = partial(self._look, location, await self._key_at(location), look, nothing)
            with contextlib.suppress(_OtherKey):
                return await self._in_thread(work)
            self._known = None

    def _look(
        self, location: KeyLocation, key: Secret, look: Callable[[Opened], T], nothing: T
    ) -> T:
        opened = self._open(location, Sealer(key))
        if opened is None:
            return nothing
        self._note("store.opened")
        return look(opened)

    async def change(self, change: Callable[[Opened], T]) -> T:
        """Let `change` work on the opened file under its lock, and replace the file durably.

        Raises:
            StoreUnwritable: It cannot be replaced; what was there still is.
            StoreCorrupt: It cannot be opened; it is kept as it is.
            ConfigError: Others have access to the file, or it is not one.
            Busy: Another process has it for too long.
            And what `change` raises; then nothing is written.
        """
        await self._in_thread(self._prepare)
        while True:
            location = await self._located()
            if location is None:
                work = partial(self._begin, *await self._new_key(), change)
            else:
                work = partial(self._change, location, await self._key_at(location), change)
            with contextlib.suppress(_OtherKey):
                return await self._in_locked_thread(work)
            # Another process made, remade or removed the store between our look and our lock.
            self._known = None
            await self._discard_spare()

    def _begin(self, location: KeyLocation, key: Secret, change: Callable[[Opened], T]) -> T:
        if self._bytes() is not None:
            raise _OtherKey("the store is sealed by another key")
        opened = Opened.empty(location, self._custody, self.path)
        done = self._replace(opened, location, Sealer(key), change)
        self._known, self._spare = (location, key), None
        return done

    def _change(self, location: KeyLocation, key: Secret, change: Callable[[Opened], T]) -> T:
        sealer = Sealer(key)
        opened = self._open(location, sealer)
        if opened is None:
            raise _OtherKey("the store is sealed by another key")
        return self._replace(opened, location, sealer, change)

    def _replace(
        self, opened: Opened, location: KeyLocation, sealer: Sealer, change: Callable[[Opened], T]
    ) -> T:
        result = change(opened)
        if opened.changed:
            replace_private(self.path, opened.sealed(sealer))
            # The store is durable now; a mark that lags behind is the lesser evil.
            with contextlib.suppress(FileUnwritable):
                Mark(self.state_dir, location.id).write(opened.generation, sealer)
            self._note("store.written")
        return result

    def _open(self, location: KeyLocation, sealer: Sealer) -> Opened | None:
        """Open the file, which must be sealed by the key at `location`; None if it is not there."""
        newest = 0
        while True:
            document = self._document()
            if document is None:
                return None
            if document.key() != location:
                raise _OtherKey("the store is sealed by another key")
            opened = Opened.of(document, sealer, self._custody)
            if opened.generation < newest:
                raise self._rolled_back(newest, opened.generation, location)
            mark = Mark(self.state_dir, location.id).read(sealer)
            if mark <= opened.generation:
                return opened
            # Put back, or written between our two looks: then a second look finds it as new.
            newest = mark

    def _document(self) -> Document | None:
        data = self._bytes()
        return None if data is None else parse(self.path, data)

    def _bytes(self) -> bytes | None:
        with contextlib.suppress(FileNotFoundError):
            check_private_directory(self.path.parent)
            return read_private(self.path)
        return None

    def _prepare(self) -> None:
        ensure_private_directory(self.path.parent)
        ensure_private_directory(self.state_dir)

    def _prove_replaceable(self) -> None:
        self._prepare()
        prove_replaceable(self.path, len(self._bytes() or b"") + _ROOM)

    async def _located(self) -> KeyLocation | None:
        """Return where the key is: as this object knows it, else as the file says."""
        if self._known is not None:
            return self._known[0]
        document = await self._in_thread(self._document)
        return None if document is None else document.key()

    async def _key_at(self, location: KeyLocation) -> Secret:
        if self._known is None or self._known[0] != location:
            with at_the_edge(self.path):
                self._known = (location, await self._keys.read(location))
        return self._known[1]

    async def _new_key(self) -> tuple[KeyLocation, Secret]:
        # Kept until a store is made with it: a save that is tried again needs no second key.
        if self._spare is None:
            with at_the_edge(self.path):
                self._spare = await self._keys.create(self.path.stem)
        return self._spare

    async def _discard_spare(self) -> None:
        """Destroy a key that was made for a store which another process made meanwhile."""
        spare, self._spare = self._spare, None
        if spare is None or await self._located() in {None, spare[0]}:
            return
        # A key that nothing is sealed with does no harm where it cannot be removed.
        with contextlib.suppress(TwgError, GuardError):
            await self._keys.destroy(spare[0])

    async def _in_thread(self, work: Callable[[], T]) -> T:
        with at_the_edge(self.path):
            return await to_thread.run_sync(work)

    async def _in_locked_thread(self, work: Callable[[], T]) -> T:
        """Do `work` under the store's lock. Cancelled, it waits no more; begun, it is finished."""
        abandoned = threading.Event()
        lock = self.lock(self.path.stem, "the credential store")

        def locked() -> T:
            with lock.held_here(abandoned):
                return work()

        try:
            with at_the_edge(self.path):
                return await to_thread.run_sync(locked, abandon_on_cancel=True)
        finally:
            abandoned.set()

    def _note(self, event: str) -> None:
        if self._custody.audit is not None:
            self._custody.audit.record(event, reason=self.path.name)

    def _rolled_back(self, newest: int, found: int, location: KeyLocation) -> StoreCorrupt:
        mark = Mark(self.state_dir, location.id).path
        return StoreCorrupt(
            f"an older {self.path} was put back: it is number {found}, and number {newest} was "
            "written here. Its tokens are probably spent; it is kept as it is",
            f"Put the newer file back. If the older one is meant, remove {mark}; "
            "else run `twg login` to start afresh.",
        )


class _OtherKey(StoreConflict):
    """The file is sealed by another key than the one at hand; never leaves this module."""


@contextlib.contextmanager
def at_the_edge(path: Path) -> Iterator[None]:
    """Say in twg's words what the guard and the file system say."""
    try:
        yield
    except UnsafeFile as error:
        raise ConfigError(str(error), error.remedy) from error
    except FileUnwritable as error:
        raise StoreUnwritable(str(error), error.remedy) from error
    except OSError as error:
        words = error.strerror or type(error).__name__
        raise StoreCorrupt(f"{path} cannot be read: {words}. It is kept as it is") from error
