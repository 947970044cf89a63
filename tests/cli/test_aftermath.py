"""What follows a refusal: the secret leaves the histories, and is found if it comes back."""

from __future__ import annotations

import json
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from guard import actor, agents, history
from guard.errors import FileUnwritable
from guard.secret import Secret
from twg.cli import aftermath, local_checks
from twg.cli.wiring import Wiring

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from guard.history import Finding, Histories, Look, Removal
    from tests.cli.console import Console

WORD = "hunter2-Xk9qLm4w"
"""A secret that looks like none."""
TOKEN = "ATATT3xFfGF0" + "kq7Zr2Wm9" * 8 + "=1A2B3C4D"
ZSH = ": 1764000000:0;cd x\n"
UNREAD = """
import os, sys
reading, writing = os.pipe()
os.close(reading)
os.dup2(writing, 2)
os.execvp(sys.argv[1], sys.argv[1:])
"""


@pytest.fixture
def zsh_history(console: Console) -> Path:
    """A history of a zsh that writes each line before it runs it."""
    home = console.root / "home"
    home.mkdir()
    return home / ".zsh_history"


def typed(file: Path, line: str) -> None:
    """Have a line be in a history, between others."""
    file.write_text(f"{ZSH}: 1764000100:0;{line}\n: 1764000200:0;kubectl -n production get pods\n")


def test_a_refused_secret_is_gone_from_the_history_at_once(
    console: Console, zsh_history: Path
) -> None:
    """H-A7: and nothing else is."""
    typed(zsh_history, f"twg login --token {WORD}")

    ended = console.twg("login", "--token", WORD, status=64)

    assert zsh_history.read_text() == f"{ZSH}: 1764000200:0;kubectl -n production get pods\n"
    assert ended.out == ""
    assert "  Removed 1 entry that held it from ~/.zsh_history.\n" in ended.err
    assert "revoke it" in ended.err
    (record,) = console.records("history.scrubbed")
    assert record["reason"] == "entries removed: zsh 1; histories not cleaned: 0"
    assert console.traces_of(WORD) == []


WAYS = {
    "by shape": (["api", "jira", TOKEN], f"twg api jira '{TOKEN}'", TOKEN),
    "in one word": (["login", f"--token={WORD}"], f"twg login --token='{WORD}'", WORD),
    "in a URL": (["api", f"https://x:{WORD}@h/"], f"curl https://x:{WORD}@h/", WORD),
    "in a header": (["-H", f"Cookie: a={WORD}"], f"twg -H 'Cookie: a={WORD}'", WORD),
    "as a login": (["-u", f"me@example.com:{WORD}"], f"twg -u me@example.com:{WORD}", WORD),
    "as an ordinary word": (
        ["login", "--token", "production"],
        "twg login --token production",
        "--token production",
    ),
}


@pytest.mark.parametrize(("argv", "line", "secret"), WAYS.values(), ids=WAYS)
def test_it_is_found_in_the_history_however_it_was_given(
    console: Console, zsh_history: Path, argv: list[str], line: str, secret: str
) -> None:
    """H-A7: of an ordinary word, the line is removed in which it was a secret."""
    typed(zsh_history, line)

    console.twg(*argv, status=64)

    assert secret not in zsh_history.read_text()
    assert "kubectl -n production" in zsh_history.read_text()
    assert console.traces_of(secret) == []


HISTORIES = {
    "bash": (".bash_history", "ls\n#1764000001\n", f"echo {WORD}\n", "#1764000002\nexit\n"),
    "fish": (
        ".local/share/fish/fish_history",
        "- cmd: ls\n  when: 1764000000\n",
        f"- cmd: echo {WORD}\n  when: 1764000001\n  paths:\n    - x\n",
        "- cmd: exit\n  when: 1764000002\n",
    ),
    "python": (".python_history", "import os\n", f"login(token='{WORD}')\n", "exit()\n"),
    "node": (".node_repl_history", ".exit\n", f'login("{WORD}")\n', "1 + 1\n"),
    "psql": (".psql_history", "select 1;\n", f"alter role me password '{WORD}';\n", "\\q\n"),
    "less": (".lesshst", ".less-history-file:\n.search\n", f'"{WORD}\n', '"other\n'),
}
"""A file, and what stands in it before, in and behind the entry concerned."""


