"""A host in trouble: no storm, whichever credentials are renewed there."""

from __future__ import annotations

import resource
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio
import pytest

from tests.auth.parts import EXPIRED, TOKEN, FullStore, Gate, access_of, credential_at, token_answer
from tests.oauth.servers import document, reset, serving, status
from twg.auth import hosts
from twg.auth.hosts import Host, Hosts
from twg.errors import GrantRefused, NetworkError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.auth.parts import Clock
    from tests.oauth.servers import Server
    from twg.auth.tokens import TokenManager
    from twg.errors import TwgError
    from twg.vault import Credential, SealedStore

PROFILES = [f"p{number}" for number in range(12)]


class Watch:
    """A clock that goes on by itself not at all."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def host(watch: Watch) -> Host:
    return Host("auth.example.com", watch)


async def ask(host: Host, error: TwgError | None = None, *, insist: bool = False) -> None:
    """Ask it something that ends in `error`."""
    async with host.place(insist=insist):
        with host.asked():
            if error is not None:
                raise error


async def fail(host: Host, *, retry_after: float | None = None) -> None:
    error = Unavailable("auth.example.com", "busy", status=503, retry_after=retry_after)
    with pytest.raises(Unavailable):
        await ask(host, error)


async def test_a_host_that_asks_for_time_gets_it(host: Host, watch: Watch) -> None:
    await fail(host, retry_after=60)
    rested_soon = []
    for watch.now in (50, 59):
        rested_soon.append(host.is_soon_rested)
    assert rested_soon == [False, True]
    watch.now = 50
    with pytest.raises(NetworkError, match="asked again in 10 seconds"):
        await ask(host)
    watch.now = 60
    await ask(host)


async def test_nobody_is_made_to_wait_for_ever(host: Host, watch: Watch) -> None:
    await fail(host, retry_after=1e12)
    watch.now = 3600
    await ask(host)


async def test_each_failure_more_makes_the_rest_longer(host: Host, watch: Watch) -> None:
    rests = []
    for _ in range(12):
        await fail(host)
        rests.append(host._rest_left())
        watch.now += rests[-1]
    assert 0.25 <= rests[0] <= 0.75
    assert 4 <= rests[4] <= 12
    assert 30 <= rests[-1] <= 90
    await ask(host)
    await fail(host)
    assert host._rest_left() <= 0.75


async def test_an_oauth_error_is_an_answer(host: Host) -> None:
    with pytest.raises(GrantRefused):
        await ask(host, GrantRefused("invalid_grant", "", 400, "auth.example.com"))
    assert host._rest_left() == 0


async def test_who_was_asked_before_the_failure_was_known_tells_nothing_new(host: Host) -> None:
    """A hundred requests that fail at once are one failure."""
    fail_now = anyio.Event()

    async def one() -> None:
        with host.asked():
            await fail_now.wait()
            raise NetworkError("auth.example.com", "gone")

    async def expected() -> None:
        with pytest.raises(NetworkError):
            await one()

    async with anyio.create_task_group() as tasks:
        for _ in range(100):
            tasks.start_soon(expected)
        await anyio.wait_all_tasks_blocked()
        fail_now.set()
    assert host._failures == host._in_a_row == 1


async def test_a_person_who_insists_is_not_told_of_old_failures(host: Host) -> None:
    await fail(host, retry_after=60)
    await ask(host, insist=True)
    await ask(host)


async def test_in_trouble_one_asks_at_a_time_and_the_rest_share_the_outcome(
    host: Host, watch: Watch
) -> None:
    await fail(host, retry_after=0)
    asking: list[int] = []
    ends: list[str] = []

    async def one(number: int) -> None:
        try:
            async with host.place():
                asking.append(number)
                with host.asked():
                    await anyio.lowlevel.checkpoint()
                    watch.now += 100  # rested again when the next one's turn comes
                    raise Unavailable("auth.example.com", "busy", status=503, retry_after=0)
        except NetworkError as error:
            ends.append(str(error))

    async with anyio.create_task_group() as tasks:
        for number in range(50):
            tasks.start_soon(one, number)
    assert len(asking) == 2
    assert sum("a moment ago" in end for end in ends) == 48


async def test_places_are_bounded_and_all_there_again_after_an_answer(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    del host
    monkeypatch.setattr(hosts, "AT_ONCE", 3)
    host = Host("auth.example.com", lambda: 0.0)
    await fail(host, retry_after=0)
    await ask(host)
    inside, most, leave = 0, 0, anyio.Event()

    async def one() -> None:
        nonlocal inside, most
        async with host.place():
            inside += 1
            most = max(most, inside)
            await leave.wait()
            inside -= 1

    async with anyio.create_task_group() as tasks:
        for _ in range(10):
            tasks.start_soon(one)
        await anyio.wait_all_tasks_blocked()
        leave.set()
    assert most == 3


def test_a_host_is_known_by_its_origin(watch: Watch) -> None:
    known = Hosts(watch)
    assert known.at("https://a.example/token") is known.at("https://a.example/other")
    others = {known.at(url) for url in ("https://a.example/", "https://a.example:8443/x")}
    assert len(others | {known.at("http://a.example/")}) == 3


# As the manager meets it


async def many(store: SealedStore, url: str) -> None:
    for profile in PROFILES:
        await store.save(credential_at(url, profile), expected=0)


async def test_many_credentials_of_a_host_that_is_down_send_few_requests(
    manager: TokenManager, clock: Clock, server: Server, store: SealedStore
) -> None:
    """H-C4: what fails together is asked for once more, by one or two for all."""
    await many(store, server.url)
    gate = Gate(status(503, retry_after="60"))
    server.on(TOKEN, gate)
    clock.now = EXPIRED
    async with manager, anyio.create_task_group() as tasks:
        results: dict[str, object] = {}

        async def all_of_them() -> None:
            results.update(await manager.renew_all(PROFILES))

        tasks.start_soon(all_of_them)
        await gate.reached()
        gate.opened.set()
    assert all(isinstance(each, NetworkError) for each in results.values())
    async with manager:
        for profile in PROFILES:
            with pytest.raises(NetworkError, match="a moment ago"):
                await manager.get(profile)
    assert len(server.received) <= len(PROFILES)


async def test_a_host_that_is_down_is_nothing_to_another_host(
    manager: TokenManager, clock: Clock, server: Server, store: SealedStore
) -> None:
    await store.save(credential_at(server.url, "here"), expected=0)
    server.on(TOKEN, status(503, retry_after="60"))
    clock.now = EXPIRED
    async with serving() as other, manager:
        other.on(TOKEN, document(token_answer(1)))
        await store.save(credential_at(other.url, "there"), expected=0)
        with pytest.raises(Unavailable):
            await manager.get("here")
        assert access_of(await manager.get("there")) == "access-made-up-1"


async def test_a_persons_own_wish_is_tried_in_spite_of_an_outage(
    manager: TokenManager, clock: Clock, server: Server, store: SealedStore
) -> None:
    """But not the need of a program that was answered 401."""
    one = await store.save(credential_at(server.url, "one"), expected=0)
    two = await store.save(credential_at(server.url, "two"), expected=0)
    server.on(TOKEN, status(429, retry_after="60"), document(token_answer(1)))
    clock.now = EXPIRED
    async with manager:
        with pytest.raises(Unavailable):
            await manager.get("one")
        with pytest.raises(NetworkError, match="a moment ago"):
            await manager.renew("two", seen=two, force=True)
        assert len(server.received) == 1
        assert access_of(await manager.renew("two", force=True)) == "access-made-up-1"
        server.on(TOKEN, document(token_answer(2)))
        assert access_of(await manager.renew("one", seen=one)) == "access-made-up-2"


async def test_nothing_is_marked_while_a_host_rests(
    manager: TokenManager, clock: Clock, server: Server, store: SealedStore
) -> None:
    """Nothing was sent, so nothing is in doubt afterwards."""
    await many(store, server.url)
    server.on(TOKEN, status(503, retry_after="60"))
    clock.now = EXPIRED
    async with manager:
        for profile in PROFILES[:2]:
            with pytest.raises(NetworkError):
                await manager.get(profile)
    first, second = [await store.read(profile) for profile in PROFILES[:2]]
    assert first is not None
    assert second is not None
    assert first.used_at is not None
    assert second.used_at is None


async def test_one_lost_answer_does_not_fail_the_others(
    manager: TokenManager, clock: Clock, server: Server, store: SealedStore
) -> None:
    for number, profile in enumerate(PROFILES):
        provider = credential_at(server.url).provider
        endpoints = replace(provider.endpoints, token=f"{server.url}/token-{number}")
        replies = [document(token_answer(number))]
        server.on(f"/token-{number}", *([reset()] if number == 0 else []), *replies)
        made = credential_at(server.url, profile, provider=replace(provider, endpoints=endpoints))
        await store.save(made, expected=0)
    clock.now = EXPIRED
    async with manager:
        results = await manager.renew_all(PROFILES)
    assert [each for each in results.values() if isinstance(each, Exception)] == []


class Slow(FullStore):
    """A store that takes new tokens once a request has arrived behind them."""

    def __init__(self, store: SealedStore, behind: Gate) -> None:
        super().__init__(store)
        self._behind = behind

    async def save(self, credential: Credential, *, expected: int | None) -> Credential:
        if credential.profile == "one" and credential.used_at is None:
            await self._behind.reached()
            self._behind.opened.set()
        return await super().save(credential, expected=expected)


async def test_the_next_one_is_asked_for_while_the_answer_before_is_saved(
    managing: Callable[..., TokenManager],
    clock: Clock,
    server: Server,
    store: SealedStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With one place for both: only who waits for an answer has one."""
    monkeypatch.setattr(hosts, "AT_ONCE", 1)
    for profile in ("one", "two"):
        await store.save(credential_at(server.url, profile), expected=0)
    first, second = (Gate(document(token_answer(number))) for number in (1, 2))
    server.on(TOKEN, first, second)
    clock.now = EXPIRED
    slow = Slow(store, second)
    async with managing(store=slow) as manager, anyio.create_task_group() as tasks:
        tasks.start_soon(manager.get, "one")
        await first.reached()
        tasks.start_soon(manager.get, "two")
        first.opened.set()
    saved = [await store.read(profile) for profile in ("one", "two")]
    assert [access_of(each) for each in saved if each] == ["access-made-up-1", "access-made-up-2"]


@pytest.mark.parametrize(("files", "renewals"), [(256, 64), (1024, 200), (3, 1), (-1, 200)])
def test_where_few_files_may_be_open_fewer_renewals_are_under_way(
    files: int, renewals: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """256 is what macOS allows at first; each renewal needs a connection and a lock."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))
    assert hosts.at_once() == renewals
