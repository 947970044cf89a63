"""Atlassian's own: who and where, whatever a server answers, and paths that stay at their host."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.auth.parts import credential_at, issued_by, provider_at
from tests.oauth.servers import document, page, reset, status
from tests.sandbox.running import running_sandbox
from tests.vault.samples import Ear, custody_of
from twg.errors import (
    AuthRequired,
    ConfigError,
    NetworkError,
    ProtocolError,
    Unavailable,
    UsageError,
)
from twg.http import Http, Response, origin
from twg.products import atlassian
from twg.vault import Account, Site

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.oauth.servers import Server

ACCESS = custody_of(Ear()).take("access-made-up-0", "access-token")
RESOURCES = "/oauth/token/accessible-resources"
ONE = Site(host="one.atlassian.net", cloud_id="c-1")
TWO = Site(host="two.atlassian.net", cloud_id="c-2")
CREDENTIAL = replace(
    credential_at("https://auth.example.com"), sites=(ONE, TWO), site="one.atlassian.net"
)


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    async with Http(read_seconds=10) as client:
        yield client


# Atlassian and others


@pytest.mark.parametrize(
    ("issuer", "base", "days"),
    [
        ("https://auth.atlassian.com", "https://api.atlassian.com", 90.0),
        ("https://auth.atlassian.com/", "https://api.atlassian.com", 90.0),
        ("https://auth.example.com/realm", "https://auth.example.com:443", 30.0),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000", 30.0),
        (
            "https://auth.atlassian.com.example.com",
            "https://auth.atlassian.com.example.com:443",
            30.0,
        ),
    ],
)
def test_atlassian_is_told_from_others(issuer: str, base: str, days: float) -> None:
    assert atlassian.api_base(issuer) == base
    assert atlassian.idle_days(issuer) == days
    assert atlassian.is_atlassian(issuer) == (days == 90.0)


# Who


async def test_the_person_and_their_sites_at_the_sandbox(tmp_path: Path, http: Http) -> None:
    async with running_sandbox(tmp_path, auto_approve=True) as sandbox:
        credential = await issued_by(sandbox)
        account = await atlassian.account_of(http, credential.provider, credential.tokens.access)
        [site] = await atlassian.sites_of(http, credential.provider, credential.tokens.access)
    assert account is not None
    assert (account.name, account.email) == ("Alice Marin (sandbox)", "alice@sandbox.example")
    assert (site.host, site.name) == ("harbor.sandbox.example", "Harbor (sandbox)")
    assert "read:jira-work" in site.scopes


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (
            {"account_id": "a-1", "name": "A", "email": "a@x"},
            Account(id="a-1", name="A", email="a@x"),
        ),
        ({"sub": "s-1", "preferred_username": "p"}, Account(id="s-1", name="p")),
        ({"sub": "s-1", "name": "", "nickname": "n"}, Account(id="s-1", name="n")),
        ({"sub": "s-1", "name": 7, "email": ["a@x"]}, Account(id="s-1")),
        ({"sub": "s-1", "name": "\x1b[2JA\u202eB\r\nC"}, Account(id="s-1", name="[2JABC")),
        (
            {"sub": "s-1", "email": "firstname.lastname.2024@example.com"},
            Account(id="s-1", email="firstname.lastname.2024@example.com"),
        ),
        ({"name": "nobody"}, None),
        ({"sub": 7}, None),
        ({"sub": "\x00"}, None),
        ([], None),
        (None, None),
    ],
)
async def test_who_it_is_however_it_is_told(
    server: Server, http: Http, answer: Any, expected: Account | None
) -> None:
    """H-C5: nothing of it steers a terminal."""
    server.on("/userinfo", document(answer))
    assert await atlassian.account_of(http, provider_at(server.url), ACCESS) == expected
    assert server.received[0].headers["authorization"] == "Bearer access-made-up-0"


@pytest.mark.parametrize("reply", [status(403), status(404), page(), status(302), status(200)])
async def test_a_provider_that_does_not_tell_who(server: Server, http: Http, reply: Any) -> None:
    server.on("/userinfo", reply)
    assert await atlassian.account_of(http, provider_at(server.url), ACCESS) is None


async def test_without_a_userinfo_endpoint_me_is_asked(server: Server, http: Http) -> None:
    at = provider_at(server.url)
    at = replace(at, endpoints=replace(at.endpoints, userinfo=None))
    server.on("/me", document({"account_id": "a-1"}))
    assert await atlassian.account_of(http, at, ACCESS) == Account(id="a-1")


async def test_a_token_that_is_not_accepted_is_told(server: Server, http: Http) -> None:
    server.on("/userinfo", status(401))
    with pytest.raises(ProtocolError, match="does not accept the token"):
        await atlassian.account_of(http, provider_at(server.url), ACCESS)
    for_one_resource = provider_at(server.url, resource="https://api.example.com/")
    assert await atlassian.account_of(http, for_one_resource, ACCESS) is None


@pytest.mark.parametrize(
    ("reply", "error"),
    [(status(503), Unavailable), (status(429), Unavailable), (reset(), NetworkError)],
)
async def test_a_moments_trouble_is_not_taken_for_nobody(
    server: Server, http: Http, reply: Any, error: type[NetworkError]
) -> None:
    """H-C4."""
    server.on("/userinfo", reply)
    server.on(RESOURCES, reply)
    with pytest.raises(error):
        await atlassian.account_of(http, provider_at(server.url), ACCESS)
    with pytest.raises(error):
        await atlassian.sites_of(http, provider_at(server.url), ACCESS)


# Where


def resource(cloud_id: Any = "c-1", url: Any = "https://one.atlassian.net", **more: Any) -> Any:
    return {"id": cloud_id, "url": url, "name": "One", "scopes": ["read:jira-work"], **more}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ([], []),
        ([resource()], [("one.atlassian.net", "c-1", "One", ("read:jira-work",))]),
        (
            [resource(), resource(scopes=["read:jira-work", "search:confluence"])],
            [("one.atlassian.net", "c-1", "One", ("read:jira-work", "search:confluence"))],
        ),
        (
            [resource(url="https://ONE.Atlassian.NET:443/path"), resource("c-2", "https://two.x")],
            [
                ("one.atlassian.net", "c-1", "One", ("read:jira-work",)),
                ("two.x", "c-2", "One", ("read:jira-work",)),
            ],
        ),
        (
            [resource(name="\x1b]0;x\x07O", scopes=["a", 7, "b\r\n"])],
            [("one.atlassian.net", "c-1", "]0;xO", ("a",))],
        ),
        ([resource(name=None, scopes=None)], [("one.atlassian.net", "c-1", None, ())]),
        # What could become part of a path, or is no site's address, is left out.
        ([resource("../x")], []),
        ([resource("c/1")], []),
        ([resource("")], []),
        ([resource("٣")], []),
        ([resource(7)], []),
        ([resource(url="http://one.atlassian.net")], []),
        ([resource(url="one.atlassian.net")], []),
        ([resource(url="https://user@one.atlassian.net")], []),
        ([resource(url="https://one.atlassian.net\x1b[2J")], []),
        ([resource(url=None)], []),
        (["nonsense", 7, None], []),
    ],
)
async def test_which_sites_however_they_are_told(
    server: Server, http: Http, answer: Any, expected: Any
) -> None:
    server.on(RESOURCES, document(answer))
    sites = await atlassian.sites_of(http, provider_at(server.url), ACCESS)
    assert [(site.host, site.cloud_id, site.name, site.scopes) for site in sites] == expected


@pytest.mark.parametrize(
    "reply", [status(401), status(403), status(404), page(), status(302), status(200, b"{")]
)
async def test_a_provider_of_another_kind_has_no_sites(
    server: Server, http: Http, reply: Any
) -> None:
    server.on(RESOURCES, reply)
    assert await atlassian.sites_of(http, provider_at(server.url), ACCESS) == ()


@pytest.mark.parametrize("answer", [{"code": 401, "message": "Unauthorized"}, "x", 7, False])
async def test_what_is_no_list_of_sites_is_told(server: Server, http: Http, answer: Any) -> None:
    server.on(RESOURCES, document(answer))
    with pytest.raises(ProtocolError, match="gave no list"):
        await atlassian.sites_of(http, provider_at(server.url), ACCESS)


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (status(401), "does not accept the token"),
        (status(404), "gave no list"),
        (page(), "gave no list"),
        (status(200, b"[{"), "gave no list"),
        (document(None), "gave no list"),
    ],
)
async def test_atlassian_itself_must_give_a_list(
    server: Server, http: Http, reply: Any, words: str
) -> None:
    server.on(RESOURCES, reply)
    at = provider_at(server.url, issuer=atlassian.ISSUER)
    with pytest.raises(ProtocolError, match=words):
        await atlassian.sites_of(http, at, ACCESS)


async def test_atlassian_itself_is_asked_for_me(server: Server, http: Http) -> None:
    server.on("/me", document({"account_id": "a-1"}))
    at = provider_at(server.url, issuer=atlassian.ISSUER)
    assert await atlassian.account_of(http, at, ACCESS) == Account(id="a-1")
    assert server.to("/userinfo") == []


# URLs


@pytest.mark.parametrize(
    ("service", "path", "site", "expected"),
    [
        ("jira", "/rest/api/3/myself", None, "/ex/jira/c-1/rest/api/3/myself"),
        ("jira", "/rest/api/3/myself", "TWO.atlassian.net", "/ex/jira/c-2/rest/api/3/myself"),
        (
            "confluence",
            "/wiki/api/v2/pages?limit=1",
            None,
            "/ex/confluence/c-1/wiki/api/v2/pages?limit=1",
        ),
        ("atlassian", "/me", None, "/me"),
        ("atlassian", "/me", "nowhere.example", "/me"),
        ("jira", "/a/b%20c/%C3%A4/100%25/x;y=1", None, "/ex/jira/c-1/a/b%20c/%C3%A4/100%25/x;y=1"),
        (
            "jira",
            "/s?jql=a%3D%22..%22%0Ab&u=//x/../y&at=@z",
            None,
            "/ex/jira/c-1/s?jql=a%3D%22..%22%0Ab&u=//x/../y&at=@z",
        ),
        ("jira", "/a/..b/c../...", None, "/ex/jira/c-1/a/..b/c../..."),
        ("jira", "/@someone", None, "/ex/jira/c-1/@someone"),
    ],
)
def test_where_a_path_leads(service: str, path: str, site: str | None, expected: str) -> None:
    url = atlassian.url_for(CREDENTIAL, service, path, site)
    assert url == f"https://auth.example.com{expected}"


def test_a_slash_at_the_end_of_the_base_does_no_harm() -> None:
    at = replace(CREDENTIAL.provider, api_base="https://api.example.com/")
    credential = replace(CREDENTIAL, provider=at)
    assert atlassian.url_for(credential, "atlassian", "/me") == "https://api.example.com/me"


ELSEWHERE = [
    "",
    "rest/api/3",
    "https://evil.example/",
    "HTTPS://evil.example/",
    "//evil.example/",
    "///evil.example/",
    "\\\\evil.example\\",
    "/\\evil.example/",
    "\\/evil.example/",
    "/%2fevil.example/",
    "/%2Fevil.example/",
    "/%252fevil.example/",
    "/%5cevil.example/",
    "/%5c%5cevil.example/",
    "/%ef%bc%8fevil.example/",
    "@evil.example/",
    ":8443/x",
    ":password@evil.example/",
    ".evil.example/",
    "?x",
    "#x",
    "/x#y",
    "/..",
    "/../x",
    "/a/../../x",
    "/a/..",
    "/./x",
    "/a/.",
    "/%2e%2e/x",
    "/%2E%2e/x",
    "/.%2e/x",
    "/%2e./x",
    "/a/%2e%2e%2fx",
    "/%252e%252e/x",
    "/%25252e%25252e/x",
    "/..;/x",
    "/..;a=b/x",
    "/%2e%2e;/x",
    "/a/..%2fx",
    "/a/..%5cx",
    "/\uff0e\uff0e/x",
    "/。。/x",
    "/‥/x",
    "/%ef%bc%8e%ef%bc%8e/x",
    "/%e2%80%a5/x",
    "/a\r\nHost: evil.example",
    "/a%0d%0aHost:%20evil.example",
    "/a%0ab",
    "/a%00b",
    "/a%250d%250ab",
    "/a\x00b",
    "/a\x7fb",
    "/a b",
    "/a\tb",
    "/ä",
    "/x?y=ä",
    "/x?y=\\",
    "/x?y=a b",
    "/%" + "25" * 20 + "2e%" + "25" * 20 + "2e",
]


@pytest.mark.parametrize("service", atlassian.SERVICES)
@pytest.mark.parametrize("path", ELSEWHERE)
def test_a_path_that_leads_elsewhere_is_refused(service: str, path: str) -> None:
    """H-F5: however it is spelt, and however often it is decoded on the way."""
    with pytest.raises(UsageError) as caught:
        atlassian.url_for(CREDENTIAL, service, path)
    assert "evil.example" not in str(caught.value)


@settings(deadline=None)
@given(st.text(alphabet="/\\.%2eE5cCfF;@:#?ab0\uff0e。‥ \r\n", max_size=24))
def test_whatever_is_let_through_stays_below_its_own_site(path: str) -> None:
    """H-F5."""
    try:
        url = atlassian.url_for(CREDENTIAL, "jira", path)
    except UsageError:
        return
    assert origin(url) == "https://auth.example.com:443"
    assert url == f"https://auth.example.com/ex/jira/c-1{path}"
    assert "/../" not in f"{url.partition('?')[0]}/"


def _is_plain(text: str) -> bool:
    letters = unicodedata.normalize("NFKC", text)
    return not set(letters) & set("/\\%;") and not any(map(_is_control, letters))


def _is_control(letter: str) -> bool:
    return unicodedata.category(letter) == "Cc"


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8")).filter(_is_plain))
def test_whatever_is_encoded_may_be_part_of_a_name(text: str) -> None:
    """Nothing is refused for odd letters alone: only for what climbs or breaks lines."""
    path = f"/x/name-{quote(text, safe='')}"
    assert atlassian.url_for(CREDENTIAL, "jira", path).endswith(path)


def test_an_unknown_service_is_refused() -> None:
    with pytest.raises(UsageError) as caught:
        atlassian.url_for(CREDENTIAL, "trello", "/x")
    assert "jira, confluence, atlassian" in caught.value.remediation


def test_a_site_that_was_not_consented_to_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"three\.atlassian\.net .*one\.atlassian\.net, two"):
        atlassian.url_for(CREDENTIAL, "jira", "/x", "three.atlassian.net")


def test_without_any_site_the_sites_services_are_out_of_reach() -> None:
    without = replace(CREDENTIAL, sites=(), site=None)
    with pytest.raises(AuthRequired, match="none was chosen on the consent page"):
        atlassian.url_for(without, "jira", "/x")
    with pytest.raises(AuthRequired, match="none was chosen"):
        atlassian.url_for(without, "jira", "/x", "one.atlassian.net")
    elsewhere = replace(without, provider=replace(without.provider, scopes=("openid",)))
    with pytest.raises(ConfigError, match="covers no site: sandbox has none"):
        atlassian.url_for(elsewhere, "jira", "/x")
    assert atlassian.url_for(without, "atlassian", "/x") == "https://auth.example.com/x"


# What a refusal means

JIRA_ONLY = replace(ONE, scopes=("read:jira-work",))
PAGES_TOO = replace(TWO, scopes=("read:page:confluence",))
MISMATCH = b'{"code":401,"message":"Unauthorized; scope does not match"}'


def answered(status: int, body: bytes = b"{}") -> Response:
    return Response(status=status, headers={}, body=body, url="https://api.atlassian.com/x")


@pytest.mark.parametrize(
    ("sites", "service", "status", "told"),
    [
        ((JIRA_ONLY,), "confluence", 401, "`twg login --force`"),
        ((JIRA_ONLY,), "confluence", 404, "`twg login --force`"),
        ((JIRA_ONLY, PAGES_TOO), "confluence", 403, "--site two.atlassian.net"),
        ((JIRA_ONLY, PAGES_TOO), "jira", 403, None),
        ((JIRA_ONLY,), "confluence", 500, None),
        ((JIRA_ONLY,), "atlassian", 404, None),
        ((replace(ONE, scopes=("read:servicedesk-request",)),), "jira", 404, None),
        ((ONE,), "confluence", 404, None),
    ],
)
def test_a_site_without_the_product_is_told(
    sites: tuple[Site, ...], service: str, status: int, told: str | None
) -> None:
    """By the scopes that it lists, and only once the gateway has said no."""
    credential = replace(CREDENTIAL, sites=sites)

    found = atlassian.why_refused(credential, service, None, answered(status))

    if told is None:
        assert found is None
    else:
        assert found is not None
        assert found[0] == "this sign-in has no Confluence on the site one.atlassian.net"
        assert told in found[1]


@pytest.mark.parametrize(
    ("status", "body", "lacks"),
    [
        (401, MISMATCH, True),
        (403, b'{"message":"Forbidden; scope does not match"}', True),
        (401, b'{"message":"Unauthorized"}', False),
        (400, MISMATCH, False),
        (401, b"scope does not match", False),
        (401, b'["scope does not match"]', False),
        (401, b'{"message":7}', False),
    ],
)
def test_a_lack_of_scope_is_told_from_a_token_that_is_refused(
    status: int, body: bytes, *, lacks: bool
) -> None:
    found = atlassian.why_refused(CREDENTIAL, "jira", None, answered(status, body))

    assert (found is not None) is lacks
