"""`twg api --paginate` and answers of any length: all of it, as it comes, in constant memory."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from tests.cli.console import HOST
from tests.oauth.servers import document, raw, status
from tests.rigs.terminal import Terminal
from tests.vault.samples import ACCESS

if TYPE_CHECKING:
    from pathlib import Path

    from anyio.abc import SocketStream

    from tests.cli.console import Console
    from tests.oauth.servers import Server
    from tests.sandbox.running import SandboxHandle

pytestmark = pytest.mark.usefixtures("no_rest")

MEGABYTE = 1024 * 1024
JQL = "/rest/api/3/search/jql"
LOG = "jql=project = TIDE"


def token(start: int) -> str:
    """Return the sandbox's token for the page that begins at `start`."""
    return base64.urlsafe_b64encode(f"start:{start}".encode()).decode()


# By each product, at the sandbox; of projects that no test writes to


LISTS: dict[str, tuple[list[str], int, int]] = {
    "Jira, by token": (
        ["jira", JQL, "-X", "GET", "-f", "jql=project=OPS", "-F", "maxResults=10"],
        3,
        24,
    ),
    "Jira, by offset": (["jira", "/rest/api/3/search?jql=project%3DOPS&maxResults=10"], 3, 24),
    "Jira, by isLast": (["jira", "/rest/api/3/project/search?maxResults=1"], 2, 2),
    "Confluence": (["confluence", "/wiki/api/v2/pages?limit=15"], 3, 36),
}


@pytest.mark.parametrize("name", LISTS)
def test_a_list_is_followed_to_its_end(console: Console, sandbox: SandboxHandle, name: str) -> None:
    console.sign_in(sandbox)
    words, pages, items = LISTS[name]

    listed = console.twg("api", *words, "--paginate", "-o", "json").data
    texts = console.twg("api", *words, "--paginate").out
    slurped = json.loads(console.twg("api", *words, "--paginate", "--slurp").out)
    lines = console.twg("api", *words, "--paginate", "--jsonl").out.splitlines()

    assert len(listed) == pages
    assert slurped == listed == [json.loads(text) for text in texts.splitlines()]
    assert len({json.loads(line)["id"] for line in lines}) == len(lines) == items


def test_bitbuckets_and_the_admin_apis_lists_are_followed(console: Console, server: Server) -> None:
    console.keep_bitbucket(server.url)
    server.on("/2.0/r", document({"values": [1], "next": f"{server.url}/2.0/r?page=2"}))
    server.on("/2.0/r?page=2", document({"values": [2]}))

    lines = console.twg("api", "bitbucket", "/r", "--paginate", "--jsonl").out

    assert lines == "1\n2\n"
    assert all(one.headers["authorization"].startswith("Basic ") for one in server.received)


def test_a_graphql_connection_is_followed(console: Console, server: Server) -> None:
    console.sign_in_at(server.url)

    def page(*nodes: int, more: bool) -> dict[str, Any]:
        info = {"hasNextPage": more, "endCursor": f"c{nodes[-1]}"}
        return {"data": {"issues": {"nodes": nodes, "pageInfo": info}}}

    server.on("/graphql", document(page(1, 2, more=True)), document(page(3, more=False)))
    words = ["-f", "query=query($endCursor: String) { issues }", "-F", "n=1"]

    assert console.twg("api", "graphql", *words, "--paginate", "--jsonl").out == "1\n2\n3\n"
    assert [one.json.get("variables") for one in server.received] == [
        {"n": 1},
        {"n": 1, "endCursor": "c2"},
    ]


# What is between them


def pages(server: Server, *last: Any) -> None:
    """Have a list of two pages, the second of which is `last`."""
    server.on("/x", document({"issues": [1, 2], "nextPageToken": "t"}))
    server.on("/x?nextPageToken=t", *last)


@pytest.mark.parametrize("mode", ["text", "json"])
def test_what_fails_in_the_middle_is_told_and_leaves_one_document(
    console: Console, server: Server, mode: str
) -> None:
    console.sign_in_at(server.url)
    for last, ends in ((status(404), 4), (raw(b""), 69), (raw(b"HTTP/1.1 200 OK\r\n\r\n{"), 0)):
        pages(server, last)
        ended = console.twg("api", "atlassian", "/x", "--paginate", "-o", mode, status=ends)
        if mode == "text":
            assert ended.out.startswith('{"issues": [1, 2], "nextPageToken": "t"}\n')
            assert ended.err.startswith("twg: ") is (ends != 0)
        else:
            assert ended.document["ok"] is (ends == 0)


