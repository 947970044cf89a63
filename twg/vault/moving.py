"""Moves a sealing key to another place: cut short anywhere, the file opens and no key is forgotten.

Nothing is carried over: a new key is made in the new place, and the file sealed anew under it. Both
keys are noted in a journal before the new one is made, and stay there until the one that is not in
use is destroyed. So whoever comes after a crash finds in the file which key is in use, and in the
journal which one is not. The old key is destroyed last, once the new file has been opened from the
disk with the new key as its place gives it back.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from guard.errors import FileUnwritable, GuardError
from guard.files import read_private, remove_private, replace_private, sweep_temporaries
from twg import events
from twg.errors import ConfigError, KeyUnavailable, StoreCorrupt, StoreUnwritable, TwgError
from twg.vault.header import KeyLocation
from twg.vault.keys import new_id
from twg.vault.mark import Mark
from twg.vault.members import dump
from twg.vault.opened import Opened
from twg.vault.records import from_plain, to_plain
from twg.vault.sealed import Sealer, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from guard.custody import Custody
    from twg.vault.header import KeyPlaceName
    from twg.vault.keys import KeyKeeper

_LIMIT: Final = 64 * 1024
_IN_WORDS: Final = {"keyring": "the key ring", "file": "a file"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """What moving a key came to.

    Attributes:
        before: Where the key was.
        now: Where it is; the same if it was there already.
        left: Keys that are not in use any more, but could not be destroyed yet.
    """

    before: KeyLocation
    now: KeyLocation
    left: tuple[KeyLocation, ...] = ()


@dataclass(frozen=True, slots=True)
class Journal:
    """The keys of one sealed file that a move is about, noted until it is done with.

    Args:
        state_dir: Where it is.
        stem: The sealed file's: ``auth`` or ``admin``; so begin the keys' names.
    """

    state_dir: Path
    stem: str

    @property
    def path(self) -> Path:
        """The journal's file."""
        return self.state_dir / f"{self.stem}.moving"

    def read(self) -> tuple[KeyLocation, ...]:
        """Return the noted keys; none if no move is under way.

        Raises:
            StoreCorrupt: It is not as it was written.
            UnsafeFile: It is not a plain private file.
        """
        data = read_private(self.path, limit=_LIMIT)
        if data is None:
            return ()
        try:
            noted = tuple(from_plain(KeyLocation, each) for each in json.loads(data)["keys"])
        except (ValueError, KeyError, TypeError, RecursionError):
            raise self._unsound() from None
        # Whoever wrote another file's key in here wants that one destroyed.
        if not all(each.id.startswith(f"{self.stem}-") for each in noted):
            raise self._unsound()
        return noted

    def write(self, keys: Iterable[KeyLocation]) -> None:
        """Note these keys and no others, durably.

        Raises:
            FileUnwritable: The file system refuses.
        """
        plain = [to_plain(each) for each in keys]
        if plain:
            replace_private(self.path, f"{dump({'keys': plain})}\n".encode())
        else:
            remove_private(self.path)

    def _unsound(self) -> StoreCorrupt:
        return StoreCorrupt(
            f"{self.path}, which notes the keys that are being moved, was changed",
            f"Remove {self.path}. The key that was to be destroyed may then stay where it was.",
        )


