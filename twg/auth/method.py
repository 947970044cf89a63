"""Which way a person signs in: one decision, made in one place, with its reason in one line."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from twg.auth.browser import NoBrowser

if TYPE_CHECKING:
    from twg.auth.browser import Browser


class Method(StrEnum):
    """A way to sign in."""

    BROWSER = "browser"
    """Authorization code with PKCE; this machine's browser is opened."""
    DEVICE = "device"
    """Device authorization grant: a URL and a code to use on any device."""
    PRINTED = "printed"
    """Authorization code with PKCE; the URL is printed, the redirect is listened for or pasted."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The way chosen.

    Attributes:
        method: The way.
        reason: One line for the person.
        browser: What to open, for `Method.BROWSER`.
    """

    method: Method
    reason: str
    browser: Browser | None = None


def choose(
    *, device: bool, no_browser: bool, browser: Browser | NoBrowser, device_offered: bool
) -> Choice:
    """Choose the way to sign in.

    The ladder: 1. a code for another device, if that was asked for and the provider has it; 2. this
    machine's browser, unless nothing may be opened; 3. a code for another device; 4. a printed URL.

    Args:
        device: ``--device`` was given.
        no_browser: ``--no-browser`` was given: nothing may be opened.
        browser: What there is to open.
        device_offered: The provider has a device authorization endpoint.
    """
    if device and device_offered:
        return Choice(Method.DEVICE, "Sign in on any device with the code below.")
    why = "This provider has no device sign-in. " if device else ""
    if no_browser:
        why += "Opening no browser, as you asked"
    elif isinstance(browser, NoBrowser):
        why += f"No browser here ({browser.reason})"
    else:
        return Choice(Method.BROWSER, f"{why}Opening your browser…", browser)
    if device_offered:
        return Choice(Method.DEVICE, f"{why}: use the code below on any device.")
    return Choice(Method.PRINTED, f"{why}: open the address below yourself.")


def without_device(choice: Choice, *, no_browser: bool, browser: Browser | NoBrowser) -> Choice:
    """Choose again after the provider refused the device grant."""
    if choice.method is not Method.DEVICE:
        return choice
    again = choose(device=False, no_browser=no_browser, browser=browser, device_offered=False)
    return replace(again, reason=f"This provider refuses device sign-in. {again.reason}")
