"""A timer of systemd's user manager, and the service that it starts."""

from __future__ import annotations

import contextlib
import os
import shlex
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from anyio import to_thread

from guard.errors import UnsafeFile
from twg.upkeep import entry_files
from twg.upkeep.errors import SchedulerFailed
from twg.upkeep.job import DESCRIPTION, EVERY_MINUTES, MADE_BY, Found, Job

if TYPE_CHECKING:
    from pathlib import Path

    from twg.upkeep.programs import Programs

SERVICE: Final = "twg-upkeep.service"
TIMER: Final = "twg-upkeep.timer"

_UNNAMEABLE: Final = frozenset("\"'\\")

_SHOWN: Final = "--property=ActiveState,NextElapseUSecRealtime"
_NO_SESSION: Final = (
    "Run `loginctl enable-linger` so that systemd serves you, then `twg upkeep enable` again."
)


def service_text(job: Job) -> str:
    """Return the unit that does one run.

    Raises:
        SchedulerFailed: The interpreter's path has quotes or backslashes, which systemd refuses in
            a program's name however they are escaped.
    """
    if _UNNAMEABLE.intersection(job.interpreter):
        raise SchedulerFailed("systemd", f"it starts no program of such a path: {job.interpreter}")
    lines = [f"# {MADE_BY}", "[Unit]", f"Description={DESCRIPTION}", "", "[Service]"]
    lines += ["Type=oneshot", "TimeoutStartSec=5min", "UMask=0077"]
    lines += [f"Environment={_quoted(f'{name}={job.variables[name]}')}" for name in job.variables]
    # The colon keeps `$` from meaning a variable, in the path of the program too. It is left out
    # where it is not needed: systemd before 244 does not know it.
    plain = ":" if any("$" in word for word in job.argv) else ""
    program, *words = job.argv
    lines += [f"ExecStart={plain}{' '.join([_quoted(program), *words])}", ""]
    return "\n".join(lines)


def timer_text() -> str:
    """Return the unit that starts it: a minute after login, then by the clock.

    By the clock, for a monotonic timer stands still while the machine sleeps. The delay keeps all
    the world from asking the provider in the same second.
    """
    return (
        f"# {MADE_BY}\n[Unit]\nDescription={DESCRIPTION}\n\n"
        f"[Timer]\nOnStartupSec=1min\nOnCalendar=*:0/{EVERY_MINUTES}\n"
        "AccuracySec=30s\nRandomizedDelaySec=1min\n\n"
        "[Install]\nWantedBy=timers.target\n"
    )


def job_in(service: str) -> Job | None:
    """Return the job of a service's text; None if it cannot be read."""
    values: dict[str, list[str]] = {"ExecStart": [], "Environment": []}
    for line in service.splitlines():
        name, _, value = line.partition("=")
        if name in values:
            with contextlib.suppress(ValueError):
                values[name] += _words_in(value.removeprefix(":"))
    return Job.parsed(values["ExecStart"], values["Environment"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Systemd:
    """The user manager of systemd.

    Attributes:
        directory: Where the person's units are.
        programs: What runs `systemctl` and `loginctl`.
        uid: The person.
    """

    directory: Path
    programs: Programs
    uid: int

    @property
    def name(self) -> str:
        """The name by which people know it."""
        return "systemd"

    async def enable(self, job: Job) -> None:
        """Write both units and start the timer; see `Scheduler`."""
        before = await self._texts()
        service = service_text(job)
        await entry_files.write(self.directory / SERVICE, service.encode())
        try:
            await entry_files.write(self.directory / TIMER, timer_text().encode())
            await self._start()
        except (SchedulerFailed, UnsafeFile):
            if not any(before):
                await self._remove()
            raise

    async def disable(self) -> bool:
        """Stop the timer and remove both units; see `Scheduler`."""
        if not any(await self._texts()):
            return False
        with contextlib.suppress(SchedulerFailed):
            await self._control("disable", "--now", TIMER)
        await self._remove()
        await self._check_stopped()
        return True

    async def find(self) -> Found | None:
        """Return the timer as it stands; see `Scheduler`."""
        service, timer = await self._texts()
        if service is None and timer is None:
            return None
        shown = await self._shown()
        return Found(
            scheduler=self.name,
            where=str(self.directory / TIMER),
            job=job_in((service or b"").decode(errors="replace")),
            loaded=shown.get("ActiveState") == "active",
            next_run=_moment(shown.get("NextElapseUSecRealtime", "")),
            hints=await self._hints(),
        )

    async def _texts(self) -> tuple[bytes | None, bytes | None]:
        service = await entry_files.read(self.directory / SERVICE)
        return service, await entry_files.read(self.directory / TIMER)

    async def _start(self) -> None:
        await self._control("daemon-reload")
        await self._control("enable", TIMER)
        # Restarted: one that runs already would keep its former times.
        await self._control("restart", TIMER)
        if not await self._is_active():
            raise SchedulerFailed(self.name, f"{TIMER} was started and is not active")

    async def _check_stopped(self) -> None:
        try:
            await self._control("daemon-reload")
            goes_on = await self._is_active()
        except SchedulerFailed:
            return  # a manager that cannot be asked runs nothing, and finds nothing when it starts
        if goes_on:
            why = "the timer's files are removed, but it goes on until it is stopped"
            raise SchedulerFailed(self.name, why, f"Run `systemctl --user stop {TIMER}`.")

    async def _remove(self) -> None:
        await entry_files.remove(self.directory / SERVICE)
        await entry_files.remove(self.directory / TIMER)
        # What `enable` linked, where systemd cannot be asked to undo it.
        wanted = self.directory / "timers.target.wants" / TIMER
        await to_thread.run_sync(_unlink_broken, wanted)

    async def _control(self, *words: str) -> None:
        try:
            await self.programs.must("systemctl", "--user", *words)
        except SchedulerFailed as error:
            remedy = _NO_SESSION if "bus" in error.why else None
            raise SchedulerFailed(self.name, error.why, remedy) from error

    async def _is_active(self) -> bool:
        answer = await self.programs.run("systemctl", "--user", "is-active", TIMER)
        return answer.out.strip() == "active"

    async def _shown(self) -> dict[str, str]:
        try:
            answer = await self.programs.run("systemctl", "--user", "show", TIMER, _SHOWN)
        except SchedulerFailed:
            return {}
        pairs = (line.partition("=") for line in answer.out.splitlines())
        return {name: value for name, _, value in pairs}

    async def _hints(self) -> tuple[str, ...]:
        words = ("show-user", str(self.uid), "--property=Linger", "--value")
        try:
            answer = await self.programs.run("loginctl", *words)
        except SchedulerFailed:
            return ()
        if answer.out.strip() != "no":
            return ()
        return ("It runs while you are logged in; `loginctl enable-linger` has it run always.",)


def _quoted(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'


def _words_in(text: str) -> list[str]:
    # A shell reads our double quotes and backslashes as systemd does.
    return [word.replace("%%", "%") for word in shlex.split(text)]


def _moment(text: str) -> float | None:
    try:
        return datetime.strptime(
            text.replace(" UTC", " +0000"), "%a %Y-%m-%d %H:%M:%S %z"
        ).timestamp()
    except ValueError:
        return None


def _unlink_broken(link: Path) -> None:
    if link.is_symlink() and not os.path.exists(link):  # noqa: PTH110 - the link's target
        with contextlib.suppress(OSError):
            link.unlink()
