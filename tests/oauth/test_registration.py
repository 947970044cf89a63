"""Dynamic registration: what is asked for and what becomes of the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.oauth.servers import document, page, status
from twg.errors import GrantRefused, ProtocolError, Unavailable
from twg.oauth.registration import RegisteredClient, register

if TYPE_CHECKING:
    from guard.custody import Custody
    from tests.oauth.conftest import Learned
    from tests.oauth.servers import Reply, Server
    from twg.http import Http

DEVICE = "urn:ietf:params:oauth:grant-type:device_code"


async def _register(
    http: Http, server: Server, custody: Custody, *replies: Reply, device_grant: bool = False
) -> RegisteredClient:
    server.on("/register", *replies)
    return await register(
        http,
        f"{server.url}/register",
        redirect_uris=("http://127.0.0.1/callback",),
        scopes=("openid", "offline_access"),
        client_name="twg",
        device_grant=device_grant,
        custody=custody,
    )


@pytest.mark.parametrize("code", [201, 200])
async def test_a_public_native_client(
    http: Http, server: Server, custody: Custody, code: int
) -> None:
    found = await _register(http, server, custody, document({"client_id": "new"}, code))
    assert found == RegisteredClient(
        client_id="new", client_secret=None, token_endpoint_auth_method="none"
    )
    assert server.received[0].json == {
        "client_name": "twg",
        "application_type": "native",
        "redirect_uris": ["http://127.0.0.1/callback"],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
        "scope": "openid offline_access",
    }


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        (None, "client_secret_basic"),
        ("client_secret_basic", "client_secret_basic"),
        ("client_secret_post", "client_secret_post"),
    ],
)
async def test_a_secret_that_was_not_asked_for(
    http: Http,
    server: Server,
    custody: Custody,
    learned: Learned,
    method: str | None,
    expected: str,
) -> None:
    answer = {"client_id": "new", "client_secret": "given", "token_endpoint_auth_method": method}
    found = await _register(http, server, custody, document(answer, 201))
    assert found.client_secret is not None
    assert found.client_secret.reveal("test") == "given"
    assert found.token_endpoint_auth_method == expected
    assert learned.values["given"] == "client-secret"


async def test_a_public_client_drops_its_secret(
    http: Http, server: Server, custody: Custody, learned: Learned
) -> None:
    answer = {"client_id": "new", "client_secret": "x", "token_endpoint_auth_method": "none"}
    found = await _register(http, server, custody, document(answer, 201))
    assert (found.client_secret, found.token_endpoint_auth_method) == (None, "none")
    assert "x" in learned.values


async def test_the_device_grant_is_asked_for(http: Http, server: Server, custody: Custody) -> None:
    await _register(http, server, custody, document({"client_id": "new"}, 201), device_grant=True)
    assert DEVICE in server.received[0].json["grant_types"]
    assert len(server.received) == 1


@pytest.mark.parametrize("code", [400, 403, 422])
async def test_without_the_device_grant_where_that_is_refused(
    http: Http, server: Server, custody: Custody, code: int
) -> None:
    no = document({"error": "invalid_client_metadata"}, code)
    yes = document({"client_id": "new"}, 201)
    assert (await _register(http, server, custody, no, yes, device_grant=True)).client_id == "new"
    assert DEVICE not in server.received[1].json["grant_types"]


async def test_registration_is_refused(http: Http, server: Server, custody: Custody) -> None:
    words = {"error": "access_denied", "error_description": "not \x1b[2Jfor you"}
    with pytest.raises(GrantRefused, match=r"not \[2Jfor you"):
        await _register(http, server, custody, document(words, 403), device_grant=True)
    assert len(server.received) == 2


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"client_id": ""},
        {"client_id": 7},
        {"client_id": "a b"},
        {"client_id": "a\x1b[2J"},
        {"client_id": "a" * 3000},
        {"client_id": "a", "client_secret": 7},
        {"client_id": "a", "client_secret": "b\n"},
        {"client_id": "a", "client_secret": "b", "token_endpoint_auth_method": "tls_client_auth"},
        {"client_id": "a", "client_secret": "b", "token_endpoint_auth_method": [7]},
    ],
)
async def test_an_answer_that_cannot_be_used(
    http: Http, server: Server, custody: Custody, answer: dict[str, Any]
) -> None:
    with pytest.raises(ProtocolError) as caught:
        await _register(http, server, custody, document(answer, 201))
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize("reply", [status(503), page(200)])
async def test_not_now(http: Http, server: Server, custody: Custody, reply: Reply) -> None:
    with pytest.raises(Unavailable):
        await _register(http, server, custody, reply, device_grant=True)
    assert len(server.received) == 1


async def test_h_c2_a_redirect(http: Http, server: Server, custody: Custody) -> None:
    with pytest.raises(ProtocolError, match="redirect"):
        await _register(http, server, custody, status(302, location="/elsewhere"))
    assert not server.to("/elsewhere")
