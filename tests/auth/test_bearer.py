"""`BearerAuth` on a plain `httpx.AsyncClient`: once more after 401, and to its own hosts only."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.auth.parts import DUE, EXPIRED, NOW, TOKEN, access_of, stored
from tests.oauth.servers import document, serving, status
from twg.auth import BearerAuth
from twg.errors import AuthRequired, AuthRevoked, ConfigError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.auth.parts import Clock
    from tests.oauth.servers import Server
    from twg.auth import TokenManager
    from twg.vault import Credential, SealedStore


@pytest.fixture
async def client(
    manager: TokenManager, clock: Clock, saved: Credential
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of whoever uses the library, its sign-in fresh."""
    del saved
    clock.now = NOW
    async with manager, httpx.AsyncClient(auth=BearerAuth(manager), trust_env=False) as client:
        yield client


def sent(server: Server, path: str) -> list[str]:
    return [each.headers["authorization"] for each in server.to(path)]


async def test_a_fresh_token_is_sent(client: httpx.AsyncClient, server: Server) -> None:
    server.on("/me", document({"name": "Alice"}))
    assert (await client.get(f"{server.url}/me")).json() == {"name": "Alice"}
    assert sent(server, "/me") == ["Bearer access-made-up-0"]
    assert server.to(TOKEN) == []


async def test_an_expired_token_is_renewed_first(
    client: httpx.AsyncClient, server: Server, clock: Clock
) -> None:
    server.on("/me", document({}))
    clock.now = EXPIRED
    await client.get(f"{server.url}/me")
    assert sent(server, "/me") == ["Bearer access-made-up-1"]


async def test_401_is_answered_by_one_renewal_and_one_request_more(
    client: httpx.AsyncClient, server: Server, store: SealedStore
) -> None:
    server.on("/me", status(401), document({"name": "Alice"}))
    answer = await client.post(f"{server.url}/me", content=iter_once())
    assert answer.json() == {"name": "Alice"}
    assert sent(server, "/me") == ["Bearer access-made-up-0", "Bearer access-made-up-1"]
    assert [each.body for each in server.to("/me")] == [b"what is sent"] * 2
    assert len(server.to(TOKEN)) == 1
    assert access_of(await stored(store)) == "access-made-up-1"


async def iter_once() -> AsyncIterator[bytes]:
    yield b"what is sent"


async def test_401_for_the_new_token_too_is_the_answer(
    client: httpx.AsyncClient, server: Server
) -> None:
    server.on("/me", status(401))
    assert (await client.get(f"{server.url}/me")).status_code == 401
    assert len(server.to("/me")) == 2
    assert len(server.to(TOKEN)) == 1


async def test_401_and_no_renewal_to_be_had_is_the_error(
    client: httpx.AsyncClient, server: Server
) -> None:
    server.on("/me", status(401))
    server.on(TOKEN, document({"error": "invalid_grant"}, 400))
    with pytest.raises(AuthRevoked):
        await client.get(f"{server.url}/me")
    assert len(server.to("/me")) == 1


async def test_401_and_nothing_to_renew_with_is_the_answer(
    client: httpx.AsyncClient, server: Server, saved: Credential, store: SealedStore
) -> None:
    tokens = replace(saved.tokens, refresh=None)
    await store.save(replace(saved, tokens=tokens), expected=None)
    server.on("/me", status(401))
    assert (await client.get(f"{server.url}/me")).status_code == 401
    assert (len(server.to("/me")), server.to(TOKEN)) == (1, [])


async def test_another_answer_than_401_is_the_answer(
    client: httpx.AsyncClient, server: Server
) -> None:
    server.on("/me", status(403))
    assert (await client.get(f"{server.url}/me")).status_code == 403
    assert len(server.received) == 1


async def test_the_token_goes_to_no_other_origin(client: httpx.AsyncClient, server: Server) -> None:
    """H-F5: not by a request, and not by a redirect that the client follows."""
    async with serving() as other:
        other.on("/me", document({}))
        server.on("/me", status(302, location=f"{other.url}/me"))
        with pytest.raises(ConfigError, match="was not issued for"):
            await client.get(f"{other.url}/me")
        assert other.received == []
        await client.get(f"{server.url}/me", follow_redirects=True)
        assert "authorization" not in other.received[0].headers


async def test_nobody_signed_in_is_told_before_anything_is_sent(
    manager: TokenManager, server: Server
) -> None:
    async with manager, httpx.AsyncClient(auth=BearerAuth(manager, "work")) as client:
        with pytest.raises(AuthRequired):
            await client.get(f"{server.url}/me")
    assert server.received == []


async def test_a_client_without_an_event_loop_is_refused(manager: TokenManager) -> None:
    with pytest.raises(RuntimeError, match="AsyncClient"):
        BearerAuth(manager).sync_auth_flow(httpx.Request("GET", "http://127.0.0.1:1/me"))


async def test_a_due_token_is_used_and_renewed_beside(
    client: httpx.AsyncClient, server: Server, clock: Clock
) -> None:
    server.on("/me", document({}))
    clock.now = DUE
    await client.get(f"{server.url}/me")
    assert sent(server, "/me") == ["Bearer access-made-up-0"]
