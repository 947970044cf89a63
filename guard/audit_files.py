"""The files of the audit record, for who writes it and who reads it.

Beside `audit.jsonl`, which is written now, are those that it was before, each named after its first
record and compressed: ``audit-000000000001.jsonl.gz``. One that was set aside a moment ago may not
be compressed yet. `audit.head` names the newest record. `audit.start`, where old files were
removed, names the last record that went with them. Both are sealed with the key.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from guard.files import check_private_file, read_private
from guard.links import BEGINNING, LONGEST_LINE, start_of, unsealed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import BinaryIO

    from guard.links import Link, Start

NAME: Final = "audit.jsonl"
COMPRESSED: Final = ".gz"

_DIGITS: Final = 12
_SET_ASIDE: Final = re.compile(rf"audit-(\d{{{_DIGITS},18}})\.jsonl(?:\.gz)?")


class Segment(NamedTuple):
    """One file of the record. What it says of itself is not checked; `verify` does that.

    Attributes:
        path: The file.
        first: How its first record begins; None if there is none, or it cannot be read.
        next: How the file after it begins: its own records are before that in number and not after
            it in time; None if there is no file after it.
    """

    path: Path
    first: Start | None
    next: Start | None

    @property
    def is_current(self) -> bool:
        """Whether it is the one that is written now."""
        return self.path.name == NAME


def segments(directory: Path) -> list[Segment]:
    """Return the files of the record in a directory, oldest first, the current one last.

    Raises:
        UnsafeFile: Others have access to one, or something else stands in its place.
        OSError: The directory or a file cannot be read.
    """
    paths = set_aside(directory)
    if check_private_file(directory / NAME):
        paths.append(directory / NAME)
    starts = [_start_in(path) for path in paths]
    following = [*starts[1:], None][: len(paths)]
    return [
        Segment(path=path, first=first, next=after)
        for path, first, after in zip(paths, starts, following, strict=True)
    ]


def set_aside(directory: Path) -> list[Path]:
    """Return the paths of the files before the current one, oldest first, each once."""
    found: dict[int, Path] = {}
    with contextlib.suppress(FileNotFoundError):
        # In this order the compressed one is behind; where there are both, it is whole.
        for path in sorted(directory.iterdir()):
            if named := _SET_ASIDE.fullmatch(path.name):
                found[int(named[1])] = path
    return [path for _, path in sorted(found.items())]


def seq_of(aside: Path) -> int:
    """Return the number of the first record in a file that was set aside, as its name says."""
    return int(aside.name.removeprefix("audit-").partition(".")[0])


def kept_after(start: Link, aside: Sequence[Path]) -> list[Path]:
    """Return those of the files set aside that were not noted as removed, and are still there."""
    return [each for each in aside if seq_of(each) > start.seq]


def aside_of(path: Path, seq: int) -> Path:
    """Return where the current file goes that begins with record `seq`."""
    return path.with_name(f"audit-{seq:0{_DIGITS}d}.jsonl")


@contextlib.contextmanager
def open_lines(path: Path) -> Iterator[BinaryIO]:
    """Open one file of the record to be read, compressed or not.

    It may be compressed in the moment before; then that is opened instead.

    Raises:
        UnsafeFile: Others have access to it, or something else stands in its place.
        OSError: It cannot be read.
    """
    if path.suffix != COMPRESSED and path.name != NAME and not check_private_file(path):
        path = path.with_name(path.name + COMPRESSED)
    check_private_file(path)
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
    with os.fdopen(os.open(path, flags), "rb") as file:
        if path.suffix != COMPRESSED:
            yield file
            return
        import gzip  # noqa: PLC0415 - only where there are old files
        import zlib  # noqa: PLC0415 - likewise

        try:
            with gzip.GzipFile(fileobj=file) as plain:
                yield plain  # type: ignore[misc]  # it is one but for its name
        except (EOFError, zlib.error) as error:
            raise OSError(errno.EIO, "the compressed file is damaged") from error


def lines_in(path: Path) -> Iterator[bytes]:
    """Yield the lines of one file; of one that is too long for a record, pieces.

    Raises:
        UnsafeFile: Others have access to it, or something else stands in its place.
        OSError: It cannot be read, or is damaged.
    """
    with open_lines(path) as file:
        while line := file.readline(LONGEST_LINE):
            yield line


def lines_of(log: int, size: int) -> Iterator[bytes]:
    """Yield the lines of an open file's first `size` bytes."""
    with os.fdopen(log, "rb", closefd=False) as file:
        while size > 0 and (line := file.readline(min(size, LONGEST_LINE))):
            size -= len(line)
            yield line


def head_of(path: Path) -> Path:
    """Return where the head file of a log is."""
    return path.with_suffix(".head")


def start_note_of(path: Path) -> Path:
    """Return where it is noted what was removed of a log."""
    return path.with_suffix(".start")


def lock_of(path: Path) -> Path:
    """Return where the lock of a log is."""
    return path.with_name(f"{path.name}.lock")


def start_link(path: Path, keys: list[bytes]) -> Link | None:
    """Return the link that the record now begins behind.

    Returns:
        `BEGINNING` where nothing was removed; None where the note of it is not as it was written.

    Raises:
        UnsafeFile: Others have access to the note, or something else stands in its place.
    """
    note = read_private(start_note_of(path))
    return BEGINNING if note is None else unsealed("start", note, keys)


def _start_in(path: Path) -> Start | None:
    with contextlib.suppress(OSError), open_lines(path) as file:
        return start_of(file.readline(LONGEST_LINE))
    return None
