"""Every fault of the table does what its line says (H-C1 to H-C5); none is without a test."""

from __future__ import annotations

import asyncio
import json
import zlib
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.sandbox.running import threaded_sandbox
from tests.sandbox.visiting import Visitor, redirect_parameters
from twg import sandbox
from twg.sandbox.faults import FAULTS, Faults, Place

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    Check = Callable[["Scene"], Awaitable[None]]

DISCOVERY = "/.well-known/oauth-authorization-server"


class Scene:
    """A visitor of a sandbox that has one fault."""

    def __init__(self, visitor: Visitor, fault: str) -> None:
        self.visitor = visitor
        self.fault = fault

    async def redirect(self, **changes: str) -> dict[str, str]:
        answer = await self.visitor.get(self.visitor.authorize_path(**changes))
        return redirect_parameters(answer)

    async def tokens(self) -> httpx.Response:
        return await self.visitor.quick_tokens()

    async def refreshed(self) -> httpx.Response:
        first = (await self.tokens()).json()
        return await self.visitor.refresh(first["refresh_token"])

    async def metadata(self) -> httpx.Response:
        return await self.visitor.get(DISCOVERY)

    async def polled(self) -> httpx.Response:
        device = (await self.visitor.device()).json()
        return await self.visitor.poll(device["device_code"])

    async def me(self) -> httpx.Response:
        token = (await self.tokens()).json()["access_token"]
        return await self.visitor.call("/me", token)


CHECKS: dict[str, Check] = {}


def shows(*names: str) -> Callable[[Check], Check]:
    def register(check: Check) -> Check:
        for name in names:
            assert name not in CHECKS
            CHECKS[name] = check
        return check

    return register


@shows("wrong-state")
async def _wrong_state(scene: Scene) -> None:
    assert (await scene.redirect())["state"] != "state-1"


@shows("missing-state")
async def _missing_state(scene: Scene) -> None:
    assert "state" not in await scene.redirect()


@shows("replayed-state")
async def _replayed_state(scene: Scene) -> None:
    assert (await scene.redirect(state="first"))["state"] == "first"
    assert (await scene.redirect(state="second"))["state"] == "first"


@shows("wrong-iss")
async def _wrong_iss(scene: Scene) -> None:
    assert (await scene.redirect())["iss"] == "https://elsewhere.sandbox.example"


@shows("missing-iss")
async def _missing_iss(scene: Scene) -> None:
    assert "iss" not in await scene.redirect()


@shows("foreign-code")
async def _foreign_code(scene: Scene) -> None:
    code = (await scene.redirect())["code"]
    answer = await scene.visitor.exchange(code)
    assert answer.json()["error"] == "invalid_grant"


@shows("error-markup")
async def _error_markup(scene: Scene) -> None:
    parameters = await scene.redirect()
    assert "<script>" in parameters["error_description"]
    assert "code" not in parameters


@shows("consent-denied")
async def _consent_denied(scene: Scene) -> None:
    parameters = await scene.redirect()
    assert parameters["error"] == "access_denied"
    assert "code" not in parameters


@shows("app-blocked")
async def _app_blocked(scene: Scene) -> None:
    answer = await scene.visitor.get(scene.visitor.authorize_path())
    assert (answer.status_code, "location" in answer.headers) == (403, False)
    assert "Your site admin must authorize this app" in answer.text


async def _calls_ahead(scene: Scene) -> tuple[str, dict[str, str]]:
    """Return request line and headers of what reaches the callback before the browser does."""
    received: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        callback = f"http://127.0.0.1:{port}/callback"
        parameters = await scene.redirect(redirect_uri=callback)
    assert parameters["state"] == "state-1"
    assert len(received) == 1
    first, *rest = received[0].decode().strip().split("\r\n")
    assert f"code={parameters['code']}" in first
    return first, dict(line.lower().split(": ", 1) for line in rest)


@shows("replay-callback")
async def _replay_callback(scene: Scene) -> None:
    assert (await _calls_ahead(scene))[0].startswith("GET /callback?")


@shows("prefetch-callback")
async def _prefetch_callback(scene: Scene) -> None:
    assert (await _calls_ahead(scene))[0].startswith("HEAD /callback?")


@shows("foreign-host-callback")
async def _foreign_host_callback(scene: Scene) -> None:
    assert (await _calls_ahead(scene))[1]["host"] == "elsewhere.sandbox.example"


@shows("foreign-origin-callback")
async def _foreign_origin_callback(scene: Scene) -> None:
    assert (await _calls_ahead(scene))[1]["origin"] == "https://elsewhere.sandbox.example"


@shows("discovery-issuer")
async def _discovery_issuer(scene: Scene) -> None:
    assert (await scene.metadata()).json()["issuer"] == "https://elsewhere.sandbox.example"


