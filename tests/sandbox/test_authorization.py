"""The authorization server over real HTTP: codes, PKCE, rotation, revocation, registration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from tests.sandbox.running import running_sandbox
from tests.sandbox.visiting import CALLBACK, Visitor, redirect_parameters

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from tests.sandbox.running import SandboxHandle


async def test_code_flow_gives_tokens_that_work(visitor: Visitor, plain: SandboxHandle) -> None:
    parameters = await visitor.authorize()
    assert parameters["state"] == "state-1"
    assert parameters["iss"] == plain.url
    answer = await visitor.exchange(parameters["code"])
    tokens = answer.json()
    assert tokens["token_type"] == "Bearer"
    assert tokens["expires_in"] == 3600
    assert tokens["access_token"].startswith("eyJ")
    assert tokens["access_token"].count(".") == 2
    assert answer.headers["cache-control"] == "no-store"
    me = await visitor.call("/me", tokens["access_token"])
    assert me.json()["email"] == "alice@sandbox.example"
    stats = await plain.stats()
    assert stats["grants"] == {"authorization_code": 1}
    assert stats["requests"]["POST /oauth/token"] == 1


async def test_token_endpoint_takes_json_as_atlassian_does(quick_visitor: Visitor) -> None:
    redirect = await quick_visitor.get(quick_visitor.authorize_path())
    document = {
        "grant_type": "authorization_code",
        "client_id": "twg-sandbox",
        "code": redirect_parameters(redirect)["code"],
        "redirect_uri": CALLBACK,
        "code_verifier": quick_visitor.pkce.verifier,
    }
    answer = await quick_visitor.http.post("/oauth/token", json=document)
    assert answer.status_code == 200
    assert answer.json()["refresh_token"]


@pytest.mark.parametrize(
    "changes",
    [
        {"code_challenge": None, "code_challenge_method": None},
        {"code_challenge_method": None},
        {"code_challenge_method": "plain"},
        {"code_challenge": "short"},
    ],
)
async def test_pkce_s256_is_required(
    quick_visitor: Visitor, changes: dict[str, str | None]
) -> None:
    answer = await quick_visitor.get(quick_visitor.authorize_path(**changes))
    parameters = redirect_parameters(answer)
    assert parameters["error"] == "invalid_request"
    assert parameters["iss"] == quick_visitor.url
    assert "code" not in parameters


async def test_pkce_is_required_of_confidential_clients_too(quick: SandboxHandle) -> None:
    async with Visitor(quick.url) as visitor:
        client = (
            await visitor.http.post("/oidc/register", json={"redirect_uris": [CALLBACK]})
        ).json()
        visitor.client_id = client["client_id"]
        path = visitor.authorize_path(
            code_challenge=None, code_challenge_method=None, scope="read:me"
        )
        assert redirect_parameters(await visitor.get(path))["error"] == "invalid_request"


async def test_wrong_verifier_is_refused_and_burns_the_code(quick_visitor: Visitor) -> None:
    redirect = await quick_visitor.get(quick_visitor.authorize_path())
    code = redirect_parameters(redirect)["code"]
    wrong = await quick_visitor.exchange(code, code_verifier="w" * 50)
    assert (wrong.status_code, wrong.json()["error"]) == (400, "invalid_grant")
    right = await quick_visitor.exchange(code)
    assert right.json()["error"] == "invalid_grant"


async def test_code_used_twice_ends_what_the_first_use_gave(
    quick_visitor: Visitor, quick: SandboxHandle
) -> None:
    redirect = await quick_visitor.get(quick_visitor.authorize_path())
    code = redirect_parameters(redirect)["code"]
    first = (await quick_visitor.exchange(code)).json()
    second = await quick_visitor.exchange(code)
    assert second.json()["error"] == "invalid_grant"
    assert not await quick.token_active(first["access_token"])
    assert not await quick.token_active(first["refresh_token"])


async def test_redirect_uri_must_be_the_same_at_the_exchange(quick_visitor: Visitor) -> None:
    redirect = await quick_visitor.get(quick_visitor.authorize_path())
    code = redirect_parameters(redirect)["code"]
    answer = await quick_visitor.exchange(code, redirect_uri="http://127.0.0.1:9/callback")
    assert answer.json()["error"] == "invalid_grant"


@pytest.mark.parametrize(
    "uri",
    [
        "https://evil.example/callback",
        "http://127.0.0.1.evil.example/callback",
        "http://127.0.0.1:80@evil.example/",
        "http://127.0.0.1:8765/#fragment",
        'http://127.0.0.1:1/"><script>',
        "javascript:alert(1)",
    ],
)
async def test_a_foreign_redirect_uri_gets_a_page_and_no_redirect(
    quick_visitor: Visitor, uri: str
) -> None:
    good = await quick_visitor.get(quick_visitor.authorize_path(redirect_uri="http://[::1]:7/cb"))
    assert good.headers["location"].startswith("http://[::1]:7/cb?")
    answer = await quick_visitor.get(quick_visitor.authorize_path(redirect_uri=uri))
    assert answer.status_code == 400
    assert "location" not in answer.headers
    assert "<script>" not in answer.text


async def test_unknown_client_and_unknown_scope(quick_visitor: Visitor) -> None:
    page = await quick_visitor.get(quick_visitor.authorize_path(client_id="nobody"))
    assert page.status_code == 400
    redirect = await quick_visitor.get(quick_visitor.authorize_path(scope="read:everything"))
    assert redirect_parameters(redirect)["error"] == "invalid_scope"


async def test_refresh_token_only_with_offline_access(quick_visitor: Visitor) -> None:
    answer = await quick_visitor.quick_tokens(scope="read:me")
    assert answer.json()["scope"] == "read:me"
    assert "refresh_token" not in answer.json()


async def test_refresh_rotates(quick_visitor: Visitor, quick: SandboxHandle) -> None:
    first = (await quick_visitor.quick_tokens()).json()
    second = await quick_visitor.refresh(first["refresh_token"], resource="https://x.example/")
    assert second.status_code == 200
    assert second.json()["refresh_token"] != first["refresh_token"]
    assert second.json()["access_token"] != first["access_token"]
    assert not await quick.token_active(first["refresh_token"])
    assert await quick.token_active(second.json()["refresh_token"])
    assert (await quick.stats())["grants"] == {"authorization_code": 1, "refresh_token": 1}


async def test_reuse_of_a_refresh_token_kills_the_family(
    quick_visitor: Visitor, quick: SandboxHandle
) -> None:
    first = (await quick_visitor.quick_tokens()).json()
    second = (await quick_visitor.refresh(first["refresh_token"])).json()
    reuse = await quick_visitor.refresh(first["refresh_token"])
    assert (reuse.status_code, reuse.json()["error"]) == (400, "invalid_grant")
    for token in (second["refresh_token"], second["access_token"], first["access_token"]):
        assert not await quick.token_active(token)
    assert (await quick_visitor.refresh(second["refresh_token"])).status_code == 400
    assert (await quick.stats())["refresh_reuse"] == 1


async def test_eight_refreshes_at_once_have_one_winner(
    quick_visitor: Visitor, quick: SandboxHandle
) -> None:
    first = (await quick_visitor.quick_tokens()).json()
    statuses: list[int] = []

    async def refresh() -> None:
        statuses.append((await quick_visitor.refresh(first["refresh_token"])).status_code)

    async with anyio.create_task_group() as group:
        for _ in range(8):
            group.start_soon(refresh)
    assert sorted(statuses) == [200, *[400] * 7]
    assert (await quick.stats())["grants"]["refresh_token"] == 1


async def test_leeway_lets_a_retry_through(tmp_path: Path) -> None:
    async with (
        running_sandbox(tmp_path, auto_approve=True, leeway=300) as running,
        Visitor(running.url) as visitor,
    ):
        first = (await visitor.quick_tokens()).json()
        one = (await visitor.refresh(first["refresh_token"])).json()
        two = await visitor.refresh(first["refresh_token"])
        assert two.status_code == 200
        assert await running.token_active(one["refresh_token"])
        assert (await running.stats())["refresh_reuse"] == 0


async def test_refresh_may_narrow_but_not_widen_the_scope(quick_visitor: Visitor) -> None:
    first = (await quick_visitor.quick_tokens(scope="offline_access read:me")).json()
    wide = await quick_visitor.refresh(first["refresh_token"], scope="read:me read:jira-work")
    assert wide.json()["error"] == "invalid_scope"
    narrow = await quick_visitor.refresh(first["refresh_token"], scope="offline_access read:me")
    assert narrow.json()["scope"] == "offline_access read:me"


async def test_an_access_token_is_no_refresh_token(quick_visitor: Visitor) -> None:
    first = (await quick_visitor.quick_tokens()).json()
    answer = await quick_visitor.refresh(first["access_token"])
    assert answer.json()["error"] == "invalid_grant"
    assert (await quick_visitor.call("/me", first["refresh_token"])).status_code == 401


async def test_expiry_of_access_and_of_an_idle_refresh_token(
    quick_visitor: Visitor, quick: SandboxHandle
) -> None:
    first = (await quick_visitor.quick_tokens()).json()
    assert await quick.expire() == 1
    stale = await quick_visitor.call("/me", first["access_token"])
    assert (stale.status_code, stale.json()) == (401, {"code": 401, "message": "Unauthorized"})
    assert await quick.expire("refresh") == 1
    assert (await quick_visitor.refresh(first["refresh_token"])).status_code == 400


async def test_ttl_is_what_the_answer_says(tmp_path: Path) -> None:
    async with (
        running_sandbox(tmp_path, auto_approve=True, ttl=7) as running,
        Visitor(running.url) as visitor,
    ):
        assert (await visitor.quick_tokens()).json()["expires_in"] == 7


async def test_revoking_the_refresh_token_ends_everything(
    quick_visitor: Visitor, quick: SandboxHandle
) -> None:
    tokens = (await quick_visitor.quick_tokens()).json()
    form = {"client_id": "twg-sandbox", "token": tokens["refresh_token"]}
    answer = await quick_visitor.http.post("/oauth/revoke", data=form)
    assert answer.status_code == 200
    assert not await quick.token_active(tokens["refresh_token"])
    assert not await quick.token_active(tokens["access_token"])
    assert (await quick.stats())["revocations"] == 1
    again = await quick_visitor.http.post("/oauth/revoke", data=form | {"token": "unknown"})
    assert again.status_code == 200


async def test_revoking_the_access_token_leaves_the_refresh_token(
    quick_visitor: Visitor, quick: SandboxHandle
) -> None:
    tokens = (await quick_visitor.quick_tokens()).json()
    document = {"client_id": "twg-sandbox", "token": tokens["access_token"]}
    answer = await quick_visitor.http.post("/oauth/revoke", json=document)
    assert answer.status_code == 200
    assert not await quick.token_active(tokens["access_token"])
    assert await quick.token_active(tokens["refresh_token"])


async def test_another_client_can_neither_revoke_nor_refresh(
    quick_visitor: Visitor, quick: SandboxHandle
) -> None:
    tokens = (await quick_visitor.quick_tokens()).json()
    metadata = {"redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none"}
    metadata_all: dict[str, Any] = metadata | {
        "grant_types": ["authorization_code", "refresh_token"]
    }
    other = (await quick_visitor.http.post("/oidc/register", json=metadata_all)).json()
    form = {"client_id": other["client_id"], "token": tokens["refresh_token"]}
    revoked = await quick_visitor.http.post("/oauth/revoke", data=form)
    assert revoked.json()["error"] == "invalid_grant"
    quick_visitor.client_id = other["client_id"]
    assert (await quick_visitor.refresh(tokens["refresh_token"])).status_code == 400
    assert await quick.token_active(tokens["refresh_token"])


async def test_registration_of_a_public_client_matches_any_loopback_port(
    quick_visitor: Visitor,
) -> None:
    metadata = {
        "client_name": "Probe",
        "redirect_uris": ["http://127.0.0.1/callback"],
        "token_endpoint_auth_method": "none",
        "grant_types": ["authorization_code", "refresh_token"],
    }
    answer = await quick_visitor.http.post("/oidc/register", json=metadata)
    assert answer.status_code == 201
    assert "client_secret" not in answer.json()
    quick_visitor.client_id = answer.json()["client_id"]
    tokens = await quick_visitor.quick_tokens()
    assert tokens.json()["refresh_token"]
    elsewhere = quick_visitor.authorize_path(redirect_uri="http://127.0.0.1:99/other")
    assert (await quick_visitor.get(elsewhere)).status_code == 400


async def test_registration_of_a_confidential_client_needs_its_secret(
    quick_visitor: Visitor,
) -> None:
    metadata = {
        "redirect_uris": [CALLBACK],
        "token_endpoint_auth_method": "client_secret_post",
        "grant_types": ["authorization_code", "refresh_token"],
    }
    client = (await quick_visitor.http.post("/oidc/register", json=metadata)).json()
    quick_visitor.client_id = client["client_id"]
    redirect = await quick_visitor.get(quick_visitor.authorize_path())
    code = redirect_parameters(redirect)["code"]
    bare = await quick_visitor.exchange(code)
    assert bare.json()["error"] == "invalid_client"
    wrong = await quick_visitor.exchange(code, client_secret="wrong")
    assert wrong.json()["error"] == "invalid_client"
    right = await quick_visitor.exchange(code, client_secret=client["client_secret"])
    assert right.status_code == 200


@pytest.mark.parametrize(
    "metadata",
    [
        {"redirect_uris": ["http://evil.example/cb"]},
        {"redirect_uris": "http://127.0.0.1/cb"},
        {"redirect_uris": [7]},
        {"grant_types": ["authorization_code"]},
        {"redirect_uris": [CALLBACK], "grant_types": ["password"]},
        {"redirect_uris": [CALLBACK], "grant_types": 3},
        {"redirect_uris": [CALLBACK], "token_endpoint_auth_method": "tls"},
        {},
        [],
    ],
)
async def test_faulty_registrations_are_refused(quick_visitor: Visitor, metadata: object) -> None:
    answer = await quick_visitor.http.post("/oidc/register", json=metadata)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("invalid_")


async def test_metadata_documents(quick_visitor: Visitor, quick: SandboxHandle) -> None:
    documents = [
        (await quick_visitor.get(f"/.well-known/{name}")).json()
        for name in ("oauth-authorization-server", "openid-configuration")
    ]
    assert documents[0] == documents[1]
    assert documents[0]["issuer"] == quick.url
    assert documents[0]["code_challenge_methods_supported"] == ["S256"]
    assert documents[0]["authorization_response_iss_parameter_supported"] is True
    assert "offline_access" in documents[0]["scopes_supported"]
    assert documents[0]["sandbox"] is True


async def test_repeated_and_missing_parameters(quick_visitor: Visitor) -> None:
    answer = await quick_visitor.http.post(
        "/oauth/token", content="grant_type=a&grant_type=b", headers=_FORM
    )
    assert answer.json()["error"] == "invalid_request"
    answer = await quick_visitor.token(grant_type="password", username="a", password="b")
    assert answer.json()["error"] == "unsupported_grant_type"
    answer = await quick_visitor.http.post("/oauth/token", content=b"\xff", headers=_FORM)
    assert answer.json()["error"] == "invalid_request"
    long = await quick_visitor.http.post("/oauth/token", content=b"a" * 2_000_000, headers=_FORM)
    assert long.status_code == 400


async def test_login_hint_chooses_the_person_when_the_server_plays(quick_visitor: Visitor) -> None:
    tokens = (await quick_visitor.quick_tokens(login_hint="bob")).json()
    me = await quick_visitor.call("/me", tokens["access_token"])
    assert me.json()["nickname"] == "bob"


async def test_sign_in_survives_a_restart_of_the_server(tmp_path: Path) -> None:
    async with running_sandbox(tmp_path, auto_approve=True) as running:
        async with Visitor(running.url) as visitor:
            tokens = (await visitor.quick_tokens()).json()
        port = running.status.port
    async with running_sandbox(tmp_path, auto_approve=True) as running:
        assert running.status.port == port
        assert await running.token_active(tokens["access_token"])


async def test_no_secret_stands_in_the_sandboxes_own_files(
    quick_visitor: Visitor, quick: SandboxHandle
) -> None:
    first = (await quick_visitor.quick_tokens()).json()
    await quick_visitor.refresh(first["refresh_token"])
    issued = await quick.issued()
    assert len(issued) == 5
    files = [path for path in quick.state_dir.rglob("*") if path.is_file()]
    everything = b"".join(path.read_bytes() for path in files)
    assert b"twg-sandbox" in everything
    for value in issued:
        assert value.encode() not in everything
        assert value.encode().hex().encode() not in everything


_FORM = {"Content-Type": "application/x-www-form-urlencoded"}
