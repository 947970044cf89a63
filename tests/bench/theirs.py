"""What is measured of the peers, in their environment: ``tests.bench.theirs PEER JOB URL``.

Each is used as its documentation has it. None has a store that processes share, so their processes
begin with a copy of one token, as from a file.
"""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import json
import os
import sys
import time
import warnings
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

from tests.bench import meter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

AT_ONCE = 200
"""How many the clients without a bound of their own are given at once."""


def old_token(number: int = 0, *, fresh: bool = False) -> dict[str, Any]:
    """Return a token of the server's that is over, or not."""
    return {
        "access_token": f"access-{number}-made-up",
        "refresh_token": f"family-{number}.0",
        "token_type": "Bearer",
        "expires_in": 3600,
        "expires_at": time.time() + (3600 if fresh else -10),
    }


def bodies(count: int) -> list[dict[str, str]]:
    """Return the forms of so many renewals."""
    return [{"grant_type": "refresh_token", "refresh_token": f"family-{n}.0"} for n in range(count)]


async def timed(works: Sequence[Callable[[], Awaitable[object]]], at_once: int) -> None:
    """Run all, so many at once, and tell how long it took."""
    places = asyncio.Semaphore(at_once)

    async def one(work: Callable[[], Awaitable[object]]) -> None:
        async with places:
            await work()

    began = time.perf_counter()
    ends = await asyncio.gather(*map(one, works), return_exceptions=True)
    seconds = time.perf_counter() - began
    meter.tell(seconds=seconds, failing=sum(isinstance(end, BaseException) for end in ends))


async def streams_many(url: str, count: str, at_once: int) -> None:
    """The floor: bytes written and read by asyncio's streams, nothing checked or kept."""
    where = urlsplit(url)

    async def post(form: dict[str, str]) -> None:
        reader, writer = await asyncio.open_connection(where.hostname, where.port)
        body = urlencode(form).encode()
        head = f"POST /token HTTP/1.1\r\nHost: {where.netloc}\r\nContent-Length: {len(body)}\r\n"
        writer.write(head.encode() + b"\r\n" + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        length = answer.partition(b"Content-Length: ")[2].partition(b"\r\n")[0]
        await reader.readexactly(int(length))
        writer.close()

    await timed([partial(post, form) for form in bodies(int(count))], at_once)


async def httpx_many(url: str, count: str) -> None:
    """One client of httpx's and a gather, its pool as large as the others'."""
    httpx = import_module("httpx")

    limits = httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE)
    async with httpx.AsyncClient(limits=limits, timeout=120, trust_env=False) as client:
        works = [partial(client.post, f"{url}/token", data=form) for form in bodies(int(count))]
        await timed(works, int(count))


def _authlib(url: str, token: dict[str, Any], **named: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        library = import_module("authlib.integrations.httpx_client")
    return library.AsyncOAuth2Client(
        "bench",
        token_endpoint=f"{url}/token",
        token=token,
        token_endpoint_auth_method="none",
        trust_env=False,
        timeout=120,
        **named,
    )


async def authlib_many(url: str, count: str) -> None:
    """Authlib's asynchronous client, one for all, 200 at a time."""
    httpx = import_module("httpx")

    limits = httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE)
    async with _authlib(url, old_token(), limits=limits) as client:
        works = [
            partial(client.refresh_token, f"{url}/token", refresh_token=form["refresh_token"])
            for form in bodies(int(count))
        ]
        await timed(works, AT_ONCE)


def authlib_own(url: str) -> Callable[[], Awaitable[object]]:
    """Return a caller with an instance of its own."""
    token = old_token()

    async def call() -> None:
        async with _authlib(url, dict(token)) as client:
            await client.ensure_active_token(client.token)

    return call


def authlib_shared(url: str) -> Callable[[], Awaitable[object]]:
    """Return a caller of the one instance."""
    client = _authlib(url, old_token())
    return lambda: client.ensure_active_token(client.token)


def authlib_sync(url: str) -> Callable[[], object]:
    """Return a caller of one session for requests."""
    session = import_module("authlib.integrations.requests_client").OAuth2Session(
        "bench",
        token_endpoint=f"{url}/token",
        token=old_token(),
        token_endpoint_auth_method="none",
    )
    return lambda: session.ensure_active_token(session.token)


def google(url: str, *, fresh: bool = False) -> Callable[[], object]:
    """Return a caller of one google-auth credential."""
    transport = import_module("google.auth.transport.requests")
    hours = 1 if fresh else -1
    now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
    credentials = import_module("google.oauth2.credentials").Credentials(
        "access-0-made-up",
        refresh_token="family-0.0",
        token_uri=f"{url}/token",
        client_id="bench",
        client_secret="made-up",
        expiry=now + dt.timedelta(hours=hours),
    )

    def call() -> None:
        if not credentials.valid:
            credentials.refresh(transport.Request())

    return call


