"""From what a person gives of a provider to what is looked for; Atlassian's own are known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twg.auth.providers import Wish
from twg.errors import ConfigError, UsageError
from twg.http import origin
from twg.products import atlassian

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


def atlassian_wish(name: str, issuer: str | None, given: Mapping[str, Any]) -> Wish | None:
    """Return the wish for Atlassian's own server, or None if another is meant.

    Atlassian needs an app of the person's own (developer.atlassian.com), a fixed redirect URI and
    token requests in JSON.

    Raises:
        ConfigError: There is no client id.
    """
    meant = atlassian.is_atlassian(issuer) if issuer is not None else name == "atlassian"
    if not meant:
        return None
    present = _present(given)
    if "client_id" not in present:
        raise ConfigError(
            "Atlassian registers no clients by itself",
            "Make an OAuth 2.0 app at developer.atlassian.com/console and name it: --client-id ID "
            f"--confidential. Its callback URL is {atlassian.REDIRECT_URI}",
        )
    defaults: dict[str, Any] = {
        "scopes": atlassian.DEFAULT_SCOPES,
        "redirect_uri": atlassian.REDIRECT_URI,
        "authorize_parameters": atlassian.AUTHORIZE_PARAMETERS,
        "token_body": "json",
    }
    return Wish(
        name=name, issuer=atlassian.ISSUER, api_base=atlassian.API_BASE, **(defaults | present)
    )


def _present(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value}
