"""What `twg doctor` finds on this device, without a word to anybody."""

from __future__ import annotations

import platform
import sys
from collections import Counter
from typing import TYPE_CHECKING, Final

import anyio
from anyio import to_thread

from guard.errors import GuardError
from twg.cli.check import Check, failed
from twg.cli.sign_ins import protection_in_words, why_no_keyring

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from twg.cli.findings import Found
    from twg.cli.wiring import Wiring
    from twg.vault.condition import Condition

_OLDEST_PYTHON: Final = (3, 11)
_HISTORY_SECONDS: Final = 10.0
_MOST_NAMED: Final = 3

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


async def python(_wiring: Wiring) -> list[Check]:
    """Tell which Python runs this."""
    version = f"{platform.python_implementation()} {platform.python_version()}"
    if sys.version_info < _OLDEST_PYTHON:
        fix = "Install Python 3.11 or newer."
        return [Check(name="python", status="failed", detail=version, fix=fix)]
    return [Check(name="python", status="ok", detail=version)]


async def storage(wiring: Wiring) -> list[Check]:
    """Look at the files and their modes, whether the store opens, and where its key is."""
    told: list[Check] = []
    try:
        condition = await wiring.store.describe()
    except GuardError as error:  # every look at the store is recorded
        problems: Sequence[str] = ()
        told.append(failed("store", error))
    else:
        problems = condition.problems
        told += _store(wiring, condition)
    files = await to_thread.run_sync(_files, wiring, problems)
    return [*files, *told]


async def audit(wiring: Wiring) -> list[Check]:
    """Follow the chain of the audit record."""
    from twg.cli.audit_proof import proof_of  # noqa: PLC0415 - slow to load, and only used here

    proof = await to_thread.run_sync(proof_of, wiring.settings.state_dir, abandon_on_cancel=True)
    if not proof.count:
        return [Check(name="audit", status="note", detail="nothing is recorded yet")]
    return [Check(name="audit", status="ok", detail=f"{proof.count} records, all in their chain")]


async def variables(wiring: Wiring) -> list[Check]:
    """Name what is set to lead programs astray."""
    found = sorted(name for name in wiring.environ if name.upper() in _HOSTILE)
    if not found:
        return [Check(name="environment", status="ok", detail="nothing that twg has to ignore")]
    detail = f"set, but not obeyed: {', '.join(found)}"
    return [Check(name="environment", status="note", detail=detail)]


async def histories(wiring: Wiring) -> list[Check]:
    """Look whether histories hold a secret; what was refused may have been written back."""
    from twg.cli import leaks  # noqa: PLC0415 - its parts are light, but only used here
    from twg.cli.findings import in_history  # noqa: PLC0415 - likewise

    with anyio.move_on_after(_HISTORY_SECONDS):
        found, unreadable = await leaks.find(wiring, await leaks.lookout_for_all(wiring))
        if found:
            told = _by_file(wiring, [in_history(each) for each in found])
            fix = "Run `twg guard scrub-history`, and revoke what it shows."
            return [Check(name="history", status="failed", detail=told, fix=fix)]
        if unreadable:
            return [failed("history", next(iter(unreadable.values())))]
        detail = "no secret in what shells remember"
        return [Check(name="history", status="ok", detail=detail)]
    return [
        Check(
            name="history",
            status="note",
            detail=f"there is more of it than can be looked at in {_HISTORY_SECONDS:g} seconds",
            fix="Run `twg guard scan --history`.",
        )
    ]


async def agent(wiring: Wiring) -> list[Check]:
    """Tell which agent runs this."""
    found = wiring.agent
    if found is None:
        return [Check(name="agent", status="ok", detail="none noticed")]
    return [Check(name="agent", status="note", detail=f"{found.name} ({found.sign})")]


