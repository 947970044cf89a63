"""The whole road at a server that is not ours: npm's oidc-provider, its pages in a real browser."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.rigs.oidc_rig import CLIENT_SECRET, CONFIDENTIAL_CLIENT, PUBLIC_CLIENT
from tests.rigs.pages import (
    approve_device_on_oidc_provider,
    cancel_on_oidc_provider,
    sign_in_on_oidc_provider,
)
from tests.roads.traveller import address_in

if TYPE_CHECKING:
    from tests.rigs.browser import Browser
    from tests.rigs.oidc_rig import OidcRig
    from tests.roads.traveller import Traveller

pytestmark = pytest.mark.slow

OUT_OF_REACH = "http://127.0.0.1:6697/callback"
"""A redirect that no browser follows, for the port is another protocol's (IRC): as if the browser
were on another machine, it ends on an error page of its own at that address."""


async def with_provider(person: Traveller, rig: OidcRig) -> None:
    """Set up the server with its public client."""
    await person.gets(
        "provider", "add", "rig", "--issuer", rig.issuer, "--client-id", PUBLIC_CLIENT
    )


async def goes_on_and_ends(person: Traveller, rig: OidcRig) -> None:
    """Follow the road after a sign-in: status, call, renewal, sign-out; then nothing is left."""
    status = await person.gets("auth", "status")
    assert "alice" in status
    assert rig.issuer in status
    assert "fresh" in status

    assert (await person.asks("api", "atlassian", "/me"))["sub"] == "alice"

    assert await rig.granted("refresh_token") == 0
    assert (await person.asks("auth", "refresh"))["fresh"] == ["default"]
    assert await rig.granted("refresh_token") == 0
    assert (await person.asks("auth", "refresh", "--force"))["renewed"] == ["default"]
    assert await rig.granted("refresh_token") == 1
    assert (await person.asks("api", "atlassian", "/me"))["sub"] == "alice"

    alive = {token for token in await rig.issued() if await rig.active(token)}
    assert alive
    assert "revoked" in await person.gets("logout")
    assert {token for token in alive if await rig.active(token)} <= registered(alive)
    assert (await person.asks("auth", "status", status=77))["code"] == "AUTH_REQUIRED"

    assert person.traces_of(await rig.issued()) == []
    assert {"token.issued", "token.refreshed", "token.revoked"} <= set(person.audit_events())


def registered(tokens: set[str]) -> set[str]:
    """Return those that are no tokens of the sign-in: ID tokens, which nothing revokes."""
    return {token for token in tokens if token.count(".") == 2}


async def test_code_flow_in_the_browser(person: Traveller, rig: OidcRig, browser: Browser) -> None:
    """`twg login` opens the browser; the person signs in there and agrees."""
    await with_provider(person, rig)

    async with person.types("login") as terminal:
        await terminal.until("Opening your browser")
        await sign_in_on_oidc_provider(browser, await person.browser.opened_url())
        page = await browser.until_text("Signed in")
        assert await terminal.exit_status() == 0
        shown = terminal.transcript()

    assert "alice" in page
    assert "Authentication successful" in shown
    assert "Authenticated as alice" in shown
    assert await rig.granted("authorization_code") == 1
    await goes_on_and_ends(person, rig)


async def test_device_flow(person: Traveller, rig: OidcRig, browser: Browser) -> None:
    """`twg login --device` shows an address and a code, which another device confirms."""
    await with_provider(person, rig)

    async with person.types("login", "--device") as terminal:
        shown = await terminal.until("Enter the code only")
        code = re.search(r"Enter\s+(\S+)", shown)
        address = re.search(r"Open\s+(http\S+)", shown)
        assert code
        assert address
        assert "█" in shown, "there is room for a QR code"
        await approve_device_on_oidc_provider(browser, f"{address[1]}?user_code={code[1]}")
        assert await terminal.exit_status() == 0

    assert person.browser.opened_urls() == []
    await goes_on_and_ends(person, rig)


async def test_no_browser_listens(person: Traveller, rig: OidcRig, browser: Browser) -> None:
    """`--no-browser` opens nothing; a browser of the person's own, on this machine, answers."""
    await with_provider_without_device(person, rig)

    async with person.types("login", "--no-browser") as terminal:
        await terminal.until("browser was sent to")
        await sign_in_on_oidc_provider(browser, address_in(terminal, "/auth"))
        assert await terminal.exit_status() == 0
        assert terminal.echo_is_on()

    assert person.browser.opened_urls() == []
    await goes_on_and_ends(person, rig)


