"""`Histories`: what in a person's histories holds a secret, and its removal."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from guard.errors import FileUnwritable, GuardError
from guard.history.formats import FORMATS
from guard.history.live import LIVE
from guard.history.places import places
from guard.history.reading import lines, opened, target_of
from guard.history.removing import Remover

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from guard.history.entry import Entry, Look
    from guard.history.live import LiveShell
    from guard.history.places import HistoryFile


class Finding(NamedTuple):
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


class Removal(NamedTuple):
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
                removed = Remover(file, look).remove()
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
                        live=LIVE[file.shell],
                    )
                )
        return removals


def _entries(file: HistoryFile) -> Iterator[Entry]:
    target = target_of(file.path)
    with opened(target) as descriptor:
        yield from FORMATS[file.shell](lines(target, descriptor))


def _finding(file: HistoryFile, entry: Entry, kind: str) -> Finding:
    return Finding(
        shell=file.shell, path=file.path, line=entry.number, kind=kind, when=entry.time()
    )
