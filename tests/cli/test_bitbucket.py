"""A Bitbucket token beside a sign-in: used, shown, tried and let go of; asked of persons alone."""

from __future__ import annotations

import base64
import time
from typing import TYPE_CHECKING

import anyio
import pytest

from tests.cli.console import request_count, sandbox_at
from tests.oauth.servers import document, status
from tests.vault import samples
from tests.vault.samples import ACCESS, BITBUCKET, SECRETS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.console import Console
    from tests.oauth.servers import Server

USER = {"account_id": "acc-1", "display_name": "Alice Marin"}
EMAIL = "alice@example.com"
DAY = 86_400.0


@pytest.fixture
def there(console: Console, server: Server) -> Console:
    """An installation with a token for the scripted server, and a sign-in elsewhere."""
    console.sign_in_at("https://auth.example.com")
    console.keep_bitbucket(server.url)
    server.on("/2.0/user", document(USER, x_oauth_scopes="read:user:bitbucket"))
    return console


# Called


@pytest.mark.parametrize("path", ["/2.0/user", "/user"])
def test_a_call_is_made_with_the_token_and_with_nothing_else(
    there: Console, server: Server, path: str
) -> None:
    assert there.twg("api", "bitbucket", path, "-o", "json").data == USER

    pair = base64.b64encode(f"{EMAIL}:{BITBUCKET}".encode()).decode()
    assert [one.headers["authorization"] for one in server.received] == [f"Basic {pair}"]
    sent = [one["reason"] for one in there.records("secret.revealed")]
    assert sent == ["seal or open the store", f"send to {server.url}"]
    assert there.traces_of(BITBUCKET, pair, *SECRETS) == []


def test_an_agent_may_read(there: Console, server: Server) -> None:
    """H-F1: a server that echoes the credential shows it to nobody."""
    server.on("/2.0/echo", document({"token": BITBUCKET, "user": EMAIL}))

    assert there.twg("api", "bitbucket", "/user", TWG_AGENT="1").data == USER
    echoed = there.twg("api", "bitbucket", "/echo", TWG_AGENT="1")

    assert echoed.data["user"] == EMAIL
    assert there.traces_of(BITBUCKET) == []


def test_without_a_token_a_person_is_told_how_to_add_one(console: Console, server: Server) -> None:
    console.sign_in_at(server.url)

    error = console.twg("api", "bitbucket", "/user", "-o", "json", status=77).error

    assert error["code"] == "AUTH_REQUIRED"
    assert "`twg setup bitbucket`" in error["remediation"]
    other = console.twg("api", "bitbucket", "/user", "--profile", "work", "-o", "json", status=77)
    assert "`twg setup bitbucket --profile work`" in other.error["remediation"]
    assert server.received == []


def test_a_token_that_is_taken_no_longer_is_no_lost_sign_in(there: Console, server: Server) -> None:
    server.on("/2.0/user", status(401))

    error = there.twg("api", "bitbucket", "/user", "-o", "json", status=77).error

    assert error["code"] == "AUTH_EXPIRED"
    assert "`twg setup bitbucket --force`" in error["remediation"]
    assert there.twg("auth", "status", "-o", "json").data["state"] == "fresh"


def test_any_other_refusal_is_the_answer(there: Console, server: Server) -> None:
    server.on("/2.0/user", document({"type": "error"}, 403))

    ended = there.twg("api", "bitbucket", "/user", "-o", "json", status=4)

    assert ended.document["data"] == {"type": "error"}


@pytest.mark.parametrize(
    "words", [["//evil.example/x"], ["user"], ["/2.0/../x"], ["/user", "--site", "one.example.net"]]
)
def test_a_call_that_leads_elsewhere_is_refused(
    there: Console, server: Server, words: list[str]
) -> None:
    """H-F5."""
    error = there.twg("api", "bitbucket", *words, "-o", "json", status=2).error

    assert error["code"] == "USAGE"
    assert server.received == []


def test_what_holds_the_token_is_not_sent(console: Console, server: Server) -> None:
    """H-F5: though nothing but the store knows that it is one."""
    plain = "quay-lights-and-9876-tides"
    token = samples.custody_of(samples.Ear()).take(plain, "bitbucket-token")
    console.keep_bitbucket(server.url, token=token)

    for path in (f"/x?note={plain}", f"/x/{plain.encode().hex()}"):
        error = console.twg("api", "bitbucket", path, "-o", "json", status=64).error
        assert error["code"] == "SECRET_REFUSED"

    assert server.received == []


def test_a_redirect_does_not_get_the_token(there: Console, server: Server) -> None:
    """H-F5."""
    server.on("/2.0/user", status(302, Location=f"{server.url}/elsewhere"))

    ended = there.twg("api", "bitbucket", "/user", "--include", "-o", "json")

    assert ended.data["status"] == 302
    assert [one.path for one in server.received] == ["/2.0/user"]


# Shown and tried


def test_status_shows_it_and_opens_nothing(there: Console, server: Server) -> None:
    data = there.twg("auth", "status", "-o", "json").data["bitbucket"]
    shown = there.twg("auth", "status").out

    assert (data["email"], data["api_base"]) == (EMAIL, server.url)
    assert data["scopes"] == ["read:user:bitbucket"]
    assert f"Bitbucket   API token of {EMAIL}; ends by " in shown
    assert there.records() == []
    assert server.received == []


