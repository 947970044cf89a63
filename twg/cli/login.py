"""`twg login`: a person signs in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import asyncclick as click

from twg.cli import provider_choice, sandbox_provider
from twg.cli.afresh import put_aside_if_it_does_not_open
from twg.cli.command import command, stored
from twg.cli.moments import duration
from twg.cli.sign_ins import as_data, at_site, protection_in_words, why_no_keyring
from twg.errors import AuthExpired, AuthRevoked, PartialFailure, UsageError

if TYPE_CHECKING:
    from twg.auth.signin import Outcome
    from twg.cli.wiring import Wiring
    from twg.http import Http
    from twg.vault import Credential, CredentialSummary, Header, Provider


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the person asked for, by options."""

    profile: str
    no_browser: bool
    device: bool
    force: bool
    provider: str | None
    site: str | None
    sandbox: bool
    no_bitbucket: bool


@command(
    "login",
    human_only=True,
    takes_secret=True,
    params=[
        click.Option(["--no-browser"], is_flag=True, help="Open no browser."),
        click.Option(["--device"], is_flag=True, help="Use a code on any device."),
        click.Option(["--force"], is_flag=True, help="Sign in anew; replace what is there."),
        click.Option(
            ["--provider"],
            metavar="NAME",
            shell_complete=stored("provider"),
            help="Sign in there (`twg provider list`).",
        ),
        click.Option(
            ["--site"],
            metavar="HOST",
            shell_complete=stored("site"),
            help="Make this site the default one.",
        ),
        click.Option(["--no-bitbucket"], is_flag=True, help="Do not ask for a Bitbucket token."),
        click.Option(["--sandbox"], is_flag=True, help="Sign in at the local sandbox."),
    ],
)
async def login(
    wiring: Wiring,
    *,
    no_browser: bool,
    device: bool,
    force: bool,
    provider: str | None,
    site: str | None,
    no_bitbucket: bool,
    sandbox: bool,
) -> None:
    """Sign in, in your browser or with a code on another device.

    What you get is sealed on this device and renewed by itself. A sign-in that still works is
    kept; --force makes a new one and revokes the old. If your account has Bitbucket, you are asked
    for a token for it afterwards; Return alone leaves that out.
    """
    wanted = Wanted(
        profile=await wiring.profile(),
        no_browser=no_browser,
        device=device,
        force=force,
        provider=provider,
        site=site,
        sandbox=sandbox,
        no_bitbucket=no_bitbucket,
    )
    async with wiring.http() as http:
        await put_aside_if_it_does_not_open(wiring, wiring.store, wanted.profile, "this sign-in")
        kept = None if force else await _still_good(wiring, http, wanted)
        if kept is not None:
            await _tell_kept(wiring, await _kept_at(wiring, kept, wanted.site))
            return
        outcome = await _with_site(wiring, await _sign_in(wiring, http, wanted), wanted)
        await _tell_signed_in(wiring, outcome)
        await _end(wiring, http, outcome.credential, wanted)


async def kept(wiring: Wiring, http: Http, profile: str) -> Credential | None:
    """Return the profile's sign-in if it still works, in the midst of another command.

    Raises:
        TwgError: That cannot be told now.
    """
    return await _still_good(wiring, http, _plainly(profile))


async def sign_in_at(wiring: Wiring, http: Http, provider: Provider, profile: str) -> Credential:
    """Sign in at a provider and tell of it, in the midst of another command.

    Raises:
        As a sign-in.
    """
    wanted = _plainly(profile)
    outcome = await _with_site(wiring, await _signed_in(wiring, http, provider, wanted), wanted)
    await _tell_signed_in(wiring, outcome)
    return outcome.credential


def _plainly(profile: str) -> Wanted:
    """Return what somebody wants who gives no options."""
    return Wanted(
        profile=profile,
        no_browser=False,
        device=False,
        force=False,
        provider=None,
        site=None,
        sandbox=False,
        no_bitbucket=True,
    )


