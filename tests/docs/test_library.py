"""The page on use as a library holds: every example on it is run, with the real parts."""

from __future__ import annotations

import io
import os
import re
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from guard import logs
from guard.actor import Actor
from guard.audit import AuditLog
from guard.audit_key import load_or_create_key
from guard.custody import Custody
from guard.scrub import Scrubber
from guard.verifying import prove
from tests.auth.parts import issued_by
from tests.docs.markdown import ROOT, read
from tests.rigs.surroundings import clean_env
from tests.rigs.terminal import Terminal
from tests.sandbox.running import running_sandbox
from tests.vault.samples import store_at
from twg.sandbox.people import ALICE

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = read("docs/library.md")
SECRET = "made-up-0123456789abcdef"
EXAMPLES = {
    "Call with a sign-in",
    "Ask for a secret",
    "Refuse secrets elsewhere",
    "Keep secrets out of what you write",
    "Prove the record",
    "Find secrets in files",
}
"""The sections whose example a test below runs."""


def example(heading: str) -> str:
    """Return the code of the one example below a heading."""
    (code,) = re.findall(r"^```python\n(.*?)^```$", section(heading), re.MULTILINE | re.DOTALL)
    return str(code)


def section(heading: str) -> str:
    """Return the text below a heading; a comment in code is none."""
    _, _, rest = PAGE.text.partition(f"\n## {heading}\n")
    assert rest, heading
    return rest.partition("\n## ")[0]


def names_of(heading: str) -> dict[str, Any]:
    """Run an example, and return what it defines."""
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(example(heading), heading, "exec"), names)  # noqa: S102 - it is ours
    return names


@pytest.fixture
def _logs_as_before() -> Iterator[None]:
    yield
    logs.reset()


def test_every_example_is_run_here() -> None:
    assert {each for each in EXAMPLES if example(each)} == EXAMPLES
    assert len(PAGE.blocks("python")) == len(EXAMPLES)


async def test_a_program_calls_with_a_sign_in(tmp_path: Path) -> None:
    """And is told what to do where there is none; the uses are on the record."""
    who_am_i = names_of("Call with a sign-in")["who_am_i"]
    environ = clean_env(tmp_path)
    async with running_sandbox(tmp_path, auto_approve=True) as sandbox:
        signed_in = await issued_by(sandbox, "work")
        now = replace(signed_in.tokens, issued_at=time.time())
        await store_at(tmp_path).save(replace(signed_in, tokens=now), expected=0)
        assert await who_am_i(environ, "work", sandbox.url) == ALICE.name
        assert "`twg login --profile home`" in await who_am_i(environ, "home", sandbox.url)
    events = recorded(tmp_path / "state")
    assert "secret.revealed" in events
    assert prove_count(tmp_path / "state") == len(events)


def recorded(state: Path) -> list[str]:
    """Return the events of a record."""
    return re.findall(r'"event":"([^"]+)"', (state / "audit.jsonl").read_text())


def prove_count(state: Path) -> int:
    """Return how many records are proven."""
    return prove(state / "audit.jsonl", load_or_create_key(state / "audit.key")).count


async def test_a_program_asks_for_a_secret(tmp_path: Path) -> None:
    program = tmp_path / "deploy.py"
    program.write_text(example("Ask for a secret"))
    argv = [sys.executable, str(program), str(tmp_path / "state")]
    env = clean_env(tmp_path, PYTHONPATH=str(ROOT))
    async with Terminal.start(argv, env=env) as terminal:
        shown = await terminal.until("> ")
        assert "It is sent to deploy.example.com alone." in shown
        await terminal.send_line(SECRET)
        assert await terminal.exit_status() == 0, terminal.transcript()
        assert "Got ‹redacted:deploy-key›." in terminal.transcript()
        assert SECRET not in terminal.transcript()
    assert recorded(tmp_path / "state") == ["secret.entered", "secret.revealed"]
    assert SECRET not in (tmp_path / "state" / "audit.jsonl").read_text()


