"""`Job`: the command line that a scheduler starts, and what a scheduler says of it."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from twg.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

EVERY_MINUTES: Final = 12
DESCRIPTION: Final = "Renew sign-ins of twg that are nearly due"
MADE_BY: Final = "Made by `twg upkeep enable`; `twg upkeep disable` removes it."

# -P: a scheduler starts us in the person's home, where no module is to be found by accident.
_WORDS: Final = ("-P", "-m", "twg", "upkeep", "run")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a scheduler starts. It holds no secret: anybody who may see schedules sees it.

    Attributes:
        interpreter: The absolute path of the Python that has twg.
        variables: Where twg's directories are, unless they are where they are by default.

    Raises:
        ConfigError: A path has control characters, which no schedule can hold, or is not absolute.
    """

    interpreter: str
    variables: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for path in (self.interpreter, *self.variables.values()):
            if not Path(path).is_absolute() or any(map(_is_control, path)):
                raise ConfigError(
                    f"a schedule cannot hold the path {path!r}",
                    "Use a directory with an absolute path and an ordinary name.",
                )

    @property
    def argv(self) -> tuple[str, ...]:
        """The command line."""
        return (self.interpreter, *_WORDS)

    @classmethod
    def parsed(cls, argv: Sequence[str], assignments: Sequence[str]) -> Job | None:
        """Return the job with this command line and these ``NAME=value``; None for another's."""
        if tuple(argv[1:]) != _WORDS:
            return None
        pairs = (each.partition("=") for each in assignments)
        try:
            return cls(interpreter=argv[0], variables={name: value for name, _, value in pairs})
        except ConfigError:
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A job that a scheduler has.

    Attributes:
        scheduler: Which one: ``systemd``, ``launchd`` or ``cron``.
        where: The file it stands in, or the command that shows it.
        job: What is started; None if what stands there cannot be read as ours any more.
        loaded: Whether the scheduler will start it.
        next_run: When, in Unix seconds; None if it does not say.
        hints: What a person may want to know of it.
    """

    scheduler: str
    where: str
    job: Job | None
    loaded: bool
    next_run: float | None = None
    hints: tuple[str, ...] = ()


class Scheduler(Protocol):
    """A scheduler of the system's, for this person alone."""

    @property
    def name(self) -> str:
        """The name by which people know it."""

    async def enable(self, job: Job) -> None:
        """Have `job` started from now on, and see that it will be; what was before is replaced.

        Raises:
            SchedulerFailed: It will not be. Nothing new is left behind.
            UnsafeFile: What stands in its place is not ours.
            FileUnwritable: The file system refuses.
        """

    async def disable(self) -> bool:
        """Remove what `enable` made and nothing else; False if there was nothing.

        Raises:
            SchedulerFailed: It is still there.
            FileUnwritable: The file system refuses.
        """

    async def find(self) -> Found | None:
        """Return the job as it stands, or None.

        Raises:
            SchedulerFailed: It does not say.
        """


def _is_control(character: str) -> bool:
    return unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}