@pytest.mark.parametrize(("name", "before", "entry", "behind"), HISTORIES.values(), ids=HISTORIES)
def test_every_history_is_looked_at(
    console: Console, name: str, before: str, entry: str, behind: str
) -> None:
    """H-A7."""
    file = console.root / "home" / name
    file.parent.mkdir(parents=True)
    file.write_text(before + entry + behind)

    console.twg("login", "--token", WORD, status=64)

    assert file.read_text() == before.removesuffix("#1764000001\n") + behind


def test_what_is_no_secret_elsewhere_stays(console: Console, zsh_history: Path) -> None:
    typed(zsh_history, "docker run -p 8080 x")
    before = zsh_history.read_text()

    console.twg("sandbox", "start", "-p", "8080", status=64)
    console.twg("sandbox", "start", "-p", "8080", status=64)

    assert zsh_history.read_text() == before
    assert "history" not in console.twg("doctor", "--offline").err


def test_with_json_it_is_told_in_the_document(console: Console, zsh_history: Path) -> None:
    typed(zsh_history, f"twg login --token {WORD}")

    ended = console.twg("-o", "json", "login", "--token", WORD, status=64)

    told = ended.document["data"]["history"]
    assert told["removed"] == {str(zsh_history): 1}
    assert (told["not_removed"], told["problem"], told["watched_for"]) == ({}, None, True)


def test_an_agents_secret_is_cleaned_up_after_too(console: Console, zsh_history: Path) -> None:
    typed(zsh_history, f"twg login --token {WORD}")

    console.twg("login", "--token", WORD, status=64, TWG_AGENT="1")

    assert WORD not in zsh_history.read_text()


@pytest.mark.parametrize("value", [WORD, "production"])
def test_so_is_a_variables(console: Console, zsh_history: Path, value: str) -> None:
    """It was typed, in most cases, and stands there since."""
    typed(zsh_history, f"export TWG_TOKEN={value}")

    console.twg("login", status=64, TWG_TOKEN=value)

    assert zsh_history.read_text() == f"{ZSH}: 1764000200:0;kubectl -n production get pods\n"


def test_what_is_kept_of_it_is_a_fingerprint(console: Console) -> None:
    console.twg("login", "--token", WORD, status=64)
    console.twg("login", "--token", TOKEN, status=64)

    kept = json.loads((console.state / "refused.json").read_text())["refused"]
    assert {each["kind"] for each in kept} == {"refused-secret", "atlassian-api-token"}
    assert console.traces_of(WORD, TOKEN) == []


def written_back(console: Console, file: Path) -> None:
    """Have a shell write the line after it was refused."""
    console.twg("login", "--token", WORD, status=64)
    typed(file, f"twg login --token {WORD}")


def test_the_doctor_finds_what_a_shell_wrote_back(console: Console, zsh_history: Path) -> None:
    """H-A7: and does not remove it, with `--fix` neither."""
    written_back(console, zsh_history)
    before = zsh_history.read_bytes()

    ended = console.twg("doctor", "--offline", "--fix", "-o", "json", status=3)
    shown = console.twg("doctor", "--offline", status=3)

    (found,) = (one for one in ended.document["data"]["checks"] if one["name"] == "history")
    assert found["status"] == "failed"
    assert found["detail"] == "~/.zsh_history: 1 refused-secret"
    assert "`twg guard scrub-history`" in found["fix"]
    assert "✘ history" in shown.out
    assert zsh_history.read_bytes() == before
    assert console.traces_of(WORD) == [str(zsh_history)]


