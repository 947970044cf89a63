"""One request to the loopback listener: read with bounds, judged, answered (h11 parses)."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import anyio
import h11

from twg.oauth import pages
from twg.oauth.authorization_code import parameters_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anyio.abc import SocketStream

MAX_REQUEST: Final = 32 * 1024
_CHUNK: Final = 16 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A request as far as it matters here.

    Attributes:
        parameters: The parameters of an answer to an authorization request; None if it is none.
        refusal: Status and page for a visit that is no such answer.
        wants_body: The answer may have a body (not to HEAD).
    """

    parameters: Mapping[str, list[str]] | None = None
    refusal: tuple[int, pages.Page] | None = None
    wants_body: bool = True


class Admission:
    """Judges requests to one redirect URI.

    Args:
        redirect_uri: ``http://HOST:PORT/PATH`` on loopback.
    """

    def __init__(self, redirect_uri: str) -> None:
        parts = urlsplit(redirect_uri)
        self._origin = f"http://{parts.netloc}".lower()
        self._hosts = {parts.netloc.lower()}
        if parts.port == 80:  # noqa: PLR2004 - the default port, which browsers leave out
            self._hosts.add(parts.netloc.rpartition(":")[0].lower())
        self._path = parts.path or "/"

    def judge(self, request: h11.Request) -> Visit:
        """Tell what the request is, by its method, target and headers alone."""
        headers = _Headers(request)
        # A name that leads here by DNS is how a distant page reaches a local port.
        if headers.all("host") not in [[host] for host in self._hosts]:
            return _refused(request, HTTPStatus.MISDIRECTED_REQUEST, pages.REFUSED)
        path, _, query = request.target.decode("ascii").partition("?")
        if path != self._path:
            return _refused(request, HTTPStatus.NOT_FOUND, pages.NOTHING_HERE)
        if request.method != b"GET":
            return _refused(request, HTTPStatus.METHOD_NOT_ALLOWED, pages.REFUSED)
        if not self._is_navigation(headers):
            return _refused(request, HTTPStatus.FORBIDDEN, pages.REFUSED)
        if headers.is_prefetch():
            # A failure makes the browser ask again when the person really goes there.
            return _refused(request, HTTPStatus.SERVICE_UNAVAILABLE, pages.REFUSED)
        return _answer_in(request, query)

    def _is_navigation(self, headers: _Headers) -> bool:
        navigates = headers.one("sec-fetch-mode") == "navigate"
        if headers.one("sec-fetch-mode") and not navigates:
            return False
        if headers.one("sec-fetch-dest") not in {None, "document"}:
            return False
        origins = headers.all("origin")
        # A redirect from a form may make a browser send `null` with its navigation.
        return origins in ([], [self._origin]) or (navigates and origins == ["null"])


async def read_visit(stream: SocketStream, admission: Admission) -> Visit | None:
    """Read one request's head and judge it; None if the client went away first."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_REQUEST)
    try:
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                return admission.judge(event)
            if event is not h11.NEED_DATA:
                return None
            connection.receive_data(await _received(stream))
    except h11.RemoteProtocolError as error:
        return Visit(refusal=(error.error_status_hint, pages.REFUSED))


async def respond(stream: SocketStream, status: int, page: pages.Page, *, with_body: bool) -> None:
    """Send `page`, and say that the connection ends."""
    body = pages.render(page)
    headers = {**pages.HEADERS, "Content-Length": str(len(body)), "Connection": "close"}
    if status == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = "GET"
    # A writer of its own: the reader's state may be an error by now, and nothing follows.
    writer = h11.Connection(h11.SERVER)
    writer.receive_data(b"GET / HTTP/1.1\r\nHost: loopback\r\n\r\n")
    writer.next_event()
    response = h11.Response(
        status_code=status, reason=HTTPStatus(status).phrase.encode(), headers=list(headers.items())
    )
    sent = writer.send(response) or b""
    if with_body:
        sent += writer.send(h11.Data(data=body)) or b""
    await stream.send(sent)


class _Headers:
    """A request's headers, values in lower case."""

    def __init__(self, request: h11.Request) -> None:
        self._pairs = [(name, value.decode("latin-1").lower()) for name, value in request.headers]

    def all(self, name: str) -> list[str]:
        return [value for key, value in self._pairs if key == name.encode()]

    def one(self, name: str) -> str | None:
        return next(iter(self.all(name)), None)

    def is_prefetch(self) -> bool:
        names = ("sec-purpose", "purpose", "x-purpose", "x-moz")
        words = ",".join(value for name in names for value in self.all(name))
        return any(word in words for word in ("prefetch", "prerender", "preview"))


def _answer_in(request: h11.Request, query: str) -> Visit:
    try:
        parameters = parameters_of(query)
    except ValueError:
        return _refused(request, HTTPStatus.BAD_REQUEST, pages.FOREIGN_ANSWER)
    if "code" not in parameters and "error" not in parameters:
        return _refused(request, HTTPStatus.BAD_REQUEST, pages.NOTHING_HERE)
    return Visit(parameters=parameters)


def _refused(request: h11.Request, status: int, page: pages.Page) -> Visit:
    return Visit(refusal=(int(status), page), wants_body=request.method != b"HEAD")


async def _received(stream: SocketStream) -> bytes:
    try:
        return await stream.receive(_CHUNK)
    except anyio.EndOfStream:
        return b""
