"""The one module that speaks HTTP: httpx stands behind it, and secrets meet the wire here.

It follows no redirect, reads no proxy or certificate variable of the environment, asks for no
compression, bounds every body and every wait, and sends a secret only to the origins it is given.
"""

from __future__ import annotations

import base64
import contextlib
import json
import math
import re
import socket
import ssl
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urlencode, urlsplit

import anyio
import httpx

from guard import logs
from guard.secret import Secret
from twg.errors import ConfigError, NetworkError, ProtocolError
from twg.transport import IDLE_SECONDS, Connections
from twg.trust import context_of

if TYPE_CHECKING:
    from collections.abc import (
        AsyncIterable,
        AsyncIterator,
        Awaitable,
        Callable,
        Iterator,
        Mapping,
    )
    from pathlib import Path
    from types import TracebackType

_LOG: Final = logs.get("twg.http")

MAX_BODY: Final = 1024 * 1024
MAX_JSON_DEPTH: Final = 64
_NESTING: Final = frozenset({dict, list})
_HEADERS: Final = {"Accept": "application/json", "Accept-Encoding": "identity"}
_NOT_IN_A_URL: Final = re.compile(r"[\x00-\x20\\]")
_DEFAULT_PORTS: Final = {"https": 443, "http": 80}
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


class BodyTooLarge(ProtocolError):
    """The answer is longer than anything honest, or compressed though that was not asked for."""


class BadBody(ValueError):
    """The answer's body is not the JSON it should be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """An answer, read to its end.

    Attributes:
        status: The HTTP status.
        headers: Names in lower case; of repeated headers the values joined by commas.
        body: The bytes as sent.
        url: What was asked for.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    url: str

    def json(self) -> Any:
        """Return the body as JSON, strictly.

        Raises:
            BadBody: Not UTF-8 JSON, a duplicate key, NaN or Infinity, or nested too deep.
        """
        return strict_json(self.body)

    def server_time(self) -> float | None:
        """Return the server's clock by its Date header, in Unix seconds, or None."""
        return _moment(self.headers.get("date", ""))

    def retry_after(self) -> float | None:
        """Return for how many seconds it asks to wait (RFC 9110 section 10.2.3), or None."""
        return _wait(self.headers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """An answer whose body is still to come.

    Attributes:
        status: The HTTP status.
        headers: Names in lower case; of repeated headers the values joined by commas.
        chunks: The body as it arrives, unbounded; to be read once, inside the exchange.
        url: What was asked for.
    """

    status: int
    headers: Mapping[str, str]
    chunks: AsyncIterator[bytes]
    url: str

    def retry_after(self) -> float | None:
        """Return for how many seconds it asks to wait (RFC 9110 section 10.2.3), or None."""
        return _wait(self.headers)

    async def whole(self, limit: int) -> Response:
        """Read the body to its end.

        Raises:
            BodyTooLarge: More than `limit` bytes.
        """
        body = bytearray()
        async for chunk in self.chunks:
            body += chunk
            if len(body) > limit:
                raise _too_large(urlsplit(self.url).netloc, limit)
        return Response(status=self.status, headers=self.headers, body=bytes(body), url=self.url)


def _moment(date: str) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def _wait(headers: Mapping[str, str]) -> float | None:
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    until = _moment(value)
    if until is None:
        return None
    # By the server's own clock where it tells it: ours may be wrong.
    now = _moment(headers.get("date", ""))
    return max(0.0, until - (time.time() if now is None else now))


def strict_json(body: bytes) -> Any:
    """Parse `body` as `Response.json` does."""
    try:
        value = json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_unique_keys,
            parse_constant=_no_constant,
            parse_float=_finite,
        )
    except RecursionError:
        raise BadBody("the JSON is nested too deep") from None
    except UnicodeDecodeError:
        raise BadBody("the body is not UTF-8") from None
    except ValueError as error:
        # A parser's message may quote the body; ours does not.
        reason = str(error) if isinstance(error, BadBody) else "the body is not JSON"
        raise BadBody(reason) from None
    _check_depth(value)
    return value


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BadBody("the JSON has a key twice")
    return found


def _no_constant(name: str) -> Any:
    raise BadBody(f"the JSON holds {name}")


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise BadBody("the JSON holds a number beyond all bounds")
    return value


