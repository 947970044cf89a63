"""Signing out: ended at the provider first, removed here then, and the truth told about both."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from guard.custody import Custody
from tests.auth.parts import (
    LIFETIME,
    NOW,
    FullStore,
    Gate,
    both_tokens,
    credential_at,
    issued_by,
    provider_at,
    stored,
)
from tests.oauth.servers import document, reset, status
from twg.auth.signout import SignedOut, SignOut
from twg.errors import NetworkError, StoreUnwritable

if TYPE_CHECKING:
    from typing import Any

    from tests.auth.parts import Sandbox
    from tests.oauth.servers import Server
    from tests.vault.samples import Ear
    from twg.http import Http
    from twg.vault import SealedStore

REVOKE = "/oauth/revoke"
REFUSAL = document({"error": "unauthorized_client", "error_description": "Not for you."}, 400)
UNSUPPORTED = document({"error": "unsupported_token_type"}, 400)


@pytest.fixture
def sign_out(store: SealedStore, http: Http, custody: Custody) -> SignOut:
    return SignOut(store=store, http=http, custody=custody)


async def test_both_tokens_are_dead_and_the_credential_is_gone(
    sandbox: Sandbox, store: SealedStore, sign_out: SignOut, ear: Ear
) -> None:
    other = await store.save(await issued_by(sandbox, "other"), expected=0)
    await store.save(await issued_by(sandbox), expected=0)

    assert await sign_out.run("default") == SignedOut(
        profile="default", revoked=True, issuer=sandbox.url
    )

    assert await store.read("default") is None
    assert await sandbox.living() == both_tokens(other)
    [event] = ear.events("token.revoked")
    assert (event["profile"], event["outcome"]) == ("default", "ok")


async def test_nobody_to_sign_out(sign_out: SignOut, server: Server) -> None:
    assert await sign_out.run("default") is None
    assert server.received == []


async def test_both_tokens_are_named_for_what_they_are(
    server: Server, store: SealedStore, sign_out: SignOut
) -> None:
    server.on(REVOKE, status(200))
    await store.save(credential_at(server.url), expected=0)
    await sign_out.run("default")
    assert [each.form for each in server.received] == [
        {
            "client_id": "twg-sandbox",
            "token": f"{kind}-made-up-0",
            "token_type_hint": f"{kind}_token",
        }
        for kind in ("refresh", "access")
    ]


async def test_without_a_refresh_token_the_access_token_is_ended(
    server: Server, store: SealedStore, sign_out: SignOut
) -> None:
    server.on(REVOKE, status(200))
    credential = credential_at(server.url)
    tokens = replace(credential.tokens, refresh=None)
    await store.save(replace(credential, tokens=tokens), expected=0)
    outcome = await sign_out.run("default")
    assert outcome is not None
    assert outcome.revoked
    assert [each.form["token"] for each in server.received] == ["access-made-up-0"]


@pytest.mark.parametrize("replies", [(reset(),), (status(503),), (status(200), reset())])
async def test_a_provider_that_cannot_be_reached_keeps_the_credential(
    server: Server, store: SealedStore, sign_out: SignOut, ear: Ear, replies: Any
) -> None:
    """H-C4: also where it went away between the two tokens; signing out again works."""
    server.on(REVOKE, *replies)
    saved = await store.save(credential_at(server.url), expected=0)
    with pytest.raises(NetworkError):
        await sign_out.run("default")
    assert both_tokens(await stored(store)) == both_tokens(saved)
    assert ear.events("token.revoked") == []

    server.on(REVOKE, status(200))
    outcome = await sign_out.run("default")
    assert outcome is not None
    assert outcome.revoked


@pytest.mark.parametrize(
    ("replies", "words"),
    [
        ((REFUSAL,), "Not for you."),
        ((REFUSAL, status(200)), "Not for you."),
        ((status(200), UNSUPPORTED), "unsupported_token_type"),
        ((status(302, location="https://example.com/"),), "redirect"),
    ],
)
async def test_a_provider_that_refuses_is_told_and_the_credential_removed(
    server: Server, store: SealedStore, sign_out: SignOut, ear: Ear, replies: Any, words: str
) -> None:
    """The other token is ended all the same, where that works."""
    server.on(REVOKE, *replies)
    await store.save(credential_at(server.url), expected=0)
    outcome = await sign_out.run("default")
    assert outcome is not None
    assert not outcome.revoked
    assert words in (outcome.why_not or "")
    assert outcome.lives_until == NOW + LIFETIME
    assert await store.read("default") is None
    assert len(server.received) == 2
    [event] = ear.events("credential.removed")
    assert event["outcome"] == "not revoked"


async def test_a_provider_without_revocation(
    server: Server, store: SealedStore, sign_out: SignOut
) -> None:
    at = provider_at(server.url)
    at = replace(at, endpoints=replace(at.endpoints, revocation=None))
    await store.save(credential_at(server.url, provider=at), expected=0)
    outcome = await sign_out.run("default")
    assert outcome is not None
    assert outcome.why_not == "the provider has no revocation endpoint"
    assert await store.read("default") is None


async def test_local_only_asks_the_provider_nothing(
    server: Server, store: SealedStore, sign_out: SignOut
) -> None:
    await store.save(credential_at(server.url), expected=0)
    outcome = await sign_out.run("default", local_only=True)
    assert outcome is not None
    assert not outcome.revoked
    assert outcome.lives_until == NOW + LIFETIME
    assert await store.read("default") is None
    assert server.received == []


async def test_a_program_without_a_record_can_sign_out(
    sandbox: Sandbox, store: SealedStore, http: Http, ear: Ear
) -> None:
    scrubber: Any = ear
    await store.save(await issued_by(sandbox), expected=0)
    outcome = await SignOut(store=store, http=http, custody=Custody(scrubber)).run("default")
    assert outcome is not None
    assert outcome.revoked
    assert ear.records == []


async def test_a_refused_sign_in_can_be_signed_out_of(
    sandbox: Sandbox, store: SealedStore, sign_out: SignOut
) -> None:
    """H-D5: it was kept for that."""
    await store.save((await issued_by(sandbox)).as_refused("revoked"), expected=0)
    outcome = await sign_out.run("default")
    assert outcome is not None
    assert outcome.revoked
    assert await sandbox.living() == set()


async def test_a_store_that_cannot_be_written_sends_nothing(
    server: Server, store: SealedStore, http: Http, custody: Custody
) -> None:
    """The tokens would be dead there, and still be here."""
    await store.save(credential_at(server.url), expected=0)
    full = FullStore(store)
    full.full = True
    with pytest.raises(StoreUnwritable):
        await SignOut(store=full, http=http, custody=custody).run("default")
    assert server.received == []


async def test_another_default_site_chosen_meanwhile_goes_with_it(
    server: Server, store: SealedStore, sign_out: SignOut
) -> None:
    """What was ended at the provider does not stay here for a change of something else."""
    gate = Gate(status(200))
    server.on(REVOKE, gate, status(200))
    saved = await store.save(credential_at(server.url), expected=0)
    leaving = asyncio.ensure_future(sign_out.run("default"))
    await gate.reached()
    await store.save(replace(saved, site="other.example.net"), expected=saved.generation)
    gate.opened.set()
    await leaving
    assert await store.read("default") is None


async def test_interrupted_while_asking_the_credential_is_kept(
    server: Server, store: SealedStore, sign_out: SignOut
) -> None:
    """Ctrl-C does not wait for a server that does not answer; signing out again works."""
    gate = Gate(status(200))
    server.on(REVOKE, gate, status(200))
    await store.save(credential_at(server.url), expected=0)
    leaving = asyncio.ensure_future(sign_out.run("default"))
    await gate.reached()
    leaving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert await store.read("default") is not None
    gate.opened.set()
    outcome = await sign_out.run("default")
    assert outcome is not None
    assert outcome.revoked
