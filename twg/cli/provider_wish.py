"""From what a person gives of a provider to what is looked for; some need only be named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twg.auth.providers import Wish
from twg.errors import ConfigError, UsageError
from twg.http import origin
from twg.products import atlassian, presets

if TYPE_CHECKING:
    from collections.abc import Mapping


def wish_for(name: str, issuer: str | None, given: Mapping[str, Any]) -> Wish:
    """Return the wish for any OAuth server.

    Args:
        name: What to call it.
        issuer: Its issuer identifier.
        given: The other attributes of `Wish`; empty ones count as not given.

    Raises:
        UsageError: There is no issuer.
        ConfigError: The issuer is no https URL.
    """
    if issuer is None:
        raise UsageError(
            "--issuer is missing", "Name the server: --issuer https://auth.example.com"
        )
    origin(issuer)
    return Wish(name=name, issuer=issuer, api_base=atlassian.api_base(issuer), **_present(given))


def preset_wish(name: str, issuer: str | None, given: Mapping[str, Any]) -> Wish | None:
    """Return the wish for a server that is known beforehand, or None if another is meant.

    The issuer decides which one is meant, and the name where there is no issuer.

    Raises:
        ConfigError: There is no client id, and clients cannot register there.
    """
    preset = presets.named(name) if issuer is None else presets.for_issuer(issuer)
    if preset is None:
        return None
    present = _present(given)
    if preset.app_console is not None and "client_id" not in present:
        raise ConfigError(
            f"{preset.title} registers no clients by itself",
            f"Make an OAuth 2.0 app at {preset.app_console} and name it: --client-id ID "
            f"--confidential. Its callback URL is {preset.redirect_uri}",
        )
    defaults: dict[str, Any] = {
        "scopes": preset.scopes,
        "redirect_uri": preset.redirect_uri,
        "resource": preset.resource,
        "authorize_parameters": preset.authorize_parameters,
        "token_body": preset.token_body,
    }
    # One endpoint that a person names leaves the others as they are.
    endpoints = {**preset.endpoints, **present.pop("endpoints", {})}
    return Wish(
        name=name,
        issuer=preset.issuer,
        api_base=preset.api_base,
        endpoints=endpoints,
        **(defaults | present),
    )


def _present(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value}
