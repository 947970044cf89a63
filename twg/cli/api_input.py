"""What `twg api` reads to send it on: files and standard input, bounded, and none of twg's own."""

from __future__ import annotations

import os
import re
import stat
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from anyio import to_thread

from guard.errors import SecretRefused
from twg.errors import UsageError

if TYPE_CHECKING:
    from twg.settings import Settings

LARGEST: Final = 32 * 1024 * 1024
"""So much is sent at the most: it is looked through for secrets first, and classed as a whole."""

_CHUNK: Final = 1 << 20
_STDIN: Final = "-"
_OWN_NAMES: Final = frozenset({"auth.conf", "admin.conf"})
_BEGINS_SEALED: Final = re.compile(rb'\s*\{\s*"format"\s*:\s*[0-9]+\s*,\s*"header"\s*:')
_SEALED: Final = re.compile(rb'"sealed"\s*:\s*"')


@dataclass(slots=True)
class Brought:
    """What is read for one call.

    Args:
        settings: Say where twg's own files are.

    Attributes:
        parts: Name and content of all that was read so far.
    """

    settings: Settings
    parts: list[tuple[str, bytes]] = field(default_factory=list)

    async def read(self, name: str) -> bytes:
        """Return what is in the file `name`; ``-`` is standard input.

        Raises:
            UsageError: It cannot be read, is too large, or standard input is wanted twice.
            SecretRefused: It is a file of twg's own.
        """
        what = "standard input" if name == _STDIN else "a file"
        if name == _STDIN and any(known == what for known, _ in self.parts):
            raise UsageError("standard input is wanted twice, and can be read once")
        # Whoever waits at a pipe that nobody writes to can still end the command.
        content = await to_thread.run_sync(self._read, name, abandon_on_cancel=True)
        if _BEGINS_SEALED.match(content) and _SEALED.search(content):
            raise _own_file()  # or a copy of one
        self.parts.append((what, content))
        return content

    async def read_text(self, name: str) -> str:
        """Return what `read` does, as text.

        Raises:
            UsageError: Also where it is not UTF-8.
        """
        content = await self.read(name)
        try:
            return content.decode()
        except UnicodeDecodeError:
            raise UsageError(
                "a field's file is not text in UTF-8", "Send it as it is: --input FILE."
            ) from None

    def _read(self, name: str) -> bytes:
        if name == _STDIN:
            return b"" if sys.__stdin__ is None else _bounded(0)
        try:
            descriptor = os.open(name, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        except (OSError, ValueError) as error:
            raise UsageError(f"a file cannot be read: {_words(error)}") from None
        try:
            self._refuse_own(name, os.fstat(descriptor))
            return _bounded(descriptor)
        finally:
            os.close(descriptor)

    def _refuse_own(self, name: str, status: os.stat_result) -> None:
        """Refuse a file of twg's own, whatever other name it was asked for by.

        Sealed as it is, it is nobody else's; and the sealing key may stand beside it.
        """
        if stat.S_ISDIR(status.st_mode):
            raise UsageError("a file cannot be read: it is a directory")
        named = {Path(name).name, Path(name).resolve().name}
        if named & _OWN_NAMES or any(os.path.samestat(status, own) for own in self._own()):
            raise _own_file()

    def _own(self) -> list[os.stat_result]:
        found = []
        for directory in {self.settings.config_dir, self.settings.state_dir}:
            found += [status for each in _below(directory) if (status := _status(each))]
        return found


def _own_file() -> SecretRefused:
    return SecretRefused("request", "a file (one of twg's own)")


def _below(directory: Path) -> list[Path]:
    return [Path(folder, name) for folder, _, names in os.walk(directory) for name in names]


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def _bounded(descriptor: int) -> bytes:
    chunks = []
    size = 0
    while chunk := os.read(descriptor, _CHUNK):
        size += len(chunk)
        if size > LARGEST:
            raise UsageError(f"what is to be sent is more than {LARGEST // (1 << 20)} MiB")
        chunks.append(chunk)
    return b"".join(chunks)


def _words(error: OSError | ValueError) -> str:
    return (isinstance(error, OSError) and error.strerror) or "its name cannot be one"
