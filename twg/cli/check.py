"""`Check`, a line of the doctor's, and `side_by_side`, which looks at all at once, each in time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import anyio

from twg.cli.failure import failure_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

Status = Literal["ok", "failed", "note"]

MARKS: Final[dict[Status, str]] = {"ok": "✔", "failed": "✘", "note": "·"}
SECONDS: Final = 40.0
"""More than anything in a look waits for by itself: what gives up by its own limit says why."""


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

    def lines(self) -> list[str]:
        """Return it as text; what failed is told once more at the end, with what to do."""
        told = [f"{MARKS[self.status]} {self.name:12} {self.detail}"]
        return [*told, f"  {'':12} {self.fix}"] if self.fix and self.status == "note" else told

    @property
    def with_fix(self) -> str:
        """What was found, and what to do, in a line."""
        return f"{self.detail}. {self.fix}" if self.fix else self.detail


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What finds a check or several.

    Attributes:
        name: The check's, should it find none in time.
        find: Finds them; what it raises is one that failed.
        seconds: How long it may take.
    """

    name: str
    find: Callable[[], Awaitable[Sequence[Check]]]
    seconds: float = SECONDS


async def side_by_side(lanes: Sequence[Sequence[Look]]) -> list[Check]:
    """Look at all lanes at once, and at what is in a lane one after the other.

    Returns:
        What was found, in the order of the lanes.
    """
    found: list[list[Check]] = [[] for _ in lanes]

    async def through(lane: Sequence[Look], checks: list[Check]) -> None:
        for look in lane:
            checks += await _in_time(look)

    async with anyio.create_task_group() as tasks:
        for lane, checks in zip(lanes, found, strict=True):
            tasks.start_soon(through, lane, checks)
    return [check for checks in found for check in checks]


def failed(name: str, error: BaseException) -> Check:
    """Return the check that an error is."""
    failure = failure_of(error)
    return Check(name=name, status="failed", detail=failure.message, fix=failure.remediation)


async def _in_time(look: Look) -> Sequence[Check]:
    with anyio.move_on_after(look.seconds):
        try:
            return await look.find()
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one, the others stand
            return [failed(look.name, error)]
    return [
        Check(
            name=look.name,
            status="failed",
            detail=f"this check hangs: it was given up after {look.seconds:g} seconds",
            fix="The other checks stand. `twg doctor --verbose` shows how far it comes.",
        )
    ]
