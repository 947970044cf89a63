"""Renewals among real processes: one request, nothing lost, killed and interrupted ones too."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest
from anyio import to_thread

from tests.auth.parts import Clock, Gate, credential_at, issued_by, plain, stored, token_answer
from tests.auth.workers import AHEAD
from tests.oauth.servers import document
from tests.rigs.parts import search_path
from tests.rigs.programs import line_with, running
from tests.vault.samples import Ear, custody_of, store_at
from twg.auth.tokens import TokenManager
from twg.errors import AuthExpired
from twg.http import Http

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from anyio.abc import Process

    from guard.custody import Custody
    from tests.auth.parts import Sandbox
    from tests.oauth.servers import Server
    from twg.vault import SealedStore

REPOSITORY = Path(__file__).parents[2]
TOKEN = "/oauth/token"


@asynccontextmanager
async def worker(*arguments: object, stderr: int | None = None) -> AsyncIterator[Process]:
    """Run a worker, ready to begin."""
    argv = [sys.executable, "-m", "tests.auth.workers", *map(str, arguments)]
    env = {"PATH": search_path(), "PYTHONPATH": str(REPOSITORY)}
    async with running(argv, env, stderr=stderr) as process:
        await line_with(process, "ready")
        yield process


async def begin(process: Process) -> None:
    assert process.stdin is not None
    await process.stdin.send(b"\n")


async def ended(process: Process) -> str:
    """Wait for the worker's end; return what it said since it was ready."""
    assert process.stdout is not None
    said = b"".join([chunk async for chunk in process.stdout])
    await process.wait()
    return said.decode()


async def test_many_tasks_of_many_processes_send_one_request(
    sandbox: Sandbox, store: SealedStore, tmp_path: Path
) -> None:
    """H-D1: one request, and the same token for all."""
    await store.save(await issued_by(sandbox), expected=0)
    async with AsyncExitStack() as stack:
        workers = [
            await stack.enter_async_context(worker("get", tmp_path, 20, "default"))
            for _ in range(3)
        ]
        for each in workers:
            await begin(each)
        said = {await ended(each) for each in workers}
    assert len(said) == 1
    assert "AUTH" not in said.pop()
    assert await sandbox.renewals() == 1
    assert await sandbox.token_active(plain((await stored(store)).tokens.access))


async def test_threads_with_event_loops_of_their_own_send_one_request(
    sandbox: Sandbox, store: SealedStore, tmp_path: Path
) -> None:
    """H-D1: they share nothing but the store, as processes do."""
    await store.save(await issued_by(sandbox), expected=0)
    served: list[str] = []

    async def work() -> None:
        async with (
            Http() as http,
            TokenManager(
                store=store_at(tmp_path),
                http=http,
                custody=custody_of(Ear()),
                clock=lambda: time.time() + AHEAD,
            ) as manager,
        ):
            served.append(plain((await manager.get("default")).tokens.access))
            served.append(plain((await manager.get("default")).tokens.access))

    async with anyio.create_task_group() as tasks:
        for _ in range(8):
            tasks.start_soon(to_thread.run_sync, anyio.run, work)
    assert len(served) == 8 * 2
    assert len(set(served)) == 1
    assert await sandbox.renewals() == 1


async def test_different_profiles_renewed_by_two_processes_at_once_lose_nothing(
    sandbox: Sandbox, store: SealedStore, tmp_path: Path
) -> None:
    """H-D1, H-D2: one file, and each writer leaves the other's work alone."""
    profiles = [f"profile-{number}" for number in range(6)]
    before = {}
    for profile in profiles:
        saved = await store.save(await issued_by(sandbox, profile), expected=0)
        before[profile] = plain(saved.tokens.refresh)
    async with (
        worker("get", tmp_path, 2, *profiles[:4]) as one,
        worker("get", tmp_path, 2, *profiles[2:]) as other,
    ):
        await begin(one)
        await begin(other)
        said = await ended(one) + await ended(other)
    assert "AUTH" not in said
    assert await sandbox.renewals() == len(profiles)
    for profile in profiles:
        after = plain((await stored(store, profile)).tokens.refresh)
        assert after != before[profile]
        assert await sandbox.token_active(after)


