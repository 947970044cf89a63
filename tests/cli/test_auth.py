"""`twg auth`: what is told of sign-ins, and what is sent for them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio import to_thread

from tests.auth.parts import Gate
from tests.cli.console import request_count
from tests.oauth.servers import document, serving, status
from tests.rigs.terminal import Terminal
from tests.vault.samples import SECRETS, store_at
from twg.auth.ages import this_uptime

if TYPE_CHECKING:
    from tests.cli.console import Console
    from tests.oauth.servers import Server
    from tests.sandbox.running import SandboxHandle

HOUR = 3600.0
DAY = 24 * HOUR
AWAY = "http://127.0.0.1:1"
"""Where no server is."""


RENEWED = {
    "access_token": "access-renewed-0123456789",
    "refresh_token": "refresh-renewed-0123456789",
    "token_type": "Bearer",
    "expires_in": HOUR,
}

STATES: dict[str, tuple[float, dict[str, Any], str, bool]] = {
    "fresh": (0, {}, "fresh; next renewal due in 45 minutes, expires in 60 minutes", True),
    "due": (0.8 * HOUR, {}, "usable; a renewal is due and runs beside the next call", True),
    "expired": (2 * HOUR, {}, "expired; it is renewed at the next call", True),
    "lapsed": (31 * DAY, {}, "lapsed; sign in again", True),
    "refused": (0, {"refused": "ended there"}, "no longer accepted: ended there", True),
    "without end": (0, {"idle_days": None}, "fresh; next renewal due in", True),
    "not renewable": (0, {}, "usable for 60 minutes more; there is nothing to renew it", False),
    "not renewable, over": (2 * HOUR, {}, "lapsed; sign in again", False),
}
"""By the state: its age in seconds, what else is so, what is told, whether it can be renewed."""


@pytest.mark.parametrize("name", STATES)
def test_status_tells_how_fresh_a_sign_in_is(console: Console, name: str) -> None:
    age, changes, told, renewable = STATES[name]
    console.sign_in_at(AWAY, age=age, renewable=renewable, **changes)

    shown = console.twg("auth", "status").out
    data = console.twg("auth", "status", "-o", "json").data

    assert told in shown
    state = {"without end": "fresh", "not renewable": "fresh", "not renewable, over": "lapsed"}
    assert data["state"] == state.get(name, name)
    assert data["refused"] == changes.get("refused")
    assert (data["refresh_due_at"] is not None) is renewable


def test_status_tells_who_where_and_how_it_is_kept(console: Console) -> None:
    console.sign_in_at(AWAY)

    lines = console.twg("auth", "status").out.splitlines()

    rows = {line[:11].strip(): line[11:].strip() for line in lines}
    key = next(console.state.glob("auth-*.key"))
    assert rows["Profile"] == "default (active)"
    assert rows["Account"] == "Alice Ångström <alice@example.com>"
    assert rows["Provider"] == f"sandbox ({AWAY})"
    assert rows["Site"] == "one.example.net"
    assert rows["Sign-in"].startswith("ends in 30 days if it is not used (")
    assert rows["Stored in"] == str(console.config / "auth.conf")
    assert rows["Protection"] == f"sealed; the key is in the private file {key}"


def test_status_is_the_same_for_programs(console: Console) -> None:
    console.sign_in_at(AWAY)

    data = console.twg("auth", "status", "-o", "json").data

    assert data | {"signed_in_at": 0, "refreshed_at": 0} == {
        "profile": "default",
        "active": True,
        "provider": "sandbox",
        "issuer": AWAY,
        "account": {"id": "acc-1", "name": "Alice Ångström", "email": "alice@example.com"},
        "site": "one.example.net",
        "sites": ["one.example.net", "two.example.net"],
        "scopes": ["read:me"],
        "state": "fresh",
        "signed_in_at": 0,
        "refreshed_at": 0,
        "expires_at": data["expires_at"],
        "refresh_due_at": data["refresh_due_at"],
        "lapses_at": data["lapses_at"],
        "days_until_lapse": 30,
        "refused": None,
        "bitbucket": None,
        "store": {
            "path": str(console.config / "auth.conf"),
            "key": "file",
            "why_not_keyring": None,
        },
    }
    times = [data[name] for name in ("refreshed_at", "refresh_due_at", "expires_at", "lapses_at")]
    assert times == sorted(times)
    assert all(len(time) == len("2026-01-01T00:00:00Z") and time.endswith("Z") for time in times)


def test_a_home_is_written_as_people_write_it(console: Console) -> None:
    console.more["HOME"] = str(console.root)
    console.sign_in_at(AWAY)

    assert "~/config/auth.conf" in console.twg("auth", "status").out


@pytest.mark.parametrize("words", [["auth", "status"], ["auth", "list"], ["auth", "site"]])
def test_looking_opens_no_secret_and_sends_nothing(
    console: Console, sandbox: SandboxHandle, words: list[str]
) -> None:
    """For an expired one, too."""
    console.sign_in(sandbox, age=2 * HOUR)
    before = request_count(sandbox)

    console.twg(*words)

    assert request_count(sandbox) == before
    assert not (console.state / "audit.jsonl").exists(), "nothing was opened"
    assert console.traces_of(*anyio.run(sandbox.issued)) == []


def test_looking_needs_no_key(console: Console) -> None:
    console.sign_in_at(AWAY)
    for key in console.state.glob("*.key"):
        key.unlink()

    assert console.twg("auth", "status", "-o", "json").data["state"] == "fresh"


def test_without_a_sign_in_status_tells_the_command(console: Console) -> None:
    error = console.twg("auth", "status", "-o", "json", status=77).error

    assert error["code"] == "AUTH_REQUIRED"
    assert error["human_required"] is True
    assert "`twg login`" in error["remediation"]


def test_all_sign_ins_are_listed_the_active_one_with_a_star(console: Console) -> None:
    console.sign_in_at(AWAY, "work")
    console.sign_in_at(AWAY, "home", age=2 * HOUR, account=None, site=None)

    assert console.twg("auth", "list").out.splitlines() == [
        f"  home  (the provider did not say who)  {AWAY}  expired",
        "* work  Alice Ångström <alice@example.com>  one.example.net  fresh",
    ]
    data = console.twg("auth", "list", "-o", "json").data
    assert data["active"] == "work"
    assert [one["profile"] for one in data["profiles"]] == ["home", "work"]


def test_an_empty_list_tells_what_to_do(console: Console) -> None:
    assert "`twg login`" in console.twg("auth", "list").out
    assert console.twg("auth", "list", "-o", "json").data == {"active": None, "profiles": []}


def test_the_active_profile_is_switched(console: Console) -> None:
    console.sign_in_at(AWAY, "work")
    console.sign_in_at(AWAY, "home")

    assert console.twg("auth", "switch", "home", "-o", "json").data == {"active": "home"}

    assert console.twg("auth", "status", "-o", "json").data["profile"] == "home"
    assert "home is the active profile" in console.twg("auth", "switch", "home").out


def test_nobody_switches_to_a_profile_that_is_not_there(console: Console) -> None:
    console.sign_in_at(AWAY, "work")

    error = console.twg("auth", "switch", "home", "-o", "json", status=77).error

    assert "`twg login --profile home`" in error["remediation"]
    assert console.twg("auth", "list", "-o", "json").data["active"] == "work"


def test_the_profile_is_named_by_option_then_variable_then_the_active_one(
    console: Console,
) -> None:
    for profile in ("one", "two", "three"):
        console.sign_in_at(AWAY, profile)

    def used(*words: str, **env: str) -> str:
        ended = console.twg("auth", "status", *words, "-o", "json", status=0, **env)
        return str(ended.data["profile"])

    assert used() == "one"
    assert used(TWG_PROFILE="two") == "two"
    assert used("--profile", "three", TWG_PROFILE="two") == "three"


@pytest.mark.parametrize("name", ["a b", "../x", "x" * 65])
def test_a_profiles_name_is_a_word(console: Console, name: str) -> None:
    assert console.twg("auth", "status", "--profile", name, "-o", "json", status=78).error
    assert console.twg("auth", "status", "-o", "json", status=78, TWG_PROFILE=name).error


def test_the_default_site_is_shown_and_set(console: Console) -> None:
    console.sign_in_at(AWAY)
    assert console.twg("auth", "site").out.splitlines() == [
        "* one.example.net",
        "  two.example.net",
    ]

    data = console.twg("auth", "site", "TWO.example.net", "-o", "json").data

    assert data == {
        "profile": "default",
        "site": "two.example.net",
        "sites": ["one.example.net", "two.example.net"],
    }
    assert console.twg("auth", "status", "-o", "json").data["site"] == "two.example.net"


def test_a_site_that_is_not_covered_is_refused(console: Console) -> None:
    console.sign_in_at(AWAY)

    error = console.twg("auth", "site", "evil.example", "-o", "json", status=78).error

    assert "one.example.net, two.example.net" in error["message"]
    assert console.twg("auth", "status", "-o", "json").data["site"] == "one.example.net"


def test_a_sign_in_without_sites_says_so(console: Console) -> None:
    console.sign_in_at(AWAY, sites=(), site=None)

    assert "covers no site" in console.twg("auth", "site").out
    console.twg("auth", "site", "a.example", "--profile", "nobody", status=77)


def test_nothing_is_sent_for_a_fresh_sign_in(console: Console, sandbox: SandboxHandle) -> None:
    console.sign_in(sandbox)
    before = request_count(sandbox)

    assert console.twg("auth", "refresh", "-o", "json").data == {
        "renewed": [],
        "fresh": ["default"],
    }
    assert "fresh; nothing was sent" in console.twg("auth", "refresh", "--all").out

    assert request_count(sandbox) == before


@pytest.mark.parametrize("age", [0.8 * HOUR, 2 * HOUR], ids=["due", "expired"])
def test_what_is_due_is_renewed_once(console: Console, sandbox: SandboxHandle, age: float) -> None:
    console.sign_in(sandbox, age=age)
    before = request_count(sandbox)

    assert "default was renewed" in console.twg("auth", "refresh").out

    assert request_count(sandbox) - before == 1
    assert console.twg("auth", "status", "-o", "json").data["state"] == "fresh"
    assert console.traces_of(*anyio.run(sandbox.issued)) == []


def test_what_is_fresh_is_renewed_by_force(console: Console, sandbox: SandboxHandle) -> None:
    console.sign_in(sandbox)

    assert console.twg("auth", "refresh", "--force", "-o", "json").data["renewed"] == ["default"]

    assert [one["profile"] for one in console.records("token.refreshed")] == ["default"]


def test_of_several_that_are_renewed_each_is_told(console: Console, server: Server) -> None:
    for profile in ("one", "two"):
        console.sign_in_at(server.url, profile, age=2 * HOUR)
    console.sign_in_at(server.url, "three")
    server.on("/oauth/token", document(RENEWED))

    data = console.twg("auth", "refresh", "--all", "-o", "json").data

    assert data == {"renewed": ["one", "two"], "fresh": ["three"]}
    assert len(server.to("/oauth/token")) == 2


def test_of_several_one_that_fails_is_told_and_the_others_are_renewed(
    console: Console, server: Server
) -> None:
    console.sign_in_at(server.url, "one", age=2 * HOUR)
    console.sign_in_at(AWAY, "two", age=2 * HOUR)
    console.sign_in_at(server.url, "three")
    server.on("/oauth/token", document(RENEWED))

    ended = console.twg("auth", "refresh", "--all", "-o", "json", status=3)

    assert ended.error["code"] == "PARTIAL"
    assert ended.error["message"].startswith("1 of 3 ")
    data = ended.document["data"]
    assert (data["renewed"], data["fresh"]) == (["one"], ["three"])
    assert list(data["failures"]) == ["two"]
    assert "cannot be reached" in data["failures"]["two"]

    shown = console.twg("auth", "refresh", "--all", status=3)
    assert "\n  two: 127.0.0.1:1 cannot be reached" in shown.err


@pytest.mark.parametrize(
    ("reply", "exit_status", "code"),
    [
        (document({"error": "invalid_grant"}, 400), 77, "AUTH_REVOKED"),
        (document({"error": "invalid_client"}, 401), 76, "PROTOCOL"),
        (status(503, b"", retry_after="60"), 69, "NETWORK"),
    ],
    ids=["revoked", "client", "away"],
)
def test_a_renewal_that_fails_says_why(
    console: Console, server: Server, reply: Any, exit_status: int, code: str
) -> None:
    console.sign_in_at(server.url, age=2 * HOUR)
    server.on("/oauth/token", reply)

    assert console.twg("auth", "refresh", "-o", "json", status=exit_status).error["code"] == code

    state = console.twg("auth", "status", "-o", "json").data["state"]
    assert state == ("refused" if code == "AUTH_REVOKED" else "expired")
    assert console.traces_of(*SECRETS) == []


def test_nothing_to_renew_is_told(console: Console) -> None:
    assert console.twg("auth", "refresh", "-o", "json", status=77).error["code"] == "AUTH_REQUIRED"
    assert "Nobody is signed in" in console.twg("auth", "refresh", "--all").out


def test_a_store_that_cannot_be_opened_is_kept(console: Console) -> None:
    console.sign_in_at(AWAY)
    path = console.config / "auth.conf"
    path.write_bytes(path.read_bytes()[:-200])

    for words in (["auth", "status"], ["auth", "list"], ["auth", "refresh", "--force"]):
        error = console.twg(*words, "-o", "json", status=74).error
        assert error["code"] == "STORE_CORRUPT"
        assert "twg doctor" in error["remediation"]
    assert path.exists()


SET_SINCE = {
    "back": (0.8, -HOUR / 2, "due"),
    "ahead": (0.1, 40 * DAY, "fresh"),
    "not": (0.1, 0, "fresh"),
}
"""How the wall clock was set since: the hours that passed, by how far it was set, the state."""


@pytest.mark.skipif(this_uptime().boot_id is None, reason="no run of this machine has a name")
@pytest.mark.parametrize("step", SET_SINCE)
def test_a_wall_clock_that_was_set_since_makes_nothing_due_or_fresh(
    console: Console, server: Server, step: str
) -> None:
    """H-D6: the clear header too has the clock that nobody sets."""
    passed, set_by, state = SET_SINCE[step]
    server.on("/oauth/token", document(RENEWED))
    known = console.sign_in_at(server.url, age=passed * HOUR + set_by)
    uptime = this_uptime()
    tokens = replace(
        known.tokens, boot_id=uptime.boot_id, issued_boottime=uptime.now() - passed * HOUR
    )
    save = store_at(console.root).save
    anyio.run(partial(save, replace(known, tokens=tokens), expected=None))

    data = console.twg("auth", "status", "-o", "json").data
    renewed = console.twg("auth", "refresh", "-o", "json").data["renewed"]

    assert (data["state"], data["days_until_lapse"]) == (state, 30)
    assert renewed == (["default"] if state == "due" else [])
    assert len(server.received) == len(renewed)


def test_a_sign_in_that_seems_to_be_from_the_future_is_renewed(
    console: Console, server: Server
) -> None:
    """H-D6: of another run of the machine, nobody knows how old it is."""
    server.on("/oauth/token", document(RENEWED))
    console.sign_in_at(server.url, age=-2 * HOUR)

    assert console.twg("auth", "refresh", "-o", "json").data["renewed"] == ["default"]


@pytest.mark.parametrize(("age", "warned"), [(24.9, None), (25.6, "4 days"), (31, None)])
def test_the_last_five_days_before_it_lapses_are_warned_of(
    console: Console, age: float, warned: str | None
) -> None:
    console.sign_in_at(AWAY, age=age * DAY)

    ended = console.twg("auth", "status")

    assert ("warning" in ended.err) == (warned is not None)
    if warned is not None:
        assert f"the sign-in on 'default' lapses in {warned} unless it is used" in ended.err
        assert f"ends in {warned} if it is not used" in ended.out
        data = console.twg("auth", "status", "-o", "json").data
        assert data["days_until_lapse"] == 4


def test_a_refused_sign_in_is_not_warned_of(console: Console) -> None:
    console.sign_in_at(AWAY, age=27 * DAY, refused="ended there")

    assert console.twg("auth", "status").err == ""


async def test_on_a_terminal_each_of_several_is_shown_as_it_goes(console: Console) -> None:
    async with serving() as server:
        gate = Gate(document(RENEWED))
        server.on("/oauth/token", gate)
        for profile, url, age in [
            ("fails", AWAY, 2 * HOUR),
            ("stays", server.url, 0.0),
            ("takes-long", server.url, 2 * HOUR),
        ]:
            await to_thread.run_sync(partial(console.sign_in_at, url, profile, age=age))
        argv = ["twg", "auth", "refresh", "--all"]
        async with Terminal.start(argv, env=console.env) as terminal:
            await gate.reached()
            await terminal.until("fails       failed")
            assert terminal.screen().split("\n")[:3] == [
                "fails       failed",
                "stays       fresh",
                "takes-long  renewing",
            ]
            gate.opened.set()
            assert await terminal.exit_status() == 3
            lines = terminal.screen().split("\n")
    assert lines[2] == "takes-long  renewed"
    assert lines[3] == "twg: 1 of 3 sign-ins could not be renewed"


@pytest.mark.parametrize(
    ("rows", "columns", "more"), [(3, 80, {}), (30, 14, {}), (30, 80, {"TERM": "dumb"})]
)
async def test_a_terminal_without_room_gets_plain_lines(
    console: Console, rows: int, columns: int, more: dict[str, str]
) -> None:
    for profile in ("one", "two", "three"):
        await to_thread.run_sync(partial(console.sign_in_at, AWAY, profile))
    argv = ["twg", "auth", "refresh", "--all"]
    env = console.env | more
    async with Terminal.start(argv, env=env, rows=rows, columns=columns) as terminal:
        assert await terminal.exit_status() == 0
        assert b"\x1b[K" not in terminal.raw
        shown = "".join(terminal.transcript().split())
    assert shown.count("nothingwassent.") == 3
