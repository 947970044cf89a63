"""Each situation's message, remedy, exit status and envelope are those that were reviewed.

`make catalogue` writes the snapshots anew from what the program says now; read them aloud, as the
person who meets them: what happened, why, what to do now.
"""

from __future__ import annotations

import json
import os
import re
import textwrap
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from tests.cli.catalogue.scene import Scene
from tests.cli.catalogue.situations import LOOKS, OVER, SITUATIONS
from tests.rigs.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.cli.console import Console
    from tests.sandbox.running import SandboxHandle

SNAPSHOTS = Path(__file__).with_name("snapshots")
WRITING = os.environ.get("TWG_CATALOGUE") == "write"
COLUMNS = 80
MOST_LINES = 5
COMMAND = re.compile(
    r"`(?:twg|unset|chmod|ps|rm|mv) [^`]+`|[Rr]un (?:it|the command)|revoke twg at"
)
"""What a person can do next: a command by name, or the one just given."""


@pytest.fixture
def scene(console: Console, sandbox: SandboxHandle) -> Iterator[Scene]:
    with ExitStack() as ending:
        yield Scene(console, sandbox, ending)


@pytest.mark.parametrize("name", SITUATIONS)
def test_what_is_told_is_what_was_reviewed(scene: Scene, name: str) -> None:
    """In a real process; and at a real terminal, where a person is needed."""
    words, make = SITUATIONS[name]
    words = tuple(word.replace("{sandbox}", scene.sandbox.url) for word in words)
    make(scene)

    status, told = told_to_people(scene, words)
    if name in OVER:
        make(scene)
    envelope = told_to_programs(scene, words)

    found = snapshot(scene, words, status, told, envelope)
    path = SNAPSHOTS / f"{name}.txt"
    if WRITING:
        path.write_text(found)
    assert found == path.read_text()


@pytest.mark.parametrize("path", sorted(SNAPSHOTS.glob("*.txt")), ids=lambda path: path.stem)
def test_a_message_is_short_and_names_what_to_do_next(path: Path) -> None:
    told, envelope = reviewed(path)

    assert told[0].startswith("twg: ")
    assert len(told) <= MOST_LINES, "\n".join(told)
    assert COMMAND.search(" ".join(" ".join(told).split())), "\n".join(told)
    assert envelope["remediation"].endswith("."), envelope


def test_there_is_a_snapshot_of_each_situation_and_none_is_left_over() -> None:
    assert {path.stem for path in SNAPSHOTS.iterdir()} == set(SITUATIONS)


def test_no_two_kinds_of_failure_are_told_in_the_same_words() -> None:
    by_message: dict[str, set[str]] = {}
    for path in SNAPSHOTS.glob("*.txt"):
        _, envelope = reviewed(path)
        by_message.setdefault(envelope["message"], set()).add(envelope["code"])

    assert {message: codes for message, codes in by_message.items() if len(codes) > 1} == {}


def told_to_people(scene: Scene, words: Sequence[str]) -> tuple[int, str]:
    """Run the command for a person; return its exit status and the failure that it told."""
    if scene.typed:
        status, shown = anyio.run(at_a_terminal, scene, words)
        return status, failure_in(shown)
    ended = scene.console.apart(*words, "-o", "text", status=None, under=scene.under)
    return ended.status, failure_in(ended.err)


def told_to_programs(scene: Scene, words: Sequence[str]) -> dict[str, Any]:
    """Run the command for a program; return what is in its envelope."""
    words = [*words, "-o", "json"]
    if scene.typed:
        _, shown = anyio.run(at_a_terminal, scene, words)
        document = json.loads(shown[shown.index("{\n") :])
    elif scene.apart:
        document = scene.console.apart(*words, status=None, under=scene.under).document
    else:
        document = scene.console.twg(*words, status=None).document
    assert document["ok"] is False
    error: dict[str, Any] = document["error"]
    return error


async def at_a_terminal(scene: Scene, words: Sequence[str]) -> tuple[int, str]:
    """Have a person run the command and type; return its status and all that was shown last."""
    env = scene.console.env
    # Wide: the snapshot is folded later, when names that differ from run to run are out of it.
    async with Terminal.start(["twg", *words], env=env, columns=400) as terminal:
        times: Counter[str] = Counter()
        for entered in scene.typed:
            times[entered.after] += 1
            again = f"(?:{re.escape(entered.after)}.*){{{times[entered.after]}}}"
            await terminal.until(re.compile(rf"(?s){again}(?:> *|: ?)$"))
            await terminal.send_line(entered.text)
        return await terminal.exit_status(), terminal.transcript()


def failure_in(shown: str) -> str:
    """Return what is told of the failure: the end, from the line that says what happened."""
    return "\n".join(re.split(r"(?m)^(?=twg: (?!warning: ))", shown)[-1].splitlines())


def snapshot(
    scene: Scene, words: Sequence[str], status: int, told: str, envelope: dict[str, Any]
) -> str:
    """Return what is kept of a situation."""
    plain = json.dumps(envelope, indent=2, ensure_ascii=False)
    command = " ".join(["twg", *words])
    parts = [f"$ {command}\n[exit status {status}]", folded(named(scene, told).strip()), plain]
    return named(scene, "\n\n".join(parts)) + "\n"


def named(scene: Scene, text: str) -> str:
    """Put names in place of what differs from run to run."""
    netloc = scene.sandbox.url.partition("//")[2]
    for value, name in (
        (scene.sandbox.url, "{sandbox}"),
        (netloc, "{sandbox-host}"),
        (str(scene.console.root), "{root}"),
        (LOOKS, "{random}"),
    ):
        text = text.replace(value, name)
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d", "{time}", text)
    text = re.sub(r"\b(auth|admin)-[0-9a-f]{16}\b", r"\1-{id}", text)
    text = re.sub(r"\d+ minutes from now", "{n} minutes from now", text)
    text = re.sub(r"\d+ of \d+ checks", "{n} checks", text)
    return re.sub(r"\bprocess \d+|ps -p \d+", lambda at: re.sub(r"\d+", "{pid}", at[0]), text)


def folded(text: str) -> str:
    """Fold lines as a terminal of the usual width makes twg do."""
    return "\n".join(
        textwrap.fill(
            line,
            COLUMNS,
            subsequent_indent=" " * (len(line) - len(line.lstrip())),
            break_long_words=False,
            break_on_hyphens=False,
        )
        for line in text.splitlines()
    )


def reviewed(path: Path) -> tuple[list[str], dict[str, Any]]:
    """Return the lines of a snapshot that a person reads, and the envelope."""
    _, told, envelope = path.read_text().split("\n\n", 2)
    found: dict[str, Any] = json.loads(envelope)
    return told.splitlines(), found
