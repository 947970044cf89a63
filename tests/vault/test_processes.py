"""The store among real processes."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from tests.vault.samples import credential, opened, store_at

REPOSITORY = Path(__file__).parents[2]


def start(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.vault.workers", *map(str, arguments)]
    return subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.PIPE, text=True)


def finish(processes: list[subprocess.Popen[str]]) -> None:
    ends = [(process.communicate()[1], process.returncode) for process in processes]
    assert ends == [("", 0)] * len(processes)


async def test_many_processes_that_make_and_write_one_store_lose_nothing(tmp_path: Path) -> None:
    """Eight processes begin with no store at all and save a profile each, over and over."""
    profiles = [f"profile-{number}" for number in range(8)]
    finish([start("save", tmp_path, profile, 5) for profile in profiles])

    store = store_at(tmp_path)
    tokens = {
        each.profile: each.tokens.access.reveal("compare in a test")
        for each in await store.read_all()
    }
    assert tokens == {profile: f"{profile}-4" for profile in profiles}
    assert (await store.summaries()).generation == 8 * 5
    assert len(list((tmp_path / "state").glob("*.key"))) == 1


async def test_compare_and_swap_among_processes_loses_no_count(tmp_path: Path) -> None:
    finish([start("count", tmp_path, 6) for _ in range(4)])

    found = await store_at(tmp_path).read("shared")
    assert found is not None
    assert found.refused == "24"


async def test_killed_between_write_and_rename_the_old_file_stands(tmp_path: Path) -> None:
    """H-D2: the next one reads and writes as if nothing had been."""
    store = store_at(tmp_path)
    saved = await store.save(credential(), expected=0)

    killed = start("die-before-rename", tmp_path, "auth.conf")
    killed.communicate()

    assert killed.returncode == -signal.SIGKILL
    assert list((tmp_path / "config").glob(".auth.conf.*.tmp"))
    assert opened(await store.read("default")) == opened(saved)
    again = await store_at(tmp_path).save(saved, expected=saved.generation)
    assert opened(await store.read("default")) == opened(again)


async def test_what_killed_writers_left_goes_with_the_next_save(tmp_path: Path) -> None:
    """H-D2: beside the store and in the state directory."""
    store = store_at(tmp_path)
    saved = await store.save(credential(), expected=0)
    for ending in ("auth.conf", ".mark"):
        killed = start("die-before-rename", tmp_path, ending)
        killed.communicate()
        assert killed.returncode == -signal.SIGKILL
    left = [*(tmp_path / "config").glob(".*"), *(tmp_path / "state").glob(".*")]
    assert len(left) == 2

    found = await store.read("default")
    assert found is not None
    await store.save(saved, expected=found.generation)

    assert [each for each in left if each.exists()] == []


async def test_what_another_process_writes_is_noticed_at_the_next_look(tmp_path: Path) -> None:
    store = store_at(tmp_path)
    saved = await store.save(credential("mine"), expected=0)
    assert store.peek("mine") is saved

    finish([start("save", tmp_path, "mine", 1)])

    assert store.peek("mine") is None
    found = await store.read("mine")
    assert found is not None
    assert found.tokens.access.reveal("compare in a test") == "mine-0"
    assert store.peek("mine") is found
