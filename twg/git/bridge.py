"""`Bridge`: a server on loopback through which git reaches one repository with a stored token.

Git speaks plain HTTP to a random path on a random port; here each request is held against the few
that git's protocol knows, gets the credential, and goes on over TLS. Bodies stream both ways.
Nothing that git, its configuration, its traces or its caller sees holds the token. Another process
of the same user that finds the path can use the bridge as git does, while git runs.
"""

from __future__ import annotations

import secrets
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

import anyio
from anyio.abc import SocketAttribute

from twg.errors import NetworkError, TwgError
from twg.git.conversation import GONE, Conversation
from twg.git.repository import call_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    import h11
    from anyio.abc import SocketStream

    from guard.secret import Secret
    from twg.git.repository import Call, Repository
    from twg.http import Http, Stream

_HOST: Final = "127.0.0.1"
_PATH_BYTES: Final = 32
_LONGEST_WORDS: Final = 8 * 1024

_GIT_SAYS: Final = frozenset(
    {"accept", "content-type", "content-encoding", "content-length", "git-protocol", "user-agent"}
)
_SERVER_SAYS: Final = frozenset({"content-type", "content-length", "cache-control", "expires"})
_IN_PLACE_OF: Final = {
    # Else git would ask for a password, at the terminal or from a credential helper.
    HTTPStatus.UNAUTHORIZED: HTTPStatus.FORBIDDEN,
    # Nor does it get to hear where else to go.
    **{
        status: HTTPStatus.BAD_GATEWAY
        for status in HTTPStatus
        if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST
    },
}


class Login(NamedTuple):
    """What a git server is shown.

    Attributes:
        user: The user's name.
        token: What stands for a password.
        origins: The servers it was made for; it goes to no other.
    """

    user: str
    token: Secret
    origins: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridge:
    """A way to one repository, for as long as git takes.

    Attributes:
        repository: Where requests go.
        login: What is added to them.
        http: What they go through.
        refusal: Why a call is not allowed, in words; None if it is.
        failed: Hears of each allowed call that did not succeed, in words.
        scrub: Cleans the words of a server's errors.
    """

    repository: Repository
    login: Login
    http: Http
    refusal: Callable[[Call], Awaitable[str | None]]
    failed: Callable[[str], None]
    scrub: Callable[[str], str]

    @asynccontextmanager
    async def open(self) -> AsyncIterator[str]:
        """Serve while the block runs; yield the address for git."""
        secret_path = f"/{secrets.token_urlsafe(_PATH_BYTES)}"
        async with (
            await anyio.create_tcp_listener(local_host=_HOST, local_port=0) as listener,
            anyio.create_task_group() as tasks,
        ):
            port = listener.extra(SocketAttribute.local_port)  # noqa: S610 - not Django's

            async def serve(stream: SocketStream) -> None:
                async with stream:
                    with suppress(*GONE):
                        await self._serve(Conversation(stream), secret_path)

            tasks.start_soon(listener.serve, serve)
            yield f"http://{_HOST}:{port}{secret_path}"
            tasks.cancel_scope.cancel()

    async def _serve(self, talk: Conversation, secret_path: str) -> None:
        async for request in talk.requests():
            target = request.target.decode("latin-1")
            known = secrets.compare_digest(target[: len(secret_path)], secret_path)
            call = call_of(request.method.decode("latin-1"), target[len(secret_path) :])
            if not known or call is None:
                await talk.answer_in_words(HTTPStatus.NOT_FOUND, "twg: there is nothing here")
            elif (why := await self.refusal(call)) is not None:
                await talk.answer_in_words(HTTPStatus.FORBIDDEN, f"twg: {why}")
            else:
                await self._forward(talk, request, call)

    async def _forward(self, talk: Conversation, request: h11.Request, call: Call) -> None:
        headers = {
            name.decode("latin-1"): value.decode("latin-1")
            for name, value in request.headers
            if name.decode("latin-1") in _GIT_SAYS
        }
        begun = False
        try:
            async with self.http.exchange(
                call.method,
                f"{self.repository.url}{call.path}",
                pinned=self.login.origins,
                headers=headers,
                basic=(self.login.user, self.login.token),
                content=talk.body() if call.method == "POST" else None,
            ) as answer:
                begun = True
                await self._pass_on(talk, answer)
        except TwgError as error:
            if begun and isinstance(error, NetworkError):
                # Half an answer cannot be taken back: git sees the connection end.
                self.failed(str(error))
                raise anyio.BrokenResourceError from error
            await self._fail(talk, HTTPStatus.BAD_GATEWAY, str(error))

    async def _pass_on(self, talk: Conversation, answer: Stream) -> None:
        if answer.status != HTTPStatus.OK:
            status = HTTPStatus(answer.status)
            words = await self._words(answer)
            await self._fail(talk, _IN_PLACE_OF.get(status, status), words)
            return
        headers = [(name, value) for name, value in answer.headers.items() if name in _SERVER_SAYS]
        await talk.answer(answer.status, headers, answer.chunks)

    async def _words(self, answer: Stream) -> str:
        """Tell what a server's error means, and what it says itself."""
        host = urlsplit(self.repository.origin).hostname
        if answer.status == HTTPStatus.UNAUTHORIZED:
            return (
                f"{host} does not accept the stored token for {self.repository.path}: it has "
                "expired, was revoked, or may not do this. `twg setup bitbucket --force` takes "
                "another one"
            )
        if HTTPStatus.MULTIPLE_CHOICES <= answer.status < HTTPStatus.BAD_REQUEST:
            to = self.scrub(answer.headers.get("location", "elsewhere")).partition("?")[0]
            return f"{host} sends on to {to}; a credential does not follow. Use that address"
        own = await _beginning(answer)
        plain = answer.headers.get("content-type", "").startswith("text/plain")
        said = f": {self.scrub(own).strip()}" if plain and own.strip() else ""
        return f"{host} answered {answer.status} for {self.repository.path}{said}"

    async def _fail(self, talk: Conversation, status: HTTPStatus, words: str) -> None:
        self.failed(words)
        await talk.answer_in_words(status, f"twg: {words}")


async def _beginning(answer: Stream) -> str:
    """Return an error's words, if they are not too many: a part could hold a part of a secret."""
    read = bytearray()
    async for chunk in answer.chunks:
        read += chunk
        if len(read) > _LONGEST_WORDS:
            return ""
    return read.decode("utf-8", "replace")
