"""`twg provider`: OAuth servers to sign in at."""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import asyncclick as click

from twg.cli.command import Group, command, stored
from twg.errors import ConfigError, UsageError
from twg.settings import check_profile_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from guard.secret import Secret
    from twg.cli.wiring import Wiring
    from twg.vault import Header, ProviderSummary


@command(
    "add",
    human_only=True,
    takes_secret=True,
    params=[
        click.Argument(["name"]),
        click.Option(["--issuer"], metavar="URL", help="The server's issuer identifier."),
        click.Option(["--client-id"], metavar="ID", help="Yours there; else one is registered."),
        click.Option(["--confidential"], is_flag=True, help="Ask for the client's secret."),
        click.Option(
            ["--scope", "scopes"],
            metavar="S",
            multiple=True,
            help="A scope to ask for; repeatable.",
        ),
        click.Option(["--redirect-uri"], metavar="URL", help="A fixed http://127.0.0.1:PORT/PATH."),
        click.Option(["--resource"], metavar="URL", help="The resource indicator (RFC 8707)."),
        click.Option(
            ["--endpoint", "endpoints"],
            metavar="KIND=URL",
            multiple=True,
            help="An address that the server does not list itself; repeatable.",
        ),
    ],
)
async def add(
    wiring: Wiring,
    *,
    name: str,
    issuer: str | None,
    client_id: str | None,
    confidential: bool,
    scopes: tuple[str, ...],
    redirect_uri: str | None,
    resource: str | None,
    endpoints: tuple[str, ...],
) -> None:
    """Add an OAuth 2.1 server under NAME, by what it says of itself.

    Without --client-id a client is registered there (RFC 7591). Two need no --issuer: Atlassian,
    with an app of your own (`twg provider add atlassian --client-id ID --confidential`), and
    Atlassian's Rovo MCP server (`twg provider add rovo-mcp`).
    """
    from twg.auth import providers  # noqa: PLC0415 - Authlib only where it is used
    from twg.cli.provider_wish import preset_wish, wish_for  # noqa: PLC0415 - likewise

    check_profile_name(name)
    if confidential and client_id is None:
        raise UsageError("--confidential goes with --client-id", "Add --client-id ID.")
    given = {
        "client_id": client_id,
        "scopes": scopes,
        "redirect_uri": redirect_uri,
        "resource": resource,
        "endpoints": _endpoints(endpoints),
    }
    wish = preset_wish(name, issuer, given) or wish_for(name, issuer, given)
    await wiring.store.prove_replaceable()
    if confidential:
        wish = replace(wish, ask_secret=partial(ask_client_secret, wiring, name, wish.issuer))
    async with wiring.http() as http:
        provider = await providers.found(http, wiring.custody, wish)
    await wiring.store.save_provider(provider)
    wiring.output.result(
        _data(provider.summary),
        [
            f"✔ Added {name} ({provider.issuer}).",
            *_redirect_advice(provider.summary),
            f"  Sign in with `twg login --provider {name}`.",
        ],
    )


@command("list")
async def list_providers(wiring: Wiring) -> None:
    """List the servers you can sign in at, and those that need only be named."""
    from twg.products import presets  # noqa: PLC0415 - files are read

    found = (await wiring.store.summaries()).providers
    issuers = {one.issuer.rstrip("/") for one in found.values()}
    known = [one for one in map(presets.load, presets.names()) if one.issuer not in issuers]
    width = max((len(name) for name in found), default=0)
    wiring.output.result(
        {
            "providers": [_data(one) for _, one in sorted(found.items())],
            "presets": [one.name for one in known],
        },
        [f"{name:{width}}  {one.issuer}" for name, one in sorted(found.items())]
        or ["None yet. `twg provider add NAME --issuer URL` adds one."],
    )
    if wiring.output.mode == "text" and known:
        wiring.output.say("Known by name, and not added yet:")
        for one in known:
            wiring.output.say(f"  {one.command}")


