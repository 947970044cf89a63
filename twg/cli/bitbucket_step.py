"""The last step of a sign-in: a Bitbucket token, if the account has Bitbucket.

The sign-in is kept by now, and nothing that happens here takes it away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from guard.errors import GuardError, PromptInterrupted
from twg.cli.bitbucket import Wish, ask_and_keep, command_for, kept_in_words, place_for
from twg.errors import Interrupted, PartialFailure, TwgError
from twg.products.bitbucket import has_bitbucket

if TYPE_CHECKING:
    from twg.cli.wiring import Wiring
    from twg.http import Http
    from twg.products.bitbucket import Place
    from twg.vault import BitbucketSummary, Credential


async def run(wiring: Wiring, http: Http, credential: Credential, *, anew: bool) -> list[str]:
    """Ask for a token unless there is one; return what to tell of it.

    Args:
        wiring: What commands depend on.
        http: What requests go through.
        credential: The sign-in, as it was kept.
        anew: Ask even where there is a token.

    Raises:
        PartialFailure: It could not be set up.
        Interrupted: The person left.
    """
    place = place_for(credential.provider.name, credential.provider.issuer)
    if place is None:
        return []
    stored = (await wiring.store.summaries()).bitbucket.get(credential.profile)
    if stored is not None and not anew:
        return _kept(credential, stored)
    command = command_for(credential.profile)
    try:
        if await has_bitbucket(http, credential) is False:
            return ["  This account has no Bitbucket, so no token for it is asked for."]
        return await _asked(wiring, http, credential, place, stored)
    except PromptInterrupted as error:
        words = "the question for a Bitbucket token was left; the sign-in is kept"
        raise Interrupted(words, f"To go on with Bitbucket: `{command}`.") from error
    except (TwgError, GuardError) as error:
        raise PartialFailure(
            "the sign-in is kept, but Bitbucket could not be set up",
            {"Bitbucket": str(error)},
            f"Go on with `{command}`.",
        ) from error


async def _asked(
    wiring: Wiring,
    http: Http,
    credential: Credential,
    place: Place,
    stored: BitbucketSummary | None,
) -> list[str]:
    account = credential.account
    wish = Wish(
        profile=credential.profile,
        place=place,
        email=account.email if account else None,
        skippable=True,
    )
    token = await ask_and_keep(wiring, http, wish)
    if token is not None:
        return kept_in_words(token)
    if stored is not None:
        return _kept(credential, stored)
    return [f"  Bitbucket was left out. `{command_for(credential.profile)}` adds it."]


def _kept(credential: Credential, stored: BitbucketSummary) -> list[str]:
    lines = [f"✔ The Bitbucket token of {stored.email} is kept."]
    account = credential.account
    if account is not None and stored.account_id not in {None, account.id}:
        command = command_for(credential.profile, "--force")
        lines.append(f"  That is another account than the one signed in; `{command}` replaces it.")
    return lines
