"""`twg upkeep`: sign-ins that are nearly due are renewed by a schedule, so that no agent has to."""

from __future__ import annotations

import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from guard.errors import GuardError
from twg import events
from twg.cli.command import Group, command
from twg.cli.moments import duration, moment, stamp
from twg.errors import PartialFailure, TwgError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from twg.auth.tokens import TokenManager
    from twg.cli.wiring import Wiring
    from twg.upkeep.job import Found, Job, Scheduler
    from twg.upkeep.record import Note, Record
    from twg.upkeep.renewing import Outcome, Run, Trouble
    from twg.upkeep.schedule import Enabled

_DIRECTORIES: Final = {
    "TWG_CONFIG_DIR": ("TWG_CONFIG_DIR", "XDG_CONFIG_HOME"),
    "TWG_STATE_DIR": ("TWG_STATE_DIR", "XDG_STATE_HOME"),
}
"""What a schedule has to say, if any of these variables is set here, for it has none of them."""


@command("enable", human_only=True)
async def enable(wiring: Wiring) -> None:
    """Have sign-ins renewed every 12 minutes, by a schedule of your own.

    It is a timer of systemd's user manager on Linux, a LaunchAgent on macOS, and a line in your
    crontab where there is neither. It holds no secret, and runs as you.
    """
    enabled = await switched_on(wiring)
    data = {
        "enabled": True,
        **_schedule_data(enabled.found),
        "instead_of": {name: error.why for name, error in enabled.instead_of.items()},
    }
    hints = [f"  {hint}" for hint in enabled.found.hints]
    told = [f"✔ {in_words(wiring, enabled.found)}.", *hints]
    wiring.output.result(data, [*told, "  `twg upkeep status` tells how it goes."])


async def switched_on(wiring: Wiring) -> Enabled:
    """Make the schedule; warn of schedulers that are better and cannot be used.

    Raises:
        TwgError: No scheduler takes it.
        GuardError: A file of the schedule cannot be written, or the audit record.
    """
    from twg.upkeep import schedule  # noqa: PLC0415 - only where it is used

    enabled = await schedule.enable(_job(wiring), schedulers(wiring))
    found = enabled.found
    events.upkeep_enabled(wiring.audit, scheduler=found.scheduler)
    for name, error in enabled.instead_of.items():
        wiring.output.warn(f"{name} cannot be used ({error.why}), so {found.scheduler} is")
    return enabled


async def switched_on_before(wiring: Wiring) -> Found | None:
    """Return the schedule that is there; None if there is none."""
    from twg.upkeep import schedule  # noqa: PLC0415 - only where it is used

    return await schedule.find(schedulers(wiring))


def in_words(wiring: Wiring, found: Found) -> str:
    """Return what a schedule does, and where it is."""
    from twg.upkeep.job import EVERY_MINUTES  # noqa: PLC0415 - only where it is used

    where = wiring.shown(Path(found.where))
    return f"{found.scheduler} renews every {EVERY_MINUTES} minutes what is nearly due ({where})"


@command("disable", human_only=True)
async def disable(wiring: Wiring) -> None:
    """Remove the schedule that `twg upkeep enable` made. Sign-ins stay, and calls renew them."""
    from twg.upkeep import schedule  # noqa: PLC0415 - only where it is used

    had = await schedule.disable(schedulers(wiring))
    if had:
        events.upkeep_disabled(wiring.audit, schedulers=", ".join(had))
    told = f"✔ Removed from {' and '.join(had)}." if had else "There was no schedule."
    wiring.output.result({"enabled": False, "removed_from": had}, [told])


@command("status")
async def status(wiring: Wiring) -> None:
    """Show whether the schedule is there and loaded, its last run and its next one."""
    from twg.upkeep import record, schedule  # noqa: PLC0415 - only where it is used

    last = await record.load(wiring.settings.state_dir)
    found = await schedule.find(schedulers(wiring))
    problems: list[str] = []
    if found is not None:
        found = schedule.with_next_run(found, last)
        problems = schedule.problems_of(found, _job(wiring), last, time.time())
    data = {
        "enabled": found is not None,
        **_schedule_data(found),
        "last_run": last and _record_data(last),
        "problems": problems,
    }
    wiring.output.result(data, _status_lines(wiring, found, last, problems))


@command("run")
async def run(wiring: Wiring) -> None:
    """Renew what is due, or will be within 15 minutes; say nothing where all goes well.

    This is what the schedule starts. It asks nothing and opens no browser.
    """
    from twg.upkeep.renewing import run_once  # noqa: PLC0415 - only where it is used

    started = time.time()
    try:
        done = await run_once(wiring.store, lambda: _tokens(wiring))
    except (TwgError, GuardError) as error:
        await _keep_failure(wiring, started, error)
        raise
    await _keep(wiring, done)
    _tell(wiring, done)


@asynccontextmanager
async def _tokens(wiring: Wiring) -> AsyncIterator[TokenManager]:
    async with wiring.http() as http, wiring.token_manager(http) as tokens:
        yield tokens


def _home(wiring: Wiring) -> Path:
    return Path(wiring.environ.get("HOME") or Path.home())


def schedulers(wiring: Wiring) -> list[Scheduler]:
    """Return the schedulers of this system that a schedule may be with."""
    from twg.upkeep.schedule import schedulers_of  # noqa: PLC0415 - only where it is used

    return schedulers_of(sys.platform, wiring.environ, _home(wiring))


