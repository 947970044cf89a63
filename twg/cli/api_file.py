"""`OutputFile`: the file that `--output-file` names, there whole or not at all."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Self

from anyio import to_thread

from guard.errors import FileUnwritable
from guard.files import FILE_MODE, sync_directory, temporary_name, write_all
from guard.stream import Redactor
from twg.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from guard.scrub import Scrubber
    from twg.settings import Settings


class OutputFile:
    """Takes bytes, scrubs them, and puts them in the file's place once all are there.

    Only its owner may read it: what a service answers to one person is that person's.

    Args:
        path: The file.
        settings: Say where no such file belongs.
        scrubber: Knows the secrets.
    """

    def __init__(self, path: Path, settings: Settings, scrubber: Scrubber) -> None:
        self.path = path.absolute()
        self.size = 0
        self._settings = settings
        self._redactor = Redactor(scrubber)
        self._temporary: Path | None = None
        self._descriptor = -1

    async def __aenter__(self) -> Self:
        """Create it under another name, beside its place.

        Raises:
            UsageError: It would be among twg's own files, or in place of something else.
            FileUnwritable: The file system refuses.
        """
        await to_thread.run_sync(self._create)
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Leave nothing behind if it was not finished."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        if self._temporary is not None:
            self._temporary.unlink(missing_ok=True)

    def write(self, data: bytes) -> None:
        """Write more of it.

        Raises:
            FileUnwritable: The file system refuses.
        """
        self._put(self._redactor.feed(data))

    async def finish(self) -> None:
        """Write the rest, and put it in its place.

        Raises:
            FileUnwritable: The file system refuses.
        """
        await to_thread.run_sync(self._finish)

    def _create(self) -> None:
        self._check()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        flags |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
        temporary = temporary_name(self.path)
        try:
            self._descriptor = os.open(temporary, flags, FILE_MODE)
        except OSError as error:
            raise self._unwritable(error) from error
        self._temporary = temporary

    def _check(self) -> None:
        own = {self._settings.config_dir.resolve(), self._settings.state_dir.resolve()}
        directory = self.path.parent.resolve()
        if own & {directory, *directory.parents}:
            raise UsageError("--output-file is among twg's own files", "Name another place.")
        try:
            there = self.path.lstat()
        except OSError:
            return
        if not stat.S_ISREG(there.st_mode):
            raise UsageError(
                "--output-file names something that is no plain file", "Name another place."
            )

    def _finish(self) -> None:
        self._put(self._redactor.finish())
        try:
            os.fsync(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1
            if self._temporary is not None:
                self._temporary.replace(self.path)
                self._temporary = None
            sync_directory(self.path.parent)
        except OSError as error:
            raise self._unwritable(error) from error

    def _put(self, data: bytes) -> None:
        self.size += len(data)
        try:
            write_all(self._descriptor, data)
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> FileUnwritable:
        return FileUnwritable(self.path, error.strerror or type(error).__name__)
