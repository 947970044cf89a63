"""The entry point: words, options, settings, signals, and how failures end."""

from __future__ import annotations

import json
import re
import signal
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio import to_thread

from tests.auth.parts import Gate
from tests.cli.acme import WELL_KNOWN, metadata
from tests.cli.test_auth import AWAY, HOUR, RENEWED
from tests.oauth.servers import document, serving
from tests.rigs.surroundings import fake_browser
from tests.rigs.terminal import Terminal
from tests.vault.samples import ACCESS, SECRETS
from twg import __version__
from twg.products import atlassian

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from tests.cli.console import Console
    from tests.oauth.servers import Server

KEY = "-----BEGIN " + "PRIVATE KEY-----\nExample1\n-----END PRIVATE KEY-----"
TOKEN = "ATATT3xFfGF0" + "kq7Zr2Wm9" * 8 + "=1A2B3C4D"


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"]])
def test_help_goes_to_stdout(console: Console, words: list[str]) -> None:
    ended = console.twg(*words)

    assert ended.out.startswith("Usage: twg ")
    assert ended.err == ""
    for name in ("login", "logout", "auth", "api", "doctor", "provider", "sandbox", "demo"):
        assert f"\n  {name} " in ended.out


@pytest.mark.parametrize("words", [["auth"], ["provider"], ["sandbox"]])
def test_a_group_alone_shows_its_commands(console: Console, words: list[str]) -> None:
    assert "Commands:" in console.twg(*words).out


def test_help_of_a_command_is_for_people(console: Console) -> None:
    """Its docstring's part for readers of the code is left out."""
    shown = console.twg("login", "--help").out

    assert "--device" in shown
    assert "Args:" not in shown
    assert "Raises:" not in shown


@pytest.mark.parametrize(("columns", "widest"), [(60, 58), (120, 78)])
async def test_help_is_as_wide_as_the_terminal_up_to_a_page(
    console: Console, columns: int, widest: int
) -> None:
    argv = ["twg", "login", "--help"]
    async with Terminal.start(argv, env=console.env, columns=columns, rows=60) as terminal:
        assert await terminal.exit_status() == 0
        shown = max(map(len, terminal.transcript().splitlines()))
    assert widest - 8 <= shown <= widest


def test_the_version_is_told(console: Console) -> None:
    assert console.twg("--version").out == f"twg {__version__}\n"
    assert console.apart("--version").out == f"twg {__version__}\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["bogus"], "No such command 'bogus'"),
        (["auth", "bogus"], "No such command 'bogus'"),
        (["auth", "list", "--bogus"], "No such option '--bogus'"),
        (["auth", "switch"], "Missing argument"),
        (["auth", "list", "more"], "unexpected extra argument"),
        (["sandbox", "start", "--port", "many"], "not a valid integer"),
        (["-o", "yaml", "auth", "list"], "'yaml' is not one of"),
        (["sandbox", "start", "--fault"], "requires an argument"),
    ],
)
def test_wrong_words_are_told_with_where_help_is(
    console: Console, words: list[str], told: str
) -> None:
    ended = console.twg(*words, status=2)

    assert ended.out == ""
    assert ended.err.startswith("twg: ")
    assert told in ended.err
    assert "--help`" in ended.err.splitlines()[-1]


@pytest.mark.parametrize(
    "words",
    [
        ["bogus", "-o", "json"],
        ["auth", "-o", "json"],
        ["-o", "json"],
        ["auth", "list", "--bogus", "-o", "json"],
        ["auth", "list", "--bogus", "--output=json"],
        ["auth", "switch", "-ojson"],
    ],
)
def test_wrong_words_are_told_in_json_too(console: Console, words: list[str]) -> None:
    """Though the parser gave up before it came to that option."""
    ended = console.twg(*words, status=2)

    assert ended.error["code"] == "USAGE"
    assert ended.err == ""


