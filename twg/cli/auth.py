"""`twg auth`: look at sign-ins, switch between them, renew them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import asyncclick as click

from twg.cli.again import signed_in_again
from twg.cli.command import Group, command, stored
from twg.cli.live import live_table
from twg.cli.sign_ins import (
    as_data,
    at_site,
    bitbucket_in_words,
    freshness_in_words,
    known_now,
    lapse_in_words,
    lapse_warning,
    needs_renewal,
    protection_in_words,
    state_of,
    summary_of,
)
from twg.cli.storage import storage
from twg.errors import (
    AuthExpired,
    AuthRequired,
    AuthRevoked,
    PartialFailure,
    TwgError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from twg.cli.live import LiveTable
    from twg.cli.wiring import Wiring
    from twg.vault import Credential, CredentialSummary


@command("status")
async def status(wiring: Wiring) -> None:
    """Show who is signed in, where, how it is kept and how fresh it is.

    Looks at this device only: nothing is sent and no secret is opened.
    """
    header = await known_now(wiring)
    summary = summary_of(header, await wiring.profile())
    now = time.time()
    rows = {
        "Profile": summary.profile + (" (active)" if header.active == summary.profile else ""),
        "Account": _who(summary),
        "Provider": f"{summary.provider} ({summary.issuer})",
        "Site": summary.site or "none",
        "Access": freshness_in_words(summary, now),
        "Sign-in": lapse_in_words(summary, now),
        "Bitbucket": bitbucket_in_words(header.bitbucket.get(summary.profile)),
        "Stored in": wiring.shown(wiring.settings.auth_conf),
        "Protection": protection_in_words(header.key, wiring),
    }
    wiring.output.result(as_data(header, summary, wiring), _columns(rows))
    if (warning := lapse_warning(summary, now)) is not None:
        wiring.output.warn(warning)


@command("list")
async def list_profiles(wiring: Wiring) -> None:
    """List all sign-ins; the active one has a star."""
    header = await known_now(wiring)
    now = time.time()
    lines = [
        f"{'*' if name == header.active else ' '} {name:{_widest(header.profiles)}}  "
        f"{_who(one)}  {one.site or one.issuer}  {state_of(one, now)}"
        for name, one in sorted(header.profiles.items())
    ]
    found = [as_data(header, one, wiring) for _, one in sorted(header.profiles.items())]
    wiring.output.result(
        {"active": header.active, "profiles": found},
        lines or ["Nobody is signed in. `twg login` does that."],
    )


@command("switch", params=[click.Argument(["profile"], shell_complete=stored("profile"))])
async def switch(wiring: Wiring, *, profile: str) -> None:
    """Make PROFILE the one that is used where none is named."""
    await wiring.store.activate(profile)
    wiring.output.result({"active": profile}, [f"✔ {profile} is the active profile now."])


@command("site", params=[click.Argument(["host"], required=False, shell_complete=stored("site"))])
async def site(wiring: Wiring, *, host: str | None) -> None:
    """Show the sites of this sign-in, or make HOST the default one."""
    profile = await wiring.profile()
    if host is not None:
        await _set_site(wiring, profile, host)
    summary = summary_of(await wiring.store.summaries(), profile)
    wiring.output.result(
        {"profile": profile, "site": summary.site, "sites": [s.host for s in summary.sites]},
        [f"{'*' if s.host == summary.site else ' '} {s.host}" for s in summary.sites]
        or ["This sign-in covers no site."],
    )


@command(
    "refresh",
    params=[
        click.Option(["--force"], is_flag=True, help="Renew what is still fresh, too."),
        click.Option(["--all", "every"], is_flag=True, help="Every profile, at the same time."),
    ],
)
async def refresh(wiring: Wiring, *, force: bool, every: bool) -> None:
    """Renew sign-ins of which 75 % of the lifetime has passed; nothing is sent for others."""
    header = await known_now(wiring)
    now = time.time()
    profiles = sorted(header.profiles) if every else [await wiring.profile()]
    wanted = [
        name
        for name in profiles
        if force or name not in header.profiles or needs_renewal(header.profiles[name], now)
    ]
    table = None
    if every:
        rows = {name: "waiting" if name in wanted else "fresh" for name in profiles}
        table = live_table(wiring, rows)
    renewed = await _renew(wiring, wanted, table, force=force)
    if not every:
        await _sign_in_where_it_ended(wiring, renewed)
    fresh = [name for name in profiles if name not in wanted]
    _tell_renewed(wiring, fresh, renewed, every=every, shown=table is not None)


async def _renew(
    wiring: Wiring, wanted: list[str], table: LiveTable | None, *, force: bool
) -> dict[str, Credential | TwgError]:
    if table is None:
        return await _renew_all(wiring, wanted, force=force)
    table.begin()
    warnings: list[str] = []

    def begun(profile: str) -> None:
        table.show(profile, "renewing")

    def ended(profile: str, outcome: Credential | TwgError) -> None:
        table.show(profile, "failed" if isinstance(outcome, TwgError) else "renewed")

    try:
        return await _renew_all(
            wiring, wanted, force=force, warn=warnings.append, begun=begun, ended=ended
        )
    finally:
        for line in warnings:  # meanwhile they would have torn the table apart
            wiring.output.warn(line)


async def _renew_all(
    wiring: Wiring,
    wanted: list[str],
    *,
    force: bool,
    warn: Callable[[str], None] | None = None,
    begun: Callable[[str], None] | None = None,
    ended: Callable[[str, Credential | TwgError], None] | None = None,
) -> dict[str, Credential | TwgError]:
    if not wanted:
        return {}
    async with wiring.http() as http, wiring.token_manager(http, warn=warn) as tokens:
        return await tokens.renew_all(wanted, force=force, begun=begun, ended=ended)


async def _sign_in_where_it_ended(
    wiring: Wiring, renewed: dict[str, Credential | TwgError]
) -> None:
    for profile, outcome in renewed.items():
        if isinstance(outcome, AuthExpired | AuthRevoked):
            renewed[profile] = await signed_in_again(wiring, outcome) or outcome


def _tell_renewed(
    wiring: Wiring,
    fresh: list[str],
    renewed: Mapping[str, Credential | TwgError],
    *,
    every: bool,
    shown: bool,
) -> None:
    failed = {name: one for name, one in renewed.items() if isinstance(one, TwgError)}
    done = [name for name in renewed if name not in failed]
    if failed and not every:
        raise next(iter(failed.values()))
    data: dict[str, Any] = {"renewed": done, "fresh": fresh}
    if failed:
        raise PartialFailure(
            f"{len(failed)} of {len(fresh) + len(renewed)} sign-ins could not be renewed",
            {name: str(error) for name, error in failed.items()},
            done=data,
        )
    lines = [f"✔ {name} was renewed." for name in done]
    lines += [f"✔ {name} is fresh; nothing was sent." for name in fresh]
    wiring.output.result(data, [] if shown else lines or ["Nobody is signed in."])


async def _set_site(wiring: Wiring, profile: str, host: str) -> None:
    credential = await wiring.store.read(profile)
    if credential is None:
        raise AuthRequired.nobody(profile)
    await wiring.store.save(at_site(credential, host), expected=credential.generation)


def _who(summary: CredentialSummary) -> str:
    account = summary.account
    if account is None:
        return "(the provider did not say who)"
    named = account.name or account.id
    return f"{named} <{account.email}>" if account.email else named


def _columns(rows: Mapping[str, str | None]) -> list[str]:
    told = {name: value for name, value in rows.items() if value is not None}
    return [f"{name:{_widest(told)}}  {value}" for name, value in told.items()]


def _widest(names: Mapping[str, object]) -> int:
    return max((len(name) for name in names), default=0)


auth = Group(
    "auth",
    help="Look at sign-ins, switch between them, renew them.",
    commands=[status, list_profiles, switch, site, refresh, storage],
)
