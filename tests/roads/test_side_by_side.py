"""Many `twg` processes at the same moment, on one store."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from tests.roads.traveller import traveller
from tests.sandbox.running import running_sandbox

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


async def test_two_sign_ins_and_renewals_at_once_lose_nothing(tmp_path: Path) -> None:
    """Two processes each sign in on, and renew, another profile at the same moment."""
    async with running_sandbox(tmp_path, auto_approve=True) as sandbox:
        person = traveller(tmp_path)

        async def at_once(*words: str) -> None:
            async with anyio.create_task_group() as tasks:
                for profile in ("one", "two"):
                    tasks.start_soon(partial(person.asks, *words, "--profile", profile))

        await at_once("login", "--sandbox", "--device", "--no-bitbucket")
        for _ in range(3):
            await at_once("auth", "refresh", "--force")
        found = await person.asks("auth", "list")
        assert [one["profile"] for one in found["profiles"]] == ["one", "two"]
        assert (await sandbox.stats())["grants"]["refresh_token"] == 6
        assert (await sandbox.stats())["refresh_reuse"] == 0
        await at_once("api", "atlassian", "/me")
        assert person.traces_of(await sandbox.issued()) == []


async def test_many_callers_of_an_expired_token_cause_one_renewal(tmp_path: Path) -> None:
    """H-D1, for ten processes."""
    async with running_sandbox(tmp_path, auto_approve=True) as sandbox:
        person = traveller(tmp_path)
        await person.asks("login", "--sandbox", "--device", "--no-bitbucket")
        await sandbox.expire()
        answers: list[Any] = []

        async def call() -> None:
            answers.append(await person.asks("api", "atlassian", "/me"))

        async with anyio.create_task_group() as tasks:
            for _ in range(10):
                tasks.start_soon(call)
        assert [one["email"] for one in answers] == ["alice@sandbox.example"] * 10
        assert (await sandbox.stats())["grants"]["refresh_token"] == 1
