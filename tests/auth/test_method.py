"""Which way a person signs in, and that the reason is told."""

from __future__ import annotations

import pytest

from twg.auth.browser import Browser, NoBrowser
from twg.auth.method import Choice, Method, choose, without_device

FIREFOX = Browser(("/usr/bin/firefox",))
NONE = NoBrowser("this is an SSH session")


@pytest.mark.parametrize(
    ("asked", "browser", "device_offered", "method", "reason"),
    [
        ("", FIREFOX, True, Method.BROWSER, "Opening your browser…"),
        ("", FIREFOX, False, Method.BROWSER, "Opening your browser…"),
        ("", NONE, True, Method.DEVICE, "No browser here (this is an SSH session): use the code"),
        ("", NONE, False, Method.PRINTED, "No browser here (this is an SSH session): open the"),
        ("--device", FIREFOX, True, Method.DEVICE, "Sign in on any device"),
        ("--device", NONE, True, Method.DEVICE, "Sign in on any device"),
        ("--device", FIREFOX, False, Method.BROWSER, "This provider has no device sign-in. Op"),
        ("--device", NONE, False, Method.PRINTED, "This provider has no device sign-in. No b"),
        ("--no-browser", FIREFOX, True, Method.DEVICE, "Opening no browser, as you asked: use"),
        ("--no-browser", FIREFOX, False, Method.PRINTED, "Opening no browser, as you asked: open"),
        ("--no-browser", NONE, False, Method.PRINTED, "Opening no browser, as you asked: open"),
        ("--device --no-browser", FIREFOX, True, Method.DEVICE, "Sign in on any device"),
        ("--device --no-browser", FIREFOX, False, Method.PRINTED, "This provider has no device"),
    ],
)
def test_the_ladder(
    asked: str, browser: Browser | NoBrowser, method: Method, reason: str, *, device_offered: bool
) -> None:
    choice = choose(
        device="--device" in asked,
        no_browser="--no-browser" in asked,
        browser=browser,
        device_offered=device_offered,
    )
    assert choice.method is method
    assert choice.reason.startswith(reason)
    assert choice.browser == (browser if method is Method.BROWSER else None)


@pytest.mark.parametrize(
    ("browser", "no_browser", "method"),
    [
        (FIREFOX, False, Method.BROWSER),
        (FIREFOX, True, Method.PRINTED),
        (NONE, False, Method.PRINTED),
    ],
)
def test_a_refused_device_grant_leads_to_the_next_rung(
    browser: Browser | NoBrowser, method: Method, *, no_browser: bool
) -> None:
    refused = Choice(Method.DEVICE, "a code")
    again = without_device(refused, no_browser=no_browser, browser=browser)
    assert again.method is method
    assert again.reason.startswith("This provider refuses device sign-in. ")


def test_any_other_way_stays_as_it_is() -> None:
    choice = Choice(Method.BROWSER, "a browser", FIREFOX)
    assert without_device(choice, no_browser=True, browser=NONE) is choice
