"""Where histories are looked for: the defaults, and what the environment says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from tests.guard.history.seeded import of

if TYPE_CHECKING:
    from pathlib import Path

DEFAULTS: Final = {
    ".bash_history": "bash",
    ".zsh_history": "zsh",
    ".zhistory": "zsh",
    ".histfile": "zsh",
    ".zsh_sessions/0C1F2A3B.history": "zsh",
    ".local/share/fish/fish_history": "fish",
    ".local/share/fish/work_history": "fish",
    ".local/share/powershell/PSReadLine/ConsoleHost_history.txt": "powershell",
    ".local/state/bash/history": "bash",
    ".python_history": "python",
    ".node_repl_history": "node",
    ".psql_history": "psql",
    ".psql_history-sales": "psql",
    ".mysql_history": "mysql",
    ".sqlite_history": "sqlite",
    ".lesshst": "less",
    ".local/state/lesshst": "less",
}

VARIABLES: Final = {
    "HISTFILE": ("h/bash.txt", "bash"),
    "XDG_DATA_HOME": ("fish/fish_history", "fish"),
    "XDG_STATE_HOME": ("zsh/history", "zsh"),
    "XDG_CONFIG_HOME": ("zsh/.zsh_history", "zsh"),
    "ZDOTDIR": (".zsh_history", "zsh"),
    "LESSHISTFILE": ("h/l", "less"),
    "NODE_REPL_HISTORY": ("h/n", "node"),
    "PSQL_HISTORY": ("h/p", "psql"),
    "MYSQL_HISTFILE": ("h/m", "mysql"),
    "SQLITE_HISTORY": ("h/s", "sqlite"),
    "PYTHON_HISTORY": ("h/y", "python"),
}


def made(path: Path, data: bytes = b"one\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def found(home: Path, **environ: str) -> dict[str, str]:
    """Return whose each file is, by its name from home."""
    return {str(file.path.relative_to(home)): file.shell for file in of(home, **environ).files()}


@pytest.mark.parametrize("name", DEFAULTS)
def test_each_default_is_looked_at(name: str, tmp_path: Path) -> None:
    made(tmp_path / name)

    assert found(tmp_path) == {name: DEFAULTS[name]}


@pytest.mark.parametrize("variable", VARIABLES)
def test_each_variable_is_followed_and_the_default_looked_at_too(
    variable: str, tmp_path: Path
) -> None:
    name, shell = VARIABLES[variable]
    made(tmp_path / ".bash_history")
    path = made(tmp_path / "elsewhere" / name)
    whole = variable.endswith(("FILE", "HISTORY"))
    value = path if whole else tmp_path / "elsewhere"

    expected = {".bash_history": "bash", f"elsewhere/{name}": shell}
    assert found(tmp_path, **{variable: str(value)}) == expected


def test_a_file_that_two_names_lead_to_comes_once(tmp_path: Path) -> None:
    path = made(tmp_path / ".bash_history")
    (tmp_path / ".local/state").mkdir(parents=True)
    (tmp_path / ".local/state/bash_history").symlink_to(path)

    assert found(tmp_path, HISTFILE=str(path)) == {".bash_history": "bash"}


@pytest.mark.parametrize("value", ["", "-", "/dev/null"])
def test_a_history_that_is_switched_off_is_none(value: str, tmp_path: Path) -> None:
    variables = (variable for variable in VARIABLES if not variable.startswith("XDG"))

    assert found(tmp_path, **dict.fromkeys(variables, value)) == {}


@pytest.mark.parametrize(
    ("name", "data", "shell", "expected"),
    [
        ("my_bash_log", b"one\n", "/bin/zsh", "bash"),
        ("zsh.log", b"one\n", "/bin/bash", "zsh"),
        ("log", b"one\n: 1700000000:0;two\n", "/bin/bash", "zsh"),
        ("log", b"one\n", "/usr/bin/zsh", "zsh"),
        ("log", b"one\n", "/bin/bash", "bash"),
        ("log", b"", "", "bash"),
    ],
)
def test_whose_histfile_is_is_told_by_name_then_content_then_shell(
    name: str, data: bytes, shell: str, expected: str, tmp_path: Path
) -> None:
    path = made(tmp_path / name, data)

    assert found(tmp_path, HISTFILE=str(path), SHELL=shell) == {name: expected}


def test_a_histfile_from_home_is_found(tmp_path: Path) -> None:
    made(tmp_path / "log" / "bash")

    assert found(tmp_path, HISTFILE="~/log/bash") == {"log/bash": "bash"}


def test_a_home_without_any_has_none(tmp_path: Path) -> None:
    assert of(tmp_path / "nowhere").files() == []
    assert list(of(tmp_path).find(lambda _: ["all"])) == []
    assert of(tmp_path).remove(lambda _: ["all"]) == []
