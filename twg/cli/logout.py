"""`twg logout`: the tokens are ended at the provider, then removed here."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import asyncclick as click

from twg.cli.command import command
from twg.cli.moments import duration, moment, stamp
from twg.errors import NetworkError, PartialFailure, TwgError

if TYPE_CHECKING:
    from twg.auth.signout import SignedOut
    from twg.cli.wiring import Wiring
    from twg.vault import BitbucketToken


@command(
    "logout",
    human_only=True,
    params=[
        click.Option(["--all", "every"], is_flag=True, help="Sign out of every profile."),
        click.Option(
            ["--local-only"], is_flag=True, help="Remove it here; ask the provider nothing."
        ),
    ],
)
async def logout(wiring: Wiring, *, every: bool, local_only: bool) -> None:
    """Sign out: revoke the tokens at the provider, then remove them here.

    If the provider cannot be reached, the sign-in is kept so that you can try again; --local-only
    removes it all the same. A Bitbucket token goes with its sign-in; only you can revoke it there.
    """
    from twg.auth.signout import SignOut  # noqa: PLC0415 - httpx only where it is used
    from twg.cli.bitbucket import let_go  # noqa: PLC0415 - likewise

    profiles = [await wiring.profile()]
    if every:
        header = await wiring.store.summaries()
        profiles = sorted({*header.profiles, *header.bitbucket})
    done: list[SignedOut] = []
    failed: dict[str, TwgError] = {}
    let_go_of: list[BitbucketToken] = []
    async with wiring.http() as http:
        sign_out = SignOut(store=wiring.store, http=http, custody=wiring.custody)
        for profile in profiles:
            try:
                outcome = await sign_out.run(profile, local_only=local_only)
                token = await let_go(wiring, profile)
            except TwgError as error:
                failed[profile] = _with_advice(error)
                continue
            if token is not None:
                let_go_of.append(token)
            elif outcome is None:
                wiring.output.say(f"Nobody is signed in on the profile {profile!r}.")
            if outcome is not None:
                done.append(outcome)
    _tell(wiring, done, failed, _bitbucket(wiring, let_go_of), local_only=local_only)


def _bitbucket(wiring: Wiring, tokens: list[BitbucketToken]) -> list[dict[str, str]]:
    """Tell of tokens that were let go of; return the same for programs."""
    from twg.products.bitbucket import place_of  # noqa: PLC0415 - httpx only where it is used

    found = []
    for token in tokens:
        page = place_of(token.api_base).tokens_page
        wiring.output.say(f"The Bitbucket token of {token.email} is removed here.")
        wiring.output.say(f"It lives on until you revoke it by hand: {page}")
        found.append({"profile": token.profile, "email": token.email, "revoke_at": page})
    return found


def _with_advice(error: TwgError) -> TwgError:
    if isinstance(error, NetworkError):
        error.remediation = (
            "The sign-in is kept. Run the command again once the provider can be reached; or "
            "`twg logout --local-only` removes it here, and its tokens live on at the provider."
        )
    return error


def _tell(
    wiring: Wiring,
    done: list[SignedOut],
    failed: dict[str, TwgError],
    bitbucket: list[dict[str, str]],
    *,
    local_only: bool,
) -> None:
    data = {"signed_out": [_data(one) for one in done], "bitbucket": bitbucket}
    alive = {} if local_only else {one.profile: still_alive(one) for one in done if one.why_not}
    if failed and not done and len(failed) == 1:
        raise next(iter(failed.values()))
    if failed or alive:
        count = len(failed) + len(alive)
        raise PartialFailure(
            f"{count} of {len(done) + len(failed)} sign-ins could not be ended everywhere",
            {name: str(error) for name, error in failed.items()} | alive,
            _remediation(done, failed),
            done=data,
        )
    wiring.output.result(data, [line for one in done for line in _lines(one)])


def _remediation(done: list[SignedOut], failed: dict[str, TwgError]) -> str:
    if failed:
        return "Run `twg logout` again for those that are still here."
    issuers = ", ".join(sorted({one.issuer for one in done if one.why_not}))
    return f"To end its tokens at once, revoke twg at {issuers}."


def still_alive(one: SignedOut) -> str:
    """Return why the tokens of a sign-in that was removed here are good still, and until when."""
    return f"removed here, but not revoked: {one.why_not}; {_until(one)}"


def _until(one: SignedOut) -> str:
    if one.lives_until is None:
        return "its access token lives as long as the provider lets it"
    left = one.lives_until - time.time()
    if left <= 0:
        return "its access token has expired"
    return f"its access token lives until {moment(one.lives_until)}, {duration(left)} from now"


def _lines(one: SignedOut) -> list[str]:
    if one.revoked:
        return [f"✔ Signed out of {one.profile}: tokens revoked at {one.issuer} and removed here."]
    return [
        f"✔ Signed out of {one.profile} on this device only.",
        f"  The provider was not asked; {_until(one)}. Revoke twg at {one.issuer} to end it.",
    ]


def _data(one: SignedOut) -> dict[str, object]:
    return {
        "profile": one.profile,
        "revoked": one.revoked,
        "issuer": one.issuer,
        "why_not": one.why_not,
        "lives_until": stamp(one.lives_until),
    }
