"""`twg api`: where a call may go, and its answer as it came."""

from __future__ import annotations

import base64
import json
import os
from typing import TYPE_CHECKING

import pytest

from tests.cli.console import request_count, sandbox_at
from tests.oauth.servers import body, document, status
from tests.vault.samples import ACCESS, REFRESH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.console import Console
    from tests.oauth.servers import Server
    from tests.sandbox.running import SandboxHandle

pytestmark = pytest.mark.usefixtures("no_rest")

TOKEN_ANSWER = {
    "access_token": "access-renewed-0123456789",
    "refresh_token": "refresh-renewed-0123456789",
    "token_type": "Bearer",
    "expires_in": 3600,
}

ELSEWHERE = {
    "absolute": "https://evil.example/me",
    "absolute, our own": "{url}/me",
    "protocol-relative": "//evil.example/me",
    "backslashes": "\\\\evil.example\\me",
    "slash and backslash": "/\\evil.example/me",
    "no slash": "me",
    "empty": "",
    "userinfo": "@evil.example/me",
    "another port": ":8080/me",
    "climbing": "/rest/../../../me",
    "climbing at the end": "/rest/..",
    "climbing, encoded": "/rest/%2e%2e/me",
    "climbing, encoded twice": "/rest/%252e%252e/me",
    "climbing, half encoded": "/rest/.%2E/me",
    "climbing by unicode": "/rest/\uff0e\uff0e/me",
    "climbing by a dot leader": "/rest/\u2025/me",
    "climbing by unicode, encoded": "/rest/%ef%bc%8e%ef%bc%8e/me",
    "climbing behind a semicolon": "/rest/..;x/me",
    "slashes encoded": "/%2fevil.example/me",
    "line feed": "/me\r\nX-Evil: 1",
    "line feed, encoded": "/me%0d%0aX-Evil:%201",
    "null": "/me%00",
    "blank": "/me HTTP/1.1",
    "fragment": "/me#x",
    "ideographic full stop": "/me\u3002evil",
}


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_path_that_leads_elsewhere_is_refused_before_anything_is_sent(
    console: Console, server: Server, name: str
) -> None:
    """H-F5."""
    console.sign_in_at(server.url)
    path = ELSEWHERE[name].format(url=server.url)

    for service in ("atlassian", "jira", "confluence"):
        ended = console.twg("api", service, path, "-o", "json", status=2)
        assert ended.error["code"] == "USAGE"
        assert "path" in ended.error["message"]

    assert server.received == []


SENT_IN = {
    "in the query": "/me?q={}",
    "as a name in the query": "/me?{}=1",
    "in the path": "/me/{}/x",
    "in the path, encoded": "/me/{percent}",
    "in the query, encoded twice": "/me?q={twice}",
    "in base64": "/me?q={base64}",
    "in hexadecimal": "/me?q={hex}",
}
"""H-A6: where a stored token may stand."""


@pytest.mark.parametrize("token", [ACCESS, REFRESH], ids=["access", "refresh"])
@pytest.mark.parametrize("where", SENT_IN)
def test_a_stored_token_is_not_sent(
    console: Console, server: Server, where: str, token: str
) -> None:
    """H-A6: it looks like nothing, but it is known; recorded, repeated nowhere."""
    console.sign_in_at(server.url)
    percent = "".join(f"%{ord(each):02x}" for each in token)
    path = SENT_IN[where].format(
        token,
        percent=percent,
        twice=percent.replace("%", "%25"),
        base64=base64.urlsafe_b64encode(token.encode()).decode(),
        hex=token.encode().hex(),
    )

    error = console.twg("api", "atlassian", path, "-o", "json", status=64).error

    assert error["code"] == "SECRET_REFUSED"
    assert "Nothing was sent" in error["message"]
    assert server.received == []
    (record,) = console.records("secret.refused")
    assert record["reason"].startswith("request: the ")
    assert console.traces_of(token, path) == []