@command("show", params=[click.Argument(["name"], shell_complete=stored("provider"))])
async def show(wiring: Wiring, *, name: str) -> None:
    """Show what twg knows of the server NAME; never its client secret."""
    one = _of(await wiring.store.summaries(), name)
    rows = {
        "Name": one.name,
        "Issuer": one.issuer,
        "Client id": one.client_id + (" (registered by twg)" if one.registered else ""),
        "Client secret": "kept sealed" if one.confidential else "none",
        "Redirect URI": one.redirect_uri or "http://127.0.0.1:(any port)/callback",
        "Scopes": " ".join(one.scopes) or "(the server's default)",
        "Resource": one.resource or "none",
        "API": one.api_base,
    }
    rows |= {
        kind.capitalize(): url or "none" for kind, url in sorted(asdict(one.endpoints).items())
    }
    width = max(len(label) for label in rows)
    wiring.output.result(_data(one), [f"{label:{width}}  {text}" for label, text in rows.items()])


@command(
    "remove",
    human_only=True,
    params=[click.Argument(["name"], shell_complete=stored("provider"))],
)
async def remove(wiring: Wiring, *, name: str) -> None:
    """Remove the server NAME. Sign-ins made there go on working until you sign out."""
    _of(await wiring.store.summaries(), name)
    await wiring.store.remove_provider(name)
    wiring.output.result({"removed": name}, [f"✔ Removed {name}."])


async def ask_client_secret(wiring: Wiring, name: str, issuer: str) -> Secret:
    """Ask for the secret of a client at `issuer` in the hidden prompt."""
    from twg.products import presets  # noqa: PLC0415 - reads its file

    known = presets.for_issuer(issuer)
    registered = f"{issuer}, where your app is registered"
    place = (known.app_console if known else None) or registered
    return await wiring.prompt.ask(
        "client-secret",
        what=f"client secret of {name}",
        notes=[
            f"The client secret of your OAuth app lets twg sign you in at {name}.",
            f"It goes to {issuer} alone,",
            f"and is kept sealed in {wiring.shown(wiring.settings.auth_conf)}.",
            f"It is shown, and made anew, at {place}.",
        ],
        accepts=known.client_secret_kinds if known else None,
    )


def _endpoints(words: Sequence[str]) -> dict[str, str]:
    from twg.auth.providers import ENDPOINT_KINDS  # noqa: PLC0415 - see add

    found: dict[str, str] = {}
    for word in words:
        kind, equals, url = word.partition("=")
        if not equals or kind not in ENDPOINT_KINDS:
            raise UsageError(
                f"--endpoint takes KIND=URL; KIND is one of {', '.join(ENDPOINT_KINDS)}",
                "For example: --endpoint device=https://auth.example.com/device",
            )
        found[kind] = url
    return found


def _of(header: Header, name: str) -> ProviderSummary:
    if name not in header.providers:
        known = ", ".join(sorted(header.providers)) or "none"
        raise ConfigError(
            f"there is no provider {name!r} (known: {known})", "See `twg provider list`."
        )
    return header.providers[name]


def _data(one: ProviderSummary) -> dict[str, Any]:
    # By the names of RFC 8414: a member called `token` would pass for one.
    endpoints = {f"{kind}_endpoint": url for kind, url in asdict(one.endpoints).items()}
    return asdict(one) | {"scopes": list(one.scopes), "endpoints": endpoints}


def _redirect_advice(one: ProviderSummary) -> list[str]:
    if one.registered:
        return [f"  twg registered itself there as client {one.client_id}."]
    if one.redirect_uri is None:
        return []
    return [f"  Its app must have this redirect URI, to the letter: {one.redirect_uri}"]


provider = Group(
    "provider",
    help="Add, look at and remove OAuth servers to sign in at.",
    commands=[add, list_providers, show, remove],
)
