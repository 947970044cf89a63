"""The instructions, put where agents look for them, and taken away; what is not ours stays.

All functions block. An agent's directory may be a link, for people keep such in a repository of
their own; the file and the directory right above it may not, for both are ours.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from guard.errors import FileUnwritable, UnsafeFile
from guard.files import create_private, remove_private, replace_private, sweep_temporaries
from twg.errors import ConfigError
from twg.skills.agents import AGENTS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from twg.skills.agents import CodingAgent

Outcome = Literal["written", "replaced", "unchanged"]

NAME: Final = "twg"
MARK: Final = "<!-- Made by `twg skills install`"

_TEXT: Final = Path(__file__).with_name("SKILL.md")
_LARGEST: Final = 1 << 20
_BY_HAND: Final = "`twg skills show` prints what belongs there."


def text() -> str:
    """Return the instructions."""
    return _TEXT.read_text(encoding="utf-8")


def place_of(agent: CodingAgent, home: Path) -> Path:
    """Return where the agent looks for them."""
    return home / agent.skills / NAME / "SKILL.md"


def found(home: Path) -> list[CodingAgent]:
    """Return the agents that a person has, by their directories, or has had told of twg before."""
    return [
        agent for agent in AGENTS if (home / agent.home).is_dir() or _stands(place_of(agent, home))
    ]


def install(path: Path) -> Outcome:
    """Write the instructions to `path`, a place of an agent.

    Raises:
        ConfigError: What stands there is not ours.
        UnsafeFile: Others can change what is there, or a link leads elsewhere.
        FileUnwritable: The file system refuses.
    """
    folder, wanted = path.parent, text().encode()
    _make(folder.parent)
    if folder.is_symlink():
        raise UnsafeFile(folder, "it is a symbolic link", f"Remove {folder}. {_BY_HAND}")
    _make(folder)
    sweep_temporaries(folder)
    there = _read(path)
    if there == wanted:
        return "unchanged"
    if there is None:
        if not create_private(path, wanted):
            raise _not_ours(path)
        return "written"
    if not _is_ours(there):
        raise _not_ours(path)
    path.chmod(0o600)
    replace_private(path, wanted)
    return "replaced"


def installed(home: Path) -> tuple[Path, ...]:
    """Return the files that `install` has made in a home and nobody has made theirs since."""
    found: dict[Path, Path] = {}
    for path in (place_of(agent, home) for agent in AGENTS):
        # Two agents' directories may be one, by a link.
        if not path.parent.is_symlink() and _stands(path):
            found.setdefault(path.resolve(), path)
    return tuple(found.values())


def outdated(paths: Iterable[Path]) -> list[Path]:
    """Return those of the installed files that `install` would replace."""
    wanted = text().encode()
    return [path for path in paths if _read(path) != wanted]


def remove(path: Path) -> None:
    """Remove an installed file, and its directory if nothing else is in it.

    Raises:
        FileUnwritable: The file system refuses.
    """
    if path.parent.is_symlink() or not _stands(path):  # again: it may be another's by now
        return
    remove_private(path)
    sweep_temporaries(path.parent)
    with contextlib.suppress(OSError):
        path.parent.rmdir()


def _make(directory: Path) -> None:
    """Make a directory where there is none, and refuse one that is another's."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        status = directory.stat()
    except FileExistsError:
        raise UnsafeFile(directory, "it is not a directory", f"Move {directory} away.") from None
    except OSError as error:
        raise FileUnwritable(directory, error.strerror or type(error).__name__) from error
    if not _is_mine(status):
        raise UnsafeFile(directory, "it belongs to another user", _BY_HAND)
    if os.name == "posix" and status.st_mode & stat.S_IWOTH:
        raise UnsafeFile(directory, "anybody can write there", f"Run `chmod o-w {directory}`.")


def _read(path: Path) -> bytes | None:
    try:
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST or not _is_mine(status):
            raise _not_ours(path)
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise FileUnwritable(path, error.strerror or type(error).__name__) from error


def _stands(path: Path) -> bool:
    try:
        there = _read(path)
    except (ConfigError, FileUnwritable):
        return False
    return there is not None and _is_ours(there)


def _is_ours(data: bytes) -> bool:
    return any(line.startswith(MARK.encode()) for line in data.splitlines())


def _is_mine(status: os.stat_result) -> bool:
    return not hasattr(os, "geteuid") or status.st_uid == os.geteuid()


def _not_ours(path: Path) -> ConfigError:
    return ConfigError(
        f"{path} is there already, and twg did not write it",
        f"Move {path} away and run the command again; {_BY_HAND}",
    )