def _job(wiring: Wiring) -> Job:
    from twg.upkeep.job import Job  # noqa: PLC0415 - only where it is used

    places = {
        "TWG_CONFIG_DIR": str(wiring.settings.config_dir),
        "TWG_STATE_DIR": str(wiring.settings.state_dir),
    }
    told = {
        name: places[name]
        for name, said_by in _DIRECTORIES.items()
        if any(wiring.environ.get(each) for each in said_by)
    }
    return Job(interpreter=sys.executable, variables=told)


async def _keep(wiring: Wiring, done: Run) -> None:
    from twg.upkeep.record import Record  # noqa: PLC0415 - only where it is used

    outcome = _word_for(done)
    notes = {name: _note(wiring, each) for name, each in done.outcomes.items()}
    record = Record(
        started_at=done.started_at, finished_at=done.finished_at, outcome=outcome, profiles=notes
    )
    await _replace(wiring, record)
    # Where nothing was done, there is nothing of a secret to record; and there are 120 runs a day.
    if done.count("renewed") or done.failures:
        events.upkeep_run(wiring.audit, outcome=outcome, what=_counts(record))


async def _keep_failure(wiring: Wiring, started: float, error: Trouble) -> None:
    from twg.upkeep.record import Record  # noqa: PLC0415 - only where it is used

    reason = wiring.scrubber.text(str(error))
    record = Record(started_at=started, finished_at=time.time(), outcome="failed", reason=reason)
    await _replace(wiring, record)


async def _replace(wiring: Wiring, record: Record) -> None:
    from twg.upkeep.record import keep  # noqa: PLC0415 - only where it is used

    try:
        await keep(wiring.settings.state_dir, record)
    except GuardError as error:
        wiring.output.warn(f"what this run did could not be noted: {error}")


def _word_for(done: Run) -> str:
    if not done.failures:
        return "ok"
    return "failed" if len(done.failures) == len(done.outcomes) else "partial"


def _note(wiring: Wiring, outcome: Outcome) -> Note:
    from twg.cli.failure import failure_of  # noqa: PLC0415 - only where it is used
    from twg.upkeep.record import Note  # noqa: PLC0415 - likewise

    if outcome.error is None:
        return Note(outcome=outcome.result, due_at=outcome.due_at)
    failure = failure_of(outcome.error)
    return Note(
        outcome=outcome.result,
        code=failure.code.value,
        # A provider's own words are in it, and what a provider says may be anything.
        reason=wiring.scrubber.text(failure.message),
        due_at=outcome.due_at,
    )


def _tell(wiring: Wiring, done: Run) -> None:
    """Print what came of it, or raise where nothing else did than failures."""
    named = {
        result: [name for name, each in done.outcomes.items() if each.result == result]
        for result in ("renewed", "fresh")
    }
    failures = {name: str(error) for name, error in done.failures.items()}
    if failures and _word_for(done) == "failed":
        raise _total_failure(list(done.failures.values()), failures)
    for name, why in failures.items():
        wiring.output.warn(f"{name} could not be renewed: {why}")
    wiring.output.result({**named, "failures": failures}, [])


def _total_failure(errors: list[Trouble], told: dict[str, str]) -> Trouble:
    from twg.cli.failure import failure_of  # noqa: PLC0415 - only where it is used

    if len({failure_of(error).exit_status for error in errors}) == 1:
        return errors[0]
    return PartialFailure("no sign-in could be renewed", told)


def _schedule_data(found: Found | None) -> dict[str, Any]:
    return {
        "scheduler": found and found.scheduler,
        "loaded": found is not None and found.loaded,
        "where": found and found.where,
        "command": list(found.job.argv) if found and found.job else None,
        "next_run": stamp(found.next_run) if found else None,
        "hints": list(found.hints) if found else [],
    }


def _record_data(last: Record) -> dict[str, Any]:
    return {
        "started_at": stamp(last.started_at),
        "finished_at": stamp(last.finished_at),
        "outcome": last.outcome,
        "reason": last.reason,
        "next_due_at": stamp(last.next_due_at),
        "profiles": {
            name: {
                "outcome": note.outcome,
                "code": note.code,
                "reason": note.reason,
                "due_at": stamp(note.due_at),
            }
            for name, note in last.profiles.items()
        },
    }


def _status_lines(
    wiring: Wiring, found: Found | None, last: Record | None, problems: list[str]
) -> list[str]:
    if found is None:
        lines = ["Schedule  none; `twg upkeep enable` makes one"]
    else:
        state = "loaded" if found.loaded else "not loaded"
        lines = [
            f"Schedule  {found.scheduler}, {state} ({wiring.shown(Path(found.where))})",
            f"Next run  {moment(found.next_run) if found.next_run else 'not known'}",
        ]
    lines.append(f"Last run  {_in_words(last)}")
    if last is not None:
        lines += [
            f"          {name}: {note.reason}"
            for name, note in last.profiles.items()
            if note.reason is not None
        ]
    lines += [f"✘ {problem}" for problem in problems]
    return lines + [f"  {hint}" for hint in (found.hints if found else ())]


def _in_words(last: Record | None) -> str:
    if last is None:
        return "never"
    told = last.reason or _counts(last) or "nobody is signed in"
    ago = duration(max(0.0, time.time() - last.finished_at))
    return f"{moment(last.finished_at)}, {ago} ago: {told}"


def _counts(record: Record) -> str:
    results = [note.outcome for note in record.profiles.values()]
    words = [word for word in ("renewed", "fresh", "failed") if word in results]
    return ", ".join(f"{results.count(word)} {word}" for word in words)


upkeep = Group(
    "upkeep",
    help="Have sign-ins renewed by a schedule, so that no agent has to.",
    commands=[enable, disable, status, run],
)