@pytest.mark.parametrize(
    "words",
    [
        ["-o", "json", "auth", "list"],
        ["auth", "-o", "json", "list"],
        ["auth", "list", "-o", "json"],
        ["auth", "list", "--output=json"],
        ["-o", "text", "auth", "list", "-o", "json"],
        ["-ojson", "auth", "list"],
    ],
)
def test_global_options_stand_anywhere_and_the_last_one_counts(
    console: Console, words: list[str]
) -> None:
    assert console.twg(*words, TWG_OUTPUT="text").data["profiles"] == []


def test_the_variable_decides_where_no_option_does(console: Console) -> None:
    assert console.twg("auth", "list", TWG_OUTPUT="json").data["profiles"] == []
    assert console.twg("auth", "list", "-o", "text", TWG_OUTPUT="json").out.startswith("Nobody")
    assert console.twg("auth", "list", TWG_OUTPUT="").out.startswith("Nobody")


def test_a_variable_that_says_neither_is_told(console: Console) -> None:
    ended = console.twg("auth", "list", status=78, TWG_OUTPUT="yaml")

    assert ended.err.startswith("twg: TWG_OUTPUT is neither")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[network", "is not valid TOML"),
        ("\xff\xfe", "is not valid TOML"),
        ("[netwrok]\n", "unknown section 'netwrok'"),
        ('[network]\nproxies = "x"\n', "unknown setting 'proxies' in [network]"),
        ('[storage]\nkey = "cloud"\n', "key is not one of keyring, file"),
        ("[login]\nwait_seconds = -1\n", "wait_seconds is not a number of seconds"),
        ("[login]\nwait_seconds = nan\n", "wait_seconds is not a number of seconds"),
    ],
)
def test_settings_that_are_wrong_are_told(console: Console, text: str, told: str) -> None:
    (console.config / "config.toml").write_text(text, encoding="latin-1")

    error = console.twg("auth", "list", "-o", "json", status=78).error

    assert error["code"] == "CONFIG"
    assert told in error["message"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (f'[network]\nproxy = "{TOKEN}"\n', "network.proxy"),
        (f'token = "{TOKEN}"\n', "token"),
        (f'[login]\nnotes = ["a", "{TOKEN}"]\n', "login.notes"),
        (f'[a.b.c]\nd = {{ e = "{TOKEN}" }}\n', "a.b.c.d.e"),
        (f'{TOKEN.rstrip("=0123456789ABCD")} = "x"\n', "a name"),
        (f"[login]\n{TOKEN[:40]} = 1\n", "a name in login"),
        ('token = "hunter2-hunter2"\n', "token"),
        ("[login]\npassword = 12345678\n", "login.password"),
        ('[login]\napi_keys = ["hunter2-hunter2"]\nclient_secret = ["x"]\n', "login.client_secret"),
    ],
)
@pytest.mark.parametrize("words", [["auth", "list"], ["login"], ["doctor"], ["api", "jira", "/x"]])
def test_a_secret_in_the_settings_is_named_and_never_shown(
    console: Console, text: str, name: str, words: list[str]
) -> None:
    """H-A5."""
    console.settings(text)

    ended = console.twg("-v", *words, "-o", "json", status=78)

    assert f"holds a secret in {name} " in ended.error["message"]
    assert "revoke it" in ended.error["remediation"]
    assert not any(TOKEN[:20] in shown for shown in (ended.out, ended.err))


@pytest.mark.parametrize(
    ("mode", "fix"), [(0o644, "chmod 600"), (None, "Replace")], ids=["readable", "link"]
)
def test_settings_that_others_could_change_are_refused(
    console: Console, tmp_path: Path, mode: int | None, fix: str
) -> None:
    path = console.config / "config.toml"
    if mode is None:
        path.rename(tmp_path / "elsewhere.toml")
        path.symlink_to(tmp_path / "elsewhere.toml")
    else:
        path.chmod(mode)

    error = console.twg("auth", "list", "-o", "json", status=78).error

    assert fix in error["remediation"]


