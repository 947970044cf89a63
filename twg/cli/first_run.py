"""The first sign-in of an installation: leads a person to a provider."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from twg.auth import providers
from twg.cli import sandbox_provider
from twg.cli.provider import ask_client_secret
from twg.cli.provider_wish import preset_wish, wish_for
from twg.errors import ConfigError
from twg.http import origin
from twg.products import presets

if TYPE_CHECKING:
    from twg.auth.providers import Wish
    from twg.cli.wiring import Wiring
    from twg.http import Http
    from twg.products.presets import Preset
    from twg.vault import Provider

_CHOICES: Final = (
    "Atlassian, with an OAuth app of your own",
    "Another OAuth 2.1 server",
    "The local sandbox, to try things on",
)


async def guide(wiring: Wiring, http: Http) -> Provider:
    """Ask a person where to sign in; save what they set up, and return it.

    Raises:
        GuardError: They ended it.
        TwgError: The server they named cannot be used.
    """
    wiring.output.say("Nothing is set up yet. Where do you want to sign in?")
    choice = await wiring.questions.choose("Sign in at", _CHOICES)
    if choice == len(_CHOICES) - 1:
        running, _ = await sandbox_provider.started(wiring.settings.state_dir)
        wiring.output.say(f"The sandbox runs at {running.url} (`twg sandbox stop` ends it).")
        return await sandbox_provider.provider_of(running, http, wiring.custody)
    wish = await (_at_atlassian(wiring) if choice == 0 else _elsewhere(wiring))
    provider = await providers.found(http, wiring.custody, wish)
    await wiring.store.save_provider(provider)
    return provider


async def _at_atlassian(wiring: Wiring) -> Wish:
    preset = presets.load(presets.ATLASSIAN)
    for line in ("", *_app_steps(preset)):
        wiring.output.say(line)
    client_id = await wiring.questions.ask("client ID")
    wish = preset_wish(preset.name, None, {"client_id": client_id})
    if wish is None:
        raise RuntimeError("the name decides that Atlassian is meant")
    return replace(wish, ask_secret=partial(ask_client_secret, wiring, preset.name, wish.issuer))


def _app_steps(preset: Preset) -> tuple[str, ...]:
    return (
        "twg signs in at Atlassian as an OAuth app of your own. To make one (once):",
        "",
        f"  1. Open {preset.app_console} and create an",
        "     OAuth 2.0 integration; any name will do.",
        "  2. Permissions: add the User identity API, the Jira API and the Confluence",
        "     API, with these scopes:",
        "",
        *(f"       {scope}" for scope in preset.scopes if scope != "offline_access"),
        "",
        "  3. Authorization: configure OAuth 2.0 (3LO) with exactly this callback URL:",
        "",
        f"       {preset.redirect_uri}",
        "",
        "  4. Settings: there are its client ID and its secret. twg asks for the ID now,",
        "     and for the secret next, in a prompt that shows nothing.",
        "",
    )


async def _elsewhere(wiring: Wiring) -> Wish:
    issuer = await wiring.questions.ask(
        "issuer, such as https://auth.example.com", check=_issuer_fault
    )
    client_id = await wiring.questions.ask(
        "client ID there (empty: twg registers itself)", default=""
    )
    return wish_for("main", issuer.strip(), {"client_id": client_id.strip() or None})


def _issuer_fault(issuer: str) -> str | None:
    try:
        origin(issuer)
    except ConfigError as error:
        return str(error)
    return None