def test_a_page_that_breaks_off_is_asked_for_again(console: Console, server: Server) -> None:
    console.sign_in_at(server.url)
    half = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{")
    pages(server, half, status(502), document({"issues": [3]}))

    assert console.twg("api", "atlassian", "/x", "--paginate", "--jsonl").out == "1\n2\n3\n"


def test_pages_are_scrubbed_one_and_all(console: Console, server: Server) -> None:
    """H-F2: the token, and what stands under a telling name."""
    console.sign_in_at(server.url)
    server.on("/x", document({"issues": [f"x {ACCESS} y"], "nextPageToken": "t"}))
    server.on("/x?nextPageToken=t", document({"issues": [{"cookie": {"b": "crumb"}}]}))

    shown = console.twg("api", "atlassian", "/x", "--paginate", "-o", "json")
    console.twg("api", "atlassian", "/x", "--paginate")
    console.twg("api", "atlassian", "/x", "--paginate", "--slurp")
    console.twg("api", "atlassian", "/x", "--paginate", "--jsonl")

    assert [page["issues"] for page in shown.data] == [
        ["x ‹redacted:access-token› y"],
        [{"cookie": "‹redacted:cookie›"}],
    ]
    assert console.traces_of(ACCESS) == []


def body(text: str) -> Any:
    """Return an answer whose body is `text` as it is."""
    sent = text.encode()
    return raw(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(sent), sent))


def test_a_page_of_plain_ascii_is_in_the_document_as_it_came(
    console: Console, server: Server
) -> None:
    """To parse it would change its numbers."""
    console.sign_in_at(server.url)
    pages(server, body(' [1.10,"a\\nb"]\r\n'))

    shown = console.twg("api", "atlassian", "/x", "--paginate", "-o", "json")

    assert ',\n[1.10,"a\\nb"]\n' in shown.out


UNLIKE = {
    "a name in escapes": (r'{"pa\u0073sword": ["crumb"]}', {"password": "‹redacted:password›"}),
    "a name far from its value": ('{"cookie"  :\n{"b": 1}}', {"cookie": "‹redacted:cookie›"}),
    "a value in escapes": (
        json.dumps({"a": ACCESS}).replace("s", r"\u0073"),
        {"a": "‹redacted:access-token›"},
    ),
    "a name below lists": ('[[{"api_key":[1]}]]', [[{"api_key": "‹redacted:api-key›"}]]),
}


@pytest.mark.parametrize("name", UNLIKE)
def test_a_page_that_is_written_unlike_ours_is_scrubbed_as_ours(
    console: Console, server: Server, name: str
) -> None:
    text, expected = UNLIKE[name]
    console.sign_in_at(server.url)
    pages(server, body(text))

    shown = console.twg("api", "atlassian", "/x", "--paginate", "-o", "json")

    assert shown.data[1] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('["\u202eü"]', r'["\u202e\u00fc"]'),
        (r'["\u0041"]', '["A"]'),
        (r'["\/"]', '["/"]'),
        ("[\n1]", "[1]"),
    ],
)
def test_a_page_that_could_draw_or_hide_something_is_written_anew(
    console: Console, server: Server, text: str, expected: str
) -> None:
    console.sign_in_at(server.url)
    pages(server, body(text))

    shown = console.twg("api", "atlassian", "/x", "--paginate", "-o", "json")

    assert shown.out.endswith(f",\n{expected}\n  ]\n}}\n")


def test_a_name_that_an_expression_gives_hides_too(console: Console, server: Server) -> None:
    console.sign_in_at(server.url)
    pages(server, document({"issues": [3]}))
    words = ["--paginate", "-o", "json", "-q", "[{cookie: issues}]"]

    data = console.twg("api", "atlassian", "/x", *words).data

    assert data == [[{"cookie": "‹redacted:cookie›"}]] * 2


