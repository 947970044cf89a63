"""`twg demo`: the story holds whoever watches, ends red where it does not, and leaves nothing."""

from __future__ import annotations

import re
import socket
import sys
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.rigs.terminal import Terminal
from twg import sandbox as sandboxes

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.console import Console

pytestmark = pytest.mark.slow

STEPS = 10


@pytest.fixture
def folder(console: Console, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made; and no log is kept, for nothing else is to be written."""
    console.settings('[storage]\nkey = "file"\n')
    folder = tmp_path / "temporary"
    folder.mkdir()
    console.more["TMPDIR"] = str(folder)
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def assert_nothing_is_left(console: Console, folder: Path, said: str) -> None:
    """No folder, no sandbox, and nothing in the person's own installation."""
    assert list(folder.iterdir()) == []
    found = re.search(r"http://127\.0\.0\.1:(\d+)", said)
    assert found, said
    with socket.socket() as one, pytest.raises(ConnectionRefusedError):
        one.connect(("127.0.0.1", int(found[1])))
    assert not console.state.exists()
    assert [path.name for path in console.config.iterdir()] == ["config.toml"]


def test_a_person_sees_every_step_and_what_was_seen(console: Console, folder: Path) -> None:
    ended = console.apart("demo")

    lines = ended.out.splitlines()
    titles = [line for line in lines if re.match(r" ?\d+\. ", line)]
    assert [int(line.split(".")[0]) for line in titles] == list(range(1, STEPS + 1))
    assert sum(line.startswith("    ✔ ") for line in lines) == STEPS
    assert lines[-1].startswith(f"✔ All {STEPS} steps went as they should.")
    assert ended.err == ""
    assert_nothing_is_left(console, folder, ended.out)


def test_an_agent_may_run_it_and_gets_one_document(console: Console, folder: Path) -> None:
    """H-F1: nothing of it is anybody's but the sandbox's; a secret is refused to an agent too."""
    ended = console.apart("demo", CLAUDECODE="1", TWG_PROFILE="work")

    assert len(ended.data["steps"]) == STEPS
    assert all(step["title"] and step["seen"] for step in ended.data["steps"])
    assert "1 renewal" in ended.data["steps"][5]["seen"]
    assert " 1. A local Atlassian" in ended.err, "what goes on is told beside"
    assert_nothing_is_left(console, folder, ended.out)


def test_a_step_that_goes_wrong_ends_it(
    console: Console, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server refuses to renew, so what is seen is not what should be."""
    faults = ("invalid-grant-400",)
    monkeypatch.setattr(sandboxes, "start", partial(sandboxes.start, faults=faults))

    ended = console.twg("demo", "-o", "json", status=3)

    assert ended.error["code"] == "PARTIAL"
    assert ended.error["message"].startswith("step 5 (")
    assert list(ended.document["data"]["failures"]) == ["step 5"]
    assert_nothing_is_left(console, folder, ended.err)


def test_an_error_in_a_step_ends_it(
    console: Console, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandboxes, "start", partial(sandboxes.start, faults=("wrong-state",)))

    ended = console.twg("demo", "-o", "json", status=76)

    assert ended.error["code"] == "PROTOCOL"
    assert_nothing_is_left(console, folder, ended.err)


async def test_ctrl_c_ends_it_and_its_sandbox(console: Console, folder: Path) -> None:
    async with Terminal.start(["twg", "demo"], env=console.env) as terminal:
        await terminal.until("List issues")
        await terminal.interrupt()
        assert await terminal.exit_status() == 130
        said = terminal.transcript()

    assert_nothing_is_left(console, folder, said)


def test_without_the_extra_it_names_the_command_that_installs_it(
    console: Console, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Python that lacks the extra's packages."""
    python = tmp_path / "python"
    code = (
        "import runpy, sys; sys.modules['starlette'] = sys.modules['uvicorn'] = None;"
        " runpy.run_module('twg.sandbox', run_name='__main__')"
    )
    python.write_text(f'#!/bin/sh\nshift 2\nexec "{sys.executable}" -c "{code}" "$@"\n')
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))

    error = console.twg("demo", "-o", "json", status=78).error

    assert error["remediation"] == "Run `pip install 'twg-cli[sandbox]'`."
    assert "not installed" in error["message"]
    assert list(folder.iterdir()) == []
