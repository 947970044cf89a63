"""The envelope: whatever happens, a program gets one document on standard output and a status."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import asyncclick as click
import pytest

from tests.oauth.servers import document
from tests.vault.samples import ACCESS
from twg.cli import main, manual
from twg.cli.wiring import Wiring

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.console import Console, Ended
    from tests.oauth.servers import Server

COMMANDS = dict(manual.commands_below(main.root(), "twg"))
"""All commands there are, so that a new one is walked, too."""

STREAMS = {"twg guard filter"}
"""Their standard output is what they copy; their document is on standard error."""

TOO_MUCH = {
    "twg demo": ["--bogus"],
    "twg mcp": ["--bogus"],
    "twg sandbox start": ["--fault", "help"],
    "twg guard scan": ["changelog"],
}
"""What is asked of commands that would start a server or read the whole repository."""

ERROR = ["code", "message", "remediation", "human_required", "exit_code", "docs"]

every_command = pytest.mark.parametrize("path", COMMANDS)
"""Walks all commands."""


def words_of(path: str) -> list[str]:
    """Return the words that call a command, with something for each word that it needs."""
    needed: list[str] = []
    for each in COMMANDS[path].params:
        if each.required:
            needed += [each.opts[0]] if isinstance(each, click.Option) else []
            needed.append(each.type.choices[0] if isinstance(each.type, click.Choice) else "some")
    return [*path.split()[1:], *needed, *TOO_MUCH.get(path, [])]


def check(ended: Ended) -> dict[str, Any]:
    """Return the document of a command, which must be all there is, in its order."""
    document = ended.document
    if document["ok"]:
        assert list(document) == ["ok", "data"]
        assert ended.status == 0
    else:
        assert list(document)[:2] == ["ok", "error"]
        assert list(document["error"]) == ERROR
        assert document["error"]["exit_code"] == ended.status != 0
    assert "\x1b" not in ended.out + ended.err
    return document


@every_command
def test_every_command_answers_an_agent_with_one_document(console: Console, path: str) -> None:
    """H-F1: it asked for nothing of the kind, and has no sign-in."""
    words = words_of(path)
    if path in STREAMS:
        ended = console.apart(*words, CLAUDECODE="1")
        assert ended.out == ""
        assert json.loads(ended.err)["ok"] is True
        return

    document = check(console.twg(*words, status=None, CLAUDECODE="1"))

    if COMMANDS[path].human_only:
        assert document["error"]["code"] == "HUMAN_REQUIRED"
        assert f"`{path}`" in document["error"]["remediation"]


@every_command
def test_wrong_words_for_any_command_are_told_in_one_document(console: Console, path: str) -> None:
    ended = console.twg(*path.split()[1:], "--bogus", "-o", "json", status=2)

    error = check(ended)["error"]
    assert error["code"] == "USAGE"
    assert f"`{path} --help`" in error["remediation"]
    assert ended.err == ""


@every_command
def test_help_of_any_command_is_one_document_about_it(console: Console, path: str) -> None:
    ended = console.twg(*path.split()[1:], "--help", "-o", "json")

    told, *below = check(ended)["data"]["commands"]
    assert told["command"] == path
    assert all(one["command"].startswith(f"{path} ") for one in below)
    assert ended.err == ""


@every_command
def test_a_crash_in_any_command_is_one_document_and_tells_nothing(
    console: Console, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    def crash(*_: object, **_more: object) -> None:
        raise ValueError(f"what is {ACCESS}?")

    monkeypatch.setattr(Wiring, "begin", crash)

    ended = console.twg(*words_of(path), "-o", "json", status=None)

    error = check(ended)["error"]
    assert error["code"] == ("USAGE" if "--bogus" in words_of(path) else "INTERNAL")
    assert ACCESS not in ended.out + ended.err


def test_ctrl_c_in_a_command_is_one_document(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **_more: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Wiring, "begin", interrupted)

    assert check(console.twg("auth", "list", "-o", "json", status=130))["error"]["code"] == (
        "INTERRUPTED"
    )


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["auth", "--help"], ["auth", "-h"]])
@pytest.mark.parametrize(
    ("more", "environ"),
    [
        (["-o", "json"], {}),
        (["-ojson"], {}),
        (["-vojson"], {}),
        (["--output=json"], {}),
        ([], {"TWG_OUTPUT": "json"}),
        ([], {"TWG_AGENT": "1"}),
        ([], {"TWG_AGENT_DEFAULTS": "1"}),
    ],
)
def test_help_and_version_are_documents_for_programs(
    console: Console, words: list[str], more: list[str], environ: dict[str, str]
) -> None:
    """The option that asks for it stands behind the one that ends the parser."""
    console.more |= environ

    ended = console.twg(*words, *more)

    assert check(ended)["data"]["version"]
    assert ended.err == ""


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["auth", "list", "--help"]])
def test_help_and_version_are_text_for_an_agent_that_asks_for_text(
    console: Console, words: list[str]
) -> None:
    assert not console.twg(*words, "-o", "text", TWG_AGENT="1").out.startswith("{")


def test_wrong_words_are_text_for_an_agent_that_asks_for_text(console: Console) -> None:
    ended = console.twg("bogus", "-o", "text", status=2, TWG_AGENT="1")

    assert ended.err.startswith("twg: No such command")


@pytest.mark.parametrize("denial", ["0", "", "false", "no"])
def test_nothing_undeclares_an_agent(console: Console, denial: str) -> None:
    """H-F1."""
    console.more |= {"TWG_AGENT": denial, "TWG_AGENT_DEFAULTS": denial, "CLAUDECODE": "1"}

    assert check(console.twg("auth", "list"))["ok"] is True


def test_an_agent_gets_the_same_bytes_each_time_and_no_colour(console: Console) -> None:
    """The order of members is the same in every run, whatever Python's hashes are."""
    runs = [
        console.apart("provider", "list", TWG_AGENT="1", FORCE_COLOR="1", PYTHONHASHSEED=seed)
        for seed in ("1", "2")
    ]

    assert runs[0].out == runs[1].out
    assert runs[0].err == runs[1].err == ""
    file = str(console.config / "config.toml")
    scanned = console.apart("guard", "scan", file, "-o", "text", TWG_AGENT="1", FORCE_COLOR="1")
    assert scanned.out == "✔ No secret in 1 file.\n"


