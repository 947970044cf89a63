"""A day of a person and two agents on the sandbox, told by the audit record alone."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import anyio
import pytest
from anyio import to_thread

from tests.rigs.terminal import Terminal
from twg import sandbox as sandboxes

if TYPE_CHECKING:
    from tests.cli.console import Console

pytestmark = pytest.mark.slow

ISSUE = ["-f", "fields[project][key]=HAR", "-f", "fields[issuetype][name]=Task"]
CREATE = ["api", "jira", "/rest/api/3/issue", *ISSUE, "-f", "fields[summary]=by an agent"]
GRANT = ["policy", "grant", "write", "--service", "jira", "--project", "HAR", "--for", "1h"]
MISTYPED = "hunter2-Xk9qLm4w"


async def at_terminal(console: Console, *words: str, status: int = 0, answer: str = "") -> None:
    """Have the person run `twg` in a terminal of their own."""
    async with Terminal.start(["twg", *words], env=console.env, columns=200) as terminal:
        if answer:
            await terminal.until("y or n")
            await terminal.send_line(answer)
        assert await terminal.exit_status() == status, terminal.transcript()


async def day(console: Console) -> str:
    """Live the day, and return where the sandbox is."""
    claude = replace(console, more={"CLAUDECODE": "1"})
    codex = replace(console, more={"CODEX_CI": "1"})

    async def agent(who: Console, *words: str, status: int = 0) -> None:
        await to_thread.run_sync(partial(who.apart, *words, status=status))

    running = await sandboxes.start(console.state, auto_approve=True)
    try:
        await at_terminal(console, "login", "--sandbox", "--device", "--no-bitbucket")
        await agent(claude, "api", "jira", "/rest/api/3/issue/HAR-1")
        await agent(claude, "api", "jira", "/rest/api/3/myself")
        await agent(codex, "api", "confluence", "/wiki/api/v2/spaces")
        await agent(codex, *CREATE, status=80)
        await agent(claude, *CREATE, status=80)
        await at_terminal(console, "login", "--token", MISTYPED, status=64)
        await at_terminal(console, *GRANT, answer="y")
        # It is sent; the sandbox wants another scope for it.
        await agent(claude, *CREATE, status=4)
        await at_terminal(console, "auth", "refresh", "--force")
        await agent(codex, "api", "jira", "/rest/api/3/myself")
        await at_terminal(console, "policy", "revoke")
        await at_terminal(console, "logout")
    finally:
        await sandboxes.stop(console.state)
    return running.url


@dataclass(frozen=True)
class Reader:
    """Who has nothing but the record, as `twg audit show -o json` gives it.

    Attributes:
        console: Where it is asked for.
    """

    console: Console

    def records(self, *words: str) -> list[dict[str, Any]]:
        """Return the records that are meant."""
        shown = self.console.twg("audit", "show", "-o", "json", "--since", "1d", *words)
        found: list[dict[str, Any]] = shown.data["records"]
        return found

    def sent(self, kind: str, *words: str) -> list[dict[str, Any]]:
        """Return when a kind of secret was sent somewhere."""
        found = self.records("--event", "secret.revealed", *words)
        return [
            each
            for each in found
            if each["secret"]["kind"] == kind and each["reason"].startswith("send")
        ]


def to_host(record: dict[str, Any]) -> str:
    """Return where a secret was sent."""
    return str(record.get("host") or urlsplit(record["reason"].split()[-1]).netloc)


def test_ten_questions_are_answered_by_the_record_alone(console: Console) -> None:
    """Who touched which credential, when, and is this all?"""
    host = urlsplit(anyio.run(day, console)).netloc
    ask(Reader(console), host)


def ask(reader: Reader, host: str) -> None:
    """Ask the ten questions."""
    # 1. Which agents acted, and was anybody else there but the person?
    actors = {(one["actor"]["kind"], one["actor"]["agent"]) for one in reader.records()}
    assert actors == {("human", None), ("agent", "claude-code"), ("agent", "codex")}

    # 2. How often did each agent use the access token, and to where did it go?
    for agent, times in (("claude-code", 3), ("codex", 2)):
        used = reader.sent("access-token", "--actor", agent)
        assert len(used) == times
        assert {to_host(one) for one in used} <= {host, host.partition(":")[0]}

    # 3. Did an agent ever use the refresh token, or renew?
    assert not reader.sent("refresh-token", "--actor", "agent")

    # 4. What were agents denied, and in which order?
    denied = reader.records("--event", "policy.denied")
    assert [one["actor"]["agent"] for one in denied] == ["codex", "claude-code"]
    assert {one["outcome"] for one in denied} == {"refused"}
    assert all("POST /rest/api/3/issue" in json.dumps(one) for one in denied)

    # 5. Who granted what, and was it before anything was written?
    (granted,) = reader.records("--event", "policy.granted")
    assert granted["actor"]["kind"] == "human"
    assert granted["actor"]["tty"]
    assert "write at jira in HAR" in json.dumps(granted)

    # 6. What was written by virtue of it, and by whom?
    calls = reader.records("--event", "agent.call")
    (written,) = [one for one in calls if "POST /rest/api/3/issue" in told(one)]
    assert written["actor"]["agent"] == "claude-code"
    assert written["seq"] > granted["seq"] > denied[-1]["seq"]

    # 7. What was refused to the person, and does the record hold it?
    (refused,) = reader.records("--event", "secret.refused")
    assert refused["actor"]["kind"] == "human"
    assert "--token" in refused["reason"]
    assert MISTYPED not in json.dumps(reader.records())

    # 8. When was the sign-in renewed, and by whom?
    (renewed,) = reader.records("--event", "token.refreshed")
    assert renewed["actor"]["command"] == "twg auth refresh"
    assert written["ts"] < renewed["ts"]

    # 9. When was the token last used by an agent, in which run, and was that the renewed one?
    last = reader.sent("access-token", "--actor", "agent")[-1]
    assert last["actor"]["agent"] == "codex"
    assert last["ts"] > renewed["ts"]
    run = reader.records("--trace", last["trace"])
    assert {one["actor"]["pid"] for one in run} == {last["actor"]["pid"]}
    same = reader.sent("access-token", "--fingerprint", last["secret"]["fingerprint"])
    assert all(one["ts"] > renewed["ts"] for one in same)

    # 10. Is the sign-in over, who ended it, and did anything use a credential afterwards?
    ended = reader.records("--event", "token.revoked")
    assert {one["actor"]["command"] for one in ended} == {"twg logout"}
    assert not reader.sent("access-token", "--actor", "agent", "--since", ended[-1]["ts"])

    # And is this all?
    proof = reader.console.twg("audit", "verify", "-o", "json").data
    numbers = [one["seq"] for one in reader.records()]
    assert numbers == [*range(1, proof["last"] + 1)]


def told(record: dict[str, Any]) -> str:
    """Return what a call was, whichever way it is told."""
    details = record.get("details", {})
    return f"{details.get('method')} {details.get('path')} {record.get('reason')}"
