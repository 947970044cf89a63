"""Waits, with a deadline, for what no event announces."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

INTERVAL = 0.02
"""Seconds between two looks; how soon it is noticed, never whether."""


async def comes_true(condition: Callable[[], bool | Awaitable[bool]], seconds: float) -> bool:
    """Look until `condition` holds; return False if it did not within `seconds`."""
    with anyio.move_on_after(seconds):
        while not await _holds(condition):  # noqa: ASYNC110 - nothing would set an event
            await anyio.sleep(INTERVAL)
        return True
    return False


async def _holds(condition: Callable[[], bool | Awaitable[bool]]) -> bool:
    answer = condition()
    return await answer if inspect.isawaitable(answer) else answer
