"""`twg policy`: what agents may do, to see for anybody, to give and take back for a person."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import asyncclick as click
from anyio import to_thread

from guard.errors import GuardError
from twg import events
from twg.cli.command import Group, command, stored
from twg.cli.moments import duration, stamp
from twg.errors import ConfigError, StoreCorrupt, TwgError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twg.cli.wiring import Wiring
    from twg.policy import Denial, Limits, Moment
    from twg.vault import Grant

_SERVICES: Final = ("jira", "confluence", "atlassian", "graphql", "bitbucket", "admin")
_PROJECT: Final = re.compile(r"[A-Z][A-Z0-9_]+|~?[A-Za-z0-9]+")
_HOST: Final = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?")
_ID_BYTES: Final = 3
_MOST_CALLS: Final = 1_000_000
_MOST_SHOWN: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a person wants to grant, as the words on the command line say."""

    access: Literal["write", "delete"]
    for_: str
    service: str | None
    site: str | None
    project: str | None
    path: str | None
    max_: int | None


@command("show")
async def show(wiring: Wiring) -> None:
    """Show what agents may do, and what they were denied.

    Without a grant, they read. Anybody may look.
    """
    from twg.cli.wiring import moment  # noqa: PLC0415 - as everywhere where the time is told

    grants, trouble = await _grants(wiring)
    denials = await _denials(wiring)
    now = moment()
    data = {
        "grants": [_as_data(grant, now) for grant in grants],
        "denials": [_denial_as_data(denial) for denial in denials],
        "limits": [_limits_as_data(limits) for limits in wiring.limits],
        "trouble": trouble,
    }
    lines = [*_limits_lines(wiring.limits), "", *_grants_lines(grants, now)]
    lines += _denials_lines(denials[:_MOST_SHOWN], now.wall)
    wiring.output.result(data, lines)
    if trouble is not None:
        wiring.output.warn(trouble)


@command(
    "grant",
    human_only=True,
    params=[
        click.Argument(["access"], metavar="CLASS", type=click.Choice(["write", "delete"])),
        click.Option(
            ["--for", "for_"],
            metavar="TIME",
            default="1h",
            show_default=True,
            help="How long, such as 30m, 1h or 2d.",
        ),
        click.Option(["--service"], type=click.Choice(_SERVICES), help="Only at this service."),
        click.Option(
            ["--site"], metavar="HOST", shell_complete=stored("site"), help="Only on this site."
        ),
        click.Option(
            ["--project"], metavar="KEY", help="Only in this Jira project or Confluence space."
        ),
        click.Option(["--path"], metavar="PREFIX", help="Only for paths that begin so."),
        click.Option(
            ["--max", "max_"],
            metavar="N",
            type=click.IntRange(1, _MOST_CALLS),
            help="For no more calls than this.",
        ),
    ],
)
async def grant(wiring: Wiring, **words: Any) -> None:
    """Let agents write, or delete, for a time. It ends by itself; `twg policy revoke` ends it now.

    You see which agent asked last for what, and confirm at the terminal. With --profile, only calls
    with that profile's sign-in are covered.
    """
    wish = Wish(**words)
    made = _made(wiring, wish)
    for line in await _asking(wiring, made):
        wiring.output.say(line)
    if not await wiring.questions.agrees("allow this, y or n"):
        wiring.output.result({"granted": None}, ["Nothing was granted."])
        return
    await _save(wiring, made)


@command(
    "revoke",
    human_only=True,
    params=[click.Argument(["ids"], metavar="ID", nargs=-1)],
)
async def revoke(wiring: Wiring, *, ids: tuple[str, ...]) -> None:
    """End grants now: those with these IDs, or all of them.

    `twg policy show` tells the IDs.
    """
    grants = await wiring.grants.all()
    unknown = set(ids) - {one.id for one in grants}
    if unknown:
        raise UsageError(
            f"there is no grant {', '.join(sorted(unknown))}", "`twg policy show` lists them."
        )
    gone = [one for one in grants if not ids or one.id in ids]
    await wiring.grants.change(lambda known: [one for one in known if one.id not in _ids(gone)])
    for one in gone:
        events.policy_revoked(wiring.audit, what=f"{_scope(one)} (grant {one.id})")
    wiring.output.result(
        {"revoked": [one.id for one in gone]},
        [f"✔ Revoked {one.id}: {_scope(one)}." for one in gone] or ["There is nothing to revoke."],
    )


policy = Group(
    "policy",
    commands={one.name or "": one for one in (show, grant, revoke)},
    help="See what agents may do, and grant them more for a time.",
)


