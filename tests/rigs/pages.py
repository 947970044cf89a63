"""What a person does on the servers' pages: signs in, agrees, refuses."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.rigs.browser import Browser

SUBMIT = "button.login-submit"


async def sign_in_on_oidc_provider(browser: Browser, url: str, login: str = "alice") -> str:
    """Open an authorization request, sign in and agree; return the address it was sent on to."""
    await browser.go(url)
    await _log_in(browser, login)
    await browser.click(SUBMIT)
    return await browser.until_url(f"(?!{re.escape(_origin(url))})http")


async def cancel_on_oidc_provider(browser: Browser, url: str) -> str:
    """Open an authorization request and cancel it; return the address it was sent on to."""
    await browser.go(url)
    await browser.click(".login-help a")
    return await browser.until_url(f"(?!{re.escape(_origin(url))})http")


async def approve_device_on_oidc_provider(
    browser: Browser, verification_uri_complete: str, login: str = "alice"
) -> None:
    """Open a device's verification address, confirm its code, sign in and agree."""
    await browser.go(verification_uri_complete)
    await browser.click("button[autofocus]")
    await _log_in(browser, login)
    await browser.click(SUBMIT)
    await browser.until_text("Sign-in Success")


async def deny_device_on_oidc_provider(browser: Browser, verification_uri_complete: str) -> None:
    """Open a device's verification address and abort."""
    await browser.go(verification_uri_complete)
    await browser.click("button[name=abort]")
    await browser.until_text("interrupted")


async def _log_in(browser: Browser, login: str) -> None:
    await browser.type("input[name=login]", login)
    await browser.type("input[name=password]", "any password will do")
    await browser.click(SUBMIT)
    await browser.find("input[name=prompt][value=consent]")


async def sign_in_on_sandbox(
    browser: Browser, url: str, name: str, password: str, site: str | None = None
) -> str:
    """Open an authorization request at the sandbox, sign in, choose a site and accept.

    Returns:
        The address it was sent on to.
    """
    await browser.go(url)
    await _enter_sandbox(browser, name, password)
    await _accept(browser, site)
    return await browser.until_url(f"(?!{re.escape(_origin(url))})http")


async def approve_device_on_sandbox(
    browser: Browser,
    verification_uri: str,
    name: str,
    password: str,
    *,
    user_code: str | None = None,
    site: str | None = None,
) -> None:
    """Open a device's verification address at the sandbox and accept.

    `user_code` is typed in, unless the address holds it already.
    """
    await _open_device(browser, verification_uri, name, password, user_code)
    await _accept(browser, site)
    await browser.find("#done")


async def deny_device_on_sandbox(
    browser: Browser,
    verification_uri: str,
    name: str,
    password: str,
    *,
    user_code: str | None = None,
) -> None:
    """Open a device's verification address at the sandbox, and deny."""
    await _open_device(browser, verification_uri, name, password, user_code)
    await browser.click("#deny")
    await browser.find("#denied")


async def _open_device(
    browser: Browser, verification_uri: str, name: str, password: str, user_code: str | None
) -> None:
    await browser.go(verification_uri)
    if user_code is not None:
        await browser.type("#user-code", user_code)
    await browser.click("#continue")
    await _enter_sandbox(browser, name, password)


async def _enter_sandbox(browser: Browser, name: str, password: str) -> None:
    """Sign in, unless the browser still is."""
    await browser.find("#username, #accept")
    if await browser.all("#username"):
        await browser.type("#username", name)
        await browser.type("#password", password)
        await browser.click("#sign-in")


async def _accept(browser: Browser, site: str | None) -> None:
    """Accept for the site whose name or host is `site`, or for the one already chosen."""
    await browser.find("#accept")
    for choice in await browser.all("label:has(input[name=site])"):
        if site is not None and site in await choice.text():
            await choice.click()
    await browser.click("#accept")


async def make_bitbucket_token_on_sandbox(browser: Browser, url: str) -> str:
    """Make a token on the sandbox's page, with the scopes it proposes; one is signed in there."""
    await browser.go(url)
    await browser.click("#create")
    return await (await browser.find("#token")).text()


def _origin(url: str) -> str:
    return "/".join(url.split("/")[:3])