def _check_depth(value: object) -> None:
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(MAX_JSON_DEPTH):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if type(inner) in _NESTING  # exact, and so quick: a parser makes no other types
        ]
        if not level:
            return
    raise BadBody("the JSON is nested too deep")


def is_loopback(host: str | None) -> bool:
    """Tell whether `host` is this machine's loopback interface, by name."""
    return host in _LOOPBACK


def origin(url: str) -> str:
    """Return scheme, host and port of `url`, such as ``https://auth.example.com:443``.

    Raises:
        ConfigError: It is not an absolute http(s) URL, has userinfo, or is plain http to a host
            other than loopback.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ConfigError(f"{url!r} is not a URL") from None
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise ConfigError(f"{url!r} is not an absolute http(s) URL")
    if parts.username is not None or parts.password is not None:
        raise ConfigError("a URL with a user name or password in it is not used")
    if _NOT_IN_A_URL.search(url):
        raise ConfigError("the URL holds a space, a backslash or a control character")
    if not parts.hostname.isascii():
        raise ConfigError(f"the host of {url!r} is not plain ASCII")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ConfigError(f"{url} is plain http; only https is used beyond this machine")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}:{_DEFAULT_PORTS[parts.scheme] if port is None else port}"


def bearer_header(url: str, bearer: Secret, pinned: frozenset[str] | None) -> str:
    """Return the Authorization header that carries `bearer` to `url`.

    Raises:
        ConfigError: A URL not to be used, or not of an origin among `pinned`.
    """
    return f"Bearer {_Revealing(origin(url), pinned).plain(bearer)}"


class Http:
    """An HTTP client for one event loop; use it as an async context manager.

    Args:
        ca_bundle: A private CA's certificates (PEM); None for the operating system's trust store.
        proxy: An http(s) proxy for https targets, reached by CONNECT; None for none.
        no_proxy: Host names, or suffixes that begin with a dot, that go past the proxy.
        user_agent: The User-Agent header.
        connect_seconds: Time limit for a connection.
        read_seconds: Time limit for each wait for bytes.
        idle_seconds: After how long an unused connection is closed.
        settle: Is awaited before each request leaves; raising prevents it.
    """

    def __init__(
        self,
        *,
        ca_bundle: Path | None = None,
        proxy: str | None = None,
        no_proxy: tuple[str, ...] = (),
        user_agent: str = "twg",
        connect_seconds: float = 10,
        read_seconds: float = 20,
        idle_seconds: float = IDLE_SECONDS,
        settle: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._ca_bundle = ca_bundle
        self._proxy = proxy
        self._no_proxy = no_proxy
        self._user_agent = user_agent
        self._idle_seconds = idle_seconds
        self._settle = settle
        waits = httpx.Timeout(read_seconds, connect=connect_seconds)
        self._extensions = {"timeout": waits.as_dict()}
        # Certificates cost 20 ms: plain loopback calls do not pay for them.
        self._transports: dict[str, httpx.AsyncBaseTransport] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections, cancelled or not."""
        with anyio.CancelScope(shield=True):
            for transport in self._transports.values():
                await transport.aclose()
            self._transports.clear()

    async def request(
        self,
        method: str,
        url: str,
        *,
        pinned: frozenset[str] | None = None,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        form: Mapping[str, str | Secret] | None = None,
        json: Mapping[str, Any] | None = None,
        bearer: Secret | None = None,
        basic: tuple[str, Secret] | None = None,
        limit: int = MAX_BODY,
        deadline: float = 30.0,
    ) -> Response:
        """Send one request and read its answer to the end.

        Args:
            method: The HTTP method.
            url: An absolute URL; https, or http to loopback.
            pinned: The origins that may get the secrets in this request; needed if there are any.
            headers: Further headers, none of them secret.
            query: Parameters added to the URL, none of them secret.
            form: A form-encoded body (RFC 6749 appendix B); values may be secrets.
            json: A JSON body instead; values may be secrets at any depth.
            bearer: Sent as ``Authorization: Bearer`` (RFC 6750 section 2.1).
            basic: User and secret for ``Authorization: Basic`` (RFC 7617).
            limit: The longest body accepted, in bytes.
            deadline: Seconds for the whole exchange.

        Returns:
            The answer, redirects and errors included.

        Raises:
            ConfigError: A URL not to be used, or secrets on their way to an origin not pinned.
            NetworkError: No connection, no whole answer in time, a broken answer; its `sent` tells
                whether the request may have reached the server.
            BodyTooLarge: More than `limit` bytes.
        """
        target = origin(url)
        if query:
            url += ("&" if "?" in url else "?") + urlencode(query)
        sent = httpx.Headers({**_HEADERS, "User-Agent": self._user_agent})
        sent.update(headers)
        secrets = _Revealing(target, pinned)
        content = None
        if form is not None:
            content = urlencode({name: secrets.plain(value) for name, value in form.items()})
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        elif json is not None:
            content = _dumps(secrets.plain(json))
            sent["Content-Type"] = "application/json"
        if bearer is not None:
            sent["Authorization"] = bearer_header(url, bearer, pinned)
        if basic is not None:
            sent["Authorization"] = _basic(secrets, *basic)
        with _translated(urlsplit(url).netloc, deadline), anyio.fail_after(deadline):
            async with self._answered(method, url, sent, content) as answer:
                body = await _bounded(answer, limit)
        return Response(
            status=answer.status_code, headers=_lowered(answer.headers), body=body, url=url
        )

    @contextlib.asynccontextmanager
    async def exchange(
        self,
        method: str,
        url: str,
        *,
        pinned: frozenset[str],
        headers: Mapping[str, str],
        bearer: Secret | None = None,
        basic: tuple[str, Secret] | None = None,
        content: bytes | AsyncIterable[bytes] | None = None,
    ) -> AsyncIterator[Stream]:
        """Send one request and yield its answer, both bodies as they come, in constant memory.

        Args:
            method: The HTTP method.
            url: An absolute URL; https, or http to loopback.
            pinned: The origins that may get the secret.
            headers: Further headers, none of them secret; with a Content-Length a body that comes
                bit by bit is sent so, else in chunks.
            bearer: Sent as ``Authorization: Bearer`` (RFC 6750 section 2.1).
            basic: User and secret for ``Authorization: Basic`` (RFC 7617).
            content: The request's body.

        Raises:
            ConfigError: A URL not to be used, or the secret on its way to an origin not pinned.
            NetworkError: No connection, or it broke, or each side waited too long for the other.
            BodyTooLarge: It is compressed though that was not asked for.
        """
        target = origin(url)
        sent = httpx.Headers({"Accept-Encoding": "identity", "User-Agent": self._user_agent})
        sent.update(headers)
        if bearer is not None:
            sent["Authorization"] = bearer_header(url, bearer, pinned)
        if basic is not None:
            sent["Authorization"] = _basic(_Revealing(target, pinned), *basic)
        host = urlsplit(url).netloc
        with _translated(host, math.inf):
            async with self._answered(method, url, sent, content) as answer:
                _check_plain(answer)
                yield Stream(
                    status=answer.status_code,
                    headers=_lowered(answer.headers),
                    chunks=_chunks(answer, host),
                    url=url,
                )

    @contextlib.asynccontextmanager
    async def _answered(
        self,
        method: str,
        url: str,
        headers: httpx.Headers,
        content: str | bytes | AsyncIterable[bytes] | None,
    ) -> AsyncIterator[httpx.Response]:
        """Send a request; yield its answer, whose body is to be read in the block."""
        transport = self._transport(origin(url))
        request = httpx.Request(
            method, url, headers=headers, content=content, extensions=self._extensions
        )
        if self._settle is not None:
            await self._settle()
        answer = await transport.handle_async_request(request)
        try:
            answer.request = request
            yield answer
        finally:
            await answer.aclose()
        # Its query is left out: it may say what is nobody's business.
        asked = f"{method} {url.partition('?')[0]}"
        _LOG.info("answered", request=asked, status=answer.status_code)

    def _transport(self, target: str) -> httpx.AsyncBaseTransport:
        scheme, _, host = target.partition("://")
        direct = scheme == "http" or self._goes_direct(host.rpartition(":")[0])
        name = f"{scheme} {'direct' if direct else 'proxied'}"
        if name not in self._transports:
            self._transports[name] = self._direct(scheme) if direct else self._proxied()
        return self._transports[name]

    def _direct(self, scheme: str) -> httpx.AsyncBaseTransport:
        tls = context_of(self._ca_bundle) if scheme == "https" else None
        return Connections(tls, idle_seconds=self._idle_seconds)

    def _proxied(self) -> httpx.AsyncBaseTransport:
        tls = context_of(self._ca_bundle)
        return httpx.AsyncHTTPTransport(verify=tls, proxy=self._proxy, trust_env=False)

    def _goes_direct(self, host: str) -> bool:
        if self._proxy is None or is_loopback(host):
            return True
        return any(
            rule == "*" or host == rule.lstrip(".") or host.endswith(f".{rule.lstrip('.')}")
            for rule in self._no_proxy
        )