def requests_oauthlib(url: str) -> Callable[[], object]:
    """Return a caller of one session that refreshes by itself."""
    os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"
    token = old_token() | {"expires_in": -10}
    session: Any = import_module("requests_oauthlib").OAuth2Session(
        "bench",
        token=token,
        auto_refresh_url=f"{url}/token",
        auto_refresh_kwargs={"client_id": "bench"},
        token_updater=lambda token: setattr(session, "token", token),
    )
    return lambda: session.get(f"{url}/me").raise_for_status()


class _Redirected:
    """Takes msal, which will have https alone, to the benchmark's server."""

    def __init__(self, url: str) -> None:
        self._url = url

    def get(self, url: str, **_: Any) -> Any:
        """Answer discovery, which is all that is got."""
        requests = import_module("requests")

        host = f"https://{urlsplit(url).netloc}"
        answer = requests.get(f"{self._url}/discovery", timeout=120)
        answer._content = json.dumps(
            {
                "issuer": f"{host}/tenant/v2.0",
                "authorization_endpoint": f"{host}/authorize",
                "token_endpoint": f"{host}/token",
            }
        ).encode()
        return answer

    def post(self, _url: str, **named: Any) -> Any:
        """Post to the token endpoint."""
        requests = import_module("requests")

        return requests.post(f"{self._url}/token", timeout=120, **named)

    def close(self) -> None:
        """Nothing is kept."""


def msal(url: str) -> Callable[[], object]:
    """Return a caller of one application, with an account in its cache."""
    library = import_module("msal")
    cache = library.TokenCache()
    app = library.PublicClientApplication(
        "bench",
        authority="https://login.microsoftonline.com/tenant",
        instance_discovery=False,
        http_client=_Redirected(url),
        token_cache=cache,
    )
    who = base64.urlsafe_b64encode(json.dumps({"uid": "u", "utid": "t"}).encode()).decode()
    cache.add(
        {
            "client_id": "bench",
            "scope": ["read"],
            "token_endpoint": "https://login.microsoftonline.com/token",
            "environment": "login.microsoftonline.com",
            "response": {
                "access_token": "access-0-made-up",
                "refresh_token": "family-0.0",
                "expires_in": -10,
                "client_info": who.rstrip("="),
                "token_type": "Bearer",
            },
        }
    )
    (account,) = app.get_accounts()

    def call() -> None:
        found = app.acquire_token_silent_with_error(["read"], account)
        if not found or "access_token" not in found:
            raise RuntimeError(str(found))

    return call


SYNC: dict[str, Callable[[str], Callable[[], object]]] = {
    "authlib": authlib_sync,
    "google-auth": google,
    "msal": msal,
    "requests-oauthlib": requests_oauthlib,
}


async def tasks(peer: str, url: str) -> None:
    """Many tasks want one expired token."""
    works = {"authlib": authlib_shared, "authlib, one a task": authlib_own}
    failing = await meter.in_tasks(works[peer](url))
    meter.tell(failing=failing, requests=meter.ask(url, "/stats")["requests"])


def apart(peer: str, url: str, run: Callable[[Callable[[], object]], Any]) -> None:
    """Threads or processes want one expired token."""
    found = run(SYNC[peer](url))
    failing, done = found if isinstance(found, tuple) else (found, 0.0)
    stats = meter.ask(url, "/stats")
    meter.tell(
        failing=failing, requests=stats["requests"], after=max(0.0, done - stats["answered_at"])
    )


async def authlib_fresh(url: str) -> None:
    """Authlib's look at a token that is fresh."""
    async with _authlib(url, old_token(fresh=True)) as client:
        meter.tell(seconds=await meter.per_await(lambda: client.ensure_active_token(client.token)))


def main(peer: str, job: str, url: str, *rest: str) -> None:
    """Run one job of one peer."""
    match peer, job:
        case "streams", "many":
            asyncio.run(streams_many(url, rest[0], int(rest[1])))
        case "httpx", "many":
            asyncio.run(httpx_many(url, *rest))
        case "authlib", "many":
            asyncio.run(authlib_many(url, *rest))
        case "authlib", "fresh":
            asyncio.run(authlib_fresh(url))
        case "google-auth", "fresh":
            meter.tell(seconds=meter.per_call(google(url, fresh=True)))
        case _, "tasks":
            asyncio.run(tasks(peer, url))
        case _, "threads":
            apart(peer, url, meter.in_threads)
        case _:
            apart(peer, url, meter.in_processes)


if __name__ == "__main__":
    main(*sys.argv[1:])
