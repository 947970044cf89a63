"""`twg doctor`: a line a check, and what to do about each that failed."""

from __future__ import annotations

import contextlib
import platform
import stat
import sys
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import anyio
import asyncclick as click
from anyio import to_thread

from guard.errors import GuardError
from twg.cli.command import command
from twg.cli.failure import failure_of
from twg.cli.moments import duration
from twg.cli.sign_ins import protection_in_words, why_no_keyring
from twg.errors import PartialFailure, TokenRefused, TwgError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from pathlib import Path

    from twg.cli.findings import Found
    from twg.cli.wiring import Wiring
    from twg.http import Http
    from twg.vault import Credential

Status = Literal["ok", "failed", "note"]

_MARKS: Final[dict[Status, str]] = {"ok": "✔", "failed": "✘", "note": "·"}
_OLDEST_PYTHON: Final = (3, 11)
_SKEW_SECONDS: Final = 60.0
_OTHERS: Final = 0o077
_SOON_SECONDS: Final = 30 * 86_400.0
_HISTORY_SECONDS: Final = 10.0

# Variables that make other programs read certificates, write keys or go through proxies; twg obeys
# none of them, but whoever set them may wonder.
_HOSTILE: Final = (
    "SSLKEYLOGFILE",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "ALL_PROXY",
    "PYTHON_KEYRING_BACKEND",
    "NETRC",
    "PYTHONSTARTUP",
    "PYTHONINSPECT",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One line of the doctor's.

    Attributes:
        name: What was looked at.
        status: ``ok``, ``failed``, or ``note``: nothing is wrong, but one may want to know.
        detail: What was found.
        fix: What to do, where something is wrong.
    """

    name: str
    status: Status
    detail: str
    fix: str | None = None

    def as_dict(self) -> dict[str, str | None]:
        """Return it as JSON values."""
        return {"name": self.name, "status": self.status, "detail": self.detail, "fix": self.fix}


@command(
    "doctor",
    params=[
        click.Option(["--offline"], is_flag=True, help="Look at this device only."),
        click.Option(
            ["--fix"],
            is_flag=True,
            help="Mend modes of twg's own files, and destroy keys that are left over, first.",
        ),
    ],
)
async def doctor(wiring: Wiring, *, offline: bool, fix: bool) -> None:
    """Check this installation: files, key, audit record, provider, sign-in, surroundings.

    Ends with 0 only where nothing failed.
    """
    if fix:
        for line in await to_thread.run_sync(lambda: list(_mended(wiring))):
            wiring.output.say(line)
        for line in await _settled(wiring):
            wiring.output.say(line)
    checks = [check async for check in _checks(wiring, offline=offline)]
    failed = {check.name: _with_fix(check) for check in checks if check.status == "failed"}
    found = [check.as_dict() for check in checks]
    lines = [line for check in checks for line in _lines(check)]
    if wiring.output.mode == "text" or not failed:
        wiring.output.result({"checks": found}, lines)
    if failed:
        raise PartialFailure(
            f"{len(failed)} of {len(checks)} checks failed",
            failed,
            "Mend these, then run `twg doctor` again.",
            done={"checks": found},
        )


def _lines(check: Check) -> list[str]:
    lines = [f"{_MARKS[check.status]} {check.name:12} {check.detail}"]
    # What failed is told once more below, with what to do.
    return [*lines, f"  {'':12} {check.fix}"] if check.fix and check.status == "note" else lines


def _with_fix(check: Check) -> str:
    return f"{check.detail}. {check.fix}" if check.fix else check.detail


async def _checks(wiring: Wiring, *, offline: bool) -> AsyncIterator[Check]:
    yield _python()
    async for check in _storage(wiring):
        yield check
    yield await to_thread.run_sync(_audit, wiring)
    yield _variables(wiring)
    yield await _histories(wiring)
    yield _agent(wiring)
    if (told := await to_thread.run_sync(_skills, wiring)) is not None:
        yield told
    async for check in _sign_in(wiring, offline=offline):
        yield check
    async for check in _admin(wiring, offline=offline):
        yield check
    if (found := await _bitbucket(wiring, offline=offline)) is not None:
        yield found


def _python() -> Check:
    version = f"{platform.python_implementation()} {platform.python_version()}"
    if sys.version_info < _OLDEST_PYTHON:
        return Check(
            name="python", status="failed", detail=version, fix="Install Python 3.11 or newer."
        )
    return Check(name="python", status="ok", detail=version)


async def _storage(wiring: Wiring) -> AsyncIterator[Check]:
    try:
        condition = await wiring.store.describe()
    except GuardError as error:  # every look at the store is recorded
        yield _failure("store", error)
        return
    if condition.problems:
        for problem in condition.problems:
            yield Check(name="store", status="failed", detail=problem)
        return
    shown = wiring.shown(wiring.settings.auth_conf)
    if condition.key is None:
        yield Check(name="store", status="note", detail=f"{shown} is not there yet")
        return
    for state in condition.files:
        if state.mode is not None:
            where = wiring.shown(state.path)
            yield Check(name="files", status="ok", detail=f"{where} has mode {state.mode}")
    kept = "1 sign-in" if condition.profiles == 1 else f"{condition.profiles} sign-ins"
    yield Check(name="store", status="ok", detail=f"{shown} opens and can be replaced; {kept}")
    in_file = condition.key.location == "file"
    yield Check(
        name="key",
        status="note" if in_file else "ok",
        detail=protection_in_words(condition.key, wiring),
        fix=why_no_keyring(condition.key),
    )


def _audit(wiring: Wiring) -> Check:
    from guard import audit  # noqa: PLC0415 - only here and where it is written

    state = wiring.settings.state_dir
    path = state / "audit.jsonl"
    # The head alone is there where somebody removed the rest, and that is to be told.
    if not (path.exists() or path.with_suffix(".head").exists()):
        return Check(name="audit", status="note", detail="nothing is recorded yet")
    try:
        count = audit.verify(path, audit.load_or_create_key(state / "audit.key"))
    except GuardError as error:
        return _failure("audit", error)
    return Check(name="audit", status="ok", detail=f"{count} records, all in their chain")


def _variables(wiring: Wiring) -> Check:
    found = sorted(name for name in wiring.environ if name.upper() in _HOSTILE)
    if not found:
        return Check(name="environment", status="ok", detail="nothing that twg has to ignore")
    return Check(
        name="environment", status="note", detail=f"set, but not obeyed: {', '.join(found)}"
    )


async def _histories(wiring: Wiring) -> Check:
    """Look whether histories hold a secret; what was refused may have been written back."""
    from twg.cli import leaks  # noqa: PLC0415 - its parts are light, but only used here
    from twg.cli.findings import in_history  # noqa: PLC0415 - likewise

    with anyio.move_on_after(_HISTORY_SECONDS):
        found, unreadable = await leaks.find(wiring, await leaks.lookout_for_all(wiring))
        if found:
            told = _by_file(wiring, [in_history(each) for each in found])
            fix = "Run `twg guard scrub-history`, and revoke what it shows."
            return Check(name="history", status="failed", detail=told, fix=fix)
        if unreadable:
            return _failure("history", next(iter(unreadable.values())))
        return Check(name="history", status="ok", detail="no secret in what shells remember")
    return Check(
        name="history",
        status="note",
        detail=f"there is more of it than can be looked at in {_HISTORY_SECONDS:g} seconds",
        fix="Run `twg guard scan --history`.",
    )


def _by_file(wiring: Wiring, found: Sequence[Found]) -> str:
    """Return how many secrets of which kind are in which file."""
    kinds: dict[Path, Counter[str]] = {}
    for each in found:
        kinds.setdefault(each.path, Counter())[each.kind] += 1
    return "; ".join(
        f"{wiring.shown(path)}: {', '.join(f'{count} {kind}' for kind, count in counts.items())}"
        for path, counts in kinds.items()
    )


def _agent(wiring: Wiring) -> Check:
    agent = wiring.agent
    if agent is None:
        return Check(name="agent", status="ok", detail="none noticed")
    return Check(name="agent", status="note", detail=f"{agent.name} ({agent.sign})")


def _skills(wiring: Wiring) -> Check | None:
    """Look whether agents were told what this version tells; None where none was told anything."""
    from twg.skills import placing  # noqa: PLC0415 - only where it is used

    installed = placing.installed(wiring.home)
    if not installed:
        return None
    if old := placing.outdated(installed):
        detail = f"not what this version tells agents: {', '.join(map(wiring.shown, old))}"
        return Check(name="skills", status="note", detail=detail, fix="Run `twg skills install`.")
    shown = ", ".join(map(wiring.shown, installed))
    return Check(name="skills", status="ok", detail=f"agents are told of twg in {shown}")


async def _sign_in(wiring: Wiring, *, offline: bool) -> AsyncIterator[Check]:
    try:
        profile = await wiring.profile()
        summary = (await wiring.store.summaries()).profiles.get(profile)
    except TwgError:
        return  # the store's own check has told why
    if summary is None:
        yield Check(name="sign-in", status="note", detail=f"nobody is signed in on {profile!r} yet")
        return
    if offline:
        yield Check(name="sign-in", status="note", detail=f"{profile!r}; not tried (--offline)")
        return
    async with wiring.http() as http:
        yield await _provider(http, summary.issuer)
        try:
            async with wiring.token_manager(http) as tokens:
                credential = await tokens.get(profile)
        except (TwgError, GuardError) as error:
            yield _failure("sign-in", error)
            return
        yield await _token(http, credential)
        yield _site(credential)


async def _bitbucket(wiring: Wiring, *, offline: bool) -> Check | None:
    """Try the stored Bitbucket token; None where the store tells nothing."""
    try:
        profile = await wiring.profile()
        summary = (await wiring.store.summaries()).bitbucket.get(profile)
    except TwgError:
        return None  # the store's own check has told why
    if summary is None:
        return Check(name="bitbucket", status="note", detail="no token (`twg setup bitbucket`)")
    if offline:
        return Check(name="bitbucket", status="note", detail="a token; not tried (--offline)")
    try:
        return await _bitbucket_token(wiring, profile, ends_by=summary.ends_by)
    except TokenRefused as error:
        fix = "Make another one and run `twg setup bitbucket --force`."
        return Check(name="bitbucket", status="failed", detail=str(error), fix=fix)
    except (TwgError, GuardError) as error:
        return _failure("bitbucket", error)


async def _bitbucket_token(wiring: Wiring, profile: str, *, ends_by: float) -> Check | None:
    from twg.products import bitbucket  # noqa: PLC0415 - httpx only where it is used

    stored = await wiring.store.bitbucket(profile)
    if stored is None:
        return None
    async with wiring.http() as http:
        now = await bitbucket.checked_again(http, stored)
    count = f"{len(now.scopes)} scope{'' if len(now.scopes) == 1 else 's'}"
    detail = f"the token is accepted; it has {count}"
    if (left := ends_by - time.time()) > _SOON_SECONDS:
        return Check(name="bitbucket", status="ok", detail=detail)
    ends = f"{detail}; such a token lives a year, so it ends within {duration(max(left, 0.0))}"
    fix = "Make another one and run `twg setup bitbucket --force`."
    return Check(name="bitbucket", status="note", detail=ends, fix=fix)


async def _provider(http: Http, issuer: str) -> Check:
    """Look whether the provider answers, and how far our clocks are apart."""
    try:
        answer = await http.request("GET", f"{issuer.rstrip('/')}/.well-known/openid-configuration")
    except TwgError as error:
        return _failure("provider", error)
    there = answer.server_time()
    skew = None if there is None else time.time() - there
    if skew is not None and abs(skew) > _SKEW_SECONDS:
        how = "ahead of" if skew > 0 else "behind"
        return Check(
            name="provider",
            status="failed",
            detail=f"{issuer} answers, but this clock is {duration(abs(skew))} {how} its",
            fix="Set this machine's clock.",
        )
    clock = "" if skew is None else "; the clocks agree"
    return Check(name="provider", status="ok", detail=f"{issuer} answers{clock}")


async def _token(http: Http, credential: Credential) -> Check:
    from twg.products import atlassian  # noqa: PLC0415 - httpx only where it is used

    try:
        account = await atlassian.account_of(http, credential.provider, credential.tokens.access)
    except (TwgError, GuardError) as error:
        return _failure("sign-in", error)
    name = (account.name or account.id) if account else "nobody by name"
    return Check(name="sign-in", status="ok", detail=f"accepted; it stands for {name}")


def _site(credential: Credential) -> Check:
    if credential.site is None:
        return Check(name="site", status="note", detail="this sign-in covers no site")
    more = len(credential.sites) - 1
    others = f" (and {more} more: `twg auth site`)" if more else ""
    return Check(name="site", status="ok", detail=f"{credential.site}{others}")


async def _admin(wiring: Wiring, *, offline: bool) -> AsyncIterator[Check]:
    from twg.cli import admin_checks  # noqa: PLC0415 - needs `Check` from here

    async for check in admin_checks.checks(wiring, offline=offline):
        yield check


def _failure(name: str, error: TwgError | GuardError) -> Check:
    failure = failure_of(error)
    return Check(name=name, status="failed", detail=failure.message, fix=failure.remediation)


def _mended(wiring: Wiring) -> Iterator[str]:
    """Take others' access away from twg's own directories and files."""
    settings = wiring.settings
    for directory in (settings.config_dir, settings.state_dir):
        for path in (directory, *(directory.iterdir() if _is_own(directory) else ())):
            if _is_own(path) and (mode := stat.S_IMODE(path.lstat().st_mode)) & _OTHERS:
                path.chmod(mode & ~_OTHERS)
                yield f"Took others' access away from {wiring.shown(path)} (was {mode:04o})."


async def _settled(wiring: Wiring) -> list[str]:
    """Destroy keys that are not in use any more; what cannot be done, the checks tell."""
    from twg.cli.storage import stores_of  # noqa: PLC0415 - only with --fix

    done = []
    for path, store in stores_of(wiring).items():
        with contextlib.suppress(TwgError, GuardError):
            if await store.unsettled_keys() and not await store.settle_keys():
                done.append(f"Destroyed what moving the key of {path.name} had left.")
    return done


def _is_own(path: Path) -> bool:
    import os  # noqa: PLC0415 - only with --fix

    try:
        status = path.lstat()
    except OSError:
        return False
    mine = not hasattr(os, "geteuid") or status.st_uid == os.geteuid()
    return mine and (stat.S_ISDIR(status.st_mode) or stat.S_ISREG(status.st_mode))
