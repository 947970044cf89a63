"""Bitbucket's: which tokens it takes, what each refusal of its means, and paths that stay there."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest

from guard import shapes
from tests.auth.parts import credential_at
from tests.oauth.servers import body, document, reset, status
from tests.vault.samples import BITBUCKET, Ear, bitbucket_token, custody_of
from twg.errors import ConfigError, NetworkError, ProtocolError, TokenRefused, UsageError
from twg.http import Http
from twg.products import bitbucket

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.oauth.servers import Reply, Server
    from twg.vault import BitbucketToken

TOKEN = custody_of(Ear()).take(BITBUCKET, "bitbucket-token")
EMAIL = "alice@example.com"
USER = {"account_id": "acc-1", "display_name": "Alice\u202e Marin"}
LACKS = {
    "type": "error",
    "error": {
        "message": "Your credentials lack one or more required privilege scopes.",
        "detail": {"granted": ["read:repository:bitbucket"], "required": ["read:user:bitbucket"]},
    },
}


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    async with Http(read_seconds=10) as client:
        yield client


async def check(http: Http, server: Server) -> BitbucketToken:
    place = bitbucket.place_at(server.url)
    return await bitbucket.checked(
        http, place, profile="default", email=EMAIL, token=TOKEN, now=5.0
    )


# What it looks like


@pytest.mark.parametrize("shape", shapes.SHAPES, ids=lambda shape: shape.kind)
def test_of_all_shapes_only_an_api_tokens_passes(shape: shapes.Shape) -> None:
    fault = bitbucket.fault_of(shape.example)

    assert (fault is None) == (shape.kind == "atlassian-api-token")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("ATCTT3xFfGN0" + "Example1" * 8 + "=0123ABCD", "workspace, project or repository"),
        ("ATCTT3xFfGN0" + "Example1" * 8 + "=0123ABCD", "Admin API key"),
        ("ATBB" + "Example1" * 4, "ended on 2026-06-09"),
        ("eyJhbGciOiJub25lIn0.eyJleGFtcGxlIjoxfQ.ZXhhbXBsZS1leGFtcGxl", "a JSON web token"),
        (EMAIL, "more than the token"),
        (f"{EMAIL}:{BITBUCKET}", "more than the token"),
        (f"x-bitbucket-api-token-auth:{BITBUCKET}", "more than the token"),
    ],
)
def test_another_kind_is_told_by_its_looks(value: str, words: str) -> None:
    fault = bitbucket.fault_of(value)

    assert fault is not None
    assert words in fault
    assert value not in fault


def test_a_token_of_any_length_without_a_prefix_may_be_one() -> None:
    assert bitbucket.fault_of("Example-without-prefix-1") is None
    assert bitbucket.fault_of(BITBUCKET * 4) is None


# What Bitbucket says of it


async def test_a_token_that_is_taken_is_told_with_its_account_and_scopes(
    http: Http, server: Server
) -> None:
    scopes = "write:repository:bitbucket, read:user:bitbucket"
    server.on("/2.0/user", document(USER, x_oauth_scopes=scopes))

    found = await check(http, server)

    assert (found.account_id, found.name) == ("acc-1", "Alice Marin")
    assert found.scopes == ("read:user:bitbucket", "write:repository:bitbucket")
    assert found.hosts == {server.url}
    assert found.saved_at == 5.0
    pair = base64.b64encode(f"{EMAIL}:{BITBUCKET}".encode()).decode()
    assert [one.headers["authorization"] for one in server.received] == [f"Basic {pair}"]
    assert bitbucket.lacking(found.scopes)[:2] == (
        "read:workspace:bitbucket",
        "read:project:bitbucket",
    )


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (status(401), "unknown, has expired, has no scopes"),
        (document(LACKS, 403), "it has: read:repository:bitbucket"),
        (status(403, x_oauth_scopes="read:me"), "it has: read:me"),
        (status(403), "HTTP 403"),
        (status(410), "HTTP 410"),
        (status(401, x_credential_type="repo_access_token"), "not to an account"),
        (status(403, x_credential_type="workspace_access_token"), "not to an account"),
    ],
)
async def test_each_refusal_is_told_for_what_it_is(
    http: Http, server: Server, reply: Reply, words: str
) -> None:
    server.on("/2.0/user", reply)

    with pytest.raises(TokenRefused) as raised:
        await check(http, server)

    assert words in str(raised.value)
    assert raised.value.remediation
    assert BITBUCKET not in str(raised.value)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (status(400), ProtocolError),
        (status(302, location="https://evil.example"), ProtocolError),
        (document([USER]), ProtocolError),
        (body(b"<html>"), ProtocolError),
        (status(429), NetworkError),
        (status(503), NetworkError),
        (reset(), NetworkError),
    ],
)
async def test_what_says_nothing_of_the_token_is_no_refusal_of_it(
    http: Http, server: Server, reply: Reply, kind: type[Exception]
) -> None:
    server.on("/2.0/user", reply)

    with pytest.raises(kind) as raised:
        await check(http, server)

    assert not isinstance(raised.value, TokenRefused)


async def test_a_stored_token_is_checked_where_it_belongs(http: Http, server: Server) -> None:
    server.on("/2.0/user", document(USER))
    stored = bitbucket_token(api_base=server.url, saved_at=7.0)

    found = await bitbucket.checked_again(http, stored)

    assert (found.saved_at, found.email) == (7.0, stored.email)


# Whether an account has Bitbucket


def products(*ids: str) -> dict[str, Any]:
    return {"data": {"products": [{"productId": one, "workspaces": []} for one in ids]}}


@pytest.mark.parametrize(
    ("reply", "has"),
    [
        (document(products("jira-software.ondemand", "bitbucket")), True),
        (document(products("jira-software.ondemand", "confluence.ondemand")), False),
        (document(products()), None),
        (document({"data": {}}), None),
        (document({"data": {"products": [{}]}}), None),
        (document({"data": None}), None),
        (document([]), None),
        (document(products("jira-software.ondemand"), 403), None),
        (status(404), None),
        (body(b"<html>"), None),
        (body(b"x" * (1024 * 1024 + 1)), None),
        (reset(), None),
    ],
)
async def test_an_account_is_without_bitbucket_only_where_that_is_said(
    http: Http, server: Server, reply: Reply, *, has: bool | None
) -> None:
    server.on("/accessible-products", reply)

    assert await bitbucket.has_bitbucket(http, credential_at(server.url)) is has

    assert server.received[0].method == "POST"
    assert "bitbucket" in server.received[0].json["productIds"]


# Where a call goes


@pytest.mark.parametrize(
    ("path", "url"),
    [
        ("/user", "/2.0/user"),
        ("/2.0/user", "/2.0/user"),
        ("/repositories/w?page=2", "/2.0/repositories/w?page=2"),
        ("/2.0", "/2.0/2.0"),
    ],
)
def test_the_interfaces_version_may_be_left_out(path: str, url: str) -> None:
    assert bitbucket.url_for(bitbucket_token(), path) == f"https://bitbucket.example.com{url}"


@pytest.mark.parametrize("path", ["user", "//evil.example", "/2.0/../x", "/x\\y", "@evil.example/"])
def test_a_path_that_leads_elsewhere_is_refused(path: str) -> None:
    """H-F5."""
    with pytest.raises(UsageError):
        bitbucket.url_for(bitbucket_token(), path)


async def test_a_token_goes_to_its_own_origin_only(http: Http, server: Server) -> None:
    """H-F5: whoever asks."""
    with pytest.raises(ConfigError, match="not issued for"):
        await bitbucket.get(http, bitbucket_token(), f"{server.url}/2.0/user")

    assert server.received == []


def test_the_real_one_is_told_from_a_look_alike() -> None:
    assert bitbucket.place_of("https://api.bitbucket.org") == bitbucket.ATLASSIANS
    assert bitbucket.place_of("http://127.0.0.1:9").tokens_page == (
        "http://127.0.0.1:9/account/api-tokens"
    )
