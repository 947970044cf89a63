"""Git's own rewriting of addresses: those of a server, as people write them, are taken to `twg`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import anyio

from twg.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

_OURS: Final = r"^url\.twg::.*\.insteadof$"
_KEY: Final = re.compile(r"url\.twg::(?P<base>.+)/\.insteadof")
_SECONDS: Final = 20.0
_NONE_FOUND: Final = 1
# What git needs to find a person's configuration; nothing that would point it at a repository.
_PASSED_ON: Final = (
    "PATH",
    "HOME",
    "XDG_CONFIG_HOME",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
    "GIT_CONFIG_NOSYSTEM",
)


@dataclass(frozen=True, slots=True)
class Rewriting:
    """A line of git's configuration that takes a server's plain addresses to `git-remote-twg`.

    Attributes:
        base: What all of them begin with, such as ``https://bitbucket.org``, without a slash at
            its end.
    """

    base: str

    @property
    def key(self) -> str:
        """What git calls it."""
        return f"url.twg::{self.base}/.insteadOf"

    @property
    def value(self) -> str:
        """What it is set to."""
        return f"{self.base}/"

    @property
    def lines(self) -> tuple[str, str]:
        """What is in the file then."""
        return f'[url "twg::{self.base}/"]', f"    insteadOf = {self.base}/"


@dataclass(frozen=True, slots=True, kw_only=True)
class GitConfig:
    """A person's own configuration of git, which git itself reads and writes.

    Attributes:
        environ: The environment; what git needs of it is passed on.
        seconds: How long it may take.
    """

    environ: Mapping[str, str]
    seconds: float = _SECONDS

    def finds(self, program: str) -> bool:
        """Tell whether a program, such as git itself, is on the PATH."""
        return self._path_of(program) is not None

    async def rewritings(self) -> list[Rewriting]:
        """Return those that are there.

        Raises:
            ConfigError: There is no git, or it cannot read its configuration.
        """
        status, out = await self._run("config", "--global", "--null", "--get-regexp", _OURS)
        if status == _NONE_FOUND:
            return []
        if status:
            raise _cannot(status)
        pairs = (entry.partition("\n") for entry in out.split("\0"))
        found = ((_KEY.fullmatch(key), value) for key, _, value in pairs)
        # A line of another's making may take other addresses here; that one is not ours.
        ours = [key["base"] for key, value in found if key and value == f"{key['base']}/"]
        return [Rewriting(base) for base in dict.fromkeys(ours)]

    async def add(self, rewriting: Rewriting) -> None:
        """Add a line.

        Raises:
            ConfigError: There is no git, or it cannot write its configuration.
        """
        await self._must("config", "--global", "--add", rewriting.key, rewriting.value)

    async def remove(self, rewriting: Rewriting) -> None:
        """Remove it, and no other one of that key.

        Raises:
            ConfigError: There is no git, or it cannot write its configuration.
        """
        only = f"^{re.escape(rewriting.value)}$"
        await self._must("config", "--global", "--unset-all", rewriting.key, only)

    async def takes(self, rewriting: Rewriting) -> bool:
        """Tell whether git does as the line says: a longer or an earlier one may win over it.

        Raises:
            ConfigError: There is no git, or it cannot read its configuration.
        """
        address = f"{rewriting.base}/WORKSPACE/REPOSITORY"
        # Where it goes instead is not told: people have passwords in such lines.
        return (await self._must("ls-remote", "--get-url", address)).strip() == f"twg::{address}"

    def _path_of(self, program: str) -> str | None:
        return shutil.which(program, path=self.environ.get("PATH", os.defpath))

    async def _must(self, *words: str) -> str:
        status, out = await self._run(*words)
        if status:
            raise _cannot(status)
        return out

    async def _run(self, *words: str) -> tuple[int, str]:
        git = self._path_of("git")
        if git is None:
            raise ConfigError("git is not on the PATH", "Install git, then run the command again.")
        passed = {each: self.environ[each] for each in _PASSED_ON if each in self.environ}
        try:
            with anyio.fail_after(self.seconds):
                done = await anyio.run_process(
                    [git, *words],
                    stdin=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    cwd=os.sep,
                    env={**passed, "LC_ALL": "C"},
                    check=False,
                )
        except TimeoutError:
            raise ConfigError(f"git did not answer within {self.seconds:.0f} seconds") from None
        return done.returncode, done.stdout.decode(errors="replace")


def _cannot(status: int) -> ConfigError:
    return ConfigError(
        f"git cannot read or write its configuration (it ended with {status})",
        "Run `git config --global --list` to see why, and mend it.",
    )
