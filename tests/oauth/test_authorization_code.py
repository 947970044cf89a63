"""The authorization request, its answer, and the exchange (H-C1)."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from tests.oauth.servers import document
from twg.errors import (
    ConfigError,
    GrantRefused,
    ProtocolError,
    SignInRefused,
    Unavailable,
    UsageError,
)
from twg.oauth.authorization_code import (
    exchange,
    parse_redirect_url,
    read_callback,
    start,
)

if TYPE_CHECKING:
    from guard.custody import Custody
    from guard.secret import Secret
    from tests.oauth.conftest import Learned
    from tests.oauth.servers import Server
    from twg.http import Http
    from twg.oauth.authorization_code import (
        AuthorizationRequest,
    )
    from twg.oauth.token import Client

ISSUER = "https://auth.example.com"
REDIRECT = "http://127.0.0.1:8400/callback"


def started(custody: Custody, **options: Any) -> AuthorizationRequest:
    full: dict[str, Any] = {
        "authorization_endpoint": f"{ISSUER}/authorize",
        "client_id": "the-client",
        "issuer": ISSUER,
        "redirect_uri": REDIRECT,
        "scopes": ("openid", "offline_access"),
    }
    return start(**(full | options), custody=custody)


@pytest.fixture
def request_(custody: Custody) -> AuthorizationRequest:
    return started(custody)


def read(
    request: AuthorizationRequest, custody: Custody, *, iss_required: bool = False, **params: Any
) -> Secret:
    """Read a callback; a parameter given as None is left out."""
    full = {"code": ["the-code"], "state": [request.state]} | params
    present = {name: values for name, values in full.items() if values is not None}
    return read_callback(request, present, iss_required=iss_required, custody=custody)


def test_the_request_is_what_the_rfcs_ask_for(custody: Custody) -> None:
    """RFC 6749 section 4.1.1, RFC 7636 section 4.3, RFC 8707 section 2."""
    request = started(
        custody,
        authorization_endpoint=f"{ISSUER}/authorize?tenant=a%20b",
        resource="https://api.example",
        extra={"audience": "api", "prompt": "consent"},
    )
    assert request.url.startswith(f"{ISSUER}/authorize?")
    verifier = request.verifier.reveal("test")
    digest = hashlib.sha256(verifier.encode()).digest()
    assert parse_qs(urlsplit(request.url).query) == {
        "tenant": ["a b"],
        "response_type": ["code"],
        "client_id": ["the-client"],
        "redirect_uri": [REDIRECT],
        "scope": ["openid offline_access"],
        "state": [request.state],
        "code_challenge": [base64.urlsafe_b64encode(digest).decode().rstrip("=")],
        "code_challenge_method": ["S256"],
        "resource": ["https://api.example"],
        "audience": ["api"],
        "prompt": ["consent"],
    }
    assert 43 <= len(verifier) <= 128
    assert len(request.state) >= 43


def test_no_scope_is_no_parameter(custody: Custody) -> None:
    assert "scope" not in parse_qs(urlsplit(started(custody, scopes=()).url).query)


def test_state_and_verifier_are_fresh_and_unseen(custody: Custody, learned: Learned) -> None:
    one, other = started(custody), started(custody)
    assert one.state != other.state
    assert not one.verifier.same_as(other.verifier)
    assert learned.values[one.verifier.reveal("test")] == "pkce-verifier"
    assert one.verifier.reveal("test") not in one.url
    assert one.state not in repr(one)


@pytest.mark.parametrize(
    "name", ["state", "redirect_uri", "client_id", "code_challenge_method", "scope", "request_uri"]
)
def test_what_protects_the_sign_in_is_not_set_by_hand(custody: Custody, name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        started(custody, extra={name: "x"})


def test_the_code_is_taken(
    request_: AuthorizationRequest, custody: Custody, learned: Learned
) -> None:
    code = read(request_, custody, iss=[ISSUER], iss_required=True, session_state=["ignored"])
    assert code.reveal("test") == "the-code"
    assert learned.values["the-code"] == "authorization-code"


@pytest.mark.parametrize("state", [None, [], [""], ["wrong"], ["wröng"], ["\udcff"]])
def test_h_c1_a_wrong_or_missing_state(
    request_: AuthorizationRequest, custody: Custody, state: Any
) -> None:
    with pytest.raises(ProtocolError):
        read(request_, custody, state=state)


def test_h_c1_a_replayed_state(request_: AuthorizationRequest, custody: Custody) -> None:
    """H-C1: the state of an earlier sign-in is as wrong as any."""
    with pytest.raises(ProtocolError, match="state is wrong"):
        read(request_, custody, state=[started(custody).state])


@pytest.mark.parametrize("name", ["code", "state", "iss", "error", "anything"])
def test_h_c1_a_repeated_parameter(
    request_: AuthorizationRequest, custody: Custody, name: str
) -> None:
    twice: dict[str, Any] = {name: [request_.state] * 2 if name == "state" else ["the-code", "b"]}
    with pytest.raises(ProtocolError, match="twice"):
        read(request_, custody, **twice)


@pytest.mark.parametrize(
    "iss", [f"{ISSUER}/", "https://evil.example", "", "HTTPS://auth.example.com"]
)
@pytest.mark.parametrize("answer", [{}, {"code": None, "error": ["access_denied"]}])
def test_h_c1_a_wrong_iss(
    request_: AuthorizationRequest, custody: Custody, iss: str, answer: dict[str, Any]
) -> None:
    """H-C1: refused whether it was promised or not, and before an error is believed."""
    with pytest.raises(ProtocolError, match="another server"):
        read(request_, custody, iss=[iss], **answer)


def test_h_c1_a_missing_iss_that_was_promised(
    request_: AuthorizationRequest, custody: Custody
) -> None:
    with pytest.raises(ProtocolError, match="RFC 9207"):
        read(request_, custody, iss_required=True)


@pytest.mark.parametrize("code", [None, [""], ["a b"], ["a\x1b"], ["ä"], ["a" * 16_385]])
def test_h_c1_no_code(request_: AuthorizationRequest, custody: Custody, code: Any) -> None:
    with pytest.raises(ProtocolError, match="no authorization code"):
        read(request_, custody, code=code)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("access_denied", SignInRefused),
        ("invalid_scope", ProtocolError),
        ("unauthorized_client", ProtocolError),
        ("\x1b[2J", ProtocolError),
        ("", ProtocolError),
        ("temporarily_unavailable", Unavailable),
        ("server_error", Unavailable),
    ],
)
def test_h_c1_an_error_redirect(
    request_: AuthorizationRequest, custody: Custody, error: str, kind: type[Exception]
) -> None:
    """H-C1: its description is text for a person, whatever stands in it."""
    described = ["Say <b>no</b>\x1b[31m\r\nnext\u202e"]
    with pytest.raises(kind) as caught:
        read(request_, custody, code=None, error=[error], error_description=described)
    assert "Say <b>no</b>[31m next" in str(caught.value)
    assert all(character.isprintable() for character in str(caught.value))


def test_an_error_beside_a_code_is_an_error(
    request_: AuthorizationRequest, custody: Custody
) -> None:
    with pytest.raises(SignInRefused):
        read(request_, custody, error=["access_denied"])


def test_a_pasted_redirect(request_: AuthorizationRequest, custody: Custody) -> None:
    query = urlencode({"code": "a+b/c", "state": request_.state})
    pasted = custody.take(f"  {REDIRECT}?{query}#_=_\n", "pasted-redirect")
    params = parse_redirect_url(request_, pasted)
    assert params == {"code": ["a+b/c"], "state": [request_.state]}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "the-code",
        REDIRECT,
        f"{REDIRECT}/?code=a",
        f"{REDIRECT}2?code=a",
        "http://127.0.0.1:8401/callback?code=a",
        "http://evil.example/callback?code=a",
        f"https://evil.example/?u={REDIRECT}?code=a",
        f"{REDIRECT}?code=a b",
        f"{REDIRECT}?code=%ff",
        f"{REDIRECT}?" + "a=b&" * 100,
    ],
)
def test_something_else_was_pasted(
    request_: AuthorizationRequest, custody: Custody, text: str
) -> None:
    with pytest.raises(UsageError) as caught:
        parse_redirect_url(request_, custody.take(text, "pasted-redirect"))
    assert "code=" not in f"{caught.value}{caught.value.remediation}"


async def test_the_exchange(http: Http, client: Client, server: Server, custody: Custody) -> None:
    """RFC 6749 section 4.1.3, RFC 7636 section 4.5, RFC 8707 section 2.2."""
    server.on("/token", document({"access_token": "the-access", "token_type": "bearer"}))
    request = started(custody, resource="https://api.example")
    answer = await exchange(http, client, request, custody.take("the-code", "code"))
    assert answer.access.reveal("test") == "the-access"
    assert server.received[0].form == {
        "grant_type": "authorization_code",
        "code": "the-code",
        "redirect_uri": REDIRECT,
        "code_verifier": request.verifier.reveal("test"),
        "client_id": "the-client",
        "resource": "https://api.example",
    }


async def test_h_c1_a_code_for_another_client(
    http: Http, client: Client, server: Server, custody: Custody
) -> None:
    """H-C1: only the server can tell; its refusal is told as it is."""
    server.on("/token", document({"error": "invalid_grant"}, 400))
    with pytest.raises(GrantRefused) as caught:
        await exchange(http, client, started(custody), custody.take("foreign", "code"))
    assert caught.value.error == "invalid_grant"