def test_the_next_refusal_removes_what_a_shell_wrote_back(
    console: Console, zsh_history: Path
) -> None:
    """H-A7."""
    written_back(console, zsh_history)
    with zsh_history.open("a") as file:
        file.write(": 1764000300:0;twg login --token another-0ne\n")

    ended = console.twg("-o", "json", "login", "--token", "another-0ne", status=64)

    assert ended.document["data"]["history"]["removed"] == {str(zsh_history): 2}
    assert zsh_history.read_text() == f"{ZSH}: 1764000200:0;kubectl -n production get pods\n"
    assert len(console.records("history.scrubbed")) == 2


def test_so_it_does_with_what_was_an_ordinary_word(console: Console, zsh_history: Path) -> None:
    console.twg("login", "--token", "production", status=64)
    typed(zsh_history, "twg login --token=production")

    console.twg("login", "--token", WORD, status=64)

    assert zsh_history.read_text() == f"{ZSH}: 1764000200:0;kubectl -n production get pods\n"


def test_so_does_a_person_who_asks_for_it(console: Console, zsh_history: Path) -> None:
    """H-A7."""
    written_back(console, zsh_history)

    console.twg("guard", "scrub-history", "--yes")

    assert WORD not in zsh_history.read_text()


def test_a_history_that_cannot_be_cleaned_is_told_and_the_refusal_stays_one(
    console: Console, zsh_history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed(zsh_history, f"twg login --token {WORD}")
    remove = history.Histories.remove

    def failing(self: Histories, look: Look) -> list[Removal]:
        (zsh,) = remove(self, look)
        return [zsh._replace(removed=0, problem=FileUnwritable(zsh.path, "read-only file system"))]

    monkeypatch.setattr(history.Histories, "remove", failing)

    ended = console.twg("login", "--token", WORD, status=64)

    assert "It may still stand in ~/.zsh_history: " in ended.err
    assert "read-only file system" in ended.err
    assert console.records("history.scrubbed")[0]["outcome"] == "partial"


def failing_with(error: BaseException) -> Any:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


def test_whatever_happens_a_refusal_stays_one(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history.Histories, "remove", failing_with(RuntimeError(WORD)))

    ended = console.twg("login", "--token", WORD, status=64)

    assert "Not all histories were looked at: an unexpected error (RuntimeError)." in ended.err
    assert WORD not in ended.err
    assert "`twg doctor` tells" in ended.err, "it is kept in mind"


def test_where_nothing_can_be_kept_it_is_removed_all_the_same(
    console: Console, zsh_history: Path
) -> None:
    console.state.touch()  # where the directory should be
    typed(zsh_history, f"twg login --token {WORD}")

    ended = console.twg("login", "--token", WORD, status=64)

    assert WORD not in zsh_history.read_text()
    assert "It will not be known again if it comes back: " in ended.err
    assert "`twg doctor` tells" not in ended.err


def test_settings_that_are_wrong_keep_nothing_from_being_removed(
    console: Console, zsh_history: Path
) -> None:
    console.settings("no settings")
    typed(zsh_history, f"twg login --token {WORD}")

    ended = console.twg("login", "--token", WORD, status=64)
    console.twg("login", "--token", status=64)

    assert WORD not in zsh_history.read_text()
    assert "is not valid TOML" in ended.err


def test_a_refusal_without_a_value_removes_what_came_back_too(
    console: Console, zsh_history: Path
) -> None:
    assert console.twg("login", "--token", status=64).err.count("\n") == 2
    written_back(console, zsh_history)

    ended = console.twg("login", "--token", status=64)

    assert WORD not in zsh_history.read_text()
    assert "Removed 1 entry" in ended.err
    assert "`twg doctor` tells" not in ended.err


def test_what_was_issued_is_not_removed_unasked(console: Console, zsh_history: Path) -> None:
    issued = "opaque-4cce55.token-Value"
    Wiring([], console.env).audit.record("token.issued", secret=Secret(issued, "access-token"))
    typed(zsh_history, f"curl -H 'Authorization: Bearer {issued}' https://example.com")

    console.twg("login", "--token", WORD, status=64)

    assert issued in zsh_history.read_text()


def test_it_is_removed_though_nobody_reads_what_is_said(
    console: Console, zsh_history: Path
) -> None:
    typed(zsh_history, f"twg login --token {WORD}")

    console.apart("login", "--token", WORD, status=64, under=[sys.executable, "-c", UNREAD])

    assert WORD not in zsh_history.read_text()


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """A history without an end; the event is set once the look into it has ended."""
    ended = threading.Event()

    def remove(_self: Histories, look: Look) -> list[Removal]:
        try:
            while True:
                look("ls")
        finally:
            ended.set()

    monkeypatch.setattr(history.Histories, "remove", remove)
    return ended


def test_a_history_that_takes_too_long_is_left(
    console: Console, endless: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aftermath, "SECONDS", 0.2)

    ended = console.twg("login", "--token", WORD, status=64)

    assert "Not all histories were looked at: it took longer than 0.2 seconds." in ended.err
    assert endless.wait(30), "nobody waits for it, so it ends"
    assert console.records("history.scrubbed") == []


def test_whoever_presses_ctrl_c_is_refused_all_the_same(
    console: Console, endless: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    join = threading.Thread.join
    interrupts = [KeyboardInterrupt()]

    def joined(self: threading.Thread, timeout: float | None = None) -> None:
        if interrupts:
            raise interrupts.pop()
        join(self, timeout)

    monkeypatch.setattr(threading.Thread, "join", joined)

    ended = console.twg("login", "--token", WORD, status=64)

    assert "Not all histories were looked at: it was interrupted." in ended.err
    assert endless.wait(30)


def test_the_doctor_tells_a_history_that_cannot_be_read(
    console: Console, zsh_history: Path
) -> None:
    zsh_history.mkdir()

    ended = console.twg("doctor", "--offline", "-o", "json", status=3)

    assert "not a regular file" in ended.document["data"]["failures"]["history"]


@pytest.mark.parametrize(
    ("argv", "env", "told"),
    [
        (["login", "--token", WORD], {}, "history -d -2; twg guard scrub-history"),
        (["login", "--token", WORD], {"TWG_AGENT": "1"}, None),
        (["login"], {"TWG_TOKEN": WORD}, None),
    ],
    ids=["typed", "by an agent", "a variable"],
)
def test_what_a_shell_still_holds_is_told_where_a_person_typed_it(
    console: Console,
    monkeypatch: pytest.MonkeyPatch,
    argv: list[str],
    env: dict[str, str],
    told: str | None,
) -> None:
    monkeypatch.setattr(agents, "ancestor_names", lambda: ("sudo", "-bash", "zsh"))
    monkeypatch.setattr(actor, "_controlling_terminal", lambda: "/dev/pts/0")

    ended = console.twg(*argv, "-o", "json", status=64, **env)

    assert ended.document["data"]["history"]["live_shell_forgets_by"] == told


def test_the_doctor_leaves_a_history_that_takes_too_long(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = threading.Event()

    def find(_self: Histories, look: Look, **_: Any) -> Iterator[Finding]:
        try:
            while look("ls") is not None:
                yield from ()
        finally:
            ended.set()

    monkeypatch.setattr(history.Histories, "find", find)
    monkeypatch.setattr(local_checks, "_HISTORY_SECONDS", 0.2)

    found = console.twg("doctor", "--offline", "-o", "json").data["checks"]

    (one,) = (check for check in found if check["name"] == "history")
    assert one["status"] == "note"
    assert one["fix"] == "Run `twg guard scan --history`."
    assert ended.wait(30)
