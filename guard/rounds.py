"""`Rounds`: what many threads want done, the one whose turn it is does for all that wait.

Work that costs the same for one as for a hundred (to take a lock, to write, to sync) should be done
once for all. Here the callers wait anyway, so no thread is needed beside theirs: each puts its
work down and waits for its turn, and most find it done by then.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

W = TypeVar("W")


class _Errand(Generic[W]):
    """What one thread wants, and what came of it."""

    __slots__ = ("done", "error", "work")

    def __init__(self, work: W) -> None:
        self.work = work
        self.done = False
        self.error: BaseException | None = None


class Rounds(Generic[W]):
    """Threads that do each other's work.

    Args:
        do: Does all the work of a round, in the order in which it was asked for; what it raises,
            each who asked gets.
    """

    def __init__(self, do: Callable[[Sequence[W]], None]) -> None:
        self._do = do
        self._turn = threading.Lock()
        self._waiting: deque[_Errand[W]] = deque()

    def ask(self, work: W) -> None:
        """Have `work` done, and return once it is.

        It waits for the round under way, and for its own.
        """
        if not self._waiting and not self._turn.locked():
            # Nobody else is here, most often so; whoever comes between only goes before.
            with self._turn:
                self._do([work])
            return
        errand = _Errand(work)
        self._waiting.append(errand)
        with self._turn:
            if not errand.done:
                self._round()
        if errand.error is not None:
            raise errand.error

    def _round(self) -> None:
        # Only this thread takes any away; whoever comes now is in the next round.
        round_ = [self._waiting.popleft() for _ in range(len(self._waiting))]
        error: BaseException | None = None
        try:
            self._do([each.work for each in round_])
        except BaseException as raised:  # noqa: BLE001 - whatever it is, who asked gets it
            error = raised
        for each in round_:
            each.error = error
            each.done = True