async def sign_in_again(wiring: Wiring, profile: str) -> Credential:
    """Sign in anew where the profile was signed in before, in the midst of another command.

    The default site stays, if it is consented to again.

    Raises:
        SecretRefused: A secret may come through a pipe or stands in the environment.
        And as a sign-in.
    """
    wiring.begin("twg login", takes_secret=True, human_only=True)
    wanted = replace(_plainly(profile), force=True)
    before = (await wiring.store.summaries()).profiles.get(profile)
    async with wiring.http() as http:
        credential = (await _sign_in(wiring, http, wanted)).credential
    kept = with_site_of(before, credential)
    if kept != credential:
        credential = await wiring.store.save(kept, expected=credential.generation)
    wiring.output.say(f"✔ Signed in again{_on_site(credential)}.")
    return credential


def with_site_of(before: CredentialSummary | None, credential: Credential) -> Credential:
    """Return `credential` with the default site of the sign-in before, if it covers that one."""
    covered = {site.host for site in credential.sites}
    if before is None or before.site not in covered:
        return credential
    return replace(credential, site=before.site)


async def _still_good(wiring: Wiring, http: Http, wanted: Wanted) -> Credential | None:
    """Return the profile's sign-in if it still works, renewing it where that is needed."""
    before = (await wiring.store.summaries()).profiles.get(wanted.profile)
    if before is None:
        return None
    _check_same_place(before, wanted)
    try:
        async with wiring.token_manager(http) as tokens:
            return await tokens.get(wanted.profile)
    except (AuthExpired, AuthRevoked) as error:
        wiring.output.say(f"{str(error)[:1].upper()}{str(error)[1:]}: signing in anew.")
        return None


def _check_same_place(before: CredentialSummary, wanted: Wanted) -> None:
    asked = sandbox_provider.NAME if wanted.sandbox else wanted.provider
    if asked not in {None, before.provider}:
        raise UsageError(
            f"the profile {wanted.profile!r} is signed in at {before.provider!r}, not {asked!r}",
            "Run the command again with --profile NAME, or with --force to replace that sign-in.",
        )


async def _sign_in(wiring: Wiring, http: Http, wanted: Wanted) -> Outcome:
    provider = await provider_choice.choose(
        wiring,
        http,
        profile=wanted.profile,
        named=wanted.provider,
        sandbox=wanted.sandbox,
    )
    return await _signed_in(wiring, http, provider, wanted)


async def _signed_in(wiring: Wiring, http: Http, provider: Provider, wanted: Wanted) -> Outcome:
    from twg.auth import method  # noqa: PLC0415 - not where a sign-in is kept
    from twg.auth.browser import find_browser  # noqa: PLC0415 - likewise
    from twg.products import atlassian  # noqa: PLC0415 - likewise

    browser = find_browser(wiring.environ)
    choice = method.choose(
        device=wanted.device,
        no_browser=wanted.no_browser,
        browser=browser,
        device_offered=provider.endpoints.device is not None,
    )
    return await wiring.sign_in(http).run(
        provider,
        choice,
        profile=wanted.profile,
        site=wanted.site,
        idle_days=atlassian.idle_days(provider.issuer),
        without_device=partial(
            method.without_device, no_browser=wanted.no_browser, browser=browser
        ),
    )


async def _with_site(wiring: Wiring, outcome: Outcome, wanted: Wanted) -> Outcome:
    """Of several sites, let the person choose the default one.

    Asked once the sign-in is kept: their browser waits for nothing, and nothing is lost if they
    leave the question.
    """
    credential = outcome.credential
    if wanted.site is not None or len(credential.sites) < 2 or not wiring.may_ask:  # noqa: PLR2004 - several
        return outcome
    labels = [f"{site.host}  {site.name or ''}".rstrip() for site in credential.sites]
    chosen = await wiring.questions.choose("Which site is the default one?", labels)
    site = credential.sites[chosen].host
    saved = await wiring.store.save(replace(credential, site=site), expected=credential.generation)
    return replace(outcome, credential=saved)


