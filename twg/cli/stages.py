"""A run's two stages: words are parsed without an event loop, which only a command's work is worth.

The parser's coroutines wait for nothing, so one step by hand takes them all the way; an event loop
would cost more than all of the parsing. Where the work begins, the same coroutine goes on in one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Generator


class _Border:
    """What is awaited between the stages; in an event loop it lets others run, and no more."""

    def __await__(self) -> Generator[None, None, None]:
        yield


class _Rest:
    """What is left of a coroutine that has been begun, which itself cannot be awaited."""

    def __init__(self, begun: Coroutine[Any, Any, int]) -> None:
        self._begun = begun

    def __await__(self) -> Generator[Any, None, int]:
        return self._begun.__await__()


async def work_begins() -> None:
    """Go on in an event loop: from here on, there may be something to wait for."""
    await _Border()


def run(command: Coroutine[Any, Any, int], work: Callable[[Awaitable[int]], int]) -> int:
    """Run `command` to its end; return its exit status.

    Args:
        command: Awaits nothing before `work_begins`.
        work: Runs an event loop in which it awaits what it is given: the rest of the command.
    """
    try:
        command.send(None)
    except StopIteration as done:
        return int(done.value)
    try:
        return work(_Rest(command))
    finally:
        # Where no loop could be had: what the command has opened is closed.
        command.close()
