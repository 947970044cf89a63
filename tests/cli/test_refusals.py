"""Secrets come by the hidden prompt alone: any other way is refused, recorded, never repeated."""

from __future__ import annotations

import base64
import os
import socket
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import quote

import asyncclick as click
import pytest

from tests.cli.console import standard_input
from twg.cli.command import Group
from twg.cli.main import root

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from tests.cli.console import Console, Ended
    from tests.oauth.servers import Server

TOKEN = "ATATT3xFfGF0" + "kq7Zr2Wm9" * 8 + "=1A2B3C4D"
WORD = "hunter2-Xk9qLm4w"
"""A secret that looks like none."""
LOGIN = base64.b64encode(b"alice@example.com:" + WORD.encode()).decode()
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJlLXNpZ25hdHVyZQ"


def commands() -> list[list[str]]:
    """Return the words of every command that there is."""

    def below(one: click.Command, words: list[str]) -> Iterator[list[str]]:
        if not isinstance(one, click.Group):
            yield words
            return
        if isinstance(one, Group) and one.alone is not None:
            yield words
        context = click.Context(one)
        for name in one.list_commands(context):
            found = one.get_command(context, name)
            assert found is not None
            yield from below(found, [*words, name])

    return list(below(root(), []))


def behind(*words: str) -> Callable[[list[str]], list[str]]:
    return lambda command: [*command, *words]


def before(*words: str) -> Callable[[list[str]], list[str]]:
    return lambda command: [*words, *command]


NAMED = {
    option: behind(option, WORD)
    for option in (
        "--token",
        "--api-key",
        "--api-token",
        "--password",
        "--client-secret",
        "--bitbucket-token",
        "--access-token",
        "--refresh-token",
        "--secret",
        "--passphrase",
        "--pat",
        "--TOKEN",
        "--api_key",
        "-token",
        "-t",
        "-p",
        "-k",
    )
}
"""H-A1: by the option's name, whatever the value looks like."""

SPELT = {
    "with an equals sign": behind(f"--token={WORD}"),
    "without a blank": behind(f"-p{WORD}"),
    "before the command": before("--token", WORD),
    "before the command, in one": before(f"--password={WORD}"),
    "behind the end of options": behind("--", f"--token={WORD}"),
    "with a dash of an editor": behind(f"\u2013\u2013token={WORD}"),
    "abbreviated": behind("--passw", WORD),
    "as a login": behind("-u", f"alice@example.com:{WORD}"),
    "as a login, in one": behind(f"--user=alice@example.com:{WORD}"),
    "in a header": behind("-H", f"Authorization: Bearer {WORD}"),
    "in another header": behind("-H", f"X-Api-Key: {WORD}"),
    "as a field": behind("-f", f"client_secret={WORD}"),
    "in a query": behind(f"/rest/api/3/myself?access_token={WORD}"),
}

SHAPED = {
    "as a word": behind(TOKEN),
    "as a word before the command": before(TOKEN),
    "as the profile": behind("--profile", TOKEN),
    "as the profile, in one": behind(f"--profile={TOKEN}"),
    "as an e-mail address": behind("--email", TOKEN),
    "as an organization": behind("--org", TOKEN),
    "as the output": before("-o", TOKEN),
    "in a URL": behind(f"https://x-token-auth:{TOKEN}@bitbucket.org/w/r"),
    "in JSON": behind("-f", '{"fields": {"summary": "' + TOKEN + '"}}'),
    "percent-encoded": behind(quote(TOKEN, safe="")),
    "percent-encoded all over": behind("".join(f"%{ord(each):02x}" for each in TOKEN)),
    "split by quotes": behind(f'{TOKEN[:30]}""{TOKEN[30:]}'),
    "split by a blank": behind(TOKEN[:30], TOKEN[30:]),
    "in base64": behind(base64.b64encode(TOKEN.encode()).decode()),
    "in hexadecimal": behind(TOKEN.encode().hex()),
}

DISGUISED = {
    "login in base64": (behind(LOGIN), LOGIN),
    "basic header": (behind("-H", f"Authorization: Basic {LOGIN}"), LOGIN),
    "JSON web token": (behind(JWT), JWT),
    "password in a URL": (behind(f"https://alice:{WORD}@example.com/"), WORD),
}

