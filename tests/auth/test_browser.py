"""Which browser is opened, with what, and what never is."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from tests.rigs.parts import search_path
from tests.rigs.surroundings import fake_browser
from tests.rigs.waiting import comes_true
from twg.auth.browser import Browser, NoBrowser, find_browser, open_page
from twg.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

URL = "https://auth.example.com/authorize?a=b&c=%20d;touch+x"
ENVIRON = {"PATH": search_path()}


def program(directory: Path, name: str, script: str) -> Path:
    directory.mkdir(exist_ok=True)
    path = directory / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


# Finding one


def test_browser_by_its_name_on_path(tmp_path: Path) -> None:
    path = program(tmp_path / "bin", "my-browser", "exit 0")
    environ = {"BROWSER": "my-browser", "PATH": str(path.parent)}
    assert find_browser(environ) == Browser((str(path),))


def test_browser_by_its_absolute_path_spaces_and_all(tmp_path: Path) -> None:
    path = program(tmp_path / "My Programs", "My Browser", "exit 0")
    assert find_browser({"BROWSER": str(path)}) == Browser((str(path),))


@pytest.mark.parametrize(
    "value",
    [
        "firefox --private",
        "./browser",
        "bin/browser",
        "..\\browser",
        "firefox\tx",
        "a;b c",
        "$(x) y",
    ],
)
def test_browser_with_arguments_or_a_relative_path_is_not_obeyed(value: str) -> None:
    """Whoever sets the variable does not choose what we run."""
    found = find_browser({"BROWSER": value, "DISPLAY": ":0", "PATH": search_path()})
    assert isinstance(found, NoBrowser)
    assert "neither a program's name nor an absolute path" in found.reason


@pytest.mark.parametrize("value", ["no-such-browser", "/no/such/browser", "%s", "-x"])
def test_browser_that_is_not_there_is_not_replaced_by_another(value: str) -> None:
    found = find_browser({"BROWSER": value, "DISPLAY": ":0", "PATH": search_path()})
    assert found == NoBrowser("the program in BROWSER is not there")


def test_browser_that_cannot_be_run_is_not_there(tmp_path: Path) -> None:
    plain_file = tmp_path / "browser"
    plain_file.write_text("no program")
    for path in (plain_file, tmp_path):
        assert isinstance(find_browser({"BROWSER": str(path)}), NoBrowser)


@pytest.mark.parametrize(
    ("environ", "reason"),
    [
        ({}, "there is no graphical display"),
        ({"SSH_CONNECTION": "1.2.3.4 5 6.7.8.9 22"}, "this is an SSH session"),
        ({"SSH_TTY": "/dev/pts/1"}, "this is an SSH session"),
    ],
)
def test_without_a_display_there_is_none(environ: Mapping[str, str], reason: str) -> None:
    found = find_browser(environ, platform="linux", in_container=lambda: False)
    assert found == NoBrowser(reason)


def test_a_container_is_named_as_the_reason() -> None:
    found = find_browser({}, platform="linux", in_container=lambda: True)
    assert found == NoBrowser("this is a container")


def test_the_reason_is_found_without_help() -> None:
    found = find_browser({}, platform="linux")
    assert isinstance(found, NoBrowser)
    assert found.reason in {"this is a container", "there is no graphical display"}


@pytest.mark.parametrize("display", ["DISPLAY", "WAYLAND_DISPLAY"])
def test_a_display_counts_over_ssh_and_in_containers(tmp_path: Path, display: str) -> None:
    """SSH variables alone misjudge: a display may be forwarded."""
    path = program(tmp_path / "bin", "firefox", "exit 0")
    environ = {display: "x", "SSH_CONNECTION": "a b c d", "PATH": str(path.parent)}
    assert find_browser(environ, platform="linux", in_container=lambda: True) == Browser(
        (str(path),)
    )


def test_the_systems_launcher_comes_before_a_browser_by_name(tmp_path: Path) -> None:
    program(tmp_path / "bin", "firefox", "exit 0")
    launcher = program(tmp_path / "bin", "xdg-open", "exit 0")
    environ = {"DISPLAY": ":0", "PATH": str(launcher.parent)}
    assert find_browser(environ, platform="linux") == Browser((str(launcher),))


def test_a_display_without_a_browser(tmp_path: Path) -> None:
    environ = {"DISPLAY": ":0", "PATH": str(tmp_path)}
    assert find_browser(environ, platform="linux") == NoBrowser("no browser is installed")


def test_windows_under_linux_is_asked_for_its_own(tmp_path: Path) -> None:
    path = program(tmp_path / "bin", "wslview", "exit 0")
    environ = {"WSL_DISTRO_NAME": "Debian", "PATH": str(path.parent)}
    assert find_browser(environ, platform="linux") == Browser((str(path),))


def test_macos_has_one_unless_over_ssh() -> None:
    assert find_browser({}, platform="darwin") == Browser(("/usr/bin/open",))
    found = find_browser({"SSH_CONNECTION": "a b c d"}, platform="darwin")
    assert found == NoBrowser("this is an SSH session")


def test_windows_has_one_that_needs_no_shell() -> None:
    found = find_browser({}, platform="win32")
    assert isinstance(found, Browser)
    assert found.argv[0] == "rundll32.exe"


# Opening it


async def test_the_address_arrives_as_one_argument(tmp_path: Path) -> None:
    """No shell takes it apart."""
    browser = fake_browser(tmp_path)
    assert await open_page(Browser((str(browser.path),)), URL, ENVIRON)
    assert browser.opened_urls() == [URL]


@pytest.mark.parametrize(
    "url",
    [
        "--remote-debugging-port=1",
        "-https://example.com/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "http://example.com/",
        "https://user:password@example.com/",
        "https://example.com/ --x",
        "https://example.com/\n",
        "https://exämple.com/",
        "https://example.com/ä",
        "//example.com/",
        "",
    ],
)
async def test_nothing_but_a_web_address_reaches_the_browser(tmp_path: Path, url: str) -> None:
    """H-C5: an option, a file or a script is none."""
    browser = fake_browser(tmp_path)
    with pytest.raises(ConfigError):
        await open_page(Browser((str(browser.path),)), url, ENVIRON)
    assert browser.opened_urls() == []


async def test_a_launcher_that_fails_at_once_is_noticed(tmp_path: Path) -> None:
    path = program(tmp_path, "launcher", "exit 3")
    assert not await open_page(Browser((str(path),)), URL, ENVIRON)


async def test_a_program_that_cannot_be_started_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "browser"
    path.write_text("no program")
    assert not await open_page(Browser((str(path),)), URL, ENVIRON)


async def test_a_browser_that_stays_is_left_running(tmp_path: Path) -> None:
    """And it is collected when it ends, by whoever watches it, however long that takes."""
    path = program(tmp_path, "browser", f'echo $$ > "{tmp_path}/pid"; read line < "{tmp_path}/end"')
    os.mkfifo(tmp_path / "end")
    assert await open_page(Browser((str(path),)), URL, ENVIRON, patience=0.0)
    assert await comes_true(lambda: bool(_read(tmp_path / "pid")), 30)
    pid = int(_read(tmp_path / "pid"))
    os.kill(pid, 0)
    (tmp_path / "end").write_text("\n")
    assert await comes_true(lambda: not _is_there(pid), 30)


async def test_the_browser_gets_no_terminal_no_secret_and_none_of_our_files(
    tmp_path: Path,
) -> None:
    """H-A4, H-F1: what it inherits, every page it opens might reach."""
    script = (
        f'env > "{tmp_path}/env"; cat > "{tmp_path}/stdin"; '
        f'ls -l /proc/$$/fd > "{tmp_path}/fds" 2>/dev/null; '
        f'ps -o sid= -p $$ > "{tmp_path}/session"; echo out; echo err >&2'
    )
    path = program(tmp_path, "browser", script)
    secret = "ATATT3xFfGF0" + "a" * 40  # shaped as one
    environ = {
        "PATH": search_path(),
        "DISPLAY": ":7",
        "JIRA_API_TOKEN": "made-up-token",
        "HARMLESS": secret,
    }
    ours = os.open(tmp_path, os.O_RDONLY)
    os.set_inheritable(ours, True)  # noqa: FBT003 - its signature
    try:
        assert await open_page(Browser((str(path),)), URL, environ)
    finally:
        os.close(ours)
    seen = _read(tmp_path / "env")
    assert "DISPLAY=:7" in seen
    assert "made-up-token" not in seen
    assert secret not in seen
    assert _read(tmp_path / "stdin") == ""
    if sys.platform == "linux":
        assert str(tmp_path) + "\n" not in _read(tmp_path / "fds")
    assert _read(tmp_path / "session").strip() != str(os.getsid(0))


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
