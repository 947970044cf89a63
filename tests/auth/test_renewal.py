"""Renewals that fail: what is told, what is tried again, and that nothing is lost by it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from guard.custody import Custody
from guard.errors import AuditBroken
from tests.auth.parts import (
    DUE,
    EXPIRED,
    NOW,
    TOKEN,
    Gate,
    access_of,
    both_tokens,
    credential_at,
    issued_by,
    plain,
    stored,
    token_answer,
)
from tests.oauth.servers import body, document, reset, stall, status
from tests.sandbox.running import running_sandbox
from tests.vault.samples import Ear, custody_of
from twg.auth.tokens import TokenManager
from twg.errors import (
    AuthError,
    AuthExpired,
    AuthRequired,
    AuthRevoked,
    GrantRefused,
    NetworkError,
    ProtocolError,
    Unavailable,
)
from twg.http import Http

if TYPE_CHECKING:
    from pathlib import Path

    from tests.auth.parts import Clock
    from tests.oauth.servers import Server
    from twg.errors import TwgError
    from twg.vault import Credential, SealedStore

INVALID = document({"error": "invalid_grant", "error_description": "Unknown token."}, 403)


async def test_a_failure_beside_leaves_the_valid_token_and_is_not_repeated_at_once(
    manager: TokenManager, clock: Clock, saved: Credential, server: Server, ear: Ear
) -> None:
    server.on(TOKEN, status(503, retry_after="60"))
    clock.now = DUE
    for _ in range(2):
        async with manager:
            for _ in range(3):
                assert access_of(await manager.get("default")) == access_of(saved)
    assert len(server.received) == 1
    [event] = ear.events("token.refresh_failed")
    assert event["outcome"] == "failed"
    assert "503" in event["reason"]


async def test_the_guards_own_errors_beside_do_not_reach_the_caller(
    store: SealedStore, http: Http, clock: Clock, saved: Credential, tmp_path: Path
) -> None:
    """H-G3: the record cannot be written; the valid token is still handed out."""

    class FullDisk(Ear):
        def record(self, event: str, **facts: Any) -> None:
            super().record(event, **facts)
            raise AuditBroken(tmp_path / "audit.jsonl", "no space")

    ear: Any = FullDisk()
    clock.now = DUE
    manager = TokenManager(
        store=store, http=http, custody=Custody(ear, ear), clock=clock, uptime=clock.uptime
    )
    async with manager:
        assert access_of(await manager.get("default")) == access_of(saved)
    assert ear.events("token.refreshed")


async def test_expired_and_unreachable_is_told_and_nothing_is_lost(
    manager: TokenManager, clock: Clock, saved: Credential, server: Server, store: SealedStore
) -> None:
    """H-C4: once it can be reached again, the same token works."""
    server.on(TOKEN, reset(), reset(), document(token_answer(1)))
    clock.now = EXPIRED
    async with manager:
        with pytest.raises(NetworkError):
            await manager.get("default")
        assert plain((await stored(store)).tokens.refresh) == plain(saved.tokens.refresh)
        assert access_of(await manager.get("default")) == "access-made-up-1"
    assert {each.form["refresh_token"] for each in server.received} == {"refresh-made-up-0"}


@pytest.mark.parametrize(
    "reply", [reset(), status(500), status(503, retry_after="0"), status(429, retry_after="1")]
)
async def test_a_passing_failure_is_tried_once_more(
    manager: TokenManager, clock: Clock, saved: Credential, server: Server, reply: Any
) -> None:
    """H-C4, H-D4: with the same token."""
    del saved
    server.on(TOKEN, reply, document(token_answer(1)))
    clock.now = EXPIRED
    async with manager:
        assert access_of(await manager.get("default")) == "access-made-up-1"
    assert [each.form["refresh_token"] for each in server.received] == ["refresh-made-up-0"] * 2


async def test_a_long_retry_after_is_respected(
    manager: TokenManager, clock: Clock, saved: Credential, server: Server
) -> None:
    del saved
    server.on(TOKEN, status(429, retry_after="3600"))
    clock.now = EXPIRED
    async with manager:
        with pytest.raises(Unavailable):
            await manager.get("default")
    assert len(server.received) == 1


async def test_an_answer_lost_after_rotation_is_told_apart(
    tmp_path: Path, manager: TokenManager, clock: Clock, store: SealedStore
) -> None:
    """H-D4: the server spent the token, its answer never came, and it does not take it again."""
    async with running_sandbox(tmp_path, auto_approve=True, faults=["lost-answer@refresh:1"]) as at:
        await store.save(await issued_by(at), expected=0)
        clock.now = EXPIRED
        async with manager:
            for _ in range(2):
                with pytest.raises(AuthExpired, match=r"cut off at .* had already rotated"):
                    await manager.get("default")
        assert (await at.stats())["requests"]["POST /oauth/token"] == 1 + 2


async def test_an_answer_lost_after_rotation_comes_again_where_the_server_has_leeway(
    tmp_path: Path, manager: TokenManager, clock: Clock, store: SealedStore
) -> None:
    """H-D4: as at Atlassian, which takes a spent token for ten minutes more."""
    async with running_sandbox(
        tmp_path, auto_approve=True, leeway=600, faults=["lost-answer@refresh:1"]
    ) as at:
        before = await store.save(await issued_by(at), expected=0)
        clock.now = EXPIRED
        async with manager:
            renewed = await manager.get("default")
        assert access_of(renewed) != access_of(before)
        assert await at.token_active(access_of(renewed))


async def test_a_renewal_that_was_cut_off_is_told_with_its_time_and_touches_nothing_else(
    manager: TokenManager, clock: Clock, saved: Credential, server: Server, store: SealedStore
) -> None:
    """H-D2, H-D4: the mark says when; the refusal says that the provider had rotated."""
    await store.save(replace(saved, used_at=NOW + 60), expected=saved.generation)
    other = await store.save(credential_at(server.url, "other"), expected=0)
    server.on(TOKEN, INVALID)
    clock.now = EXPIRED
    async with manager:
        with pytest.raises(AuthExpired) as caught:
            await manager.get("default")
    when = datetime.fromtimestamp(NOW + 60).astimezone()
    assert f"a renewal was cut off at {when:%H:%M on %Y-%m-%d}" in str(caught.value)
    assert "had already rotated the token" in str(caught.value)
    untouched = await stored(store, "other")
    assert both_tokens(untouched) == both_tokens(other)
    assert (untouched.generation, untouched.refused) == (other.generation, None)


@pytest.mark.parametrize("before", [None, NOW + 60], ids=["no doubt", "in doubt"])
async def test_a_token_that_was_not_sent_for_want_of_a_connection_is_not_in_doubt(
    manager: TokenManager, clock: Clock, store: SealedStore, before: float | None
) -> None:
    """H-D4: unless it was before."""
    away = credential_at("http://127.0.0.1:1", used_at=before)
    await store.save(away, expected=0)
    clock.now = EXPIRED
    async with manager:
        with pytest.raises(NetworkError, match="refused"):
            await manager.get("default")
    assert (await stored(store)).used_at == before


async def test_a_token_whose_answer_was_lost_stays_in_doubt(
    manager: TokenManager, clock: Clock, saved: Credential, server: Server, store: SealedStore
) -> None:
    """H-D4."""
    del saved
    server.on(TOKEN, reset())
    clock.now = EXPIRED
    async with manager:
        with pytest.raises(NetworkError):
            await manager.get("default")
    assert (await stored(store)).used_at is not None


@pytest.mark.parametrize("code", [400, 401, 403])
async def test_invalid_grant_is_known_whatever_the_status(
    manager: TokenManager, clock: Clock, saved: Credential, server: Server, code: int
) -> None:
    """H-C4."""
    del saved
    server.on(TOKEN, document({"error": "invalid_grant"}, code))
    clock.now = EXPIRED
    async with manager:
        with pytest.raises(AuthRevoked):
            await manager.get("default")


async def test_a_date_to_wait_for_is_respected_by_the_servers_own_clock(
    manager: TokenManager, clock: Clock, saved: Credential, server: Server
) -> None:
    """H-C4, H-D6: ours may be a year off."""
    del saved
    now, then = (f"Thu, 01 Jan 2026 00:0{minute}:00 GMT" for minute in (0, 1))
    server.on(TOKEN, status(429, date=now, retry_after=then))
    clock.now = EXPIRED
    async with manager:
        with pytest.raises(Unavailable) as caught:
            await manager.get("default")
    assert caught.value.retry_after == 60
    assert len(server.received) == 1


async def test_a_refusal_is_remembered_and_nothing_more_is_sent(
    manager: TokenManager, clock: Clock, saved: Credential, server: Server, store: SealedStore
) -> None:
    """H-D5: the person revoked it; kept for `logout`, never deleted by itself."""
    server.on(TOKEN, INVALID)
    clock.now = EXPIRED
    async with manager:
        for _ in range(3):
            with pytest.raises(AuthRevoked, match=r"Unknown token\."):
                await manager.get("default")
        with pytest.raises(AuthRevoked):
            await manager.renew("default", force=True)
    assert len(server.received) == 1
    kept = await stored(store)
    assert plain(kept.tokens.refresh) == plain(saved.tokens.refresh)
    assert kept.refused is not None


async def test_revoked_after_renewals_that_went_well_is_revoked(
    manager: TokenManager, clock: Clock, saved: Credential, server: Server
) -> None:
    """Nothing is left of a renewal that ended well which would cast doubt on the next."""
    del saved
    server.on(TOKEN, document(token_answer(1)), INVALID)
    clock.now = EXPIRED
    async with manager:
        await manager.get("default")
        with pytest.raises(AuthRevoked):
            await manager.renew("default", force=True)


async def test_a_refused_sign_in_still_hands_out_its_valid_token(
    manager: TokenManager, clock: Clock, saved: Credential, server: Server
) -> None:
    server.on(TOKEN, INVALID)
    clock.now = DUE
    for _ in range(3):
        async with manager:
            assert access_of(await manager.get("default")) == access_of(saved)
    assert len(server.received) == 1


async def test_a_new_sign_in_clears_the_refusal(
    manager: TokenManager, clock: Clock, saved: Credential, server: Server, store: SealedStore
) -> None:
    del saved
    server.on(TOKEN, INVALID)
    clock.now = EXPIRED
    async with manager:
        with pytest.raises(AuthRevoked):
            await manager.get("default")
    await store.save(credential_at(server.url), expected=None)
    server.on(TOKEN, document(token_answer(1)))
    async with manager:
        assert access_of(await manager.get("default")) == "access-made-up-1"


async def test_refused_because_another_one_won_goes_on_with_the_others_token(
    manager: TokenManager, clock: Clock, saved: Credential, server: Server, store: SealedStore
) -> None:
    """H-D5: the loser never undoes what the winner wrote."""
    gate = Gate(INVALID)
    server.on(TOKEN, gate)
    clock.now = EXPIRED
    won = replace(saved.tokens, access=custody_of(Ear()).take("the-winners", "access-token"))
    won = replace(won, refresh=custody_of(Ear()).take("the-winners-refresh", "refresh-token"))
    async with manager, anyio.create_task_group() as tasks:
        served: list[str] = []

        async def work() -> None:
            served.append(access_of(await manager.get("default")))

        tasks.start_soon(work)
        await gate.reached()
        await store.save(replace(saved, tokens=won), expected=None)
        gate.opened.set()
    assert served == ["the-winners"]
    kept = await stored(store)
    assert access_of(kept) == "the-winners"
    assert kept.refused is None


async def test_signed_out_meanwhile_is_told_and_not_undone(
    manager: TokenManager, clock: Clock, saved: Credential, server: Server, store: SealedStore
) -> None:
    del saved
    clock.now = EXPIRED
    for reply in (INVALID, document(token_answer(1))):
        await store.save(credential_at(server.url), expected=None)
        gate = Gate(reply)
        server.on(TOKEN, gate)
        async with manager, anyio.create_task_group() as tasks:

            async def work() -> None:
                with pytest.raises(AuthRequired):
                    await manager.get("default")

            tasks.start_soon(work)
            await gate.reached()
            await store.remove("default", expected=None)
            gate.opened.set()
        assert await store.read("default") is None


@pytest.mark.parametrize(
    ("error", "code"),
    [("access_denied", 401), ("invalid_client", 401), ("unauthorized_client", 400), ("", 400)],
)
async def test_another_refusal_is_no_reason_to_sign_in_again(
    manager: TokenManager, clock: Clock, saved: Credential, server: Server, error: str, code: int
) -> None:
    """H-C4: such as `access_denied` for a wrong client secret, or an empty body."""
    del saved
    reply = document({"error": error}, code) if error else status(code)
    server.on(TOKEN, reply, document(token_answer(1)))
    clock.now = EXPIRED
    async with manager:
        with pytest.raises(GrantRefused) as caught:
            await manager.get("default")
        assert not caught.value.human_required
        assert access_of(await manager.get("default")) == "access-made-up-1"


async def test_a_lapsed_sign_in_is_still_asked_for(
    manager: TokenManager, clock: Clock, saved: Credential, server: Server, ear: Ear
) -> None:
    """H-D6: only the provider's refusal ends it; our clock may be a year ahead."""
    del saved
    clock.now = NOW + 31 * 86_400
    server.on(TOKEN, INVALID)
    async with manager:
        for _ in range(2):
            with pytest.raises(AuthExpired, match="30 days without use"):
                await manager.get("default")
    assert len(server.received) == 1
    assert len(ear.events("session.expired")) == 1