def test_where_nothing_can_be_written_nothing_is_sent(console: Console, server: Server) -> None:
    """No folder can be made where there are no files."""
    words = ["provider", "add", "acme", "--issuer", server.url, "--client-id", "c-1", "-o", "json"]

    error = console.twg(*words, status=73, TWG_CONFIG_DIR="/proc/twg").error

    assert error["code"] == "STORE_UNWRITABLE"
    assert "/proc" in error["message"] + error["remediation"]
    assert error["remediation"]
    assert server.received == []


def test_a_config_directory_that_is_none_is_told(console: Console, tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.touch(mode=0o600)

    error = console.twg(
        "login", "--sandbox", "-o", "json", status=78, TWG_CONFIG_DIR=str(place)
    ).error

    assert str(place) in error["message"] + error["remediation"]


def test_verbose_shows_a_traceback_and_otherwise_there_is_none(console: Console) -> None:
    console.sign_in_at(AWAY, age=2 * HOUR)

    assert "Traceback" not in console.twg("auth", "refresh", status=69).err
    ended = console.twg("-v", "auth", "refresh", "-o", "json", status=69)

    assert "Traceback (most recent call last):" in ended.err
    assert "twg.errors.NetworkError" in ended.err
    assert ended.error["code"] == "NETWORK", "standard output is one document all the same"


@pytest.mark.parametrize("mode", ["text", "json"])
def test_a_bug_is_told_without_its_message_and_its_traceback_is_clean(
    console: Console, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """What an exception of somebody else's says may hold anything."""

    def buggy(*_: object) -> str:
        raise ValueError(f"\x1b[2Jwhat is {ACCESS}?\n{KEY}")

    console.sign_in_at(AWAY)
    monkeypatch.setattr(atlassian, "url_for", buggy)

    plain = console.twg("api", "atlassian", "/me", "-o", mode, status=1)
    verbose = console.twg("api", "atlassian", "/me", "-o", mode, "-v", status=1)

    assert "an unexpected error (ValueError)" in plain.out + plain.err
    assert "what is" not in plain.out + plain.err
    mark = r"‹redacted:access-token#[0-9a-f]{16,}›"
    assert re.search(rf"ValueError: �\[2Jwhat is {mark}\?", verbose.err)
    assert "Example1" not in verbose.err, "it spans lines, and is known as a whole"
    assert console.traces_of(*SECRETS) == []


def test_verbose_logs_each_request_and_nothing_secret(console: Console, server: Server) -> None:
    console.sign_in_at(server.url)
    server.on("/me", document({"a": 1}))

    ended = console.twg("api", "atlassian", "/me", "--verbose")

    assert f"GET {server.url}/me" in ended.err
    assert console.twg("api", "atlassian", "/me").err == ""
    assert console.traces_of(*SECRETS) == []


def test_a_terminal_that_knows_few_characters_is_served(console: Console) -> None:
    console.sign_in_at(AWAY)

    shown = console.apart("auth", "refresh", PYTHONIOENCODING="ascii").out

    assert shown == "\\u2714 default is fresh; nothing was sent.\n"


@pytest.fixture
def person(console: Console, server: Server, tmp_path: Path) -> Console:
    """Somebody with a browser, and a server to sign in at that never answers."""
    server.on(WELL_KNOWN, document(metadata(server)))
    words = ["provider", "add", "acme", "--issuer", server.url, "--client-id", "c-1"]
    console.twg(*words)
    console.more["BROWSER"] = str(fake_browser(tmp_path).path)
    return console


def ctrl_c(terminal: Terminal) -> Any:
    return terminal.interrupt()


async def sigterm(terminal: Terminal) -> None:
    terminal.signal(signal.SIGTERM)


async def ctrl_c_twice(terminal: Terminal) -> None:
    await terminal.send("\x03\x03")


@pytest.mark.parametrize("end", [ctrl_c, sigterm, ctrl_c_twice])
async def test_a_wait_is_ended_by_a_signal(person: Console, end: Callable[[Terminal], Any]) -> None:
    async with Terminal.start(["twg", "login"], env=person.env) as terminal:
        before = terminal.modes()
        await terminal.until("Waiting for you in the browser")
        await end(terminal)
        assert await terminal.exit_status() == 130
        assert terminal.modes() == before
        shown = terminal.transcript()

    assert "twg: interrupted; nothing is half-saved" in shown
    assert "Traceback" not in shown
    ended = await person.apart_async("auth", "list", "-o", "json")
    assert ended.data["profiles"] == []


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_a_signal_that_was_ignored_from_the_start_stays_so(person: Console) -> None:
    """As under nohup."""
    argv = ["sh", "-c", "trap '' HUP; exec twg login"]
    async with Terminal.start(argv, env=person.env) as terminal:
        await terminal.until("Waiting for you in the browser")
        status = await anyio.Path(f"/proc/{terminal.pid}/status").read_text()
        await terminal.interrupt()
        assert await terminal.exit_status() == 130

    ignored = int(next(line for line in status.splitlines() if "SigIgn" in line).split()[1], 16)
    assert ignored & 1 << (signal.SIGHUP - 1)


async def test_a_signal_in_json_is_one_document(person: Console) -> None:
    argv = ["twg", "login", "-o", "json"]
    async with Terminal.start(argv, env=person.env) as terminal:
        await terminal.until("Waiting for you in the browser")
        terminal.signal(signal.SIGTERM)
        assert await terminal.exit_status() == 130
        shown = terminal.transcript()

    assert json.loads(shown[shown.index("{") :])["error"]["code"] == "INTERRUPTED"


@pytest.fixture
async def gated() -> AsyncIterator[tuple[Server, Gate]]:
    """A server whose token endpoint answers when it is let."""
    async with serving() as server:
        gate = Gate(document(RENEWED))
        server.on("/oauth/token", gate)
        server.on("/me", document({"a": 1}))
        yield server, gate


@pytest.mark.parametrize("end", [ctrl_c, sigterm, ctrl_c_twice])
async def test_a_signal_between_send_and_save_waits_for_the_save(
    console: Console, gated: tuple[Server, Gate], end: Callable[[Terminal], Any]
) -> None:
    """H-D7: the refresh token is spent, so its successor is kept."""
    server, gate = gated
    await to_thread.run_sync(partial(console.sign_in_at, server.url, age=2 * HOUR))
    argv = ["twg", "auth", "refresh"]
    async with Terminal.start(argv, env=console.env) as terminal:
        await gate.arrived.wait()
        await end(terminal)
        gate.opened.set()
        assert await terminal.exit_status() == 130

    await console.apart_async("api", "atlassian", "/me")
    assert len(server.to("/oauth/token")) == 1
    sent = server.to("/me")[0].headers["authorization"]
    assert sent == f"Bearer {RENEWED['access_token']}"


async def test_a_second_ctrl_c_is_told_what_is_awaited(
    console: Console, gated: tuple[Server, Gate]
) -> None:
    """H-D7."""
    server, gate = gated
    await to_thread.run_sync(partial(console.sign_in_at, server.url, age=2 * HOUR))
    async with Terminal.start(["twg", "auth", "refresh"], env=console.env) as terminal:
        await gate.arrived.wait()
        terminal.signal(signal.SIGTERM)  # of another kind, so that the two are not taken for one
        await terminal.interrupt()
        host = server.url.removeprefix("http://")
        await terminal.until(f"twg: still waiting for {host}, which renews 'default'")
        gate.opened.set()
        assert await terminal.exit_status() == 130
        assert terminal.transcript().count("still waiting") == 1
