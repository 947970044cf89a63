"""`twg login` by what is there already: which provider, which sign-in is kept, what is replaced."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from tests.auth.parts import provider_at
from tests.cli.acme import WELL_KNOWN, metadata
from tests.cli.console import SITES, sandbox_at
from tests.oauth.servers import document
from twg.sandbox.people import CLIENT_ID

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.console import Console, Ended
    from tests.oauth.servers import Server
    from tests.sandbox.running import SandboxHandle


@pytest.fixture
def box(console: Console, sandbox: SandboxHandle) -> Console:
    """An installation that knows the sandbox as a server like any other."""
    words = ["provider", "add", "box", "--issuer", sandbox.url, "--client-id", CLIENT_ID]
    console.twg(*words, "--scope", "read:me", "--scope", "offline_access")
    return console


def signs_in(console: Console, *words: str, status: int = 0) -> Ended:
    return console.apart("login", "--device", *words, "-o", "json", status=status)


async def granted(sandbox: SandboxHandle) -> int:
    grants = (await sandbox.stats())["grants"]
    return int(grants.get("device_code", 0))


def test_the_only_provider_is_signed_in_at_and_a_sign_in_that_works_is_kept(
    box: Console, sandbox: SandboxHandle
) -> None:
    before = anyio.run(granted, sandbox)

    first = signs_in(box)
    second = signs_in(box)

    assert (first.data["kept"], second.data["kept"]) == (False, True)
    assert first.data["provider"] == "box"
    assert first.data["account"]["name"] == "Alice Marin (sandbox)"
    assert "Enter  " in first.err, "the code is told beside the document"
    assert second.err == ""
    assert anyio.run(granted, sandbox) - before == 1
    assert [one["profile"] for one in box.records("token.issued")] == ["default"]
    assert box.traces_of(*anyio.run(sandbox.issued)) == []


def test_an_expired_sign_in_is_renewed_and_kept(box: Console, sandbox: SandboxHandle) -> None:
    box.sign_in(sandbox, age=7200)

    assert signs_in(box).data["kept"] is True

    assert len(box.records("token.refreshed")) == 1


def test_one_that_lapsed_is_made_anew(box: Console, sandbox: SandboxHandle) -> None:
    there = provider_at(sandbox.url, name="box")
    box.sign_in(sandbox, age=7200, refused="ended there", provider=there)

    ended = signs_in(box)

    assert "Ended there: signing in anew." in ended.err
    assert ended.data["kept"] is False
    assert ended.data["state"] == "fresh"


def test_a_store_that_does_not_open_is_put_aside_and_kept(box: Console) -> None:
    path = box.config / "auth.conf"
    damaged = path.read_bytes().replace(b'"box"', b'"fox"')
    path.write_bytes(damaged)

    ended = signs_in(box, status=78)

    aside = next(box.config.glob("auth.conf.corrupt-*"))
    assert aside.read_bytes() == damaged
    assert f"It was put aside as {aside}" in ended.err


def test_a_profile_stays_with_its_provider(box: Console, sandbox: SandboxHandle) -> None:
    box.sign_in(sandbox)  # at the provider "sandbox"

    error = box.twg("login", "--provider", "box", "-o", "json", status=2).error

    assert "signed in at 'sandbox', not 'box'" in error["message"]
    assert "--profile" in error["remediation"]


def test_two_ways_to_name_a_provider_exclude_each_other(box: Console) -> None:
    error = box.twg("login", "--sandbox", "--provider", "box", "-o", "json", status=2).error

    assert "exclude each other" in error["message"]


def test_an_unknown_provider_is_told_with_those_that_are_known(box: Console) -> None:
    error = box.twg("login", "--provider", "fox", "-o", "json", status=78).error

    assert "'fox' (known: box)" in error["message"]


def test_of_several_providers_one_has_to_be_named(box: Console, server: Server) -> None:
    server.on(WELL_KNOWN, document(metadata(server)))
    box.twg("provider", "add", "acme", "--issuer", server.url, "--client-id", "c-1")

    error = box.twg("login", "-o", "json", status=78).error

    assert "acme, box" in error["message"]
    assert "--provider NAME" in error["remediation"]


def test_a_site_that_was_not_consented_to_ends_the_new_tokens(
    box: Console, sandbox: SandboxHandle
) -> None:
    error = signs_in(box, "--site", "evil.example", status=78).error

    assert "evil.example was not consented to" in error["message"]
    newest = [anyio.run(sandbox.issued, kind)[-1] for kind in ("access", "refresh")]
    assert [anyio.run(sandbox.token_active, token) for token in newest] == [False, False]
    assert box.twg("auth", "list", "-o", "json").data["profiles"] == []


def test_a_sign_in_without_a_site_is_kept_and_told(console: Console, tmp_path: Path) -> None:
    """It is good for what needs no site; what does need one says how to get it."""
    with sandbox_at(tmp_path / "there", faults=("no-sites",)) as bare:
        knows(console, bare)
        ended = signs_in(console)
        error = console.apart("api", "jira", "/rest/api/3/myself", "-o", "json", status=77).error
        console.apart("api", "atlassian", "/me", "-o", "json")
        named = signs_in(console, "--force", "--site", "a.example", status=78).error

    assert (ended.data["site"], ended.data["sites"]) == (None, [])
    assert "this sign-in covers no site" in ended.err
    assert "`twg login --force`" in ended.err
    assert "none was chosen on the consent page" in error["message"]
    assert "a.example was not consented to (but: none)" in named["message"]


def test_where_no_list_of_sites_comes_the_new_tokens_are_ended(
    console: Console, tmp_path: Path
) -> None:
    with sandbox_at(tmp_path / "there", faults=("sites-no-list",)) as odd:
        knows(console, odd)
        error = signs_in(console, status=76).error
        newest = [anyio.run(odd.issued, kind)[-1] for kind in ("access", "refresh")]
        alive = [anyio.run(odd.token_active, token) for token in newest]

    assert "was asked for the sites of this sign-in and gave no list" in error["message"]
    assert "Sign in again" in error["remediation"]
    assert alive == [False, False]


def test_a_sign_in_that_is_kept_gets_the_site_that_is_named(
    box: Console, sandbox: SandboxHandle
) -> None:
    box.sign_in(sandbox, sites=SITES, site=SITES[0].host)

    kept = signs_in(box, "--site", SITES[1].host.upper()).data
    error = signs_in(box, "--site", "a.example", status=78).error

    assert (kept["kept"], kept["site"]) == (True, SITES[1].host)
    assert "does not cover the site a.example" in error["message"]
    assert box.twg("auth", "status", "-o", "json").data["site"] == SITES[1].host


def knows(console: Console, there: SandboxHandle) -> None:
    words = ["provider", "add", "box", "--issuer", there.url, "--client-id", CLIENT_ID]
    scopes = ["read:me", "read:jira-work", "offline_access"]
    console.twg(*words, *(word for scope in scopes for word in ("--scope", scope)))