def test_a_page_that_its_marks_would_break_is_hidden_whole(
    console: Console, server: Server
) -> None:
    """One secret over several words leaves no document, were it cut out of it."""
    console.sign_in_at(server.url)
    half = len(ACCESS) // 2
    pages(server, document([[ACCESS[:half]], ACCESS[half:]]))

    data = console.twg("api", "atlassian", "/x", "--paginate", "-o", "json").data

    assert data == [{"issues": [1, 2], "nextPageToken": "t"}, "‹redacted:page›"]


def test_a_head_is_shown_with_each_page(console: Console, server: Server) -> None:
    console.sign_in_at(server.url)
    pages(server, document({"issues": []}, X_Page="2"))

    listed = console.twg("api", "atlassian", "/x", "--paginate", "-i", "-o", "json").data
    assert [one["status"] for one in listed] == [200, 200]
    assert listed[1]["headers"]["x-page"] == "2"
    assert console.twg("api", "atlassian", "/x", "--paginate", "-i").out.count("HTTP 200\n") == 2


def test_pages_go_to_a_file(console: Console, server: Server, tmp_path: Path) -> None:
    console.sign_in_at(server.url)
    pages(server, document({"issues": [3]}))
    file = tmp_path / "lines"
    words = ["--paginate", "--jsonl", "--output-file", str(file)]

    data = console.twg("api", "atlassian", "/x", *words, "-o", "json").data

    assert file.read_text() == "1\n2\n3\n"
    assert data == {"file": str(file), "bytes": 6, "status": 200, "pages": 2}


