"""What every `CredentialStore` does. Subclass it and give it the fixture `stores`."""

from __future__ import annotations

import asyncio
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

    async def test_a_peek_shows_what_was_read(self, one: CredentialStore) -> None:
        assert one.peek("default") is None
        await one.save(credential(), expected=0)
        found = await one.read("default")

        assert found is not None
        assert one.peek("default") is found
        assert one.peek("nobody") is None

    async def test_a_peek_never_shows_what_another_has_replaced(
        self, one: CredentialStore, other: CredentialStore
    ) -> None:
        """Over and over, as two writes within one tick of a file system's clock look alike."""
        saved = await one.save(credential(), expected=0)
        for _ in range(30):
            await one.read("default")
            saved = await other.save(saved, expected=saved.generation)

            peeked = one.peek("default")
            assert peeked is None or peeked.generation == saved.generation
            assert same(await one.read("default"), saved)
            assert same(one.peek("default"), saved)

    async def test_a_peek_never_shows_what_another_has_removed(
        self, one: CredentialStore, other: CredentialStore
    ) -> None:
        await one.save(credential(), expected=0)
        await one.read("default")
        await other.remove("default", expected=None)

        assert one.peek("default") is None
        assert await one.read("default") is None

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

    async def test_many_saves_at_once_are_all_kept_each_under_its_own_generation(
        self, one: CredentialStore, other: CredentialStore
    ) -> None:
        saved: dict[str, Credential] = {}

        async def save(store: CredentialStore, profile: str) -> None:
            made = with_access(credential(profile), f"token-of-{profile}")
            saved[profile] = await store.save(made, expected=0)

        async with anyio.create_task_group() as tasks:
            for number in range(30):
                tasks.start_soon(save, one, f"one-{number}")
                tasks.start_soon(save, other, f"other-{number}")

        assert len({each.generation for each in saved.values()}) == 60
        for profile, each in saved.items():
            assert same(await one.read(profile), each)
            assert same(await other.read(profile), each)

    async def test_many_saves_of_one_profile_leave_the_one_of_the_highest_generation(
        self, one: CredentialStore
    ) -> None:
        saved: list[Credential] = []

        async def save(number: int) -> None:
            made = with_access(credential(), f"token-{number}")
            saved.append(await one.save(made, expected=None))

        async with anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(save, number)

        newest = max(saved, key=lambda each: each.generation)
        assert len({each.generation for each in saved}) == 20
        assert same(await one.read("default"), newest)

    async def test_threads_with_loops_of_their_own_share_a_store(
        self, one: CredentialStore
    ) -> None:
        async def count() -> None:
            for _ in range(3):
                async with one.lease("shared"):
                    known = await one.read("shared")
                    number = int(known.refused or 0) if known else 0
                    made = credential("shared", refused=str(number + 1))
                    await one.save(made, expected=known.generation if known else 0)

        def alone() -> None:
            asyncio.run(count())

        async with anyio.create_task_group() as tasks:
            for _ in range(4):
                tasks.start_soon(anyio.to_thread.run_sync, alone)

        found = await one.read("shared")
        assert found is not None
        assert found.refused == "12"

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

        # The wait that was given up may have it for a moment yet.
        async with stores(30.0).lease("default"):
            pass

    async def test_a_time_out_under_the_lease_is_told_as_it_is(self, one: CredentialStore) -> None:
        with pytest.raises(TimeoutError):
            async with one.lease("default"):
                raise TimeoutError

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
