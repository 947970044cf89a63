"""Work that no cancellation breaks, and ways of which the first one counts."""

from __future__ import annotations

import asyncio

import anyio
import pytest

from twg.auth.tasks import first_of, unbroken


class Work:
    """Something that takes until it is let go."""

    def __init__(self) -> None:
        self.begun = anyio.Event()
        self.let_go = anyio.Event()
        self.done = False

    async def __call__(self) -> str:
        self.begun.set()
        await self.let_go.wait()
        self.done = True
        return "done"


async def test_unbroken_returns_what_the_work_returns() -> None:
    work = Work()
    work.let_go.set()
    assert await unbroken(work) == "done"


async def test_unbroken_raises_what_the_work_raises_as_it_is() -> None:
    async def fail() -> None:
        raise KeyError("as it is")

    with pytest.raises(KeyError, match="as it is"):
        await unbroken(fail)


async def test_a_cancel_scope_takes_effect_after_the_work() -> None:
    """H-D7: what was begun is finished first."""
    work = Work()
    after = False
    async with anyio.create_task_group() as tasks:

        async def run() -> None:
            nonlocal after
            await unbroken(work)
            after = True

        tasks.start_soon(run)
        await work.begun.wait()
        tasks.cancel_scope.cancel()
        work.let_go.set()
    assert work.done
    assert not after


async def test_asyncios_own_cancellation_takes_effect_after_the_work() -> None:
    """H-D7: Ctrl-C comes this way, which a shielded scope alone does not hold off."""
    work = Work()
    task = asyncio.create_task(unbroken(work))
    await work.begun.wait()
    for _ in range(3):
        task.cancel()
        await anyio.lowlevel.checkpoint()
    assert not task.done()
    work.let_go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert work.done


async def test_work_is_done_even_if_cancelled_before_it_begins() -> None:
    work = Work()
    work.let_go.set()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await unbroken(work)
    assert work.done


async def test_the_first_way_counts_and_the_others_are_cancelled() -> None:
    slow, ended = Work(), []

    async def watched() -> str:
        try:
            return await slow()
        finally:
            ended.append("slow")

    async def quick() -> str:
        await slow.begun.wait()
        return "quick"

    assert await first_of(watched, quick) == "quick"
    assert ended == ["slow"]
    assert not slow.done


async def test_the_first_way_to_fail_counts_too_and_is_not_wrapped() -> None:
    slow = Work()

    async def fail() -> str:
        await slow.begun.wait()
        raise KeyError("as it is")

    with pytest.raises(KeyError, match="as it is"):
        await first_of(slow, fail)
    assert not slow.done
