"""`twg setup`: what belongs to a sign-in and is set up apart from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncclick as click

from twg.cli import sandbox_provider
from twg.cli.command import Group, command
from twg.cli.setup_git import git
from twg.cli.sign_ins import bitbucket_as_data, bitbucket_in_words
from twg.errors import TokenRefused

if TYPE_CHECKING:
    from twg.cli.wiring import Wiring
    from twg.http import Http
    from twg.products.bitbucket import Place
    from twg.vault import BitbucketToken, Header


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the person asked for, by options."""

    profile: str
    force: bool
    sandbox: bool


@command(
    "bitbucket",
    human_only=True,
    takes_secret=True,
    short="Ask for a Bitbucket API token, check it and keep it.",
    params=[
        click.Option(["--force"], is_flag=True, help="Replace the token that is there."),
        click.Option(["--sandbox"], is_flag=True, help="Use the local sandbox's Bitbucket."),
    ],
)
async def bitbucket(wiring: Wiring, *, force: bool, sandbox: bool) -> None:
    """Ask for your Bitbucket API token and its account's e-mail address, check and keep them.

    A token that Bitbucket still takes is kept, unless --force replaces it.
    """
    wanted = Wanted(profile=await wiring.profile(), force=force, sandbox=sandbox)
    async with wiring.http() as http:
        if not force and (kept := await _still_good(wiring, http, wanted.profile)) is not None:
            await _tell(
                wiring,
                wanted.profile,
                [
                    f"✔ Bitbucket takes the token of {kept.email} that is there; it is kept.",
                    "  `twg setup bitbucket --force` replaces it.",
                ],
                kept=True,
            )
            return
        token = await _set_up(wiring, http, wanted)
    from twg.cli.bitbucket import kept_in_words  # noqa: PLC0415 - httpx only where it is used

    await _tell(wiring, wanted.profile, kept_in_words(token), kept=False)


async def _still_good(wiring: Wiring, http: Http, profile: str) -> BitbucketToken | None:
    """Return the stored token if Bitbucket still takes it."""
    from twg.products import bitbucket as theirs  # noqa: PLC0415 - httpx only where it is used

    stored = await wiring.store.bitbucket(profile)
    if stored is None:
        return None
    try:
        await theirs.checked_again(http, stored)
    except TokenRefused as error:
        wiring.output.say(f"The token that is there: {error}.")
        return None
    return stored


async def _set_up(wiring: Wiring, http: Http, wanted: Wanted) -> BitbucketToken:
    from twg.cli.bitbucket import Wish, ask_and_keep  # noqa: PLC0415 - httpx where it is used

    header = await wiring.store.summaries()
    place = await _place(wiring, header, wanted)
    token = await ask_and_keep(
        wiring,
        http,
        Wish(
            profile=wanted.profile,
            place=place,
            email=_email(header, wanted.profile, place),
            skippable=False,
        ),
    )
    if token is None:
        raise RuntimeError("it was not to be skipped")
    return token


async def _place(wiring: Wiring, header: Header, wanted: Wanted) -> Place:
    from twg.cli.bitbucket import place_for  # noqa: PLC0415 - httpx only where it is used
    from twg.products import bitbucket as theirs  # noqa: PLC0415 - likewise

    if wanted.sandbox:
        running = await sandbox_provider.running_for(wiring)
        return theirs.place_at(running.url)
    signed_in = header.profiles.get(wanted.profile)
    found = signed_in and place_for(signed_in.provider, signed_in.issuer)
    return found or theirs.ATLASSIANS


def _email(header: Header, profile: str, place: Place) -> str | None:
    """Return the e-mail address to propose: the account's, if it is an account of that place."""
    from twg.cli.bitbucket import place_for  # noqa: PLC0415 - httpx only where it is used

    before, signed_in = header.bitbucket.get(profile), header.profiles.get(profile)
    if before is not None and before.api_base == place.api_base:
        return before.email
    if signed_in is None or place_for(signed_in.provider, signed_in.issuer) != place:
        return None
    return signed_in.account.email if signed_in.account else None


async def _tell(wiring: Wiring, profile: str, lines: list[str], *, kept: bool) -> None:
    summary = (await wiring.store.summaries()).bitbucket.get(profile)
    words = bitbucket_in_words(summary)
    wiring.output.result(
        {"profile": profile, "kept": kept, "bitbucket": bitbucket_as_data(summary)},
        [*lines, f"  {words}"] if words else lines,
    )


setup = Group(
    "setup", help="Set up what a sign-in alone does not bring.", commands=[bitbucket, git]
)
