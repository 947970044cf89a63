"""Locks between processes: waited for in the kernel, and never left without an owner."""

from __future__ import annotations

import os
import threading
from functools import partial
from typing import TYPE_CHECKING

import pytest

from guard.locks import LockFile, holder_of, in_thread, leave, release, take_in_turn, take_now

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "thing.lock"


def had(path: Path) -> int:
    descriptor = take_now(path)
    assert descriptor is not None
    return descriptor


def is_free(path: Path) -> bool:
    descriptor = take_now(path)
    if descriptor is not None:
        release(descriptor)
    return descriptor is not None


def threads_end() -> None:
    """Wait for the threads that take locks."""
    for thread in threading.enumerate():
        if thread.name == "lock":
            thread.join(60)


def test_of_two_takings_one_has_it_and_is_named(path: Path) -> None:
    descriptor = had(path)
    assert not is_free(path)
    assert holder_of(path) == os.getpid()
    release(descriptor)
    assert is_free(path)


def test_who_waits_gets_it_once_it_is_free(path: Path) -> None:
    descriptor = had(path)
    taken = in_thread(partial(take_in_turn, path))
    with pytest.raises(TimeoutError):
        taken.result(0.05)
    release(descriptor)
    release(taken.result(60))
    assert is_free(path)


@pytest.mark.parametrize("free_first", [True, False])
def test_a_lock_nobody_waits_for_any_more_is_given_back(path: Path, *, free_first: bool) -> None:
    descriptor = had(path)
    taken = in_thread(partial(take_in_turn, path))
    if free_first:
        release(descriptor)
        threads_end()
        assert not is_free(path)
    leave(taken)
    if not free_first:
        release(descriptor)
        threads_end()
    assert is_free(path)


def test_a_failure_to_take_it_reaches_who_waits_and_is_nothing_to_leave(path: Path) -> None:
    path.mkdir()
    taken = in_thread(partial(take_in_turn, path))
    with pytest.raises(IsADirectoryError):
        taken.result(60)
    leave(taken)


def test_one_that_was_waited_for_in_vain_can_be_had_later(path: Path) -> None:
    lock = LockFile(path)
    descriptor = had(path)
    with pytest.raises(TimeoutError), lock.held(0.0):
        pass
    release(descriptor)
    threads_end()
    for _ in range(2):
        with lock.held(0.0):
            assert not is_free(path)
        assert is_free(path)


def test_who_waited_takes_the_file_that_is_there_then(path: Path) -> None:
    descriptor = had(path)
    taken = in_thread(partial(take_in_turn, path))
    with pytest.raises(TimeoutError):
        taken.result(0.05)
    path.unlink()
    release(descriptor)
    found = taken.result(60)
    assert os.path.samestat(os.fstat(found), path.stat())
    release(found)


def test_without_a_process_id_in_it_the_holder_is_unknown(path: Path) -> None:
    assert holder_of(path) is None
    path.write_bytes(b"")
    assert holder_of(path) is None


def test_where_there_can_be_no_more_threads_nobody_waits_for_one(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    taken = in_thread(partial(take_in_turn, path))
    with pytest.raises(OSError, match="no more threads"):
        taken.result(0)
    leave(taken)
