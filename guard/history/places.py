"""Where programs keep their histories: what the environment says, and where they are without it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


class HistoryFile(NamedTuple):
    """A program's history.

    Attributes:
        shell: Whose: ``bash``, ``zsh``, ``fish``, ``powershell``, ``python``, ``node``, ``psql``,
            ``mysql``, ``sqlite`` or ``less``.
        path: The file, by the name the program has for it.
    """

    shell: str
    path: Path


_Names: TypeAlias = tuple[tuple[str, str], ...]

# By which variable a person moves the file, and which values mean that there is none.
_MOVED: Final[_Names] = (
    ("python", "PYTHON_HISTORY"),
    ("node", "NODE_REPL_HISTORY"),
    ("psql", "PSQL_HISTORY"),
    ("mysql", "MYSQL_HISTFILE"),
    ("mysql", "MARIADB_HISTFILE"),
    ("sqlite", "SQLITE_HISTORY"),
    ("less", "LESSHISTFILE"),
)
_NONE: Final = frozenset({"", "-", os.devnull})

# Beside the first, each is where a widespread configuration puts it.
_IN_HOME: Final[_Names] = (
    ("bash", ".bash_history"),
    ("zsh", ".zsh_history"),
    ("zsh", ".zhistory"),
    ("zsh", ".histfile"),
    ("bash", ".bash_sessions/*.history*"),  # a window each, as macOS sets its shells up
    ("zsh", ".zsh_sessions/*.history*"),
    ("python", ".python_history"),
    ("node", ".node_repl_history"),
    ("psql", ".psql_history"),
    ("psql", ".psql_history-*"),  # one a database, as psql's manual suggests
    ("mysql", ".mysql_history"),
    ("mysql", ".mariadb_history"),
    ("sqlite", ".sqlite_history"),
    ("less", ".lesshst"),
    ("less", "_lesshst"),
)
_IN_DATA: Final[_Names] = (
    ("fish", "fish/*_history"),
    ("powershell", "powershell/PSReadLine/*_history.txt"),
    ("less", "lesshst"),
)
_IN_STATE: Final[_Names] = (
    ("bash", "bash/history"),
    ("bash", "bash_history"),
    ("zsh", "zsh/history"),
    ("zsh", "zsh_history"),
    ("python", "python_history"),
    ("node", "node_repl_history"),
    ("psql", "psql_history"),
    ("mysql", "mysql_history"),
    ("sqlite", "sqlite_history"),
    ("less", "lesshst"),
)
_IN_CONFIG: Final[_Names] = (
    ("zsh", "zsh/.zsh_history"),
    ("zsh", "zsh/.zhistory"),
    ("less", "lesshst"),
)
_IN_APPDATA: Final[_Names] = (
    ("powershell", "Microsoft/Windows/PowerShell/PSReadLine/*_history.txt"),
)
_SNIFFED: Final = 4096


def places(environ: Mapping[str, str], home: Path) -> Iterator[HistoryFile]:
    """Yield each history that is there, once, with the programs' own names for them.

    The defaults are looked at whatever the environment says: a shell seldom exports where it
    writes, and another session may have had another environment.
    """
    seen: set[tuple[int, int]] = set()
    for shell, path in _named(environ, home):
        try:
            status = path.stat()
        except OSError:
            continue
        if (status.st_dev, status.st_ino) not in seen:
            seen.add((status.st_dev, status.st_ino))
            yield HistoryFile(shell=shell or _shell_of(path, environ), path=path)


def _named(environ: Mapping[str, str], home: Path) -> Iterator[tuple[str, Path]]:
    # 1. Where the shells' own defaults are, so that what is there is read as what it is.
    yield from _matching(home, _IN_HOME)
    for variable, default, found in (
        ("XDG_DATA_HOME", ".local/share", _IN_DATA),
        ("XDG_STATE_HOME", ".local/state", _IN_STATE),
        ("XDG_CONFIG_HOME", ".config", _IN_CONFIG),
    ):
        for directory in _directories(environ, variable, home / default):
            yield from _matching(directory, found)
    for directory in _directories(environ, "ZDOTDIR"):
        yield from _matching(directory, (each for each in _IN_HOME if each[0] == "zsh"))
    for directory in _directories(environ, "APPDATA"):
        yield from _matching(directory, _IN_APPDATA)
    # 2. Where the environment says.
    for shell, variable in (*_MOVED, ("", "HISTFILE")):
        if (value := environ.get(variable, "")) not in _NONE:
            yield shell, home / _expanded(value, home)


def _directories(environ: Mapping[str, str], variable: str, *defaults: Path) -> Iterator[Path]:
    value = environ.get(variable, "")
    if Path(value).is_absolute():
        yield Path(value)
    yield from defaults


def _matching(directory: Path, found: Iterable[tuple[str, str]]) -> Iterator[tuple[str, Path]]:
    for shell, pattern in found:
        if "*" not in pattern:
            yield shell, directory / pattern
            continue
        try:
            yield from ((shell, path) for path in sorted(directory.glob(pattern)))
        except OSError:
            continue


def _expanded(value: str, home: Path) -> str:
    return str(home / value[2:]) if value.startswith("~/") else value


def _shell_of(path: Path, environ: Mapping[str, str]) -> str:
    """Tell whose file `HISTFILE` is; bash and zsh both have it, and Readline knows no other."""
    # 1. By its name.
    name = path.name.lower()
    if "bash" in name:
        return "bash"
    if "zsh" in name or "zhist" in name:
        return "zsh"
    # 2. By what stands in it: only zsh writes times this way.
    if any(_is_extended(line) for line in _beginning(path).splitlines()):
        return "zsh"
    # 3. By the person's shell.
    return "zsh" if Path(environ.get("SHELL", "")).name == "zsh" else "bash"


def _beginning(path: Path) -> bytes:
    try:
        if path.is_file():  # a pipe would block
            with path.open("rb") as file:
                return file.read(_SNIFFED)
    except OSError:
        pass  # whoever looks at it is told
    return b""


def _is_extended(line: bytes) -> bool:
    time, _, rest = line.removeprefix(b": ").partition(b":")
    return line.startswith(b": ") and time.isdigit() and rest.partition(b";")[0].isdigit()
