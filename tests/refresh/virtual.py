"""An event loop whose time passes by itself, as soon as nobody has anything else to do."""

from __future__ import annotations

import asyncio
import selectors
from typing import Any


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop with a clock of its own, for work that needs no other than its tasks."""

    def __init__(self) -> None:
        self._now = 1000.0
        super().__init__(_Hasty(self))

    def time(self) -> float:
        """Return the loop's own time in seconds."""
        return self._now

    def pass_by(self, seconds: float) -> None:
        """Let time pass."""
        self._now += seconds

    async def quiet(self) -> None:
        """Wait until every other task waits for something that does not come by itself."""
        ready: Any = self._ready  # type: ignore[attr-defined]  # what asyncio itself goes by
        await asyncio.sleep(0)
        while ready:  # noqa: ASYNC110 - it is the others that this waits for
            await asyncio.sleep(0)


class _Hasty(selectors.DefaultSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[Any]:
        found: list[Any] = super().select(0)
        if not found:
            if timeout is None:
                raise AssertionError("everyone waits, and nothing will ever come")
            self._loop.pass_by(max(timeout, 0.0))
        return found
