"""Threads that do each other's work."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from guard.rounds import Rounds

if TYPE_CHECKING:
    from collections.abc import Sequence


class Worker:
    """Does rounds; the first one waits until others are waiting for the second."""

    def __init__(self, failing: Exception | None = None) -> None:
        self.rounds: list[tuple[int, ...]] = []
        self.begun = threading.Event()
        self.go_on = threading.Event()
        self._failing = failing

    def do(self, work: Sequence[int]) -> None:
        self.rounds.append(tuple(work))
        if not self.begun.is_set():
            self.begun.set()
            self.go_on.wait(60)
        elif self._failing is not None:
            raise self._failing


def asked_of(worker: Worker, count: int) -> list[Exception]:
    """Ask once, and for `count` more while that is done; return what was raised."""
    raised: list[Exception] = []
    rounds = Rounds(worker.do)

    def ask(number: int) -> None:
        try:
            rounds.ask(number)
        except LookupError as error:
            raised.append(error)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(count + 1)]
    threads[0].start()
    assert worker.begun.wait(60)
    for number, thread in enumerate(threads[1:], start=1):
        thread.start()
        deadline = time.monotonic() + 60
        while len(rounds._waiting) < number:
            assert time.monotonic() < deadline
            time.sleep(0.001)
    worker.go_on.set()
    for thread in threads:
        thread.join()
    return raised


def test_one_does_what_all_others_wait_for_in_their_order() -> None:
    worker = Worker()
    assert asked_of(worker, 5) == []
    assert worker.rounds == [(0,), (1, 2, 3, 4, 5)]


def test_a_failure_is_raised_where_that_round_was_asked_for_and_nowhere_else() -> None:
    failure = LookupError("nothing there")
    assert asked_of(Worker(failure), 3) == [failure] * 3


def test_the_next_round_is_none_the_worse_for_it() -> None:
    done: list[int] = []

    def do(work: Sequence[int]) -> None:
        if work == [0]:
            raise LookupError
        done.extend(work)

    rounds = Rounds(do)
    for number in range(3):
        try:
            rounds.ask(number)
        except LookupError:
            assert number == 0
    assert done == [1, 2]
