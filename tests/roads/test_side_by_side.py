"""Many `twg` processes at the same moment, on one store."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from tests.auth.parts import both_tokens, stored
from tests.rigs.pages import sign_in_on_oidc_provider
from tests.roads.test_oidc_provider import with_provider
from tests.roads.traveller import traveller
from tests.sandbox.running import running_sandbox
from tests.vault.samples import store_at

if TYPE_CHECKING:
    from pathlib import Path

    from tests.rigs.browser import Browser
    from tests.rigs.oidc_rig import OidcRig
    from tests.roads.traveller import Traveller
    from tests.sandbox.running import SandboxHandle
    from twg.vault import Credential

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


async def test_three_sign_ins_at_two_providers_are_renewed_at_once(
    tmp_path: Path, rig: OidcRig, browser: Browser
) -> None:
    """Each once, by its own provider alone; and of one that is renewed alone, no other knows."""
    async with running_sandbox(tmp_path, auto_approve=True) as sandbox:
        person = traveller(tmp_path)
        for profile in ("one", "two"):
            words = ("login", "--sandbox", "--device", "--no-bitbucket", "--profile", profile)
            await person.asks(*words)
        await with_provider(person, rig)
        async with person.types("login", "--provider", "rig", "--profile", "three") as terminal:
            await sign_in_on_oidc_provider(browser, await person.browser.opened_url())
            assert await terminal.exit_status() == 0
        before = await kept(person)
        granted = await renewals(sandbox, rig)
        assert granted == (0, 0)

        done = await person.asks("auth", "refresh", "--all", "--force")

        assert sorted(done["renewed"]) == ["one", "three", "two"]
        assert await renewals(sandbox, rig) == (2, 1)
        after = await kept(person)
        for name, one in after.items():
            assert not both_tokens(one) & both_tokens(before[name])
            assert one.hosts == before[name].hosts
            at = {token: await sandbox.token_active(token) for token in both_tokens(one)}
            assert set(at.values()) == {name != "three"}, "tokens of one are another's business"
        assert (await sandbox.stats())["refresh_reuse"] == 0

        await person.asks("auth", "refresh", "--force", "--profile", "three")

        assert await renewals(sandbox, rig) == (2, 2)
        last = await kept(person)
        same = [name for name in after if both_tokens(last[name]) == both_tokens(after[name])]
        assert same == ["one", "two"]
        assert (await person.asks("api", "atlassian", "/me", "--profile", "three"))["sub"] == (
            "alice"
        )
        assert person.traces_of([*await sandbox.issued(), *await rig.issued()]) == []


async def kept(person: Traveller) -> dict[str, Credential]:
    """Return the three sign-ins as they are kept."""
    store = store_at(person.root)
    return {name: await stored(store, name) for name in ("one", "two", "three")}


async def renewals(sandbox: SandboxHandle, rig: OidcRig) -> tuple[int, int]:
    """Return how many renewals either provider has granted."""
    grants = (await sandbox.stats())["grants"]
    return grants.get("refresh_token", 0), await rig.granted("refresh_token")


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
