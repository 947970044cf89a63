"""The token endpoint: what is sent, what is taken from an answer, and how each failure is told."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.oauth.servers import body, document, endless, page, raw, reset, stall, status
from twg.errors import ConfigError, GrantRefused, NetworkError, ProtocolError, Unavailable
from twg.oauth.token import MAX_LIFETIME, refresh

if TYPE_CHECKING:
    from guard.custody import Custody
    from tests.oauth.conftest import Learned
    from tests.oauth.servers import Reply, Server
    from twg.http import Http
    from twg.oauth.token import Client, TokenResponse

ACCESS = "access-value-1234567890"
RENEWED = "refresh-value-0987654321"
GOOD = {"access_token": ACCESS, "refresh_token": RENEWED, "token_type": "Bearer"}


async def _refreshed(
    http: Http, client: Client, server: Server, reply: Reply, **options: Any
) -> TokenResponse:
    server.on("/token", reply)
    old = client.custody.take("old-refresh-value", "refresh-token")
    return await refresh(http, client, old, **options)


async def test_a_renewal_is_sent_and_read(http: Http, client: Client, server: Server) -> None:
    full = GOOD | {"expires_in": 3600, "scope": "a b", "id_token": "ignored"}
    reply = document(full, date="Tue, 24 Nov 2026 10:00:00 GMT")
    found = await _refreshed(
        http, client, server, reply, scopes=["a", "b"], resource="https://api.example"
    )
    assert found.access.reveal("test") == ACCESS
    assert found.refresh is not None
    assert found.refresh.reveal("test") == RENEWED
    assert (found.token_type, found.scopes, found.expires_in) == ("Bearer", ("a", "b"), 3600)
    assert found.server_time == 1795514400
    assert server.received[0].form == {
        "grant_type": "refresh_token",
        "refresh_token": "old-refresh-value",
        "scope": "a b",
        "resource": "https://api.example",
        "client_id": "the-client",
    }


async def test_what_arrives_is_learned_at_once(
    http: Http, client: Client, server: Server, learned: Learned
) -> None:
    await _refreshed(http, client, server, document(GOOD))
    assert learned.values[ACCESS] == "access-token"
    assert learned.values[RENEWED] == "refresh-token"


async def test_no_representation_shows_a_token(http: Http, client: Client, server: Server) -> None:
    found = await _refreshed(http, client, server, document(GOOD))
    assert ACCESS not in repr(found)
    assert RENEWED not in f"{found} {client}"


async def test_a_json_body_for_servers_that_want_one(
    http: Http, client: Client, server: Server
) -> None:
    await _refreshed(http, replace(client, body="json"), server, document(GOOD))
    assert server.received[0].headers["content-type"] == "application/json"
    assert server.received[0].json["refresh_token"] == "old-refresh-value"


async def test_client_secret_post(
    http: Http, client: Client, server: Server, custody: Custody
) -> None:
    secret = custody.take("se/cr+et", "client-secret")
    confidential = replace(client, secret=secret, auth_method="client_secret_post")
    await _refreshed(http, confidential, server, document(GOOD))
    assert server.received[0].form["client_secret"] == "se/cr+et"
    assert "authorization" not in server.received[0].headers


async def test_client_secret_basic_is_form_encoded_first(
    http: Http, client: Client, server: Server, custody: Custody, learned: Learned
) -> None:
    """RFC 6749 section 2.3.1; the encoded form is a secret too."""
    secret = custody.take("se/cr+et:%", "client-secret")
    confidential = replace(
        client, client_id="a:b", secret=secret, auth_method="client_secret_basic"
    )
    await _refreshed(http, confidential, server, document(GOOD))
    sent = server.received[0]
    scheme, _, pair = sent.headers["authorization"].partition(" ")
    assert scheme == "Basic"
    assert base64.b64decode(pair) == b"a%3Ab:se%2Fcr%2Bet%3A%25"
    assert "client_secret" not in sent.form
    assert learned.values["se%2Fcr%2Bet%3A%25"] == "client-secret"


@pytest.mark.parametrize(
    "wrong",
    [
        {"auth_method": "private_key_jwt"},
        {"auth_method": "client_secret_basic"},
        {"body": "xml"},
    ],
)
async def test_a_client_that_cannot_be(client: Client, wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        replace(client, **wrong)


async def test_nothing_is_sent_beyond_the_pinned_origins(
    http: Http, client: Client, server: Server
) -> None:
    elsewhere = replace(client, pinned=frozenset({"https://other.example:443"}))
    with pytest.raises(ConfigError, match="nothing was sent"):
        await _refreshed(http, elsewhere, server, document(GOOD))
    assert server.received == []


@pytest.mark.parametrize("fields", [{}, {"refresh_token": None}, {"refresh_token": ""}])
async def test_h_c3_no_new_refresh_token(
    http: Http, client: Client, server: Server, fields: dict[str, Any]
) -> None:
    """H-C3: none in the answer means that the old one stays."""
    answer = {"access_token": ACCESS, "token_type": "bearer"} | fields
    assert (await _refreshed(http, client, server, document(answer))).refresh is None


@pytest.mark.parametrize("token_type", ["Bearer", "bearer", "BEARER"])
async def test_the_token_type_in_any_case(
    http: Http, client: Client, server: Server, token_type: str
) -> None:
    answer = GOOD | {"token_type": token_type}
    assert (await _refreshed(http, client, server, document(answer))).token_type == "Bearer"


@pytest.mark.parametrize(
    "fields",
    [
        {"token_type": "mac"},
        {"token_type": "DPoP"},
        {"token_type": None},
        {"token_type": 1},
        {"token_type": "bear\x1b[2Jer"},
        {"access_token": ""},
        {"access_token": None},
        {"access_token": 7},
        {"access_token": ["a"]},
        {"access_token": "with space"},
        {"access_token": "with\nnewline"},
        {"access_token": "with\x1b[2J"},
        {"access_token": "with\x00nul"},
        {"access_token": "ünïcode"},
        {"access_token": "a" * 65_537},
        {"refresh_token": "with\r\nnewline"},
        {"refresh_token": {"a": 1}},
    ],
)
async def test_h_c3_an_answer_that_cannot_be_used(
    http: Http, client: Client, server: Server, fields: dict[str, Any]
) -> None:
    """H-C3: a foreign token type, an empty token, control characters; nothing is repeated."""
    with pytest.raises(ProtocolError) as caught:
        await _refreshed(http, client, server, document(GOOD | fields))
    assert "\x1b" not in str(caught.value)
    assert ACCESS not in str(caught.value)


async def test_h_c3_tokens_of_an_unusable_answer_are_secrets_too(
    http: Http, client: Client, server: Server, learned: Learned
) -> None:
    with pytest.raises(ProtocolError):
        await _refreshed(http, client, server, document(GOOD | {"token_type": "mac"}))
    assert {ACCESS, RENEWED} <= set(learned.values)


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ("a b", ("a", "b")),
        ("  a   b ", ("a", "b")),
        ("", ()),
        ("a b\x1b[2J c", ("a", "c")),
        (None, None),
        (["a"], None),
        (7, None),
    ],
)
async def test_h_c3_another_scope(
    http: Http, client: Client, server: Server, scope: Any, expected: tuple[str, ...] | None
) -> None:
    assert (
        await _refreshed(http, client, server, document(GOOD | {"scope": scope}))
    ).scopes == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3600", 3600),
        ("3600.5", 3600.5),
        ('"3600"', 3600),
        ('" 60 "', 60),
        ("0", 0),
        ("-1", 0),
        ('"-5"', 0),
        ("1e18", MAX_LIFETIME),
        ("1" + "0" * 400, MAX_LIFETIME),
        ("-1" + "0" * 400, 0),
        ('"1e18"', None),
        ('"NaN"', None),
        ('"soon"', None),
        ('"٣٦٠٠"', None),
        ("null", None),
        ("true", None),
        ("[3600]", None),
    ],
)
async def test_h_c2_expires_in(
    http: Http, client: Client, server: Server, text: str, expected: float | None
) -> None:
    """H-C2: a strange lifetime never costs the token; at worst it is due at once or unknown."""
    answer = json.dumps(GOOD)[:-1] + f', "expires_in": {text}}}'
    assert (await _refreshed(http, client, server, body(answer.encode()))).expires_in == expected


async def test_h_c2_expires_in_is_missing(http: Http, client: Client, server: Server) -> None:
    assert (await _refreshed(http, client, server, document(GOOD))).expires_in is None


UNUSABLE: dict[str, Reply] = {
    "redirect": status(302, location="/elsewhere"),
    "307": status(307, location="/elsewhere"),
    "no modification": status(304),
    "10 MB": document(GOOD | {"a": "a" * 10_000_000}),
    "never ends": endless(),
    "gzip": body(b"\x1f\x8b\x08\x00", content_encoding="gzip"),
    "depth": body(b'{"a":' * 10_000 + b"1" + b"}" * 10_000),
    "duplicate keys": body(b'{"access_token":"a","access_token":"b","token_type":"bearer"}'),
    "NaN": body(b'{"access_token":"a","token_type":"bearer","expires_in":NaN}'),
    "a list": document([GOOD]),
    "empty": body(b""),
    "torn": body(b'{"access_token": "a", "tok'),
}


@pytest.mark.parametrize("reply", UNUSABLE.values(), ids=UNUSABLE)
async def test_h_c2_a_broken_answer(
    http: Http, client: Client, server: Server, reply: Reply
) -> None:
    with pytest.raises(ProtocolError):
        await _refreshed(http, client, server, reply)
    assert not server.to("/elsewhere")


@pytest.mark.parametrize("declared", ["image/png", "text/plain", ""])
async def test_h_c2_a_wrong_content_type_is_tolerated(
    http: Http, client: Client, server: Server, declared: str
) -> None:
    found = await _refreshed(http, client, server, document(GOOD, content_type=declared))
    assert found.access.reveal("test") == ACCESS


@pytest.mark.parametrize("code", [400, 401, 403])
async def test_h_c4_invalid_grant_with_any_status(
    http: Http, client: Client, server: Server, code: int
) -> None:
    words = {"error": "invalid_grant", "error_description": "Unknown or invalid refresh token."}
    with pytest.raises(GrantRefused) as caught:
        await _refreshed(http, client, server, document(words, code))
    error = caught.value
    assert (error.error, error.status) == ("invalid_grant", code)
    assert error.description == "Unknown or invalid refresh token."
    assert error.host == server.url.removeprefix("http://")


async def test_h_c4_a_wrong_client_secret_at_atlassian(
    http: Http, client: Client, server: Server
) -> None:
    """H-C4: `access_denied` is told as it came, so that nobody signs in again for it."""
    with pytest.raises(GrantRefused) as caught:
        await _refreshed(http, client, server, document({"error": "access_denied"}, 401))
    assert caught.value.error == "access_denied"


@pytest.mark.parametrize("code", [400, 401, 403, 404])
@pytest.mark.parametrize("content", [b"", b"no", b"[]", b'{"message": "x"}'])
async def test_h_c4_a_refusal_without_words(
    http: Http, client: Client, server: Server, code: int, content: bytes
) -> None:
    with pytest.raises(GrantRefused) as caught:
        await _refreshed(http, client, server, status(code, content))
    assert (caught.value.error, caught.value.description) == ("", "")
    assert caught.value.status == code


async def test_an_error_with_status_200(http: Http, client: Client, server: Server) -> None:
    with pytest.raises(GrantRefused, match="invalid_grant"):
        await _refreshed(http, client, server, document(GOOD | {"error": "invalid_grant"}))


async def test_h_f2_an_error_that_repeats_what_it_was_sent(
    http: Http, client: Client, server: Server
) -> None:
    words = {
        "error": "invalid_grant\x1b[2J",
        "error_description": "bad \x1b]0;title\x07token\u202e "
        "eyJhbGciOiJIUzI1NiJ9.eyJhIjoxfQ.c2ln!",
    }
    with pytest.raises(GrantRefused) as caught:
        await _refreshed(http, client, server, document(words, 400))
    assert caught.value.error == ""
    assert caught.value.description == "bad ]0;titletoken […]!"


TRANSIENT: dict[str, Reply] = {
    "500": status(500),
    "500 with an OAuth error": document({"error": "invalid_grant"}, 500),
    "502 in HTML": page(502),
    "503": status(503),
    "429": document({"error": "invalid_grant"}, 429),
    "408": status(408),
    "a page with status 200": page(),
    "a page with status 403": page(403),
}


@pytest.mark.parametrize("reply", TRANSIENT.values(), ids=TRANSIENT)
async def test_h_c4_trouble_is_no_refusal(
    http: Http, client: Client, server: Server, reply: Reply
) -> None:
    with pytest.raises(Unavailable):
        await _refreshed(http, client, server, reply)


@pytest.mark.parametrize(
    ("given", "date", "expected"),
    [
        ("7", None, 7),
        ("Tue, 24 Nov 2026 10:00:30 GMT", "Tue, 24 Nov 2026 10:00:00 GMT", 30),
        ("Tue, 24 Nov 2026 09:00:00 GMT", "Tue, 24 Nov 2026 10:00:00 GMT", 0),
        ("Wed, 01 Jan 2020 00:00:00 GMT", None, 0),
        ("soon", None, None),
        ("-7", None, None),
        ("", None, None),
        ("9" * 400, None, 999_999_999),
    ],
)
async def test_h_c4_retry_after(
    http: Http,
    client: Client,
    server: Server,
    given: str,
    date: str | None,
    expected: float | None,
) -> None:
    """H-C4: in seconds, or as a date by the server's own clock."""
    headers: dict[str, Any] = {"retry_after": given} | ({"date": date} if date else {})
    with pytest.raises(Unavailable) as caught:
        await _refreshed(http, client, server, status(429, **headers))
    assert caught.value.retry_after == expected
    assert caught.value.status == 429


@pytest.mark.parametrize(
    "reply",
    [
        reset(),
        stall(),
        raw(b""),
        raw(b"nonsense\r\n\r\n"),
        raw(b"HTTP/1.1 200 OK\r\nA: " + b"a" * 10**6),
    ],
)
async def test_h_c4_no_answer(http: Http, client: Client, server: Server, reply: Reply) -> None:
    with pytest.raises(NetworkError) as caught:
        await _refreshed(http, client, server, reply)
    assert not isinstance(caught.value, Unavailable)


async def test_h_c4_nobody_listens(http: Http, client: Client, server: Server) -> None:
    nowhere = replace(
        client,
        token_endpoint="http://127.0.0.1:9/token",
        pinned=client.pinned | {"http://127.0.0.1:9"},
    )
    with pytest.raises(NetworkError):
        await _refreshed(http, nowhere, server, document(GOOD))
