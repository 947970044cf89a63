"""`twg audit`: what is on record is shown, proven, summed up and handed on."""

from __future__ import annotations

import json
import re
import stat
from typing import TYPE_CHECKING, Any

import pytest

from guard.audit import Actor, AuditLog, load_or_create_key
from guard.secret import Secret
from tests.rigs.terminal import Terminal
from twg.cli import audit_show

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.console import Console

TOKEN = "n0t-A-r3al_token.Value~9"
FINGERPRINT = "[0-9a-f]{16}"


def log_of(console: Console, agent: str | None = None, trace: str = "0" * 16) -> AuditLog:
    console.state.mkdir(mode=0o700, exist_ok=True)
    actor = Actor(
        kind="human" if agent is None else "agent",
        agent=agent,
        uid=1000,
        pid=7,
        ppid=6,
        tty=None,
        command="twg api",
    )
    key = console.state / "audit.key"
    return AuditLog(
        console.state / "audit.jsonl",
        key=lambda: load_or_create_key(key),
        actor=actor,
        trace=trace,
    )


@pytest.fixture
def kept(console: Console) -> Console:
    """An installation where a person and an agent used a token."""
    secret = Secret(TOKEN, "access-token")
    person, agent = log_of(console), log_of(console, "claude-code", "a" * 16)
    person.record("token.issued", secret=secret, host="auth.example.com", profile="work")
    person.record("secret.revealed", secret=secret, reason="send", host="api.example.com")
    agent.record("secret.revealed", secret=secret, reason="send", host="api.example.com")
    agent.record("policy.denied", outcome="refused", reason="write jira POST /rest/api/3/issue")
    return console


def shown(console: Console, *words: str) -> list[dict[str, Any]]:
    data = console.twg("audit", "show", "-o", "json", *words).data
    assert data["count"] == len(data["records"])
    found: list[dict[str, Any]] = data["records"]
    return found


def seqs(console: Console, *words: str) -> list[int]:
    return [each["seq"] for each in shown(console, *words)]


# show


def test_what_is_meant_is_shown_oldest_first(kept: Console) -> None:
    mark = shown(kept)[0]["secret"]["fingerprint"]
    assert seqs(kept) == [1, 2, 3, 4]
    assert seqs(kept, "-n", "2") == [3, 4]
    assert seqs(kept, "--last", "1", "--event", "secret.*") == [3]
    assert seqs(kept, "--event", "token.issued", "--event", "policy.denied") == [1, 4]
    assert seqs(kept, "--actor", "claude-code") == seqs(kept, "--actor", "agent") == [3, 4]
    assert seqs(kept, "--actor", "human") == [1, 2]
    assert seqs(kept, "--trace", "a" * 16) == [3, 4]
    assert seqs(kept, "--fingerprint", mark[:8]) == [1, 2, 3]
    assert seqs(kept, "--profile", "work") == [1]
    assert seqs(kept, "--since", "1h") == [1, 2, 3, 4]
    assert seqs(kept, "--until", "1h") == seqs(kept, "--actor", "nobody") == []


def test_without_more_words_the_newest_fifty_are_shown(kept: Console) -> None:
    log = log_of(kept)
    for _ in range(60):
        log.record("e")
    assert seqs(kept) == [*range(15, 65)]
    assert len(seqs(kept, "--since", "1970-01-01")) == 64


def test_a_record_is_shown_as_it_stands(kept: Console) -> None:
    lines = (kept.state / "audit.jsonl").read_text().splitlines()
    assert shown(kept) == [json.loads(line) for line in lines]
    printed = kept.twg("audit", "show", "--jsonl").out.splitlines()
    assert [json.loads(line) for line in printed] == shown(kept)
    assert kept.twg("audit", "show", "--jsonl", "-o", "json").out.splitlines() == printed


def test_an_agent_sees_the_record_too(kept: Console) -> None:
    """Nothing in it looks like a secret: it is not replaced by marks."""
    ended = kept.twg("audit", "show", TWG_AGENT="1")
    assert ended.data["records"] == shown(kept)


def test_as_text_a_record_is_a_line(kept: Console) -> None:
    lines = kept.twg("audit", "show").out.splitlines()
    assert len(lines) == 4
    assert re.match(
        r"\d{4}-\d\d-\d\dT\S+Z  human        token\.issued          access-token "
        rf"{FINGERPRINT}, auth\.example\.com, profile work$",
        lines[0],
    )
    assert lines[3].endswith("refused, write jira POST /rest/api/3/issue")


