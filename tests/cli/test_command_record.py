"""What the record says of a command as a whole: who ran it, what it was, and how it ended."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from guard import agents, chain
from tests.oauth.servers import document
from tests.vault import samples
from twg import __version__
from twg.cli.command_record import DROPPED

if TYPE_CHECKING:
    from tests.cli.console import Console
    from tests.oauth.servers import Server

REFUSED = "ATATT3xFfGF0bWFkZS11cA-9876543210=0123ABCD"


def test_a_command_that_handles_a_secret_says_who_ran_it_and_where(
    console: Console, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agents, "ancestor_names", lambda: iter(["bash", "bash", "make"]))
    console.sign_in_at(server.url)
    server.on("/me", document({"name": "one"}))
    console.twg("api", "atlassian", "/me", AGENT="codex")

    first, *_, last = console.records()
    assert (first["event"], last["event"]) == ("command.started", "command.ended")
    assert first["actor"]["command"] == "twg api"
    assert (first["actor"]["kind"], first["actor"]["agent"]) == ("agent", "codex")
    details = first["details"]
    assert details["recognised_by"] == "marker AGENT"
    assert details["ancestors"] == ["bash", "make"]
    assert details["directory"] == str(Path.cwd())
    assert details["version"] == __version__
    assert details["user"]
    traces = {each["trace"] for each in console.records()}
    assert traces == {first["trace"]}
    assert len(first["trace"]) == 32


def test_the_end_has_what_atlassians_own_audit_log_has(console: Console, server: Server) -> None:
    console.sign_in_at(server.url)
    server.on("/me", document({"name": "one"}))
    console.twg("api", "atlassian", "/me", AGENT="codex")
    (ended,) = console.records("command.ended")
    duration = ended["details"].pop("duration_ms")
    assert 0 <= duration < 60_000
    assert ended["outcome"] == "ok"
    assert ended["details"] == {
        "arguments": ["api", "atlassian", "/me"],
        "command_name": "twg api",
        "command_family": "api",
        "command_type": "read",
        "status_code": 0,
        "invocation_source": "agent",
        "agent_runtime": "codex",
        "permissions_used": ["read"],
        "cli_version": __version__,
        "manually_interrupted": False,
        "trace_id": ended["trace"],
    }


def test_a_call_of_an_agents_says_what_was_called(console: Console, server: Server) -> None:
    console.sign_in_at(server.url)
    server.on("/me", document({"name": "one"}))
    console.twg("api", "atlassian", "/me", AGENT="codex")
    (call,) = console.records("agent.call")
    assert call["details"] == {
        "access": "read",
        "service": "atlassian",
        "method": "GET",
        "path": "/me",
    }


def test_what_an_agent_is_denied_ends_refused(console: Console, server: Server) -> None:
    console.sign_in_at(server.url)
    console.twg("api", "atlassian", "/me", "-X", "DELETE", status=80, AGENT="codex")
    (ended,) = console.records("command.ended")
    assert ended["outcome"] == "refused"
    assert ended["details"]["status_code"] == 80
    assert ended["details"]["command_type"] == "delete"
    assert console.records("agent.call") == []


def test_the_host_that_a_secret_goes_to_is_named(console: Console, server: Server) -> None:
    console.sign_in_at(server.url)
    server.on("/me", document({"name": "one"}))
    console.twg("api", "atlassian", "/me")
    hosts = [each["host"] for each in console.records("secret.revealed") if "host" in each]
    assert hosts == [server.url.partition("://")[2]]


def test_what_was_revealed_is_on_the_disk_before_the_request_arrives(
    console: Console, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    console.sign_in_at(server.url)
    server.on("/me", document({"name": "one"}))
    synced: list[tuple[int, bool]] = []

    def note(_log: int) -> None:
        revealed = '"reason":"send to ' in (console.state / "audit.jsonl").read_text()
        synced.append((len(server.received), revealed))

    monkeypatch.setattr(chain, "_sync", note)
    console.twg("api", "atlassian", "/me")
    assert synced == [(0, True)]


def test_h_g3_a_full_disk_stops_what_reveals_a_secret_unless_the_settings_say_otherwise(
    console: Console, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """H-G3."""
    console.sign_in_at(server.url)
    server.on("/me", document({"name": "one"}))
    console.twg("api", "atlassian", "/me")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(chain.Chain, "append", full)
    refused = console.twg("api", "atlassian", "/me", "-o", "json", status=74)
    assert "No space left on device" in refused.error["message"]
    assert len(server.received) == 1

    console.settings('[storage]\nkey = "file"\n[audit]\non_failure = "warn"\n')
    done = console.twg("api", "atlassian", "/me")
    assert done.err.count("could not be recorded yet") == 1
    assert len(server.received) == 2


def test_a_command_that_handles_no_secret_leaves_no_line(console: Console) -> None:
    console.twg("auth", "status", status=None)
    assert not (console.state / "audit.jsonl").exists()


def test_h_a1_of_a_refused_command_line_no_word_is_recorded(console: Console) -> None:
    """H-A1."""
    console.twg("login", "--token", REFUSED, "hunter2", status=64)
    (ended,) = console.records("command.ended")
    assert ended["outcome"] == "refused"
    assert ended["details"]["arguments"] == [DROPPED] * 4
    assert console.traces_of(REFUSED, "hunter2") == []


def test_a_stored_secret_among_the_arguments_is_replaced(console: Console, server: Server) -> None:
    """It has no shape by which it would be refused at once, and is known by the end."""
    console.sign_in_at(server.url)
    console.twg("api", "atlassian", f"/{samples.ACCESS}", status=None)
    assert console.traces_of(samples.ACCESS) == []


def test_h_g3_the_record_goes_on_in_files_as_the_settings_say(
    console: Console, server: Server
) -> None:
    """And is removed, where they say so."""
    console.settings('[storage]\nkey = "file"\n[audit]\nfile_megabytes = 0.002\nkeep_days = 3000\n')
    console.sign_in_at(server.url)
    server.on("/me", document({"name": "one"}))
    for _ in range(2):
        console.twg("api", "atlassian", "/me")
    assert len([*console.state.glob("audit-*.jsonl.gz")]) > 1


def test_the_log_is_kept_where_the_settings_say_so(console: Console, server: Server) -> None:
    console.settings('[storage]\nkey = "file"\n[log]\nfile = true\n')
    console.sign_in_at(server.url)
    server.on("/me", document({"name": "one"}))
    console.twg("api", "atlassian", "/me")
    kept = console.state / "log" / "twg.jsonl"
    lines = [json.loads(line) for line in kept.read_text().splitlines()]
    assert {line["trace"] for line in lines} == {console.records()[0]["trace"]}
    assert {"answered", "secret.revealed"} <= {line["event"] for line in lines}
    assert console.traces_of(*samples.SECRETS) == []


@pytest.mark.parametrize(
    "setting",
    [
        'on_failure = "perhaps"',
        "file_megabytes = 0",
        "file_megabytes = 61",
        "file_days = true",
        'keep_days = "all"',
        'syslog = "no"',
        "color = 1",
    ],
)
def test_a_setting_of_the_record_that_cannot_be_used_is_named(
    console: Console, setting: str
) -> None:
    console.settings(f"[audit]\n{setting}\n")
    said = console.twg("auth", "list", status=78).err
    assert setting.partition(" ")[0] in said
