"""Finding this machine's browser and opening a page in it, without a shell."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio

from guard.process import clean_environment
from twg.errors import ConfigError
from twg.http import origin

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_LOOK_AGAIN_SECONDS: Final = 0.05

_LINUX_LAUNCHERS: Final = (
    "xdg-open",
    "sensible-browser",
    "x-www-browser",
    "gnome-open",
    "firefox",
    "chromium",
    "google-chrome",
)


@dataclass(frozen=True, slots=True)
class Browser:
    """A program that opens the URL it is given as its last argument."""

    argv: tuple[str, ...]

    @property
    def name(self) -> str:
        """The program's name, for messages."""
        return Path(self.argv[0]).name


@dataclass(frozen=True, slots=True)
class NoBrowser:
    """There is no browser to open here.

    Attributes:
        reason: Why, in words that fit behind a colon.
    """

    reason: str


def find_browser(
    environ: Mapping[str, str],
    *,
    platform: str = sys.platform,
    which: Callable[[str], str | None] | None = None,
    in_container: Callable[[], bool] | None = None,
) -> Browser | NoBrowser:
    """Find the browser to open, or say why there is none.

    The order: 1. ``BROWSER``, which a person set; 2. no display to show one on (SSH and containers
    are only the words for it: an SSH session with a forwarded display has a browser); 3. the
    platform's launcher.

    Args:
        environ: Our environment.
        platform: As `sys.platform` has it.
        which: Finds a program on PATH.
        in_container: Tells whether this is a container.
    """
    which = which or partial(shutil.which, path=environ.get("PATH"))
    if environ.get("BROWSER"):
        return _named(environ["BROWSER"], which)
    if platform == "darwin":
        over_ssh = bool(environ.get("SSH_CONNECTION"))
        return NoBrowser("this is an SSH session") if over_ssh else Browser(("/usr/bin/open",))
    if platform == "win32":
        return Browser(("rundll32.exe", "url.dll,FileProtocolHandler"))
    if environ.get("WSL_DISTRO_NAME") and (viewer := which("wslview")):
        return Browser((viewer,))
    return _of_linux(environ, which, in_container or _in_container)


async def open_page(
    browser: Browser, url: str, environ: Mapping[str, str], *, patience: float = 3.0
) -> bool:
    """Open the page at `url`; tell whether that went well.

    The browser gets no terminal, none of our descriptors and an environment without secrets. It is
    left running.

    Args:
        browser: What to open it with.
        url: An absolute https URL, or an http one on loopback, in plain ASCII.
        environ: Our environment.
        patience: Seconds within which a launcher that cannot open anything says so.

    Raises:
        ConfigError: `url` is something else, such as an option or a file; nothing was started.
    """
    origin(url)
    if not url.isascii():
        raise ConfigError("the address to open is not plain ASCII")
    try:
        process = subprocess.Popen(  # noqa: S603, ASYNC220 - no shell; starting it takes no time
            [*browser.argv, url],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=clean_environment(environ),
            start_new_session=True,
            close_fds=True,
        )
    except OSError:
        return False
    # Somebody has to collect it when it ends, and that may be long after we stopped looking.
    threading.Thread(target=process.wait, name="twg browser", daemon=True).start()
    with anyio.move_on_after(patience):
        while process.returncode is None:  # noqa: ASYNC110 - the child is another program
            await anyio.sleep(_LOOK_AGAIN_SECONDS)
        return process.returncode == 0
    return True


def _named(value: str, which: Callable[[str], str | None]) -> Browser | NoBrowser:
    # Only a name on PATH or an absolute path: with arguments or a relative path, whoever sets the
    # variable would choose what we run.
    path = Path(value)
    if path.is_absolute():
        found = which(value)
    elif "/" in value or "\\" in value or any(character.isspace() for character in value):
        return NoBrowser("BROWSER is neither a program's name nor an absolute path")
    else:
        found = which(value)
    return Browser((found,)) if found else NoBrowser("the program in BROWSER is not there")


def _of_linux(
    environ: Mapping[str, str],
    which: Callable[[str], str | None],
    in_container: Callable[[], bool],
) -> Browser | NoBrowser:
    if not (environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY")):
        return NoBrowser(_why_no_display(environ, in_container))
    for launcher in _LINUX_LAUNCHERS:
        if path := which(launcher):
            return Browser((path,))
    return NoBrowser("no browser is installed")


def _why_no_display(environ: Mapping[str, str], in_container: Callable[[], bool]) -> str:
    if environ.get("SSH_CONNECTION") or environ.get("SSH_TTY"):
        return "this is an SSH session"
    if in_container():
        return "this is a container"
    return "there is no graphical display"


def _in_container() -> bool:
    return any(Path(mark).exists() for mark in ("/.dockerenv", "/run/.containerenv"))
