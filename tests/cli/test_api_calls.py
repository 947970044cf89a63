"""`twg api` sends what is asked for: methods, fields, bodies, headers; and reads what comes."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.cli.console import SITES, sandbox_at, standard_input
from tests.oauth.servers import body, document, raw, reset, status
from tests.vault.samples import ACCESS, REFRESH
from twg.auth import hosts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.console import Console
    from tests.oauth.servers import Received, Server
    from tests.sandbox.running import SandboxHandle


pytestmark = pytest.mark.usefixtures("no_rest")


@pytest.fixture
def there(console: Console, server: Server) -> Server:
    """A server at which somebody is signed in, that takes anything at `/x`."""
    console.sign_in_at(server.url)
    server.on("/x", document({}))
    return server


def sent(console: Console, server: Server, *words: str) -> Received:
    """Return the one request that a command line makes."""
    before = len(server.received)
    console.twg("api", "atlassian", *words, "-o", "json", status=None)
    (request,) = server.received[before:]
    return request


# What is sent


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "put", "PATCH", "DELETE", "OPTIONS"])
def test_a_method_is_what_was_asked_for(console: Console, there: Server, method: str) -> None:
    request = sent(console, there, "/x", "-X", method)

    assert (request.method, request.body) == (method.upper(), b"")
    assert "content-type" not in request.headers


def test_fields_make_a_post_with_a_json_body(console: Console, there: Server) -> None:
    request = sent(console, there, "/x", "-f", "a=1", "-F", "b=1", "-F", "c[d][]=true", "-f", "e=ü")

    assert request.method == "POST"
    assert request.json == {"a": "1", "b": 1, "c": {"d": [True]}, "e": "ü"}
    assert request.headers["content-type"] == "application/json"
    assert request.headers["authorization"] == f"Bearer {ACCESS}"


def test_with_get_fields_go_to_the_query(console: Console, there: Server) -> None:
    there.on("/x?q=1&a=b+c&n=2", document({}))
    request = sent(console, there, "/x?q=1", "-X", "GET", "-f", "a=b c", "-F", "n=2")

    assert (request.method, request.path, request.body) == ("GET", "/x?q=1&a=b+c&n=2", b"")


def test_a_file_is_the_body_and_fields_go_to_the_query(
    console: Console, there: Server, tmp_path: Path
) -> None:
    file = tmp_path / "body.bin"
    file.write_bytes(b"\x00\xff any")
    words = ("/x", "--input", str(file), "-f", "a=b", "-H", "Content-Type: text/x")

    request = sent(console, there, *words)

    assert (request.method, request.path, request.body) == ("POST", "/x?a=b", b"\x00\xff any")
    assert request.headers["content-type"] == "text/x"


def test_standard_input_is_a_body_and_a_field(console: Console, there: Server) -> None:
    for words, wanted in (
        (("--input", "-"), b'{"a": 1}'),
        (("-F", "text=@-"), b'{"text":"{\\"a\\": 1}"}'),
    ):
        reading, writing = os.pipe()
        os.write(writing, b'{"a": 1}')
        os.close(writing)
        with standard_input(reading):
            assert sent(console, there, "/x", *words).body == wanted
        os.close(reading)


def test_a_header_is_sent_too(console: Console, there: Server) -> None:
    request = sent(console, there, "/x", "-H", "X-Thing: a: b", "-H", "accept:text/csv")

    assert request.headers["x-thing"] == "a: b"
    assert request.headers["accept"] == "text/csv"
    assert request.headers["accept-encoding"] == "identity"


REFUSED = {
    "a field that is none": ["/x", "-f", "a"],
    "a header that is none": ["/x", "-H", "a"],
    "a header of ours": ["/x", "-H", "Host: evil.example"],
    "another method in a header": ["/x", "-H", "X-HTTP-Method-Override: DELETE"],
    "another method in the query": ["/x?_method=DELETE"],
    "another method in a field": ["/x", "-X", "GET", "-f", "_method=DELETE"],
    "no method": ["/x", "-X", "CONNECT"],
    "a body with GET": ["/x", "-X", "GET", "--input", "-"],
    "no path": [],
    "a file that is not there": ["/x", "-F", "a=@/nowhere/at/all"],
    "a directory": ["/x", "--input", "/"],
    "stdin twice": ["/x", "-F", "a=@-", "-F", "b=@-"],
    "pages of a POST": ["/x", "-f", "a=b", "--paginate"],
    "pages of a body": ["/x", "--input", "-", "--paginate"],
    "a list of one": ["/x", "--slurp"],
    "lines in one document": ["/x", "--jsonl"],
    "a query that is none": ["/x", "-q", "a["],
    "a list chosen from": ["/x", "--paginate", "--slurp", "-q", "a"],
    "nothing to a file": ["/x", "--silent", "--output-file", "f"],
    "a site for none": ["/x", "--site", "one.example.net"],
}


@pytest.mark.parametrize("name", REFUSED)
def test_words_that_make_no_call_are_refused_before_anything_is_sent(
    console: Console, there: Server, name: str
) -> None:
    error = console.twg("api", "atlassian", *REFUSED[name], "-o", "json", status=2).error

    assert error["code"] == "USAGE"
    assert "evil.example" not in error["message"]
    assert there.received == []


# Secrets


@pytest.mark.parametrize(
    "name", ["auth.conf", "link", "twin", "state/refused.json", "copy", "other/admin.conf"]
)
@pytest.mark.parametrize("words", [["--input", "{}"], ["-F", "a=@{}"]], ids=["input", "field"])
def test_no_file_of_twgs_own_is_sent(
    console: Console, there: Server, tmp_path: Path, name: str, words: list[str]
) -> None:
    """H-A5, H-A6: not by another name either."""
    conf = console.config / "auth.conf"
    (tmp_path / "link").symlink_to(conf)
    if name == "twin":
        (tmp_path / "twin").hardlink_to(conf)
    (console.state / "refused.json").write_text("{}")
    (tmp_path / "copy").write_bytes(b"\n" + conf.read_bytes())
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "admin.conf").write_text("anything")
    file = conf if name == "auth.conf" else tmp_path / name

    given = [word.format(file) for word in words]
    ended = console.twg("api", "atlassian", "/x", *given, "-o", "json", status=64)

    assert ended.error["code"] == "SECRET_REFUSED"
    assert "one of twg's own" in ended.error["message"]
    assert there.received == []


SECRETS = {
    "stored": ACCESS,
    "stored, the other": REFRESH,
    "by its looks": "ATATT3xFfGF0" + "Example1" * 8 + "=0123ABCD",
    "in JSON": '{"a": "' + ACCESS.replace("-", "\\u002d") + '"}',
    "in hexadecimal": REFRESH.encode().hex(),
}


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("way", ["input", "field", "raw", "header", "stdin"])
def test_no_secret_is_sent_by_any_way(
    console: Console, there: Server, tmp_path: Path, name: str, way: str
) -> None:
    """H-A2, H-A6."""
    secret = SECRETS[name]
    file = tmp_path.parent / f"{tmp_path.name}-words.txt"
    file.write_text(f"some words\n{secret}\n")
    words = {
        "input": ["--input", str(file)],
        "field": ["-F", f"a[b]=@{file}"],
        "raw": ["-f", f"a={secret}"],
        "header": ["-H", f"X-A: {secret}"],
        "stdin": ["--input", "-"],
    }[way]

    with file.open() as reading, standard_input(reading.fileno()):
        ended = console.twg("api", "atlassian", "/x", *words, "-o", "json", status=64)
    file.unlink()

    assert ended.error["code"] == "SECRET_REFUSED"
    assert there.received == []
    assert console.traces_of(secret) == []


# Who may


@pytest.mark.parametrize("words", [["-X", "DELETE"], ["-f", "a=b"], ["-X", "PUT"]], ids=" ".join)
def test_an_agent_may_only_read(console: Console, there: Server, words: list[str]) -> None:
    """What else it may not is tested with the policy; here, that it is asked before all else."""
    there.on("/me", document({"a": 1}))

    error = console.twg("api", "atlassian", "/me", *words, status=80, TWG_AGENT="1").error

    assert error["code"] == "POLICY_DENIED"
    assert there.received == []
    assert [one["reason"] for one in console.records("policy.denied")] != []
    assert console.twg("api", "atlassian", "/me", TWG_AGENT="1").data == {"a": 1}


def test_each_page_is_asked_for_by_leave(console: Console, there: Server) -> None:
    """An agent that is led from what it may read to what it may not stops there."""
    page = {"values": [1], "links": {"next": f"{there.url}/unknown/thing?page=2"}}
    there.on("/me", document(page))

    ended = console.twg("api", "atlassian", "/me", "--paginate", status=80, TWG_AGENT="1")

    assert ended.error["code"] == "POLICY_DENIED"
    assert [one.path for one in there.received] == ["/me"]


# What fails


@pytest.mark.parametrize(
    "fault",
    [status(503), status(500), status(429, Retry_After="0"), reset(), raw(b""), raw(b"HTTP/1.1 2")],
    ids=["503", "500", "429", "reset", "nothing", "half a line"],
)
def test_what_fails_for_a_while_is_asked_for_again(
    console: Console, there: Server, fault: object
) -> None:
    there.on("/x", fault, fault, document({"a": 1}))  # type: ignore[arg-type]  # replies, all

    assert console.twg("api", "atlassian", "/x", "-o", "json").data == {"a": 1}
    assert len(there.received) == 3


def test_an_answer_that_broke_off_is_asked_for_again(console: Console, there: Server) -> None:
    half = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{")
    there.on("/x", half, document({"a": 1}))

    assert console.twg("api", "atlassian", "/x", "-o", "json").data == {"a": 1}


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_what_may_have_been_done_is_not_sent_again(
    console: Console, there: Server, method: str
) -> None:
    for fault, ends in ((status(503), 4), (raw(b""), 69)):
        there.received.clear()
        there.on("/x", fault)
        console.twg("api", "atlassian", "/x", "-X", method, status=ends)
        assert len(there.received) == 1


def test_a_long_wait_is_the_persons_to_decide(console: Console, there: Server) -> None:
    there.on("/x", status(429, Retry_After="3600"))

    error = console.twg("api", "atlassian", "/x", "-o", "json", status=4).error

    assert len(there.received) == 1
    assert "Wait 3600 seconds" in error["remediation"]


def test_rests_grow_and_differ() -> None:
    """What is not waited for in these tests."""
    assert 0 < min(hosts.rest_after(1) for _ in range(20)) < 0.75
    assert len({hosts.rest_after(5) for _ in range(20)}) > 1


SAYINGS = {
    "Jira": ({"errorMessages": ["No such issue."], "errors": {}}, "No such issue."),
    "Jira's fields": ({"errors": {"summary": "is missing"}}, "summary: is missing"),
    "Confluence": ({"errors": [{"title": "Bad", "detail": "limit"}]}, "Bad; limit"),
    "Bitbucket": ({"type": "error", "error": {"message": "Gone"}}, "Gone"),
    "the gateway": ({"code": 404, "message": "Not Found"}, "Not Found"),
    "control characters": ({"message": "a\x1b[2Jb\u202ec"}, "a[2Jbc"),
}


@pytest.mark.parametrize("name", SAYINGS)
def test_the_services_own_words_are_told(console: Console, there: Server, name: str) -> None:
    given, words = SAYINGS[name]
    there.on("/x", document(given, 404))

    error = console.twg("api", "atlassian", "/x", "-o", "json", status=4).error

    assert error["message"].endswith(f"answered HTTP 404: {words}")


def test_the_services_words_are_scrubbed_before_they_are_cut(
    console: Console, there: Server
) -> None:
    """H-F2, H-F3: no part of a token is left where the words end."""
    there.on("/x", document({"message": "x" * (300 - len(ACCESS) // 2) + " " + ACCESS}, 400))

    ended = console.twg("api", "atlassian", "/x", "-o", "json", status=4)

    assert "xxx" in ended.error["message"]
    assert ACCESS[:8] not in ended.out + ended.err


def test_a_right_that_is_missing_is_told_from_a_sign_in_that_ended(
    console: Console, there: Server
) -> None:
    there.on("/x", document({"message": "You may not."}, 403))
    error = console.twg("api", "atlassian", "/x", "-o", "json", status=4).error

    assert error["code"] == "HTTP_ERROR"
    assert "accepts the sign-in, but this account may not do that" in error["message"]
    assert "Signing in again does not change that" in error["remediation"]
    assert error["human_required"] is False


def test_an_empty_list_without_the_scope_is_pointed_out(console: Console, server: Server) -> None:
    site = replace(SITES[0], scopes=("write:jira-work", "read:confluence-content.all"))
    console.sign_in_at(server.url, sites=(site,))
    server.on("/ex/jira/c1/x", document({"issues": []}))
    server.on("/ex/confluence/c1/x", document({"results": []}))

    for words in (["-o", "json"], ["-o", "text"], ["--paginate"], ["-q", "issues"]):
        told = console.twg("api", "jira", "/x", *words).err
        assert "no scope to read Jira on one.example.net" in told
        assert console.twg("api", "confluence", "/x", *words).err == ""
    server.on("/ex/jira/c1/x", document({"issues": [{}]}))
    assert console.twg("api", "jira", "/x").err == ""


# What is shown


def test_an_answer_is_chosen_from(console: Console, there: Server) -> None:
    there.on("/x", document({"values": [{"name": "a"}, {"name": "b"}], "n": 1}))

    def chosen(expression: str, *more: str) -> str:
        return console.twg("api", "atlassian", "/x", "-q", expression, *more).out

    assert chosen("values[0].name") == "a\n"
    assert json.loads(chosen("values[].name")) == ["a", "b"]
    assert chosen("n") == "1\n"
    assert chosen("values[].name", "--jsonl") == '"a"\n"b"\n'
    assert json.loads(chosen("values[].name", "-o", "json"))["data"] == ["a", "b"]
    error = console.twg("api", "atlassian", "/x", "-q", "abs(`[]`)", "-o", "json", status=2).error
    assert "does not fit" in error["message"]


def test_lines_are_the_items(console: Console, there: Server) -> None:
    there.on("/x", document({"issues": [{"a": 1}, {"b": "\u2028\n"}]}))
    assert console.twg("api", "atlassian", "/x", "--jsonl").out == ('{"a":1}\n{"b":"\\u2028\\n"}\n')
    there.on("/x", document({"a": [1]}))
    assert console.twg("api", "atlassian", "/x", "--jsonl").out == '{"a":[1]}\n'


def test_nothing_is_shown_where_that_is_wanted(console: Console, there: Server) -> None:
    there.on("/x", document({"a": 1}))

    assert console.twg("api", "atlassian", "/x", "--silent").out == ""
    assert console.twg("api", "atlassian", "/x", "--silent", "-i").out.startswith("HTTP 200\n")
    assert console.twg("api", "atlassian", "/x", "--silent", "-o", "json").data is None


def test_an_answer_goes_to_a_file(console: Console, there: Server, tmp_path: Path) -> None:
    """Whole, scrubbed, for its owner alone; the document says where."""
    there.on("/x", body(b"\x00binary " + ACCESS.encode() + b" end", content_type="image/png"))
    file = tmp_path / "answer.bin"
    file.write_text("old")

    data = console.twg("api", "atlassian", "/x", "--output-file", str(file), "-o", "json").data

    assert file.read_bytes() == "\0binary ‹redacted:access-token› end".encode()
    assert data == {"file": str(file), "bytes": file.stat().st_size, "status": 200}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    told = console.twg("api", "atlassian", "/x", "--output-file", str(file)).out
    assert told == f"✔ {file.stat().st_size} bytes in {file}\n"


@pytest.mark.parametrize(
    "reply", [status(404), raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{")]
)
def test_a_file_is_whole_or_as_it_was(
    console: Console, there: Server, tmp_path: Path, reply: object
) -> None:
    there.on("/x", reply)  # type: ignore[arg-type]  # a reply
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "answer").write_text("old")

    for words in ([], ["--jsonl"]):
        given = ["--output-file", str(folder / "answer"), *words]
        console.twg("api", "atlassian", "/x", *given, status=None)
        assert [each.name for each in folder.iterdir()] == ["answer"]
        assert (folder / "answer").read_text() == "old"


def test_a_file_is_none_of_twgs_own(console: Console, there: Server) -> None:
    for place in (console.config / "policy.json", console.state / "sub" / "x", "/dev/null"):
        ended = console.twg("api", "atlassian", "/x", "--output-file", str(place), status=2)
        assert "--output-file" in ended.err
    assert there.received == []


def test_a_file_that_cannot_be_is_told_before_anything_is_sent(
    console: Console, there: Server, tmp_path: Path
) -> None:
    missing = tmp_path / "nowhere" / "answer"

    error = console.twg(
        "api", "atlassian", "/x", "--output-file", str(missing), "-o", "json", status=73
    ).error

    assert str(missing) in error["message"]
    assert there.received == []


@pytest.mark.parametrize("mode", ["text", "json"])
def test_a_redirect_is_told_of(console: Console, there: Server, mode: str) -> None:
    """H-F5: where to, not with what."""
    there.on("/x", status(302, Location="https://media.example/file?sig=abc"))

    told = console.twg("api", "atlassian", "/x", "-o", mode).err

    assert "sends on to https://media.example/file; the credential does not follow" in told


# GraphQL


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxHandle]:
    with sandbox_at(tmp_path_factory.mktemp("gateway")) as running:
        yield running


def test_graphql_takes_a_query_and_variables(console: Console, gateway: SandboxHandle) -> None:
    console.sign_in(gateway)
    query = "query=query($hosts: [String]) { tenantContexts(hostNames: $hosts) { hostName } }"
    words = ["-f", query, "-F", "hosts[]=harbor.sandbox.example", "-o", "json"]
    wanted = {"data": {"tenantContexts": [{"hostName": "harbor.sandbox.example"}]}}

    assert console.twg("api", "graphql", *words).data == wanted
    assert console.twg("api", "graphql", "/graphql", *words).data == wanted
    assert console.twg("api", "atlassian", "/graphql", *words).data == wanted


def test_errors_within_a_graphql_answer_are_errors(
    console: Console, gateway: SandboxHandle
) -> None:
    console.sign_in(gateway)

    ended = console.twg("api", "graphql", "-f", "query={ nothing }", "-o", "json", status=4)

    assert ended.error["code"] == "HTTP_ERROR"
    assert "HTTP 200: the GraphQL answer lists errors; it says: Field" in ended.error["message"]
    assert ended.document["data"]["data"] is None


@pytest.mark.parametrize(
    "words",
    [
        ["/other", "-f", "query={a}"],
        ["/graphql/x", "-f", "query={a}"],
        ["-X", "GET", "-f", "query={a}"],
        ["-f", "a=b"],
        [],
        ["--site", "one.example.net", "-f", "query={a}"],
    ],
    ids=" ".join,
)
def test_graphql_is_nothing_else(console: Console, there: Server, words: list[str]) -> None:
    assert console.twg("api", "graphql", *words, "-o", "json", status=2).error["code"] == "USAGE"
    assert there.received == []


def test_a_file_for_graphql_is_a_request(console: Console, there: Server, tmp_path: Path) -> None:
    there.on("/graphql", document({"data": {}}))
    file = tmp_path / "request.json"
    file.write_text('{"query": "{a}"}')
    console.twg("api", "graphql", "--input", str(file))
    assert there.received[0].json == {"query": "{a}"}

    for text in ("{a}", "[]", '[{"query": "{a}"}]', '{"query": 1}', '{"query":"{a}","query":"b"}'):
        file.write_text(text)
        console.twg("api", "graphql", "--input", str(file), status=2)
    assert len(there.received) == 1