@shows("discovery-http-endpoint")
async def _discovery_http(scene: Scene) -> None:
    endpoint = (await scene.metadata()).json()["token_endpoint"]
    assert endpoint == "http://elsewhere.sandbox.example/oauth/token"


@shows("discovery-foreign-endpoint")
async def _discovery_foreign(scene: Scene) -> None:
    endpoint = (await scene.metadata()).json()["token_endpoint"]
    assert endpoint == "https://elsewhere.sandbox.example/oauth/token"


@shows("pkce-plain-only")
async def _plain_only(scene: Scene) -> None:
    document = (await scene.metadata()).json()
    assert document["code_challenge_methods_supported"] == ["plain"]


@shows("discovery-redirect")
async def _discovery_redirect(scene: Scene) -> None:
    answer = await scene.metadata()
    assert answer.status_code == 307
    assert answer.headers["location"].startswith(scene.visitor.url + "/sandbox/landed/")


@shows("openid-only")
async def _openid_only(scene: Scene) -> None:
    assert (await scene.metadata()).status_code == 404
    assert (await scene.visitor.get("/.well-known/openid-configuration")).status_code == 200


@shows("token-redirect", "redirect")
async def _redirect(scene: Scene) -> None:
    answer = await scene.tokens()
    assert answer.status_code == 307
    landed = await scene.visitor.http.post(answer.headers["location"])
    assert landed.json() == {"sandbox": True, "landed": True}


@shows("huge-document")
async def _huge_document(scene: Scene) -> None:
    answer = await scene.metadata()
    assert len(answer.content) > 10_000_000
    assert isinstance(answer.json(), dict)


@shows("huge-headers")
async def _huge_headers(scene: Scene) -> None:
    # The client's own bound on headers is what stops it.
    with pytest.raises(httpx.RemoteProtocolError, match="Receive buffer too long"):
        await scene.tokens()


@shows("endless-body")
async def _endless(scene: Scene) -> None:
    size = 0
    async with scene.visitor.http.stream("POST", "/oauth/token") as answer:
        async for chunk in answer.aiter_raw():
            size += len(chunk)
            if size > 20_000_000:
                break
    assert size > 20_000_000
    assert (await scene.metadata()).status_code == 200


@shows("gzip-bomb")
async def _gzip_bomb(scene: Scene) -> None:
    async with scene.visitor.http.stream("POST", "/oauth/token") as answer:
        packed = b"".join([chunk async for chunk in answer.aiter_raw()])
    assert answer.headers["content-encoding"] == "gzip"
    assert len(packed) < 2_000_000
    assert len(zlib.decompress(packed, 31)) == 128 * 1024 * 1024


@shows("html-200")
async def _html(scene: Scene) -> None:
    answer = await scene.tokens()
    assert (answer.status_code, answer.headers["content-type"][:9]) == (200, "text/html")


@shows("wrong-content-type")
async def _wrong_content_type(scene: Scene) -> None:
    answer = await scene.tokens()
    assert answer.headers["content-type"] == "image/png"
    assert "access_token" in answer.json()


@shows("bad-json")
async def _bad_json(scene: Scene) -> None:
    answer = await scene.tokens()
    assert answer.text.startswith('{"')
    with pytest.raises(ValueError, match="line 1"):
        answer.json()


@shows("json-depth")
async def _json_depth(scene: Scene) -> None:
    assert (await scene.tokens()).text.count("{") == 10_000


@shows("duplicate-keys")
async def _duplicate_keys(scene: Scene) -> None:
    pairs = json.loads((await scene.tokens()).text, object_pairs_hook=list)
    assert [value for name, value in pairs if name == "token_type"] == ["duplicate", "Bearer"]


@shows("error-500", "error-502-html", "error-503", "empty-error")
async def _errors(scene: Scene) -> None:
    answer = await scene.tokens()
    kind = answer.headers.get("content-type", "")
    seen = (answer.status_code, bool(answer.content), kind.partition(";")[0])
    assert (
        seen
        == {
            "error-500": (500, True, "application/json"),
            "error-502-html": (502, True, "text/html"),
            "error-503": (503, False, ""),
            "empty-error": (400, False, ""),
        }[scene.fault]
    )


@shows("rate-limit-seconds")
async def _rate_limit_seconds(scene: Scene) -> None:
    answer = await scene.tokens()
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")


@shows("rate-limit-date")
async def _rate_limit_date(scene: Scene) -> None:
    answer = await scene.tokens()
    assert answer.status_code == 429
    assert answer.headers["retry-after"].endswith(" GMT")


@shows("reset")
async def _reset(scene: Scene) -> None:
    with pytest.raises(httpx.ReadError):
        await scene.tokens()
    grants = (await scene.visitor.get("/sandbox/stats")).json()["grants"]
    assert grants == {}


