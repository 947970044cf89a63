"""A hundred processes and a thousand tasks want one token at the same moment."""

from __future__ import annotations

import re
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio
import pytest

from tests.auth.conftest import sandbox, shared_sandboxes
from tests.auth.parts import DUE, EXPIRED, NOW, issued_by, plain, stored
from tests.auth.workers import fingerprint
from tests.refresh.crowd import issued
from tests.refresh.tracing import REPOSITORY
from tests.rigs.browser import chromium
from tests.rigs.client import Client, callback_listener, parameters_of
from tests.rigs.oidc_rig import PUBLIC_CLIENT, oidc_provider
from tests.rigs.pages import sign_in_on_oidc_provider
from tests.rigs.parts import search_path
from tests.rigs.programs import line_with, running
from tests.vault.samples import store_at

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from anyio.abc import Process

    from tests.auth.parts import Sandbox
    from tests.rigs.oidc_rig import OidcRig
    from twg.vault import Credential

__all__ = ["sandbox", "shared_sandboxes"]

pytestmark = pytest.mark.slow

PROCESSES = 100
TASKS = 10
"""A process; a thousand in all."""
LONGEST = 240.0
"""Seconds that all of it may take; only a fault needs them."""
MIX = ("get", "force", "sign-in", "get", "sign-out", "force", "get", "sign-in")


@asynccontextmanager
async def crowd(root: Path, clock: float, *jobs: str) -> AsyncIterator[Process]:
    """Run a process a job, all of them ready to begin."""
    arguments = [str(root), str(clock), str(TASKS), *jobs]
    argv = [sys.executable, "-m", "tests.refresh.crowd", *arguments]
    env = {"PATH": search_path(), "PYTHONPATH": str(REPOSITORY)}
    async with running(argv, env) as process:
        await line_with(process, "ready")
        yield process


async def said_by(*processes: Process) -> list[str]:
    """Let them begin at once; return what each of their processes said."""
    for process in processes:
        assert process.stdin is not None
        await process.stdin.send(b"go\n")
    said = b""
    with anyio.fail_after(LONGEST):
        for process in processes:
            assert process.stdout is not None
            said += b"".join([chunk async for chunk in process.stdout])
    return said.decode().splitlines()


@pytest.mark.parametrize("clock", [DUE, EXPIRED])
async def test_a_hundred_processes_and_a_thousand_tasks_send_one_request(
    tmp_path: Path, sandbox: Sandbox, clock: float
) -> None:
    """H-D1: with no leeway, all are served and nobody's token is taken for stolen."""
    before = await store_at(tmp_path).save(await issued_by(sandbox), expected=0)
    async with crowd(tmp_path, clock, *["get"] * PROCESSES) as process:
        said = await said_by(process)

    after = await stored(store_at(tmp_path))
    assert await sandbox.renewals() == 1
    assert await sandbox.token_active(plain(after.tokens.refresh))
    if clock == EXPIRED:
        assert said == [f"get {TASKS} x {fingerprint(after)}"] * PROCESSES
    else:
        # At once with the valid token; who came late may have found the new one.
        tokens = {fingerprint(before), fingerprint(after)}
        assert {*re.findall(" x ([0-9a-f]+)", "".join(said))} <= tokens
        assert len(said) == PROCESSES


async def test_a_hundred_processes_at_a_server_that_is_not_ours(tmp_path: Path) -> None:
    """H-D1: it ends the whole grant at the first reuse."""
    async with oidc_provider() as rig:
        await store_at(tmp_path).save(await _signed_in(rig), expected=0)
        async with crowd(tmp_path, EXPIRED, *["get"] * PROCESSES) as process:
            said = await said_by(process)

        after = await stored(store_at(tmp_path))
        assert said == [f"get {TASKS} x {fingerprint(after)}"] * PROCESSES
        assert (await rig.stats())["grants"]["refresh_token"] == {"granted": 1, "refused": 0}
        assert await rig.active(plain(after.tokens.refresh))


async def test_everything_at_the_same_moment_loses_nothing(
    tmp_path: Path, sandbox: Sandbox
) -> None:
    """H-D1: renewals, forced ones, new sign-ins and a sign-out, in processes started afresh."""
    store = store_at(tmp_path)
    await store.save(await issued_by(sandbox), expected=0)
    beside = await store.save(await issued_by(sandbox, "beside"), expected=0)
    reused_before = (await sandbox.stats())["refresh_reuse"]
    async with AsyncExitStack() as stack:
        processes = [await stack.enter_async_context(crowd(tmp_path, EXPIRED, job)) for job in MIX]
        said = await said_by(*processes)

    assert sorted(line.split()[0] for line in said) == sorted(MIX)
    # Nothing but what signing out brings with it.
    assert set(re.findall(r" x ([A-Z_]+):", "\n".join(said))) <= {"AUTH_REQUIRED"}
    assert "sign-out revoked: False" not in said
    assert (await sandbox.stats())["refresh_reuse"] == reused_before
    left = await store.read("default")
    if left is not None:  # a sign-in came after the sign-out
        assert await sandbox.token_active(plain(left.tokens.refresh))
    kept = await stored(store, "beside")
    assert plain(kept.tokens.refresh) == plain(beside.tokens.refresh)


async def _signed_in(rig: OidcRig) -> Credential:
    async with chromium() as browser, callback_listener() as redirect_uri:
        client = Client(rig.issuer, PUBLIC_CLIENT, redirect_uri)
        back = parameters_of(await sign_in_on_oidc_provider(browser, client.authorize_url()))
        answer = await client.exchange(back["code"])
    credential = issued(answer.json(), rig.issuer, NOW)
    endpoints = replace(credential.provider.endpoints, token=f"{rig.issuer}/token")
    provider = replace(credential.provider, client_id=PUBLIC_CLIENT, endpoints=endpoints)
    return replace(credential, provider=provider)
