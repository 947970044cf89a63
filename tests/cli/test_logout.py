"""`twg logout`: what is ended where, and what is said of what lives on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.test_auth import AWAY
from tests.oauth.servers import document, status
from tests.vault.samples import ACCESS, REFRESH, SECRETS

if TYPE_CHECKING:
    from tests.cli.console import Console
    from tests.oauth.servers import Server

REVOKE = "/oauth/revoke"


def remaining(console: Console) -> list[str]:
    found = console.twg("auth", "list", "-o", "json").data["profiles"]
    return [one["profile"] for one in found]


def test_both_tokens_are_ended_there_then_removed_here(console: Console, server: Server) -> None:
    console.sign_in_at(server.url)
    server.on(REVOKE, status(200))

    data = console.twg("logout", "-o", "json").data

    assert data == {
        "signed_out": [
            {
                "profile": "default",
                "revoked": True,
                "issuer": server.url,
                "why_not": None,
                "lives_until": None,
            }
        ],
        "bitbucket": [],
    }
    assert [request.form["token"] for request in server.to(REVOKE)] == [REFRESH, ACCESS]
    assert remaining(console) == []
    assert [one["outcome"] for one in console.records("token.revoked")] == ["ok"]
    assert console.traces_of(*SECRETS) == []


def test_a_server_that_refuses_to_revoke_is_told_with_how_long_the_token_lives(
    console: Console, server: Server
) -> None:
    console.sign_in_at(server.url)
    server.on(REVOKE, document({"error": "unauthorized_client"}, 401))

    ended = console.twg("logout", "-o", "json", status=3)

    assert ended.error["code"] == "PARTIAL"
    assert f"revoke twg at {server.url}" in ended.error["remediation"]
    why = ended.document["data"]["failures"]["default"]
    assert "removed here, but not revoked" in why
    assert "lives until 2" in why
    assert "60 minutes from now" in why
    assert remaining(console) == []


def test_a_token_that_has_expired_lives_no_longer(console: Console, server: Server) -> None:
    console.sign_in_at(server.url, age=7200)
    server.on(REVOKE, document({"error": "unauthorized_client"}, 401))

    assert "its access token has expired" in console.twg("logout", status=3).err


@pytest.mark.parametrize("mode", ["json", "text"])
def test_a_server_that_is_away_keeps_the_sign_in(console: Console, mode: str) -> None:
    console.sign_in_at(AWAY)

    ended = console.twg("logout", "-o", mode, status=69)

    assert "--local-only" in ended.out + ended.err
    assert remaining(console) == ["default"]


def test_removed_here_alone_nothing_is_sent(console: Console, server: Server) -> None:
    console.sign_in_at(server.url)

    ended = console.twg("logout", "--local-only")

    assert "on this device only" in ended.out
    assert f"Revoke twg at {server.url}" in ended.out
    assert server.received == []
    assert remaining(console) == []


def test_of_several_those_that_cannot_be_ended_stay(console: Console, server: Server) -> None:
    console.sign_in_at(server.url, "one")
    console.sign_in_at(AWAY, "two")
    server.on(REVOKE, status(200))

    ended = console.twg("logout", "--all", "-o", "json", status=3)

    data = ended.document["data"]
    assert list(data["failures"]) == ["two"]
    assert [one["profile"] for one in data["signed_out"]] == ["one"]
    assert remaining(console) == ["two"]


def test_nobody_to_sign_out_is_no_failure(console: Console) -> None:
    assert console.twg("logout", "-o", "json").data == {
        "signed_out": [],
        "bitbucket": [],
    }
    assert (
        "Nobody is signed in on the profile 'work'"
        in console.twg("logout", "--profile", "work").err
    )
    assert console.twg("logout", "--all").out == ""
