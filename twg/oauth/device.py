"""Signing in on another device with a code (RFC 8628)."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import anyio

from twg.errors import GrantRefused, NetworkError, ProtocolError, SignInRefused, Unavailable
from twg.oauth.answers import checked_address, document_of, host_of, number_of
from twg.oauth.token import post, request_token, secret_in

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from guard.secret import Secret
    from twg.http import Http
    from twg.oauth.token import Client, TokenResponse

GRANT_TYPE: Final = "urn:ietf:params:oauth:grant-type:device_code"
DEFAULT_INTERVAL: Final = 5.0
SLOWER_BY: Final = 5.0
_INTERVALS: Final = (1.0, 60.0)
_DEFAULT_LIFETIME: Final = 600.0
_MAX_LIFETIME: Final = 3600.0
_TOO_MANY_REQUESTS: Final = 429
_USER_CODE: Final = re.compile(r"[!-~](?:[ -~]{0,62}[!-~])?")
_NOT_ENABLED: Final = re.compile(r"grant.{0,40}not (enabled|allowed|supported|permitted)")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceAuthorization:
    """A code that waits for a person's approval (RFC 8628 section 3.2).

    Attributes:
        device_code: What is polled with.
        user_code: What the person types; visible ASCII, inner spaces allowed.
        verification_uri: Where they type it; checked, may be opened.
        verification_uri_complete: The same with the code in it, if the server has that.
        expires_in: Seconds until both codes are dead, at most an hour.
        interval: Seconds between two polls.
    """

    device_code: Secret
    user_code: str
    verification_uri: str
    verification_uri_complete: str | None = field(repr=False)
    expires_in: float
    interval: float


async def authorize(
    http: Http,
    client: Client,
    endpoint: str,
    scopes: Sequence[str],
    extra: Mapping[str, str] | None = None,
) -> DeviceAuthorization:
    """Ask for a device code and a user code (RFC 8628 section 3.1).

    Args:
        http: What the request goes through.
        client: Who asks.
        endpoint: The device authorization endpoint.
        scopes: What is asked for.
        extra: Further parameters, such as ``audience`` or ``resource``.

    Raises:
        GrantRefused: The server refuses; see `device_grant_refused`.
        NetworkError: It cannot be reached, or (`Unavailable`) not now.
        ProtocolError: An answer that cannot be used, such as an address that is not https.
        ConfigError: The endpoint is not among the client's pinned origins.
    """
    parameters: dict[str, str | Secret] = dict(extra or {})
    if scopes:
        parameters["scope"] = " ".join(scopes)
    answer = await post(http, client, endpoint, parameters)
    document = document_of(answer)
    device_code = secret_in(document, "device_code", "device-code", client.custody, host_of(answer))
    if device_code is None:
        raise ProtocolError(f"{host_of(answer)} answered without a device_code")
    complete = document.get("verification_uri_complete")
    return DeviceAuthorization(
        device_code=device_code,
        user_code=_user_code(document, host_of(answer)),
        verification_uri=checked_address(
            document.get("verification_uri"), "verification address", endpoint
        ),
        verification_uri_complete=None
        if complete is None
        else checked_address(complete, "complete verification address", endpoint),
        expires_in=_lifetime(document, host_of(answer)),
        interval=_interval(document),
    )


async def poll(
    http: Http,
    client: Client,
    authorization: DeviceAuthorization,
    *,
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> TokenResponse:
    """Wait until the person has approved (RFC 8628 section 3.4 and 3.5); may be cancelled anywhere.

    Failures to reach the server are no end: only the person, the server or the code's lifetime,
    counted from now, ends it.

    Args:
        http: What the requests go through.
        client: Who asks.
        authorization: As `authorize` gave it.
        sleep: Waits between polls.
        clock: A monotonic clock in seconds.

    Raises:
        SignInRefused: The person declined, or the code expired or was used before.
        GrantRefused: Another OAuth error; see `device_grant_refused`.
        ProtocolError: An answer that cannot be used.
    """
    ends = clock() + authorization.expires_in
    parameters: dict[str, str | Secret] = {
        "grant_type": GRANT_TYPE,
        "device_code": authorization.device_code,
    }
    interval = pause = authorization.interval
    while clock() + pause < ends:
        await sleep(pause)
        pause = interval
        try:
            left = min(30.0, max(1.0, ends - clock()))
            return await request_token(http, client, parameters, deadline=left)
        except GrantRefused as error:
            interval = pause = _slower(error, interval)
        except NetworkError as error:
            interval, pause = _after_failure(error, interval)
    await sleep(max(0.0, ends - clock()))
    raise _expired()


def device_grant_refused(error: GrantRefused) -> bool:
    """Tell whether the server refuses this client the device grant, rather than this sign-in."""
    if error.error in {"unauthorized_client", "unsupported_grant_type"}:
        return True
    # Atlassian says the one, npm's oidc-provider the other.
    told_in_words = error.error in {"invalid_client", "invalid_request"}
    return told_in_words and _NOT_ENABLED.search(error.description.lower()) is not None


def _slower(error: GrantRefused, interval: float) -> float:
    """Return the interval to go on with; raise where there is no going on."""
    match error.error:
        case "authorization_pending":
            return interval
        case "slow_down":
            return interval + SLOWER_BY
        case "expired_token":
            raise _expired() from error
        case "access_denied":
            # Servers also say this of a code that has expired or was used.
            raise SignInRefused(
                f"{error.host} says that the sign-in was declined, "
                "or that its code had expired or was already used"
            ) from error
        case _:
            raise error


def _after_failure(error: NetworkError, interval: float) -> tuple[float, float]:
    """Return the interval from now on, and the pause before the next poll."""
    if not isinstance(error, Unavailable):
        return interval, interval
    if error.status == _TOO_MANY_REQUESTS:
        interval += SLOWER_BY
    return interval, max(interval, error.retry_after or 0.0)


def _expired() -> SignInRefused:
    return SignInRefused(
        "the code expired before anyone approved it", "Run `twg login` again for a new code."
    )


def _user_code(document: Mapping[str, Any], host: str) -> str:
    code = document.get("user_code")
    if not isinstance(code, str) or not _USER_CODE.fullmatch(code):
        raise ProtocolError(f"{host} sent a user code that cannot be shown")
    return code


def _lifetime(document: Mapping[str, Any], host: str) -> float:
    seconds = number_of(document.get("expires_in"))
    if seconds is None:
        return _DEFAULT_LIFETIME
    if seconds <= 0:
        raise ProtocolError(f"{host} sent a code that had expired before it came")
    return min(seconds, _MAX_LIFETIME)


def _interval(document: Mapping[str, Any]) -> float:
    seconds = number_of(document.get("interval"))
    if seconds is None or seconds <= 0:
        return DEFAULT_INTERVAL
    shortest, longest = _INTERVALS
    return min(max(seconds, shortest), longest)
