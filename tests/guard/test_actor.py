"""Who acts: told by what runs the process, and where."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from guard.actor import Actor
from tests.rigs.surroundings import clean_env
from tests.rigs.terminal import Terminal

REPOSITORY = Path(__file__).parents[2]
WHO = """
import json, os

from guard.actor import Actor
print("who:", json.dumps(Actor.of_this_process(agent=None, command="c", environ={})._asdict()))
"""


@pytest.mark.parametrize(
    ("agent", "environ", "kind"),
    [
        ("claude", {"CI": "true"}, "agent"),
        (None, {"CI": "true"}, "ci"),
        (None, {"CI": "1"}, "ci"),
    ],
)
def test_an_agent_and_ci_are_told_from_a_person(
    agent: str | None, environ: dict[str, str], kind: str
) -> None:
    actor = Actor.of_this_process(agent=agent, command="twg api", environ=environ)
    assert (actor.kind, actor.agent, actor.command) == (kind, agent, "twg api")
    assert (actor.uid, actor.pid, actor.ppid) == (os.getuid(), os.getpid(), os.getppid())


def test_ci_is_known_by_the_process_s_own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "TRUE")
    assert Actor.of_this_process(agent=None, command="c").kind == "ci"


def test_without_a_terminal_it_is_a_service() -> None:
    command = [sys.executable, "-c", WHO]
    done = subprocess.run(
        command, cwd=REPOSITORY, check=True, capture_output=True, text=True, start_new_session=True
    )
    who = json.loads(done.stdout.removeprefix("who:"))
    assert (who["kind"], who["tty"]) == ("service", None)


@pytest.mark.parametrize(
    ("redirected", "terminal"), [("", "/dev/pts/"), (" <&- 2>&1 | cat", "/dev/tty")]
)
async def test_at_a_terminal_it_is_a_person(tmp_path: Path, redirected: str, terminal: str) -> None:
    command = ["sh", "-c", f"\"{sys.executable}\" -c '{WHO}'{redirected}"]
    env = clean_env(tmp_path)
    async with Terminal.start(command, env=env, cwd=REPOSITORY, columns=300) as window:
        shown = await window.until(re.compile(r"who: .*\}"))
    who = json.loads(shown[shown.index("{") : shown.index("}") + 1])
    assert who["kind"] == "human"
    assert who["tty"].startswith(terminal)