async def test_a_clock_far_ahead_ends_no_sign_in(
    manager: TokenManager, clock: Clock, saved: Credential
) -> None:
    """H-D6."""
    del saved
    clock.now = NOW + 365 * 86_400
    async with manager:
        assert access_of(await manager.get("default")) == "access-made-up-1"


async def test_nothing_to_renew_with_needs_a_person(
    manager: TokenManager, clock: Clock, saved: Credential, server: Server, store: SealedStore
) -> None:
    tokens = replace(saved.tokens, refresh=None)
    await store.save(replace(saved, tokens=tokens), expected=None)
    clock.now = DUE
    async with manager:
        assert access_of(await manager.get("default")) == access_of(saved)
        clock.now = EXPIRED
        for force in (False, True):
            with pytest.raises(AuthExpired, match="no refresh token"):
                await manager.renew("default", force=force)
    assert server.received == []


async def test_an_answer_that_cannot_be_used_is_told_as_that(
    manager: TokenManager, clock: Clock, saved: Credential, server: Server, store: SealedStore
) -> None:
    """H-C2: nothing of it is used, and the old token stays."""
    server.on(TOKEN, body(b"{"))
    clock.now = EXPIRED
    async with manager:
        with pytest.raises(ProtocolError):
            await manager.get("default")
    assert plain((await stored(store)).tokens.refresh) == plain(saved.tokens.refresh)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("invalid-grant-401", AuthRevoked),
        ("access-denied-secret", GrantRefused),
        ("redirect@refresh", ProtocolError),
        ("json-depth@refresh", ProtocolError),
        ("gzip-bomb@refresh", ProtocolError),
        ("error-502-html@refresh", NetworkError),
    ],
)
async def test_a_hostile_answer_at_a_renewal_is_told_as_what_it_is(
    tmp_path: Path,
    manager: TokenManager,
    clock: Clock,
    store: SealedStore,
    fault: str,
    expected: type[TwgError],
) -> None:
    """H-C2, H-C4: and the credential is kept."""
    async with running_sandbox(tmp_path, auto_approve=True, faults=[fault]) as at:
        before = await store.save(await issued_by(at), expected=0)
        clock.now = EXPIRED
        async with manager:
            with pytest.raises(expected) as caught:
                await manager.get("default")
    assert caught.value.human_required == issubclass(expected, AuthError)
    assert plain((await stored(store)).tokens.refresh) == plain(before.tokens.refresh)


async def test_the_server_gone_for_good(
    tmp_path: Path, manager: TokenManager, clock: Clock, store: SealedStore
) -> None:
    """A valid token is still handed out; an expired one is a matter of the network."""
    async with running_sandbox(tmp_path, auto_approve=True) as at:
        before = await store.save(await issued_by(at), expected=0)
    clock.now = DUE
    async with manager:
        assert access_of(await manager.get("default")) == access_of(before)
    clock.now = EXPIRED
    async with manager:
        with pytest.raises(NetworkError):
            await manager.get("default")


async def test_a_server_that_stalls_is_given_up(
    store: SealedStore, custody: Custody, clock: Clock, saved: Credential, server: Server
) -> None:
    del saved
    server.on(TOKEN, stall())
    clock.now = EXPIRED
    async with (
        Http(read_seconds=0.2) as http,
        TokenManager(
            store=store, http=http, custody=custody, clock=clock, uptime=clock.uptime
        ) as manager,
    ):
        with pytest.raises(NetworkError):
            await manager.get("default")
