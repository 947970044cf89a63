"""The device grant: what may be shown, how it is polled, and what ends it (H-C5)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from tests.oauth.servers import document, page, reset, status
from twg.errors import GrantRefused, ProtocolError, SignInRefused, Unavailable
from twg.oauth.device import authorize, device_grant_refused, poll

if TYPE_CHECKING:
    from tests.oauth.servers import Reply, Server
    from twg.http import Http
    from twg.oauth.device import DeviceAuthorization
    from twg.oauth.token import Client, TokenResponse

GOOD = {
    "device_code": "device-code-value",
    "user_code": "ABCD-EFGH",
    "verification_uri": "https://auth.example.com/activate",
    "verification_uri_complete": "https://auth.example.com/activate?user_code=ABCD-EFGH",
    "expires_in": 600,
    "interval": 2,
}
TOKENS = document({"access_token": "the-access-token", "token_type": "bearer"})


def refused(error: str, code: int = 400, description: str = "") -> Reply:
    return document({"error": error, "error_description": description}, code)


PENDING = refused("authorization_pending")


@dataclass
class Time:
    """A clock that only sleeping moves."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    async def sleep(self, seconds: float) -> None:
        await anyio.lowlevel.checkpoint()
        self.slept.append(seconds)
        self.now += seconds

    def clock(self) -> float:
        return self.now


async def _authorized(
    http: Http, client: Client, server: Server, **fields: Any
) -> DeviceAuthorization:
    answer = {name: value for name, value in (GOOD | fields).items() if value != "absent"}
    server.on("/device", document(answer))
    return await authorize(http, client, f"{server.url}/device", ["a", "b"], {"audience": "api"})


async def _polled(
    http: Http, client: Client, server: Server, *replies: Reply, time: Time, **fields: Any
) -> TokenResponse:
    authorization = await _authorized(http, client, server, **fields)
    server.on("/token", *replies)
    return await poll(http, client, authorization, sleep=time.sleep, clock=time.clock)


async def test_a_code_is_asked_for(http: Http, client: Client, server: Server) -> None:
    found = await _authorized(http, client, server)
    assert server.received[0].form == {
        "client_id": "the-client",
        "scope": "a b",
        "audience": "api",
    }
    assert found.device_code.reveal("test") == "device-code-value"
    assert found.user_code == "ABCD-EFGH"
    assert found.verification_uri == GOOD["verification_uri"]
    assert found.verification_uri_complete == GOOD["verification_uri_complete"]
    assert (found.expires_in, found.interval) == (600, 2)
    assert "device-code-value" not in repr(found)


async def test_a_loopback_server_may_name_loopback(
    http: Http, client: Client, server: Server
) -> None:
    here = f"{server.url}/activate"
    found = await _authorized(
        http, client, server, verification_uri=here, verification_uri_complete="absent"
    )
    assert (found.verification_uri, found.verification_uri_complete) == (here, None)


@pytest.mark.parametrize("name", ["verification_uri", "verification_uri_complete"])
@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        "file:///etc/passwd",
        "http://auth.example.com/activate",
        "https://user@auth.example.com/",
        "https://auth.example.com/\x1b]0;title\x07",
        "https://auth.example.com/\r\nnext",
        "https://auth.example.com/a b",
        "https://auth.example.com/\u202eevil",
        "https://\u0430uth.example.com/",
        "https:///nowhere",
        "vscode://extension/run",
        "--help",
        "https://auth.example.com/" + "a" * 3000,
        "",
        7,
    ],
)
async def test_h_c5_an_address_that_must_not_be_opened(
    http: Http, client: Client, server: Server, name: str, address: Any
) -> None:
    """H-C5: not http(s), or with control characters in it."""
    with pytest.raises(ProtocolError) as caught:
        await _authorized(http, client, server, **{name: address})
    assert all(character.isprintable() for character in str(caught.value))


@pytest.mark.parametrize(
    "fields",
    [
        {"device_code": "absent"},
        {"device_code": ""},
        {"device_code": "a b"},
        {"user_code": "absent"},
        {"user_code": ""},
        {"user_code": "ABCD\x1b[2J"},
        {"user_code": "ABCD\nEFGH"},
        {"user_code": "ABCD\u202eEFGH"},
        {"user_code": " ABCD"},
        {"user_code": "A" * 65},
        {"user_code": 12345678},
        {"verification_uri": "absent"},
        {"expires_in": 0},
        {"expires_in": -5},
    ],
)
async def test_h_c5_a_code_that_cannot_be_used(
    http: Http, client: Client, server: Server, fields: dict[str, Any]
) -> None:
    with pytest.raises(ProtocolError):
        await _authorized(http, client, server, **fields)


@pytest.mark.parametrize("code", ["12345678", "ABCD EFGH", "A", "wdjb-mjht"])
async def test_user_codes_as_they_come(
    http: Http, client: Client, server: Server, code: str
) -> None:
    assert (await _authorized(http, client, server, user_code=code)).user_code == code


@pytest.mark.parametrize(
    ("given", "expected"),
    [("absent", 5), (0, 5), (-1, 5), ("3", 3), (True, 5), (None, 5), (0.1, 1), (1e18, 60)],
)
async def test_h_c5_interval(
    http: Http, client: Client, server: Server, given: Any, expected: float
) -> None:
    assert (await _authorized(http, client, server, interval=given)).interval == expected


@pytest.mark.parametrize(
    ("given", "expected"), [("absent", 600), ("900", 900), (1e18, 3600), ("soon", 600)]
)
async def test_h_c5_the_codes_lifetime(
    http: Http, client: Client, server: Server, given: Any, expected: float
) -> None:
    assert (await _authorized(http, client, server, expires_in=given)).expires_in == expected