WAYS: list[tuple[Callable[[list[str]], list[str]], tuple[str, ...]]] = [
    *((way, (WORD,)) for way in (NAMED | SPELT).values()),
    *((way, (TOKEN, TOKEN[:30], TOKEN[30:], quote(TOKEN))) for way in SHAPED.values()),
    *((way, (secret, WORD)) for way, secret in DISGUISED.values()),
]
TITLES = [*NAMED, *SPELT, *SHAPED, *DISGUISED]


def test_there_are_commands_to_try_it_on() -> None:
    found = commands()

    assert ["login"] in found
    assert ["provider", "add"] in found
    assert len(found) > 15


@pytest.mark.parametrize(("way", "secrets"), WAYS, ids=TITLES)
def test_a_secret_among_the_arguments_is_refused_on_every_command(
    console: Console, way: Callable[[list[str]], list[str]], secrets: tuple[str, ...]
) -> None:
    """H-A1, H-A2: exit 64, said in JSON, recorded, repeated nowhere, standard input unread."""
    found = commands()
    with unread_pipe() as stdin, standard_input(stdin):
        for command in found:
            ended = console.twg("-o", "json", *way(command), status=64)
            assert ended.error["code"] == "SECRET_REFUSED"
            assert ended.error["human_required"] is True
            assert "revoke" in ended.error["remediation"]

    refused = console.records("secret.refused")
    assert len(refused) == len(found)
    assert {one["outcome"] for one in refused} == {"refused"}
    assert all(one["reason"].startswith("argument: ") for one in refused)
    assert console.traces_of(*secrets) == []


@contextmanager
def unread_pipe() -> Iterator[int]:
    """Yield a pipe's end to read from; in the end, what was put into it must still be there."""
    reading, writing = os.pipe()
    os.write(writing, TOKEN.encode())
    yield reading
    os.close(writing)
    assert os.read(reading, 4096) == TOKEN.encode()
    os.close(reading)


@pytest.mark.parametrize(
    "words",
    [
        ["-o", "json", "login", "--token", WORD],
        ["login", "--output", "json", "--token", WORD],
        ["login", "--token", WORD, "--output=json"],
        ["login", "--token", WORD, "-ojson"],
    ],
)
def test_json_is_found_though_nothing_was_parsed(console: Console, words: list[str]) -> None:
    assert console.twg(*words, status=64).error["code"] == "SECRET_REFUSED"


def test_in_text_the_refusal_says_what_to_do(console: Console) -> None:
    ended = console.twg("login", "--token", WORD, status=64)

    assert ended.out == ""
    assert ended.err.startswith("twg: refused: --token carries a secret")
    assert "hidden prompt" in ended.err


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["feedback", "--", "--pat"], "--pat carries a secret. "),
        (["feedback", "--", TOKEN], "argument 3 carries a secret (it looks like an Atlassian API "),
        (["feedback", "--", "token=hunter2"], "`token` carries a secret. "),
    ],
)
def test_a_false_alarm_names_itself_and_says_how_to_go_on(
    console: Console, words: list[str], name: str
) -> None:
    """Another wording does; the end of options does not."""
    error = console.twg(*words, "-o", "json", status=64).error

    assert error["message"].startswith(f"refused: {name}")
    assert "say it in other words" in error["remediation"]
    assert "not even `--`" in error["remediation"]


def test_verbose_shows_no_more_of_it(console: Console) -> None:
    console.twg("-v", "login", "--token", TOKEN, status=64)
    console.apart("-v", "api", "jira", f"/x?jql={TOKEN}", status=64)

    assert console.traces_of(TOKEN) == []


def test_a_refusal_that_cannot_be_recorded_is_a_refusal(console: Console) -> None:
    console.state.touch()  # where the directory should be

    ended = console.twg("login", "--token", WORD, status=64)

    assert "could not be recorded" in ended.err
    assert WORD not in ended.err


def test_a_real_process_leaves_nothing_of_it(console: Console) -> None:
    """H-A1: nor does it read what waits for it."""
    with unread_pipe() as stdin:
        console.apart("login", "--api-key", TOKEN, status=64, stdin=stdin)

    assert console.records("secret.refused")[0]["secret"] == {"kind": "an Atlassian API token"}
    assert console.traces_of(TOKEN) == []


