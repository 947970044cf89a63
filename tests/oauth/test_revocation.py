"""Revocation: when a token counts as dead, and when it does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.oauth.servers import body, document, page, reset, status
from twg.errors import ConfigError, GrantRefused, NetworkError, ProtocolError, Unavailable
from twg.oauth.revocation import revoke

if TYPE_CHECKING:
    from tests.oauth.servers import Reply, Server
    from twg.http import Http
    from twg.oauth.token import Client


async def _revoke(http: Http, client: Client, server: Server, reply: Reply) -> None:
    server.on("/revoke", reply)
    token = client.custody.take("dead-man-walking", "refresh-token")
    await revoke(http, client, f"{server.url}/revoke", token, hint="refresh_token")


@pytest.mark.parametrize(
    "reply",
    [
        status(200),
        status(204),
        body(b"OK", content_type="text/plain"),
        status(200, content_type="text/html"),
        document({}),
        document({"error": "invalid_token"}, 400),
    ],
)
async def test_it_is_dead(http: Http, client: Client, server: Server, reply: Reply) -> None:
    """RFC 7009 section 2.2: an unknown token is a dead one."""
    await _revoke(http, client, server, reply)
    assert server.received[0].form == {
        "token": "dead-man-walking",
        "token_type_hint": "refresh_token",
        "client_id": "the-client",
    }


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (document({"error": "unsupported_token_type"}, 400), "unsupported_token_type"),
        (document({"error": "unauthorized_client"}, 401), "unauthorized_client"),
        (document({"error": "invalid_request"}), "invalid_request"),
        (status(403), ""),
        (status(404), ""),
    ],
)
async def test_the_server_refuses(
    http: Http, client: Client, server: Server, reply: Reply, error: str
) -> None:
    with pytest.raises(GrantRefused) as caught:
        await _revoke(http, client, server, reply)
    assert caught.value.error == error


@pytest.mark.parametrize("reply", [status(503, retry_after="9"), page(), page(403)])
async def test_not_now(http: Http, client: Client, server: Server, reply: Reply) -> None:
    """A captive portal's page with status 200 has revoked nothing."""
    with pytest.raises(Unavailable):
        await _revoke(http, client, server, reply)


async def test_no_answer(http: Http, client: Client, server: Server) -> None:
    with pytest.raises(NetworkError):
        await _revoke(http, client, server, reset())


async def test_h_c2_a_redirect(http: Http, client: Client, server: Server) -> None:
    with pytest.raises(ProtocolError, match="redirect"):
        await _revoke(http, client, server, status(307, location="/elsewhere"))
    assert not server.to("/elsewhere")


async def test_an_endpoint_elsewhere_gets_no_token(http: Http, client: Client) -> None:
    token = client.custody.take("dead-man-walking", "access-token")
    with pytest.raises(ConfigError, match="nothing was sent"):
        await revoke(http, client, "http://127.0.0.1:9/revoke", token)
