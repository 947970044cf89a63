"""New tokens that the store does not take, or that somebody else's change meets on the way."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from guard.custody import Custody
from tests.auth.parts import (
    DUE,
    EXPIRED,
    NOW,
    TOKEN,
    FullStore,
    Gate,
    access_of,
    credential_at,
    plain,
    stored,
    token_answer,
)
from tests.oauth.servers import document
from tests.vault.samples import Ear, custody_of, store_at
from twg.auth.safekeeping import Successor
from twg.auth.tokens import TokenManager
from twg.errors import Busy, StoreUnwritable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.auth.parts import Clock
    from tests.oauth.servers import Server
    from twg.http import Http
    from twg.vault import Credential, SealedStore


async def test_a_store_that_cannot_be_written_sends_nothing(
    store: SealedStore,
    managing: Callable[..., TokenManager],
    clock: Clock,
    saved: Credential,
    server: Server,
    ear: Ear,
) -> None:
    """H-D3: before sending, nothing is sent (73); the valid token is still good."""
    full = FullStore(store)
    full.full = True
    async with managing(store=full) as manager:
        clock.now = DUE
        assert access_of(await manager.get("default")) == access_of(saved)
        clock.now = EXPIRED
        with pytest.raises(StoreUnwritable):
            await manager.get("default")
    assert server.received == []
    assert ear.events("token.refresh_failed")


async def test_nor_is_a_token_sent_again_that_was_sent_before(
    store: SealedStore,
    managing: Callable[..., TokenManager],
    clock: Clock,
    saved: Credential,
    server: Server,
) -> None:
    """H-D3: a renewal that was cut short does not make the next one careless."""
    await store.save(replace(saved, used_at=NOW), expected=saved.generation)
    full = FullStore(store)
    full.full = True
    clock.now = EXPIRED
    async with managing(store=full) as manager:
        with pytest.raises(StoreUnwritable):
            await manager.get("default")
    assert server.received == []


async def fill_while_sending(full: FullStore, gate: Gate) -> None:
    await gate.reached()
    full.full = True
    gate.opened.set()


async def test_tokens_that_cannot_be_saved_are_used_and_saved_later(
    store: SealedStore,
    managing: Callable[..., TokenManager],
    clock: Clock,
    saved: Credential,
    server: Server,
) -> None:
    """H-D3: kept in memory, tried again while the command lives, and the fault told."""
    del saved
    full, gate, warnings = FullStore(store), Gate(document(token_answer(1))), list[str]()
    server.on(TOKEN, gate)
    clock.now = EXPIRED
    manager = managing(store=full, warn=warnings.append)
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
    managing: Callable[..., TokenManager],
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
    manager = managing(store=full, warn=warnings.append)
    async with manager, anyio.create_task_group() as tasks:
        tasks.start_soon(fill_while_sending, full, gate)
        results = await manager.renew_all(["default"])
        assert isinstance(results["default"], StoreUnwritable)
        full.full = not in_time
    kept = plain((await stored(store)).tokens.refresh)
    assert kept == ("refresh-made-up-1" if in_time else "refresh-made-up-0")
    assert len(warnings) == (1 if in_time else 2)


async def test_nobody_sends_the_spent_token_while_its_successor_is_in_memory_alone(
    tmp_path: Path,
    store: SealedStore,
    managing: Callable[..., TokenManager],
    clock: Clock,
    saved: Credential,
    server: Server,
) -> None:
    """H-D3, H-D8: others are told who has it, and our own renewals do not wait for themselves."""
    del saved
    full, gate = FullStore(store), Gate(document(token_answer(1)))
    server.on(TOKEN, gate)
    clock.now = EXPIRED
    other = store_at(tmp_path, lock_seconds=0.0)
    manager = managing(store=full)
    async with manager, anyio.create_task_group() as tasks:
        tasks.start_soon(fill_while_sending, full, gate)
        kept = await manager.get("default")
        with anyio.fail_after(60):
            with pytest.raises(StoreUnwritable):
                await manager.renew("default", force=True)
            with pytest.raises(StoreUnwritable):
                await manager.instead_of(kept)
        with pytest.raises(Busy) as busy:
            async with other.lease("default"):
                pass
        assert busy.value.holder == os.getpid()
        full.full = False
        assert access_of(await manager.get("default")) == "access-made-up-1"
        # With patience, for the wait above that was given up may have it for a moment yet.
        async with store_at(tmp_path).lease("default"):
            pass
    assert len(server.received) == 1


class HesitantStore(FullStore):
    """A full store that says so only once somebody has looked what is in it."""

    def __init__(self, store: SealedStore) -> None:
        super().__init__(store)
        self.looked_at = anyio.Event()
        self.peek = self._peek

    def _peek(self, profile: str) -> Credential | None:
        self.looked_at.set()
        return self._store.peek(profile)

    async def prove_replaceable(self) -> None:
        if self.full:
            self.looked_at = anyio.Event()
            await self.looked_at.wait()
        await super().prove_replaceable()


async def test_what_is_in_the_store_meanwhile_is_nobodys_newer_token(
    store: SealedStore,
    managing: Callable[..., TokenManager],
    clock: Clock,
    saved: Credential,
    server: Server,
) -> None:
    """H-D3: it is the predecessor of what is in memory, though it is another one."""
    del saved
    full, gate = HesitantStore(store), Gate(document(token_answer(1)))
    server.on(TOKEN, gate)
    clock.now = EXPIRED
    manager = managing(store=full)
    async with manager, anyio.create_task_group() as tasks:
        tasks.start_soon(fill_while_sending, full, gate)
        kept = await manager.get("default")
        with pytest.raises(StoreUnwritable):
            await manager.instead_of(kept)


async def test_what_could_not_be_saved_is_tried_again_though_nobody_asks_for_it(
    store: SealedStore,
    managing: Callable[..., TokenManager],
    clock: Clock,
    saved: Credential,
    server: Server,
) -> None:
    """H-D3: and leaving does not wait for the next try."""
    del saved
    full, gate = FullStore(store), Gate(document(token_answer(1)))
    server.on(TOKEN, gate)
    clock.now = EXPIRED
    manager = managing(store=full)
    async with manager, anyio.create_task_group() as tasks:
        tasks.start_soon(fill_while_sending, full, gate)
        await manager.get("default")
        full.full = False
        async with store.lease("default"):
            assert plain((await stored(store)).tokens.refresh) == "refresh-made-up-1"


async def test_tokens_kept_in_memory_give_way_to_a_new_sign_in(
    store: SealedStore,
    managing: Callable[..., TokenManager],
    clock: Clock,
    saved: Credential,
    server: Server,
) -> None:
    full, gate = FullStore(store), Gate(document(token_answer(1)))
    server.on(TOKEN, gate)
    clock.now = EXPIRED
    new = custody_of(Ear()).take("refresh-of-a-new-sign-in", "refresh-token")
    signed_in = replace(saved, tokens=replace(saved.tokens, refresh=new, issued_at=EXPIRED))
    manager = managing(store=full)
    async with manager, anyio.create_task_group() as tasks:
        tasks.start_soon(fill_while_sending, full, gate)
        await manager.get("default")
        await store.save(signed_in, expected=None)
        full.full = False
        assert plain((await manager.get("default")).tokens.refresh) == plain(new)
    assert plain((await stored(store)).tokens.refresh) == plain(new)


def test_new_tokens_are_neither_refused_nor_in_doubt() -> None:
    """Whatever was said of the ones before them."""
    before = replace(credential_at("http://127.0.0.1:9"), refused="no longer accepted", used_at=NOW)
    tokens = replace(before.tokens, issued_at=EXPIRED)
    assert before.tokens.refresh is not None
    after = Successor(spent=before.tokens.refresh, tokens=tokens).applied_to(before)
    assert (after.refused, after.used_at, after.refreshed_at) == (None, None, EXPIRED)


async def test_another_default_site_chosen_meanwhile_survives_with_the_new_tokens(
    store: SealedStore,
    managing: Callable[..., TokenManager],
    clock: Clock,
    saved: Credential,
    server: Server,
) -> None:
    """Neither change undoes the other, and there is no trouble worth a warning."""
    gate, warnings = Gate(document(token_answer(1))), list[str]()
    server.on(TOKEN, gate)
    clock.now = EXPIRED
    manager = managing(store=store, warn=warnings.append)
    async with manager, anyio.create_task_group() as tasks:
        tasks.start_soon(manager.get, "default")
        await gate.reached()
        now_there = await stored(store)
        await store.save(
            replace(now_there, site="other.example.net"), expected=now_there.generation
        )
        gate.opened.set()
    kept = await stored(store)
    assert (kept.site, access_of(kept)) == ("other.example.net", "access-made-up-1")
    assert saved.site != kept.site
    assert warnings == []


class MeddledStore(FullStore):
    """A real store in which the default site changes just before the first saving."""

    meddled = False

    async def save(self, credential: Credential, *, expected: int | None) -> Credential:
        if not self.meddled:
            self.meddled = True
            now_there = await stored(self._store)
            await self._store.save(
                replace(now_there, site="other.example.net"), expected=now_there.generation
            )
        return await super().save(credential, expected=expected)


async def test_another_default_site_chosen_just_before_does_no_harm_either(
    store: SealedStore, http: Http, clock: Clock, saved: Credential, ear: Ear
) -> None:
    """Here in a program that keeps no record."""
    del saved
    clock.now = EXPIRED
    scrubber: Any = ear
    meddled = MeddledStore(store)
    async with TokenManager(
        store=meddled, http=http, custody=Custody(scrubber), clock=clock, uptime=clock.uptime
    ) as manager:
        renewed = await manager.get("default")
    assert (renewed.site, access_of(renewed)) == ("other.example.net", "access-made-up-1")
    assert access_of(await stored(store)) == "access-made-up-1"
    assert ear.records == []
