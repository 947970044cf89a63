"""Ways to run tasks: unbroken by cancellation, or several of which the first one counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar, cast

import anyio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class End(Generic[T]):
    """How some work ended: what it returned or raised, carried out of its task as it is.

    A task group would wrap what was raised.
    """

    value: T | None = None
    error: Exception | None = None

    @classmethod
    async def of(cls, work: Callable[[], Awaitable[T]]) -> End[T]:
        """Do `work` and tell how it ended."""
        try:
            return cls(await work())
        except Exception as error:  # noqa: BLE001 - `result` raises it
            return cls(error=error)

    def result(self) -> T:
        """Return what was returned, or raise what was raised."""
        if self.error is not None:
            raise self.error
        return cast("T", self.value)


async def unbroken(work: Callable[[], Awaitable[T]]) -> T:
    """Do `work` to its end; only then does a cancellation count that came meanwhile.

    In a task of its own, because a cancel scope's shield holds off anyio's cancellation alone, not
    asyncio's, by which Ctrl-C and `asyncio.wait_for` reach the caller's task.
    """
    ends: list[End[T]] = []

    async def run() -> None:
        with anyio.CancelScope(shield=True):
            ends.append(await End.of(work))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
    return ends[0].result()


async def first_of(*ways: Callable[[], Awaitable[T]]) -> T:
    """Go all `ways` at once; return or raise what the first to end does, and cancel the others."""
    ends: list[End[T]] = []

    async def go(way: Callable[[], Awaitable[T]]) -> None:
        ends.append(await End.of(way))
        tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        for way in ways:
            tasks.start_soon(go, way)
    return ends[0].result()
