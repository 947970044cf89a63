"""`Histories`: what in a person's histories holds a secret, and its removal."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from guard.errors import FileUnwritable, GuardError
from guard.history.formats import FORMATS
from guard.history.live import told
from guard.history.locks import directory_flocked, flocked, zsh_locked
from guard.history.places import places
from guard.history.quiet import Others, kept_quiet
from guard.history.reading import lines, opened, target_of
from guard.history.rewriting import Plan, close_up, swapped, sweep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from guard.history.entry import Entry, Look
    from guard.history.live import LiveShell
    from guard.history.places import HistoryFile

_ATTEMPTS: Final = 5

# Node's REPL opens its history once, and writes the whole of it again and again.
_HELD_OPEN: Final = frozenset({"node"})
# fish reads entries out of the mapped file when it needs them.
_MAPPED: Final = frozenset({"fish"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """An entry with a secret in it; the secret itself is not here.

    Attributes:
        shell: Whose history.
        path: Its file.
        line: The entry's first line; the file's first is 1.
        kind: What kind of secret it is.
        when: When it was typed, if the history says.
    """

    shell: str
    path: Path
    line: int
    kind: str
    when: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """What was removed from one history.

    Attributes:
        shell: Whose history.
        path: Its file.
        removed: How many entries are gone.
        problem: Why not all of them, or none, if so.
        live: How a program that still runs is told to let go of them.
    """

    shell: str
    path: Path
    removed: int
    problem: GuardError | None
    live: LiveShell


class Histories:
    """A person's histories. All of it blocks; `remove` may wait some seconds a file.

    Args:
        environ: The environment, which may say where they are.
        home: The person's home.
    """

    def __init__(self, *, environ: Mapping[str, str], home: Path) -> None:
        self._environ = environ
        self._home = home

    def files(self) -> list[HistoryFile]:
        """Return the histories that are there, each file once."""
        return list(places(self._environ, self._home))

    def find(
        self, look: Look, *, unreadable: Callable[[HistoryFile, GuardError], object] | None = None
    ) -> Iterator[Finding]:
        """Yield each kind of secret in each entry, file by file.

        Args:
            look: Tells what is a secret.
            unreadable: Is told of each file that cannot be looked at, or not to its end; the
                others are.
        """
        for file in self.files():
            try:
                for entry in _entries(file):
                    for kind in entry.kinds(look):
                        yield _finding(file, entry, kind)
            except GuardError as error:
                if unreadable is not None:
                    unreadable(file, error)
            except FileNotFoundError:
                continue  # removed at this moment

    def remove(self, look: Look) -> list[Removal]:
        """Remove each entry with a secret in it from each history, and nothing else.

        Returns:
            One for each file from which something was removed, or was to be.
        """
        removals = []
        for file in self.files():
            removed, problem = 0, None
            try:
                removed = _Remover(file, look).remove()
            except GuardError as error:
                problem = error
            except FileNotFoundError:
                continue  # removed at this moment
            except OSError as error:
                reason = error.strerror or type(error).__name__
                problem = FileUnwritable(file.path, reason)
            if removed or problem:
                removals.append(
                    Removal(
                        shell=file.shell,
                        path=file.path,
                        removed=removed,
                        problem=problem,
                        live=told(file.shell),
                    )
                )
        return removals


class _Remover:
    """Removes from one file."""

    def __init__(self, file: HistoryFile, look: Look) -> None:
        self._file = file
        self._look = look

    def remove(self) -> int:
        """Return how many entries were removed."""
        target = target_of(self._file.path)
        sweep(target)
        for attempt in range(_ATTEMPTS):
            with opened(target) as descriptor:
                # The look takes longest, so shells are kept away only after it.
                before = os.fstat(descriptor)
                plan = self._plan(target, descriptor)
                if not plan.spans:
                    return 0
                removed = self._cut(target, descriptor, before, plan, last=attempt == _ATTEMPTS - 1)
            if removed is not None:
                return removed
        raise FileUnwritable(self._file.path, "other programs replace it all the time")

    def _cut(
        self, target: Path, descriptor: int, before: os.stat_result, plan: Plan, *, last: bool
    ) -> int | None:
        """Cut it out; return None if the file is not any more as it was looked at."""

        def more(start: int, number: int) -> Plan:
            return self._plan(target, descriptor, start, number)

        with contextlib.ExitStack() as stack:
            with self._kept_away(target, descriptor) as others:
                now = os.fstat(descriptor)
                if not os.path.samestat(now, target.lstat()):
                    return None
                if (now.st_size, now.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
                    if not last:
                        return None
                    plan = more(0, 1)
                if others is Others.WRITING or self._file.shell in _HELD_OPEN:
                    return plan.removed + close_up(target, descriptor, plan, more)
                old = stack.enter_context(swapped(target, descriptor, plan))
                if old is None:
                    return None
            # Those who were kept away write now, some to the old file.
            removed = plan.removed + old.carry_over(more)
            old.destroy(mapped=self._file.shell in _MAPPED)
            return removed

    @contextlib.contextmanager
    def _kept_away(self, target: Path, descriptor: int) -> Iterator[Others]:
        """Keep from the file who can be kept from it, and tell whether others write to it still."""
        with contextlib.ExitStack() as stack:
            if self._file.shell == "fish":
                # In this order: a fish has the directory's lock before it opens the file, and has
                # the file open before it asks for that one's.
                stack.enter_context(directory_flocked(target.parent))
                others = stack.enter_context(kept_quiet(descriptor))
                stack.enter_context(flocked(target, descriptor))
            elif self._file.shell == "zsh":
                # Its lock opens the file for writing, which ends the quiet.
                with kept_quiet(descriptor) as others:
                    pass
                stack.enter_context(zsh_locked(self._file.path, target))
            else:
                others = stack.enter_context(kept_quiet(descriptor))
            yield others

    def _plan(self, target: Path, descriptor: int, start: int = 0, number: int = 1) -> Plan:
        spans: list[tuple[int, int]] = []
        removed = 0
        end = start
        for entry in FORMATS[self._file.shell](lines(target, descriptor, start, number)):
            end, number = entry.end, entry.lines[-1].number + 1
            if entry.kinds(self._look):
                removed += 1
                if spans and spans[-1][1] == entry.start:
                    spans[-1] = (spans[-1][0], entry.end)
                else:
                    spans.append((entry.start, entry.end))
        return Plan(spans=tuple(spans), removed=removed, end=end, number=number)


def _entries(file: HistoryFile) -> Iterator[Entry]:
    target = target_of(file.path)
    with opened(target) as descriptor:
        yield from FORMATS[file.shell](lines(target, descriptor))


def _finding(file: HistoryFile, entry: Entry, kind: str) -> Finding:
    return Finding(
        shell=file.shell, path=file.path, line=entry.number, kind=kind, when=entry.time()
    )
