"""What is told of a stored sign-in, for people and for programs; from the clear header alone."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from twg.cli.moments import day, duration, moment, stamp
from twg.errors import AuthRequired

if TYPE_CHECKING:
    from twg.cli.wiring import Wiring
    from twg.vault import BitbucketSummary, Credential, CredentialSummary, Header, KeyLocation

_SECONDS_A_DAY: Final = 86_400
_WARN_DAYS: Final = 5
_SKEW: Final = 60.0


async def known_now(wiring: Wiring) -> Header:
    """Return the clear header, the sign-ins' times told by the clock that nobody sets.

    That is, where their tokens came during this run of the machine; of others the wall clock is
    believed.
    """
    from twg.auth.ages import this_uptime  # noqa: PLC0415 - only for who asks how old tokens are

    header = await wiring.store.summaries()
    uptime, wall = this_uptime(), time.time()
    told = {name: uptime.dated(one, wall) for name, one in header.profiles.items()}
    return replace(header, profiles=told)


def summary_of(header: Header, profile: str) -> CredentialSummary:
    """Return what is told of a profile's sign-in.

    Raises:
        AuthRequired: There is none.
    """
    if profile in header.bitbucket and profile not in header.profiles:
        raise AuthRequired(
            profile, f"the profile {profile!r} has a Bitbucket token, but no sign-in"
        )
    if profile not in header.profiles:
        raise AuthRequired.nobody(profile)
    return header.profiles[profile]


def at_site(credential: Credential, host: str) -> Credential:
    """Return `credential` with another default site.

    Raises:
        AuthRequired: The person chose no site when they signed in.
        ConfigError: They chose others, or the provider has no sites.
    """
    if host.lower() not in {one.host for one in credential.sites}:
        from twg.products import atlassian  # noqa: PLC0415 - httpx only where it is used

        raise atlassian.not_covered(credential, host)
    return replace(credential, site=host.lower())


def as_data(header: Header, summary: CredentialSummary, wiring: Wiring) -> dict[str, Any]:
    """Return a sign-in as JSON values; no secret is opened for it."""
    account = summary.account
    return {
        "profile": summary.profile,
        "active": header.active == summary.profile,
        "provider": summary.provider,
        "issuer": summary.issuer,
        "account": account and {"id": account.id, "name": account.name, "email": account.email},
        "site": summary.site,
        "sites": [site.host for site in summary.sites],
        "scopes": list(summary.scopes),
        "state": state_of(summary, time.time()),
        "signed_in_at": stamp(summary.signed_in_at),
        "refreshed_at": stamp(summary.refreshed_at),
        "expires_at": stamp(summary.expires_at),
        "refresh_due_at": stamp(summary.due_at) if summary.renewable else None,
        "lapses_at": stamp(summary.lapses_at),
        "days_until_lapse": _days_left(summary),
        "refused": summary.refused,
        "bitbucket": bitbucket_as_data(header.bitbucket.get(summary.profile)),
        "store": {
            "path": str(wiring.settings.auth_conf),
            "key": header.key.location if header.key else None,
            "why_not_keyring": header.key.reason if header.key else None,
        },
    }


def bitbucket_as_data(token: BitbucketSummary | None) -> dict[str, Any] | None:
    """Return what is told of a stored Bitbucket token as JSON values; None if there is none."""
    if token is None:
        return None
    return {
        "email": token.email,
        "account_id": token.account_id,
        "name": token.name,
        "scopes": list(token.scopes),
        "api_base": token.api_base,
        "saved_at": stamp(token.saved_at),
        "ends_by": stamp(token.ends_by),
    }


def bitbucket_in_words(token: BitbucketSummary | None) -> str | None:
    """Return one line on a stored Bitbucket token; None if there is none."""
    if token is None:
        return None
    return f"API token of {token.email}; ends by {day(token.ends_by)} at the latest"


def state_of(summary: CredentialSummary, now: float) -> str:
    """Return how fresh a sign-in is: ``fresh``, ``due``, ``expired``, ``lapsed`` or ``refused``.

    ``expired`` ones are renewed at the next call, where there is something to renew them with;
    ``lapsed`` and ``refused`` ones need a person.
    """
    if summary.refused is not None:
        return "refused"
    over = _passed(summary.expires_at, now)
    if _passed(summary.lapses_at, now) or (over and not summary.renewable):
        return "lapsed"
    if over:
        return "expired"
    return "due" if summary.renewable and _passed(summary.due_at, now) else "fresh"


def needs_renewal(summary: CredentialSummary, now: float) -> bool:
    """Tell whether a sign-in is not fresh, or seems to be from the future: then nobody knows."""
    return state_of(summary, now) != "fresh" or (
        summary.renewable and now < summary.issued_at - _SKEW
    )


def _passed(when: float | None, now: float) -> bool:
    return when is not None and now >= when


def freshness_in_words(summary: CredentialSummary, now: float) -> str:
    """Return one line on how fresh a sign-in is and what happens next."""
    told = {
        "refused": f"no longer accepted: {summary.refused}",
        "lapsed": "lapsed; sign in again",
        "expired": "expired; it is renewed at the next call",
        "due": "usable; a renewal is due and runs beside the next call",
    }.get(state_of(summary, now))
    if told is not None:
        return told
    if summary.expires_at is None:
        return "usable; the provider set no end"
    until = duration(summary.expires_at - now)
    if not summary.renewable or summary.due_at is None:
        return f"usable for {until} more; there is nothing to renew it with"
    return f"fresh; next renewal due in {duration(summary.due_at - now)}, expires in {until}"


def lapse_in_words(summary: CredentialSummary, now: float) -> str | None:
    """Return when the sign-in ends unless it is used; None where there is no such end."""
    if summary.lapses_at is None:
        return None
    if now >= summary.lapses_at:
        return f"lapsed on {moment(summary.lapses_at)}, for it was not used"
    left = duration(summary.lapses_at - now)
    return f"ends in {left} if it is not used ({moment(summary.lapses_at)})"


def lapse_warning(summary: CredentialSummary, now: float) -> str | None:
    """Return a warning in the last days before a sign-in lapses from inactivity."""
    if summary.lapses_at is None or state_of(summary, now) in {"refused", "lapsed"}:
        return None
    left = summary.lapses_at - now
    if left > _WARN_DAYS * _SECONDS_A_DAY:
        return None
    return (
        f"the sign-in on {summary.profile!r} lapses in {duration(left)} unless it is used; "
        "`twg auth refresh --force` keeps it"
    )


def protection_in_words(key: KeyLocation | None, wiring: Wiring) -> str:
    """Return how credentials are protected, in a line."""
    if key is None:
        return "nothing is stored yet"
    if key.location == "keyring":
        return "sealed; the key is in your system's key ring"
    path = wiring.shown(wiring.settings.state_dir / f"{key.id}.key")
    return f"sealed; the key is in the private file {path}"


def why_no_keyring(key: KeyLocation | None) -> str | None:
    """Return why the key is in a file though a key ring would be better; None if it is not so."""
    if key is None or key.reason is None:
        return None
    return f"A key ring would protect the key better: {key.reason}."


def _days_left(summary: CredentialSummary) -> int | None:
    if summary.lapses_at is None:
        return None
    return max(0, round((summary.lapses_at - time.time()) / _SECONDS_A_DAY))
