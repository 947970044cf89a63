"""`twg guard scan` tells where secrets are, and shows none."""

from __future__ import annotations

import fcntl
import json
import os
import sys
import termios
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from guard.secret import Secret
from tests.cli.console import standard_input
from tests.rigs.terminal import PATIENCE, Terminal
from tests.rigs.waiting import comes_true
from twg import events
from twg.cli.wiring import Wiring

if TYPE_CHECKING:
    from tests.cli.console import Console

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJlLXNpZ25hdHVyZQ"
GITHUB = "ghp_" + "Example1" * 4 + "abcd"
WORD = "hunter2-Xk9qLm4w"
"""A secret that looks like none."""


@pytest.fixture
def home(console: Console) -> Path:
    """A home with two histories, in each of which one entry holds a secret."""
    home = console.root / "home"
    home.mkdir()
    (home / ".bash_history").write_text(f"ls\nexport GITHUB_TOKEN={GITHUB}\n")
    (home / ".zsh_history").write_text(f": 1764000000:0;cd x\n: 1764000100:0;echo {JWT}\n")
    return home


def findings(document: dict[str, Any]) -> list[tuple[str, int, int | None, str]]:
    return [
        (one["path"], one["line"], one["column"], one["kind"])
        for one in document["data"]["findings"]
    ]


