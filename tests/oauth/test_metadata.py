"""Discovery: what is taken from which document, and every document that must not be."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.oauth.servers import body, document, endless, page, raw, reset, stall, status
from twg.errors import ConfigError, NetworkError, ProtocolError, Unavailable
from twg.oauth.metadata import ServerMetadata, discover

if TYPE_CHECKING:
    from tests.oauth.servers import Reply, Server
    from twg.http import Http

OAUTH = "/.well-known/oauth-authorization-server"
OPENID = "/.well-known/openid-configuration"


def metadata(url: str, **fields: Any) -> dict[str, Any]:
    """A sound document; a field given as None is left out."""
    full = {
        "issuer": url,
        "authorization_endpoint": f"{url}/authorize",
        "token_endpoint": f"{url}/token",
        "response_types_supported": ["code"],
        "code_challenge_methods_supported": ["S256"],
    }
    return {name: value for name, value in (full | fields).items() if value is not None}


async def test_everything_is_read(http: Http, server: Server) -> None:
    url = server.url
    server.on(
        OAUTH,
        document(
            metadata(
                url,
                device_authorization_endpoint=f"{url}/device",
                revocation_endpoint=f"{url}/revoke",
                registration_endpoint=f"{url}/register",
                userinfo_endpoint=f"{url}/me",
                scopes_supported=["openid", "offline_access"],
                grant_types_supported=["authorization_code"],
                token_endpoint_auth_methods_supported=["none"],
                authorization_response_iss_parameter_supported=True,
            )
        ),
    )
    assert await discover(http, url) == ServerMetadata(
        issuer=url,
        authorization_endpoint=f"{url}/authorize",
        token_endpoint=f"{url}/token",
        device_authorization_endpoint=f"{url}/device",
        revocation_endpoint=f"{url}/revoke",
        registration_endpoint=f"{url}/register",
        userinfo_endpoint=f"{url}/me",
        scopes_supported=("openid", "offline_access"),
        grant_types_supported=("authorization_code",),
        code_challenge_methods_supported=("S256",),
        token_endpoint_auth_methods_supported=("none",),
        iss_parameter_supported=True,
    )
    assert [request.path for request in server.received] == [OAUTH]


async def test_one_document_supplies_what_the_other_lacks(http: Http, server: Server) -> None:
    url = server.url
    server.on(OAUTH, document(metadata(url, scopes_supported=["first"])))
    more = {"revocation_endpoint": f"{url}/revoke", "scopes_supported": ["second"]}
    server.on(OPENID, document(metadata(url, **more)))
    found = await discover(http, url)
    assert found.revocation_endpoint == f"{url}/revoke"
    assert found.scopes_supported == ("first",)


@pytest.mark.parametrize("absent", [status(404), status(401), status(405), page(404), page()])
async def test_one_document_is_enough(http: Http, server: Server, absent: Reply) -> None:
    """A single-page application answers every path with its page and status 200."""
    server.on(OAUTH, absent)
    server.on(OPENID, document(metadata(server.url)))
    assert (await discover(http, server.url)).token_endpoint == f"{server.url}/token"


@pytest.mark.parametrize(
    ("path", "oauth", "openid"),
    [
        ("/tenant", f"{OAUTH}/tenant", f"/tenant{OPENID}"),
        ("/a/b", f"{OAUTH}/a/b", f"/a/b{OPENID}"),
        ("/tenant/", f"{OAUTH}/tenant", f"/tenant{OPENID}"),
        ("/", OAUTH, OPENID),
    ],
)
async def test_the_issuers_path_stands_where_each_document_wants_it(
    http: Http, server: Server, path: str, oauth: str, openid: str
) -> None:
    issuer = f"{server.url}{path}"
    server.on(openid, document(metadata(issuer)))
    assert (await discover(http, issuer)).issuer == issuer
    assert [request.path for request in server.received] == [oauth, openid]


@pytest.mark.parametrize(
    "issuer",
    [
        "https://other.example",
        "",
        None,
        7,
        "URL/",
        "URL/elsewhere",
        "HTTP://127.0.0.1",
        "https://evil.example\x1b[2J",
    ],
)
async def test_h_c2_another_issuer_is_refused(http: Http, server: Server, issuer: Any) -> None:
    """H-C2: compared to the letter, a slash at the end included."""
    named = issuer.replace("URL", server.url) if isinstance(issuer, str) else issuer
    server.on(OAUTH, document(metadata(server.url, issuer=named)))
    with pytest.raises(ProtocolError, match="another issuer") as caught:
        await discover(http, server.url)
    assert "\x1b" not in str(caught.value)
    assert "--issuer" in caught.value.remediation


async def test_h_c2_the_second_document_is_judged_too(http: Http, server: Server) -> None:
    server.on(OAUTH, document(metadata(server.url)))
    server.on(OPENID, document(metadata("https://other.example")))
    with pytest.raises(ProtocolError, match="another issuer"):
        await discover(http, server.url)


ENDPOINTS = [
    "authorization_endpoint",
    "token_endpoint",
    "device_authorization_endpoint",
    "revocation_endpoint",
    "registration_endpoint",
    "userinfo_endpoint",
]


@pytest.mark.parametrize("name", ENDPOINTS)
@pytest.mark.parametrize(
    "url",
    [
        "https://other.example/token",
        "http://other.example/token",
        "http://127.0.0.1:1/token",
        "HOST.evil.example/token",
        "http://user:password@HOST/token",
        "http://HOST/token#fragment",
        "http://HOST/to ken",
        "http://HOST/to\u200bken",
        "http://HOST/\r\nX: y",
        "//HOST/token",
        "/token",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "",
        7,
        ["http://HOST/token"],
        {},
    ],
)
async def test_h_c2_an_endpoint_that_is_not_the_issuers(
    http: Http, server: Server, name: str, url: Any
) -> None:
    """H-C2: elsewhere, plain http, with userinfo, or no URL at all."""
    given = url.replace("HOST", server.url[7:]) if isinstance(url, str) else url
    server.on(OAUTH, document(metadata(server.url, **{name: given})))
    with pytest.raises(ProtocolError):
        await discover(http, server.url)


async def test_an_endpoint_elsewhere_is_used_if_a_person_says_so(
    http: Http, server: Server
) -> None:
    elsewhere = "https://tokens.example/token"
    server.on(OAUTH, document(metadata(server.url, token_endpoint=elsewhere)))
    with pytest.raises(ProtocolError, match="another host") as caught:
        await discover(http, server.url)
    assert "--endpoint token=" in caught.value.remediation
    found = await discover(http, server.url, overrides={"token": elsewhere})
    assert found.token_endpoint == elsewhere


async def test_given_endpoints_win_and_suffice(http: Http, server: Server) -> None:
    url = server.url
    given = {"authorization": f"{url}/a", "token": f"{url}/t", "device": f"{url}/d"}
    found = await discover(http, url, overrides=given)
    assert found == ServerMetadata(
        issuer=url,
        authorization_endpoint=f"{url}/a",
        token_endpoint=f"{url}/t",
        device_authorization_endpoint=f"{url}/d",
    )
    server.on(OAUTH, document(metadata(url)))
    assert (await discover(http, url, overrides=given)).token_endpoint == f"{url}/t"


@pytest.mark.parametrize(
    "overrides",
    [
        {"introspection": "https://a.example/i"},
        {"token": "http://a.example/t"},
        {"token": "https://user@a.example/t"},
        {"token": "https://a.example/t#x"},
        {"token": "/t"},
    ],
)
async def test_a_given_endpoint_that_cannot_be_used(
    http: Http, server: Server, overrides: dict[str, str]
) -> None:
    with pytest.raises(ConfigError):
        await discover(http, server.url, overrides=overrides)
    assert server.received == []


@pytest.mark.parametrize(
    "issuer",
    ["http://a.example", "https://a.example?x", "https://a.example#x", "https://u@a.example", "a"],
)
async def test_an_issuer_that_cannot_be_one(http: Http, issuer: str) -> None:
    with pytest.raises(ConfigError):
        await discover(http, issuer)


async def test_no_document_at_all(http: Http, server: Server) -> None:
    with pytest.raises(ProtocolError, match="authorization endpoint") as caught:
        await discover(http, server.url)
    assert OAUTH in str(caught.value)
    assert OPENID in str(caught.value)


@pytest.mark.parametrize("missing", ["authorization_endpoint", "token_endpoint"])
async def test_a_needed_endpoint_is_nowhere(http: Http, server: Server, missing: str) -> None:
    server.on(OAUTH, document(metadata(server.url, **{missing: None})))
    with pytest.raises(ProtocolError, match=missing.partition("_")[0]):
        await discover(http, server.url)


@pytest.mark.parametrize("methods", [["plain"], [], ["s256"], "S256", [["S256"]], {"S256": 1}])
async def test_h_c2_pkce_plain_only(http: Http, server: Server, methods: Any) -> None:
    server.on(OAUTH, document(metadata(server.url, code_challenge_methods_supported=methods)))
    with pytest.raises(ProtocolError):
        await discover(http, server.url)


async def test_silence_about_pkce_is_tolerated(http: Http, server: Server) -> None:
    server.on(OPENID, document(metadata(server.url, code_challenge_methods_supported=None)))
    assert (await discover(http, server.url)).code_challenge_methods_supported == ()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("scopes_supported", "openid"),
        ("scopes_supported", [1]),
        ("scopes_supported", ["a\x1b[2J"]),
        ("grant_types_supported", {"a": 1}),
        ("token_endpoint_auth_methods_supported", 7),
        ("authorization_response_iss_parameter_supported", "yes"),
    ],
)
async def test_a_field_of_the_wrong_kind(http: Http, server: Server, name: str, value: Any) -> None:
    server.on(OAUTH, document(metadata(server.url, **{name: value})))
    with pytest.raises(ProtocolError):
        await discover(http, server.url)


def _deep() -> bytes:
    return b'{"a":' * 10_000 + b"1" + b"}" * 10_000


def _twice(url: str) -> bytes:
    text = json.dumps(metadata(url))
    return f'{text[:-1]}, "token_endpoint": "{url}/other"}}'.encode()


BROKEN: dict[str, Reply] = {
    "redirect": status(302, location="/elsewhere"),
    "permanent redirect": status(308, location="/elsewhere"),
    "10 MB": document({"a": "a" * 10_000_000}),
    "never ends": endless(),
    "gzip": body(b"\x1f\x8b\x08\x00", content_encoding="gzip"),
    "depth": body(_deep()),
    "not JSON": body(b'{"issuer": '),
    "not UTF-8": body(b'{"issuer": "\xff"}'),
    "NaN": body(b'{"issuer": NaN}'),
    "a list": document([1]),
    "null": document(None),
    "a string": document("issuer"),
    "empty": body(b""),
}


@pytest.mark.parametrize("reply", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("place", [OAUTH, OPENID])
async def test_h_c2_a_broken_document(http: Http, server: Server, reply: Reply, place: str) -> None:
    """H-C2: also beside a sound one: nobody knows what it would have said."""
    server.on(OAUTH, document(metadata(server.url)))
    server.on(OPENID, document(metadata(server.url)))
    server.on(place, reply)
    with pytest.raises(ProtocolError):
        await discover(http, server.url)
    assert not server.to("/elsewhere")


async def test_h_c2_pages_with_status_200_are_no_documents(http: Http, server: Server) -> None:
    server.on(OAUTH, page())
    server.on(OPENID, page())
    with pytest.raises(ProtocolError, match="a web page"):
        await discover(http, server.url)


async def test_h_c2_json_that_claims_to_be_a_page(http: Http, server: Server) -> None:
    server.on(OAUTH, document(metadata(server.url), content_type="text/html"))
    with pytest.raises(ProtocolError, match="a web page"):
        await discover(http, server.url)


async def test_h_c2_duplicate_keys(http: Http, server: Server) -> None:
    server.on(OAUTH, body(_twice(server.url)))
    with pytest.raises(ProtocolError, match="twice"):
        await discover(http, server.url)


@pytest.mark.parametrize("declared", ["image/png", "text/plain", "", "nonsense"])
async def test_h_c2_a_wrong_content_type_is_tolerated(
    http: Http, server: Server, declared: str
) -> None:
    server.on(OAUTH, document(metadata(server.url), content_type=declared))
    assert (await discover(http, server.url)).issuer == server.url


@pytest.mark.parametrize("reply", [status(500), page(502), status(503), status(429)])
@pytest.mark.parametrize("place", [OAUTH, OPENID])
async def test_h_c4_a_server_in_trouble_is_not_judged_by_half(
    http: Http, server: Server, reply: Reply, place: str
) -> None:
    server.on(OAUTH, document(metadata(server.url)))
    server.on(OPENID, document(metadata(server.url)))
    server.on(place, reply)
    with pytest.raises(Unavailable):
        await discover(http, server.url)


@pytest.mark.parametrize("reply", [reset(), stall(), raw(b"SSH-2.0-OpenSSH_9\r\n")])
async def test_h_c4_no_answer(http: Http, server: Server, reply: Reply) -> None:
    server.on(OAUTH, reply)
    with pytest.raises(NetworkError):
        await discover(http, server.url)


async def test_h_a4_authlibs_switch_for_insecure_transport_changes_nothing(
    http: Http, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")
    foreign = {"token_endpoint": "http://other.example/token"}
    server.on(OAUTH, document(metadata(server.url, **foreign)))
    with pytest.raises(ProtocolError):
        await discover(http, server.url)
