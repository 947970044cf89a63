"""What an agent does for its person: reads, is denied, is granted, writes, loses the grant."""

from __future__ import annotations

import re
import shlex
import sys
from collections import Counter
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import anyio
import pytest
from anyio import to_thread

from guard.forms import forms
from tests.cli.console import Console
from tests.refresh.tracing import REPOSITORY
from tests.rigs.programs import line_with, running
from tests.rigs.terminal import Terminal
from tests.sandbox.running import running_sandbox
from tests.vault.granting import grant_now, grant_store_at

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Sequence
    from pathlib import Path

    from tests.cli.console import Ended
    from tests.sandbox.running import SandboxHandle
    from twg.vault import Grant

pytestmark = pytest.mark.slow

LONGEST = 240.0
"""Seconds that all of it may take; only a fault needs them."""

CREATE = [
    *("api", "jira", "/rest/api/3/issue", "-f", "fields[project][key]=HAR"),
    *("-f", "fields[summary]=Dredge the basin", "-f", "fields[issuetype][name]=Task"),
]


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[SandboxHandle]:
    async with running_sandbox(tmp_path, auto_approve=True) as running:
        yield running


class Agent:
    """An agent: it runs commands with its marker and without a terminal, and keeps all it sees."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.transcript = ""

    async def runs(self, *words: str, status: int = 0) -> Ended:
        ended = await to_thread.run_sync(
            partial(self._console.apart, *words, status=status, CLAUDECODE="1")
        )
        self.transcript += f"$ {shlex.join(words)}\n{ended.out}{ended.err}"
        return ended


def found_in(transcript: str, secrets: Iterable[str]) -> list[str]:
    """Return the forms of secrets that a text holds, wrapped and coloured in whatever way."""
    seen = re.sub(r"\x1b\[[0-9;]*[A-Za-z]|\s", "", transcript)
    wanted = [form for secret in secrets for form in forms(secret)]
    assert len(wanted) > 100, "there is nothing to search for"
    return [form for form in wanted if re.sub(r"\s", "", form) in seen]


def an_hour_older(grants: Sequence[Grant]) -> list[Grant]:
    """Date grants as they will be in an hour."""
    return [
        replace(
            one,
            granted_at=one.granted_at - 3600,
            boottime=None if one.boottime is None else one.boottime - 3600,
        )
        for one in grants
    ]


async def test_an_agent_does_a_task_with_what_its_person_allows(
    tmp_path: Path, sandbox: SandboxHandle
) -> None:
    """H-F1, H-F4, H-F5: and nothing that it saw holds a secret, in whatever form."""
    console = Console(tmp_path)
    await to_thread.run_sync(console.sign_in, sandbox)
    console.settings('[storage]\nkey = "file"\n')
    agent = Agent(console)

    search = ["api", "jira", "/rest/api/3/search/jql", "-f", "jql=project = HAR"]
    found = await agent.runs(*search, "-F", "maxResults=1")
    [issue] = found.data["issues"]
    assert issue["key"].startswith("HAR-")
    pages = await agent.runs("api", "confluence", "/wiki/api/v2/pages?limit=1")
    page = pages.data["results"][0]["id"]
    assert (await agent.runs("api", "confluence", f"/wiki/api/v2/pages/{page}")).data["title"]
    denied = await agent.runs(*CREATE, status=80)
    assert denied.error["human_required"] is True
    command = re.search(r"`(twg policy grant [^`]*)`", denied.error["remediation"])
    assert command is not None
    assert (await agent.runs(*command[1].split()[1:], status=79)).error["human_required"] is True

    async with Terminal.start(command[1].split(), env=console.env) as terminal:
        await terminal.until("y or n")
        await terminal.send_line("y")
        assert await terminal.exit_status() == 0
        assert "Last asked for: claude-code, write at jira" in terminal.transcript()

    made = (await agent.runs(*CREATE)).data["key"]
    assert (await agent.runs("api", "jira", f"/rest/api/3/issue/{made}")).data["key"] == made
    await agent.runs("api", "jira", f"/rest/api/3/issue/{made}", "-X", "DELETE", status=80)
    await grant_store_at(tmp_path).change(an_hour_older)
    again = await agent.runs(*CREATE, status=80)
    assert again.error["message"] == denied.error["message"]
    assert (await agent.runs("policy", "show")).data["grants"] == []

    keys = [path.read_text().strip() for path in console.state.glob("*-*.key")]
    assert len(keys) == 2
    assert found_in(agent.transcript, [*await sandbox.issued(), *keys]) == []
    records = await to_thread.run_sync(console.records)
    calls = [one for one in records if one["event"] == "agent.call"]
    assert len([one for one in calls if "reason" not in one]) >= 4, "reading is on record, too"
    story = [
        one["event"]
        for one in records
        if one["event"].startswith("policy.") or (one["event"] == "agent.call" and "reason" in one)
    ]
    # The last denial was like the first.
    assert story == ["policy.denied", "policy.granted", "agent.call", "policy.denied"]


async def test_two_hundred_agents_at_once_are_all_answered_and_counted_exactly(
    tmp_path: Path, sandbox: SandboxHandle
) -> None:
    """H-D1: on one profile whose token has expired, with calls for three in four of them."""
    console = Console(tmp_path)
    await to_thread.run_sync(partial(console.sign_in, sandbox, age=7200.0))
    console.settings('[storage]\nkey = "file"\n')
    await grant_now(tmp_path, service="jira", project="HAR", calls=150)
    env = console.env | {"CLAUDECODE": "1", "PYTHONPATH": str(REPOSITORY)}
    argv = [sys.executable, "-m", "tests.policy.crowd", "200", *CREATE]
    before = (await sandbox.stats())["grants"].get("refresh_token", 0)

    async with running(argv, env) as process:
        await line_with(process, "ready")
        assert process.stdin is not None
        await process.stdin.send(b"go\n")
        assert process.stdout is not None
        with anyio.fail_after(LONGEST):
            said = b"".join([chunk async for chunk in process.stdout])
    ended = said.decode().split()

    assert Counter(ended) == {"0": 150, "80": 50}
    assert (await sandbox.stats())["grants"]["refresh_token"] == before + 1
    [grant] = await grant_store_at(tmp_path).all()
    assert grant.used == 150
    created = (await sandbox.stats())["requests"]["POST /ex/jira/{cloudId}/rest/api/3/issue"]
    assert created == 150, "none was sent twice, or without being counted"
