"""`twg policy`, and what agents get by it: from the denial to the grant to its end."""

from __future__ import annotations

import json
import os
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio import to_thread

from guard.errors import FileUnwritable
from tests.cli.console import request_count
from tests.rigs.terminal import Terminal
from tests.vault.granting import grant_now, grant_store_at
from twg.cli import wiring as wirings
from twg.cli.wiring import Wiring
from twg.vault import sealed_file

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.console import Console, Ended
    from tests.sandbox.running import SandboxHandle
    from twg.policy import Moment
    from twg.vault import Grant


@pytest.fixture
def there(console: Console, sandbox: SandboxHandle) -> Console:
    """Alice is signed in at the sandbox."""
    console.sign_in(sandbox)
    console.settings('[storage]\nkey = "file"\n')
    return console


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the machine-wide limits are, for this test."""
    folder = tmp_path / "etc"
    folder.mkdir(mode=0o755)
    monkeypatch.setattr(Wiring, "machine_policy", folder / "policy.toml")
    monkeypatch.setattr(Wiring, "administrator", os.getuid())
    return folder / "policy.toml"


def granted(console: Console, **facts: Any) -> Grant:
    return anyio.run(partial(grant_now, console.root, **facts))


def create(console: Console, project: str = "HAR", *, status: int = 0) -> Ended:
    """Have an agent create an issue."""
    words = ["api", "jira", "/rest/api/3/issue", "-f", f"fields[project][key]={project}"]
    words += ["-f", "fields[summary]=made by an agent", "-f", "fields[issuetype][name]=Task"]
    return console.twg(*words, CLAUDECODE="1", status=status)


def shown(console: Console) -> dict[str, Any]:
    found: dict[str, Any] = console.twg("policy", "show", "-o", "json").data
    return found


def test_without_a_grant_an_agent_reads_and_is_told_what_its_person_is_to_run(
    there: Console,
) -> None:
    assert there.twg("api", "jira", "/rest/api/3/myself", CLAUDECODE="1").out

    ended = create(there, status=80)

    assert ended.error["code"] == "POLICY_DENIED"
    assert ended.error["human_required"] is True
    command = "`twg policy grant write --service jira --project HAR --for 1h`"
    assert command in ended.error["remediation"]
    assert "project HAR (POST /rest/api/3/issue)" in ended.error["message"]
    [record] = there.records("policy.denied")
    assert record["reason"] == "write jira POST /rest/api/3/issue"
    assert record["actor"]["agent"] == "claude-code"


def test_the_same_denial_a_hundred_times_is_one_record(there: Console) -> None:
    for _ in range(12):
        create(there, status=80)

    assert len(there.records("policy.denied")) == 1
    [one] = shown(there)["denials"]
    assert (one["times"], one["agent"], one["class"]) == (12, "claude-code", "write")


def test_a_grant_lets_an_agent_write_until_it_is_used_up(there: Console) -> None:
    grant = granted(there, service="jira", project="HAR", calls=2)

    assert create(there).out
    create(there, project="OPS", status=80)
    assert create(there).out
    create(there, status=80)

    called = [one["reason"] for one in there.records("agent.call")]
    assert called == [
        f"write jira POST /rest/api/3/issue: call {number} of 2 of grant {grant.id}"
        for number in (1, 2)
    ]
    assert shown(there)["grants"] == []


def test_a_call_that_fails_is_counted_all_the_same(there: Console) -> None:
    granted(there, calls=5)
    words = ["api", "jira", "/rest/api/3/issue", "-f", "fields[project][key]=NONE"]
    there.twg(*words, status=4, CLAUDECODE="1")
    assert shown(there)["grants"][0]["calls"] == 1


def test_a_grant_ends_with_its_time(there: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    granted(there, seconds=3600.0)
    assert create(there).out
    later = wirings.moment()

    def in_an_hour() -> Moment:
        boot = None if later.boottime is None else later.boottime + 3600
        return later._replace(boottime=boot, wall=later.wall + 3600)

    monkeypatch.setattr(wirings, "moment", in_an_hour)
    create(there, status=80)
    assert shown(there)["grants"] == []


def test_what_cannot_be_counted_is_not_sent(
    there: Console, sandbox: SandboxHandle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """H-D3."""
    granted(there, calls=5)

    def full(path: Path, _data: bytes) -> None:
        raise FileUnwritable(path, "No space left on device")

    monkeypatch.setattr(sealed_file, "replace_private", full)
    before = request_count(sandbox)
    create(there, status=73)
    assert request_count(sandbox) == before


def test_a_grant_that_an_agent_wrote_itself_counts_for_nothing(there: Console) -> None:
    """H-E1."""
    granted(there, calls=1, seconds=60.0)
    path = there.config / "policy.json"
    path.write_bytes(path.read_bytes().replace(b'"calls":1', b'"calls":9'))

    ended = create(there, status=80)

    assert "put there by another" in ended.error["message"] or "changed" in ended.error["message"]
    assert shown(there)["grants"] == []
    assert "`twg policy grant`" in shown(there)["trouble"]
    assert checks_of(there)["policy"] == "failed"


def test_a_deletion_needs_a_grant_of_its_own(there: Console) -> None:
    granted(there, access="write")
    ended = there.twg(
        "api", "jira", "/rest/api/3/issue/HAR-1", "-X", "DELETE", status=80, CLAUDECODE="1"
    )
    assert "twg policy grant delete --service jira --project HAR" in ended.error["remediation"]


def test_a_person_needs_no_grant(there: Console) -> None:
    words = ["api", "jira", "/rest/api/3/issue", "-f", "fields[project][key]=HAR"]
    assert there.twg(*words, "-f", "fields[summary]=mine", "-f", "fields[issuetype][name]=Task").out
    assert not (there.config / "policy.json").exists()


@pytest.mark.parametrize(
    ("setting", "words", "why"),
    [
        ('deny = ["jira"]', ["jira", "/rest/api/3/myself"], "may not use jira"),
        ('deny = ["jira"]', ["atlassian", "/ex/jira/1/rest/api/3/myself"], "may not use jira"),
        ("admin = false", ["admin", "/v1/orgs"], "Admin APIs"),
        ("admin = false", ["atlassian", "/admin/v1/orgs"], "Admin APIs"),
        ('read_only = ["*"]', ["jira", "/rest/api/3/issue", "-f", "a=b"], "may only read"),
    ],
)
def test_what_settings_close_no_grant_opens(
    there: Console, setting: str, words: list[str], why: str
) -> None:
    there.settings(f'[storage]\nkey = "file"\n[policy]\n{setting}\n')
    granted(there)

    ended = there.twg("api", *words, status=80, CLAUDECODE="1")

    assert why in ended.error["message"]
    assert "config.toml" in ended.error["message"]
    assert "twg policy grant" not in ended.error["remediation"]
    assert len(there.records("policy.denied")) == 1


def test_the_admin_apis_are_closed_to_agents_until_a_person_opens_them(there: Console) -> None:
    for words in (["admin", "/v1/orgs"], ["atlassian", "/admin/v1/orgs"]):
        ended = there.twg("api", *words, status=80, CLAUDECODE="1")
        assert "may not use the Admin APIs, by default" in ended.error["message"]
    there.settings('[storage]\nkey = "file"\n[policy]\nadmin = true\n')
    there.twg("api", "admin", "/v1/orgs", status=77, CLAUDECODE="1")


def test_a_machines_limits_hold_whatever_a_person_sets(there: Console, machine: Path) -> None:
    there.settings('[storage]\nkey = "file"\n[policy]\nadmin = true\ndeny = []\n')
    machine.write_text('admin = false\ndeny = ["jira"]\nlongest_grant = "30m"\n')
    granted(there)

    ended = there.twg("api", "jira", "/rest/api/3/myself", status=80, CLAUDECODE="1")
    assert str(machine) in ended.error["message"]
    ended = there.twg("api", "admin", "/v1/orgs", status=80, CLAUDECODE="1")
    assert str(machine) in ended.error["message"]
    assert there.twg("api", "jira", "/rest/api/3/myself").out, "it is about agents"
    ended = there.twg("policy", "grant", "write", "--for", "1h", "-o", "json", status=2)
    assert f"30 minutes at most, says {machine}" in ended.error["message"]
    told = there.twg("policy", "show").out
    assert f"Not at admin, jira, says {machine}." in told


def test_a_machines_limits_that_cannot_be_believed_stop_an_agent(
    there: Console, machine: Path
) -> None:
    machine.write_text("deny = []\n")
    machine.chmod(0o666)
    ended = there.twg("api", "jira", "/rest/api/3/myself", status=78, CLAUDECODE="1")
    assert "cannot be believed" in ended.error["message"]
    assert there.twg("api", "jira", "/rest/api/3/myself").out


@pytest.mark.parametrize("words", [["grant", "write"], ["revoke"]])
def test_an_agent_neither_grants_nor_revokes(console: Console, words: list[str]) -> None:
    """H-B5."""
    ended = console.twg("policy", *words, status=79, CLAUDECODE="1")
    assert ended.error["code"] == "HUMAN_REQUIRED"
    assert not console.state.exists()


def test_without_a_terminal_nobody_grants(console: Console) -> None:
    """H-B5, H-F4: an agent that has unset its markers has no terminal of its own."""
    ended = console.apart("policy", "grant", "write", "-o", "json", status=79)
    assert ended.error["code"] in {"TTY_REQUIRED", "HUMAN_REQUIRED"}
    assert not (console.config / "policy.json").exists()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["read"], "write"),
        (["write", "--for", "soon"], "--for"),
        (["write", "--for", "31d"], "30 days"),
        (["write", "--max", "0"], "--max"),
        (["write", "--service", "trello"], "--service"),
        (["write", "--project", "HAR"], "--project goes with"),
        (["write", "--service", "bitbucket", "--project", "HAR"], "--path says"),
        (["write", "--service", "jira", "--project", "demo-1"], "--project"),
        (["write", "--path", "/rest"], "--path goes with"),
        (["write", "--service", "jira", "--path", "/rest/../x"], "--path"),
        (["write", "--service", "bitbucket", "--site", "a.example"], "--site goes with"),
        (["write", "--site", "https://a.example"], "--site"),
    ],
)
def test_a_grant_that_would_cover_nothing_is_refused(
    console: Console, words: list[str], why: str
) -> None:
    ended = console.twg("policy", "grant", *words, "-o", "json", status=2)
    assert why in ended.error["message"] + ended.error["remediation"]


def test_a_grant_that_settings_close_is_refused(console: Console) -> None:
    ended = console.twg("policy", "grant", "write", "--service", "admin", "-o", "json", status=78)
    assert "would not count" in ended.error["message"]


async def test_a_person_sees_what_was_asked_for_and_agrees(there: Console) -> None:
    asked = ["api", "jira", "/rest/api/3/issue", "-f", "fields[project][key]=HAR"]
    await to_thread.run_sync(partial(there.apart, *asked, status=80, CLAUDECODE="1"))
    words = ["twg", "policy", "grant", "write", "--service", "jira", "--project", "HAR"]
    words += ["--for", "30m", "--max", "5"]
    async with Terminal.start(words, env=there.env, columns=80) as terminal:
        await terminal.until("y or n")
        await terminal.send_line("y")
        assert await terminal.exit_status() == 0
        told = terminal.transcript()
    told = " ".join(told.split())
    assert "Last asked for: claude-code, write at jira (POST /rest/api/3/issue)" in told
    assert "To allow: write at jira in HAR, for 30 minutes, 5 calls at most." in told
    assert "✔ Granted: write at jira in HAR" in told
    [one] = await grant_store_at(there.root).all()
    assert (one.access, one.service, one.project, one.calls) == ("write", "jira", "HAR", 5)


async def test_a_person_who_does_not_agree_has_granted_nothing(there: Console) -> None:
    async with Terminal.start(["twg", "policy", "grant", "delete"], env=there.env) as terminal:
        await terminal.until("y or n")
        await terminal.send_line("")
        assert await terminal.exit_status() == 0
        assert "Nothing was granted." in terminal.transcript()
    assert await grant_store_at(there.root).all() == ()


def test_grants_are_revoked_one_by_one_and_all_at_once(there: Console) -> None:
    for name in ("a1", "b2", "c3"):
        granted(there, name=name)

    assert "✔ Revoked b2: write at every service." in there.twg("policy", "revoke", "b2").out
    assert {one["id"] for one in shown(there)["grants"]} == {"a1", "c3"}
    assert there.twg("policy", "revoke", "b2", "-o", "json", status=2).error["code"] == "USAGE"
    gone = there.twg("policy", "revoke", "-o", "json").data["revoked"]
    assert sorted(gone) == ["a1", "c3"]
    assert "nothing to revoke" in there.twg("policy", "revoke").out
    assert len(there.records("policy.revoked")) == 3
    create(there, status=80)


def test_what_is_granted_and_what_was_denied_is_shown(there: Console) -> None:
    granted(there, service="jira", project="OTHER", calls=50)
    create(there, status=80)

    lines = there.twg("policy", "show").out.splitlines()

    assert lines[0] == "Agents read, at every service but those named here."
    assert lines[1] == "  Not at admin, by default."
    assert "  a1  write at jira in OTHER; 60 minutes left, 0 of 50 calls made" in lines
    assert any("claude-code, write at jira (POST /rest/api/3/issue)" in line for line in lines)
    assert "    `twg policy grant write --service jira --project HAR --for 1h` allows it" in lines


def checks_of(console: Console) -> dict[str, str]:
    """Return the doctor's verdicts by name."""
    told = console.twg("doctor", "--offline", "-o", "json", status=None).document["data"]
    return {one["name"]: one["status"] for one in told["checks"]}


def test_the_doctor_tells_that_agents_may_do_more(there: Console) -> None:
    assert "policy" not in checks_of(there)
    granted(there)
    assert checks_of(there)["policy"] == "note"
    there.twg("policy", "revoke")
    assert checks_of(there)["policy"] == "ok"


def test_what_the_policy_has_made_goes_with_the_rest(there: Console) -> None:
    granted(there, access="delete")
    create(there, status=80)
    told = there.twg("uninstall", "--dry-run", "-o", "json").data

    names = {path.rpartition("/")[2] for path in told["files"]}
    assert {"policy.json", "asked.json", "asked.lock", "policy.lock"} <= names
    assert {path.rpartition(".")[2] for path in told["files"] if "/policy-" in path} == {
        *("key", "mark"),
    }
    assert [path for path in told["left"] if "config.toml" not in path] == []


def test_anybody_may_look(console: Console) -> None:
    assert (
        "Nothing more is granted."
        in console.twg("policy", "show", "-o", "text", CLAUDECODE="1").out
    )
    assert not console.state.exists()
    assert json.loads(console.twg("policy", "show", CLAUDECODE="1").out)["data"]["grants"] == []
