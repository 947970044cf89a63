"""Runs the system's own programs: by name, with a deadline, never through a shell."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import anyio

from twg.upkeep.errors import SchedulerFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECONDS: Final = 20.0
_LONGEST_WORDS: Final = 200
# What they need to find the person's session. The time zone is left out: it is UTC, to be parsed.
_PASSED_ON: Final = (
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "XDG_RUNTIME_DIR",
    "XDG_CONFIG_HOME",
    "DBUS_SESSION_BUS_ADDRESS",
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a program answered.

    Attributes:
        status: Its exit status.
        out: Its standard output; bytes that are not UTF-8 are surrogates, as for file names.
        err: Its standard error, likewise.
    """

    status: int
    out: str
    err: str

    @property
    def words(self) -> str:
        """What it said, in a line."""
        text = " ".join((self.err.strip() or self.out.strip()).split())[:_LONGEST_WORDS]
        return text.encode(errors="replace").decode() or f"exit status {self.status}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Programs:
    """The programs on this person's PATH.

    Attributes:
        environ: The environment; what a program needs of it is passed on.
        seconds: How long one may take.
    """

    environ: Mapping[str, str]
    seconds: float = _SECONDS

    def path_of(self, name: str) -> str | None:
        """Return where a program is, or None. Relative directories on PATH do not count."""
        words = self.environ.get("PATH", os.defpath).split(os.pathsep)
        search = os.pathsep.join(word for word in words if os.path.isabs(word))  # noqa: PTH117 - a word, not a file
        return shutil.which(name, path=search)

    async def run(self, name: str, *arguments: str, given: str = "") -> Answer:
        """Run a program to its end.

        Args:
            name: Its name.
            arguments: Its arguments.
            given: Its standard input.

        Raises:
            SchedulerFailed: It is not there, cannot be started, or took too long and was ended.
        """
        path = self.path_of(name)
        if path is None:
            raise SchedulerFailed(name, "it is not installed")
        passed = {each: self.environ[each] for each in _PASSED_ON if each in self.environ}
        try:
            with anyio.fail_after(self.seconds):
                done = await anyio.run_process(
                    [path, *arguments],
                    input=given.encode(errors="surrogateescape"),
                    check=False,
                    env={**passed, "LC_ALL": "C", "TZ": "UTC"},
                )
        except TimeoutError:
            words = f"it did not answer within {self.seconds:.0f} seconds"
            raise SchedulerFailed(name, words) from None
        except OSError as error:
            raise SchedulerFailed(name, error.strerror or type(error).__name__) from error
        return Answer(done.returncode, _text(done.stdout), _text(done.stderr))

    async def must(self, name: str, *arguments: str, given: str = "") -> Answer:
        """Run a program that has to succeed.

        Raises:
            SchedulerFailed: It did not; what it said is told.
        """
        answer = await self.run(name, *arguments, given=given)
        if answer.status != 0:
            raise SchedulerFailed(name, answer.words)
        return answer


def _text(data: bytes) -> str:
    return data.decode(errors="surrogateescape")
