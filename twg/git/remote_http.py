"""Git's own HTTP helper, run against the bridge with nothing in reach that could send more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyio

from guard.process import clean_environment
from twg.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

_CONFIG: Final = {
    "http.proxy": "",
    "http.extraHeader": "",  # an empty one takes back those of the user
    "http.cookieFile": "",
    "http.followRedirects": "false",
    "http.version": "HTTP/1.1",
    "credential.helper": "",  # likewise
}
_DROPPED: Final = ("GIT_ASKPASS", "SSH_ASKPASS", "GIT_PROXY_COMMAND", "GIT_HTTP_PROXY_AUTHMETHOD")


async def run(address: str, environ: Mapping[str, str], umask: int) -> int:
    """Let git's HTTP helper speak with git on our standard input and output.

    Args:
        address: The bridge's.
        environ: The environment that git gave us.
        umask: For the files it writes, which are the user's.

    Returns:
        Its exit status.

    Raises:
        ConfigError: There is no git.
    """
    try:
        process = await anyio.open_process(
            # The address in place of a remote's name, so that no setting of that remote applies.
            ["git", "remote-http", address, address],
            stdin=None,
            stdout=None,
            stderr=None,
            env=surroundings(environ),
            umask=umask,
        )
    except FileNotFoundError:
        raise ConfigError("git is not on the PATH") from None
    async with process:
        return await process.wait()


def surroundings(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for git's helper: loopback only, no proxy, nobody asked."""
    kept = {name: text for name, text in clean_environment(environ).items() if _may_stay(name)}
    return {
        **kept,
        **_configured(kept),
        "NO_PROXY": "127.0.0.1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": "http",
    }


def _may_stay(name: str) -> bool:
    return name not in _DROPPED and not name.lower().endswith("_proxy")


def _configured(environ: Mapping[str, str]) -> dict[str, str]:
    """Return variables that add our settings behind those that came the same way (git-config)."""
    count = environ.get("GIT_CONFIG_COUNT", "0")
    first = int(count) if count.isascii() and count.isdigit() else 0
    settings: dict[str, str] = {}
    for number, (name, value) in enumerate(_CONFIG.items(), start=first):
        settings[f"GIT_CONFIG_KEY_{number}"] = name
        settings[f"GIT_CONFIG_VALUE_{number}"] = value
    return {**settings, "GIT_CONFIG_COUNT": str(first + len(_CONFIG))}