def test_a_sandbox_sees_nothing_of_a_stored_token(console: Console, sandbox: SandboxHandle) -> None:
    """H-A6: its count of requests stays."""
    access = console.sign_in(sandbox).tokens.access.reveal("compare in a test")
    console.twg("api", "atlassian", "/me")
    before = request_count(sandbox)

    for path in (f"/me?q={access}", f"/me/{access}", f"/me?q={access.encode().hex()}"):
        error = console.twg("api", "atlassian", path, "-o", "json", status=64).error
        assert error["code"] == "SECRET_REFUSED"

    assert request_count(sandbox) == before
    assert console.traces_of(access) == []


def test_a_redirect_is_not_followed(console: Console, server: Server) -> None:
    """H-F5: it is the answer."""
    console.sign_in_at(server.url)
    server.on("/me", status(302, Location=f"{server.url}/elsewhere"))
    ended = console.twg("api", "atlassian", "/me", "--include", "-o", "json")

    assert ended.data["status"] == 302
    assert [request.path for request in server.received] == ["/me"]


def test_a_call_goes_to_its_service_and_site_with_the_token(
    console: Console, server: Server
) -> None:
    console.sign_in_at(server.url)
    for path in ("/me", "/ex/jira/c1/x?a=b%20c", "/ex/confluence/c1/y", "/ex/jira/c2/z"):
        server.on(path, document({"at": path}))

    def at(*words: str) -> str:
        found: str = console.twg("api", *words, "-o", "json").data["at"]
        return found

    assert at("atlassian", "/me") == "/me"
    assert at("jira", "/x?a=b%20c") == "/ex/jira/c1/x?a=b%20c"
    assert at("confluence", "/y") == "/ex/confluence/c1/y"
    assert at("jira", "/z", "--site", "TWO.example.net") == "/ex/jira/c2/z"
    sent = {request.headers["authorization"] for request in server.received}
    assert sent == {f"Bearer {ACCESS}"}
    assert {request.method for request in server.received} == {"GET"}


def test_a_site_that_was_not_consented_to_is_refused(console: Console, server: Server) -> None:
    console.sign_in_at(server.url)

    error = console.twg("api", "jira", "/x", "--site", "a.example", "-o", "json", status=78).error

    assert "a.example" in error["message"]
    assert "one.example.net, two.example.net" in error["message"]
    assert server.received == []


def test_a_sign_in_without_a_site_says_so(console: Console, server: Server) -> None:
    console.sign_in_at(server.url, sites=(), site=None)

    error = console.twg("api", "jira", "/x", "-o", "json", status=77).error

    assert error["code"] == "AUTH_REQUIRED"
    assert "covers no site" in error["message"]
    assert "twg login --force" in error["remediation"]


def test_what_was_not_allowed_is_not_renewed_for(console: Console, server: Server) -> None:
    """The token is sound: it would spend a renewal, and end in a sign-in that changes nothing."""
    console.sign_in_at(server.url)
    server.on("/ex/jira/c1/x", document({"message": "Unauthorized; scope does not match"}, 401))

    error = console.twg("api", "jira", "/x", "-o", "json", status=4).error

    assert "HTTP 401: this sign-in has no scope for that call" in error["message"]
    assert "--scope" in error["remediation"]
    assert [request.path for request in server.received] == ["/ex/jira/c1/x"]


def test_an_unknown_service_is_refused(console: Console, server: Server) -> None:
    console.sign_in_at(server.url)

    error = console.twg("api", "trello", "/x", "-o", "json", status=2).error

    assert "jira, confluence, atlassian" in error["remediation"]
    assert server.received == []


def test_without_a_sign_in_it_tells_the_command(console: Console) -> None:
    error = console.twg("api", "jira", "/x", "--profile", "work", "-o", "json", status=77).error

    assert error["code"] == "AUTH_REQUIRED"
    assert "`twg login --profile work`" in error["remediation"]


