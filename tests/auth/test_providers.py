"""Providers made of what a server says and what a person adds."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.auth.parts import plain, provider_at
from tests.oauth.servers import document
from tests.sandbox.running import running_sandbox
from tests.vault.samples import Ear, custody_of
from twg.auth.clients import client_of
from twg.auth.providers import Wish, found
from twg.errors import ConfigError, GrantRefused, ProtocolError
from twg.http import origin
from twg.products import presets
from twg.sandbox.people import CLIENT_ID

if TYPE_CHECKING:
    from pathlib import Path

    from guard.custody import Custody
    from guard.secret import Secret
    from tests.auth.parts import Sandbox
    from tests.oauth.servers import Server
    from twg.http import Http

METADATA = "/.well-known/oauth-authorization-server"
SECRET = custody_of(Ear()).take("made-up-client-secret", "client-secret")


async def ask() -> Secret:
    return SECRET


def wish(url: str, **changes: Any) -> Wish:
    return replace(Wish(name="acme", issuer=url, api_base=url, client_id="client-1"), **changes)


def metadata(url: str, **more: Any) -> dict[str, Any]:
    endpoints = {
        f"{name}_endpoint": f"{url}/{name}"
        for name in ("authorization", "token", "revocation", "registration", "userinfo")
    }
    endpoints["device_authorization_endpoint"] = f"{url}/device"
    return {"issuer": url, **endpoints, **more}


async def test_the_sandbox_is_found_as_it_is(
    sandbox: Sandbox, http: Http, custody: Custody
) -> None:
    provider = await found(
        http,
        custody,
        wish(
            sandbox.url,
            name="sandbox",
            client_id=CLIENT_ID,
            scopes=presets.load("atlassian").scopes,
        ),
    )
    expected = provider_at(sandbox.url, authorize_params={"prompt": "consent"})
    endpoints = replace(expected.endpoints, registration=f"{sandbox.url}/oidc/register")
    assert provider == replace(expected, endpoints=endpoints)
    assert provider.hosts == {origin(sandbox.url)}


async def test_without_a_client_id_a_client_is_registered(
    sandbox: Sandbox, http: Http, custody: Custody
) -> None:
    provider = await found(http, custody, wish(sandbox.url, client_id=None))
    assert provider.registered
    assert provider.client_secret is None
    assert provider.token_auth_method == "none"
    assert provider.client_id not in {"", "client-1", CLIENT_ID}


async def test_a_secret_that_registration_gives_is_kept_with_how_it_is_used(
    server: Server, http: Http, custody: Custody
) -> None:
    server.on(METADATA, document(metadata(server.url)))
    registered = {
        "client_id": "registered-1",
        "client_secret": "made-up-client-secret",
        "token_endpoint_auth_method": "client_secret_post",
    }
    server.on("/registration", document(registered, 201))
    fixed = "http://127.0.0.1:8716/callback"
    provider = await found(
        http, custody, wish(server.url, client_id=None, redirect_uri=fixed, scopes=("a", "b"))
    )
    assert plain(provider.client_secret) == "made-up-client-secret"
    assert provider.token_auth_method == "client_secret_post"
    [asked] = server.to("/registration")
    assert asked.json["redirect_uris"] == [provider.redirect_uri] == [fixed]
    assert asked.json["scope"] == "a b"
    client = client_of(provider, custody)
    assert (client.client_id, client.auth_method) == ("registered-1", "client_secret_post")
    assert client.pinned == provider.hosts


async def test_registration_that_is_refused_or_not_offered(
    tmp_path: Path, server: Server, http: Http, custody: Custody
) -> None:
    document_without = metadata(server.url)
    del document_without["registration_endpoint"]
    server.on(METADATA, document(document_without))
    with pytest.raises(ConfigError) as caught:
        await found(http, custody, wish(server.url, client_id=None))
    assert "--client-id" in caught.value.remediation
    async with running_sandbox(tmp_path, faults=["no-registration"]) as refusing:
        with pytest.raises(GrantRefused):
            await found(http, custody, wish(refusing.url, client_id=None))


@pytest.mark.parametrize(
    ("offered", "body", "method"),
    [
        (None, "form", "client_secret_basic"),
        (["client_secret_post", "client_secret_basic"], "form", "client_secret_basic"),
        (["client_secret_post", "none"], "form", "client_secret_post"),
        (["client_secret_basic"], "json", "client_secret_post"),
    ],
)
async def test_a_confidential_client_authenticates_as_the_server_takes_it(
    server: Server,
    http: Http,
    custody: Custody,
    offered: list[str] | None,
    body: str,
    method: str,
) -> None:
    more = {} if offered is None else {"token_endpoint_auth_methods_supported": offered}
    server.on(METADATA, document(metadata(server.url, **more)))
    provider = await found(http, custody, wish(server.url, ask_secret=ask, token_body=body))
    assert provider.token_auth_method == method
    assert provider.client_secret is SECRET
    assert provider.token_body == body


async def test_a_server_that_takes_no_client_secret(
    server: Server, http: Http, custody: Custody
) -> None:
    offered = {"token_endpoint_auth_methods_supported": ["private_key_jwt"]}
    server.on(METADATA, document(metadata(server.url, **offered)))
    with pytest.raises(ConfigError, match="private_key_jwt"):
        await found(http, custody, wish(server.url, ask_secret=ask))
    assert not (await found(http, custody, wish(server.url))).client_secret


async def test_a_person_is_asked_for_the_secret_once_the_rest_is_good(
    server: Server, http: Http, custody: Custody
) -> None:
    """Otherwise they would paste it for nothing."""
    asked: list[int] = []

    async def ask_late() -> Secret:
        asked.append(len(server.received))
        return SECRET

    with pytest.raises(ProtocolError):
        await found(http, custody, wish(server.url, ask_secret=ask_late))
    assert asked == []
    server.on(METADATA, document(metadata(server.url)))
    await found(http, custody, wish(server.url, ask_secret=ask_late))
    assert asked == [len(server.received)]


@pytest.mark.parametrize(
    ("supported", "given", "scopes", "prompt"),
    [
        (None, (), ("openid", "offline_access"), "consent"),
        (["openid", "email", "other"], (), ("openid", "email"), None),
        (["other"], (), (), None),
        (["openid"], ("x", "offline_access"), ("x", "offline_access"), "consent"),
    ],
)
async def test_scopes_and_the_prompt_that_a_refresh_token_needs(
    server: Server,
    http: Http,
    custody: Custody,
    supported: list[str] | None,
    given: tuple[str, ...],
    scopes: tuple[str, ...],
    prompt: str | None,
) -> None:
    more = {} if supported is None else {"scopes_supported": supported}
    server.on(METADATA, document(metadata(server.url, **more)))
    provider = await found(http, custody, wish(server.url, scopes=given))
    assert provider.scopes == scopes
    assert provider.authorize_params.get("prompt") == prompt


async def test_what_the_person_says_wins(server: Server, http: Http, custody: Custody) -> None:
    server.on(
        METADATA,
        document(metadata(server.url, authorization_response_iss_parameter_supported=True)),
    )
    provider = await found(
        http,
        custody,
        wish(
            server.url,
            api_base="https://api.example.com",
            resource="https://api.example.com/v1",
            scopes=("offline_access",),
            authorize_parameters={"audience": "api.example.com", "prompt": "login"},
            endpoints={"revocation": "https://auth.example.com/revoke"},
        ),
    )
    assert provider.authorize_params == {"audience": "api.example.com", "prompt": "login"}
    assert provider.endpoints.revocation == "https://auth.example.com/revoke"
    assert provider.resource == "https://api.example.com/v1"
    assert provider.iss_required
    assert not provider.registered
    assert provider.hosts == {
        origin(server.url),
        "https://api.example.com:443",
        "https://auth.example.com:443",
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"issuer": "http://auth.example.com"},
        {"api_base": "http://api.example.com"},
        {"api_base": "https://user:password@api.example.com"},
        {"api_base": "api.example.com"},
        {"client_id": None, "ask_secret": ask},
        {"resource": "api.example.com/path"},
        {"resource": "https://api.example.com/#part"},
        {"resource": ""},
        {"endpoints": {"revocation": "http://auth.example.com/revoke"}},
        {"endpoints": {"logout": "https://auth.example.com/logout"}},
    ],
)
async def test_what_cannot_be_used_is_refused_before_anything_is_sent(
    server: Server, http: Http, custody: Custody, changes: dict[str, Any]
) -> None:
    """H-C2: https, or this machine."""
    with pytest.raises(ConfigError):
        await found(http, custody, wish(server.url, **changes))
    assert server.received == []


def test_the_clients_secrets_go_to_the_providers_own_hosts_alone(custody: Custody) -> None:
    provider = provider_at(
        "https://auth.example.com", client_secret=SECRET, token_auth_method="client_secret_basic"
    )
    client = client_of(provider, custody)
    assert client.secret is SECRET
    assert client.custody is custody
    assert client.token_endpoint == "https://auth.example.com/oauth/token"
    assert client.pinned == {"https://auth.example.com:443"}
