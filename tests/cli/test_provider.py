"""`twg provider`: servers are added by what they say, with a client of one's own or a new one."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.cli.acme import WELL_KNOWN, metadata
from tests.oauth.servers import document, serving, status
from tests.rigs.terminal import Terminal
from tests.vault.samples import Ear, custody_of
from twg.auth import providers
from twg.cli.provider_wish import preset_wish
from twg.http import Http
from twg.products import atlassian, presets

if TYPE_CHECKING:
    from tests.cli.console import Console
    from tests.oauth.servers import Server

ATLASSIAN = presets.load(presets.ATLASSIAN)
CLIENT_SECRET = "made-up-client-secret-0123456789"


@pytest.fixture
def acme(server: Server) -> Server:
    """A server that says what it is and registers clients."""
    server.on(WELL_KNOWN, document(metadata(server)))
    server.on("/register", document({"client_id": "c-registered"}, 201))
    return server


def test_a_server_is_added_with_a_client_of_ones_own(console: Console, acme: Server) -> None:
    added = console.twg(
        *["provider", "add", "acme", "--issuer", acme.url, "--client-id", "c-1", "-o", "json"],
        *["--scope", "read", "--scope", "offline_access"],
        *["--redirect-uri", "http://127.0.0.1:8765/cb", "--resource", "https://api.example.com/"],
    ).data

    assert added == {
        "name": "acme",
        "issuer": acme.url,
        "client_id": "c-1",
        "confidential": False,
        "registered": False,
        "endpoints": {
            "authorization_endpoint": f"{acme.url}/authorize",
            "token_endpoint": f"{acme.url}/token",
            "device_endpoint": None,
            "revocation_endpoint": None,
            "registration_endpoint": f"{acme.url}/register",
            "userinfo_endpoint": None,
        },
        "redirect_uri": "http://127.0.0.1:8765/cb",
        "scopes": ["read", "offline_access"],
        "resource": "https://api.example.com/",
        "api_base": acme.url,
    }
    assert acme.to("/register") == []
    assert console.twg("provider", "show", "acme", "-o", "json").data == added
    assert console.twg("provider", "list", "-o", "json").data["providers"] == [added]


def test_without_a_client_one_is_registered(console: Console, acme: Server) -> None:
    shown = console.twg("provider", "add", "acme", "--issuer", acme.url).out

    assert "✔ Added acme" in shown
    assert "registered itself there as client c-registered" in shown
    assert "twg login --provider acme" in shown
    asked = acme.to("/register")[0].json
    assert asked["token_endpoint_auth_method"] == "none"
    assert "(registered by twg)" in console.twg("provider", "show", "acme").out


def test_a_server_that_registers_nobody_wants_a_client(console: Console, server: Server) -> None:
    server.on(WELL_KNOWN, document(metadata(server, registration_endpoint=None)))

    words = ["provider", "add", "acme", "--issuer", server.url, "-o", "json"]
    error = console.twg(*words, status=78).error

    assert "--client-id" in error["remediation"]
    assert console.twg("provider", "list", "-o", "json").data["providers"] == []


def test_endpoints_are_given_where_the_server_does_not_list_them(
    console: Console, acme: Server
) -> None:
    added = console.twg(
        *["provider", "add", "acme", "--issuer", acme.url, "--client-id", "c-1", "-o", "json"],
        *["--endpoint", f"revocation={acme.url}/end", "--endpoint", f"token={acme.url}/t?x=1"],
    ).data

    assert added["endpoints"]["revocation_endpoint"] == f"{acme.url}/end"
    assert added["endpoints"]["token_endpoint"] == f"{acme.url}/t?x=1", "it wins"
    assert added["endpoints"]["authorization_endpoint"] == f"{acme.url}/authorize"


@pytest.mark.parametrize("word", ["revocation", "bogus=https://x.example", "=https://x.example"])
def test_an_endpoint_of_no_kind_is_refused(console: Console, acme: Server, word: str) -> None:
    words = ["provider", "add", "acme", "--issuer", acme.url, "--client-id", "c-1"]

    error = console.twg(*words, "--endpoint", word, "-o", "json", status=2).error

    assert "authorization, token, device, revocation" in error["message"]
    assert acme.received == []


@pytest.mark.parametrize(
    "more",
    [
        ["--issuer", "http://auth.example.com"],
        ["--issuer", "https://auth.example.com", "--endpoint", "token=http://auth.example.com/t"],
        ["--issuer", "ftp://auth.example.com"],
        ["--issuer", "auth.example.com"],
        ["--issuer", "https://alice@auth.example.com"],
        ["--issuer", "https://auth.example.com/?a=b"],
        ["--issuer", "https://auth.example.com", "--resource", "not a uri"],
    ],
    ids=["issuer", "endpoint", "scheme", "no URL", "userinfo", "query", "resource"],
)
def test_what_is_no_https_address_is_refused(console: Console, more: list[str]) -> None:
    words = ["provider", "add", "acme", "--client-id", "c-1", *more]

    assert console.twg(*words, "-o", "json", status=78).error["code"] == "CONFIG"


def test_plain_http_is_named(console: Console) -> None:
    words = ["provider", "add", "acme", "--client-id", "c-1", "--issuer", "http://auth.example.com"]

    assert "only https" in console.twg(*words, status=78).err


def test_an_issuer_is_needed(console: Console) -> None:
    error = console.twg("provider", "add", "acme", "-o", "json", status=2).error

    assert "--issuer" in error["message"]


@pytest.mark.parametrize(
    "words",
    [
        ["atlassian"],
        ["atlassian", "--issuer", atlassian.ISSUER],
        ["work", "--issuer", f"{atlassian.ISSUER}/"],
    ],
)
def test_atlassian_wants_an_app_and_its_callback_is_told(
    console: Console, words: list[str]
) -> None:
    error = console.twg("provider", "add", *words, "-o", "json", status=78).error

    assert "--client-id" in error["remediation"]
    assert "--confidential" in error["remediation"]
    assert str(presets.load("atlassian").redirect_uri) in error["remediation"]


async def test_a_preset_fills_in_what_is_not_given() -> None:
    """A client is registered, and the resource named; what a person says goes first."""
    wish = preset_wish("rovo-mcp", None, {"scopes": ("read",), "endpoints": {"userinfo": "u"}})
    assert wish is not None
    assert set(wish.endpoints) == {"authorization", "token", "registration", "userinfo"}
    async with serving() as server, Http() as http:
        server.on("/register", document({"client_id": "c-registered"}, 201))
        here = {kind: f"{server.url}/{kind}" for kind in ("authorization", "token")}
        here["registration"] = f"{server.url}/register"
        found = await providers.found(
            http, custody_of(Ear()), replace(wish, issuer=server.url, endpoints=here)
        )

    assert (found.client_id, found.registered) == ("c-registered", True)
    assert found.resource == "https://mcp.atlassian.com/v1/mcp"
    assert found.api_base == "https://mcp.atlassian.com"
    assert found.scopes == ("read",)


def test_another_server_may_be_called_atlassian(console: Console, acme: Server) -> None:
    """The issuer decides, where there is one."""
    words = ["provider", "add", "atlassian", "--issuer", acme.url, "--client-id", "c-1"]

    assert console.twg(*words, "-o", "json").data["issuer"] == acme.url


def test_a_secret_without_a_client_has_no_use(console: Console, acme: Server) -> None:
    words = ["provider", "add", "acme", "--issuer", acme.url, "--confidential", "-o", "json"]

    error = console.twg(*words, status=2).error

    assert "--client-id" in error["message"]
    assert acme.received == []


async def test_a_client_secret_is_asked_for_and_never_shown(console: Console, acme: Server) -> None:
    words = ["provider", "add", "acme", "--issuer", acme.url, "--client-id", "c-1"]
    argv = ["twg", *words, "--confidential"]
    async with Terminal.start(argv, env=console.env, columns=200) as terminal:
        await terminal.until("Paste the client secret of acme")
        assert not terminal.echo_is_on()
        await terminal.send_line(CLIENT_SECRET)
        assert await terminal.exit_status() == 0
        assert terminal.echo_is_on()
        seen = [terminal.transcript(), terminal.raw.decode()]

    assert not any(CLIENT_SECRET in text for text in seen)
    shown = (await console.apart_async("provider", "show", "acme")).out
    assert "kept sealed" in shown
    assert [one["secret"]["kind"] for one in console.records("secret.entered")] == ["client-secret"]
    assert console.traces_of(CLIENT_SECRET) == []


ASKING = """
import os, sys
import anyio
from twg.cli.main import _fail
from twg.cli.provider import ask_client_secret
from twg.cli.wiring import Wiring
wiring = Wiring((), dict(os.environ))
try:
    print(anyio.run(ask_client_secret, wiring, *sys.argv[1:]))