def test_what_holds_no_secret_is_clean(console: Console, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing here\n")

    ended = console.twg("guard", "scan", "-o", "json", str(tmp_path / "notes.txt"))
    shown = console.twg("guard", "scan", str(tmp_path / "notes.txt")).out

    assert ended.data == {"findings": [], "files": 1, "histories": 0, "skipped": {}}
    assert shown == "✔ No secret in 1 file.\n"


def test_findings_are_told_by_place_and_kind(console: Console, tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "app.log").write_text(f"one\n  {JWT}\n")
    (tmp_path / "logs" / "b.log").write_text(f"{GITHUB}\n")

    ended = console.twg("guard", "scan", "-o", "json", str(tmp_path / "logs"), status=3)
    shown = console.twg("guard", "scan", str(tmp_path / "logs"), status=3)

    assert findings(ended.document) == [
        (str(tmp_path / "logs" / "app.log"), 2, 3, "jwt"),
        (str(tmp_path / "logs" / "b.log"), 1, 1, "github-token"),
    ]
    assert ended.error["code"] == "PARTIAL"
    assert shown.out.splitlines() == [
        f"{tmp_path}/logs/app.log:2:3  jwt",
        f"{tmp_path}/logs/b.log:1:1    github-token",
    ]
    assert shown.err.startswith("twg: found 2 secrets in 2 files\n")
    assert console.traces_of(JWT, GITHUB) == []


def test_histories_are_looked_into_where_that_is_asked(console: Console, home: Path) -> None:
    ended = console.twg("guard", "scan", "--history", "-o", "json", status=3)
    shown = console.twg("guard", "scan", "--history", status=3)

    found = ended.document["data"]
    assert [(one["shell"], one["line"], one["kind"], one["when"]) for one in found["findings"]] == [
        ("bash", 2, "github-token", None),
        ("zsh", 2, "jwt", "2025-11-24T16:01:40Z"),
    ]
    assert (found["files"], found["histories"]) == (0, 2)
    assert shown.out.splitlines()[0] == "~/.bash_history:2  github-token"
    assert shown.out.splitlines()[1].startswith("~/.zsh_history:2   jwt           ")
    assert shown.out.splitlines()[1].endswith(" ago")
    assert "twg guard scrub-history" in shown.err
    assert home.joinpath(".bash_history").read_text().endswith(f"{GITHUB}\n"), "it removes nothing"
    assert not console.state.exists(), "nor does looking make anything"


def test_what_was_refused_is_found_by_its_fingerprint(console: Console, home: Path) -> None:
    console.twg("login", "--token", WORD, status=64)
    (home / ".bash_history").write_text(f"ls\ntwg login --token {WORD}\n")
    (home / ".zsh_history").unlink()
    (console.root / "app.log").write_text(f"argv: --token={WORD}\n")

    ended = console.twg(
        *("guard", "scan", "--history", "-o", "json", str(console.root / "app.log")), status=3
    )

    assert [(place[1], place[3]) for place in findings(ended.document)] == [
        (2, "refused-secret"),
        (1, "refused-secret"),
    ]


def test_what_was_issued_is_found_without_opening_the_store(console: Console, home: Path) -> None:
    (home / ".bash_history").write_text("ls\n")
    (home / ".zsh_history").unlink()
    secret = "opaque-4cce55.token-Value"
    events.token_issued(
        Wiring([], console.env).audit,
        secret=Secret(secret, "access-token"),
        reason=None,
        host="auth.example.com",
        profile="default",
    )
    (home / ".bash_history").write_text(f"curl -H 'Authorization: Bearer {secret}' x\n")

    ended = console.twg("guard", "scan", "--history", "-o", "json", status=3)

    assert "access-token" in {place[3] for place in findings(ended.document)}
    assert console.records("store.opened") == []


def test_a_command_of_ours_is_found_though_it_was_refused_elsewhere(
    console: Console, home: Path
) -> None:
    (home / ".bash_history").write_text("ls\ntwg login --token opensesame\n")
    (home / ".zsh_history").write_text(": 1764000100:0;twg login --token opensesame\n")

    ended = console.twg("guard", "scan", "--history", "-o", "json", status=3)

    assert [place[1:] for place in findings(ended.document)] == [
        (2, None, "refused-secret"),
        (1, None, "refused-secret"),
    ]


def test_without_a_path_it_looks_below_the_current_directory(
    console: Console, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "notes.txt").write_text(JWT)
    monkeypatch.chdir(tmp_path / "here")

    ended = console.twg("guard", "scan", "-o", "json", status=3)

    assert findings(ended.document) == [("notes.txt", 1, 1, "jwt")]


def test_a_dash_is_standard_input(console: Console) -> None:
    reading, writing = os.pipe()
    os.write(writing, f"a\n{JWT}\n".encode())
    os.close(writing)

    with standard_input(reading):
        ended = console.twg("guard", "scan", "-o", "json", "-", status=3)

    os.close(reading)
    assert findings(ended.document) == [("-", 2, 1, "jwt")]


def test_what_cannot_be_read_is_told_and_the_rest_is_looked_at(
    console: Console, tmp_path: Path
) -> None:
    (tmp_path / "clean").write_text("nothing\n")

    words = ["guard", "scan", str(tmp_path / "missing"), str(tmp_path / "clean")]
    ended = console.twg(*words, "-o", "json", status=3)
    shown = console.twg(*words, status=3)

    assert ended.document["data"]["failures"] == {
        str(tmp_path / "missing"): "no such file or directory"
    }
    assert ended.document["data"]["files"] == 1
    assert "missing: no such file or directory" in shown.err


def test_what_is_passed_over_is_told(console: Console, tmp_path: Path) -> None:
    (tmp_path / ".git" / "objects").mkdir(parents=True)

    shown = console.twg("guard", "scan", str(tmp_path / ".git")).out

    assert f"· {tmp_path}/.git/objects: git's objects are compressed" in shown


def test_a_history_that_cannot_be_read_is_told(console: Console, home: Path) -> None:
    (home / ".zsh_history").unlink()
    (home / ".zsh_history").mkdir()

    ended = console.twg("guard", "scan", "--history", "-o", "json", status=3)
    scrubbed = console.twg("guard", "scrub-history", "--yes", status=3)

    assert [place[3] for place in findings(ended.document)] == ["github-token"]
    (why,) = ended.document["data"]["failures"].values()
    assert "not a regular file" in why
    assert ended.document["data"]["histories"] == 1
    assert "Removed 1 entry from ~/.bash_history." in scrubbed.out
    assert "  ~/.zsh_history: " in scrubbed.err


def test_files_of_ours_that_are_not_to_be_trusted_are_told_and_it_goes_on(
    console: Console, home: Path
) -> None:
    console.twg("login", "--token", WORD, status=64)
    (console.state / "refused.json").chmod(0o644)

    ended = console.twg("guard", "scan", "--history", status=3)

    assert "twg: warning: only what looks like a secret is looked for" in ended.err
    assert "github-token" in ended.out
    assert home.exists()


def test_where_the_key_is_lost_none_is_made(console: Console, home: Path) -> None:
    console.twg("login", "--token", WORD, status=64)
    (console.state / "audit.key").unlink()

    console.twg("guard", "scan", "--history", status=3)

    assert not (console.state / "audit.key").exists()
    assert home.exists()


def test_an_agent_may_look_and_sees_no_value(console: Console, home: Path) -> None:
    ended = console.twg("guard", "scan", "--history", status=3, TWG_AGENT="1")

    assert ended.error["code"] == "PARTIAL"
    assert len(findings(ended.document)) == 2
    assert console.traces_of(JWT, GITHUB) == [
        str(home / ".bash_history"),
        str(home / ".zsh_history"),
    ]


def test_a_sarif_log_has_what_its_readers_need(console: Console, tmp_path: Path) -> None:
    """What version 2.1.0 requires, and what code hosts require beyond that."""
    (tmp_path / "a b.log").write_text(f"\n {JWT} {GITHUB}\n")
    paths = [str(tmp_path / "a b.log"), str(tmp_path / "missing")]

    ended = console.twg("guard", "scan", "-o", "json", "--format", "sarif", *paths, status=3)

    log = json.loads(ended.out)
    assert log["version"] == "2.1.0"
    assert log["$schema"].endswith("sarif-2.1.0.json")
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert run["tool"]["driver"]["name"] == "twg guard scan"
    assert [rule["id"] for rule in rules] == ["github-token", "jwt"]
    assert rules[0]["shortDescription"]["text"] == "a GitHub token"
    assert [rules[one["ruleIndex"]]["id"] for one in run["results"]] == ["jwt", "github-token"]
    assert {one["ruleId"] for one in run["results"]} == {"jwt", "github-token"}
    where = run["results"][0]["locations"][0]["physicalLocation"]
    assert where["artifactLocation"]["uri"] == (tmp_path / "a b.log").as_uri()
    assert where["region"] == {"startLine": 2, "startColumn": 2}
    assert run["columnKind"] == "unicodeCodePoints"
    (invocation,) = run["invocations"]
    assert invocation["executionSuccessful"] is False
    (told,) = invocation["toolExecutionNotifications"]
    assert told["message"]["text"] == "no such file or directory"
    assert ended.err.startswith("twg: found 2 secrets in 1 file\n")
    assert JWT not in ended.out


def test_a_sarif_log_tells_what_twg_alone_knows(console: Console, home: Path) -> None:
    console.twg("login", "--token", WORD, status=64)
    (home / ".bash_history").write_text(f"ls\ntwg login --token {WORD}\n")
    (home / ".zsh_history").unlink()
    (home / ".git" / "objects").mkdir(parents=True)

    words = ["guard", "scan", "--history", "--format", "sarif", str(home)]
    (run,) = json.loads(console.twg(*words, status=3).out)["runs"]

    in_history, in_file = run["results"]
    assert in_history["locations"][0]["physicalLocation"]["region"] == {"startLine": 2}
    assert in_file["locations"][0]["physicalLocation"]["region"]["startColumn"] == 19
    (rule,) = run["tool"]["driver"]["rules"]
    assert rule["shortDescription"]["text"] == "a secret that twg refused as an argument"
    (told,) = run["invocations"][0]["toolExecutionNotifications"]
    assert told["level"] == "note"
    assert run["invocations"][0]["executionSuccessful"] is True


def test_a_sarif_log_of_nothing_is_a_log(console: Console, tmp_path: Path) -> None:
    (tmp_path / "clean").write_text("nothing\n")

    ended = console.twg("guard", "scan", "--format", "sarif", str(tmp_path / "clean"))

    assert json.loads(ended.out)["runs"][0]["results"] == []


def unread(pipe: int) -> int:
    """Return how many bytes in a pipe nobody has read yet."""
    counted = fcntl.ioctl(pipe, termios.FIONREAD, bytes(4))
    return int.from_bytes(counted, sys.byteorder)


async def test_whoever_presses_ctrl_c_is_heard_while_nothing_comes(
    console: Console, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "idle")
    pipe = os.open(tmp_path / "idle", os.O_RDWR)
    os.write(pipe, b"a line\n")
    words = ["sh", "-c", 'exec twg guard scan - <"$0"', str(tmp_path / "idle")]
    async with Terminal.start(words, env=console.env) as terminal:
        assert await comes_true(lambda: unread(pipe) == 0, PATIENCE)
        await terminal.interrupt()

        assert await terminal.exit_status() == 130
    os.close(pipe)


async def test_whoever_presses_ctrl_c_is_heard_in_the_middle_of_a_file(
    console: Console, tmp_path: Path
) -> None:
    """It would take an hour to its end."""
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(1 << 36)
    async with Terminal.start(["twg", "guard", "scan", str(large)], env=console.env) as terminal:
        opened = Path(f"/proc/{terminal.pid}/fd")
        assert await comes_true(lambda: large in map(Path.resolve, opened.iterdir()), PATIENCE)
        await terminal.interrupt()

        assert await terminal.exit_status() == 130
