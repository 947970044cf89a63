"""Schedulers for tests: a crontab with a spool of its own, and programs that are only played.

A real user manager of systemd is not among them: as root it moves every process of its control
group, which in a container is all there are, into a group of its own.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.rigs.parts import missing, program
from tests.upkeep import pretender

if TYPE_CHECKING:
    from collections.abc import Sequence

_IN_PRIVATE = """
PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount --bind "$0" /var/spool && mkdir -p /var/spool/cron/crontabs && exec "$@"
"""


@dataclass(frozen=True)
class Played:
    """A program that is played by `pretender`.

    Attributes:
        state: What it knows.
    """

    state: Path

    @property
    def calls(self) -> list[list[str]]:
        """Every call so far, the name first."""
        path = self.state / "calls"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def refuse(self, words: str | None) -> None:
        """Refuse everything with these words from now on; do as asked again with None."""
        path = self.state / "refuses"
        if words is None:
            path.unlink()
        else:
            path.write_text(words)


def played(directory: Path, name: str) -> Played:
    """Put a played program into `directory`."""
    state = directory.parent / f"{name} state"
    state.mkdir()
    script = [sys.executable, "-I", "-S", pretender.__file__, name, str(state)]
    _executable(directory / name, f'exec {shlex.join(script)} "$@"')
    return Played(state)


def real_crontab(directory: Path) -> None:
    """Put a program into `directory` that is the system's own crontab, but for its spool."""
    crontab = program("crontab")
    spool = directory.parent / "spool"
    spool.mkdir()
    apart = [program("unshare"), "--mount", "/bin/sh", "-c", _IN_PRIVATE, str(spool), crontab]
    if subprocess.run([*apart[:2], "true"], capture_output=True, check=False).returncode != 0:
        missing("a mount namespace is not to be had here; as root it is")
    _executable(directory / "crontab", f'exec {shlex.join(apart)} "$@"')


def without(directory: Path, path: str, names: Sequence[str]) -> str:
    """Return a PATH that has `directory` first and lacks the programs called `names` elsewhere."""
    kept = [
        each for each in path.split(":") if not any(Path(each, name).exists() for name in names)
    ]
    return ":".join([str(directory), *kept])


def _executable(path: Path, command: str) -> None:
    path.write_text(f"#!/bin/sh\n{command}\n")
    path.chmod(0o755)