@pytest.mark.parametrize("code", [400, 403, 404, 409, 429, 500, 503])
def test_an_error_of_the_service_is_told_with_its_answer(
    console: Console, server: Server, code: int
) -> None:
    console.sign_in_at(server.url)
    server.on("/x", document({"errorMessages": ["No."]}, code))

    ended = console.twg("api", "atlassian", "/x", "-o", "json", status=4)
    assert ended.error["code"] == "HTTP_ERROR"
    assert f"HTTP {code}" in ended.error["message"]
    assert ended.document["data"] == {"errorMessages": ["No."]}

    ended = console.twg("api", "atlassian", "/x", status=4)
    assert json.loads(ended.out) == {"errorMessages": ["No."]}
    assert ended.err.startswith("twg: ")


def test_an_error_without_json_is_told_with_its_text(console: Console, server: Server) -> None:
    console.sign_in_at(server.url)
    server.on("/x", body(b"<h1>Gone</h1>", 410, content_type="text/html"))

    ended = console.twg("api", "atlassian", "/x", "-o", "json", status=4)

    assert ended.document["data"] == "<h1>Gone</h1>"
    assert console.twg("api", "atlassian", "/x", status=4).out == "<h1>Gone</h1>\n"


def test_an_error_without_a_body_is_told_without_one(console: Console, server: Server) -> None:
    console.sign_in_at(server.url)
    server.on("/x", status(404))

    assert "data" not in console.twg("api", "atlassian", "/x", "-o", "json", status=4).document
    assert console.twg("api", "atlassian", "/x", status=4).out == ""


def test_the_head_of_an_answer_is_shown_on_request(console: Console, server: Server) -> None:
    console.sign_in_at(server.url)
    server.on("/x", document({"a": 1}, X_Trace="t-1"))

    shown = console.twg("api", "atlassian", "/x", "-i").out
    assert shown.startswith("HTTP 200\n")
    assert "\nx-trace: t-1\n" in shown
    assert shown.endswith('\n\n{"a": 1}\n')

    data = console.twg("api", "atlassian", "/x", "--include", "-o", "json").data
    assert (data["status"], data["headers"]["x-trace"], data["body"]) == (200, "t-1", {"a": 1})


@pytest.mark.parametrize(
    ("sent", "data"),
    [
        (b"", None),
        (b"just words", "just words"),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b'{"a": 1, "a": 2}', '{"a": 1, "a": 2}'),
        (b"[" * 100 + b"]" * 100, "[" * 100 + "]" * 100),
        (b'{"n": NaN}', '{"n": NaN}'),
        (b"null", None),
        (b'"a word"', "a word"),
        (b'{"n": 9223372036854775809}', {"n": 9223372036854775809}),
        (b'{"s": "\\ud83d\\ude42 \\u2028"}', {"s": "🙂 \u2028"}),
    ],
)
def test_an_answer_is_data(console: Console, server: Server, sent: bytes, data: object) -> None:
    console.sign_in_at(server.url)
    server.on("/x", body(sent))

    assert console.twg("api", "atlassian", "/x", "-o", "json").data == data


@pytest.mark.parametrize(
    "sent",
    [
        '{"id":9223372036854775809,"rate":1.10,"big":1e400,"tiny":0.10000000000000000555}',
        '{"a": 1, "a": 2}',
        '{ "spaced" :\t[ 1 ,2 ] }',
        '{"half": "\\ud800"}',
        "two\nlines\r\n",
    ],
)
def test_in_text_an_answer_is_what_came_byte_for_byte(
    console: Console, server: Server, sent: str
) -> None:
    """To parse it would change its numbers, its keys and its blanks."""
    console.sign_in_at(server.url)
    server.on("/x", body(sent.encode()))

    shown = console.apart("api", "atlassian", "/x").out

    assert shown.removesuffix("\n") == sent.removesuffix("\n")


