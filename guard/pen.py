"""`Pen`: writes the audit record for all threads of one process, in rounds of one lock each."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from guard import events
from guard.audit_files import lock_of
from guard.chain import Chain, Noted
from guard.errors import AuditBroken, AuditBusy
from guard.files import ensure_private_directory
from guard.locks import LockFile, holder_of
from guard.rotation import compress
from guard.rounds import Rounds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from guard.links import Link
    from guard.rotation import Keeping

    # What one thread wants to have written, and whether it is to be on the disk then.
    _Wanted = tuple[Sequence[str], bool]

_nature: Final = attrgetter("st_dev", "st_ino", "st_mode", "st_uid")
_MOST_OWED: Final = 1000
_MIRRORED_EACH: Final = 1000


class Pen:
    """Writes records.

    Args:
        path: The log.
        key: Gives its keys.
        reload: Gives them anew.
        actor: Who writes what nobody asked for.
        patience: Seconds to wait for other processes that write.
        keeping: How large and how old files get.
        mirror: Is told the newest record now and then.
    """

    def __init__(
        self,
        path: Path,
        key: Callable[[], bytes],
        *,
        reload: Callable[[], bytes],
        actor: Mapping[str, Any],
        patience: float,
        keeping: Keeping,
        mirror: Callable[[Link], None],
    ) -> None:
        self.process = os.getpid()
        self._path = path
        self._directory = str(path.parent)
        self._checked: object = None
        self._key = key
        self._actor = actor
        self._patience = patience
        self._mirror = mirror
        self._lock = LockFile(lock_of(path))
        self._new_chain = partial(Chain, path, reload=reload, actor=actor, keeping=keeping)
        self._chain: Chain | None = None
        self._owed: deque[str] = deque()
        self._lost = 0
        self._unsynced = False
        self._unmirrored = 0
        self._rounds: Rounds[_Wanted] = Rounds(self._round)

    @property
    def is_settled(self) -> bool:
        """Whether all that this process wrote is on the disk."""
        return not self._unsynced

    def write(self, records: Sequence[str], *, durable: bool = False) -> None:
        """Append records together, and before them what is owed."""
        self._rounds.ask((records, durable))

    def owe(self, records: Sequence[str]) -> None:
        """Keep records for the next time; of too many, only how many they were."""
        room = max(0, _MOST_OWED - len(self._owed))
        self._owed.extend(records[:room])
        self._lost += len(records[room:])

    def finish(self) -> None:
        """Tell the mirror what it has not been told yet."""
        if self._chain is not None and self._unmirrored:
            self._tell_mirror(self._chain.last)

    def _round(self, asked: Sequence[_Wanted]) -> None:
        owed, lost = tuple(self._owed), self._lost
        records = [*owed, *(facts for wanted, _ in asked for facts in wanted)]
        if owed:
            late = f"{len(owed)} records could not be written when they were due"
            late += f", and {lost} more were lost" if lost else ""
            noted = Noted(self._actor)
            events.audit_delayed(noted, what=late)
            records = [*noted.facts, *records]
        self._check_directory()
        self._append(records, durable=any(durable for _, durable in asked))
        for _ in owed:
            self._owed.popleft()
        self._lost -= lost

    def _append(self, records: Sequence[str], *, durable: bool) -> None:
        chain = self._chain = self._chain or self._new_chain(self._key())
        try:
            take(self._lock, self._path, self._patience)
            try:
                chain.append(records)
            finally:
                self._lock.give()
            self._unsynced = self._unsynced or bool(records)
            if durable:
                # Outside the lock: others may write meanwhile.
                chain.sync()
                self._unsynced = False
        except OSError as error:
            raise _broken(self._path, error) from error
        self._unmirrored += len(records)
        rotated, chain.rotated = chain.rotated, False
        if rotated or self._unmirrored >= _MIRRORED_EACH:
            self._tell_mirror(chain.last)
        if rotated:
            compress(self._path)

    def _check_directory(self) -> None:
        # Only what it was is looked at each time; what it is now, once.
        try:
            found = _nature(os.lstat(self._directory))
        except OSError:
            found = None
        if found is None or found != self._checked:
            ensure_private_directory(self._path.parent)
            self._checked = _nature(os.lstat(self._directory))

    def _tell_mirror(self, last: Link) -> None:
        self._unmirrored = 0
        self._mirror(last)


@contextlib.contextmanager
def locked(lock: LockFile, path: Path, patience: float) -> Iterator[None]:
    """Hold the lock of a log.

    Raises:
        AuditBusy: Another process has kept it for too long.
        OSError: It cannot be made.
    """
    take(lock, path, patience)
    try:
        yield
    finally:
        lock.give()


def take(lock: LockFile, path: Path, patience: float) -> None:
    """Take the lock of a log, as `locked` does."""
    try:
        lock.take(patience)
    except TimeoutError:
        raise AuditBusy(path, holder_of(lock_of(path)), patience) from None


@contextlib.contextmanager
def at_the_edge(path: Path) -> Iterator[None]:
    """Turn what the system says about a log's files into `AuditBroken`."""
    try:
        yield
    except OSError as error:
        raise _broken(path, error) from error


def _broken(path: Path, error: OSError) -> AuditBroken:
    words = error.strerror or type(error).__name__
    return AuditBroken(path, f"it cannot be written or read: {words}")