async def skills(wiring: Wiring) -> list[Check]:
    """Look whether agents were told what this version tells; nothing where none was told."""
    from twg.skills import placing  # noqa: PLC0415 - only where it is used

    installed = await to_thread.run_sync(placing.installed, wiring.home, abandon_on_cancel=True)
    if not installed:
        return []
    if old := await to_thread.run_sync(placing.outdated, installed, abandon_on_cancel=True):
        detail = f"not what this version tells agents: {', '.join(map(wiring.shown, old))}"
        return [Check(name="skills", status="note", detail=detail, fix="Run `twg skills install`.")]
    shown = ", ".join(map(wiring.shown, installed))
    return [Check(name="skills", status="ok", detail=f"agents are told of twg in {shown}")]


async def policy(wiring: Wiring) -> list[Check]:
    """Look whether what agents are granted counts; nothing where nothing was ever granted."""
    from twg.cli.policy import going_on  # noqa: PLC0415 - only where it is used

    _ = wiring.limits  # whose settings may be wrong
    if await wiring.grants.key_location() is None:
        return []
    grants = await going_on(wiring)
    if not grants:
        return [Check(name="policy", status="ok", detail="agents read, and may do no more now")]
    count = "1 grant" if len(grants) == 1 else f"{len(grants)} grants"
    detail = f"agents may do more than read, by {count}; `twg policy show` tells what"
    return [Check(name="policy", status="note", detail=detail)]


async def git(wiring: Wiring) -> list[Check]:
    """Look whether addresses that git takes to twg get anywhere; nothing where it takes none."""
    from twg.cli import setup_git  # noqa: PLC0415 - only where it is used

    config = setup_git.config_of(wiring)
    if not config.finds("git"):
        return []
    checks = []
    for one in await config.rewritings():
        faults = await setup_git.faults_of(wiring, config, one)
        checks += [
            Check(name="git", status="failed", detail=each.words, fix=each.fix) for each in faults
        ]
        if not faults:
            detail = f"takes {one.value} addresses to twg"
            checks.append(Check(name="git", status="ok", detail=detail))
    return checks


def _store(wiring: Wiring, condition: Condition) -> list[Check]:
    if condition.problems:
        return [Check(name="store", status="failed", detail=each) for each in condition.problems]
    shown = wiring.shown(wiring.settings.auth_conf)
    if condition.key is None:
        return [Check(name="store", status="note", detail=f"{shown} is not there yet")]
    kept = "1 sign-in" if condition.profiles == 1 else f"{condition.profiles} sign-ins"
    return [
        Check(name="store", status="ok", detail=f"{shown} opens and can be replaced; {kept}"),
        Check(
            name="key",
            status="note" if condition.key.location == "file" else "ok",
            detail=protection_in_words(condition.key, wiring),
            fix=why_no_keyring(condition.key),
        ),
    ]


def _files(wiring: Wiring, problems: Iterable[str]) -> list[Check]:
    """Look who has access to files, other than those that a store has told of."""
    from twg.cli.mending import open_to_others  # noqa: PLC0415 - only where it is used

    settings = wiring.settings
    directories = [each for each in (settings.config_dir, settings.state_dir) if each.exists()]
    told = " ".join(problems)
    found = [
        f"{wiring.shown(path)} ({mode:04o})"
        for path, mode in open_to_others(directories)
        if path != settings.admin_conf and str(path) not in told
    ]
    if found:
        more = len(found) - _MOST_NAMED
        named = ", ".join(found[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
        detail, fix = f"others have access to {named}", "Run `twg doctor --fix`."
        return [Check(name="files", status="failed", detail=detail, fix=fix)]
    if not directories:
        return []
    shown = " and ".join(map(wiring.shown, directories))
    return [Check(name="files", status="ok", detail=f"nobody else has access to {shown}")]


def _by_file(wiring: Wiring, found: Sequence[Found]) -> str:
    """Return how many secrets of which kind are in which file."""
    kinds: dict[Path, Counter[str]] = {}
    for each in found:
        kinds.setdefault(each.path, Counter())[each.kind] += 1
    return "; ".join(
        f"{wiring.shown(path)}: {', '.join(f'{count} {kind}' for kind, count in counts.items())}"
        for path, counts in kinds.items()
    )
