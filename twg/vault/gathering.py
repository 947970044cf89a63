"""`Gathering`: one thread does at once what many tasks and threads ask for at the same moment.

Work that costs the same for one as for a thousand (to wait for a lock, to open, to replace, to
sync) should be done once for all who wait. So who asks goes into a queue; where no thread is at
it, one is started. It takes all that wait, does them together, answers each, and looks again,
until none is left. Who comes in the meantime waits for the next round, and so is never served by
work that began before they asked: what they read is as new as their question.

Many who are answered at once ask again one after the other. Dear work had better not begin with the
first of them: it waits as long as each turn of their event loop brings more, so that one round has
them all.

The answers of a round go out together, one call for each event loop that waits for any: to wake it
for each would take turns with the very tasks that it woke. The queue belongs to no event loop, so
tasks of several loops share it. Cancelled while still in
the queue, an errand leaves; once begun, it is finished, whoever waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from collections import defaultdict
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

W = TypeVar("W")

_MOMENT: Final = 0.001
_LONGEST_TURN: Final = 0.05
_MOST_TURNS: Final = 20


class Errand(Generic[W]):
    """What one task asked for, and the way its answer goes.

    Args:
        work: What to do, as the gathering's worker understands it.

    Attributes:
        loop: The event loop of who asked.
        left: Whether who asked was cancelled before it was begun.
    """

    def __init__(self, work: W) -> None:
        self.work = work
        self.loop = asyncio.get_running_loop()
        self.left = False
        self._waiter: asyncio.Future[Any] = self.loop.create_future()
        self._end: Callable[[], None] | None = None
        # Of who begins it and who leaves, in two threads, one finds it there to take away.
        self._waits = [True]

    def await_turn(self) -> None:
        """Wait a moment and until who asks in the same event loop had a turn, if it takes turns."""
        time.sleep(_MOMENT)
        turned = threading.Event()
        with contextlib.suppress(RuntimeError):  # it is closed
            self.loop.call_soon_threadsafe(turned.set)
            turned.wait(_LONGEST_TURN)

    def begin(self) -> bool:
        """Begin it, unless who asked has left: from here on it is done to the end."""
        try:
            return self._waits.pop()
        except IndexError:
            return False

    def answer(self, result: Any) -> None:
        """Give its result to who asked, once the round is done."""
        self._end = partial(self._waiter.set_result, result)

    def fail(self, error: BaseException) -> None:
        """Raise `error` where it was asked for, unless there is an answer already."""
        self.begin()
        if self._end is None and not self.left:
            self._end = partial(self._waiter.set_exception, error)

    def hand_over(self) -> None:
        """Give who asked what it came to, if they wait for it still; in their event loop."""
        if self._end is not None and not self._waiter.done():
            self._end()

    async def outcome(self) -> Any:
        """Wait for the answer, in the event loop of who asked."""
        try:
            return await self._waiter
        except asyncio.CancelledError:
            self.left = self.begin()
            raise


class Gathering(Generic[W]):
    """A queue of errands, and a thread for as long as there are any.

    Args:
        name: The thread's name.
        do: Does all errands of a round, each begun first and then answered; what it raises, all
            that are unanswered get.
        daemon: The interpreter does not wait at its end for what is under way.
        patient: A round waits before it begins, a turn at first and then as long as more come.
    """

    def __init__(
        self,
        name: str,
        do: Callable[[Sequence[Errand[W]]], None],
        *,
        daemon: bool = False,
        patient: bool = False,
    ) -> None:
        self._name = name
        self._do = do
        self._daemon = daemon
        self._patient = patient
        self._queue: _Queue[W] = _Queue()

    async def ask(self, work: W) -> Any:
        """Have `work` done in the next round; return its answer, or raise what it raised."""
        if self._queue.process != os.getpid():
            # A forked child has the queue, perhaps locked for ever, but not the thread.
            self._queue = _Queue()
        errand = Errand(work)
        if self._queue.put(errand):
            self._start(self._queue)
        return await errand.outcome()

    def _start(self, queue: _Queue[W]) -> None:
        run = partial(copy_context().run, self._run, queue)
        try:
            threading.Thread(target=run, name=self._name, daemon=self._daemon).start()
        except RuntimeError as error:
            # There can be no more threads: nobody must wait for this one.
            while errands := queue.take():
                for each in errands:
                    each.fail(error)
                _hand_over(errands)

    def _run(self, queue: _Queue[W]) -> None:
        while errands := self._next(queue):
            try:
                self._do(errands)
            except BaseException as error:  # noqa: BLE001 - whatever it is, who asked gets it
                for each in errands:
                    each.fail(error)
            _hand_over(errands)

    def _next(self, queue: _Queue[W]) -> list[Errand[W]]:
        if self._patient:
            queue.settle()
        return queue.take()


class _Queue(Generic[W]):
    """Errands that wait, and whether a thread is at them; of one process."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self._mutex = threading.Lock()
        self._waiting: list[Errand[W]] = []
        self._worked = False

    def put(self, errand: Errand[W]) -> bool:
        """Add an errand; tell whether a thread is wanted for it."""
        with self._mutex:
            self._waiting.append(errand)
            wanted, self._worked = not self._worked, True
        return wanted

    def settle(self) -> None:
        """Return once a turn of the last one's event loop brings no more, or after many turns."""
        seen = 0
        for _ in range(_MOST_TURNS):
            waiting = len(self._waiting)
            if waiting == seen:
                return
            seen = waiting
            self._waiting[-1].await_turn()

    def take(self) -> list[Errand[W]]:
        """Return all that wait; with none, the thread that asked is done."""
        with self._mutex:
            taken, self._waiting = self._waiting, []
            self._worked = bool(taken)
        return taken


def _hand_over(errands: Iterable[Errand[W]]) -> None:
    """Have each event loop give its tasks their answers."""
    of_loops: defaultdict[asyncio.AbstractEventLoop, list[Errand[W]]] = defaultdict(list)
    for each in errands:
        of_loops[each.loop].append(each)
    for loop, theirs in of_loops.items():
        with contextlib.suppress(RuntimeError):  # it is closed
            loop.call_soon_threadsafe(_hand_over_here, theirs)


def _hand_over_here(errands: Iterable[Errand[W]]) -> None:
    for each in errands:
        each.hand_over()
