"""A line in the person's crontab; every other line stays as it is, byte for byte."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from twg.upkeep.errors import SchedulerFailed
from twg.upkeep.job import EVERY_MINUTES, Found, Job

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from twg.upkeep.programs import Programs

MARK: Final = "# twg-upkeep"

_TIMES: Final = f"*/{EVERY_MINUTES} * * * *"
# Cron mails what a job says, and every 12 minutes is often: `twg upkeep status` tells it.
_SILENT: Final = ">/dev/null 2>&1"
_EMPTY: Final = ("no crontab for", "no such file or directory")


def line_of(job: Job) -> str:
    """Return the line, which a shell reads once cron has.

    Raises:
        SchedulerFailed: A path has a backslash, which crons read in different ways.
    """
    variables = [f"{name}={shlex.quote(value)}" for name, value in job.variables.items()]
    command = " ".join([*variables, shlex.join(job.argv), _SILENT])
    if "\\" in command:
        raise SchedulerFailed("cron", "a crontab cannot hold a path with a backslash")
    # An unescaped per cent sign ends the command there.
    escaped = command.replace("%", r"\%")
    return f"{_TIMES} {escaped} {MARK}"


def job_in(line: str) -> Job | None:
    """Return the job of a line of ours; None if it cannot be read."""
    command = line.removeprefix(_TIMES).removesuffix(MARK).strip().removesuffix(_SILENT)
    try:
        words = shlex.split(command.replace(r"\%", "%"))
    except ValueError:
        return None
    count = next((at for at, word in enumerate(words) if word.startswith("/")), len(words))
    return Job.parsed(words[count:], words[:count]) if count < len(words) else None


def is_ours(line: str) -> bool:
    """Tell whether a line of a crontab is ours, also where it was commented out."""
    return line.rstrip().endswith(f" {MARK}") and " twg upkeep run " in line


def without_ours(crontab: str) -> str:
    """Return a crontab without lines of ours."""
    # By line feeds alone, as cron does; `splitlines` knows more ends of lines.
    return "\n".join(line for line in crontab.split("\n") if not is_ours(line))


def with_ours(crontab: str, line: str) -> str:
    """Return a crontab with this line of ours and no other one."""
    rest = without_ours(crontab)
    if rest and not rest.endswith("\n"):
        rest += "\n"
    return f"{rest}{line}\n"


def next_run(now: datetime) -> datetime:
    """Return when cron starts it next, in the clock's own zone."""
    minute = now.replace(second=0, microsecond=0)
    return minute + timedelta(minutes=EVERY_MINUTES - minute.minute % EVERY_MINUTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cron:
    """The person's crontab.

    Attributes:
        programs: What runs `crontab`.
        clock: The local time.
    """

    programs: Programs
    clock: Callable[[], datetime]

    @property
    def name(self) -> str:
        """The name by which people know it."""
        return "cron"

    async def enable(self, job: Job) -> None:
        """Put the line into the crontab; see `Scheduler`."""
        line = line_of(job)
        before = await self._read()
        wanted = with_ours(before, line)
        if wanted != before:
            await self._replace(wanted)
        if line not in (await self._read()).split("\n"):
            raise SchedulerFailed(self.name, "`crontab -l` does not show what was put in")

    async def disable(self) -> bool:
        """Take the line out of the crontab; see `Scheduler`."""
        if self.programs.path_of("crontab") is None:
            return False
        before = await self._read()
        rest = without_ours(before)
        if rest == before:
            return False
        await self._replace(rest)
        return True

    async def find(self) -> Found | None:
        """Return the line as it stands; see `Scheduler`."""
        if self.programs.path_of("crontab") is None:
            return None
        ours = [line for line in (await self._read()).split("\n") if is_ours(line)]
        if not ours:
            return None
        active = [line for line in ours if line.startswith(_TIMES)]
        return Found(
            scheduler=self.name,
            where="crontab -l",
            job=job_in((active or ours)[0]),
            loaded=bool(active),
            next_run=next_run(self.clock()).timestamp() if active else None,
        )

    async def _read(self) -> str:
        answer = await self.programs.run("crontab", "-l")
        if answer.status == 0:
            return answer.out
        # Anything else that it says is no reason to replace what may be there.
        if any(words in answer.err.lower() for words in _EMPTY):
            return ""
        raise SchedulerFailed(self.name, answer.words)

    async def _replace(self, crontab: str) -> None:
        words = ("-",) if crontab else ("-r",)
        try:
            await self.programs.must("crontab", *words, given=crontab)
        except SchedulerFailed as error:
            raise SchedulerFailed(self.name, error.why) from error