async def test_no_browser_takes_the_pasted_address(
    person: Traveller, rig: OidcRig, browser: Browser
) -> None:
    """The browser is on another machine: the address it was sent to is pasted, and stays hidden."""
    await with_provider_without_device(person, rig, "--redirect-uri", OUT_OF_REACH)

    async with person.types("login", "--no-browser") as terminal:
        await terminal.until("browser was sent to")
        landed = await sign_in_on_oidc_provider(browser, address_in(terminal, "/auth"))
        assert "code=" in landed
        await terminal.send_line(landed)
        assert await terminal.exit_status() == 0
        assert landed not in terminal.raw.decode()

    await goes_on_and_ends(person, rig)


async def test_a_client_is_registered_where_none_is_named(
    person: Traveller, rig: OidcRig, browser: Browser
) -> None:
    """`provider add` without --client-id registers a client (RFC 7591)."""
    added = await person.asks("provider", "add", "rig", "--issuer", rig.issuer)
    assert added["registered"] is True
    assert added["client_id"] not in {PUBLIC_CLIENT, CONFIDENTIAL_CLIENT}

    async with person.types("login") as terminal:
        await sign_in_on_oidc_provider(browser, await person.browser.opened_url())
        assert await terminal.exit_status() == 0

    await goes_on_and_ends(person, rig)


async def test_a_confidential_client_proves_itself(
    person: Traveller, rig: OidcRig, browser: Browser
) -> None:
    """Its secret is typed into the hidden prompt, sealed, and sent to the server alone."""
    words = ["--issuer", rig.issuer, "--client-id", CONFIDENTIAL_CLIENT, "--confidential"]
    async with person.types("provider", "add", "rig", *words) as terminal:
        await terminal.until("client secret of rig")
        await terminal.until_modes(lambda modes: not modes.echo)
        await terminal.send_line(CLIENT_SECRET)
        assert await terminal.exit_status() == 0

    async with person.types("login") as terminal:
        await sign_in_on_oidc_provider(browser, await person.browser.opened_url())
        assert await terminal.exit_status() == 0

    assert person.traces_of([CLIENT_SECRET]) == []
    assert "secret.entered" in person.audit_events()
    await goes_on_and_ends(person, rig)


async def test_declining_is_told_in_both_places(
    person: Traveller, rig: OidcRig, browser: Browser
) -> None:
    await with_provider(person, rig)

    async with person.types("login") as terminal:
        await cancel_on_oidc_provider(browser, await person.browser.opened_url())
        page = await browser.until_text("Not signed in")
        assert await terminal.exit_status() == 77
        shown = terminal.transcript()

    assert "declined" in page
    assert "declined" in shown
    assert (await person.asks("auth", "status", status=77))["code"] == "AUTH_REQUIRED"


async def test_ctrl_c_ends_the_wait(person: Traveller, rig: OidcRig) -> None:
    """Nothing is half-saved, and the terminal is as before."""
    await with_provider(person, rig)

    async with person.types("login") as terminal:
        before = terminal.modes()
        await person.browser.opened_url()
        await terminal.until("Waiting for you in the browser")
        await terminal.interrupt()
        assert await terminal.exit_status() == 130
        assert terminal.modes() == before

    assert (await person.asks("auth", "status", status=77))["code"] == "AUTH_REQUIRED"
    assert await rig.granted("authorization_code") == 0


async def with_provider_without_device(person: Traveller, rig: OidcRig, *more: str) -> None:
    """Set up a client that may not use the device grant: the server refuses, twg falls back."""
    wanted = {
        "application_type": "native",
        "redirect_uris": ["http://127.0.0.1/callback"],
        "grant_types": ["authorization_code", "refresh_token"],
        "token_endpoint_auth_method": "none",
    }
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.post(f"{rig.issuer}/reg", json=wanted)
    client_id = answer.json()["client_id"]
    words = ["--issuer", rig.issuer, "--client-id", client_id]
    await person.gets("provider", "add", "rig", *words, *more)
