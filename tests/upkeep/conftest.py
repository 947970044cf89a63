"""Fixtures: an installation in an awkward place, its schedulers, and a sandbox."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import console as plain_console
from tests.cli.conftest import sandbox, server
from tests.upkeep.programs import played, real_crontab, without

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.console import Console
    from tests.upkeep.programs import Played

__all__ = ["plain_console", "sandbox", "server"]

AWKWARD = '50% of $HOME, "mine" & \'so'
"""A directory's name in which each language of schedules finds something of its own."""
AWKWARD_PROGRAM = "python 3% $HOME & so"
"""A program's name, as awkward as systemd takes one: without quotes and backslashes."""


@pytest.fixture
def console(plain_console: Console, tmp_path: Path) -> Console:
    """An installation of which every path is awkward, and whose PATH has no scheduler."""
    plain_console.root = tmp_path / AWKWARD
    (plain_console.root / "bin").mkdir(parents=True)
    plain_console.settings('[storage]\nkey = "file"\n')
    names = ("systemctl", "launchctl", "crontab", "loginctl")
    path = without(plain_console.root / "bin", plain_console.env["PATH"], names)
    plain_console.more["PATH"] = f"{path}:/bin/of nobody"
    return plain_console


@pytest.fixture
def interpreter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The Python that has twg, under an awkward name, too."""
    path = tmp_path / AWKWARD_PROGRAM
    path.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    path.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(path))
    return path


@pytest.fixture
def systemctl(console: Console) -> Played:
    """A played systemd: its manager is there and does as it is told."""
    return played(console.root / "bin", "systemctl")


@pytest.fixture
def launchctl(console: Console) -> Played:
    return played(console.root / "bin", "launchctl")


@pytest.fixture(params=["played", "real"])
def crontab(request: pytest.FixtureRequest, console: Console) -> None:
    """Debian's crontab with a spool of its own, or a played one where there is none."""
    if request.param == "real":
        real_crontab(console.root / "bin")
    else:
        played(console.root / "bin", "crontab")
