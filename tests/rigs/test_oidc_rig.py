"""The oidc-provider rig, without the product: each grant, the server's own view, and its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.rigs.client import DEVICE_GRANT, Client, callback_listener, parameters_of
from tests.rigs.oidc_rig import CLIENT_SECRET, CONFIDENTIAL_CLIENT, PUBLIC_CLIENT, oidc_provider
from tests.rigs.pages import (
    approve_device_on_oidc_provider,
    cancel_on_oidc_provider,
    deny_device_on_oidc_provider,
    sign_in_on_oidc_provider,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.rigs.browser import Browser
    from tests.rigs.oidc_rig import OidcRig

pytestmark = pytest.mark.slow


@pytest.fixture
async def redirect_uri() -> AsyncIterator[str]:
    async with callback_listener() as uri:
        yield uri


async def signed_in(browser: Browser, client: Client, login: str = "alice") -> dict[str, Any]:
    landed = await sign_in_on_oidc_provider(browser, client.authorize_url(), login)
    back = parameters_of(landed)
    assert (back["state"], back["iss"]) == (client.state, client.issuer)
    answer = await client.exchange(back["code"])
    assert answer.status_code == 200, answer.text
    tokens: dict[str, Any] = answer.json()
    return tokens


async def test_code_flow_through_the_servers_own_pages(
    rig: OidcRig, browser: Browser, redirect_uri: str
) -> None:
    client = Client(rig.issuer, PUBLIC_CLIENT, redirect_uri)
    tokens = await signed_in(browser, client, "bob")
    who = (await client.me(tokens["access_token"])).json()
    assert who == {"sub": "bob", "email": "bob@example.test"}
    issued = await rig.issued()
    assert {tokens["access_token"], tokens["refresh_token"], tokens["id_token"]} <= issued
    assert await rig.granted("authorization_code") == 1


async def test_rotation_and_the_reuse_that_ends_the_grant(
    rig: OidcRig, browser: Browser, redirect_uri: str
) -> None:
    client = Client(rig.issuer, PUBLIC_CLIENT, redirect_uri)
    first = await signed_in(browser, client)
    second = (await client.refresh(first["refresh_token"])).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert not await rig.active(first["refresh_token"])
    assert await rig.active(second["refresh_token"])
    reused = await client.refresh(first["refresh_token"])
    assert (reused.status_code, reused.json()["error"]) == (400, "invalid_grant")
    assert not await rig.active(second["refresh_token"])
    assert not await rig.active(second["access_token"])
    assert (await client.me(second["access_token"])).status_code == 401
    refreshes = (await rig.stats())["grants"]["refresh_token"]
    assert refreshes == {"granted": 1, "refused": 1}


async def test_a_revoked_token_is_dead(rig: OidcRig, browser: Browser, redirect_uri: str) -> None:
    client = Client(rig.issuer, CONFIDENTIAL_CLIENT, redirect_uri, secret=CLIENT_SECRET)
    tokens = await signed_in(browser, client)
    assert await rig.active(tokens["access_token"])
    revoked = await client.post("/token/revocation", token=tokens["refresh_token"])
    assert revoked.status_code == 200
    assert not await rig.active(tokens["refresh_token"])
    assert (await client.refresh(tokens["refresh_token"])).status_code == 400
    assert (await rig.stats())["routes"]["revocation"] == 1


async def test_cancelling_comes_back_as_access_denied(
    rig: OidcRig, browser: Browser, redirect_uri: str
) -> None:
    client = Client(rig.issuer, PUBLIC_CLIENT, redirect_uri)
    back = parameters_of(await cancel_on_oidc_provider(browser, client.authorize_url()))
    assert (back["error"], back["state"]) == ("access_denied", client.state)


async def test_device_grant_approved_and_denied(rig: OidcRig, browser: Browser) -> None:
    client = Client(rig.issuer, PUBLIC_CLIENT)
    started = (await client.post("/device/auth", scope=client.scope, prompt="consent")).json()
    assert "interval" not in started
    assert await rig.active(started["device_code"])
    pending = await client.token(DEVICE_GRANT, device_code=started["device_code"])
    assert pending.json()["error"] == "authorization_pending"
    await approve_device_on_oidc_provider(browser, started["verification_uri_complete"])
    tokens = (await client.token(DEVICE_GRANT, device_code=started["device_code"])).json()
    assert {started["device_code"], tokens["refresh_token"]} <= await rig.issued()
    assert not await rig.active(started["device_code"])
    other = (await client.post("/device/auth", scope=client.scope)).json()
    await deny_device_on_oidc_provider(browser, other["verification_uri_complete"])
    denied = await client.token(DEVICE_GRANT, device_code=other["device_code"])
    assert denied.json()["error"] == "access_denied"


async def test_registration_gives_a_public_native_client(
    rig: OidcRig, browser: Browser, redirect_uri: str
) -> None:
    metadata = {
        "client_name": "a stranger",
        "application_type": "native",
        "redirect_uris": ["http://127.0.0.1/callback"],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    }
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.post(rig.issuer + "/reg", json=metadata)
    assert answer.status_code == 201
    assert "client_secret" not in answer.json()
    tokens = await signed_in(browser, Client(rig.issuer, answer.json()["client_id"], redirect_uri))
    assert await rig.active(tokens["refresh_token"])
    assert answer.json()["registration_access_token"] in await rig.issued()


async def test_pkce_is_required_even_of_a_confidential_client(rig: OidcRig) -> None:
    client = Client(rig.issuer, CONFIDENTIAL_CLIENT, secret=CLIENT_SECRET)
    url = client.authorize_url(code_challenge="", code_challenge_method="")
    async with httpx.AsyncClient(trust_env=False) as http:
        back = parameters_of((await http.get(url)).headers["location"])
    assert back["error"] == "invalid_request"


async def test_both_metadata_documents_say_the_same(rig: OidcRig) -> None:
    async with httpx.AsyncClient(trust_env=False, base_url=rig.issuer) as http:
        oauth = (await http.get("/.well-known/oauth-authorization-server")).json()
        openid = (await http.get("/.well-known/openid-configuration")).json()
    assert oauth == openid
    assert oauth["issuer"] == rig.issuer
    assert oauth["code_challenge_methods_supported"] == ["S256"]
    assert oauth["authorization_response_iss_parameter_supported"]


async def test_lifetimes_are_the_callers(browser: Browser, redirect_uri: str) -> None:
    async with oidc_provider(access_token_ttl=7, device_code_ttl=9) as rig:
        client = Client(rig.issuer, PUBLIC_CLIENT, redirect_uri)
        tokens = await signed_in(browser, client)
        assert tokens["expires_in"] == 7
        started = (await client.post("/device/auth", scope=client.scope)).json()
        assert started["expires_in"] == 9


async def test_it_ends_with_its_context() -> None:
    async with oidc_provider() as rig:
        issuer = rig.issuer
    async with httpx.AsyncClient(trust_env=False) as http:
        with pytest.raises(httpx.ConnectError):
            await http.get(issuer)
