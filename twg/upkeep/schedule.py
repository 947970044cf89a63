"""The schedule as a whole: which scheduler has it, and whether it does what it should."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from twg.upkeep.errors import SchedulerFailed
from twg.upkeep.job import EVERY_MINUTES
from twg.upkeep.programs import Programs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from twg.upkeep.job import Found, Job, Scheduler
    from twg.upkeep.record import Record

_LATE_SECONDS: Final = 3 * EVERY_MINUTES * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Enabled:
    """A schedule that was set up.

    Attributes:
        found: What the scheduler has.
        instead_of: The schedulers that were to be preferred and cannot be used, with the reason.
    """

    found: Found
    instead_of: Mapping[str, SchedulerFailed]


def schedulers_of(platform: str, environ: Mapping[str, str], home: Path) -> list[Scheduler]:
    """Return the schedulers of this system, the best one first.

    Args:
        platform: As `sys.platform`.
        environ: The environment.
        home: The person's home.
    """
    programs = Programs(environ=environ)
    cron = _cron(programs)
    if platform == "darwin":
        return [_launchd(home, programs), cron]
    if platform.startswith("linux"):
        return [_systemd(environ, home, programs), cron]
    return [] if platform == "win32" else [cron]


async def enable(job: Job, schedulers: Sequence[Scheduler]) -> Enabled:
    """Have the first scheduler that can do so start `job`, and no other one.

    Raises:
        SchedulerFailed: None can.
        UnsafeFile: Somebody else's file stands in the place of ours.
        FileUnwritable: The file system refuses.
    """
    failed: dict[str, SchedulerFailed] = {}
    for scheduler in schedulers:
        try:
            await scheduler.enable(job)
        except SchedulerFailed as error:
            failed[scheduler.name] = error
            continue
        for other in schedulers:
            if other is not scheduler:
                with contextlib.suppress(SchedulerFailed):
                    await other.disable()
        found = await scheduler.find()
        if found is not None:
            return Enabled(found=found, instead_of=failed)
        failed[scheduler.name] = SchedulerFailed(scheduler.name, "it does not show what it took")
    raise _none_of(failed)


async def disable(schedulers: Sequence[Scheduler]) -> list[str]:
    """Remove the schedule wherever it is; return the names of the schedulers that had it.

    Raises:
        SchedulerFailed: One may have it still, and it was found in no other.
        FileUnwritable: The file system refuses.
    """
    had: list[str] = []
    failed: list[SchedulerFailed] = []
    for scheduler in schedulers:
        try:
            if await scheduler.disable():
                had.append(scheduler.name)
        except SchedulerFailed as error:
            failed.append(error)
    # Who may not use cron, say, has nothing there; it matters where nothing else was found.
    if failed and not had:
        raise failed[0]
    return had


async def find(schedulers: Sequence[Scheduler]) -> Found | None:
    """Return the schedule as it stands, or None if there is none."""
    for scheduler in schedulers:
        with contextlib.suppress(SchedulerFailed):
            found = await scheduler.find()
            if found is not None:
                return found
    return None


def problems_of(found: Found, wanted: Job, last: Record | None, now: float) -> list[str]:
    """Return what is wrong with a schedule, each with what to do.

    Args:
        found: The schedule.
        wanted: What `twg upkeep enable` would set up now.
        last: The last run.
        now: Unix seconds.
    """
    again = "`twg upkeep enable` sets it right"
    problems = []
    if not found.loaded:
        problems.append(f"{found.scheduler} does not have it loaded; {again}.")
    if found.job is None:
        problems.append(f"what stands in {found.where} was changed; {again}.")
    elif not os.access(found.job.interpreter, os.X_OK):
        problems.append(f"{found.job.interpreter} is gone, so nothing can run; {again}.")
    elif found.job != wanted:
        problems.append(f"it runs for another installation or other directories; {again}.")
    if found.loaded and last is not None and now - last.finished_at > _LATE_SECONDS:
        problems.append(
            f"it has not run for long. Was the machine off? If not, see whether {found.scheduler} "
            "itself is running."
        )
    return problems


def with_next_run(found: Found, last: Record | None) -> Found:
    """Return it with its next run, reckoned from the last one where the scheduler says nothing."""
    if not found.loaded or found.next_run is not None or last is None:
        return found
    return replace(found, next_run=last.started_at + EVERY_MINUTES * 60)


def _none_of(failed: Mapping[str, SchedulerFailed]) -> SchedulerFailed:
    if not failed:
        return SchedulerFailed("a schedule", "twg knows no scheduler of this system")
    names = " and ".join(failed)
    why = "; ".join(f"{name}: {error.why}" for name, error in failed.items())
    # The first one is the best one: its remedy is the one to try.
    return SchedulerFailed(names, why, next(iter(failed.values())).remediation)


def _systemd(environ: Mapping[str, str], home: Path, programs: Programs) -> Scheduler:
    from twg.upkeep.systemd import Systemd  # noqa: PLC0415 - the one of this system alone

    configured = environ.get("XDG_CONFIG_HOME", "")
    base = Path(configured) if Path(configured).is_absolute() else home / ".config"
    return Systemd(directory=base / "systemd" / "user", programs=programs, uid=_uid())


def _launchd(home: Path, programs: Programs) -> Scheduler:
    from twg.upkeep.launchd import Launchd  # noqa: PLC0415 - likewise

    return Launchd(directory=home / "Library" / "LaunchAgents", programs=programs, uid=_uid())


def _cron(programs: Programs) -> Scheduler:
    from twg.upkeep.cron import Cron  # noqa: PLC0415 - likewise

    return Cron(programs=programs, clock=lambda: datetime.now().astimezone())


def _uid() -> int:
    return os.getuid() if hasattr(os, "getuid") else -1