@shows("lost-answer")
async def _lost_answer(scene: Scene) -> None:
    with pytest.raises(httpx.ReadError):
        await scene.tokens()
    grants = (await scene.visitor.get("/sandbox/stats")).json()["grants"]
    assert grants == {"authorization_code": 1}


@shows("timeout")
async def _timeout(scene: Scene) -> None:
    scene.visitor.http.timeout = httpx.Timeout(5, read=0.3)
    with pytest.raises(httpx.ReadTimeout):
        await scene.tokens()


def _answer_with(name: str, expected: Any) -> Check:
    async def check(scene: Scene) -> None:
        assert (await scene.tokens()).json().get(name) == expected

    return check


for _fault, _member, _expected in (
    ("expires-string", "expires_in", "3600"),
    ("expires-negative", "expires_in", -3600),
    ("expires-zero", "expires_in", 0),
    ("expires-huge", "expires_in", 1e18),
    ("expires-missing", "expires_in", None),
    ("scope-changed", "scope", "read:me manage:everything"),
    ("token-type-mac", "token_type", "mac"),
    ("token-type-lower", "token_type", "bearer"),
    ("empty-token", "access_token", ""),
    ("no-refresh-token", "refresh_token", None),
):
    shows(_fault)(_answer_with(_member, _expected))


@shows("expires-nan")
async def _expires_nan(scene: Scene) -> None:
    assert '"expires_in": NaN' in (await scene.tokens()).text


@shows("control-chars-token")
async def _control_chars(scene: Scene) -> None:
    assert not (await scene.tokens()).json()["access_token"].isprintable()


@shows("refresh-no-refresh-token")
async def _refresh_without(scene: Scene) -> None:
    first = (await scene.tokens()).json()["refresh_token"]
    for _ in range(2):
        answer = await scene.visitor.refresh(first)
        assert answer.status_code == 200
        assert "refresh_token" not in answer.json()


@shows("refresh-same-token")
async def _refresh_same(scene: Scene) -> None:
    first = (await scene.tokens()).json()["refresh_token"]
    for _ in range(2):
        assert (await scene.visitor.refresh(first)).json()["refresh_token"] == first


@shows("invalid-grant-400", "invalid-grant-401", "invalid-grant-403", "access-denied-secret")
async def _refresh_errors(scene: Scene) -> None:
    answer = await scene.refreshed()
    assert (answer.status_code, answer.json()["error"]) == {
        "invalid-grant-400": (400, "invalid_grant"),
        "invalid-grant-401": (401, "invalid_grant"),
        "invalid-grant-403": (403, "invalid_grant"),
        "access-denied-secret": (401, "access_denied"),
    }[scene.fault]


@shows("no-device")
async def _no_device(scene: Scene) -> None:
    answer = await scene.visitor.device()
    assert answer.json()["error_description"] == "grant_type is not enabled for client"


@shows("device-no-interval")
async def _no_interval(scene: Scene) -> None:
    assert "interval" not in (await scene.visitor.device()).json()


@shows("device-bad-uri")
async def _bad_uri(scene: Scene) -> None:
    document = (await scene.visitor.device()).json()
    assert document["verification_uri"].startswith("file:")
    assert document["verification_uri_complete"].startswith("javascript:")


@shows("device-control-chars")
async def _device_control(scene: Scene) -> None:
    document = (await scene.visitor.device()).json()
    for name in ("user_code", "verification_uri", "verification_uri_complete"):
        assert "\x1b" in document[name]


@shows("device-short-life")
async def _short_life(scene: Scene) -> None:
    assert (await scene.visitor.device()).json()["expires_in"] == 1


@shows("device-slow-down")
async def _slow_down(scene: Scene) -> None:
    device = (await scene.visitor.device()).json()["device_code"]
    assert (await scene.visitor.poll(device)).json()["error"] == "slow_down"
    assert (await scene.visitor.poll(device)).status_code == 200


@shows("device-expired")
async def _expired(scene: Scene) -> None:
    assert (await scene.polled()).json()["error"] == "expired_token"


@shows("device-denied")
async def _denied(scene: Scene) -> None:
    assert (await scene.polled()).json()["error"] == "access_denied"


@shows("revoke-refused")
async def _revoke_refused(scene: Scene) -> None:
    token = (await scene.tokens()).json()["refresh_token"]
    form = {"client_id": "twg-sandbox", "token": token}
    answer = await scene.visitor.http.post("/oauth/revoke", data=form)
    assert (answer.status_code, answer.json()["error"]) == (400, "unauthorized_client")
    assert (await scene.visitor.refresh(token)).status_code == 200