def run(
    console: Console, *words: str, before: Callable[[], None] | None = None, **streams: Any
) -> subprocess.CompletedProcess[str]:
    """Run `twg` as a process whose streams are as told."""
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | streams
    return subprocess.run(
        [sys.executable, "-m", "twg", *words],
        env=console.env | {"AGENT": ""},
        stdin=subprocess.DEVNULL,
        text=True,
        check=False,
        preexec_fn=before,
        **streams,
    )


@pytest.mark.parametrize(
    "words", [["auth", "list", "-o", "json"], ["auth", "list"], ["--help"], ["--version"]]
)
def test_a_result_that_cannot_be_written_is_a_failure_that_is_told(
    console: Console, words: list[str]
) -> None:
    """The disk that it goes to is full."""
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        done = run(console, *words, stdout=full)

    assert done.returncode == 1
    assert done.stderr.startswith("twg: standard output cannot be written to: No space left")
    assert "Traceback" not in done.stderr
    assert "uncaught" not in done.stderr
    assert "Exception" not in done.stderr


@pytest.mark.parametrize("words", [["auth", "list", "-o", "json"], ["--help"], ["auth"]])
def test_who_stops_reading_ends_it_quietly(console: Console, words: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as nobody:
        done = run(console, *words, stdout=nobody)

    assert done.returncode == 0
    assert done.stderr == ""


@pytest.mark.parametrize("descriptor", [0, 1, 2])
def test_a_stream_that_is_closed_from_the_start_stops_nothing(
    console: Console, descriptor: int
) -> None:
    done = run(console, "auth", "switch", "x", before=lambda: os.close(descriptor))

    assert done.returncode == 77
    assert done.stdout == ""
    assert done.stderr.startswith("twg: " if descriptor != 2 else "")
    assert "Traceback" not in done.stderr


def test_what_cannot_be_told_on_stderr_changes_no_status(console: Console) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        assert run(console, "auth", "switch", "x", stderr=full).returncode == 77
        done = run(console, "auth", "switch", "x", "-o", "json", stderr=full)

    assert done.returncode == 77
    assert json.loads(done.stdout)["error"]["code"] == "AUTH_REQUIRED"


def test_a_filter_that_cannot_write_tells_it(console: Console) -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        done = subprocess.run(
            [sys.executable, "-m", "twg", "guard", "filter", "-o", "json"],
            env=console.env,
            input="a line\n",
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert done.returncode == 1
    assert done.stderr.startswith("twg: standard output cannot be written to")


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_a_signal_before_anything_is_begun_is_one_document(console: Console, name: str) -> None:
    """Nothing listens for signals yet: the event loop is about to be started."""
    early = (
        "import os, signal, anyio; from twg.cli.main import main\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"anyio.run = lambda *_: os.kill(os.getpid(), signal.{name}); main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", early, "auth", "list", "-o", "json"],
        env=console.env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 130
    assert json.loads(done.stdout)["error"]["code"] == "INTERRUPTED"
    assert done.stderr == ""


def test_a_signal_after_the_document_is_told_beside_it(console: Console) -> None:
    """`sandbox start --foreground` has answered, and goes on until it is ended."""
    words = ["sandbox", "start", "--foreground", "-o", "json"]
    with subprocess.Popen(
        [sys.executable, "-m", "twg", *words],
        env=console.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        shown = ""
        while not shown.endswith("\n}\n"):
            shown += process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        shown += process.stdout.read()
        told = process.stderr.read()

    assert json.loads(shown)["data"]["running"] is True
    assert process.returncode == 130
    assert told.startswith("twg: interrupted")


@pytest.mark.parametrize("more", [[], ["-o", "json"], ["--paginate", "-o", "json"]])
def test_a_services_answer_that_cannot_be_written_is_a_failure(
    console: Console, server: Server, more: list[str]
) -> None:
    console.sign_in_at(server.url)
    server.on("/me", document({"a": "b" * 100_000}))
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        done = run(console, "api", "atlassian", "/me", *more, stdout=full)

    assert done.returncode == 1
    assert done.stderr.startswith("twg: standard output cannot be written to: No space left")
    assert "uncaught" not in done.stderr


def test_pages_are_one_document(console: Console, server: Server) -> None:
    console.sign_in_at(server.url)
    server.on("/me", document({"a": "b"}))

    ended = console.twg("api", "atlassian", "/me", "--paginate", "-o", "json")

    assert ended.document["ok"] is True
