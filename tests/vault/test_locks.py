"""Locks between processes, threads and tasks."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest

from twg.errors import Busy, ConfigError, Interrupted
from twg.vault.locks import ProcessLock

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).parents[2]


def lock_in(root: Path, seconds: float = 30.0) -> ProcessLock:
    return ProcessLock(state_dir=root / "state", name="thing", what="the thing", seconds=seconds)


@contextmanager
def held_elsewhere(root: Path) -> Iterator[subprocess.Popen[str]]:
    """Have another process hold the lock."""
    command = [sys.executable, "-m", "tests.vault.workers", "hold", str(root), "thing"]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert int(process.stdout.readline()) == process.pid
        try:
            yield process
        finally:
            process.kill()


async def is_free(root: Path, seconds: float = 0.0) -> bool:
    """Tell whether the lock can be had; a wait that was given up may have it for a moment yet."""
    try:
        async with lock_in(root, seconds).held():
            return True
    except Busy:
        return False


async def test_the_lock_file_is_private_whatever_the_umask(tmp_path: Path) -> None:
    """H-E2: umask 000."""
    before = os.umask(0)
    try:
        async with lock_in(tmp_path).held():
            pass
    finally:
        os.umask(before)
    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "state").rglob("*")
    }
    assert modes == {"locks": 0o700, "thing.lock": 0o600}
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700


async def test_busy_names_the_process_that_holds_it(tmp_path: Path) -> None:
    """H-D8."""
    with held_elsewhere(tmp_path) as process:
        with pytest.raises(Busy, match=f"process {process.pid} has held the thing") as caught:
            async with lock_in(tmp_path, 0.05).held():
                pass
        assert caught.value.holder == process.pid


async def test_a_killed_holder_blocks_nobody(tmp_path: Path) -> None:
    with held_elsewhere(tmp_path) as process:
        assert not await is_free(tmp_path)
        process.send_signal(signal.SIGKILL)
        async with lock_in(tmp_path).held():
            assert not await is_free(tmp_path)
    assert await is_free(tmp_path, 30.0)


async def test_tasks_of_one_process_exclude_each_other(tmp_path: Path) -> None:
    async with lock_in(tmp_path).held():
        with pytest.raises(Busy) as caught:
            async with lock_in(tmp_path, 0.0).held():
                pass
    assert caught.value.holder == os.getpid()


def test_event_loops_in_threads_exclude_each_other(tmp_path: Path) -> None:
    inside: list[int] = []
    most: list[int] = []

    async def work() -> None:
        for number in range(5):
            async with lock_in(tmp_path).held():
                inside.append(number)
                most.append(len(inside))
                await asyncio.sleep(0)
                inside.pop()

    threads = [threading.Thread(target=asyncio.run, args=(work(),)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert most == [1] * 30


async def test_a_thread_and_a_task_exclude_each_other(tmp_path: Path) -> None:
    with lock_in(tmp_path).held_here(lambda: False):
        assert not await is_free(tmp_path)
    assert await is_free(tmp_path, 30.0)


async def test_cancelled_while_it_waits_it_leaves_nothing_locked(tmp_path: Path) -> None:
    async with anyio.create_task_group() as tasks, lock_in(tmp_path).held():

        async def wait() -> None:
            async with lock_in(tmp_path).held():
                raise AssertionError("had twice")

        tasks.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    assert await is_free(tmp_path, 30.0)


async def test_ctrl_c_while_a_thread_takes_it_leaves_nothing_locked(tmp_path: Path) -> None:
    """asyncio's own cancellation does not wait for the thread: let it come at many moments."""
    for turns in range(40):
        task = asyncio.create_task(_enter_and_leave(lock_in(tmp_path)))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        async with lock_in(tmp_path, 10.0).held():
            pass


async def _enter_and_leave(lock: ProcessLock) -> None:
    async with lock.held():
        await asyncio.sleep(0)


async def test_an_abandoned_wait_in_a_thread_ends(tmp_path: Path) -> None:
    async with lock_in(tmp_path).held():
        with pytest.raises(Interrupted), lock_in(tmp_path).held_here(lambda: True):
            pass
    assert await is_free(tmp_path, 30.0)


async def test_a_wait_in_a_thread_has_an_end(tmp_path: Path) -> None:
    async with lock_in(tmp_path).held():
        with (
            pytest.raises(Busy, match=f"process {os.getpid()}"),
            lock_in(tmp_path, 0.0).held_here(lambda: False),
        ):
            pass


async def test_a_link_in_place_of_the_lock_file_is_refused(tmp_path: Path) -> None:
    """H-E2."""
    locks = tmp_path / "state" / "locks"
    locks.mkdir(mode=0o700, parents=True)
    (tmp_path / "state").chmod(0o700)
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (locks / "thing.lock").symlink_to(victim)
    with pytest.raises(ConfigError, match="is not a lock file"):
        async with lock_in(tmp_path).held():
            pass
    assert victim.read_text() == "precious"


async def test_an_unsigned_lock_has_an_unknown_holder(tmp_path: Path) -> None:
    async with lock_in(tmp_path).held():
        lock_in(tmp_path).path.write_text("")
        with pytest.raises(Busy, match="another process has held"):
            async with lock_in(tmp_path, 0.0).held():
                pass


def test_a_child_of_fork_does_not_prolong_the_lock(tmp_path: Path) -> None:
    script = """
import asyncio, os, sys, time
from pathlib import Path
from twg.vault.locks import ProcessLock

def lock():
    return ProcessLock(state_dir=Path(sys.argv[1]) / "state", name="x", what="x", seconds=0)

async def main():
    async with lock().held():
        gate, release = os.pipe()
        child = os.fork()
        if not child:
            os.close(release)
            os.read(gate, 1)
            os._exit(0)
    async with lock().held():
        print("free while the child lives")
    os.close(release)
    os.waitpid(child, 0)

asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "free while the child lives\n", done.stderr
