"""`twg uninstall`: sign-ins are ended at their providers, then all that twg made is removed."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import asyncclick as click
from anyio import to_thread

from twg import events
from twg.cli import belongings
from twg.cli.command import command
from twg.cli.logout import still_alive
from twg.cli.setup_git import as_data, config_of
from twg.cli.upkeep import schedulers
from twg.errors import NetworkError, PartialFailure, StoreCorrupt, TwgError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twg.auth.signout import SignedOut
    from twg.cli.belongings import Belongings
    from twg.cli.wiring import Wiring
    from twg.git.rewriting import Rewriting
    from twg.upkeep.job import Found
    from twg.vault import AdminHeader, Header, KeyLocation

_DISTRIBUTION: Final = "twg-cli"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that is to go, and what stays.

    Attributes:
        header: The sign-ins, as far as their file tells.
        admin: The Admin API keys, likewise.
        ring_keys: Sealing keys in the key ring; those in files are among the files.
        schedule: The schedule of upkeep.
        skills: The instructions that coding agents were given.
        git: The lines of git's configuration that take addresses to `git-remote-twg`.
        sandbox: Where the sandbox is, if there is one.
        sandbox_runs: It runs.
        files: What stands in twg's directories.
    """

    header: Header
    admin: AdminHeader
    ring_keys: tuple[KeyLocation, ...]
    schedule: Found | None
    skills: tuple[Path, ...]
    git: tuple[Rewriting, ...]
    sandbox: str | None
    sandbox_runs: bool
    files: Belongings

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to remove."""
        made = self.files.files or self.files.directories
        return not (made or self.ring_keys or self.schedule or self.skills or self.git)


@command(
    "uninstall",
    human_only=True,
    params=[
        click.Option(["--dry-run"], is_flag=True, help="Show what would go, and touch nothing.")
    ],
)
async def uninstall(wiring: Wiring, *, dry_run: bool) -> None:
    """Remove all that twg has made here: sign-ins, keys, schedule, sandbox, agents' instructions.

    Tokens are revoked at their providers first. If one cannot be reached, everything is kept, so
    that you can try again. What twg did not make stays, and is named.
    """
    plan = await _plan(wiring)
    if dry_run or plan.is_empty:
        wiring.output.result(_as_data(plan) | {"removed": False}, _foretold(wiring, plan))
        return
    if not await _agreed(wiring, plan):
        wiring.output.result({"removed": False}, ["Nothing was removed."])
        return
    events.uninstall_begun(wiring.audit)
    alive = await _sign_out(wiring, plan)
    await _remove(wiring, plan)
    _tell(wiring, plan, alive)


async def _plan(wiring: Wiring) -> Plan:
    from twg import sandbox  # noqa: PLC0415 - only where it is used
    from twg.skills import placing  # noqa: PLC0415 - likewise
    from twg.upkeep import schedule  # noqa: PLC0415 - likewise
    from twg.vault import AdminHeader, Header  # noqa: PLC0415 - likewise
    from twg.vault.header import keys_named_in  # noqa: PLC0415 - likewise

    files = await to_thread.run_sync(belongings.found, wiring.settings)
    naming = await to_thread.run_sync(belongings.naming_keys, files)
    keys = {key for data in naming for key in keys_named_in(data)}
    try:
        header = await wiring.store.summaries()
    except StoreCorrupt:
        header = Header()  # told once it is to be opened
    try:
        admin = await wiring.admin_store.summaries()
    except StoreCorrupt:
        admin = AdminHeader()
    return Plan(
        header=header,
        admin=admin,
        ring_keys=tuple(sorted((k for k in keys if k.location == "keyring"), key=lambda k: k.id)),
        schedule=await schedule.find(schedulers(wiring)),
        skills=await to_thread.run_sync(placing.installed, wiring.home),
        git=await _rewritings(wiring),
        sandbox=await sandbox.address(wiring.settings.state_dir),
        sandbox_runs=await sandbox.status(wiring.settings.state_dir) is not None,
        files=files,
    )


async def _rewritings(wiring: Wiring) -> tuple[Rewriting, ...]:
    config = config_of(wiring)
    return tuple(await config.rewritings()) if config.finds("git") else ()


async def _agreed(wiring: Wiring, plan: Plan) -> bool:
    for line in _foretold(wiring, plan, asking=True):
        wiring.output.say(line)
    return await wiring.questions.agrees("remove all this, y or n")


async def _sign_out(wiring: Wiring, plan: Plan) -> dict[str, str]:
    """End every sign-in; return those that live on, each with the reason.

    Raises:
        NetworkError: A provider cannot be reached; its sign-in is kept, and so is all else.
        StoreCorrupt: They do not open now, but may later.
    """
    if not plan.header.profiles and not wiring.settings.auth_conf.exists():
        return {}
    lost = await _lost(wiring, plan) if plan.header.profiles or not plan.header.key else None
    if lost is not None:
        return lost
    from twg.auth.signout import SignOut  # noqa: PLC0415 - httpx only where it is used

    done: list[SignedOut] = []
    failed: dict[str, TwgError] = {}
    async with wiring.http() as http:
        sign_out = SignOut(store=wiring.store, http=http, custody=wiring.custody)
        for profile in sorted(plan.header.profiles):
            try:
                outcome = await sign_out.run(profile, local_only=_goes_by_itself(plan, profile))
            except TwgError as error:
                failed[profile] = error
                continue
            if outcome is not None:
                done.append(outcome)
    if failed:
        raise _kept(failed, done)
    gone = {one.profile for one in done if _goes_by_itself(plan, one.profile)}
    return {
        one.profile: still_alive(one) for one in done if one.why_not and one.profile not in gone
    }


async def _lost(wiring: Wiring, plan: Plan) -> dict[str, str] | None:
    """Put a store aside that will never open; return its sign-ins, which nobody can end from here.

    Raises:
        StoreCorrupt: It may open later, or a newer twg wrote it.
    """
    try:
        await wiring.store.read("default")
    except StoreCorrupt as error:
        if await wiring.store.set_aside() is None:
            raise
        ends = {name: one.issuer for name, one in plan.header.profiles.items()}
        why = str(error)
        return {name: f"{why}. Revoke twg at {issuer}" for name, issuer in ends.items()} or {
            "sign-ins": f"{why}. Revoke twg at your providers"
        }
    return None


def _goes_by_itself(plan: Plan, profile: str) -> bool:
    """Tell whether it is a sign-in at our own sandbox, which does not run and goes, too."""
    return plan.header.profiles[profile].issuer == plan.sandbox and not plan.sandbox_runs


def _kept(failed: Mapping[str, TwgError], done: list[SignedOut]) -> TwgError:
    """Return what to raise where sign-ins could not be ended."""
    again = (
        "was removed. Run `twg uninstall` again once the provider can be reached; or run "
        "`twg logout --all --local-only` first, but the tokens then live on at the provider."
    )
    first = next(iter(failed.values()))
    if not done and len({type(error) for error in failed.values()}) == 1:
        if isinstance(first, NetworkError):
            first.remediation = f"Nothing {again}"
        return first
    return PartialFailure(
        f"{len(failed)} of {len(failed) + len(done)} sign-ins could not be ended",
        {name: str(error) for name, error in failed.items()},
        f"Nothing else {again}",
        done={"signed_out": [one.profile for one in done], "removed": False},
    )


async def _remove(wiring: Wiring, plan: Plan) -> None:
    """Remove what is left, the files that name the keys after the keys, the audit record last."""
    from twg import sandbox  # noqa: PLC0415 - only where it is used
    from twg.skills import placing  # noqa: PLC0415 - likewise
    from twg.upkeep import schedule  # noqa: PLC0415 - likewise

    if plan.schedule is not None:
        await schedule.disable(schedulers(wiring))
    await sandbox.stop(wiring.settings.state_dir)
    for path in plan.skills:
        await to_thread.run_sync(placing.remove, path)
    for rewriting in plan.git:
        await config_of(wiring).remove(rewriting)
    keys = wiring.key_keeper()
    for key in plan.ring_keys:
        await keys.destroy(key)
    # Looked for anew: signing out and stopping the sandbox have changed what is there.
    files = await to_thread.run_sync(belongings.found, wiring.settings)
    await to_thread.run_sync(belongings.remove, files)


def _tell(wiring: Wiring, plan: Plan, alive: Mapping[str, str]) -> None:
    data = _as_data(plan) | {"removed": True}
    lines = [
        f"✔ Signed out of {name}: tokens revoked at {one.issuer}."
        for name, one in sorted(plan.header.profiles.items())
        if name not in alive and not _goes_by_itself(plan, name)
    ]
    lines += ["✔ Removed all that twg had made here.", *_staying(wiring, plan)]
    if wiring.output.mode == "text" or not alive:
        wiring.output.result(data, lines)
    if alive:
        raise PartialFailure(
            "all is removed here, but not all tokens are revoked",
            alive,
            "To end them at once, revoke twg where you signed in.",
            done=data,
        )


def _foretold(wiring: Wiring, plan: Plan, *, asking: bool = False) -> list[str]:
    if plan.is_empty:
        return ["There is nothing of twg's here.", *_staying(wiring, plan)]
    lines = ["This will go:" if asking else "This would go; nothing was touched:"]
    for name, one in sorted(plan.header.profiles.items()):
        how = "" if _goes_by_itself(plan, name) else f", once it is revoked at {one.issuer}"
        lines.append(f"  the sign-in on {name}{how}")
    lines += [f"  the {what}" for what in _made_by_hand(plan)]
    lines += [f"  the sealing key {key.id} in your system's key ring" for key in plan.ring_keys]
    if plan.schedule is not None:
        lines.append(f"  the schedule of upkeep ({plan.schedule.scheduler})")
    if plan.sandbox_runs:
        lines.append("  the sandbox that runs")
    lines += [f"  what agents were told of twg, {wiring.shown(path)}" for path in plan.skills]
    lines += [f"  the line by which git takes {one.value} addresses to twg" for one in plan.git]
    lines += [f"  {line}" for line in _paths(wiring, plan, whole=not asking)]
    if any(path.name == "audit.jsonl" for path in plan.files.files):
        lines.append("The audit record goes, too; copy audit.jsonl first if you want to keep it.")
    return lines + _staying(wiring, plan)


def _paths(wiring: Wiring, plan: Plan, *, whole: bool) -> list[str]:
    """Return what goes of the files, whole, or with no word of what is in a directory that goes."""
    files, directories = plan.files.files, plan.files.directories
    if whole:
        return [wiring.shown(path) for path in (*files, *directories)]
    gone = [path for path in (*files, *directories) if path.parent not in directories]
    return [f"{wiring.shown(path)}{'/' if path in directories else ''}" for path in gone]


def _staying(wiring: Wiring, plan: Plan) -> list[str]:
    lines = [f"Stays, for twg did not make it: {wiring.shown(path)}" for path in plan.files.foreign]
    for what, page in _made_by_hand(plan).items():
        lines.append(f"The {what} is good until you revoke it at {page}.")
    return [*lines, f"The program itself stays: `{_pip_command()}` removes it."]


def _made_by_hand(plan: Plan) -> dict[str, str]:
    """Return what no API revokes, each with the page where its maker does."""
    if not (plan.header.bitbucket or plan.admin.profiles):
        return {}
    from twg.products import admin, bitbucket  # noqa: PLC0415 - httpx only where it is used

    tokens = {
        f"Bitbucket token of {one.email}": bitbucket.place_of(one.api_base).tokens_page
        for one in plan.header.bitbucket.values()
    }
    keys = {
        f"Admin API key for {org}": admin.place_of(one.api_base).keys_page
        for org, one in sorted(plan.admin.profiles.items())
    }
    return tokens | keys


def _pip_command() -> str:
    """Return the command that removes the program, by the marks that installers leave."""
    prefix = Path(sys.prefix)
    if (prefix / "pipx_metadata.json").exists():
        return f"pipx uninstall {_DISTRIBUTION}"
    if (prefix / "uv-receipt.toml").exists():
        return f"uv tool uninstall {_DISTRIBUTION}"
    python = "" if prefix == Path(sys.base_prefix) else f"{sys.executable} -m "
    return f"{python}pip uninstall {_DISTRIBUTION}"


def _as_data(plan: Plan) -> dict[str, Any]:
    return {
        "sign_ins": [
            {"profile": name, "issuer": one.issuer}
            for name, one in sorted(plan.header.profiles.items())
        ],
        "revoke_by_hand": [
            {"what": what, "at": page} for what, page in _made_by_hand(plan).items()
        ],
        "keyring": [key.id for key in plan.ring_keys],
        "schedule": plan.schedule and plan.schedule.scheduler,
        "skills": [str(path) for path in plan.skills],
        "git": [as_data(one) for one in plan.git],
        "sandbox": plan.sandbox_runs,
        "files": [str(path) for path in plan.files.files],
        "directories": [str(path) for path in plan.files.directories],
        "left": [str(path) for path in plan.files.foreign],
        "program": _pip_command(),
    }
