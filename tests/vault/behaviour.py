"""What every `CredentialStore` does. Subclass it and give it the fixture `stores`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import anyio
import pytest

from tests.vault.samples import credential, opened, with_access
from twg.errors import Busy, StoreConflict

if TYPE_CHECKING:
    from collections.abc import Callable

    from twg.vault import Credential, CredentialStore


def same(left: Credential | None, right: Credential | None) -> bool:
    return bool(opened(left) == opened(right))


class StoreBehaviour:
    """The behaviour shared by all stores.

    `stores` makes a further handle on one and the same store, as another process would have it; its
    leases are waited for no longer than the seconds given.
    """

    @pytest.fixture
    def stores(self) -> Callable[[float], CredentialStore]:
        raise NotImplementedError

    @pytest.fixture
    def one(self, stores: Callable[[float], CredentialStore]) -> CredentialStore:
        return stores(30.0)

    @pytest.fixture
    def other(self, stores: Callable[[float], CredentialStore]) -> CredentialStore:
        return stores(30.0)

    async def test_nothing_is_there_at_first(self, one: CredentialStore) -> None:
        assert await one.read("default") is None

    async def test_what_was_saved_is_read_by_another(
        self, one: CredentialStore, other: CredentialStore
    ) -> None:
        saved = await one.save(credential(), expected=0)

        found = await other.read("default")

        assert same(found, saved)
        assert same(found, credential(generation=saved.generation))

    async def test_generations_rise(self, one: CredentialStore) -> None:
        first = await one.save(credential(), expected=0)
        second = await one.save(first, expected=first.generation)

        assert 0 < first.generation < second.generation

    async def test_a_generation_never_comes_back(self, one: CredentialStore) -> None:
        """A late writer must not mistake a new sign-in for the one it read."""
        first = await one.save(credential(), expected=0)
        await one.remove("default", expected=None)
        again = await one.save(credential(), expected=0)

        assert again.generation > first.generation

    async def test_a_stale_writer_is_told_and_changes_nothing(
        self, one: CredentialStore, other: CredentialStore
    ) -> None:
        first = await one.save(credential(), expected=0)
        newer = await other.save(with_access(first, "newer-token"), expected=first.generation)

        with pytest.raises(StoreConflict):
            await one.save(with_access(first, "stale-token"), expected=first.generation)

        assert same(await one.read("default"), newer)

    async def test_expected_decides_not_the_generation_within(self, one: CredentialStore) -> None:
        first = await one.save(credential(), expected=0)

        saved = await one.save(replace(first, generation=99), expected=first.generation)

        assert first.generation < saved.generation

    async def test_zero_means_none_there(self, one: CredentialStore) -> None:
        first = await one.save(credential(), expected=0)

        with pytest.raises(StoreConflict):
            await one.save(credential(), expected=0)

        assert same(await one.read("default"), first)

    async def test_a_removed_one_is_not_resurrected(self, one: CredentialStore) -> None:
        first = await one.save(credential(), expected=0)
        await one.remove("default", expected=first.generation)

        with pytest.raises(StoreConflict):
            await one.save(first, expected=first.generation)

        assert await one.read("default") is None

    async def test_none_means_whatever_is_there(self, one: CredentialStore) -> None:
        await one.save(credential(), expected=None)
        saved = await one.save(with_access(credential(), "other"), expected=None)

        assert same(await one.read("default"), saved)

    async def test_profiles_do_not_touch_each_other(
        self, one: CredentialStore, other: CredentialStore
    ) -> None:
        mine = await one.save(credential("mine"), expected=0)
        yours = await other.save(with_access(credential("yours"), "yours"), expected=0)
        await one.save(with_access(mine, "mine-again"), expected=mine.generation)

        assert same(await one.read("yours"), yours)
        await one.remove("mine", expected=None)
        assert same(await other.read("yours"), yours)

    async def test_remove_tells_whether_there_was_one(self, one: CredentialStore) -> None:
        assert await one.remove("default", expected=None) is False
        await one.save(credential(), expected=0)
        assert await one.remove("nobody", expected=None) is False
        assert await one.remove("default", expected=None) is True
        assert await one.read("default") is None

    async def test_a_stale_remover_is_told(self, one: CredentialStore) -> None:
        first = await one.save(credential(), expected=0)
        newer = await one.save(first, expected=first.generation)

        with pytest.raises(StoreConflict):
            await one.remove("default", expected=first.generation)

        assert same(await one.read("default"), newer)

    async def test_many_writers_of_one_profile_all_but_one_conflict(
        self, stores: Callable[[float], CredentialStore]
    ) -> None:
        won: list[int] = []
        lost: list[int] = []

        async def write(number: int) -> None:
            try:
                await stores(30.0).save(with_access(credential(), f"token-{number}"), expected=0)
            except StoreConflict:
                lost.append(number)
            else:
                won.append(number)

        async with anyio.create_task_group() as tasks:
            for number in range(8):
                tasks.start_soon(write, number)

        found = await stores(30.0).read("default")
        assert len(won) == 1
        assert len(lost) == 7
        assert found is not None
        assert found.tokens.access.reveal("compare in a test") == f"token-{won[0]}"

    async def test_one_has_the_lease_at_a_time(
        self, stores: Callable[[float], CredentialStore]
    ) -> None:
        inside = 0
        most = 0

        async def work() -> None:
            nonlocal inside, most
            async with stores(30.0).lease("default"):
                inside += 1
                most = max(most, inside)
                await anyio.lowlevel.checkpoint()
                inside -= 1

        async with anyio.create_task_group() as tasks:
            for _ in range(10):
                tasks.start_soon(work)

        assert most == 1

    async def test_a_lease_is_of_one_profile(
        self, one: CredentialStore, stores: Callable[[float], CredentialStore]
    ) -> None:
        async with one.lease("mine"), stores(0.0).lease("yours"):
            pass
        async with one.lease("mine"):
            with pytest.raises(Busy):
                async with stores(0.0).lease("mine"):
                    pass

    async def test_the_holder_of_a_lease_can_save(self, one: CredentialStore) -> None:
        async with one.lease("default"):
            saved = await one.save(credential(), expected=0)
        assert same(await one.read("default"), saved)

    async def test_cancelled_while_waiting_for_a_lease_leaves_nothing_locked(
        self, one: CredentialStore, stores: Callable[[float], CredentialStore]
    ) -> None:
        async with anyio.create_task_group() as tasks, one.lease("default"):

            async def wait() -> None:
                async with stores(30.0).lease("default"):
                    raise AssertionError("the lease was had twice")

            tasks.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()

        async with stores(0.0).lease("default"):
            pass

    async def test_an_error_under_the_lease_frees_it(
        self, one: CredentialStore, stores: Callable[[float], CredentialStore]
    ) -> None:
        with pytest.raises(KeyError):
            async with one.lease("default"):
                raise KeyError

        async with stores(0.0).lease("default"):
            pass

    async def test_a_healthy_store_proves_replaceable_and_stays_as_it_is(
        self, one: CredentialStore
    ) -> None:
        await one.prove_replaceable()
        saved = await one.save(credential(), expected=0)
        await one.prove_replaceable()

        assert same(await one.read("default"), saved)
