"""`Gathering`: rounds, answers, leaving, and threads."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import anyio
import pytest
from anyio import lowlevel, to_thread

from twg.vault.gathering import Errand, Gathering

if TYPE_CHECKING:
    from collections.abc import Sequence


class Rounds:
    """Does errands by doubling them; the first round waits until it is let go."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.reached = threading.Event()
        self.go = threading.Event()

    def do(self, errands: Sequence[Errand[int]]) -> None:
        self.reached.set()
        assert self.go.wait(30)
        begun = [each for each in errands if each.begin()]
        self.sizes.append(len(begun))
        for each in begun:
            if each.work < 0:
                raise ValueError("below zero")
            each.answer(2 * each.work)


async def test_who_comes_while_a_round_is_on_is_in_the_next() -> None:
    rounds = Rounds()
    gathering = Gathering("it", rounds.do)
    answers: dict[int, int] = {}

    async def ask(number: int) -> None:
        answers[number] = await gathering.ask(number)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask, 0)
        await to_thread.run_sync(rounds.reached.wait)
        for number in range(1, 100):
            tasks.start_soon(ask, number)
        await anyio.wait_all_tasks_blocked()
        rounds.go.set()

    assert rounds.sizes == [1, 99]
    assert answers == {number: 2 * number for number in range(100)}


async def test_what_the_round_raises_all_that_are_unanswered_get() -> None:
    rounds = Rounds()
    gathering = Gathering("it", rounds.do)
    ends: dict[int, object] = {}

    async def ask(number: int) -> None:
        try:
            ends[number] = await gathering.ask(number)
        except ValueError as error:
            ends[number] = str(error)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask, 1)
        await to_thread.run_sync(rounds.reached.wait)
        for number in (2, -3, 4):
            tasks.start_soon(ask, number)
            await anyio.wait_all_tasks_blocked()
        rounds.go.set()

    assert ends == {1: 2, 2: 4, -3: "below zero", 4: "below zero"}
    assert await gathering.ask(5) == 10


async def test_cancelled_in_the_queue_it_is_not_done_and_begun_it_is() -> None:
    done: list[int] = []
    reached, go = threading.Event(), threading.Event()

    def do(errands: Sequence[Errand[int]]) -> None:
        for each in errands:
            if each.begin():
                reached.set()
                assert go.wait(30)
                done.append(each.work)
                each.answer(None)

    gathering = Gathering("it", do)
    begun = asyncio.create_task(gathering.ask(1))
    await to_thread.run_sync(reached.wait)
    waiting = asyncio.create_task(gathering.ask(2))
    await anyio.wait_all_tasks_blocked()
    for each in (begun, waiting):
        each.cancel()
        with pytest.raises(asyncio.CancelledError):
            await each
    go.set()
    await gathering.ask(3)

    assert done == [1, 3]


async def test_loops_of_several_threads_share_the_queue() -> None:
    rounds = Rounds()
    rounds.go.set()
    gathering = Gathering("it", rounds.do)
    answers: list[int] = []

    def alone(number: int) -> None:
        answers.append(asyncio.run(gathering.ask(number)))

    async with anyio.create_task_group() as tasks:
        for number in range(8):
            tasks.start_soon(to_thread.run_sync, alone, number)

    assert sorted(answers) == [2 * number for number in range(8)]


async def test_a_forked_child_does_not_wait_for_its_parents_thread() -> None:
    rounds = Rounds()
    rounds.go.set()
    gathering = Gathering("it", rounds.do)
    # As fork leaves it: the parent's thread was at work, and the queue locked at that moment.
    gathering._queue.process = -1
    gathering._queue._worked = True
    gathering._queue._mutex.acquire()

    assert await gathering.ask(1) == 2


async def test_the_thread_ends_with_the_last_errand() -> None:
    threads: list[threading.Thread] = []

    def do(errands: Sequence[Errand[int]]) -> None:
        threads.append(threading.current_thread())
        for each in errands:
            each.begin()
            each.answer(None)

    await Gathering("it", do).ask(1)

    threads[0].join(30)
    assert not threads[0].is_alive()


async def test_where_no_thread_can_be_started_nobody_waits_for_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rounds = Rounds()
    rounds.go.set()
    gathering = Gathering("it", rounds.do)

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="new thread"):
            await gathering.ask(1)

    assert await gathering.ask(2) == 4


async def test_a_patient_round_has_all_who_come_one_turn_after_the_other() -> None:
    rounds = Rounds()
    rounds.go.set()
    gathering = Gathering("it", rounds.do, patient=True)

    async def ask(number: int) -> None:
        for _ in range(number):
            await lowlevel.checkpoint()
        await gathering.ask(number)

    async with anyio.create_task_group() as tasks:
        for number in range(8):
            tasks.start_soon(ask, number)

    assert rounds.sizes == [8]


async def test_nobody_waits_for_a_turn_of_a_loop_that_ended() -> None:
    async def made() -> Errand[int]:
        return Errand(1)

    errand = await to_thread.run_sync(asyncio.run, made())

    await to_thread.run_sync(errand.await_turn)
