"""What twg has made on this device, known by its names, so that nothing else is removed."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from guard.files import check_private_directory, read_private, remove_private, temporary_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from twg.settings import Settings

_SEALED: Final = r"(?:auth|admin|policy)"
_CONFIG: Final = r"(?:(?:auth|admin)\.conf|policy\.json)(?:\.corrupt-\d{8}T\d{6}\.\d{6}Z)?"
_STATE: Final = (
    rf"{_SEALED}-[0-9a-f]{{16}}\.(?:key|mark)|{_SEALED}\.moving"
    r"|upkeep\.json|asked\.json|last-error\.json|refused\.json(?:\.lock)?"
)
_RECORD: Final = (
    r"audit\.(?:jsonl(?:\.gz)?(?:\.lock)?|head|start|key(?:\.lock)?)"
    r"|audit-\d{12,18}\.jsonl(?:\.gz)?"
)
_LOCKS: Final = r"[a-z]+(?:-[0-9a-f]{16})?\.lock"
_LOG: Final = r"twg(?:\.1)?\.jsonl|twg\.jsonl\.lock"
_SANDBOX: Final = r"lock|starting|log|state\.json|sandbox\.sqlite3(?:-(?:wal|shm|journal))?"
_REPOSITORY: Final = r".+"  # git's names are its own
_NAMES_KEYS: Final = re.compile(rf"{_SEALED}\.(?:conf|json).*|{_SEALED}\.moving")


@dataclass(frozen=True, slots=True)
class Belongings:
    """What stands in twg's directories.

    Attributes:
        files: What twg made, in the order in which it goes; the audit record is the last of it.
        directories: Those that nothing else is in, each after those inside it.
        foreign: What twg did not make. A directory's contents are not looked at.
    """

    files: tuple[Path, ...]
    directories: tuple[Path, ...]
    foreign: tuple[Path, ...]


def found(settings: Settings) -> Belongings:
    """Look for them; it blocks.

    Raises:
        UnsafeFile: One of the directories is a link, another owner's, or open to others.
    """
    config, state = settings.config_dir, settings.state_dir
    places = {
        config: _CONFIG,
        state / "sandbox": _SANDBOX,
        state / "locks": _LOCKS,
        state / "log": _LOG,
        state: _STATE,
        **dict.fromkeys(_tree(state / "sandbox" / "git"), _REPOSITORY),
    }
    for each in (config, state):
        with contextlib.suppress(FileNotFoundError):
            check_private_directory(each)
    there = {each: names for each, names in places.items() if _is_own_directory(each)}
    ours = [path for each, names in there.items() for path in _named(each, names)]
    record = [*_named(state, _RECORD)] if state in there else []
    known = {*ours, *record, *there}
    foreign = sorted(path for each in there for path in each.iterdir() if path not in known)
    stay = {parent for path in foreign for parent in path.parents}
    directories = sorted((each for each in there if each not in stay), key=_depth, reverse=True)
    return Belongings((*ours, *record), tuple(directories), tuple(foreign))


def naming_keys(belongings: Belongings) -> list[bytes]:
    """Return what is in the files that say where sealing keys are; it blocks.

    Raises:
        UnsafeFile: One of them is open to others.
    """
    files = (path for path in belongings.files if _NAMES_KEYS.fullmatch(path.name))
    return [data for path in files if (data := read_private(path)) is not None]


def remove(belongings: Belongings) -> None:
    """Remove files and emptied directories; it blocks. Where it is cut short, it can be run again.

    Raises:
        FileUnwritable: The file system refuses.
    """
    for path in belongings.files:
        if _is_own_file(path):  # again: a link may stand there by now
            remove_private(path)
    for directory in belongings.directories:
        # Another command may have put something there in the meantime.
        if not any(directory.iterdir()):
            directory.rmdir()


def _tree(top: Path) -> Iterator[Path]:
    """Yield a directory of ours and those below it; links are never followed."""
    if _is_own_directory(top):
        yield top
        for each in sorted(top.iterdir()):
            yield from _tree(each)


def _depth(path: Path) -> int:
    return len(path.parts)


def _is_own_directory(path: Path) -> bool:
    return _is_own(path, stat.S_ISDIR)


def _named(directory: Path, names: str) -> Iterator[Path]:
    # And what a writer that was killed has left of such a file.
    pattern = re.compile(names)
    for path in sorted(directory.iterdir()):
        if pattern.fullmatch(temporary_of(path.name) or path.name) and _is_own_file(path):
            yield path


def _is_own_file(path: Path) -> bool:
    return _is_own(path, stat.S_ISREG)


def _is_own(path: Path, is_kind: Callable[[int], bool]) -> bool:
    """Tell whether it is of that kind and this user's; links are never followed."""
    try:
        status = path.lstat()
    except OSError:
        return False
    mine = not hasattr(os, "geteuid") or status.st_uid == os.geteuid()
    return mine and is_kind(status.st_mode)
