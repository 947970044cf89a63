"""`SealedFile`: one sealed file, read without a lock and changed under one, by many processes.

Readers take no lock: the file is only ever replaced as a whole. What was read is kept in memory and
holds as long as the same file is there (see `twg.vault.known`). That makes no secret easier to get:
the key is in the same memory, hidden from other processes since it was taken in, and the file is
at hand.

Writers take the file's lock, look whether it is still the file they know, else read it again, work
on a copy, and replace the file; so none undoes another's work. All that want to change it at one
moment, in whatever task or thread, share that (see `twg.vault.gathering`): one lock, one opening,
one sealing, one replacement. Each change is made to the same copy and still checks its own
generation; one that raises fails alone and has changed nothing. None is answered before the file
that has them all is durable. If it cannot be replaced, all of them fail and the old one stands.

What a change does with secrets is recorded behind the replacement: it may hold new tokens whose
predecessors are spent, and those are not to be lost for want of the record.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from anyio import lowlevel, to_thread

from guard.errors import FileUnwritable, GuardError, UnsafeFile
from guard.files import (
    check_private_directory,
    check_private_file,
    ensure_private_directory,
    prove_replaceable,
    read_private,
    replace_private,
    sweep_temporaries,
)
from twg import events
from twg.errors import (
    ConfigError,
    KeyUnavailable,
    StoreCorrupt,
    StoreUnwritable,
    TwgError,
)
from twg.vault.condition import set_aside
from twg.vault.gathering import Gathering
from twg.vault.known import Known, Sight
from twg.vault.locks import ProcessLock
from twg.vault.mark import Mark
from twg.vault.moving import Journal, KeyMove
from twg.vault.opened import Opened
from twg.vault.sealed import Sealer, corrupt, parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from guard.custody import Custody
    from guard.secret import Secret
    from twg.vault.admin_key import AdminHeader
    from twg.vault.gathering import Errand
    from twg.vault.grant import GrantHeader
    from twg.vault.header import Header, KeyLocation, KeyPlaceName
    from twg.vault.keys import KeyKeeper
    from twg.vault.moving import Moved
    from twg.vault.sealed import Document

T = TypeVar("T")
H = TypeVar("H", "Header", "AdminHeader", "GrantHeader")
Change = Callable[[Opened], Any]

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
        what: What is in it, in words.
        pinned: Whether changes are refused to a file that is not the very one last written here.
    """

    def __init__(
        self,
        path: Path,
        *,
        state_dir: Path,
        keys: KeyKeeper,
        custody: Custody,
        lock_seconds: float,
        what: str,
        pinned: bool,
    ) -> None:
        self.path = path
        self.state_dir = state_dir
        self._keys = keys
        self._custody = custody
        self._lock_seconds = lock_seconds
        self._what = what
        self._pinned = pinned
        self._known: Known | None = None
        self._key: _PlacedKey | None = None
        self._spare: _PlacedKey | None = None
        # A key ring that hangs while the file is opened must not hold up the interpreter's end.
        self._looks: Gathering[None] = Gathering("twg store, reading", self._look, daemon=True)
        self._changes: Gathering[Change] = Gathering(
            "twg store, writing", self._change, patient=True
        )
        self._proofs: Gathering[None] = Gathering("twg store, proving", self._prove, patient=True)

    def peek(self) -> Opened | None:
        """Return the store as this process knows it, if one look tells that it still holds."""
        known = self._known
        return known.opened if known is not None and known.sight.holds() else None

    async def header(self, kind: type[H]) -> H:
        """Return the clear header, of the kind this file has; an empty one if there is no file.

        Raises:
            StoreCorrupt: The file is damaged, or a newer twg wrote it.
            ConfigError: Others have access to the file, or it is not one.
        """
        await lowlevel.checkpoint()
        opened = self._recall()
        if opened is None:
            return await self._in_thread(partial(self._clear_header, kind))
        if (known := opened.known_header) is not None:
            found: H = known
            return found
        return await to_thread.run_sync(opened.header, kind)

    async def exists(self) -> bool:
        """Tell whether there is a file.

        Raises:
            ConfigError: Others have access to it, or it is not one.
        """
        return await self._in_thread(self._exists)

    async def prove_replaceable(self) -> None:
        """Show that a change would find room and permission now; the file stays as it is.

        And that it could be recorded: so what records on an event loop soon afterwards does not
        wait there for another process that hangs.

        Raises:
            StoreUnwritable: It would not.
            AuditBroken: It could not be recorded.
            ConfigError: Others have access to the file, or it is not one.
        """
        await self._proofs.ask(None)

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
        return await self._in_thread(partial(self._set_aside, judged))

    async def put_aside(self) -> Path | None:
        """Move the file, whatever is in it, to a name of its own."""
        self._known = None
        return await self._in_thread(lambda: self._set_aside(self._bytes()))

    async def move_key(self, place: KeyPlaceName) -> Moved | None:
        """Move the sealing key; see `SealedStore.move_key`."""
        return await self._on_keys(lambda move, opened, sealer: move.run(opened, sealer, place))

    async def settle_keys(self) -> tuple[KeyLocation, ...]:
        """Destroy the keys that a move which was cut short left; see `SealedStore.settle_keys`."""
        if not await self.unsettled_keys():
            return ()
        return await self._on_keys(lambda move, opened, _: move.settle(opened.key)) or ()

    async def unsettled_keys(self) -> tuple[KeyLocation, ...]:
        """Return the keys that a move is about; none if none is under way or was cut short.

        Raises:
            StoreCorrupt: The journal is not as it was written.
            ConfigError: Others have access to it.
        """
        return await self._in_thread(Journal(self.state_dir, self.path.stem).read)

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
        # Found in memory, it would otherwise never let other tasks have their turn.
        await lowlevel.checkpoint()
        opened = self._recall()
        if opened is None:
            opened = await self._looks.ask(None)
        return nothing if opened is None else look(opened)

    async def change(self, change: Callable[[Opened], T]) -> T:
        """Let `change` work on the opened file under its lock, and replace the file durably.

        Args:
            change: Makes one change; what it raises, this raises, and it changed nothing.

        Raises:
            StoreUnwritable: It cannot be replaced; what was there still is.
            StoreCorrupt: It cannot be opened; it is kept as it is.
            KeyUnavailable: Not for now, for want of its key.
            ConfigError: Others have access to the file, or it is not one.
            Busy: Another process has it for too long.
        """
        if self._key is None:
            # A key ring that takes its time is asked here, where it keeps no one from the lock.
            await self.read(lambda _opened: None, None)
        done: T = await self._changes.ask(change)
        return done

    async def _on_keys(self, do: Callable[[KeyMove, Opened, Sealer], T]) -> T | None:
        # A key ring that takes its time is asked here, where it keeps no one from the lock.
        await self.read(lambda _opened: None, None)
        return await self._in_thread(partial(self._on_keys_here, do))

    def _on_keys_here(self, do: Callable[[KeyMove, Opened, Sealer], T]) -> T | None:
        self._prepare()
        if self._custody.audit is not None:
            self._custody.audit.prove()
        with self.lock(self.path.stem, self._what).held_here(lambda: False):
            opened = self._open()
            if opened is None:
                return None
            sealer = Sealer(self._key_at(opened.key))
            move = KeyMove(
                self.path, state_dir=self.state_dir, keys=self._keys, custody=self._custody
            )
            # What is noted of it is written behind it: a key that was begun to be moved is moved.
            with self._custody.afterwards():
                return do(move, opened, sealer)

    def _look(self, errands: Sequence[Errand[None]]) -> None:
        # Whom another round has served in the meantime, a look will do.
        opened = self._recall()
        if opened is None:
            with at_the_edge(self.path):
                opened = self._open()
            if opened is not None:
                self._note(events.store_opened)
        for each in errands:
            if each.begin():
                each.answer(opened)

    def _change(self, errands: Sequence[Errand[Change]]) -> None:
        lock = self.lock(self.path.stem, self._what)
        with at_the_edge(self.path):
            self._prepare()
            with lock.held_here(lambda: all(each.left for each in errands)):
                begun = [each for each in errands if each.begin()]
                if begun:
                    self._commit(begun)

    def _commit(self, errands: Sequence[Errand[Change]]) -> None:
        with self._custody.afterwards():
            working, sealer = self._working_copy()
            answers = [_answer_to(each, working) for each in errands]
            if working.changed:
                self._replace(working, sealer)
        # Refusals too wait for this: one may be due to a change that cannot be written after all.
        for answer in answers:
            answer()

    def _replace(self, working: Opened, sealer: Sealer) -> None:
        replace_private(self.path, working.sealed(sealer))
        # Nobody else writes it under our lock, so the file that is there is the one just written.
        sight = Sight.of(self.path)
        self._keep(sight, working)
        self._mark(working, sealer, sight)
        self._note(events.store_written)
        for directory in (self.path.parent, self.state_dir):
            sweep_temporaries(directory)

    def _mark(self, working: Opened, sealer: Sealer, sight: Sight | None) -> None:
        mark = Mark(self.state_dir, working.key.id)
        if self._pinned:
            mark.write(working.generation, sealer, pin=None if sight is None else sight.pin)
            return
        # It is durable now; a mark that lags behind is the lesser evil.
        with contextlib.suppress(FileUnwritable):
            mark.write(working.generation, sealer)

    def _working_copy(self) -> tuple[Opened, Sealer]:
        opened = self._recall() or self._open()
        if opened is None:
            # Under the lock, so that of many who begin a store only one makes a key. It is kept
            # until there is a file: a save that is tried again needs no second one.
            self._spare = self._spare or _PlacedKey(*asyncio.run(self._keys.create(self.path.stem)))
            self._key = self._spare
            opened = Opened.empty(self._key.location, self._custody, self.path)
        elif self._spare is not None:
            self._discard_spare(opened.key)
        sealer = Sealer(self._key_at(opened.key))
        if self._pinned and opened.generation:
            self._check_pin(opened, sealer)
        return opened.copy(), sealer

    def _check_pin(self, opened: Opened, sealer: Sealer) -> None:
        """Refuse a file that is not the very one last written here; under the lock."""
        sight = Sight.of(self.path)
        if sight is None or Mark(self.state_dir, opened.key.id).pin(sealer) != sight.pin:
            raise corrupt(self.path, "it was put there by another than twg, or was touched since")

    def _recall(self) -> Opened | None:
        """Return the store as this process knows it, if it is found to hold by opening the file.

        Opening, unlike `peek`, shows what other machines wrote to a network file system, and the
        directory is checked as whenever the file is read.
        """
        known = self._known
        if known is None:
            return None
        with at_the_edge(self.path), contextlib.suppress(FileNotFoundError):
            check_private_directory(self.path.parent)
        found = Sight.of(self.path)
        same = found is not None and found.identity == known.sight.identity
        return known.opened if same else None

    def _open(self) -> Opened | None:
        """Read and open the file, and keep what is found in memory; None if it is not there."""
        newest = 0
        while True:
            sight = Sight.of(self.path)
            document = self._document()
            if document is None:
                return None
            location = document.key()
            try:
                sealer = Sealer(self._key_at(location))
            except KeyUnavailable:
                if self._is_key_of_file(location):
                    raise
                continue  # it was moved between our two looks, and the old one is gone
            opened = Opened.of(document, sealer, self._custody)
            if opened.generation < newest:
                raise self._rolled_back(newest, opened.generation, location)
            mark = Mark(self.state_dir, location.id).read(sealer)
            if mark <= opened.generation:
                self._keep(sight, opened)
                return opened
            # Put back, or written between our two looks: then a second look finds it as new.
            newest = mark

    def _keep(self, sight: Sight | None, opened: Opened) -> None:
        # Seen before it was read: as long as the sight holds, it was that file which was read.
        if sight is not None:
            self._known = Known(sight, opened)

    def _key_at(self, location: KeyLocation) -> Secret:
        key = self._key
        if key is None or key.location != location:
            # In a loop of its own, in this thread: so one asks the key ring for all who wait.
            key = self._key = _PlacedKey(location, asyncio.run(self._keys.read(location)))
        return key.secret

    def _is_key_of_file(self, location: KeyLocation) -> bool:
        document = self._document()
        return document is None or document.key() == location

    def _discard_spare(self, used: KeyLocation) -> None:
        """Destroy a key that was made for a store which another process made after all."""
        spare, self._spare = self._spare, None
        if spare is not None and spare.location != used:
            # A key that nothing is sealed with does no harm where it cannot be removed.
            with contextlib.suppress(TwgError, GuardError):
                asyncio.run(self._keys.destroy(spare.location))

    def _clear_header(self, kind: type[H]) -> H:
        document = self._document()
        return kind() if document is None else document.read_header(kind)

    def _exists(self) -> bool:
        with contextlib.suppress(FileNotFoundError):
            check_private_directory(self.path.parent)
            return check_private_file(self.path)
        return False

    def _set_aside(self, judged: bytes | None) -> Path | None:
        lock = self.lock(self.path.stem, self._what)
        with lock.held_here(lambda: False):
            return set_aside(self.path, judged)

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

    def _prove(self, errands: Sequence[Errand[None]]) -> None:
        with at_the_edge(self.path):
            self._prepare()
            size = self.path.lstat().st_size if self._exists() else 0
            prove_replaceable(self.path, size + _ROOM)
        if self._custody.audit is not None:
            self._custody.audit.prove()
        for each in errands:
            if each.begin():
                each.answer(None)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        with at_the_edge(self.path):
            return await to_thread.run_sync(work)

    def _note(self, event: Callable[..., None]) -> None:
        if self._custody.audit is not None:
            event(self._custody.audit, file=self.path.name)

    def _rolled_back(self, newest: int, found: int, location: KeyLocation) -> StoreCorrupt:
        mark = Mark(self.state_dir, location.id).path
        return StoreCorrupt(
            f"an older {self.path} was put back: it is number {found}, and number {newest} was "
            "written here. Its tokens are probably spent; it is kept as it is",
            f"Put the newer file back. If the older one is meant, remove {mark}; "
            "else run `twg login` to start afresh.",
        )


@dataclass(frozen=True, slots=True)
class _PlacedKey:
    """A sealing key and where it lives."""

    location: KeyLocation
    secret: Secret


def _answer_to(errand: Errand[Change], working: Opened) -> Callable[[], None]:
    """Make the change that is asked for, and return what gives the answer."""
    try:
        result = errand.work(working)
    except Exception as error:  # noqa: BLE001 - the task that asked gets it
        return partial(errand.fail, error)
    return partial(errand.answer, result)


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
