"""`twg setup`: a person is led through all of it; and what is set up apart from a sign-in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio
import asyncclick as click

from guard.errors import PromptInterrupted, PromptTimedOut
from twg.cli import sandbox_provider
from twg.cli.command import Group, command
from twg.cli.setup_git import git
from twg.cli.sign_ins import bitbucket_as_data, bitbucket_in_words
from twg.errors import Interrupted, PartialFailure, TokenRefused

if TYPE_CHECKING:
    from twg.cli.setup_steps import Walk
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
        running = await sandbox_provider.running_to_ask_for(wiring)
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


@command(
    "setup",
    human_only=True,
    takes_secret=True,
    params=[
        click.Option(
            ["--yes"], is_flag=True, help="Ask only for what is yours to enter or choose."
        ),
        click.Option(["--sandbox"], is_flag=True, help="Set it up with the local sandbox."),
    ],
)
async def everything(wiring: Wiring, *, yes: bool, sandbox: bool) -> None:
    """Be led through all of it: where to sign in, sign-in, Bitbucket, git, upkeep, agents, checks.

    Each step says what it will do, and asks; Return alone agrees. What is done already is kept, so
    it can be left at any time, and goes on from there when it is run again.
    """
    from guard.terminal import controlling_terminal  # noqa: PLC0415 - only for who asks
    from twg.cli.setup_steps import Walk  # noqa: PLC0415 - only where all is set up

    with controlling_terminal():
        pass  # told now, before anything is done
    profile = await wiring.profile()
    again = " ".join(["twg setup", *_given(wiring, sandbox=sandbox)])
    async with wiring.http() as http:
        walk = Walk(wiring=wiring, http=http, profile=profile, sandbox=sandbox, yes=yes)
        try:
            await walk.go()
        except (anyio.get_cancelled_exc_class(), PromptInterrupted, PromptTimedOut) as error:
            raise _left(wiring, walk, again) from error
    _tell_all(wiring, walk, again)


def _given(wiring: Wiring, *, sandbox: bool) -> list[str]:
    profile = wiring.options.profile
    return [*(["--sandbox"] if sandbox else []), *(["--profile", profile] if profile else [])]


def _left(wiring: Wiring, walk: Walk, again: str) -> Interrupted:
    """Return what a person is told who left in the middle."""
    done = [name for name, taken in walk.taken.items() if taken.outcome in {"done", "kept"}]
    stays = f"what is done stays ({', '.join(done)})" if done else "nothing was changed"
    left = Interrupted(f"setup was left; {stays}", f"`{again}` goes on from there.")
    if wiring.output.mode == "json":
        left.data = _as_data(walk)
    return left


def _tell_all(wiring: Wiring, walk: Walk, again: str) -> None:
    """Print what came of it all.

    Raises:
        PartialFailure: Something that was asked for did not work.
    """
    from twg.cli.doctor import failures_of  # noqa: PLC0415 - only where all is set up

    failed = {name: one.detail for name, one in walk.taken.items() if one.outcome == "failed"}
    if wiring.output.mode == "text" or not failed:
        wiring.output.result(_as_data(walk), _ending(walk))
    if failed:
        if failed.pop("checks", None):
            failed |= failures_of(walk.checks)
        raise PartialFailure(
            "not all of it worked",
            failed,
            f"Mend these, then run `{again}` again: it goes on from there.",
            done=_as_data(walk),
        )


def _ending(walk: Walk) -> list[str]:
    later = {
        name: one
        for name, one in walk.taken.items()
        if one.outcome in {"skipped", "left out"} and one.later
    }
    if later:
        told = [f"  {name:10} {one.detail}: `{one.later}`" for name, one in later.items()]
        return ["", "Left for another time:", *told]
    well = all(one.outcome != "failed" for one in walk.taken.values())
    return ["", "✔ All is set up."] if well else [""]


def _as_data(walk: Walk) -> dict[str, Any]:
    return {
        "profile": walk.profile,
        "steps": [one.as_dict(name) for name, one in walk.taken.items()],
        "checks": [check.as_dict() for check in walk.checks],
    }


setup = Group(
    "setup",
    help=everything.help,
    alone=everything,
    commands=[bitbucket, git],
)