def test_as_text_a_command_is_told_in_short(console: Console) -> None:
    """What else its details hold is for programs."""
    details = {"status_code": 0, "duration_ms": 7, "trace_id": "ab", "cli_version": "1"}
    log_of(console).record("command.ended", details=details)
    log_of(console).record("secret.revealed", reason="send to https://a.example", host="a.example")
    call = {"access": "read", "service": "jira", "method": "GET", "path": "/x", "n": [1, 2]}
    log_of(console).record("agent.call", details=call)
    told = [line.split("  ")[-1].strip() for line in console.twg("audit", "show").out.splitlines()]
    assert told == [
        "twg api, status_code=0, duration_ms=7",
        "send to https://a.example",
        "read jira GET /x, n=1 2",
    ]


def test_nothing_on_record_is_said(console: Console) -> None:
    ended = console.twg("audit", "show")
    assert (ended.out, ended.err) == ("", "Nothing of that is on record.\n")
    assert shown(console) == []
    assert console.twg("audit", "show", "--jsonl", "-o", "json").out == ""


def test_to_read_it_no_key_is_opened_and_nothing_is_made(kept: Console) -> None:
    (kept.state / "audit.key").unlink()
    before = sorted(kept.state.rglob("*"))
    for words in (["show"], ["show", "-o", "json"], ["export", "--format", "ecs"]):
        kept.twg("audit", *words)
    assert sorted(kept.state.rglob("*")) == before


@pytest.mark.parametrize(
    "words",
    [["--since", "soon"], ["--last", "0"], ["--follow", "--until", "1h"], ["--secret", "x"]],
)
def test_wrong_words_are_told(kept: Console, words: list[str]) -> None:
    """An option that is named like a secret is refused as on any command."""
    kept.twg("audit", "show", *words, status=64 if words[0] == "--secret" else 2)


async def test_on_a_terminal_it_is_columns_in_colour_and_fits(kept: Console) -> None:
    words = ["twg", "audit", "show"]
    async with Terminal.start(words, env=kept.env, columns=80) as terminal:
        assert await terminal.exit_status() == 0
    raw = terminal.raw.decode()
    assert "\x1b[31mpolicy.denied" in raw
    assert "\x1b[33mclaude-code" in raw
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", raw).replace("\r", "")
    lines = plain.splitlines()
    assert re.match(r"\w+day, \d{4}-\d\d-\d\d$", lines[0])
    assert max(map(len, lines)) <= 80
    assert re.match(r"\d\d:\d\d:\d\d  human        token\.issued {10}access-token", lines[1])
    # What has no room beside goes on below, under its own column.
    assert lines[2] == " " * 45 + "auth.example.com, profile work"


async def test_without_colours_there_are_none(kept: Console) -> None:
    env = kept.env | {"NO_COLOR": "1"}
    async with Terminal.start(["twg", "audit", "show"], env=env, columns=40) as terminal:
        assert await terminal.exit_status() == 0
    assert b"\x1b[3" not in terminal.raw
    assert max(map(len, terminal.transcript().splitlines())) <= 40


# verify


def test_a_whole_record_is_proven(kept: Console) -> None:
    assert kept.twg("audit", "verify").out == (
        "✔ The record is whole: 4 records in 1 file, number 1 to 4.\n"
    )
    data = kept.twg("audit", "verify", "-o", "json").data
    assert data == {"records": 4, "first": 1, "last": 4, "files": 1, "unnamed": 0}


async def test_a_person_sees_how_far_it_is_and_nothing_of_it_stays(console: Console) -> None:
    log = log_of(console)
    with log.afterwards():
        for _ in range(10_100):
            log.record("e")
    async with Terminal.start(["twg", "audit", "verify"], env=console.env) as terminal:
        assert await terminal.exit_status() == 0
    assert b"10,000 of 10,100 records checked" in terminal.raw
    assert terminal.screen().strip() == (
        "✔ The record is whole: 10,100 records in 1 file, number 1 to 10100."
    )


def test_where_nothing_is_recorded_nothing_is_to_prove(console: Console) -> None:
    assert console.twg("audit", "verify").out == "Nothing is recorded yet.\n"
    assert not (console.state / "audit.key").exists()


def test_h_g2_the_first_bad_record_is_named(kept: Console) -> None:
    """H-G2: by file, line, number and kind; and ends with 74."""
    path = kept.state / "audit.jsonl"
    path.write_bytes(path.read_bytes().replace(b"POST", b"GET "))
    ended = kept.twg("audit", "verify", status=74)
    assert f"twg: the audit record {path} is not sound: line 4 (record 4) was changed" in ended.err
    assert ended.out == ""
    ended = kept.twg("audit", "verify", "-o", "json", status=74)
    assert ended.error["code"] == "STORE_CORRUPT"
    assert ended.document["data"] == {
        "fault": {"kind": "changed", "file": str(path), "line": 4, "seq": 4}
    }