def _made(wiring: Wiring, wish: Wish) -> Grant:
    """Return the grant that is wished for.

    Raises:
        UsageError: It makes no sense, or would never cover anything.
        ConfigError: The settings do not allow it.
    """
    from twg.cli.wiring import moment  # noqa: PLC0415 - see `show`
    from twg.vault import Grant  # noqa: PLC0415 - only where it is used

    seconds = _checked_seconds(wiring, wish.for_)
    now = moment()
    made = Grant(
        id=secrets.token_hex(_ID_BYTES),
        access=wish.access,
        service=wish.service,
        site=_checked(wish.site and wish.site.lower(), _HOST, "--site", "a host"),
        project=_checked(wish.project, _PROJECT, "--project", "a project's or space's key"),
        path=_checked_path(wish),
        account=wiring.options.profile,
        seconds=seconds,
        calls=wish.max_,
        granted_at=now.wall,
        boottime=now.boottime,
        boot_id=now.boot_id,
    )
    _refuse_useless(wiring, made)
    return made


def _checked_seconds(wiring: Wiring, text: str) -> float:
    from twg.policy import seconds_of  # noqa: PLC0415 - only where it is used

    seconds = seconds_of(text)
    if seconds is None:
        raise UsageError("--for is not a time", "For example: --for 30m, --for 1h or --for 2d.")
    shortest = min(wiring.limits, key=lambda limits: limits.longest)
    if seconds > shortest.longest:
        raise UsageError(
            f"a grant is good for {duration(shortest.longest)} at most, {shortest.says}"
            if shortest.longest < _longest()
            else "a grant is good for 30 days at most",
            "Choose a shorter time with --for.",
        )
    return seconds


def _longest() -> float:
    from twg.policy import LONGEST  # noqa: PLC0415 - only where it is used

    return LONGEST


def _checked(value: str | None, form: re.Pattern[str], option: str, what: str) -> str | None:
    if value is not None and not form.fullmatch(value):
        raise UsageError(f"{option} is not {what}")
    return value


def _checked_path(wish: Wish) -> str | None:
    from twg.policy import is_plain, path_at  # noqa: PLC0415 - only where it is used

    if wish.path is None:
        return None
    path = wish.path.rstrip("/")
    if wish.service is None:
        raise UsageError("--path goes with --service", "Say which service the path is of.")
    if not is_plain(path):
        raise UsageError(
            "--path is not the plain beginning of a path",
            "For example: --path /2.0/repositories/WORKSPACE/REPOSITORY",
        )
    return path_at(wish.service, path)


def _refuse_useless(wiring: Wiring, made: Grant) -> None:
    """Refuse what would look like a grant and cover nothing."""
    from twg.policy import Access  # noqa: PLC0415 - only where it is used

    if made.project is not None and made.service not in {"jira", "confluence"}:
        raise UsageError(
            "--project goes with --service jira or --service confluence",
            "Elsewhere, --path says what a grant is good for.",
        )
    if made.site is not None and made.service not in {None, "jira", "confluence"}:
        raise UsageError("--site goes with jira and confluence", "Leave it out.")
    for limits in wiring.limits:
        why = limits.refusal(made.service or "", Access(made.access), made.account or "")
        if why is not None:
            raise ConfigError(f"this grant would not count: {why}")


async def _asking(wiring: Wiring, made: Grant) -> list[str]:
    from twg.cli.wiring import moment  # noqa: PLC0415 - see `show`

    denials, now = await _denials(wiring), moment()
    lines = [f"Last asked for: {_asked(one, now.wall)}" for one in denials[:1]]
    lines.append(f"To allow: {_scope(made)}, {_extent(made)}.")
    lines.append("That is for every agent that runs as you.")
    return lines


async def _save(wiring: Wiring, made: Grant) -> None:
    from twg.cli.wiring import moment  # noqa: PLC0415 - see `show`
    from twg.policy import left_of  # noqa: PLC0415 - only where it is used

    now = moment()
    # It is recorded first: what was allowed and is not on record would be the worse of the two.
    what = f"{_scope(made)}, {_extent(made)} ({made.id})"
    events.policy_granted(wiring.audit, what=what)
    saved = await wiring.grants.add(made, keep=lambda one: left_of(one, now) > 0)
    wiring.output.result(
        {"granted": _as_data(saved, now)},
        [f"✔ Granted: {_scope(saved)}, {_extent(saved)}. `twg policy revoke {saved.id}` ends it."],
    )