class _Revealing:
    """Turns secrets into what is sent, after checking where it is sent."""

    def __init__(self, target: str, pinned: frozenset[str] | None) -> None:
        self._target = target
        self._pinned = pinned

    def plain(self, value: Any) -> Any:
        """Return `value` with every secret in it revealed.

        Raises:
            ConfigError: There is one, and the target is not among the pinned origins.
        """
        if isinstance(value, Secret):
            if self._pinned is None or self._target not in self._pinned:
                raise ConfigError(
                    f"a {value.kind} was about to go to {self._target}, "
                    "which it was not issued for; nothing was sent"
                )
            return value.reveal(f"send to {self._target}", host=urlsplit(self._target).netloc)
        if isinstance(value, dict):
            return {name: self.plain(inner) for name, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.plain(inner) for inner in value]
        return value


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _basic(secrets: _Revealing, user: str, secret: Secret) -> str:
    pair = f"{user}:{secrets.plain(secret)}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def _lowered(headers: httpx.Headers) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _check_plain(answer: httpx.Response) -> None:
    encoding = answer.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"", "identity"}:
        host = answer.request.url.host
        raise BodyTooLarge(f"{host} sent a compressed answer that was not asked for")


async def _chunks(answer: httpx.Response, host: str) -> AsyncIterator[bytes]:
    # Translated here as well: whoever reads may want to know at once, and go on.
    with _translated(host, math.inf):
        async for chunk in answer.aiter_raw():
            yield chunk


