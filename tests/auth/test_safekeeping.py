"""New tokens that the store does not take, or that somebody else's change meets on the way."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import anyio
import pytest

from tests.auth.parts import DUE, EXPIRED, TOKEN, Gate, access_of, plain, stored, token_answer
from tests.oauth.servers import document
from tests.vault.samples import Ear, custody_of
from twg.auth.tokens import TokenManager
from twg.errors import StoreUnwritable

if TYPE_CHECKING:
    from guard.custody import Custody
    from tests.auth.parts import Clock
    from tests.oauth.servers import Server
    from twg.http import Http
    from twg.vault import Credential, SealedStore


class FullStore:
    """A real store whose saving can be made to fail, as on a disk that has just become full.

    Args:
        store: The real one.
    """

    def __init__(self, store: SealedStore) -> None:
        self._store = store
        self.full = False
        self.read = store.read
        self.remove = store.remove
        self.lease = store.lease

    async def save(self, credential: Credential, *, expected: int | None) -> Credential:
        if self.full:
            raise StoreUnwritable("no space left on device")
        return await self._store.save(credential, expected=expected)

    async def prove_replaceable(self) -> None:
        if self.full:
            raise StoreUnwritable("no space left on device")
        await self._store.prove_replaceable()


async def test_a_store_that_cannot_be_written_sends_nothing(
    store: SealedStore,
    http: Http,
    custody: Custody,
    clock: Clock,
    saved: Credential,
    server: Server,
    ear: Ear,
) -> None:
    """H-D3: before sending, nothing is sent (73); the valid token is still good."""
    full = FullStore(store)
    full.full = True
    async with TokenManager(store=full, http=http, custody=custody, clock=clock) as manager:
        clock.now = DUE
        assert access_of(await manager.get("default")) == access_of(saved)
        clock.now = EXPIRED
        with pytest.raises(StoreUnwritable):
            await manager.get("default")
    assert server.received == []
    assert ear.events("token.refresh_failed")


async def fill_while_sending(full: FullStore, gate: Gate) -> None:
    await gate.arrived.wait()
    full.full = True
    gate.opened.set()


async def test_tokens_that_cannot_be_saved_are_used_and_saved_later(
    store: SealedStore,
    http: Http,
    custody: Custody,
    clock: Clock,
    saved: Credential,
    server: Server,
) -> None:
    """H-D3: kept in memory, tried again while the command lives, and the fault told."""
    del saved
    full, gate, warnings = FullStore(store), Gate(document(token_answer(1))), list[str]()
    server.on(TOKEN, gate)
    clock.now = EXPIRED
    manager = TokenManager(
        store=full, http=http, custody=custody, clock=clock, warn=warnings.append
    )
    async with manager, anyio.create_task_group() as tasks:
        tasks.start_soon(fill_while_sending, full, gate)
        for _ in range(3):
            assert access_of(await manager.get("default")) == "access-made-up-1"
        assert plain((await stored(store)).tokens.refresh) == "refresh-made-up-0"
        full.full = False
        assert access_of(await manager.get("default")) == "access-made-up-1"
        assert plain((await stored(store)).tokens.refresh) == "refresh-made-up-1"
    assert len(server.received) == 1
    assert len(warnings) == 1
    assert "no space left" in warnings[0]


@pytest.mark.parametrize("in_time", [True, False])
async def test_a_last_try_to_save_is_made_at_the_end(
    store: SealedStore,
    http: Http,
    custody: Custody,
    clock: Clock,
    saved: Credential,
    server: Server,
    *,
    in_time: bool,
) -> None:
    """H-D3: and where it fails too, `refresh` does not call it renewed."""
    del saved
    full, gate, warnings = FullStore(store), Gate(document(token_answer(1))), list[str]()
    server.on(TOKEN, gate)
    clock.now = EXPIRED
    manager = TokenManager(
        store=full, http=http, custody=custody, clock=clock, warn=warnings.append
    )
    async with manager, anyio.create_task_group() as tasks:
        tasks.start_soon(fill_while_sending, full, gate)
        results = await manager.renew_all(["default"])
        assert isinstance(results["default"], StoreUnwritable)
        full.full = not in_time
    kept = plain((await stored(store)).tokens.refresh)
    assert kept == ("refresh-made-up-1" if in_time else "refresh-made-up-0")
    assert len(warnings) == (1 if in_time else 2)


async def test_tokens_kept_in_memory_give_way_to_a_new_sign_in(
    store: SealedStore,
    http: Http,
    custody: Custody,
    clock: Clock,
    saved: Credential,
    server: Server,
) -> None:
    full, gate = FullStore(store), Gate(document(token_answer(1)))
    server.on(TOKEN, gate)
    clock.now = EXPIRED
    new = custody_of(Ear()).take("refresh-of-a-new-sign-in", "refresh-token")
    signed_in = replace(saved, tokens=replace(saved.tokens, refresh=new, issued_at=EXPIRED))
    manager = TokenManager(store=full, http=http, custody=custody, clock=clock)
    async with manager, anyio.create_task_group() as tasks:
        tasks.start_soon(fill_while_sending, full, gate)
        await manager.get("default")
        await store.save(signed_in, expected=None)
        full.full = False
        assert plain((await manager.get("default")).tokens.refresh) == plain(new)
    assert plain((await stored(store)).tokens.refresh) == plain(new)


async def test_another_default_site_chosen_meanwhile_survives_with_the_new_tokens(
    manager: TokenManager, clock: Clock, saved: Credential, server: Server, store: SealedStore
) -> None:
    """Neither change undoes the other."""
    gate = Gate(document(token_answer(1)))
    server.on(TOKEN, gate)
    clock.now = EXPIRED
    async with manager, anyio.create_task_group() as tasks:
        tasks.start_soon(manager.get, "default")
        await gate.arrived.wait()
        now_there = await stored(store)
        await store.save(
            replace(now_there, site="other.example.net"), expected=now_there.generation
        )
        gate.opened.set()
    kept = await stored(store)
    assert (kept.site, access_of(kept)) == ("other.example.net", "access-made-up-1")
    assert saved.site != kept.site