async def going_on(wiring: Wiring) -> list[Grant]:
    """Return the grants that have not ended.

    Raises:
        StoreCorrupt, ConfigError: None counts.
        Busy: Another process has them for too long.
    """
    from twg.cli.wiring import moment  # noqa: PLC0415 - see `show`
    from twg.policy import left_of  # noqa: PLC0415 - only where it is used

    found, now = await wiring.grants.all(), moment()
    return [one for one in found if left_of(one, now)]


async def _grants(wiring: Wiring) -> tuple[list[Grant], str | None]:
    """Return the grants that go on, or why none counts."""
    try:
        return await going_on(wiring), None
    except (StoreCorrupt, ConfigError) as error:
        return [], f"{error}. {error.remediation}"


async def _denials(wiring: Wiring) -> list[Denial]:
    try:
        return await to_thread.run_sync(wiring.denials.newest_first)
    except (GuardError, TwgError, OSError):
        return []  # it is for the eye alone


def _ids(grants: Sequence[Grant]) -> set[str]:
    return {one.id for one in grants}


def _scope(grant: Grant) -> str:
    """Return what a grant covers, in words."""
    words = [f"{grant.access} at {grant.service or 'every service'}"]
    words += [f"on {grant.site}"] if grant.site else []
    words += [f"in {grant.project}"] if grant.project else []
    words += [f"below {grant.path}"] if grant.path else []
    words += [f"with the profile {grant.account}"] if grant.account else []
    return " ".join(words)


def _extent(grant: Grant) -> str:
    noun = "call" if grant.calls == 1 else "calls"
    calls = "" if grant.calls is None else f", {grant.calls} {noun} at most"
    return f"for {duration(grant.seconds)}{calls}"


def _grants_lines(grants: Sequence[Grant], now: Moment) -> list[str]:
    from twg.policy import left_of  # noqa: PLC0415 - only where it is used

    if not grants:
        return ["Nothing more is granted."]
    lines = ["Granted:"]
    for one in grants:
        of = "" if one.calls is None else f" of {one.calls}"
        calls = f"{one.used}{of} call{'' if of == '' and one.used == 1 else 's'} made"
        lines.append(f"  {one.id}  {_scope(one)}; {duration(left_of(one, now))} left, {calls}")
    return lines


def _denials_lines(denials: Sequence[Denial], wall: float) -> list[str]:
    if not denials:
        return []
    lines = ["", "Asked for and denied:"]
    for one in denials:
        lines.append(f"  {_asked(one, wall)}")
        lines += [f"    `{one.command}` allows it"] if one.command else []
    return lines


def _asked(denial: Denial, wall: float) -> str:
    times = "" if denial.times == 1 else f", {denial.times} times"
    ago = duration(max(0.0, wall - denial.last))
    what = f" ({denial.what})" if denial.what else ""
    text = f"{denial.agent}, {denial.access} at {denial.service}{what}{times}, {ago} ago"
    return "".join(character for character in text if character.isprintable())


def _limits_lines(limits: Sequence[Limits]) -> list[str]:
    from twg.policy import EVERY  # noqa: PLC0415 - only where it is used

    lines = ["Agents read, at every service but those named here."]
    for one in limits:
        closed = sorted(one.deny | ({"admin"} if one.admin is False else set()))
        lines += [f"  Not at {', '.join(closed)}, {one.says}."] if closed else []
        if one.read_only:
            whose = (
                "every profile"
                if EVERY in one.read_only
                else f"the profile {', '.join(sorted(one.read_only))}"
            )
            lines.append(f"  Never more with {whose}, {one.says}.")
    return lines


def _as_data(grant: Grant, now: Moment) -> dict[str, Any]:
    from twg.policy import left_of  # noqa: PLC0415 - only where it is used

    left = left_of(grant, now)
    return {
        "id": grant.id,
        "class": grant.access,
        "service": grant.service,
        "site": grant.site,
        "project": grant.project,
        "path": grant.path,
        "profile": grant.account,
        "granted_at": stamp(grant.granted_at),
        "until": stamp(now.wall + left),
        "seconds_left": int(left),
        "max_calls": grant.calls,
        "calls": grant.used,
    }


def _denial_as_data(denial: Denial) -> dict[str, Any]:
    return {
        "agent": denial.agent,
        "class": denial.access,
        "service": denial.service,
        "what": denial.what,
        "command": denial.command,
        "times": denial.times,
        "first_at": stamp(denial.first),
        "last_at": stamp(denial.last),
    }


def _limits_as_data(limits: Limits) -> dict[str, Any]:
    return {
        "where": limits.where,
        "admin": limits.admin,
        "deny": sorted(limits.deny),
        "read_only": sorted(limits.read_only),
        "longest_grant_seconds": int(limits.longest),
    }
