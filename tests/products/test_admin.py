"""Admin API keys: what an answer means, whatever a server says; and no other host gets one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.oauth.servers import document, page, raw, status
from tests.vault.samples import Ear, custody_of, opened
from twg.errors import (
    AdminKeyExpired,
    AdminKeyRefused,
    ConfigError,
    NetworkError,
    ProtocolError,
    Unavailable,
    UsageError,
)
from twg.http import Http
from twg.products import admin
from twg.vault import AdminKey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.oauth.servers import Reply, Server

VALUE = "made-up-organization-key-0123456789"
SECRET = custody_of(Ear()).take(VALUE, admin.SECRET_KIND)
ORG = "0a1b2c3d-0000-4000-8000-0123456789ab"
PATH = f"/admin/v1/orgs/{ORG}"


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    async with Http(read_seconds=10) as client:
        yield client


async def ask(http: Http, url: str, org: str = ORG) -> AdminKey:
    place = admin.place_of(url)
    return await admin.checked(
        http, place, org=org, email="alice@example.com", key=SECRET, now=1000.0
    )


def told(attributes: Any = None, **more: Any) -> Reply:
    return document({"data": {"id": ORG, "attributes": attributes}, **more})


async def test_what_is_kept_is_what_the_organization_tells(http: Http, server: Server) -> None:
    meta = {"apiKey": {"expiresAt": "2026-12-02T13:00:00Z"}}
    server.on(PATH, told({"name": "Harbor\x1b[31m \u202eWorks"}, meta=meta))

    found = await ask(http, server.url)

    assert (
        found.summary
        == replace(
            AdminKey(
                org=ORG, key=SECRET, email="alice@example.com", api_base=server.url, saved_at=1e3
            ),
            name="Harbor[31m Works",
            expires_at=1_796_216_400.0,
        ).summary
    )
    assert opened(found)["key"]["value"] == VALUE
    (request,) = server.received
    assert request.headers["authorization"] == f"Bearer {VALUE}"


async def test_the_organizations_own_spelling_of_its_id_is_kept(http: Http, server: Server) -> None:
    server.on(PATH.replace(ORG, ORG.upper()), told())

    assert (await ask(http, server.url, ORG.upper())).org == ORG


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"meta": None},
        {"meta": {"apiKey": {"expiresAt": 3}}},
        {"meta": {"apiKey": {"expiresAt": "soon"}}},
        {"meta": []},
    ],
)
async def test_an_end_that_is_not_told_is_not_known(
    http: Http, server: Server, more: dict[str, Any]
) -> None:
    server.on(PATH, told(["no", "name"], **more))

    found = await ask(http, server.url)

    assert (found.expires_at, found.name) == (None, None)


REFUSALS: dict[str, tuple[Reply, type[Exception], str]] = {
    "unknown": (status(401), AdminKeyRefused, "is unknown, has expired or was revoked"),
    "without the right": (status(403), AdminKeyRefused, "may not read the organization"),
    "of another organization": (status(404), AdminKeyRefused, "but not for the organization"),
    "too often": (status(429), Unavailable, "answered HTTP 429"),
    "out of order": (status(503), Unavailable, "answered HTTP 503"),
    "elsewhere": (status(302, location="https://evil.example/"), ProtocolError, "HTTP 302"),
    "a page": (page(), ProtocolError, "does not tell of the organization"),
    "a list": (document([]), ProtocolError, "does not tell of the organization"),
    "another one": (document({"data": {"id": "other"}}), ProtocolError, "does not tell of"),
    "broken off": (raw(b"HTTP/1.1 200 OK\r\nConte"), NetworkError, "cannot be reached"),
}


@pytest.mark.parametrize("name", REFUSALS)
async def test_other_answers_are_told_apart(http: Http, server: Server, name: str) -> None:
    reply, kind, words = REFUSALS[name]
    server.on(PATH, reply)

    with pytest.raises(kind, match=words) as refused:
        await ask(http, server.url)

    assert type(refused.value) is kind
    assert len(server.received) == 1


async def test_nobody_there_is_no_answer(http: Http) -> None:
    with pytest.raises(NetworkError, match="refused"):
        await ask(http, "http://127.0.0.1:1")


async def test_a_key_that_is_kept_is_tried(http: Http, server: Server) -> None:
    server.on(PATH, told(), status(401))
    kept = await ask(http, server.url)

    with pytest.raises(AdminKeyExpired, match="unknown, has expired") as ended:
        await admin.try_out(http, kept)

    assert f"`twg admin auth login --org {ORG}`" in ended.value.remediation


async def test_a_key_goes_to_its_own_host_only(http: Http, server: Server) -> None:
    server.on(PATH, told())
    moved = replace(await ask(http, server.url), api_base="http://127.0.0.1:9")

    with pytest.raises(ConfigError, match="was not issued for"):
        await http.request("GET", server.url, pinned=moved.hosts, bearer=moved.key)

    assert len(server.received) == 1


@pytest.mark.parametrize(
    ("path", "url"),
    [
        ("/v1/orgs", "https://api.atlassian.com/admin/v1/orgs"),
        ("/admin/v1/orgs?cursor=a%2Fb", "https://api.atlassian.com/admin/v1/orgs?cursor=a%2Fb"),
        ("/administrators", "https://api.atlassian.com/admin/administrators"),
    ],
)
def test_a_path_may_be_written_as_the_documentation_does(path: str, url: str) -> None:
    assert admin.url_for(_kept(), path) == url


def test_a_path_stays_where_it_is() -> None:
    """H-F5."""
    for path in ("/admin/../me", "//evil.example/v1", "/v1/%2e%2e/%2e%2e/me", "v1"):
        with pytest.raises(UsageError, match="path"):
            admin.url_for(_kept(), path)


def test_atlassians_keys_are_made_at_atlassian() -> None:
    assert "admin.atlassian.com" in admin.place_of("https://api.atlassian.com").keys_page
    assert admin.place_of("http://127.0.0.1:9/").keys_page == "http://127.0.0.1:9/admin/api-keys"


@pytest.mark.parametrize("word", ["", "a/b", "..", "-a", "a b", "a" * 65, "\u0430bc"])
def test_what_could_lead_elsewhere_is_no_organization(word: str) -> None:
    assert admin.org_fault(word) is not None
    assert admin.org_fault(ORG) is None


def _kept() -> AdminKey:
    base = "https://api.atlassian.com"
    return AdminKey(org=ORG, key=SECRET, email="a@example.com", api_base=base, saved_at=0)
