"""What both packages promise, used with its types spelt out: for type checkers alone, never run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, assert_type

import httpx

import guard
import twg

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path


async def who_am_i(config_dir: Path, state_dir: Path, api: str) -> object:
    """Go by a sign-in that a person made, as docs/refresh.md shows it."""
    custody: guard.Custody = guard.Custody(guard.Scrubber())
    keys: twg.KeyKeeper = twg.KeyKeeper(state_dir, custody=custody)
    store: twg.CredentialStore = twg.SealedStore(
        config_dir / "auth.conf", state_dir=state_dir, keys=keys, custody=custody
    )
    async with (
        twg.Http() as http,
        twg.TokenManager(store=store, http=http, custody=custody) as tokens,
        httpx.AsyncClient(auth=twg.BearerAuth(tokens, "default")) as client,
    ):
        assert_type(http, twg.Http)
        assert_type(tokens, twg.TokenManager)
        credential: twg.Credential = await tokens.get("default")
        assert_type(credential.tokens.access, guard.Secret)
        return (await client.get(api)).json()


async def a_store_of_ones_own(store: twg.MemoryStore) -> twg.CredentialStore:
    """Whatever has a store's methods is one."""
    assert_type(await store.read("default"), twg.Credential | None)
    assert_type(store.peek("default"), twg.Credential | None)
    lease: AbstractAsyncContextManager[None] = store.lease("default")
    async with lease:
        return store


def what_to_do(error: twg.TwgError) -> tuple[twg.Code, bool, str]:
    """Branch on an error's code, and tell its person what to do."""
    if isinstance(error, twg.AuthRequired | twg.AuthExpired | twg.AuthRevoked):
        signed_out: twg.AuthError = error
        assert_type(signed_out.profile, str)
    others: tuple[type[twg.TwgError], ...] = (
        twg.Busy,
        twg.ConfigError,
        twg.NetworkError,
        twg.ProtocolError,
        twg.StoreError,
    )
    assert_type(isinstance(error, others), bool)
    return error.code, error.human_required, error.remediation


async def ask(custody: guard.Custody, argv: list[str]) -> guard.Secret:
    """Refuse every way in but the hidden prompt, and agents altogether."""
    guard.refuse_arguments(argv)
    guard.refuse_environment(os.environ, families=("acme",))
    guard.refuse_stdin()
    agent: guard.Agent | None = guard.detect(os.environ)
    prompt = guard.HiddenPrompt(custody=custody, agent=agent, command="acme login")
    host: str = await guard.VisiblePrompt(agent=agent, command="acme login").ask("host")
    secret: guard.Secret = await prompt.ask("api-token", what=f"API token of {host}")
    assert_type(await prompt.ask_or_skip("api-token", what="another"), guard.Secret | None)
    return secret


def used(secret: guard.Secret) -> str:
    """Open a secret, which the record hears of first."""
    assert_type(secret.kind, str)
    assert_type(secret.same_as(secret), bool)
    return secret.reveal("send to acme", host="acme.example")


def scrubbed(chunks: list[bytes], scrubber: guard.Scrubber) -> bytes:
    """Hide what is known, in texts, in data and in streams."""
    assert_type(scrubber.text("a text"), str)
    redactor: guard.Redactor = guard.Redactor(scrubber)
    return b"".join([*map(redactor.feed, chunks), redactor.finish()])


def recorded(path: Path, key: bytes) -> guard.AuditLog:
    """Keep a record of each use."""
    actor: guard.Actor = guard.Actor.of_this_process(agent=None, command="acme login")
    return guard.AuditLog(path, key=lambda: key, actor=actor)


def refused(error: guard.GuardError) -> str:
    """Tell what happened and what to do; none of them holds the value of a secret."""
    kinds: tuple[type[guard.GuardError], ...] = (
        guard.AuditBroken,
        guard.AuditBusy,
        guard.FileUnwritable,
        guard.HumanRequired,
        guard.PromptInterrupted,
        guard.PromptTimedOut,
        guard.SecretRefused,
        guard.SecretRejected,
        guard.TerminalRequired,
        guard.UnsafeFile,
    )
    if isinstance(error, guard.SecretRefused):
        assert_type(error.looks_like, str | None)
    return f"{error}: {error.remedy}" if isinstance(error, kinds) else error.remedy
