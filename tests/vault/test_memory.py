"""The store in memory does what every credential store does, and shares it among its handles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from tests.vault.behaviour import StoreBehaviour
from tests.vault.samples import credential
from twg.errors import Busy
from twg.vault import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from twg.vault import CredentialStore


class TestMemoryStore(StoreBehaviour):
    @pytest.fixture
    def stores(self) -> Callable[[float], CredentialStore]:
        first = MemoryStore()
        return lambda seconds: first.beside(lease_seconds=seconds)


async def test_stores_that_were_not_made_beside_each_other_share_nothing() -> None:
    await MemoryStore().save(credential(), expected=0)

    assert await MemoryStore().read("default") is None


async def test_a_lease_goes_to_who_waited_longest() -> None:
    store = MemoryStore()
    order: list[int] = []

    async def work(number: int) -> None:
        async with store.lease("default"):
            order.append(number)
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as tasks, store.lease("default"):
        for number in range(5):
            tasks.start_soon(work, number)
            await anyio.wait_all_tasks_blocked()

    assert order == [0, 1, 2, 3, 4]


async def test_a_lease_that_comes_in_the_moment_of_leaving_is_passed_on() -> None:
    store = MemoryStore()
    scope = anyio.CancelScope()

    async def wait() -> None:
        with scope:
            async with store.lease("default"):
                raise AssertionError("cancelled before its turn was noticed")

    async with anyio.create_task_group() as tasks:
        async with store.lease("default"):
            tasks.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
        scope.cancel()

    async with store.beside(lease_seconds=0.0).lease("default"):
        pass


async def test_who_waits_too_long_for_a_lease_is_told_of_what() -> None:
    store = MemoryStore(lease_seconds=0.0)
    async with store.lease("default"):
        with pytest.raises(Busy, match="the profile 'default'"):
            async with store.lease("default"):
                pass