@pytest.mark.parametrize("name", ["audit.head", "audit.key", "audit.jsonl"])
def test_h_g2_what_is_missing_is_named(kept: Console, name: str) -> None:
    """H-G2: and is not made anew."""
    (kept.state / name).unlink()
    before = sorted(kept.state.glob("audit*"))
    kinds = {"audit.head": "head", "audit.key": "key", "audit.jsonl": "cut off"}
    ended = kept.twg("audit", "verify", "-o", "json", status=74)
    assert ended.document["data"]["fault"]["kind"] == kinds[name]
    assert sorted(kept.state.glob("audit*")) == before


def test_an_older_head_file_is_warned_of(kept: Console) -> None:
    head = kept.state / "audit.head"
    old = head.read_bytes()
    log_of(kept).record("e")
    head.write_bytes(old)
    ended = kept.twg("audit", "verify")
    assert "the head file does not name the newest 1" in ended.err


# report


def test_what_it_comes_to_is_told_as_text_and_as_data(kept: Console) -> None:
    lines = kept.twg("audit", "report").out.splitlines()
    assert lines[0] == "✔ The record is whole: 4 records, all in their chain."
    assert any(re.search(r"access-token \w+  2 uses  human 1, claude-code 1", x) for x in lines)
    data = kept.twg("audit", "report", "-o", "json").data
    assert data["chain"]["whole"] is True
    assert data["counts"]["denials"] == 1
    assert data["page"] is None
    assert kept.twg("audit", "report", "-o", "json", "--until", "1h").data["records"] == 0


def test_the_page_is_written_for_its_owner_alone(kept: Console, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    ended = kept.twg("audit", "report", "--html", str(path))
    assert str(path) in ended.out or "report.html" in ended.out
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = path.read_text()
    assert "The record is whole" in text
    assert TOKEN not in text
    kept.twg("audit", "report", "--html", str(tmp_path / "none" / "x.html"), status=2)


def test_h_g2_a_report_says_that_the_record_is_not_whole(kept: Console, tmp_path: Path) -> None:
    """H-G2."""
    path = kept.state / "audit.jsonl"
    path.write_bytes(path.read_bytes().replace(b"POST", b"GET "))
    page = tmp_path / "report.html"
    kept.twg("audit", "report", "--html", str(page))
    assert "not whole: line 4 (record 4) was changed" in page.read_text()
    assert kept.twg("audit", "report", "-o", "json").data["chain"]["whole"] is False


# export


@pytest.mark.parametrize(
    ("form", "begin"), [("ecs", '{"@timestamp"'), ("otel", '{"resourceLogs"'), ("cef", "CEF:0|")]
)
def test_a_format_is_a_line_a_record(kept: Console, form: str, begin: str) -> None:
    lines = kept.twg("audit", "export", "--format", form).out.splitlines()
    assert len(lines) == 4
    assert all(line.startswith(begin) for line in lines)
    assert kept.twg("audit", "export", "--format", form, "--until", "1h").out == ""
    assert len(kept.twg("audit", "export", "--format", form, "--profile", "work").out) > 10
    data = kept.twg("audit", "export", "--format", form, "-o", "json").data
    assert data["format"] == form
    assert [x if isinstance(x, str) else json.dumps(x) for x in data["records"]] == lines


# follow


def test_what_is_added_meanwhile_is_not_shown_twice() -> None:
    """What came before the following began ends where that begins."""
    records = [{"seq": number} for number in range(1, 6)]
    assert [*audit_show._before(iter(records), 3)] == records[:3]
    assert [*audit_show._before(iter(records), None)] == records


@pytest.mark.parametrize("form", ["text", "json"])
async def test_what_is_added_is_followed_until_ctrl_c(kept: Console, form: str) -> None:
    words = ["twg", "audit", "show", "-f", "-n", "1", "-o", form]
    async with Terminal.start(words, env=kept.env, columns=1000) as terminal:
        await terminal.until("policy.denied")
        log_of(kept, "codex").record("agent.call", host="added.example.com")
        await terminal.until("added.example.com")
        await terminal.interrupt()
        assert await terminal.exit_status() == 130
    assert "auth.example.com" not in terminal.transcript()
    told = [json.loads(line) for line in terminal.transcript().splitlines() if line[:1] == "{"]
    assert [each["seq"] for each in told] == ([] if form == "text" else [4, 5])
