"""What `twg doctor` finds of a sign-in and a Bitbucket token, by asking those who gave them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from guard.errors import GuardError
from twg.cli.check import Check, failed
from twg.cli.moments import duration
from twg.errors import TokenRefused, TwgError

if TYPE_CHECKING:
    from twg.cli.wiring import Wiring
    from twg.vault import Credential, CredentialSummary

_SKEW_SECONDS: Final = 60.0
_SOON_SECONDS: Final = 30 * 86_400.0


async def provider(wiring: Wiring, *, offline: bool) -> list[Check]:
    """Look whether the provider answers, and how far our clocks are apart."""
    _, summary = await _signed_in(wiring)
    if summary is None or offline:
        return []
    issuer = summary.issuer
    async with wiring.http() as http:
        answer = await http.request("GET", f"{issuer.rstrip('/')}/.well-known/openid-configuration")
    answers = Check(name="provider", status="ok", detail=f"{issuer} answers")
    return [*_clock(answer.server_time()), answers]


async def sign_in(wiring: Wiring, *, offline: bool) -> list[Check]:
    """Look whether the token is accepted, and which sites it is for."""
    profile, summary = await _signed_in(wiring)
    if profile is None:
        return []
    if summary is None:
        return [Check(name="sign-in", status="note", detail="nobody is signed in yet: `twg login`")]
    if offline:
        return [Check(name="sign-in", status="note", detail="there is one; not tried (--offline)")]
    from twg.products import atlassian  # noqa: PLC0415 - httpx only where it is used

    async with wiring.http() as http:
        async with wiring.token_manager(http) as tokens:
            credential = await tokens.get(profile)
        try:
            account = await atlassian.account_of(
                http, credential.provider, credential.tokens.access
            )
        except (TwgError, GuardError) as error:
            return [failed("sign-in", error), _site(wiring, credential)]
    detail = "the token is accepted"
    if wiring.options.verbose:
        detail += f"; it stands for {(account.name or account.id) if account else 'nobody by name'}"
    return [Check(name="sign-in", status="ok", detail=detail), _site(wiring, credential)]


async def bitbucket(wiring: Wiring, *, offline: bool) -> list[Check]:
    """Try the stored Bitbucket token."""
    try:
        profile = await wiring.profile()
        summary = (await wiring.store.summaries()).bitbucket.get(profile)
    except TwgError:
        return []  # the store's own check has told why
    if summary is None:
        return [Check(name="bitbucket", status="note", detail="no token (`twg setup bitbucket`)")]
    if offline:
        return [Check(name="bitbucket", status="note", detail="a token; not tried (--offline)")]
    try:
        return await _bitbucket_token(wiring, profile, ends_by=summary.ends_by)
    except TokenRefused as error:
        fix = "Make another one and run `twg setup bitbucket --force`."
        return [Check(name="bitbucket", status="failed", detail=str(error), fix=fix)]


async def _signed_in(wiring: Wiring) -> tuple[str | None, CredentialSummary | None]:
    """Return the profile and its sign-in; no profile where the store tells nothing."""
    try:
        profile = await wiring.profile()
        return profile, (await wiring.store.summaries()).profiles.get(profile)
    except TwgError:
        return None, None  # the store's own check has told why


def _clock(there: float | None) -> list[Check]:
    if there is None:
        return []
    skew = time.time() - there
    if abs(skew) <= _SKEW_SECONDS:
        return [Check(name="clock", status="ok", detail="it agrees with the provider's")]
    how = "ahead of" if skew > 0 else "behind"
    detail = f"this machine's is {duration(abs(skew))} {how} the provider's"
    fix = "Set this machine's clock."
    return [Check(name="clock", status="failed", detail=detail, fix=fix)]


def _site(wiring: Wiring, credential: Credential) -> Check:
    if credential.site is None:
        return Check(name="site", status="note", detail="this sign-in covers no site")
    count = len(credential.sites)
    detail = "this sign-in covers 1 site" if count == 1 else f"this sign-in covers {count} sites"
    if wiring.options.verbose:
        detail += f"; the default one is {credential.site}"
    return Check(name="site", status="ok", detail=detail)


async def _bitbucket_token(wiring: Wiring, profile: str, *, ends_by: float) -> list[Check]:
    from twg.products import bitbucket as theirs  # noqa: PLC0415 - httpx only where it is used

    stored = await wiring.store.bitbucket(profile)
    if stored is None:
        return []
    async with wiring.http() as http:
        now = await theirs.checked_again(http, stored)
    count = f"{len(now.scopes)} scope{'' if len(now.scopes) == 1 else 's'}"
    detail = f"the token is accepted; it has {count}"
    if (left := ends_by - time.time()) > _SOON_SECONDS:
        return [Check(name="bitbucket", status="ok", detail=detail)]
    ends = f"{detail}; such a token lives a year, so it ends within {duration(max(left, 0.0))}"
    fix = "Make another one and run `twg setup bitbucket --force`."
    return [Check(name="bitbucket", status="note", detail=ends, fix=fix)]
