"""The Bitbucket token of a profile: asked for, checked, kept and told of, for several commands."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from twg import events
from twg.cli import sandbox_provider
from twg.errors import AuthRequired, TokenRefused
from twg.products import atlassian, bitbucket
from twg.products.answers import email_fault

if TYPE_CHECKING:
    from guard.secret import Secret
    from twg.cli.wiring import Wiring
    from twg.http import Http
    from twg.products.bitbucket import Place
    from twg.vault import BitbucketToken

_TRIES: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is asked for.

    Attributes:
        profile: The profile it is for.
        place: Which Bitbucket.
        email: The account's e-mail address, as far as it is known.
        skippable: Whether one may go on without.
    """

    profile: str
    place: Place
    email: str | None
    skippable: bool


def place_for(provider: str, issuer: str) -> Place | None:
    """Return the Bitbucket that belongs to sign-ins at a provider; None if there is none.

    Args:
        provider: The provider's name here.
        issuer: Its issuer identifier.
    """
    if provider == sandbox_provider.NAME:
        return bitbucket.place_at(issuer)
    return bitbucket.ATLASSIANS if atlassian.is_atlassian(issuer) else None


async def ask_and_keep(wiring: Wiring, http: Http, wish: Wish) -> BitbucketToken | None:
    """Ask for a token until Bitbucket takes one, three times at most; seal and return it.

    Returns:
        What was kept; None if the person goes on without.

    Raises:
        TokenRefused: Bitbucket took none of them.
        GuardError: The person ended it, or there is none to ask.
        TwgError: Bitbucket cannot be reached, or the token cannot be saved.
    """
    await wiring.store.prove_replaceable()
    email = wish.email
    for tries_left in reversed(range(_TRIES)):
        token = await _ask_token(wiring, wish, again=tries_left < _TRIES - 1)
        if token is None:
            return None
        email = await _ask_email(wiring, email)
        try:
            found = await _checked(wiring, http, wish, email, token)
        except TokenRefused as error:
            if not tries_left:
                raise
            wiring.output.say(f"{error}.")
            wiring.output.say(error.remediation)
            continue
        await wiring.store.save_bitbucket(found)
        return found
    raise AssertionError  # pragma: no cover - the last try returns or raises


async def _ask_token(wiring: Wiring, wish: Wish, *, again: bool) -> Secret | None:
    ask = wiring.prompt.ask_or_skip if wish.skippable else wiring.prompt.ask
    return await ask(
        bitbucket.SECRET_KIND,
        what=bitbucket.WHAT,
        notes=() if again else _notes(wiring, wish.place),
        check=bitbucket.fault_of,
    )


def _notes(wiring: Wiring, place: Place) -> list[str]:
    return [
        "",
        "Bitbucket needs an API token of yours, which you make at",
        f"  {place.tokens_page}",
        "Choose “Create API token with scopes”, then Bitbucket, and tick:",
        *(f"  {scope}{_why(scope)}" for scope in bitbucket.COMMON_SCOPES),
        f"The token goes to {_hosts(place)} alone,",
        f"and is kept sealed in {wiring.shown(wiring.settings.auth_conf)}.",
    ]


def _hosts(place: Place) -> str:
    hosts = [urlsplit(base).netloc for base in (place.api_base, place.git_base)]
    return " and, for git, ".join(dict.fromkeys(hosts))


def _why(scope: str) -> str:
    if scope == bitbucket.NEEDED_SCOPE:
        return "  (needed)"
    return "  (if twg may change things)" if scope.startswith("write:") else ""


async def _ask_email(wiring: Wiring, known: str | None) -> str:
    return await wiring.questions.ask(
        "e-mail address of the account it belongs to", default=known, check=email_fault
    )


async def _checked(
    wiring: Wiring, http: Http, wish: Wish, email: str, token: Secret
) -> BitbucketToken:
    found = await bitbucket.checked(
        http, wish.place, profile=wish.profile, email=email, token=token, now=time.time()
    )
    before = await wiring.store.bitbucket(wish.profile)
    if before is not None and before.token.same_as(token):
        # The same one does not live longer for being entered again.
        return replace(found, saved_at=before.saved_at)
    return found


async def stored(wiring: Wiring, profile: str) -> BitbucketToken:
    """Return the profile's token.

    Raises:
        AuthRequired: There is none.
        StoreError: The store cannot be opened.
    """
    token = await wiring.store.bitbucket(profile)
    if token is None:
        raise AuthRequired(
            profile,
            f"there is no Bitbucket token on the profile {profile!r}",
            command="twg setup bitbucket",
        )
    return token


async def let_go(wiring: Wiring, profile: str) -> BitbucketToken | None:
    """Remove the profile's token here and note it; None if there was none.

    It lives on at Atlassian, which has no interface to revoke it by.

    Raises:
        StoreError: The store cannot be opened or written.
    """
    gone = await wiring.store.remove_bitbucket(profile)
    if gone is not None:
        events.credential_removed(
            wiring.audit,
            secret=gone.token,
            reason="a person revokes it by hand",
            host=urlsplit(gone.api_base).netloc,
            profile=profile,
        )
    return gone


def kept_in_words(token: BitbucketToken) -> list[str]:
    """Return what is told of a token that was just kept."""
    who = f" as {token.name}" if token.name else ""
    lines = [
        f"✔ Bitbucket takes the token{who}; it is kept.",
        f"  It may: {', '.join(token.scopes) or '(Bitbucket did not say what)'}",
    ]
    if token.scopes and (lacking := bitbucket.lacking(token.scopes)):
        lines.append(f"  It lacks, of the usual: {', '.join(lacking)}")
    return lines


def command_for(profile: str, *words: str) -> str:
    """Return the command that sets Bitbucket up on a profile."""
    option = [] if profile == "default" else ["--profile", profile]
    return " ".join(["twg", "setup", "bitbucket", *words, *option])