class KeyMove:
    """Moves of one sealed file's key. All of it blocks, and runs under the file's lock.

    Args:
        path: The sealed file.
        state_dir: Where marks and the journal are.
        keys: Keeps the keys.
        custody: Whose audit record notes it.
    """

    def __init__(self, path: Path, *, state_dir: Path, keys: KeyKeeper, custody: Custody) -> None:
        self._path = path
        self._state_dir = state_dir
        self._keys = keys
        self._custody = custody
        self._journal = Journal(state_dir, path.stem)

    def run(self, opened: Opened, sealer: Sealer, place: KeyPlaceName) -> Moved:
        """Move the key to `place`, unless it is there; destroy what an earlier move left.

        Args:
            opened: The file as it is on the disk.
            sealer: Its sealer.
            place: Where the key is to be.

        Raises:
            ConfigError: That place cannot keep it; nothing was changed.
            StoreUnwritable, FileUnwritable: The file cannot be replaced; it is as it was.
        """
        left = self.settle(opened.key)
        old = opened.key
        if old.location == place:
            return Moved(before=old, now=old, left=left)
        new = KeyLocation(location=place, id=new_id(self._path.stem))
        self._check_answers(new)
        self._journal.write((*left, old, new))
        before = read_private(self._path)
        try:
            working = self._resealed(opened, new)
        except BaseException:
            if before == read_private(self._path):
                self.settle(old)
            raise
        # As long as the old key is there, the old file, put back, would open.
        with contextlib.suppress(FileUnwritable):
            Mark(self._state_dir, old.id).write(working.generation, sealer)
        self._note(events.store_written, file=self._path.name)
        moved = f"{self._path.name}: from {_IN_WORDS[old.location]} to {_IN_WORDS[place]}"
        self._note(events.key_moved, what=moved)
        return Moved(before=old, now=new, left=self.settle(new))

    def settle(self, used: KeyLocation) -> tuple[KeyLocation, ...]:
        """Destroy the noted keys, save the one that the file was just opened with.

        Returns:
            Those that are left, for their place does not answer; they stay noted.
        """
        noted = self._journal.read()
        if not noted:
            return ()
        left = tuple(each for each in noted if each.id != used.id and not self._destroyed(each))
        self._journal.write(left)
        # A key that was being written when its process was killed is in one of these.
        sweep_temporaries(self._state_dir)
        return left

    def _check_answers(self, new: KeyLocation) -> None:
        """Show that the place answers, before anything is done: that it has no such key yet."""
        try:
            asyncio.run(self._keys.read(new))
        except KeyUnavailable as error:
            if error.why != "lost":
                raise self._not_there(new, error) from error

    def _resealed(self, opened: Opened, new: KeyLocation) -> Opened:
        """Replace the file by one that is sealed with a new key; where that fails, undo it."""
        try:
            sealer = Sealer(asyncio.run(self._keys.create_at(new)))
        except KeyUnavailable as error:
            raise self._not_there(new, error) from error
        working = opened.copy()
        working.rekey(new)
        data = working.sealed(sealer)
        self._prove(data)
        # Before the file that it is for: else there would be a moment without one.
        Mark(self._state_dir, new.id).write(working.generation, sealer)
        before = read_private(self._path) or b""
        try:
            replace_private(self._path, data)
            self._prove(read_private(self._path) or b"")
        except BaseException:
            replace_private(self._path, before)
            raise
        return working

    def _prove(self, data: bytes) -> None:
        """Open these bytes with their key as its place gives it back."""
        document = parse(self._path, data)
        key = asyncio.run(self._keys.read(document.key()))
        Opened.of(document, Sealer(key), self._custody)

    def _destroyed(self, key: KeyLocation) -> bool:
        try:
            asyncio.run(self._keys.destroy(key))
            remove_private(Mark(self._state_dir, key.id).path)
        except (TwgError, GuardError):
            return False
        what = f"{self._path.name}: {key.id} in {_IN_WORDS[key.location]}"
        self._note(events.key_destroyed, what=what)
        return True

    def _note(self, event: Callable[..., None], **facts: str) -> None:
        if self._custody.audit is not None:
            event(self._custody.audit, **facts)

    def _not_there(self, new: KeyLocation, error: KeyUnavailable) -> ConfigError:
        return ConfigError(
            f"the key of {self._path.name} cannot be moved to {_IN_WORDS[new.location]}: {error}",
            "It stays where it is, and nothing was changed. Mend that, then run the command again.",
        )


def unsettled(path: Path) -> StoreUnwritable:
    """Return the error for a move that was cut short, in words."""
    return StoreUnwritable(
        f"moving the key of {path.name} was cut short, so a key that is not in use may be left",
        "`twg doctor --fix` destroys it.",
    )