async def test_polling_until_it_is_approved(http: Http, client: Client, server: Server) -> None:
    time = Time()
    found = await _polled(http, client, server, PENDING, PENDING, TOKENS, time=time)
    assert found.access.reveal("test") == "the-access-token"
    assert time.slept == [2, 2, 2]
    assert server.to("/token")[0].form == {
        "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
        "device_code": "device-code-value",
        "client_id": "the-client",
    }


async def test_h_c5_no_interval_is_five_seconds(http: Http, client: Client, server: Server) -> None:
    time = Time()
    await _polled(http, client, server, PENDING, TOKENS, time=time, interval="absent")
    assert time.slept == [5, 5]


async def test_h_c5_slow_down_adds_five_seconds_for_good(
    http: Http, client: Client, server: Server
) -> None:
    time = Time()
    slow = refused("slow_down")
    await _polled(http, client, server, slow, PENDING, slow, PENDING, TOKENS, time=time)
    assert time.slept == [2, 7, 7, 12, 12]


async def test_h_c5_a_server_in_trouble_is_asked_again(
    http: Http, client: Client, server: Server
) -> None:
    """H-C5, H-C4: 5xx, HTML, a reset: the person's approval is not lost for them."""
    time = Time()
    trouble = [page(502), status(503), reset(), page()]
    found = await _polled(http, client, server, *trouble, TOKENS, time=time)
    assert found.access.reveal("test") == "the-access-token"
    assert time.slept == [2, 2, 2, 2, 2]


async def test_h_c4_too_many_requests(http: Http, client: Client, server: Server) -> None:
    """H-C4: 429 slows down for good; its Retry-After counts for the next poll alone."""
    time = Time()
    busy = status(429, retry_after="30")
    await _polled(http, client, server, busy, PENDING, TOKENS, time=time)
    assert time.slept == [2, 30, 7]


async def test_h_c5_the_code_expires(http: Http, client: Client, server: Server) -> None:
    time = Time()
    with pytest.raises(SignInRefused, match="expired"):
        await _polled(http, client, server, PENDING, time=time, expires_in=9)
    assert time.now == 1009
    assert len(server.to("/token")) == 4


async def test_h_c5_a_retry_after_beyond_the_end_ends(
    http: Http, client: Client, server: Server
) -> None:
    time = Time()
    busy = status(503, retry_after="86400")
    with pytest.raises(SignInRefused, match="expired"):
        await _polled(http, client, server, busy, TOKENS, time=time)
    assert time.now == 1600
    assert len(server.to("/token")) == 1


@pytest.mark.parametrize(
    ("error", "words"),
    [("access_denied", "declined"), ("expired_token", "expired")],
)
@pytest.mark.parametrize("code", [400, 403])
async def test_h_c5_the_person_declines(
    http: Http, client: Client, server: Server, error: str, words: str, code: int
) -> None:
    with pytest.raises(SignInRefused, match=words):
        await _polled(http, client, server, PENDING, refused(error, code), time=Time())


@pytest.mark.parametrize("error", ["invalid_grant", "invalid_client", ""])
async def test_h_c5_a_code_used_twice_or_a_strange_error(
    http: Http, client: Client, server: Server, error: str
) -> None:
    with pytest.raises(GrantRefused) as caught:
        await _polled(http, client, server, refused(error), time=Time())
    assert caught.value.error == error


async def test_a_sound_refusal_is_not_polled_through(
    http: Http, client: Client, server: Server
) -> None:
    with pytest.raises(ProtocolError):
        await _polled(http, client, server, document({"token_type": "bearer"}), time=Time())
    assert len(server.to("/token")) == 1


async def test_polling_can_be_cancelled(client: Client, server: Server, http: Http) -> None:
    authorization = replace(
        await _authorized(http, client, server), interval=3600.0, expires_in=1e6
    )
    with anyio.move_on_after(0.05) as scope:
        await poll(http, client, authorization)
    assert scope.cancelled_caught
    assert not server.to("/token")


@pytest.mark.parametrize(
    ("error", "description", "expected"),
    [
        ("unauthorized_client", "", True),
        ("unsupported_grant_type", "", True),
        ("invalid_client", "grant_type is not enabled for client", True),
        ("invalid_client", "Grant type not allowed for the client.", True),
        (
            "invalid_request",
            "urn:ietf:params:oauth:grant-type:device_code is not allowed for this client",
            True,
        ),
        ("invalid_client", "unknown client", False),
        ("invalid_request", "scope is missing", False),
        ("invalid_scope", "grant_type is not enabled", False),
        ("access_denied", "", False),
        ("", "", False),
    ],
)
def test_the_device_grant_is_refused(error: str, description: str, *, expected: bool) -> None:
    assert device_grant_refused(GrantRefused(error, description, 400, "a.example")) is expected


async def test_a_refusal_of_the_grant_comes_out_of_authorize(
    http: Http, client: Client, server: Server
) -> None:
    server.on("/device", refused("invalid_client", 400, "grant_type is not enabled for client"))
    with pytest.raises(GrantRefused) as caught:
        await authorize(http, client, f"{server.url}/device", [])
    assert device_grant_refused(caught.value)


async def test_trouble_at_the_device_endpoint(http: Http, client: Client, server: Server) -> None:
    server.on("/device", status(503))
    with pytest.raises(Unavailable):
        await authorize(http, client, f"{server.url}/device", [])
