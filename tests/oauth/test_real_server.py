"""The whole protocol against a server that is not ours: register, sign in, renew, revoke."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest

from tests.rigs.browser import chromium
from tests.rigs.oidc_rig import CLIENT_SECRET, CONFIDENTIAL_CLIENT, oidc_provider
from tests.rigs.pages import approve_device_on_oidc_provider, sign_in_on_oidc_provider
from twg.errors import GrantRefused
from twg.http import origin
from twg.oauth import authorization_code, device
from twg.oauth.loopback import LoopbackListener, Page
from twg.oauth.metadata import discover
from twg.oauth.registration import register
from twg.oauth.revocation import revoke
from twg.oauth.token import Client, refresh

if TYPE_CHECKING:
    from guard.custody import Custody
    from guard.secret import Secret
    from tests.rigs.browser import Browser
    from tests.rigs.oidc_rig import OidcRig
    from twg.http import Http
    from twg.oauth.metadata import ServerMetadata
    from twg.oauth.token import TokenResponse

pytestmark = pytest.mark.slow
SCOPES = ("openid", "offline_access")


async def _client(
    http: Http, server: ServerMetadata, custody: Custody, *, confidential: bool
) -> Client:
    pinned = frozenset({origin(server.issuer)})
    if confidential:
        return Client(
            client_id=CONFIDENTIAL_CLIENT,
            secret=custody.take(CLIENT_SECRET, "client-secret"),
            auth_method="client_secret_basic",
            token_endpoint=server.token_endpoint,
            pinned=pinned,
            custody=custody,
        )
    assert server.registration_endpoint is not None
    registered = await register(
        http,
        server.registration_endpoint,
        redirect_uris=("http://127.0.0.1/callback",),
        scopes=SCOPES,
        client_name="twg",
        device_grant=True,
        custody=custody,
    )
    return Client(
        client_id=registered.client_id,
        secret=registered.client_secret,
        auth_method=registered.token_endpoint_auth_method,
        token_endpoint=server.token_endpoint,
        pinned=pinned,
        custody=custody,
    )


async def _by_code(
    http: Http, server: ServerMetadata, client: Client, browser: Browser
) -> TokenResponse:
    async with LoopbackListener() as listener, anyio.create_task_group() as tasks:
        request = authorization_code.start(
            authorization_endpoint=server.authorization_endpoint,
            client_id=client.client_id,
            issuer=server.issuer,
            redirect_uri=listener.redirect_uri,
            scopes=SCOPES,
            custody=client.custody,
            extra={"prompt": "consent"},
        )

        async def person() -> None:
            await sign_in_on_oidc_provider(browser, request.url)
            await browser.until_text("Signed in")

        tasks.start_soon(person)
        code = authorization_code.read_callback(
            request,
            await listener.callback(request.state),
            iss_required=server.iss_parameter_supported,
            custody=client.custody,
        )
        answer = await authorization_code.exchange(http, client, request, code)
        await listener.conclude(Page(ok=True, headline="Signed in", detail="Done."))
    return answer


async def _by_device(
    http: Http, server: ServerMetadata, client: Client, browser: Browser
) -> TokenResponse:
    assert server.device_authorization_endpoint is not None
    waiting = await device.authorize(
        http, client, server.device_authorization_endpoint, SCOPES, {"prompt": "consent"}
    )
    assert waiting.interval == device.DEFAULT_INTERVAL
    assert waiting.verification_uri_complete is not None
    await approve_device_on_oidc_provider(browser, waiting.verification_uri_complete)
    return await device.poll(http, client, waiting, sleep=lambda _: anyio.lowlevel.checkpoint())


async def _active(rig: OidcRig, token: Secret) -> bool:
    return await rig.active(token.reveal("test"))


@pytest.mark.parametrize("way", [_by_code, _by_device])
@pytest.mark.parametrize("confidential", [False, True])
async def test_from_registration_to_revocation(
    http: Http, custody: Custody, way: Any, *, confidential: bool
) -> None:
    async with oidc_provider() as rig, chromium() as browser:
        server = await discover(http, rig.issuer)
        assert server.iss_parameter_supported
        client = await _client(http, server, custody, confidential=confidential)
        first = await way(http, server, client, browser)
        assert first.refresh is not None
        second = await refresh(http, client, first.refresh)
        assert second.refresh is not None
        assert not second.refresh.same_as(first.refresh)
        assert await _active(rig, second.access)
        assert server.revocation_endpoint is not None
        await revoke(http, client, server.revocation_endpoint, second.refresh, hint="refresh_token")
        await revoke(http, client, server.revocation_endpoint, second.access, hint="access_token")
        assert not await _active(rig, second.access)
        assert not await _active(rig, second.refresh)
        with pytest.raises(GrantRefused) as caught:
            await refresh(http, client, second.refresh)
        assert caught.value.error == "invalid_grant"