LEAVING = """
import atexit
from pathlib import Path
from twg.cli.main import main
atexit.register(lambda: print("left:", Path("/proc/self/cmdline").read_bytes()))
main()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not let it")
def test_the_process_list_shows_nothing_of_it_any_more(console: Console) -> None:
    """H-A1: `ps` in another terminal, while the refusal is recorded and cleaned up after."""
    done = subprocess.run(
        [sys.executable, "-c", LEAVING, "login", "--token", WORD],
        env=console.env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 64
    assert "left: b'" in done.stdout
    assert WORD not in done.stdout


ENDING = """
import atexit, os, resource
from twg.cli.main import main
def told():
    print("limits:", resource.getrlimit(resource.RLIMIT_CORE), oct(os.umask(0)))
    print("left:", sorted({"SSLKEYLOGFILE", "ALL_PROXY"} & {*os.environ}))
atexit.register(told)
main()
"""


def test_a_real_process_closes_itself_first(console: Console) -> None:
    """H-A1: no core, private files, and no variable that would turn a library on it."""
    more = {"SSLKEYLOGFILE": str(console.root / "keys"), "ALL_PROXY": "http://127.0.0.1:9"}
    line = 'umask 0; exec "$@"'
    done = subprocess.run(
        ["/bin/sh", "-c", line, "sh", sys.executable, "-c", ENDING, "--version"],
        env=console.env | more,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )

    assert "limits: (0, 0) 0o77\nleft: []\n" in done.stdout


def test_a_file_of_arguments_is_a_word_and_not_opened(console: Console, tmp_path: Path) -> None:
    """H-A5: there are no response files."""
    words = tmp_path / "words.txt"
    words.write_text(f"login --token {TOKEN}")

    ended = console.twg(f"@{words}", status=2)

    assert "No such command" in ended.err
    assert TOKEN not in ended.err


@contextmanager
def from_pipe(_folder: Path) -> Iterator[int]:
    with unread_pipe() as stdin:
        yield stdin


@contextmanager
def from_file(folder: Path) -> Iterator[int]:
    path = folder / "secret.txt"
    path.write_text(TOKEN)
    with path.open("rb", buffering=0) as file:
        yield file.fileno()
        assert file.tell() == 0
    path.unlink()


@contextmanager
def from_socket(_folder: Path) -> Iterator[int]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(TOKEN.encode())
        yield theirs.fileno()
        assert theirs.recv(4096) == TOKEN.encode()


TAKES_SECRET = {
    "login": ["login"],
    "setup": ["setup", "--sandbox"],
    "setup bitbucket": ["setup", "bitbucket", "--sandbox"],
    "provider add": ["provider", "add", "acme", "--issuer", "https://auth.example.com"],
}


def check_refused_stdin(console: Console, ended: Ended) -> None:
    assert ended.error["code"] == "SECRET_REFUSED"
    assert "Nothing of it was read" in ended.error["message"]
    assert "terminal" in ended.error["remediation"]
    assert [one["reason"] for one in console.records("secret.refused")] == ["stdin: standard input"]
    assert console.traces_of(TOKEN) == []


@pytest.mark.parametrize("source", [from_pipe, from_file, from_socket])
@pytest.mark.parametrize("command", TAKES_SECRET)
def test_no_secret_comes_through_standard_input(
    console: Console,
    tmp_path: Path,
    command: str,
    source: Callable[[Path], AbstractContextManager[int]],
) -> None:
    """H-A3: refused without reading a byte."""
    with source(tmp_path) as stdin, standard_input(stdin):
        ended = console.twg(*TAKES_SECRET[command], "-o", "json", status=64)

    check_refused_stdin(console, ended)


@pytest.mark.parametrize("command", TAKES_SECRET)
def test_no_secret_comes_through_a_shells_here_document(console: Console, command: str) -> None:
    """H-A3, as a person would do it."""
    line = f"exec \"$@\" <<'END'\n{TOKEN}\nEND\n"

    ended = console.apart(
        *TAKES_SECRET[command], "-o", "json", status=64, under=["sh", "-c", line, "sh"]
    )

    check_refused_stdin(console, ended)


def test_a_real_process_reads_nothing_of_a_pipe(console: Console) -> None:
    """H-A3."""
    with unread_pipe() as stdin:
        ended = console.apart("login", "-o", "json", status=64, stdin=stdin)

    check_refused_stdin(console, ended)


@pytest.mark.parametrize("redirection", ["</dev/null", "<&-"])
def test_an_empty_standard_input_is_no_reason(console: Console, redirection: str) -> None:
    """H-A3: the command fails for another reason."""
    line = f'exec "$@" {redirection}'

    ended = console.apart("login", "-o", "json", status=78, under=["sh", "-c", line, "sh"])

    assert "provider add" in ended.error["remediation"]


def test_commands_that_take_no_secret_do_not_mind_a_pipe(console: Console) -> None:
    with unread_pipe() as stdin, standard_input(stdin):
        console.twg("auth", "list")
        console.twg("provider", "list")


SECRET_VARIABLES = {
    "TWG_TOKEN": WORD,
    "twg_token": WORD,
    "Twg_Access_Token": WORD,
    "TWG_BBC_TOKEN": WORD,
    "TWG_OAUTH_ACCESS_TOKEN": WORD,
    "ATLASSIAN_API_TOKEN": WORD,
    "JIRA_API_TOKEN": WORD,
    "BITBUCKET_TOKEN": WORD,
    "MY_NOTE": TOKEN,
}


@pytest.mark.parametrize("name", SECRET_VARIABLES)
def test_a_secret_in_the_environment_stops_commands_that_take_one(
    console: Console, name: str
) -> None:
    """H-A4."""
    value = SECRET_VARIABLES[name]
    for words in TAKES_SECRET.values():
        ended = console.twg(*words, "-o", "json", status=64, **{name: value})
        assert name in ended.error["message"]
        assert f"unset {name}" in ended.error["remediation"]

    reasons = {one["reason"] for one in console.records("secret.refused")}
    assert reasons == {f"environment: {name}"}
    assert console.traces_of(value) == []


@pytest.mark.parametrize("name", SECRET_VARIABLES)
def test_a_secret_in_the_environment_is_ignored_by_others_and_named_once(
    console: Console, name: str
) -> None:
    """H-A4."""
    value = SECRET_VARIABLES[name]

    ended = console.twg("auth", "list", "-o", "json", status=0, **{name: value})

    assert ended.data["profiles"] == []
    assert ended.err.startswith(f"twg: warning: {name} ")
    assert ended.err.count("\n") == 1
    assert [one["reason"] for one in console.records("secret.ignored")] == [f"environment: {name}"]
    assert console.traces_of(value) == []


def test_several_secrets_in_the_environment_are_one_warning(console: Console) -> None:
    ended = console.twg("auth", "list", TWG_TOKEN=WORD, JIRA_API_TOKEN=WORD)

    assert ended.err.startswith("twg: warning: JIRA_API_TOKEN, TWG_TOKEN ")
    assert ended.err.count("\n") == 1
    assert len(console.records("secret.ignored")) == 1


def test_a_real_process_reads_no_secret_of_its_environment(console: Console) -> None:
    console.apart("login", status=64, TWG_TOKEN=TOKEN)
    console.apart("auth", "list", ATLASSIAN_API_TOKEN=TOKEN)

    assert console.happened() == ["secret.refused", "secret.ignored"]
    assert console.traces_of(TOKEN) == []


def test_what_others_need_in_the_environment_is_no_secret_of_ours(console: Console) -> None:
    ended = console.twg("auth", "list", GITHUB_TOKEN=WORD, AWS_SECRET_ACCESS_KEY=WORD)

    assert ended.err == ""


def test_a_login_file_for_other_programs_is_not_read(console: Console, server: Server) -> None:
    """H-A5: nothing of a `.netrc` is sent."""
    netrc = console.root / "home" / ".netrc"
    netrc.parent.mkdir()
    netrc.write_text(f"machine 127.0.0.1 login alice password {WORD}\n")
    netrc.chmod(0o600)

    console.apart(
        "provider", "add", "acme", "--issuer", server.url, "--client-id", "x", status=None
    )

    assert server.received
    assert all("authorization" not in request.headers for request in server.received)
