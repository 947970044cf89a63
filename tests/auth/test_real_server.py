"""The whole life of a sign-in at a server that is not ours and knows nothing of Atlassian."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from tests.auth.parts import plain, sign_in_of, stored
from tests.rigs.browser import chromium
from tests.rigs.oidc_rig import oidc_provider
from tests.rigs.pages import approve_device_on_oidc_provider, sign_in_on_oidc_provider
from twg.auth.method import Choice, Method
from twg.auth.providers import Wish, found
from twg.auth.signout import SignOut
from twg.auth.tokens import TokenManager
from twg.products import atlassian

if TYPE_CHECKING:
    from guard.custody import Custody
    from tests.auth.parts import Told
    from tests.rigs.browser import Browser
    from twg.http import Http
    from twg.vault import SealedStore

pytestmark = pytest.mark.slow


async def _by_printed_address(browser: Browser, told: Told) -> None:
    await sign_in_on_oidc_provider(browser, await told.address())
    await browser.until_text("Signed in")


async def _by_device(browser: Browser, told: Told) -> None:
    _uri, complete, _code = await told.code()
    assert complete is not None
    await approve_device_on_oidc_provider(browser, complete)


@pytest.mark.parametrize("method", [Method.PRINTED, Method.DEVICE])
async def test_registered_signed_in_renewed_and_signed_out(
    store: SealedStore, http: Http, custody: Custody, told: Told, method: Method
) -> None:
    person = _by_device if method is Method.DEVICE else _by_printed_address
    async with oidc_provider() as rig, chromium() as browser:
        base = atlassian.api_base(rig.issuer)
        provider = await found(http, custody, Wish(name="rig", issuer=rig.issuer, api_base=base))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(person, browser, told)
            outcome = await sign_in_of(store, http, custody, told).run(
                provider,
                Choice(method, "Sign in."),
                profile="default",
                without_device=lambda choice: choice,
            )
        first = outcome.credential
        assert first.account is not None
        assert first.account.id == "alice"
        assert first.sites == ()

        async with TokenManager(store=store, http=http, custody=custody) as manager:
            renewed = await manager.renew("default", force=True)
        assert await rig.active(plain(renewed.tokens.access))
        assert not await rig.active(plain(first.tokens.refresh))
        answer = await http.request(
            "GET",
            atlassian.url_for(await stored(store), "atlassian", "/me"),
            pinned=renewed.hosts,
            bearer=renewed.tokens.access,
        )
        assert answer.status == 200

        signed_out = await SignOut(store=store, http=http, custody=custody).run("default")
        assert signed_out is not None
        assert signed_out.revoked
        assert not await rig.active(plain(renewed.tokens.access))
        assert not await rig.active(plain(renewed.tokens.refresh))
