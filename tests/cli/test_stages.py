"""A run's two stages: nothing but a command's work gets an event loop."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import pytest

from tests.rigs.surroundings import clean_env
from twg.cli import stages

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from pathlib import Path

TELLING = """
import atexit, gc, sys
def tell():
    print("collects:", gc.isenabled(), gc.get_freeze_count() > 0, file=sys.stderr)
atexit.register(tell)
from twg.cli.main import main
main()
"""


def never(_rest: Awaitable[int]) -> int:
    raise AssertionError("there is no work, and a loop was started")


def in_a_loop(rest: Awaitable[int]) -> int:
    async def awaited() -> int:
        return await rest

    return anyio.run(awaited)


def test_what_waits_for_nothing_ends_without_a_loop() -> None:
    async def answer() -> int:
        return 3

    assert stages.run(answer(), never) == 3


def test_the_work_goes_on_in_a_loop_where_the_parser_left_off() -> None:
    seen = []

    async def command() -> int:
        seen.append("parsed")
        await stages.work_begins()
        with anyio.fail_after(60):
            await anyio.lowlevel.checkpoint()
        seen.append("worked")
        return 4

    assert stages.run(command(), in_a_loop) == 4
    assert seen == ["parsed", "worked"]


def test_what_fails_before_the_work_fails_without_a_loop() -> None:
    async def broken() -> int:
        raise KeyError

    with pytest.raises(KeyError):
        stages.run(broken(), never)


def test_what_the_parser_opened_is_closed_where_no_loop_can_be_had() -> None:
    closed = []

    async def command() -> int:
        try:
            await stages.work_begins()
        finally:
            closed.append(True)
        return 0

    def no_loop(_rest: Awaitable[int]) -> int:
        raise OSError

    with pytest.raises(OSError, match=r"^$") as caught:
        stages.run(command(), no_loop)

    # It holds on to all that was under way.
    assert closed == [True], caught


async def test_where_a_loop_runs_already_the_border_is_crossed_without_a_stop() -> None:
    await stages.work_begins()


@pytest.mark.parametrize(("words", "collects"), [("--version", "False"), ("auth list", "True")])
async def test_garbage_is_collected_once_the_work_has_begun_and_is_left_at_the_end(
    words: str, collects: str, tmp_path: Path
) -> None:
    argv = [sys.executable, "-c", TELLING, *words.split()]
    done = await anyio.run_process(argv, env=clean_env(tmp_path))
    assert done.stderr.decode().splitlines()[-1] == f"collects: {collects} True"