async def _bounded(answer: httpx.Response, limit: int) -> bytes:
    _check_plain(answer)
    body = bytearray()
    async for chunk in answer.aiter_raw():
        body += chunk
        if len(body) > limit:
            raise _too_large(answer.request.url.host, limit)
    return bytes(body)


def _too_large(host: str, limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"{host} sent an answer of more than {limit} bytes")


@contextlib.contextmanager
def _translated(host: str, deadline: float) -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        raise NetworkError(host, f"no whole answer within {deadline:.0f} seconds") from None
    except httpx.ConnectTimeout as error:
        raise NetworkError(host, "it did not connect in time", sent=False) from error
    except httpx.TimeoutException as error:
        raise NetworkError(host, "it did not answer in time") from error
    except httpx.ConnectError as error:
        raise NetworkError(host, _connect_words(error), sent=False) from error
    except httpx.ProxyError as error:
        raise NetworkError(host, "the proxy refused the connection", sent=False) from error
    except httpx.RemoteProtocolError as error:
        raise NetworkError(host, "it broke off or did not speak HTTP") from error
    except httpx.TransportError as error:
        raise NetworkError(host, "the connection was lost") from error
    except httpx.InvalidURL as error:
        raise ConfigError(f"the URL for {host} cannot be used") from error


def _connect_words(error: httpx.ConnectError) -> str:
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "its TLS certificate is not trusted"
        if isinstance(cause, ssl.SSLError):
            return "TLS failed"
        if isinstance(cause, socket.gaierror):
            return "its name cannot be resolved"
        if isinstance(cause, ConnectionRefusedError):
            return "the connection was refused"
    return "no connection"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it came of; the system's own is often the last."""
    yield error
    if isinstance(error, BaseExceptionGroup):  # one error for each address that was tried
        for each in error.exceptions:
            yield from _causes(each)
    if error.__cause__ is not None:
        yield from _causes(error.__cause__)
