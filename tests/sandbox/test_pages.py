"""The pages: sign-in, consent, device and account pages, and what they refuse."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING

import pytest

from tests.sandbox.visiting import CALLBACK, hidden_fields, redirect_parameters

if TYPE_CHECKING:
    import httpx

    from tests.sandbox.running import SandboxHandle
    from tests.sandbox.visiting import Visitor

HARBOR = "11111111-5a4d-4b0c-8f00-00000000ab01"
ORCHARD = "22222222-5a4d-4b0c-8f00-00000000ab02"
TOKEN = re.compile(r'<code id="token">([^<]+)</code>')


async def test_consent_names_who_asks_what_and_where(visitor: Visitor) -> None:
    page = await visitor.sign_in(visitor.authorize_path())
    assert "twg</span> wants access" in page.text
    assert "Create and change Jira issues" in page.text
    assert f'name="site" value="{HARBOR}" checked' in page.text
    assert f'name="site" value="{ORCHARD}"' in page.text
    for selector in ('id="accept"', 'id="deny"'):
        assert selector in page.text


async def test_one_site_is_taken_by_itself(visitor: Visitor) -> None:
    page = await visitor.sign_in(visitor.authorize_path(), "bob")
    assert 'type="radio"' not in page.text
    tokens = await visitor.tokens("bob")
    sites = await visitor.call("/oauth/token/accessible-resources", tokens["access_token"])
    assert [site["id"] for site in sites.json()] == [HARBOR]


@pytest.mark.parametrize(
    ("site", "granted"),
    [(ORCHARD, [ORCHARD]), (HARBOR, [HARBOR]), ("all", [HARBOR, ORCHARD]), ("other", [HARBOR])],
)
async def test_the_chosen_site_is_the_one_granted(
    visitor: Visitor, site: str, granted: list[str]
) -> None:
    tokens = await visitor.tokens(site=site)
    sites = await visitor.call("/oauth/token/accessible-resources", tokens["access_token"])
    assert [one["id"] for one in sites.json()] == granted


async def test_deny_goes_back_with_access_denied(visitor: Visitor) -> None:
    parameters = await visitor.authorize(decision="deny")
    assert parameters["error"] == "access_denied"
    assert parameters["state"] == "state-1"
    assert parameters["iss"] == visitor.url
    assert "code" not in parameters


async def test_wrong_password_and_forged_forms(visitor: Visitor) -> None:
    login = await visitor.get("/login?then=/")
    wrong = await visitor.submit(login, "/login", username="alice", password="bobpass")
    assert wrong.status_code == 401
    assert 'id="error"' in wrong.text
    forged = {"username": "alice", "password": "alicepass", "form_token": "0" * 64, "then": "/"}
    assert (await visitor.http.post("/login", data=forged)).status_code == 400
    path = visitor.authorize_path()
    await visitor.sign_in(path)
    answer = await visitor.http.post(path, data={"decision": "accept"})
    assert answer.status_code == 400
    assert "location" not in answer.headers


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "/\\evil.example", "/sandbox/stop", ""]
)
async def test_sign_in_leads_to_own_pages_only(visitor: Visitor, target: str) -> None:
    login = await visitor.http.get("/login", params={"then": target})
    assert hidden_fields(login)["then"] == "/"
    fields = {"username": "alice", "password": "alicepass", "then": target}
    done = await visitor.submit(login, "/login", **fields)
    assert done.headers["location"] == "/"


async def test_pages_cannot_be_framed_scripted_or_cached(visitor: Visitor) -> None:
    page = await visitor.sign_in(visitor.authorize_path())
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "form-action 'self' http://127.0.0.1:8765" in policy
    assert page.headers["cache-control"] == "no-store"
    assert "<script" not in page.text
    cookie = (await visitor.get("/login")).headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie


async def test_every_page_says_that_it_is_a_sandbox(visitor: Visitor) -> None:
    await visitor.sign_in("/account/api-tokens")
    for path in ("/", "/login", "/oauth/activate", "/account/api-tokens", "/authorize"):
        page = await visitor.get(path)
        assert "<strong>SANDBOX</strong>" in page.text, path
        assert '<meta name="viewport"' in page.text
        assert page.headers["x-sandbox"] == "true"
        assert page.headers["server"] == "twg-sandbox"


async def test_a_clients_name_is_text_not_markup(visitor: Visitor) -> None:
    """H-C1: markup injected through registration."""
    metadata = {
        "client_name": "<img src=x onerror=alert(1)>",
        "redirect_uris": [CALLBACK],
        "token_endpoint_auth_method": "none",
    }
    client = (await visitor.http.post("/oidc/register", json=metadata)).json()
    path = visitor.authorize_path(client_id=client["client_id"], scope="read:me")
    page = await visitor.sign_in(path)
    assert "<img src=x" not in page.text
    assert "&lt;img src=x" in page.text


async def test_not_you_signs_out(visitor: Visitor) -> None:
    path = visitor.authorize_path()
    page = await visitor.sign_in(path)
    out = await visitor.submit(page, "/sign-out", then=path)
    assert out.headers["location"].startswith("/login?then=%2Fauthorize")
    assert (await visitor.get(path)).status_code == 303


async def _activate(visitor: Visitor, code: str, decision: str, name: str) -> httpx.Response:
    page = await visitor.get(f"/oauth/activate?user_code={code}")
    go = await visitor.submit(page, "/oauth/activate", user_code=code)
    assert go.status_code == 303, go.text
    consent = await visitor.sign_in(go.headers["location"], name)
    assert "It will be able to" in consent.text
    return await visitor.submit(consent, go.headers["location"], decision=decision)


async def test_device_flow(visitor: Visitor, plain: SandboxHandle) -> None:
    device = (await visitor.device()).json()
    assert device["verification_uri"] == f"{plain.url}/oauth/activate"
    code = device["user_code"]
    assert device["verification_uri_complete"].endswith(f"/oauth/activate?user_code={code}")
    assert re.fullmatch("[A-Z]{4}-[A-Z]{4}", code)
    assert (await visitor.poll(device["device_code"])).json()["error"] == "authorization_pending"
    done = await _activate(visitor, code, "accept", "bob")
    assert 'id="done"' in done.text
    answer = await visitor.poll(device["device_code"])
    assert answer.status_code == 200
    me = await visitor.call("/me", answer.json()["access_token"])
    assert me.json()["nickname"] == "bob"
    again = await visitor.poll(device["device_code"])
    assert again.json()["error"] == "invalid_grant"
    assert (await plain.stats())["grants"] == {"device_code": 1}


async def test_device_denied_and_codes_used_once(visitor: Visitor) -> None:
    """H-C5."""
    device = (await visitor.device()).json()
    denied = await _activate(visitor, device["user_code"], "deny", "alice")
    assert 'id="denied"' in denied.text
    assert (await visitor.poll(device["device_code"])).json()["error"] == "access_denied"
    page = await visitor.get("/oauth/activate")
    again = await visitor.submit(page, "/oauth/activate", user_code=device["user_code"])
    assert again.status_code == 400


async def test_hammering_is_slowed(visitor: Visitor) -> None:
    device = (await visitor.device()).json()
    errors = [(await visitor.poll(device["device_code"])).json()["error"] for _ in range(3)]
    assert errors[0] == "authorization_pending"
    assert "slow_down" in errors[1:]


@pytest.mark.parametrize("typed", ["{}", "{lower}", "{bare}", " {} "])
async def test_user_codes_may_be_typed_loosely(visitor: Visitor, typed: str) -> None:
    code = (await visitor.device()).json()["user_code"]
    text = typed.format(code, lower=code.lower(), bare=code.replace("-", ""))
    page = await visitor.get("/oauth/activate")
    go = await visitor.submit(page, "/oauth/activate", user_code=text)
    assert go.headers["location"] == f"/oauth/activate?user_code={code}&confirmed=yes"


async def test_device_grant_is_closed_to_clients_without_it(visitor: Visitor) -> None:
    metadata = {"redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none"}
    client = (await visitor.http.post("/oidc/register", json=metadata)).json()
    visitor.client_id = client["client_id"]
    answer = await visitor.device()
    assert answer.json() == {
        "error": "invalid_client",
        "error_description": "grant_type is not enabled for client",
    }


async def test_device_codes_are_approved_at_once_when_the_server_plays(
    quick_visitor: Visitor,
) -> None:
    device = (await quick_visitor.device()).json()
    assert (await quick_visitor.poll(device["device_code"])).status_code == 200


async def test_bitbucket_tokens_are_made_once_and_accepted(
    visitor: Visitor, plain: SandboxHandle
) -> None:
    page = await visitor.sign_in("/account/api-tokens")
    fields = {"label": "laptop", "scope": ["read:user:bitbucket"]}
    made = await visitor.submit(page, "/account/api-tokens", **fields)
    match = TOKEN.search(made.text)
    assert match
    token = match.group(1)
    assert re.fullmatch("ATATT3xFfGF0[A-Za-z0-9_-]{171}=[0-9A-F]{8}", token)
    assert await plain.issued("bitbucket") == [token]
    assert token not in (await visitor.get("/account/api-tokens")).text
    basic = base64.b64encode(f"alice@sandbox.example:{token}".encode()).decode()
    user = await visitor.get("/2.0/user", Authorization=f"Basic {basic}")
    assert user.json()["nickname"] == "alice"


async def test_admin_keys_are_made_by_administrators(visitor: Visitor) -> None:
    page = await visitor.sign_in("/admin/api-keys")
    made = await visitor.submit(page, "/admin/api-keys", label="laptop")
    match = TOKEN.search(made.text)
    assert match
    assert re.fullmatch("ATCTT3xFfGN0[A-Za-z0-9_-]{171}=[0-9A-F]{8}", match.group(1))
    orgs = await visitor.call("/admin/v1/orgs", match.group(1))
    assert orgs.json()["data"] == []


async def test_bob_has_neither_bitbucket_nor_admin_rights(visitor: Visitor) -> None:
    page = await visitor.sign_in("/account/api-tokens", "bob")
    assert page.status_code == 403
    assert (await visitor.get("/admin/api-keys")).status_code == 403


async def test_a_refused_request_shows_no_markup(visitor: Visitor) -> None:
    """H-C1: markup in the request of a client."""
    path = visitor.authorize_path(response_type='<script>alert("x")</script>')
    answer = await visitor.get(path)
    assert "<script>" not in answer.text
    redirected = "location" in answer.headers
    assert not redirected or "error" in redirect_parameters(answer)