async def test_signing_out_and_renewing_at_once_leave_no_living_token_behind(
    sandbox: Sandbox, store: SealedStore, tmp_path: Path
) -> None:
    """H-D1: whoever comes first; the other finds it renewed, or gone."""
    await store.save(await issued_by(sandbox), expected=0)
    async with (
        worker("get", tmp_path, 5, "default") as renewing,
        worker("sign-out", tmp_path, "default") as leaving,
    ):
        await begin(renewing)
        await begin(leaving)
        await ended(renewing)
        assert await ended(leaving) == "default True\n"
    assert await store.read("default") is None
    for token in [*await sandbox.issued("access"), *await sandbox.issued("refresh")]:
        assert not await sandbox.token_active(token)


async def test_killed_after_sending_the_next_one_tries_the_same_token(
    server: Server, store: SealedStore, tmp_path: Path, http: Http, custody: Custody
) -> None:
    """H-D2: the provider may still know it, and then no person is needed."""
    await _killed_while_sending(server, store, tmp_path)
    server.on(TOKEN, document(token_answer(1)))
    async with TokenManager(store=store, http=http, custody=custody, clock=Clock(AHEAD)) as manager:
        renewed = await manager.renew("default", force=True)
    assert plain(renewed.tokens.access) == "access-made-up-1"
    assert [each.form["refresh_token"] for each in server.received] == ["refresh-made-up-0"] * 2


async def test_killed_after_sending_and_the_token_was_spent_is_told_precisely(
    server: Server, store: SealedStore, tmp_path: Path, http: Http, custody: Custody
) -> None:
    """H-D2: only the provider's refusal ends it, and it is not called revoked."""
    await _killed_while_sending(server, store, tmp_path)
    server.on(TOKEN, document({"error": "invalid_grant"}, 403))
    for _ in range(2):
        async with TokenManager(store=store, http=http, custody=custody) as manager:
            with pytest.raises(AuthExpired, match=r"cut off at .* had already rotated"):
                await manager.renew("default", force=True)
    assert len(server.received) == 2


async def _killed_while_sending(server: Server, store: SealedStore, root: Path) -> None:
    await store.save(credential_at(server.url), expected=0)
    gate = Gate(document(token_answer(1)))
    server.on(TOKEN, gate)
    async with worker("get", root, 1, "default") as killed:
        await begin(killed)
        await gate.reached()
        killed.send_signal(signal.SIGKILL)
        await ended(killed)
        gate.opened.set()


async def test_interrupted_between_send_and_save_it_is_saved_first(
    server: Server, store: SealedStore, tmp_path: Path
) -> None:
    """H-D7: Ctrl-C, as asyncio alone handles it."""
    await store.save(credential_at(server.url), expected=0)
    gate = Gate(document(token_answer(1)))
    server.on(TOKEN, gate)
    async with worker("get", tmp_path, 1, "default", stderr=subprocess.DEVNULL) as process:
        await begin(process)
        await gate.reached()
        process.send_signal(signal.SIGINT)
        gate.opened.set()
        assert await ended(process) == ""
        assert process.returncode != 0
    assert plain((await stored(store)).tokens.refresh) == "refresh-made-up-1"


async def test_on_a_full_disk_nothing_is_sent(
    server: Server, store: SealedStore, tmp_path: Path
) -> None:
    """H-D3: a limit on the size of files stands for the full disk, so that root meets it too."""
    before = await store.save(credential_at(server.url), expected=0)
    async with worker("get-on-a-full-disk", tmp_path) as process:
        await begin(process)
        assert "STORE_UNWRITABLE" in await ended(process)
    assert server.received == []
    assert plain((await stored(store)).tokens.refresh) == plain(before.tokens.refresh)
