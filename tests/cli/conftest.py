"""Fixtures: an installation to run `twg` on, a sandbox, and a server that a test scripts."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

import pytest
from anyio.from_thread import start_blocking_portal

from guard import agents, logs
from tests.cli.console import Console, sandbox_at, standard_input
from tests.oauth.servers import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.oauth.servers import Server
    from tests.sandbox.running import SandboxHandle


@pytest.fixture
def console(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Console]:
    """An installation that keeps its key in a file: the key ring of whoever tests is not touched.

    Who started the test runner does not count as having started `twg`. It keeps a log, of every
    level; whatever a test does, no secret of its is in that afterwards (H-F1).
    """
    monkeypatch.setattr(agents, "detect", partial(agents.detect, ancestors=tuple))
    one = Console(tmp_path)
    one.settings('[storage]\nkey = "file"\n[log]\nfile = true\n')
    null = os.open(os.devnull, os.O_RDONLY)
    with standard_input(null):
        yield one
    os.close(null)
    logs.reset()


@pytest.fixture
def no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `twg api` not wait between tries: how long it would is tested by itself."""
    monkeypatch.setattr("twg.cli.calling.rest_after", lambda _failures: 0.0)


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxHandle]:
    """A sandbox that plays the person; one for all tests, which compare what it counts."""
    with sandbox_at(tmp_path_factory.mktemp("sandbox")) as running:
        yield running


@pytest.fixture
def server() -> Iterator[Server]:
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(serving()) as running,
    ):
        yield running
