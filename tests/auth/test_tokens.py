"""Usable tokens: fresh, due or expired, renewed once whoever asks, whole whatever cancels."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import anyio
import pytest

from tests.auth.parts import (
    DUE,
    EXPIRED,
    FRESH,
    LIFETIME,
    NOW,
    TOKEN,
    FullStore,
    Gate,
    access_of,
    credential_at,
    issued_by,
    plain,
    provider_at,
    stored,
    token_answer,
)
from tests.oauth.servers import document, status
from tests.vault.samples import Ear, custody_of, store_at
from twg.auth.tokens import TokenManager
from twg.errors import AuthRequired, Busy, GrantRefused, Interrupted, NetworkError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from guard.custody import Custody
    from tests.auth.parts import Clock, Sandbox
    from tests.oauth.servers import Server
    from twg.http import Http
    from twg.vault import Credential, SealedStore


# Fresh, due, expired


async def test_nobody_is_signed_in(manager: TokenManager) -> None:
    async with manager:
        with pytest.raises(AuthRequired) as caught:
            await manager.get("work")
    assert "twg login --profile work" in caught.value.remediation


async def test_a_fresh_token_is_no_work(
    manager: TokenManager, clock: Clock, saved: Credential, server: Server
) -> None:
    clock.now = FRESH
    async with manager:
        assert access_of(await manager.get("default")) == access_of(saved)
        assert access_of(await manager.renew("default")) == access_of(saved)
    assert server.received == []


async def test_a_due_token_is_handed_out_at_once_and_renewed_beside(
    manager: TokenManager, clock: Clock, saved: Credential, server: Server, store: SealedStore
) -> None:
    gate = Gate(document(token_answer(1)))
    server.on(TOKEN, gate)
    clock.now = DUE
    async with manager:
        assert access_of(await manager.get("default")) == access_of(saved)
        await gate.reached()
        gate.opened.set()
    assert access_of(await stored(store)) == "access-made-up-1"
    assert server.received[0].form == {
        "grant_type": "refresh_token",
        "refresh_token": "refresh-made-up-0",
        "client_id": "twg-sandbox",
    }


async def test_an_expired_token_is_waited_for(
    manager: TokenManager, clock: Clock, saved: Credential, store: SealedStore, ear: Ear
) -> None:
    del saved
    clock.now = EXPIRED
    async with manager:
        renewed = await manager.get("default")
    assert access_of(renewed) == "access-made-up-1"
    assert plain((await stored(store)).tokens.refresh) == "refresh-made-up-1"
    assert (renewed.refreshed_at, renewed.expires_at) == (EXPIRED, EXPIRED + LIFETIME)
    [event] = ear.events("token.refreshed")
    assert event["profile"] == "default"
    assert event["outcome"] == "ok"


async def test_a_token_without_an_end_is_handed_out_until_renewed_by_force(
    manager: TokenManager, clock: Clock, saved: Credential, store: SealedStore, server: Server
) -> None:
    await store.save(
        replace(saved, tokens=replace(saved.tokens, expires_in=None)), expected=saved.generation
    )
    clock.now = NOW + 10 * LIFETIME
    async with manager:
        assert access_of(await manager.get("default")) == access_of(saved)
        assert server.received == []
        assert access_of(await manager.renew("default", force=True)) == "access-made-up-1"


@pytest.mark.parametrize("now", [NOW - 86_400, NOW + 86_400])
async def test_a_clock_set_a_day_off_costs_one_renewal(
    manager: TokenManager, clock: Clock, saved: Credential, server: Server, now: float
) -> None:
    """H-D6: back or ahead; then the lifetime counts from the new time."""
    del saved
    clock.now = now
    async with manager:
        await manager.get("default")
    async with manager:
        assert access_of(await manager.get("default")) == "access-made-up-1"
    assert len(server.received) == 1


async def test_a_clock_that_is_a_little_behind_costs_nothing(
    manager: TokenManager, clock: Clock, saved: Credential, server: Server
) -> None:
    del saved
    clock.now = NOW - 30
    async with manager:
        await manager.get("default")
    assert server.received == []


async def test_a_lifetime_of_nothing_is_handed_out_once_for_each_asking(
    manager: TokenManager, clock: Clock, saved: Credential, server: Server
) -> None:
    """H-C2: `expires_in` of zero must not end in a loop."""
    del saved
    server.on(TOKEN, document(token_answer(1, expires_in=0)), document(token_answer(2)))
    clock.now = EXPIRED
    async with manager:
        assert access_of(await manager.get("default")) == "access-made-up-1"
        assert access_of(await manager.get("default")) == "access-made-up-2"
    assert [each.form["refresh_token"] for each in server.received] == [
        "refresh-made-up-0",
        "refresh-made-up-1",
    ]


async def test_what_the_answer_leaves_out_stays_as_it_was(
    manager: TokenManager, clock: Clock, saved: Credential, server: Server
) -> None:
    """H-C3: no new refresh token means that the old one goes on."""
    answer = token_answer(1)
    del answer["refresh_token"]
    server.on(TOKEN, document(answer))
    clock.now = EXPIRED
    async with manager:
        renewed = await manager.get("default")
    assert plain(renewed.tokens.refresh) == "refresh-made-up-0"
    assert renewed.tokens.scopes == saved.tokens.scopes
    assert renewed.account == saved.account


async def test_the_resource_is_asked_for_again(
    manager: TokenManager, clock: Clock, store: SealedStore, server: Server
) -> None:
    server.on(TOKEN, document(token_answer(1)))
    provider = provider_at(server.url, resource="https://api.example.com/")
    await store.save(credential_at(server.url, provider=provider), expected=0)
    clock.now = EXPIRED
    async with manager:
        await manager.get("default")
    assert server.received[0].form["resource"] == "https://api.example.com/"


@pytest.mark.parametrize("step", [-86_400, 86_400])
async def test_a_clock_that_steps_while_running_costs_nothing(
    manager: TokenManager, clock: Clock, saved: Credential, server: Server, step: float
) -> None:
    """H-D6: back or ahead; and what expires later is renewed as ever."""
    async with manager:
        assert access_of(await manager.get("default")) == access_of(saved)
        clock.wrong = step
        assert access_of(await manager.get("default")) == access_of(saved)
        assert server.received == []
        clock.now = EXPIRED
        assert access_of(await manager.get("default")) == "access-made-up-1"
        clock.wrong = 0
        assert access_of(await manager.get("default")) == "access-made-up-1"
    assert len(server.received) == 1


async def test_what_one_process_got_another_of_the_same_boot_dates_without_the_wall_clock(
    store: SealedStore,
    http: Http,
    custody: Custody,
    clock: Clock,
    saved: Credential,
    server: Server,
) -> None:
    """H-D6: each command is a process of its own, and the clock a day off in between."""
    del saved
    async with TokenManager(store=store, http=http, custody=custody, clock=clock) as manager:
        await manager.renew("default", force=True)
    for wrong in (-86_400, 86_400):
        clock.wrong = wrong
        async with TokenManager(store=store, http=http, custody=custody, clock=clock) as manager:
            assert access_of(await manager.get("default")) == "access-made-up-1"
    assert len(server.received) == 1


async def test_lifetimes_of_a_second_cost_a_renewal_each(
    manager: TokenManager, clock: Clock, saved: Credential, server: Server
) -> None:
    """H-D6: one for each second that passes, and none more however often it is asked."""
    del saved
    server.on(TOKEN, *(document(token_answer(number, expires_in=1)) for number in (1, 2, 3)))
    clock.now = EXPIRED
    served: list[str] = []
    async with manager:
        for _ in range(3):
            served += [access_of(await manager.get("default")) for _ in range(3)]
            clock.now += 1
    assert served == [f"access-made-up-{number}" for number in (1, 1, 1, 2, 2, 2, 3, 3, 3)]
    assert len(server.received) == 3


async def test_a_week_asleep_costs_one_renewal(
    manager: TokenManager, clock: Clock, saved: Credential, server: Server
) -> None:
    """H-D6: everybody wakes at once."""
    served: list[str] = []

    async def work() -> None:
        served.append(access_of(await manager.get("default")))

    async with manager:
        assert access_of(await manager.get("default")) == access_of(saved)
        clock.now += 7 * 86_400
        async with anyio.create_task_group() as tasks:
            for _ in range(50):
                tasks.start_soon(work)
    assert served == ["access-made-up-1"] * 50
    assert len(server.received) == 1


# What the store has at hand


class AtHand(FullStore):
    """A store that has at hand what it saved last, and counts how often it is read."""

    def __init__(self, store: SealedStore, known: Credential) -> None:
        super().__init__(store)
        self.known = known
        self.reads = 0
        self._read = store.read
        self.peek = self._peek
        self.read = self._counted

    def _peek(self, profile: str) -> Credential | None:
        return self.known if profile == self.known.profile else None

    async def _counted(self, profile: str) -> Credential | None:
        self.reads += 1
        return await self._read(profile)


async def test_a_fresh_token_that_is_at_hand_is_not_read(
    store: SealedStore, managing: Callable[..., TokenManager], saved: Credential
) -> None:
    at_hand = AtHand(store, saved)
    async with managing(store=at_hand) as manager:
        assert await manager.get("default") is saved
        assert at_hand.reads == 0
        with pytest.raises(AuthRequired):
            await manager.get("nobody")


async def test_tokens_that_could_not_be_saved_come_before_what_is_at_hand(
    store: SealedStore,
    managing: Callable[..., TokenManager],
    saved: Credential,
    server: Server,
) -> None:
    """H-D3: the store does not know them yet, and what it knows may be refused by now."""
    at_hand = AtHand(store, saved)
    gate = Gate(document(token_answer(1)))
    server.on(TOKEN, gate)
    async with managing(store=at_hand) as manager:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(manager.renew, "default", force=True))
            await gate.reached()
            at_hand.full = True
            gate.opened.set()
        assert access_of(await manager.get("default")) == "access-made-up-1"
        assert len(server.received) == 1
        at_hand.full = False


async def test_what_is_awaited_can_be_told(
    manager: TokenManager, clock: Clock, saved: Credential, server: Server
) -> None:
    """H-D7."""
    del saved
    gate = Gate(document(token_answer(1)))
    server.on(TOKEN, gate)
    clock.now = EXPIRED
    async with manager, anyio.create_task_group() as tasks:
        tasks.start_soon(manager.get, "default")
        await gate.reached()
        host = server.url.removeprefix("http://")
        assert manager.awaited == (f"{host}, which renews 'default'",)
        gate.opened.set()
    assert manager.awaited == ()


# One renewal, whoever asks


@pytest.mark.parametrize("now", [DUE, EXPIRED])
async def test_a_thousand_tasks_send_one_request(
    manager: TokenManager, clock: Clock, saved: Credential, server: Server, now: float
) -> None:
    """H-D1: one request, all served."""
    del saved
    gate = Gate(document(token_answer(1)))
    server.on(TOKEN, gate)
    clock.now = now
    served: list[str] = []

    async def work() -> None:
        served.append(access_of(await manager.get("default")))

    async with manager, anyio.create_task_group() as tasks:
        for _ in range(1000):
            tasks.start_soon(work)
        await gate.reached()
        gate.opened.set()
    assert len(server.received) == 1
    assert served == ["access-made-up-0" if now == DUE else "access-made-up-1"] * 1000


async def test_two_managers_of_one_process_exclude_each_other(
    manager: TokenManager,
    clock: Clock,
    saved: Credential,
    server: Server,
    tmp_path: Path,
    http: Http,
) -> None:
    """As two threads or processes would: by the store alone."""
    del saved
    clock.now = EXPIRED
    other = TokenManager(
        store=store_at(tmp_path),
        http=http,
        custody=custody_of(Ear()),
        clock=clock,
        uptime=clock.uptime,
    )
    served: list[str] = []

    async def work(one: TokenManager) -> None:
        served.append(access_of(await one.get("default")))

    async with manager, other, anyio.create_task_group() as tasks:
        tasks.start_soon(work, manager)
        tasks.start_soon(work, other)
    assert len(server.received) == 1
    assert served == ["access-made-up-1"] * 2


async def test_who_found_a_token_wanting_gets_the_newer_one_that_is_there(
    manager: TokenManager, saved: Credential, server: Server
) -> None:
    """A refused token is renewed once, however many callers found it refused."""
    async with manager:
        renewed = await manager.renew("default", seen=saved, force=True)
        again = await manager.renew("default", seen=saved, force=True)
    assert access_of(renewed) == access_of(again) == "access-made-up-1"
    assert len(server.received) == 1


async def test_another_default_site_is_no_newer_token(
    manager: TokenManager, saved: Credential, store: SealedStore
) -> None:
    """The generation rose, but the token that was found wanting is still the one there."""
    await store.save(replace(saved, site="other.example.net"), expected=saved.generation)
    async with manager:
        renewed = await manager.renew("default", seen=saved, force=True)
    assert access_of(renewed) == "access-made-up-1"
    assert renewed.site == "other.example.net"


async def test_a_failure_is_shared_too(
    manager: TokenManager, clock: Clock, saved: Credential, server: Server
) -> None:
    """No storm: all who wait get the one failure."""
    del saved
    gate = Gate(status(503, retry_after="60"))
    server.on(TOKEN, gate)
    clock.now = EXPIRED
    failed: list[NetworkError] = []

    async def work() -> None:
        with pytest.raises(NetworkError) as caught:
            await manager.get("default")
        failed.append(caught.value)

    async with manager, anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(work)
        await gate.reached()
        gate.opened.set()
    assert len(failed) == 20
    assert len(server.received) == 1


async def test_all_profiles_are_renewed_at_once_and_failures_do_not_mix(
    manager: TokenManager, clock: Clock, store: SealedStore, server: Server
) -> None:
    gates = [Gate(document(token_answer(number))) for number in range(3)]
    for number, gate in enumerate(gates):
        endpoints = replace(provider_at(server.url).endpoints, token=f"{server.url}/token-{number}")
        server.on(f"/token-{number}", gate)
        made = credential_at(
            server.url, f"p{number}", provider=provider_at(server.url, endpoints=endpoints)
        )
        await store.save(made, expected=0)
    gates[1].reply = document({"error": "invalid_client"}, 401)
    clock.now = EXPIRED
    async with manager, anyio.create_task_group() as tasks:

        async def let_go() -> None:
            for gate in gates:  # all three are there before any is answered
                await gate.reached()
            for gate in gates:
                gate.opened.set()

        tasks.start_soon(let_go)
        results = await manager.renew_all(["p2", "p1", "p0", "nobody"])
    assert list(results) == ["p2", "p1", "p0", "nobody"]
    assert isinstance(results["p1"], GrantRefused)
    assert isinstance(results["nobody"], AuthRequired)
    assert [access_of(await stored(store, f"p{number}")) for number in range(3)] == [
        "access-made-up-0",
        "access-made-up-0",
        "access-made-up-2",
    ]


async def test_the_old_tokens_are_dead_and_the_new_ones_work(
    sandbox: Sandbox, manager: TokenManager, clock: Clock, store: SealedStore
) -> None:
    before = await store.save(await issued_by(sandbox), expected=0)
    clock.now = EXPIRED
    async with manager:
        after = await manager.get("default")
    assert not await sandbox.token_active(plain(before.tokens.refresh))
    assert await sandbox.token_active(access_of(after))
    assert await sandbox.token_active(plain(after.tokens.refresh))
    assert await sandbox.renewals() == 1


# While another process renews


async def test_a_valid_token_does_not_wait_for_a_hanging_renewal(
    managing: Callable[..., TokenManager],
    tmp_path: Path,
    clock: Clock,
    saved: Credential,
    server: Server,
) -> None:
    """H-D8: neither at once nor at the end of the command."""
    clock.now = DUE
    patient = store_at(tmp_path, lock_seconds=3600)
    manager = managing(store=patient)
    with anyio.fail_after(60):
        async with store_at(tmp_path).lease("default"), manager:
            assert access_of(await manager.get("default")) == access_of(saved)
    assert server.received == []


async def test_an_expired_token_waits_for_a_hanging_renewal_and_names_its_process(
    managing: Callable[..., TokenManager], tmp_path: Path, clock: Clock, saved: Credential
) -> None:
    """H-D8."""
    del saved
    clock.now = EXPIRED
    manager = managing(store=store_at(tmp_path, lock_seconds=0.2))
    async with store_at(tmp_path).lease("default"), manager:
        with pytest.raises(Busy) as caught:
            await manager.get("default")
    assert caught.value.holder == os.getpid()


# From send to save


async def cancel_by_scope(work: Callable[[], Coroutine[None, None, None]], gate: Gate) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(work)
        await gate.reached()
        tasks.cancel_scope.cancel()
        gate.opened.set()


async def cancel_natively(work: Callable[[], Awaitable[None]], gate: Gate) -> None:
    task = asyncio.ensure_future(work())
    await gate.reached()
    task.cancel()
    await anyio.lowlevel.checkpoint()
    task.cancel()
    gate.opened.set()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("cancel", [cancel_by_scope, cancel_natively])
async def test_cancelled_between_send_and_save_it_is_saved_first(
    manager: TokenManager,
    saved: Credential,
    server: Server,
    store: SealedStore,
    cancel: Callable[[Callable[[], Awaitable[None]], Gate], Awaitable[None]],
) -> None:
    """H-D7: the command is cancelled, the token is not lost."""
    del saved
    gate = Gate(document(token_answer(1)))
    server.on(TOKEN, gate)
    came_to_an_end = False

    async def command() -> None:
        nonlocal came_to_an_end
        async with manager:
            await manager.renew("default", force=True)
        came_to_an_end = True

    await cancel(command, gate)
    assert not came_to_an_end
    assert plain((await stored(store)).tokens.refresh) == "refresh-made-up-1"


async def test_one_caller_cancelled_does_not_cancel_the_others(
    manager: TokenManager, clock: Clock, saved: Credential, server: Server
) -> None:
    """H-D7: the renewal belongs to nobody alone."""
    del saved
    gate = Gate(document(token_answer(1)))
    server.on(TOKEN, gate)
    clock.now = EXPIRED
    served: list[str] = []

    async def patient() -> None:
        served.append(access_of(await manager.get("default")))

    async with manager, anyio.create_task_group() as tasks:
        first = asyncio.ensure_future(manager.get("default"))
        await gate.reached()
        tasks.start_soon(patient)
        await anyio.wait_all_tasks_blocked()
        first.cancel()
        gate.opened.set()
    assert first.cancelled()
    assert served == ["access-made-up-1"]
    assert len(server.received) == 1


async def test_an_error_in_the_body_comes_out_as_it_is(
    manager: TokenManager, clock: Clock, saved: Credential, server: Server, store: SealedStore
) -> None:
    """What is under way is finished all the same."""
    del saved
    gate = Gate(document(token_answer(1)))
    server.on(TOKEN, gate)
    clock.now = DUE

    async def command() -> None:
        async with manager:
            await manager.get("default")
            await gate.reached()
            gate.opened.set()
            raise KeyError("as it is")

    with pytest.raises(KeyError, match="as it is"):
        await command()
    assert access_of(await stored(store)) == "access-made-up-1"


async def test_an_error_in_the_body_does_not_wait_for_what_has_not_begun(
    managing: Callable[..., TokenManager],
    tmp_path: Path,
    clock: Clock,
    saved: Credential,
    server: Server,
) -> None:
    """A renewal that nobody waits for any more gives up its place in the queue."""
    del saved
    clock.now = EXPIRED
    patient = store_at(tmp_path, lock_seconds=3600)
    manager = managing(store=patient)

    async def command() -> None:
        async with store_at(tmp_path).lease("default"), manager:
            with anyio.move_on_after(0.05):
                await manager.get("default")
            raise KeyError("as it is")

    with anyio.fail_after(60), pytest.raises(KeyError, match="as it is"):
        await command()
    assert server.received == []


async def test_who_waits_from_outside_is_told_that_the_command_ended(
    managing: Callable[..., TokenManager], tmp_path: Path, clock: Clock, saved: Credential
) -> None:
    del saved
    clock.now = EXPIRED
    watched = FullStore(store_at(tmp_path, lock_seconds=3600))
    lease, leasing = watched.lease, anyio.Event()
    manager = managing(store=watched)
    waiting: list[asyncio.Task[Credential]] = []

    def noted(profile: str) -> AbstractAsyncContextManager[None]:
        leasing.set()
        return lease(profile)

    watched.lease = noted

    async def command() -> None:
        async with store_at(tmp_path).lease("default"), manager:
            waiting.append(asyncio.ensure_future(manager.get("default")))
            await leasing.wait()
            raise KeyError("as it is")

    with pytest.raises(KeyError):
        await command()
    with pytest.raises(Interrupted):
        await waiting[0]


async def test_outside_its_context_a_manager_is_of_no_use(manager: TokenManager) -> None:
    with pytest.raises(RuntimeError, match="inside its own context"):
        await manager.renew("default")
