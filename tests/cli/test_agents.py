"""What an agent may do, what it is told where it may not, and that no secret reaches it."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import anyio
import pytest

from tests.cli.acme import WELL_KNOWN, metadata
from tests.cli.console import sandbox_at
from tests.oauth.servers import body, document
from tests.rigs.terminal import Terminal
from tests.vault.samples import ACCESS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.console import Console
    from tests.oauth.servers import Server
    from tests.sandbox.running import SandboxHandle

MARKERS = {
    "CLAUDECODE": ("1", "claude-code"),
    "CURSOR_AGENT": ("1", "cursor"),
    "GEMINI_CLI": ("1", "gemini-cli"),
    "CODEX_SANDBOX": ("seatbelt", "codex"),
    "AI_AGENT": ("goose/1.2", "goose"),
    "TWG_AGENT": ("1", "unknown"),
    "TWG_AGENT_DEFAULTS": ("1", "unknown"),
}

FOR_PEOPLE = {
    "twg login": ["login", "--sandbox"],
    "twg logout": ["logout"],
    "twg setup": ["setup", "--yes"],
    "twg setup bitbucket": ["setup", "bitbucket", "--sandbox"],
    "twg setup git": ["setup", "git", "--yes"],
    "twg provider add": ["provider", "add", "acme", "--issuer", "https://auth.example.com"],
    "twg provider remove": ["provider", "remove", "acme"],
    "twg uninstall": ["uninstall"],
    "twg admin auth login": ["admin", "auth", "login", "--sandbox"],
    "twg admin auth logout": ["admin", "auth", "logout", "--org", "an-organization"],
}


@pytest.mark.parametrize("command", FOR_PEOPLE)
@pytest.mark.parametrize("marker", MARKERS)
def test_an_agent_is_told_what_its_person_is_to_do(
    console: Console, marker: str, command: str
) -> None:
    """H-B5, H-F1: as JSON, though nobody asked for that."""
    value, name = MARKERS[marker]

    ended = console.twg(*FOR_PEOPLE[command], status=79, **{marker: value})

    assert ended.error["code"] == "HUMAN_REQUIRED"
    assert ended.error["human_required"] is True
    assert f"`{command}`" in ended.error["remediation"]
    assert f"({name})" in ended.error["message"]
    assert ended.err == ""
    assert not console.state.exists(), "nothing was begun"


@pytest.mark.parametrize("command", FOR_PEOPLE)
def test_an_agent_is_recognised_by_its_process(
    console: Console, tmp_path: Path, command: str
) -> None:
    """H-B5, H-F4: it has unset its markers, and is our ancestor all the same."""
    agent = tmp_path / "claude"
    agent.write_text('#!/bin/sh\n"$@"\nexit $?\n')
    agent.chmod(0o755)

    ended = console.apart(*FOR_PEOPLE[command], status=79, under=[str(agent)])

    assert ended.error["code"] == "HUMAN_REQUIRED"
    assert "(claude-code)" in ended.error["message"]


@pytest.mark.parametrize("words", FOR_PEOPLE.values(), ids=FOR_PEOPLE)
async def test_an_agent_in_a_terminal_is_not_asked(console: Console, words: list[str]) -> None:
    """H-B5: the terminal is as it was, and nothing stands in it but the answer."""
    argv = ["twg", *words, "--profile", "work"]
    async with Terminal.start(argv, env=console.env | {"CLAUDECODE": "1"}, columns=400) as terminal:
        before = terminal.modes()
        assert await terminal.exit_status() == 79
        assert terminal.modes() == before

    assert json.loads(terminal.transcript())["error"]["code"] == "HUMAN_REQUIRED"
    assert b"\x1b" not in terminal.raw


def test_an_agent_gets_json_for_what_it_may_do(console: Console, sandbox: SandboxHandle) -> None:
    """H-F1: and none of it holds a token."""
    tokens = console.sign_in(sandbox).tokens
    assert tokens.refresh is not None
    console.more["CLAUDECODE"] = "1"

    assert console.twg("auth", "status").data["state"] == "fresh"
    assert console.twg("auth", "list").data["active"] == "default"
    assert console.twg("auth", "site").data["site"] == "harbor.sandbox.example"
    assert console.twg("auth", "refresh", "--force").data["renewed"] == ["default"]
    assert console.twg("api", "atlassian", "/me").data["nickname"] == "alice"
    assert console.twg("provider", "list").data["providers"] == []
    checks = {one["name"]: one for one in console.twg("doctor").data["checks"]}
    assert checks["agent"]["status"] == "note"
    assert checks["agent"]["detail"] == "claude-code (marker CLAUDECODE)"

    assert console.traces_of(*anyio.run(sandbox.issued)) == []


def test_an_agent_may_ask_for_text(console: Console) -> None:
    assert "Nobody" in console.twg("auth", "list", "-o", "text", CLAUDECODE="1").out
    assert "Nobody" in console.twg("auth", "list", CLAUDECODE="1", TWG_OUTPUT="text").out


def test_what_an_agent_does_is_recorded_as_its_own(
    console: Console, sandbox: SandboxHandle
) -> None:
    console.sign_in(sandbox)
    console.twg("api", "atlassian", "/me", CURSOR_AGENT="1")

    actor = console.records("secret.revealed")[-1]["actor"]
    assert (actor["kind"], actor["agent"], actor["command"]) == ("agent", "cursor", "twg api")


def test_a_denied_marker_is_no_agent(console: Console) -> None:
    assert console.twg("auth", "list", CLAUDECODE="0", TWG_AGENT="").out.startswith("Nobody")


def test_without_a_terminal_nobody_is_asked(console: Console, server: Server) -> None:
    """H-F4: no marker, no such ancestor, and yet no prompt."""
    server.on(WELL_KNOWN, document(metadata(server)))
    words = ["provider", "add", "acme", "--issuer", server.url]

    ended = console.apart(*words, "--client-id", "x", "--confidential", "-o", "json", status=79)

    assert ended.error["code"] == "TTY_REQUIRED"
    assert ended.error["human_required"] is True
    assert ended.err == ""


def test_without_a_terminal_a_first_sign_in_tells_the_command(console: Console) -> None:
    ended = console.apart("login", "-o", "json", status=78)

    assert ended.error["code"] == "CONFIG"
    assert "twg provider add NAME --issuer URL" in ended.error["remediation"]
    assert "twg login --sandbox" in ended.error["remediation"]


def test_the_sandbox_shows_its_passwords_to_an_agent(console: Console) -> None:
    """All of it is published; without them an agent could not use its own sandbox."""
    console.more["CLAUDECODE"] = "1"
    started = console.twg("sandbox", "start", "--auto-approve")
    try:
        assert started.data["people"]["alice"]["password"] == "alicepass"
        assert console.twg("sandbox", "status").data["people"]["bob"]["password"] == "bobpass"
        assert "alice / alicepass" in console.twg("sandbox", "status", "-o", "text").out
    finally:
        assert console.twg("sandbox", "stop").data == {"stopped": True}


@pytest.fixture(scope="module")
def echoing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxHandle]:
    """A sandbox whose answers repeat the token that they were asked with."""
    with sandbox_at(tmp_path_factory.mktemp("echo"), faults=("echo-token",)) as running:
        yield running


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["atlassian", "/me"], 0),
        (["atlassian", "/me", "--include"], 0),
        (["jira", "/rest/api/3/issue/NONE-1"], 4),
        (["jira", "/rest/api/3/issue/NONE-1", "--include"], 4),
    ],
    ids=["body", "headers", "error", "error's headers"],
)
@pytest.mark.parametrize("mode", ["json", "text"])
@pytest.mark.parametrize("marker", [{}, {"CLAUDECODE": "1"}], ids=["person", "agent"])
def test_a_server_that_echoes_the_token_shows_it_to_nobody(
    console: Console,
    echoing: SandboxHandle,
    words: list[str],
    status: int,
    mode: str,
    marker: dict[str, str],
) -> None:
    """H-F2: in body, headers and error, for an agent and for a person."""
    console.sign_in(echoing)

    ended = console.twg("api", *words, "-o", mode, status=status, **marker)

    assert "access-token" in ended.out, "what was hidden is marked"
    assert console.traces_of(*anyio.run(echoing.issued)) == []


def escaped(text: str) -> str:
    return "".join(f"\\u{ord(each):04x}" for each in text)


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


LOGIN = encoded(f"alice@example.com:{ACCESS}")

WRITTEN: dict[str, str] = {
    "plain": ACCESS,
    "hex": ACCESS.encode().hex(),
    "upper hex": ACCESS.encode().hex().upper(),
    "base64": encoded(ACCESS),
    "base64, one on": encoded(f"x{ACCESS}"),
    "base64, two on": encoded(f"xy{ACCESS}"),
    "base64url": base64.urlsafe_b64encode(ACCESS.encode()).decode().rstrip("="),
    "login": LOGIN,
    "url": "".join(f"%{ord(each):02x}" for each in ACCESS),
    "escaped": escaped(ACCESS),
    "xml": "".join(f"&#x{ord(each):x};" for each in ACCESS),
}
"""H-F1: ways to write a token; a document escapes once more."""

AROUND: dict[str, str] = {
    "nothing": "{}",
    "a document": '"{{\\"access_token\\": \\"{}\\"}}"',
    "a header": "Authorization: Basic {}",
    "a cookie": "Set-Cookie: session={}; Secure",
    "a trace": "  File \"x.py\", line 1, in call(token='{}')",
}
"""H-F2: where servers write it."""


@pytest.mark.parametrize("mode", ["json", "text"])
@pytest.mark.parametrize("how", WRITTEN)
def test_a_token_is_known_however_a_server_writes_it(
    console: Console, server: Server, how: str, mode: str
) -> None:
    """H-F1, H-F2."""
    console.sign_in_at(server.url)
    written = WRITTEN[how]
    echo = [around.format(written) for around in AROUND.values()]
    server.on("/page", body("\n".join(echo).encode(), content_type="text/plain"))
    server.on("/document", document({"echo": echo}))

    for path in ("/page", "/document"):
        ended = console.twg("api", "atlassian", path, "-o", mode)
        assert ended.out.count("access-token") + ended.out.count("basic-login") >= len(echo)
        for form in {written, ACCESS, written.replace("\\", "\\\\")}:
            assert form not in ended.out


@pytest.mark.parametrize("mode", ["json", "text"])
@pytest.mark.parametrize(
    "pieces",
    [textwrap.wrap(encoded(ACCESS * 4), 76), [ACCESS[:12], f"\x1b[31m{ACCESS[12:]}\x1b[0m"]],
    ids=["wrapped", "coloured"],
)
def test_a_token_is_known_though_it_was_broken_up(
    console: Console, server: Server, pieces: list[str], mode: str
) -> None:
    """H-F1: wrapped at 76 columns, with colours inside."""
    console.sign_in_at(server.url)
    server.on("/page", body(("\n" if len(pieces) > 2 else "").join(pieces).encode()))

    ended = console.twg("api", "atlassian", "/page", "-o", mode)

    assert [piece for piece in pieces if piece in ended.out] == []


PRINTED_PAST = f"""
import sys
from twg.cli import main, wiring
one = wiring.Wiring([], {{"CLAUDECODE": "1"}})
one.scrubber.learn({ACCESS!r}, "access-token")
main._take_over(one)
print("got", {ACCESS[:20]!r}, sep=" ", end="", flush=True)
print({ACCESS[20:]!r})
print({ACCESS!r}, file=sys.stderr)
"""


def test_what_a_library_prints_is_scrubbed_for_an_agent() -> None:
    """H-F1: all of stdout and stderr, not only what `twg` prints itself."""
    done = subprocess.run(
        [sys.executable, "-c", PRINTED_PAST], check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "got ‹redacted:access-token›\n"
    assert done.stderr == "‹redacted:access-token›\n"
