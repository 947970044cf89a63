"""Fixtures: a store, an HTTP client, a custody that is listened to, and servers to sign in at."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

import pytest
from anyio.from_thread import start_blocking_portal

from tests.auth.parts import TOKEN, Clock, Sandbox, Told, credential_at, token_answer
from tests.oauth.servers import document, serving
from tests.sandbox.running import running_sandbox
from tests.vault.samples import Ear, custody_of, store_at
from twg.auth.tokens import TokenManager
from twg.http import Http

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping
    from pathlib import Path

    from guard.custody import Custody
    from tests.oauth.servers import Server
    from tests.sandbox.running import SandboxHandle
    from twg.vault import Credential, SealedStore


@pytest.fixture
def ear() -> Ear:
    """Hear what the custody under test is told."""
    return Ear()


@pytest.fixture
def custody(ear: Ear) -> Custody:
    return custody_of(ear)


@pytest.fixture
def store(tmp_path: Path) -> SealedStore:
    return store_at(tmp_path)


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    async with Http(read_seconds=20) as client:
        yield client


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def managing(http: Http, custody: Custody, clock: Clock) -> Callable[..., TokenManager]:
    """Make managers of any store, by the clock of this test."""
    return partial(TokenManager, http=http, custody=custody, clock=clock, uptime=clock.uptime)


@pytest.fixture
def manager(store: SealedStore, managing: Callable[..., TokenManager]) -> TokenManager:
    return managing(store=store)


@pytest.fixture
async def saved(server: Server, store: SealedStore) -> Credential:
    """Sign in at the scripted server, which has one renewal to give."""
    server.on(TOKEN, document(token_answer(1)))
    return await store.save(credential_at(server.url), expected=0)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as running:
        yield running


@pytest.fixture(scope="session")
def shared_sandboxes(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Mapping[bool, SandboxHandle]]:
    """Run two sandboxes; one asks its persons, the other plays them and agrees to everything."""
    with ExitStack() as stack:
        portal = stack.enter_context(start_blocking_portal())
        yield {
            agrees: stack.enter_context(
                portal.wrap_async_context_manager(
                    running_sandbox(tmp_path_factory.mktemp("sandbox"), auto_approve=agrees)
                )
            )
            for agrees in (True, False)
        }


@pytest.fixture
async def sandbox(shared_sandboxes: Mapping[bool, SandboxHandle]) -> Sandbox:
    """Return the sandbox that agrees to everything, as this test sees it."""
    return await Sandbox.as_it_is(shared_sandboxes[True])


@pytest.fixture
async def asking_sandbox(shared_sandboxes: Mapping[bool, SandboxHandle]) -> Sandbox:
    """Return the sandbox that asks its persons, as this test sees it."""
    return await Sandbox.as_it_is(shared_sandboxes[False])
