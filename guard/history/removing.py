"""`Remover`: takes entries out of one history, in step with the program that writes it."""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from typing import TYPE_CHECKING, Final

from guard.errors import FileUnwritable
from guard.history.formats import FORMATS
from guard.history.locks import directory_flocked, flocked, zsh_locked
from guard.history.quiet import Others, kept_quiet
from guard.history.reading import lines, opened, target_of
from guard.history.rewriting import Plan, close_up, swapped, sweep

if TYPE_CHECKING:
    from collections.abc import Iterator

    from guard.history.entry import Look
    from guard.history.places import HistoryFile

PATIENCE: Final = 5.0
"""Seconds for which it is tried again where others replace the file meanwhile."""

_HURRIED: Final = 3
_PAUSE: Final = 0.002
_LONGEST_PAUSE: Final = 0.05

# Node's REPL opens its history once, and writes the whole of it again and again.
_HELD_OPEN: Final = frozenset({"node"})
# fish reads entries out of the mapped file when it needs them.
_MAPPED: Final = frozenset({"fish"})


class Remover:
    """Removes from one history.

    Args:
        file: The history.
        look: Tells what is to go.
    """

    def __init__(self, file: HistoryFile, look: Look) -> None:
        self._file = file
        self._look = look
        self._target = file.path

    def remove(self) -> int:
        """Return how many entries were removed.

        Raises:
            UnsafeFile: It is no history of this user's, or its shell does not give its lock back.
            FileUnwritable: Others replace it all the time.
            OSError: The file system refuses.
        """
        self._target = target_of(self._file.path)
        sweep(self._target)
        until = time.monotonic() + PATIENCE
        for attempt in itertools.count():
            # The look takes longest, and a shell that waits too long goes on without its lock: it
            # is kept away only afterwards. If it writes so often that the look is always outdated,
            # it has to wait.
            removed = self._try(patient=attempt >= _HURRIED)
            if removed is not None:
                return removed
            if time.monotonic() > until:
                break
            time.sleep(min(attempt * _PAUSE, _LONGEST_PAUSE))
        raise FileUnwritable(self._file.path, "other programs replace it all the time")

    def _try(self, *, patient: bool) -> int | None:
        """Remove; return None if the file is not any more as it was looked at."""
        with contextlib.ExitStack() as opening, contextlib.ExitStack() as keeping:
            if patient:
                keeping.enter_context(self._locked())
            descriptor = opening.enter_context(opened(self._target))
            before = os.fstat(descriptor)
            plan = None if patient else self._plan(descriptor)
            if plan and not plan.spans:
                return 0
            if not patient:
                keeping.enter_context(self._locked())
            others = keeping.enter_context(self._quiet(descriptor))
            if not os.path.samestat(before, self._target.lstat()):
                return None
            if plan and _written_since(descriptor, before):
                return None
            plan = plan or self._plan(descriptor)
            if not plan.spans:
                return 0
            return self._cut(descriptor, plan, others, keeping)

    def _cut(
        self, descriptor: int, plan: Plan, others: Others, keeping: contextlib.ExitStack
    ) -> int | None:
        stopped: list[BaseException] = []

        def more(start: int, number: int) -> Plan:
            try:
                return self._plan(descriptor, start, number)
            except BaseException as error:  # noqa: BLE001 - raised once what others wrote is kept
                stopped.append(error)
                return Plan(removed=0, end=os.fstat(descriptor).st_size, number=number)

        if others is Others.WRITING:
            removed = plan.removed + close_up(self._target, descriptor, plan, more)
        else:
            with swapped(self._target, descriptor, plan) as old:
                if old is None:
                    return None
                # Who was kept away writes now, and some have the old file.
                keeping.close()
                removed = plan.removed + old.carry_over(more)
                old.destroy(mapped=self._file.shell in _MAPPED)
        for error in stopped:
            raise error
        return removed

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold those of the shell's locks that go by the file's name."""
        if self._file.shell == "zsh":
            with zsh_locked(self._file.path, self._target):
                yield
        elif self._file.shell == "fish":
            with contextlib.ExitStack() as stack:
                # Where the history is linked, by whichever name that fish has for it.
                directories = (self._target.parent, self._file.path.parent.resolve())
                for directory in dict.fromkeys(directories):
                    stack.enter_context(directory_flocked(directory))
                yield
        else:
            yield

    @contextlib.contextmanager
    def _quiet(self, descriptor: int) -> Iterator[Others]:
        """Keep from an open file who can be kept from it; tell whether others write to it still."""
        if self._file.shell in _HELD_OPEN:
            yield Others.WRITING
        elif self._file.shell == "zsh":
            yield Others.UNKNOWN  # under its lock, which has the file open itself
        elif self._file.shell == "fish":
            # A fish that waits for this lock has the file open, so it would never be quiet.
            with flocked(self._target, descriptor):
                yield Others.UNKNOWN
        else:
            with kept_quiet(descriptor) as others:
                yield others

    def _plan(self, descriptor: int, start: int = 0, number: int = 1) -> Plan:
        spans: list[tuple[int, int]] = []
        removed = 0
        end = start
        found = lines(self._target, descriptor, start, number)
        for entry in FORMATS[self._file.shell](found):
            end, number = entry.end, entry.lines[-1].number + 1
            if entry.kinds(self._look):
                removed += 1
                if spans and spans[-1][1] == entry.start:
                    spans[-1] = (spans[-1][0], entry.end)
                else:
                    spans.append((entry.start, entry.end))
        return Plan(spans=tuple(spans), removed=removed, end=end, number=number)


def _written_since(descriptor: int, before: os.stat_result) -> bool:
    now = os.fstat(descriptor)
    return (now.st_size, now.st_mtime_ns) != (before.st_size, before.st_mtime_ns)