except Exception as error:
    sys.exit(_fail(wiring, error))
"""


@pytest.mark.parametrize(
    ("name", "issuer", "place"),
    [
        ("atlassian", atlassian.ISSUER, "https://developer.atlassian.com/console/myapps/."),
        ("acme", "https://auth.example.com", "https://auth.example.com, where your app is regist"),
    ],
)
async def test_before_it_asks_for_a_secret_it_says_what_becomes_of_it(
    console: Console, name: str, issuer: str, place: str
) -> None:
    """What for, where it goes, how it is kept, where to make it; in a usual window."""
    argv = [sys.executable, "-c", ASKING, name, issuer]
    async with Terminal.start(argv, env=console.env, columns=80) as terminal:
        shown = " ".join((await terminal.until(f"Paste the client secret of {name}")).split())
        assert f"lets twg sign you in at {name}." in shown
        assert f"It goes to {issuer} alone, and is kept sealed in " in shown
        assert f"It is shown, and made anew, at {place}" in shown
        await terminal.send_line(CLIENT_SECRET)
        assert await terminal.exit_status() == 0
        assert terminal.screen().endswith("‹redacted:client-secret›")


async def test_an_api_token_is_no_client_secret_of_atlassian(console: Console) -> None:
    """It is told at once, before anything is sent; three times end it."""
    argv = [sys.executable, "-c", ASKING, "atlassian", atlassian.ISSUER]
    token = "ATATT3xFfGF0" + "kq7Zr2Wm9" * 8 + "=1A2B3C4D"
    async with Terminal.start(argv, env=console.env, columns=200) as terminal:
        for time in range(3):
            await terminal.until(re.compile(f"(?s)(Paste the client secret.*){{{time + 1}}}> *$"))
            await terminal.send_line(token)
        assert await terminal.exit_status() == 65
        shown = terminal.transcript()

    assert shown.count("client secret of atlassian: it looks like an Atlassian API token") == 3
    assert token not in shown


def test_an_unknown_issuer_is_told(console: Console, server: Server) -> None:
    words = ["provider", "add", "acme", "--issuer", server.url, "--client-id", "c-1", "-o", "json"]

    error = console.twg(*words, status=76).error

    assert error["code"] == "PROTOCOL"
    assert "does not tell its authorization endpoint" in error["message"]
    assert "HTTP 404" in error["message"]


def test_a_server_that_is_another_is_refused(console: Console, server: Server) -> None:
    server.on(WELL_KNOWN, document(metadata(server, issuer="https://evil.example")))
    words = ["provider", "add", "acme", "--issuer", server.url, "--client-id", "c-1", "-o", "json"]

    assert "https://evil.example" in console.twg(*words, status=76).error["message"]


def test_a_server_that_is_away_is_told(console: Console, server: Server) -> None:
    server.on(WELL_KNOWN, status(503))
    words = ["provider", "add", "acme", "--issuer", server.url, "--client-id", "c-1", "-o", "json"]
    assert console.twg(*words, status=69).error["code"] == "NETWORK"

    words[4] = "http://127.0.0.1:1"
    assert "cannot be reached" in console.twg(*words, status=69).error["message"]


@pytest.mark.parametrize("name", ["", " ", "a b", "a/b", "../x", "x" * 65, "ünï", "-"])
def test_a_name_is_a_word(console: Console, acme: Server, name: str) -> None:
    words = ["provider", "add", "--issuer", acme.url, "--client-id", "c-1", "-o", "json"]

    error = console.twg(*words, "--", name, status=78).error

    assert "1 to 64 letters" in error["message"]
    assert acme.received == []


def test_a_server_may_be_replaced(console: Console, acme: Server) -> None:
    for client in ("c-1", "c-2"):
        console.twg("provider", "add", "acme", "--issuer", acme.url, "--client-id", client)

    found = console.twg("provider", "list", "-o", "json").data["providers"]
    assert [one["client_id"] for one in found] == ["c-2"]


def test_several_are_listed_in_order(console: Console, acme: Server) -> None:
    for name in ("zeta", "acme"):
        console.twg("provider", "add", name, "--issuer", acme.url, "--client-id", "c-1")

    lines = console.twg("provider", "list").out.splitlines()

    assert lines == [f"acme  {acme.url}", f"zeta  {acme.url}"]


@pytest.mark.parametrize(
    "uri",
    [
        "https://127.0.0.1:8716/callback",
        "http://127.0.0.1/callback",
        "http://127.0.0.1:0/callback",
        "http://127.0.0.1:8716/callback?a=b",
        "http://me@127.0.0.1:8716/callback",
        "http://127.0.0.1:80x/callback",
        "http://192.0.2.1:8716/callback",
        "http://127.0.0.1.evil.example:8716/callback",
        "callback",
    ],
)
def test_a_redirect_uri_that_cannot_be_listened_on_is_told_at_once(
    console: Console, acme: Server, uri: str
) -> None:
    """Before it is registered anywhere, with the form that it must have."""
    words = ["provider", "add", "acme", "--issuer", acme.url, "--redirect-uri", uri, "-o", "json"]

    error = console.twg(*words, status=78).error

    assert error["code"] == "CONFIG"
    assert uri in error["message"]
    assert "http://127.0.0.1:PORT/PATH" in error["remediation"]
    assert acme.received == []


def test_what_need_only_be_named_is_listed_until_it_is_added(
    console: Console, acme: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = console.twg("provider", "list")
    assert "  twg provider add atlassian --client-id ID --confidential\n" in shown.err
    assert "  twg provider add rovo-mcp\n" in shown.err
    assert "rovo-mcp" not in shown.out

    rovo = presets.load(presets.ROVO_MCP)
    there = {kind: f"{acme.url}/{kind}" for kind in ("authorization", "token")}
    here = replace(rovo, issuer=acme.url, endpoints=there)
    monkeypatch.setattr(presets, "load", {"rovo-mcp": here, "atlassian": ATLASSIAN}.__getitem__)
    monkeypatch.setattr(presets, "for_issuer", lambda _: None)
    console.twg("provider", "add", "rovo-mcp", "-o", "json")

    assert console.twg("provider", "list", "-o", "json").data["presets"] == ["atlassian"]
    assert "rovo-mcp" not in console.twg("provider", "list").err


def test_none_is_listed_with_what_to_do(console: Console) -> None:
    assert "twg provider add NAME" in console.twg("provider", "list").out


def test_one_is_shown_in_full(console: Console, acme: Server) -> None:
    console.twg("provider", "add", "acme", "--issuer", acme.url, "--client-id", "c-1")

    rows = dict(
        line.split("  ", 1) for line in console.twg("provider", "show", "acme").out.splitlines()
    )

    assert {name: text.strip() for name, text in rows.items()} == {
        "Name": "acme",
        "Issuer": acme.url,
        "Client id": "c-1",
        "Client secret": "none",
        "Redirect URI": "http://127.0.0.1:(any port)/callback",
        "Scopes": "openid offline_access",
        "Resource": "none",
        "API": acme.url,
        "Authorization": f"{acme.url}/authorize",
        "Device": "none",
        "Registration": f"{acme.url}/register",
        "Revocation": "none",
        "Token": f"{acme.url}/token",
        "Userinfo": "none",
    }


def test_an_agent_is_shown_it_all(console: Console, acme: Server) -> None:
    """Nothing in it looks like a secret to the scrubber."""
    console.twg("provider", "add", "acme", "--issuer", acme.url, "--client-id", "c-1")

    shown = console.twg("provider", "show", "acme", CLAUDECODE="1")

    assert shown.data["endpoints"]["token_endpoint"] == f"{acme.url}/token"
    assert "\\u2039" not in shown.out


@pytest.mark.parametrize("word", ["show", "remove"])
def test_an_unknown_name_is_told_with_those_that_are_known(
    console: Console, acme: Server, word: str
) -> None:
    console.twg("provider", "add", "acme", "--issuer", acme.url, "--client-id", "c-1")

    error = console.twg("provider", word, "acne", "-o", "json", status=78).error

    assert "'acne' (known: acme)" in error["message"]


def test_one_is_removed_and_its_sign_ins_go_on(console: Console, acme: Server) -> None:
    console.twg("provider", "add", "acme", "--issuer", acme.url, "--client-id", "c-1")
    console.sign_in_at(acme.url)
    acme.on("/me", document({"a": 1}))

    assert console.twg("provider", "remove", "acme", "-o", "json").data == {"removed": "acme"}

    assert console.twg("provider", "list", "-o", "json").data["providers"] == []
    assert console.twg("api", "atlassian", "/me", "-o", "json").data == {"a": 1}


def test_where_nothing_could_be_kept_nothing_is_asked(console: Console, acme: Server) -> None:
    """No client is registered that would be lost."""
    console.state.touch()

    words = ["provider", "add", "acme", "--issuer", acme.url, "-o", "json"]
    console.twg(*words, status=78)

    assert acme.received == []