def test_a_number_beyond_json_is_still_a_document(console: Console, server: Server) -> None:
    console.sign_in_at(server.url)
    server.on("/x", body(b'{"n": 1e400}'))

    shown = console.twg("api", "atlassian", "/x", "-o", "json").out

    assert json.loads(shown, parse_constant=pytest.fail)["ok"] is True


@pytest.mark.parametrize("mode", ["json", "text"])
def test_half_a_character_is_no_bug_of_ours(console: Console, server: Server, mode: str) -> None:
    """A lone surrogate can be written in JSON, and not in UTF-8."""
    console.sign_in_at(server.url)
    server.on("/x", body(b'{"message": "\\ud800"}', 400))

    ended = console.apart("api", "atlassian", "/x", "-o", mode, status=4)

    assert "ud800" in ended.out


def test_a_refused_token_is_renewed_once_and_the_call_made_again(
    console: Console, server: Server
) -> None:
    console.sign_in_at(server.url)
    server.on("/x", status(401), document({"a": 1}))
    server.on("/oauth/token", document(TOKEN_ANSWER))

    assert console.twg("api", "atlassian", "/x", "-o", "json").data == {"a": 1}

    assert [request.path for request in server.received] == ["/x", "/oauth/token", "/x"]
    assert server.to("/oauth/token")[0].form["refresh_token"] == REFRESH
    used = [request.headers["authorization"] for request in server.to("/x")]
    assert used == [f"Bearer {ACCESS}", "Bearer access-renewed-0123456789"]


def test_a_renewed_token_that_is_refused_too_needs_a_person(
    console: Console, server: Server
) -> None:
    console.sign_in_at(server.url)
    server.on("/x", status(401))
    server.on("/oauth/token", document(TOKEN_ANSWER))

    error = console.twg("api", "atlassian", "/x", "-o", "json", status=77).error

    assert error["code"] == "AUTH_EXPIRED"
    assert "twg login" in error["remediation"]
    assert len(server.to("/x")) == 2
    assert len(server.to("/oauth/token")) == 1


def test_a_refused_token_that_cannot_be_renewed_is_the_services_answer(
    console: Console, server: Server
) -> None:
    console.sign_in_at(server.url, renewable=False)
    server.on("/x", document({"message": "Unauthorized"}, 401))

    ended = console.twg("api", "atlassian", "/x", "-o", "json", status=4)

    assert ended.document["data"] == {"message": "Unauthorized"}
    assert len(server.received) == 1


@pytest.fixture(scope="module")
def refusing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxHandle]:
    """A sandbox that answers the first call 401, whatever its token."""
    with sandbox_at(tmp_path_factory.mktemp("refusing"), faults=("resource-401:1",)) as running:
        yield running


def test_the_sandbox_sees_one_renewal_for_a_refused_token(
    console: Console, refusing: SandboxHandle
) -> None:
    console.sign_in(refusing)
    before = request_count(refusing)

    assert console.twg("api", "atlassian", "/me", "-o", "json").data["nickname"] == "alice"

    assert request_count(refusing) - before == 3


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["api", "atlassian", "/long"], 0),
        (["api", "atlassian", "/gone"], 4),
        (["api", "atlassian", "/long", "--token", "x", "-o", "json"], 64),
        (["--help"], 0),
    ],
    ids=["answer", "error", "refusal", "help"],
)
def test_whoever_stops_reading_is_left_in_peace(
    console: Console, server: Server, words: list[str], status: int
) -> None:
    """As with `twg api … | head -1`: no traceback and no complaint of Python's own."""
    console.sign_in_at(server.url)
    server.on("/long", body(b"line\n" * 100_000))
    server.on("/gone", body(b"line\n" * 100_000, 404))
    reading, writing = os.pipe()
    os.close(reading)

    ended = console.apart(*words, status=status, stdout=writing)

    os.close(writing)
    assert ended.err == ""
