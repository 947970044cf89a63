"""`Settling`: of many tasks that wait for a sync, one has it done for all."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyio import Event


class Settling:
    """Syncs in a thread, once for all tasks of one event loop that asked before it began.

    Args:
        sync: Does it; what it raises, who had it done gets, and the others try for themselves.
    """

    def __init__(self, sync: Callable[[], None]) -> None:
        self._sync = sync
        self._asked = 0
        self._served = 0
        self._under_way: Event | None = None

    async def settle(self) -> None:
        """Return once a sync is done that began after this was called."""
        self._asked += 1
        mine = self._asked
        while self._served < mine:
            if self._under_way is None:
                await self._have_it_done()
            else:
                await self._under_way.wait()

    async def _have_it_done(self) -> None:
        import anyio  # noqa: PLC0415 - only where something is sent

        done = self._under_way = anyio.Event()
        served = self._asked
        try:
            await anyio.to_thread.run_sync(self._sync)
            self._served = served
        finally:
            self._under_way = None
            done.set()
