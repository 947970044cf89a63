"""Which secrets were refused, kept in mind by their keyed fingerprints and by nothing else.

A shell may write a line into its history long after it was removed from there. So what was refused
is looked for again and again; see `guard.lookout`.
"""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from guard.errors import FileUnwritable
from guard.files import ensure_private_directory, read_private, replace_private
from guard.locks import LockFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

MOST: Final = 1000
"""How many are kept in mind: the newest ones."""

_FORMAT: Final = 1
_LONGEST_WORD: Final = 64
_PATIENCE: Final = 5.0


class Refused(NamedTuple):
    """A secret that was refused.

    Attributes:
        fingerprint: Its keyed fingerprint.
        kind: What it looked like, in words joined by dashes.
        alone: It is that of the secret itself, and not of an ordinary word with its surroundings.
        when: When it was refused first, RFC 3339 in UTC.
    """

    fingerprint: str
    kind: str
    alone: bool
    when: str


class RefusedSecrets:
    """The file that keeps them in mind. All methods block.

    Args:
        path: The file; its lock is beside it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def load(self) -> tuple[Refused, ...]:
        """Return what is kept in mind; nothing where the file is not there or not as written.

        Raises:
            UnsafeFile: Others have access to the file, or something else stands in its place.
        """
        data = read_private(self.path)
        return tuple(_entries(data)) if data is not None else ()

    def add(self, fingerprints: Iterable[str], kind: str, *, alone: bool = True) -> None:
        """Keep more in mind; the oldest are forgotten beyond `MOST`.

        Args:
            fingerprints: Those of what is refused.
            kind: What it looks like.
            alone: As for `Refused`.

        Raises:
            UnsafeFile: Others have access to the file, or something else stands in its place.
            FileUnwritable: It cannot be replaced.
        """
        wanted = dict.fromkeys(fingerprints)
        ensure_private_directory(self.path.parent)
        with self._locked():
            known = {each.fingerprint: each for each in self.load()}
            now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
            new = [
                Refused(fingerprint=each, kind=kind[:_LONGEST_WORD], alone=alone, when=now)
                for each in wanted
                if each not in known
            ]
            if new:
                kept = [*known.values(), *new][-MOST:]
                document = {"format": _FORMAT, "refused": [each._asdict() for each in kept]}
                replace_private(self.path, json.dumps(document).encode() + b"\n")

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        lock = LockFile(self.path.with_name(f"{self.path.name}.lock"))
        try:
            with lock.held(_PATIENCE):
                yield
        except TimeoutError:
            raise FileUnwritable(self.path, "another process keeps it locked") from None
        except OSError as error:
            raise FileUnwritable(self.path, error.strerror or type(error).__name__) from error


def _entries(data: bytes) -> Iterator[Refused]:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return
    found: Any = document.get("refused") if isinstance(document, dict) else None
    for entry in found[-MOST:] if isinstance(found, list) else ():
        match entry:
            case {"fingerprint": str(), "kind": str(), "alone": bool(), "when": str()}:
                if all(len(str(word)) <= _LONGEST_WORD for word in entry.values()):
                    yield Refused(**{name: entry[name] for name in Refused._fields})
            case _:
                pass
