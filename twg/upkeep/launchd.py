"""A LaunchAgent of macOS."""

from __future__ import annotations

import plistlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from twg.upkeep import entry_files
from twg.upkeep.errors import SchedulerFailed
from twg.upkeep.job import EVERY_MINUTES, MADE_BY, Found, Job

if TYPE_CHECKING:
    from pathlib import Path

    from twg.upkeep.programs import Programs

LABEL: Final = "twg.upkeep"


def plist(job: Job) -> bytes:
    """Return the property list: it runs at login, and every 12 minutes the machine is awake."""
    value: dict[str, Any] = {
        "Comment": MADE_BY,
        "Label": LABEL,
        "ProgramArguments": list(job.argv),
        "StartInterval": EVERY_MINUTES * 60,
        "RunAtLoad": True,
        "ProcessType": "Background",
        "Umask": 0o077,
        "StandardOutPath": "/dev/null",
        "StandardErrorPath": "/dev/null",
    }
    if job.variables:
        value["EnvironmentVariables"] = dict(job.variables)
    return plistlib.dumps(value)


def job_in(data: bytes) -> Job | None:
    """Return the job of a property list; None if it cannot be read."""
    try:
        value = plistlib.loads(data)
        argv = [str(word) for word in value["ProgramArguments"]]
        variables = value.get("EnvironmentVariables", {})
        return Job.parsed(argv, [f"{name}={variables[name]}" for name in variables])
    except Exception:  # noqa: BLE001 - whatever stands there; the parser has errors of many kinds
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Launchd:
    """The launchd of the person's login session.

    Attributes:
        directory: Where the person's agents are.
        programs: What runs `launchctl`.
        uid: The person.
    """

    directory: Path
    programs: Programs
    uid: int

    @property
    def name(self) -> str:
        """The name by which people know it."""
        return "launchd"

    async def enable(self, job: Job) -> None:
        """Write the agent and load it; see `Scheduler`."""
        before = await entry_files.read(self._path)
        await entry_files.write(self._path, plist(job))
        try:
            await self._load()
        except SchedulerFailed:
            if before is None:
                await entry_files.remove(self._path)
            raise

    async def disable(self) -> bool:
        """Unload the agent and remove it; see `Scheduler`."""
        if await entry_files.read(self._path) is None:
            return False
        loaded = await self._is_loaded()
        if loaded:
            await self._control("bootout", self._target)
        return await entry_files.remove(self._path) or loaded

    async def find(self) -> Found | None:
        """Return the agent as it stands; see `Scheduler`."""
        data = await entry_files.read(self._path)
        if data is None:
            return None
        return Found(
            scheduler=self.name,
            where=str(self._path),
            job=job_in(data),
            loaded=await self._is_loaded(),
        )

    async def _load(self) -> None:
        if await self._is_loaded():
            await self._control("bootout", self._target)
        await self._control("bootstrap", self._domain, str(self._path))
        if not await self._is_loaded():
            raise SchedulerFailed(self.name, f"{LABEL} was loaded and is not there")

    @property
    def _path(self) -> Path:
        return self.directory / f"{LABEL}.plist"

    @property
    def _domain(self) -> str:
        return f"gui/{self.uid}"

    @property
    def _target(self) -> str:
        return f"{self._domain}/{LABEL}"

    async def _control(self, *words: str) -> None:
        try:
            await self.programs.must("launchctl", *words)
        except SchedulerFailed as error:
            raise SchedulerFailed(self.name, error.why) from error

    async def _is_loaded(self) -> bool:
        return (await self.programs.run("launchctl", "print", self._target)).status == 0