@shows("register-200", "no-registration")
async def _registration(scene: Scene) -> None:
    document = {"redirect_uris": ["http://127.0.0.1/"]}
    answer = await scene.visitor.http.post("/oidc/register", json=document)
    expected = {"register-200": (200, True), "no-registration": (403, False)}
    assert (answer.status_code, "client_id" in answer.json()) == expected[scene.fault]


@shows("echo-token")
async def _echo(scene: Scene) -> None:
    token = (await scene.tokens()).json()["access_token"]
    answer = await scene.visitor.call("/me", token)
    assert answer.json()["token"] == token
    assert answer.headers["x-echo"] == f"Bearer {token}"
    assert answer.json()["answer"]["nickname"] == "alice"


@shows("resource-401")
async def _resource_401(scene: Scene) -> None:
    answer = await scene.me()
    assert (answer.status_code, answer.json()) == (401, {"code": 401, "message": "Unauthorized"})


@shows("no-sites", "sites-no-list")
async def _sites(scene: Scene) -> None:
    token = (await scene.tokens()).json()["access_token"]
    answer = await scene.visitor.call("/oauth/token/accessible-resources", token)
    expected = {"no-sites": [], "sites-no-list": {"code": 401, "message": "Unauthorized"}}
    assert (answer.status_code, answer.json()) == (200, expected[scene.fault])


def test_no_fault_is_without_a_test() -> None:
    assert set(CHECKS) == set(FAULTS)


@pytest.mark.parametrize("name", sorted(FAULTS))
async def test_fault(name: str, tmp_path: Path) -> None:
    async with (
        threaded_sandbox(tmp_path, auto_approve=True, faults=(name,)) as running,
        Visitor(running.url) as visitor,
    ):
        await CHECKS[name](Scene(visitor, name))


async def test_faults_come_and_go_while_it_runs(tmp_path: Path) -> None:
    async with (
        threaded_sandbox(tmp_path, auto_approve=True, faults=("resource-401",)) as running,
        Visitor(running.url) as visitor,
    ):
        scene = Scene(visitor, "several")
        assert (await scene.me()).status_code == 401
        await running.misbehave("error-503@resource", "no-sites")
        assert (await scene.me()).status_code == 503
        with pytest.raises(httpx.HTTPStatusError, match="400"):
            await running.misbehave("no-such-fault")
        assert (await scene.me()).status_code == 503, "what is asked for wrongly changes nothing"
        await running.misbehave()
        assert (await scene.me()).status_code == 200


async def test_faults_can_be_counted_and_moved(tmp_path: Path) -> None:
    words = [f"{name}:1" for name in ("error-500", "error-502-html", "error-503", "empty-error")]
    words += [f"invalid-grant-{status}:1" for status in (400, 401, 403)]
    words += ["access-denied-secret:1", "register-200:1", "no-registration:1"]
    words += ["error-503@resource:1", "bad-json@device:1"]
    async with (
        threaded_sandbox(tmp_path, auto_approve=True, faults=tuple(words)) as running,
        Visitor(running.url) as visitor,
    ):
        scene = Scene(visitor, "several")
        code = await scene.redirect()
        statuses = [(await visitor.exchange(code["code"])).status_code for _ in range(5)]
        assert sorted(statuses) == [200, 400, 500, 502, 503]
        first = (await scene.tokens()).json()
        refreshes = [await visitor.refresh(first["refresh_token"]) for _ in range(5)]
        assert sorted(one.status_code for one in refreshes) == [200, 400, 401, 401, 403]
        form = {"redirect_uris": ["http://127.0.0.1/"]}
        made = [await visitor.http.post("/oidc/register", json=form) for _ in range(3)]
        assert [one.status_code for one in made] == [403, 200, 201]
        assert (await visitor.call("/me", first["access_token"])).status_code == 503
        assert (await visitor.call("/me", first["access_token"])).status_code == 200
        with pytest.raises(ValueError, match="line 1"):
            (await visitor.device()).json()
        assert (await visitor.device()).status_code == 200


@pytest.mark.parametrize(
    "word",
    ["wrong", "reset:0", "reset:x", "reset:-1", "reset@moon", "wrong-state@token", "", ":1", "@"],
)
def test_unknown_faults_are_named_with_the_choice(word: str) -> None:
    with pytest.raises(sandbox.SandboxFaultUnknown) as caught:
        Faults([word])
    assert caught.value.remedy


def test_the_list_of_faults_is_for_people() -> None:
    faults = sandbox.faults()
    assert list(faults) == list(FAULTS)
    assert all(summary.endswith(".") for summary in faults.values())


def test_a_count_is_used_up() -> None:
    faults = Faults(["reset:2"])
    taken = [faults.take("reset", [Place.TOKEN]) for _ in range(3)]
    assert taken == [True, True, False]
    assert not Faults(["reset"]).take("reset", [Place.RESOURCE])
