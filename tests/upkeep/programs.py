"""Schedulers for tests: real ones in namespaces of their own, and programs that are only played."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.rigs.parts import missing, program, search_path
from tests.upkeep import pretender

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_IN_PRIVATE = """
PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount --bind "$0" /var/spool && mkdir -p /var/spool/cron/crontabs && exec "$@"
"""

_MANAGER = """
mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system || exit 1
"$0" --user --unit=timers.target >/dev/null 2>&1 &
until systemctl --user show-environment >/dev/null 2>&1; do
  kill -0 $! || exit 1
  sleep 0.05
done
echo ready
read -r _
kill $!
wait
"""
_GROUPS = Path("/sys/fs/cgroup")


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

    def be_deaf(self) -> None:
        """Agree to everything and do nothing of it."""
        (self.state / "deaf").touch()


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
    apart = [program("unshare"), "--mount"]
    _check_namespaces(apart)
    command = [*apart, "/bin/sh", "-c", _IN_PRIVATE, str(spool), crontab]
    _executable(directory / "crontab", f'exec {shlex.join(command)} "$@"')


@contextmanager
def user_manager(directory: Path, home: Path) -> Iterator[dict[str, str]]:
    """Run systemd's user manager, with a `systemctl` in `directory` that speaks to it.

    It is in a namespace of processes, for as root it moves all that it sees in its control group
    into a new one; and in one of mounts, for it wants to see that systemd runs the machine.

    Yields the variables by which it is found.
    """
    systemd = program("systemd", "/usr/lib/systemd/systemd", "/lib/systemd/systemd")
    systemctl = program("systemctl")
    apart = [program("unshare"), "--pid", "--fork", "--kill-child", "--mount", "--mount-proc"]
    _check_namespaces(apart)
    # A socket's path has to be short.
    with _no_new_control_groups(), tempfile.TemporaryDirectory(prefix="twg-") as runtime:
        joined = {"XDG_RUNTIME_DIR": runtime}
        with subprocess.Popen(
            [*apart, "/bin/sh", "-c", _MANAGER, systemd],
            env={"HOME": str(home), "PATH": search_path(), **joined},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as manager:
            try:
                assert manager.stdout is not None
                if manager.stdout.readline() != b"ready\n":
                    missing("systemd's user manager does not start here")
                children = Path(f"/proc/{manager.pid}/task/{manager.pid}/children")
                inside = f"{program('nsenter')} --target {children.read_text()} --pid --mount"
                _executable(directory / "systemctl", f'exec {inside} {systemctl} "$@"')
                yield joined
            finally:
                manager.communicate()


@contextmanager
def _no_new_control_groups() -> Iterator[None]:
    before = _control_groups()
    try:
        yield
    finally:
        for made in _control_groups() - before:
            made.rmdir()


def _control_groups() -> set[Path]:
    return {*_GROUPS.glob("init.scope"), *_GROUPS.glob("*/init.scope")}


def _check_namespaces(apart: Sequence[str]) -> None:
    if subprocess.run([*apart, "true"], capture_output=True, check=False).returncode != 0:
        missing("a namespace is not to be had here; as root it is")


def without(directory: Path, path: str, names: Sequence[str]) -> str:
    """Return a PATH that has `directory` first and lacks the programs called `names` elsewhere."""
    kept = [
        each for each in path.split(":") if not any(Path(each, name).exists() for name in names)
    ]
    return ":".join([str(directory), *kept])


def _executable(path: Path, command: str) -> None:
    path.write_text(f"#!/bin/sh\n{command}\n")
    path.chmod(0o755)