async def test_a_program_that_an_agent_runs_asks_for_nothing(tmp_path: Path) -> None:
    program = tmp_path / "deploy.py"
    program.write_text(example("Ask for a secret"))
    argv = [sys.executable, str(program), str(tmp_path / "state")]
    env = clean_env(tmp_path, PYTHONPATH=str(ROOT), CLAUDECODE="1")
    async with Terminal.start(argv, env=env, columns=200) as terminal:
        assert await terminal.exit_status() == 1
        assert "`deploy login`" in terminal.transcript()
        assert "Paste" not in terminal.transcript()
    assert not (tmp_path / "state").exists()


def test_a_program_refuses_secrets_elsewhere() -> None:
    refusal = names_of("Refuse secrets elsewhere")["refusal"]
    reader, writer = os.pipe()
    try:
        told = [
            refusal(["--token", SECRET], {}),
            refusal([], {"ACME_TOKEN": SECRET}),
            refusal([], {}, reader),
        ]
    finally:
        os.close(reader)
        os.close(writer)
    assert "--token" in told[0]
    assert "ACME_TOKEN" in told[1]
    assert "standard input" in told[2]
    assert SECRET not in "".join(told)
    with Path(os.devnull).open() as nothing:
        assert refusal(["deploy"], {"OTHER_TOKEN": SECRET}, nothing.fileno()) is None


@pytest.mark.usefixtures("_logs_as_before")
def test_a_program_keeps_secrets_out_of_what_it_writes() -> None:
    names = names_of("Keep secrets out of what you write")
    names["custody"].take(SECRET, "deploy-key")
    mark = "‹redacted:deploy-key›"
    assert names["clean"]({"key": SECRET, "list": [f"a {SECRET}"]}) == {
        "key": mark,
        "list": [f"a {mark}"],
    }
    sink = io.BytesIO()
    assert names["copy"](io.BytesIO(f"it is {SECRET}\n".encode()), sink) == {"deploy-key": 1}
    assert sink.getvalue().decode() == f"it is {mark}\n"
    stream = io.StringIO()
    names["log_to"](stream)
    assert "signing in" in stream.getvalue()
    assert mark in stream.getvalue()
    assert SECRET not in stream.getvalue()


def record_in(state: Path) -> AuditLog:
    """Return a record as the page makes one."""
    return AuditLog(
        state / "audit.jsonl",
        key=lambda: load_or_create_key(state / "audit.key"),
        actor=Actor.of_this_process(agent=None, command="deploy"),
    )


def test_a_program_proves_the_record(tmp_path: Path) -> None:
    verdict = names_of("Prove the record")["verdict"]
    assert verdict(tmp_path / "state") == "all 0 records are as they were written"
    record = record_in(tmp_path / "state")
    record.record("deploy.begun")
    record.record("deploy.ended")
    assert verdict(tmp_path / "state") == "all 2 records are as they were written"
    record.path.write_text(record.path.read_text().replace("deploy.begun", "deploy.never"))
    assert "(record 1) was changed" in verdict(tmp_path / "state")


def test_a_program_finds_secrets_in_files(tmp_path: Path) -> None:
    """By their looks, and by their fingerprints on the record."""
    findings = names_of("Find secrets in files")["findings"]
    record = record_in(tmp_path / "state")
    Custody(Scrubber(), record).enter(SECRET, "deploy-key")
    files = [tmp_path / "looks.txt", tmp_path / "known.txt", tmp_path / "missing.txt"]
    files[0].write_text("\nkey ATATT3xFfGF0bWFkZS11cC10b2tlbi0wMTIzNDU2Nzg5=0123ABCD\n")
    files[1].write_text(f"  {SECRET}\n")
    looks, known, missing = findings(files, record)
    assert looks.startswith(f"{files[0]}:2:5 ")
    assert known == f"{files[1]}:1:3 deploy-key"
    assert missing.startswith(f"{files[2]}: ")
    assert "ATATT" not in looks