def test_many_pages_wait_in_a_file_without_a_name(
    console: Console, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twg.cli.api_pages._IN_MEMORY", 16)
    console.sign_in_at(server.url)
    pages(server, document({"issues": ["ü" * 40]}))
    console.twg("api", "atlassian", "/x")
    before = sorted(console.state.iterdir())

    assert console.twg("api", "atlassian", "/x", "--paginate", "-o", "json").data == [
        {"issues": [1, 2], "nextPageToken": "t"},
        {"issues": ["ü" * 40]},
    ]
    assert sorted(console.state.iterdir()) == before


def test_each_page_asks_with_the_token_of_its_time(console: Console, server: Server) -> None:
    """The first one is refused in the middle, and renewed."""
    console.sign_in_at(server.url)
    pages(server, status(401), document({"issues": [3]}))
    renewed = {"access_token": "renewed-0123456789", "token_type": "Bearer", "expires_in": 3600}
    server.on("/oauth/token", document({**renewed, "refresh_token": "next-0123456789"}))

    assert console.twg("api", "atlassian", "/x", "--paginate", "--jsonl").out == "1\n2\n3\n"
    assert server.received[-1].headers["authorization"] == "Bearer renewed-0123456789"


def test_nobody_is_asked_to_sign_in_again_for_what_is_half_shown(
    console: Console, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would begin anew, and show the first pages twice; before that, a person is asked."""
    asked: list[object] = []

    async def ask(_wiring: object, ended: object) -> None:
        asked.append(ended)

    monkeypatch.setattr("twg.cli.api.signed_in_again", ask)
    console.sign_in_at(server.url)
    server.on("/oauth/token", document({"error": "invalid_grant"}, 400))
    pages(server, status(401))

    console.twg("api", "atlassian", "/x", "--paginate", "--jsonl", status=77)
    assert asked == []
    server.on("/x", status(401))
    console.twg("api", "atlassian", "/x", "--paginate", "--jsonl", status=77)
    assert len(asked) == 1


async def test_a_person_sees_how_far_it_is(
    console: Console, server: Server, tmp_path: Path
) -> None:
    """On the terminal, where the pages themselves go elsewhere; gone in the end."""
    await anyio.to_thread.run_sync(console.sign_in_at, server.url)
    listed = {"issues": [1, 2], "startAt": 0, "total": 4}
    server.on("/x", document(listed))
    server.on("/x?startAt=2", document({**listed, "startAt": 2}))
    file = tmp_path / "pages"
    line = f"twg api atlassian /x --paginate > {file}; echo done"

    async with Terminal.start(["sh", "-c", line], env=console.env) as terminal:
        assert await terminal.exit_status() == 0
        assert b"2 of 4 from 127.0.0.1" in terminal.raw
        assert terminal.screen().split() == ["done"]
    assert len(file.read_text().splitlines()) == 2


# Long ones

TELLS_ITS_PEAK = """
import atexit, resource, sys
from twg.cli.main import main
def tell():
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print("peak:", peak, file=sys.stderr)
atexit.register(tell)
main()
"""


def peak_of(console: Console, *words: str, stdout: int = subprocess.DEVNULL) -> int:
    """Run `twg` apart; return how many bytes of memory it took at most."""
    done = subprocess.run(
        [sys.executable, "-c", TELLS_ITS_PEAK, *words],
        env=console.env,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        check=True,
        text=True,
        timeout=120,
    )
    unit = 1 if sys.platform == "darwin" else 1024
    return int(done.stderr.rpartition("peak:")[2]) * unit


def long_answer(megabytes: int, piece: bytes) -> Any:
    """Reply a JSON text of so many megabytes."""

    async def reply(stream: SocketStream) -> None:
        head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n["
        await stream.send(head.encode())
        chunk = piece * (MEGABYTE // len(piece))
        for _ in range(megabytes):
            await stream.send(chunk)
        await stream.send(b"0]")

    return reply


def test_an_answer_of_any_length_passes_in_constant_memory(
    console: Console, server: Server, tmp_path: Path
) -> None:
    console.sign_in_at(server.url)
    server.on("/short", document([0]))
    server.on("/long", long_answer(64, b'{"a": "some words of a long answer"}, '))
    file = tmp_path / "long.json"

    short = peak_of(console, "api", "atlassian", "/short")
    long = peak_of(console, "api", "atlassian", "/long")
    filed = peak_of(console, "api", "atlassian", "/long", "--output-file", str(file))

    assert long - short < 30 * MEGABYTE
    assert filed - short < 30 * MEGABYTE
    assert file.stat().st_size > 63 * MEGABYTE


def test_a_secret_in_a_long_answer_is_hidden_wherever_chunks_end(
    console: Console, server: Server
) -> None:
    """H-F1, H-F2."""
    console.sign_in_at(server.url)
    piece = b'"' + ACCESS.encode() + b'", ' + b'"words of no meaning", ' * 40
    server.on("/long", long_answer(2, piece))

    shown = console.apart("api", "atlassian", "/long").out

    assert len(json.loads(shown)) > 1000
    assert shown.count("‹redacted:access-token›") == 2 * (MEGABYTE // len(piece))
    assert ACCESS not in shown


def test_what_is_too_long_for_one_document_says_where_to_put_it(
    console: Console, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("twg.cli.api_walk.LARGEST_PAGE", MEGABYTE)
    console.sign_in_at(server.url)
    server.on("/long", long_answer(2, b'"x", '))

    error = console.twg("api", "atlassian", "/long", "-o", "json", status=76).error

    assert "--output-file FILE" in error["remediation"]


def test_whoever_stops_reading_long_lists_is_left_in_peace(
    console: Console, sandbox: SandboxHandle
) -> None:
    console.sign_in(sandbox)
    words = ["api", "jira", JQL, "-X", "GET", "-f", LOG, "--paginate", "--jsonl"]
    reading, writing = os.pipe()
    with subprocess.Popen(
        [sys.executable, "-m", "twg", *words],
        env=console.env,
        stdin=subprocess.DEVNULL,
        stdout=writing,
        stderr=subprocess.PIPE,
    ) as running:
        os.close(writing)
        with os.fdopen(reading, "rb") as lines:
            assert json.loads(lines.readline())["key"] == "TIDE-1"
        _, told = running.communicate(timeout=60)

    assert (running.returncode, told) == (0, b"")


def test_a_list_of_thousands_is_whole(console: Console, sandbox: SandboxHandle) -> None:
    """A hundred thousand of them are measured in `make bench`."""
    console.sign_in(sandbox)
    words = ["-X", "GET", "-f", LOG, "-F", "maxResults=100", "-f", f"nextPageToken={token(98_500)}"]

    keys = console.twg("api", "jira", JQL, *words, "--paginate", "--jsonl", "-q", "issues[].key")
    listed = console.twg("api", "jira", JQL, *words, "--paginate", "-o", "json").data

    assert keys.out.split() == [f'"TIDE-{number}"' for number in range(98_501, 100_001)]
    assert len(listed) == 15
    assert sum(len(page["issues"]) for page in listed) == 1500
    assert HOST not in keys.out