async def _kept_at(wiring: Wiring, kept: Credential, site: str | None) -> Credential:
    if site is None:
        return kept
    return await wiring.store.save(at_site(kept, site), expected=kept.generation)


async def _tell_kept(wiring: Wiring, credential: Credential) -> None:
    header = await wiring.store.summaries()
    who = f" as {credential.account.name}" if credential.account else ""
    wiring.output.result(
        _data(wiring, header, credential) | {"kept": True},
        [
            f"✔ Already signed in{who}{_on_site(credential)}; that sign-in is kept.",
            "  `twg login --force` makes a new one.",
        ],
    )


async def _tell_signed_in(wiring: Wiring, outcome: Outcome) -> None:
    """Tell a person at once; a program gets one document, at the end."""
    from twg.products import atlassian  # noqa: PLC0415 - not where a sign-in is kept

    credential = outcome.credential
    header = await wiring.store.summaries()
    account = credential.account
    name = (account.name or account.email or account.id) if account else None
    lines = ["✔ Authentication successful!"]
    if name:
        lines.append(f"✔ Authenticated as {name}{_on_site(credential)}")
    if (others := len(credential.sites) - 1) > 0:
        also = "another site" if others == 1 else f"{others} other sites"
        lines.append(f"  It covers {also}, too: `twg auth site` lists all, --site calls one.")
    lines.append(f"✔ Credentials saved to {wiring.shown(wiring.settings.auth_conf)}")
    lines.append(f"  They are {protection_in_words(header.key, wiring)}.")
    if why_no_keyring(header.key) is not None:
        lines.append("  No key ring could be used, which would protect it better: `twg doctor`.")
    lines.append(f"  {_until_when(credential)}")
    if header.active != credential.profile:
        lines.append(
            f"  Use them with --profile {credential.profile}, or from now on always: "
            f"`twg auth switch {credential.profile}`."
        )
    if wiring.output.mode == "text":
        for line in lines:
            wiring.output.line(line)
    if atlassian.misses_sites(credential):
        wiring.output.warn(
            "this sign-in covers no site, so nothing in Jira or Confluence can be called with it; "
            "`twg login --force` asks again"
        )
    if outcome.still_alive is not None:
        wiring.output.warn(
            f"the tokens of the sign-in before could not be revoked: {outcome.still_alive}"
        )


async def _end(wiring: Wiring, http: Http, credential: Credential, wanted: Wanted) -> None:
    """Go on to Bitbucket, where there is somebody to ask, and end the command.

    Raises:
        PartialFailure: Bitbucket was not set up; the sign-in is kept.
        Interrupted: The person left; likewise.
    """
    lines: list[str] = []
    failure: PartialFailure | None = None
    if not wanted.no_bitbucket and wiring.may_ask:
        from twg.cli import bitbucket_step  # noqa: PLC0415 - only where one is asked

        try:
            lines = await bitbucket_step.run(wiring, http, credential, anew=wanted.force)
        except PartialFailure as error:
            failure = error
    data = _data(wiring, await wiring.store.summaries(), credential) | {"kept": False}
    if failure is not None:
        failure.data |= data
        raise failure
    wiring.output.result(data, lines)


def _on_site(credential: Credential) -> str:
    return f" on {credential.site}" if credential.site else ""


def _until_when(credential: Credential) -> str:
    if credential.tokens.refresh is None:
        left = credential.tokens.expires_in
        soon = f"in {duration(left)}" if left is not None else "once it ends"
        return f"The provider gave nothing to renew it with: sign in again {soon}."
    if credential.idle_days is None:
        return "It is renewed by itself from now on."
    return (
        f"Renewed by itself. Unused for {credential.idle_days:.0f} days, it lapses and you sign "
        "in again."
    )


def _data(wiring: Wiring, header: Header, credential: Credential) -> dict[str, object]:
    return as_data(header, credential.summary, wiring)
