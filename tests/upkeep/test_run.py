"""`twg upkeep run`: what it renews, what it leaves alone, and what it notes."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from tests.auth.parts import TOKEN, FullStore, credential_at
from tests.cli.console import request_count
from tests.oauth.servers import document, status
from tests.rigs.surroundings import fake_browser
from tests.vault.samples import REFRESH, SECRETS, Ear, custody_of, store_at
from twg.auth.ages import this_uptime
from twg.auth.tokens import TokenManager
from twg.http import Http
from twg.upkeep import record
from twg.upkeep.renewing import AHEAD_SECONDS, is_wanted, run_once

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.cli.console import Console
    from tests.oauth.servers import Server
    from tests.sandbox.running import SandboxHandle
    from twg.upkeep.renewing import Run
    from twg.vault import Credential, CredentialStore, Header, SealedStore

HOUR = 3600.0
DUE = 0.75 * HOUR
NEARLY = DUE - AHEAD_SECONDS + 60
NOT_NEARLY = DUE - AHEAD_SECONDS - 60
AWAY = "http://127.0.0.1:1"
"""Where no server is."""


def renewals(sandbox: SandboxHandle) -> int:
    return int(anyio.run(sandbox.stats)["grants"].get("refresh_token", 0))


def noted(console: Console) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((console.state / "upkeep.json").read_text())
    return found


def outcomes(console: Console) -> dict[str, str]:
    return {name: note["outcome"] for name, note in noted(console)["profiles"].items()}


def test_where_nobody_is_signed_in_it_says_nothing(console: Console) -> None:
    ended = console.twg("upkeep", "run")

    assert (ended.out, ended.err) == ("", "")
    assert (noted(console)["outcome"], noted(console)["profiles"]) == ("ok", {})
    assert console.records() == []
    assert "nobody is signed in" in console.twg("upkeep", "status").out


def test_exactly_what_is_due_soon_is_renewed(console: Console, sandbox: SandboxHandle) -> None:
    ages = {"fresh": 0, "not-nearly": NOT_NEARLY, "nearly": NEARLY, "due": DUE, "over": 2 * HOUR}
    for name, age in ages.items():
        console.sign_in(sandbox, name, age=age)
    before = renewals(sandbox)

    ended = console.twg("upkeep", "run")

    assert (ended.out, ended.err) == ("", "")
    assert renewals(sandbox) - before == 3
    renewed = {"due", "nearly", "over"}
    assert outcomes(console) == {
        name: "renewed" if name in renewed else "fresh" for name in sorted(ages)
    }
    (ran,) = console.records("upkeep.run")
    assert (ran["outcome"], ran["reason"]) == ("ok", "3 renewed, 2 fresh")
    assert ran["actor"]["command"] == "twg upkeep run"

    sent = request_count(sandbox)
    data = console.twg("upkeep", "run", "-o", "json").data
    assert data == {"renewed": [], "fresh": sorted(ages), "failures": {}}
    assert request_count(sandbox) == sent, "a fresh one sends nothing"
    assert len(console.records("upkeep.run")) == 1, "nothing was done"


def test_its_note_is_private_and_tells_when_something_is_due_next(console: Console) -> None:
    credential = console.sign_in_at(AWAY)

    console.twg("upkeep", "run")

    assert (console.state / "upkeep.json").stat().st_mode & 0o777 == 0o600
    assert noted(console)["next_due_at"] == pytest.approx(credential.tokens.issued_at + DUE)


def test_one_that_fails_stops_no_other(console: Console, sandbox: SandboxHandle) -> None:
    console.sign_in_at(AWAY, "away", age=DUE)
    console.sign_in(sandbox, "here", age=DUE)

    ended = console.twg("upkeep", "run")

    assert outcomes(console) == {"away": "failed", "here": "renewed"}
    assert noted(console)["profiles"]["away"]["code"] == "NETWORK"
    assert "away could not be renewed: 127.0.0.1:1 cannot be reached" in ended.err
    assert console.records("upkeep.run")[0]["outcome"] == "partial"
    shown = console.twg("upkeep", "status").out
    assert "1 renewed, 1 failed" in shown
    assert "          away: 127.0.0.1:1 cannot be reached" in shown
    told = console.twg("upkeep", "status", "-o", "json").data["last_run"]["profiles"]["away"]
    assert (told["outcome"], told["code"]) == ("failed", "NETWORK")


def test_where_all_fail_for_one_reason_it_is_told(console: Console) -> None:
    for name in ("one", "other"):
        console.sign_in_at(AWAY, name, age=DUE)

    ended = console.twg("upkeep", "run", "-o", "json", status=69)

    assert ended.error["code"] == "NETWORK"
    assert noted(console)["outcome"] == "failed"


def test_where_all_fail_for_several_reasons_each_is_told(console: Console) -> None:
    console.sign_in_at(AWAY, "away", age=DUE)
    console.sign_in_at(AWAY, "ended", refused="ended there")

    ended = console.twg("upkeep", "run", "-o", "json", status=3)

    assert ended.error["code"] == "PARTIAL"
    assert ended.document["data"]["failures"]["ended"] == "ended there"


def test_what_needs_a_person_is_noted_and_nobody_is_asked(
    console: Console, server: Server, tmp_path: Path
) -> None:
    browser = fake_browser(tmp_path)
    console.sign_in_at(server.url, refused="ended there")

    ended = console.twg("upkeep", "run", "-o", "json", status=77, BROWSER=str(browser.path))

    assert ended.error["code"] == "AUTH_REVOKED"
    assert "twg login" in ended.error["remediation"]
    assert (server.received, browser.opened_urls()) == ([], [])


def test_a_store_that_does_not_open_is_noted(console: Console) -> None:
    console.sign_in_at(AWAY)
    (console.config / "auth.conf").write_text("{}")

    console.twg("upkeep", "run", status=74)

    assert noted(console)["outcome"] == "failed"
    assert str(console.config / "auth.conf") in noted(console)["reason"]
    assert noted(console)["reason"] in console.twg("upkeep", "status").out


def test_what_a_server_says_of_a_token_is_not_noted(console: Console, server: Server) -> None:
    """H-F2: it repeats the token that it was sent."""
    console.sign_in_at(server.url, age=DUE)
    answer = {"error": REFRESH, "error_description": f"no scope for {REFRESH}"}
    server.on(TOKEN, document(answer, 400))

    ended = console.twg("upkeep", "run", status=None)

    assert ended.status != 0
    assert "no scope for" in noted(console)["profiles"]["default"]["reason"]
    assert console.traces_of(*SECRETS) == []


def test_an_agent_may_let_it_run(console: Console, sandbox: SandboxHandle) -> None:
    console.sign_in(sandbox, age=DUE)

    ended = console.twg("upkeep", "run", CLAUDECODE="1")

    assert ended.data["renewed"] == ["default"]
    assert console.traces_of(*anyio.run(sandbox.issued)) == []


def test_two_processes_at_once_renew_each_sign_in_once(
    console: Console, sandbox: SandboxHandle
) -> None:
    names = ("one", "two", "three")
    for name in names:
        console.sign_in(sandbox, name, age=DUE)
    before = renewals(sandbox)

    async def both() -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(2):
                tasks.start_soon(console.apart_async, "upkeep", "run")

    anyio.run(both)

    assert renewals(sandbox) - before == len(names)
    assert [ended.status for ended in console.ended] == [0, 0]


@asynccontextmanager
async def managing(store: CredentialStore) -> AsyncIterator[TokenManager]:
    async with (
        Http(read_seconds=20) as http,
        TokenManager(store=store, http=http, custody=custody_of(Ear())) as manager,
    ):
        yield manager


class Together:
    """A real store of which two readers get the same thing: the first one waits for the other."""

    def __init__(self, store: SealedStore, arrivals: list[anyio.Event]) -> None:
        self._store = store
        self._arrivals = arrivals
        self._own = arrivals[0]
        arrivals.reverse()
        self.summaries = store.summaries

    async def read(self, profile: str) -> Credential | None:
        found = await self._store.read(profile)
        self._own.set()
        for each in self._arrivals:
            await each.wait()
        return found


def test_who_waits_for_anothers_renewal_takes_it(console: Console, sandbox: SandboxHandle) -> None:
    """H-D1: both have read what is due before either renews it."""
    console.sign_in(sandbox, age=NEARLY)
    before = renewals(sandbox)
    arrivals = [anyio.Event(), anyio.Event()]
    runs: list[Run] = []

    async def one() -> None:
        real = store_at(console.root)
        runs.append(await run_once(Together(real, arrivals), lambda: managing(real)))

    async def both() -> None:
        with anyio.fail_after(60):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(one)
                tasks.start_soon(one)

    anyio.run(both)

    assert renewals(sandbox) - before == 1
    assert [run.outcomes["default"].result for run in runs] == ["renewed", "renewed"]


class Stale:
    """A real store whose header is read a moment before another process renews everything."""

    def __init__(self, store: SealedStore, header: Header) -> None:
        self._header = header
        self.read = store.read

    async def summaries(self) -> Header:
        return self._header


def test_what_another_one_has_just_renewed_is_left_alone(
    console: Console, sandbox: SandboxHandle
) -> None:
    console.sign_in(sandbox, age=DUE)
    store = store_at(console.root)
    stale = Stale(store, anyio.run(store.summaries))
    console.twg("upkeep", "run")
    before = renewals(sandbox)

    run = anyio.run(run_once, stale, lambda: managing(store))

    assert run.outcomes["default"].result == "fresh"
    assert renewals(sandbox) == before


class FullAfterwards(FullStore):
    """A store that has room to mark a credential as being renewed, and none for what comes."""

    async def save(self, credential: Credential, *, expected: int | None) -> Credential:
        self.full = credential.used_at is None
        return await super().save(credential, expected=expected)


def test_tokens_that_could_not_be_saved_are_a_failure(
    console: Console, sandbox: SandboxHandle
) -> None:
    console.sign_in(sandbox, age=DUE)
    store = store_at(console.root)

    run = anyio.run(run_once, store, lambda: managing(FullAfterwards(store)))

    assert str(run.failures["default"]) == "new tokens came and could not be saved"


@pytest.mark.parametrize(
    ("now", "changes", "wanted"),
    [
        (DUE - AHEAD_SECONDS, {}, True),
        (DUE - AHEAD_SECONDS - 1, {}, False),
        (-59, {}, False),
        (-61, {}, True),
        (0, {"refused": "ended"}, True),
    ],
    ids=["nearly due", "not yet", "a bit in the future", "clock set back", "refused"],
)
def test_what_a_run_has_to_do(now: float, changes: dict[str, Any], wanted: bool) -> None:  # noqa: FBT001 - a table's column
    credential = credential_at(AWAY, **changes)
    assert is_wanted(credential.summary, credential.tokens.issued_at + now) is wanted


@pytest.mark.skipif(this_uptime().boot_id is None, reason="no run of this machine has a name")
@pytest.mark.parametrize(("age", "renewed"), [(DUE, 1), (0.0, 0)], ids=["back", "ahead"])
def test_a_wall_clock_that_was_set_since_makes_nothing_due_or_not(
    console: Console, sandbox: SandboxHandle, age: float, renewed: int
) -> None:
    """H-D6: here by as much as would make the one look fresh and the other due."""
    known = console.sign_in(sandbox, age=DUE - age)
    uptime = this_uptime()
    tokens = replace(known.tokens, boot_id=uptime.boot_id, issued_boottime=uptime.now() - age)
    save = store_at(console.root).save
    anyio.run(partial(save, replace(known, tokens=tokens), expected=None))
    before = renewals(sandbox)

    console.twg("upkeep", "run")

    assert renewals(sandbox) - before == renewed


def test_what_cannot_be_renewed_is_told_once_it_is_over(console: Console) -> None:
    console.sign_in_at(AWAY, renewable=False, age=DUE)
    console.twg("upkeep", "run")
    assert outcomes(console) == {"default": "fresh"}

    console.sign_in_at(AWAY, renewable=False, age=2 * HOUR)
    console.twg("upkeep", "run", status=77)
    assert noted(console)["profiles"]["default"]["code"] == "AUTH_EXPIRED"


def test_a_note_that_cannot_be_kept_does_not_undo_the_run(
    console: Console, sandbox: SandboxHandle
) -> None:
    console.sign_in(sandbox, age=DUE)
    (console.state / "upkeep.json").mkdir()
    before = renewals(sandbox)

    ended = console.twg("upkeep", "run")

    assert renewals(sandbox) - before == 1
    assert "what this run did could not be noted" in ended.err
    assert "Last run  never" in console.twg("upkeep", "status").out


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "null", '{"version": 2}', '{"version": 1, "profiles": []}', "\xff"]
)
async def test_a_note_that_cannot_be_read_counts_as_none(tmp_path: Path, text: str) -> None:
    path = record.path_in(tmp_path)
    path.touch(0o600)
    path.write_text(text, encoding="latin-1")

    assert await record.load(tmp_path) is None


async def test_a_note_comes_back_as_it_was(tmp_path: Path) -> None:
    note = record.Note(outcome="failed", code="NETWORK", reason="away", due_at=3.0)
    kept = record.Record(
        started_at=1.0, finished_at=2.0, outcome="partial", profiles={"default": note}
    )
    await record.keep(tmp_path / "state", kept)
    assert await record.load(tmp_path / "state") == kept


def test_signing_out_leaves_the_schedule(console: Console, server: Server) -> None:
    server.on("/oauth/revoke", status(200))
    console.sign_in_at(server.url)
    note = console.root / "bin" / "crontab"
    note.write_text(f'#!/bin/sh\necho called >> "{console.root.parent}/called"\nexit 1\n')
    note.chmod(0o755)

    console.twg("logout")

    assert not (console.root.parent / "called").exists()