def test_a_profile_with_nothing_else_is_told_for_what_it_is(console: Console) -> None:
    console.keep_bitbucket("https://api.bitbucket.org", "work")

    error = console.twg("auth", "status", "--profile", "work", "-o", "json", status=77).error

    assert error["message"] == "the profile 'work' has a Bitbucket token, but no sign-in"


def bitbucket_check(console: Console, *more: str) -> dict[str, str]:
    ended = console.twg("doctor", *more, "-o", "json", status=None)
    found = ended.document["data"]["checks"]
    return next(one for one in found if one["name"] == "bitbucket")


def test_doctor_tries_it_live(there: Console, server: Server) -> None:
    assert bitbucket_check(there, "--offline")["status"] == "note"
    assert server.received == []

    found = bitbucket_check(there)

    assert found["status"] == "ok"
    assert "1 scope" in found["detail"]
    assert len(server.received) == 1


def test_doctor_tells_a_token_that_is_taken_no_longer(there: Console, server: Server) -> None:
    server.on("/2.0/user", status(401))

    found = bitbucket_check(there)

    assert found["status"] == "failed"
    assert "twg setup bitbucket --force" in found["fix"]
    assert EMAIL not in found["detail"], "it may be pasted in public"


def test_doctor_tells_a_bitbucket_that_is_away(there: Console, server: Server) -> None:
    server.on("/2.0/user", status(503))

    assert bitbucket_check(there)["status"] == "failed"


def test_doctor_tells_a_token_that_ends_soon(console: Console, server: Server) -> None:
    server.on("/2.0/user", document(USER))
    console.keep_bitbucket(server.url, saved_at=time.time() - 340 * DAY)

    found = bitbucket_check(console)

    assert found["status"] == "note"
    assert "ends within 2" in found["detail"]
    assert "twg setup bitbucket --force" in found["fix"]


# Let go of


def test_signing_out_lets_go_of_it_and_says_where_to_revoke_it(
    console: Console, server: Server
) -> None:
    console.sign_in_at(server.url)
    console.keep_bitbucket(server.url)
    server.on("/oauth/revoke", status(200))

    ended = console.twg("logout", "-o", "json")

    assert [one["profile"] for one in ended.data["signed_out"]] == ["default"]
    assert ended.data["bitbucket"] == [
        {"profile": "default", "email": EMAIL, "revoke_at": f"{server.url}/account/api-tokens"}
    ]
    assert f"{server.url}/account/api-tokens" in ended.err
    [record] = console.records("credential.removed")
    assert (record["secret"]["kind"], record["outcome"]) == ("bitbucket-token", "not revoked")
    console.twg("api", "bitbucket", "/user", status=77)
    assert BITBUCKET not in [one.form["token"] for one in server.to("/oauth/revoke")]
    assert console.traces_of(BITBUCKET) == []


def test_a_provider_that_is_away_keeps_both(console: Console) -> None:
    away = "http://127.0.0.1:1"
    console.sign_in_at(away)
    console.keep_bitbucket(away)

    console.twg("logout", status=69)

    assert console.twg("auth", "status", "-o", "json").data["bitbucket"] is not None


def test_one_without_a_sign_in_is_let_go_of_too(console: Console) -> None:
    console.keep_bitbucket("https://api.bitbucket.org", "work")

    ended = console.twg("logout", "--all")

    assert "https://id.atlassian.com/manage-profile/security/api-tokens" in ended.err
    assert "Nobody is signed in" not in ended.err
    console.twg("api", "bitbucket", "/user", "--profile", "work", status=77)


# Asked for


def test_one_that_bitbucket_still_takes_is_kept(there: Console, server: Server) -> None:
    data = there.twg("setup", "bitbucket", "-o", "json").data

    assert (data["kept"], data["bitbucket"]["email"]) == (True, EMAIL)
    assert len(server.received) == 1


@pytest.mark.parametrize("words", [[], ["--force"]])
def test_without_a_terminal_nobody_is_asked(
    there: Console, server: Server, words: list[str]
) -> None:
    server.on("/2.0/user", status(401))

    ended = there.apart("setup", "bitbucket", *words, "-o", "json", status=79)

    assert ended.error["code"] == "TTY_REQUIRED"
    assert ("The token that is there" in ended.err) == (not words)
    assert there.twg("auth", "status", "-o", "json").data["bitbucket"] is not None


@pytest.mark.parametrize("words", [("setup", "bitbucket"), ("admin", "auth", "login")])
def test_no_sandbox_is_started_for_a_question_that_nobody_can_be_asked(
    console: Console, words: tuple[str, ...]
) -> None:
    ended = console.apart(*words, "--sandbox", status=79)

    assert "Started the sandbox" not in ended.err
    assert console.twg("sandbox", "status", "-o", "json").data["running"] is False


def test_a_sign_in_without_a_terminal_does_not_ask(console: Console, tmp_path: Path) -> None:
    with sandbox_at(tmp_path) as sandbox:
        before = request_count(sandbox)

        ended = console.apart("login", "--sandbox", "--device", "-o", "json")

        requests = anyio.run(sandbox.stats)["requests"]
    assert ended.data["bitbucket"] is None
    assert before == 0
    assert "POST /accessible-products" not in requests
    assert ACCESS not in ended.out
