"""`Line`: how a `Call` reaches its service; the one place from which `twg api` sends anything."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import urlsplit

import anyio

from twg.auth.hosts import rest_after
from twg.errors import AuthExpired, NetworkError, UsageError
from twg.http import Stream
from twg.products import admin, atlassian, bitbucket
from twg.products.answers import UNAUTHORIZED
from twg.products.call import check_query

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from twg.auth.tokens import TokenManager
    from twg.cli.wiring import Wiring
    from twg.http import Http, Response
    from twg.products.call import Call
    from twg.vault import AdminKey, BitbucketToken, Credential

_TRANSIENT: Final = frozenset({429, 500, 502, 503, 504})
_TRIES: Final = 3
_LONGEST_WAIT: Final = 60.0
_NOTICED: Final = 2.0
"""From how many seconds on a wait is told."""
_READ_SECONDS: Final = 60.0
_LARGEST_REFUSAL: Final = 1024 * 1024
_ACCEPTS: Final = {"accept": "application/json, */*;q=0.5"}


class Service(Protocol):
    """A service, and what authenticates calls to it."""

    @property
    def pinned(self) -> frozenset[str]:
        """The origins that the credential may go to."""

    @property
    def base(self) -> str:
        """The URL that paths begin with, once the call is settled."""

    def settled(self, call: Call) -> Call:
        """Return a call with the site that it goes to."""

    def url_for(self, call: Call) -> str:
        """Return where a call goes."""

    async def login(self) -> dict[str, Any]:
        """Return how it is authenticated now, as `Http.exchange` takes it."""

    async def refused(self, call: Call, answer: Response) -> bool:
        """Hear of a 401; return whether to send the call again, or raise what it means."""

    def meaning(self, call: Call, answer: Response) -> tuple[str, str] | None:
        """Return what an error means for this credential and what to do, where that is known."""

    def why_empty(self, call: Call) -> str | None:
        """Return why a list may be empty for this credential, where that is known."""


class Line:
    """A way to one service, open for several calls.

    Args:
        wiring: What commands depend on.
        http: What requests go through.
        service: Where they go.
    """

    def __init__(self, wiring: Wiring, http: Http, service: Service) -> None:
        self._wiring = wiring
        self._http = http
        self.service = service

    def settled(self, call: Call, brought: list[tuple[str, bytes]]) -> Call:
        """Return a call as it will be sent, once it is known to hold no secret.

        Args:
            call: What is to be sent.
            brought: Name and content of the files that it was made of.

        Raises:
            UsageError: It leads elsewhere, or is malformed.
            SecretRefused: It holds a secret.
        """
        settled = self.service.settled(call)
        self.service.url_for(settled)
        check_query(settled.query)
        headers = [(f"the header {name}", text) for name, text in settled.headers.items()]
        body = [] if settled.body is None else [("the body", settled.body)]
        self._wiring.refuse_outgoing(
            [("the path", settled.path), ("the query", settled.query), *headers, *brought, *body]
        )
        return settled

    @asynccontextmanager
    async def open(self, call: Call) -> AsyncIterator[Stream]:
        """Send a call; yield its answer, whose body is still to come.

        Raises:
            PolicyDenied: An agent may not do this; nothing was sent.
            NetworkError: No answer, or it broke off.
            TwgError: The credential is not accepted.
        """
        async with self._answered(call, None) as answer:
            yield answer

    async def fetch(self, call: Call, limit: int) -> Response:
        """Send a call and return its answer, read to its end; what breaks off is asked for again.

        Raises:
            BodyTooLarge: More than `limit` bytes.
            And as `open`.
        """
        async with self._answered(call, limit) as answer:
            return await answer.whole(limit)

    @asynccontextmanager
    async def _answered(self, call: Call, limit: int | None) -> AsyncIterator[Stream]:
        await self._wiring.permit(call)
        tries = 0
        while True:
            tries += 1
            async with AsyncExitStack() as stack:
                answer = await self._attempt(stack, call, limit, tries)
                if isinstance(answer, Stream):
                    yield answer
                    return
            await self._pause(answer)

    async def _attempt(
        self, stack: AsyncExitStack, call: Call, limit: int | None, tries: int
    ) -> Stream | float:
        """Send a call once; return its answer, or after how many seconds to send it again."""
        again = call.is_safe and tries < _TRIES
        try:
            answer = await stack.enter_async_context(
                self._http.exchange(
                    call.method,
                    self.service.url_for(call),
                    pinned=self.service.pinned,
                    headers={**_ACCEPTS, **call.headers},
                    content=call.body,
                    **await self.service.login(),
                )
            )
            if answer.status == UNAUTHORIZED:
                whole = await answer.whole(_LARGEST_REFUSAL)
                return 0.0 if await self.service.refused(call, whole) else _replayed(whole)
            wait = _wait_for(answer, tries) if again else None
            if wait is not None:
                return wait
            return answer if limit is None else _replayed(await answer.whole(limit))
        except NetworkError:
            if not again:
                raise
            return rest_after(tries)

    async def _pause(self, seconds: float) -> None:
        if seconds >= _NOTICED and self._wiring.stderr.isatty():
            host = urlsplit(self.service.base).netloc
            self._wiring.output.say(f"twg: {host} asks to wait; trying again in {seconds:.0f} s")
        await anyio.sleep(seconds)


@asynccontextmanager
async def line_to(wiring: Wiring, service: str, site: str | None) -> AsyncIterator[Line]:
    """Open a line to a service, with the credential that is stored for it.

    Args:
        wiring: What commands depend on.
        service: Its name.
        site: Asked for with ``--site``.

    Raises:
        UsageError: There is no such service, or it has no sites.
        TwgError: There is no credential for it, or it is of no use.
    """
    if service not in (*atlassian.SERVICES, "bitbucket", "admin"):
        raise atlassian.unknown(service)
    if site is not None and service not in atlassian.WITH_SITES:
        instead = "A workspace stands in the path." if service == "bitbucket" else "Leave it out."
        raise UsageError(f"--site does not go with {service}", instead)
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(wiring.http(read_seconds=_READ_SECONDS))
        found: Service
        if service == "bitbucket":
            found = await _bitbucket(wiring)
        elif service == "admin":
            found = await _admin(wiring)
        else:
            tokens = await stack.enter_async_context(wiring.token_manager(http))
            found = _BySignIn(tokens, await tokens.get(await wiring.profile()), service, site)
        yield Line(wiring, http, found)


def _wait_for(answer: Stream, tries: int) -> float | None:
    """Return after how many seconds to ask again; None if the answer is to be taken as it is."""
    if answer.status not in _TRANSIENT:
        return None
    asked = answer.retry_after()
    if asked is None:
        return rest_after(tries)
    return asked if asked <= _LONGEST_WAIT else None


def _replayed(answer: Response) -> Stream:
    async def chunks() -> AsyncIterator[bytes]:
        yield answer.body

    return Stream(status=answer.status, headers=answer.headers, chunks=chunks(), url=answer.url)


class _BySignIn:
    """Jira, Confluence and the gateway itself, by a profile's sign-in."""

    def __init__(
        self, tokens: TokenManager, credential: Credential, service: str, site: str | None
    ) -> None:
        self._tokens = tokens
        self._credential = credential
        self._renewed_for: Call | None = None
        self._service = service
        self._site = site

    @property
    def pinned(self) -> frozenset[str]:
        return self._credential.hosts

    @property
    def base(self) -> str:
        return atlassian.base_of(self._credential, self._service, self._site)

    def settled(self, call: Call) -> Call:
        site = atlassian.site_called(self._credential, call.service, self._site)
        return replace(call, site=site)

    def url_for(self, call: Call) -> str:
        return atlassian.url_for(self._credential, call.service, call.target, call.site)

    async def login(self) -> dict[str, Any]:
        # For each page anew: many pages may outlast a token.
        self._credential = await self._tokens.get(self._credential.profile)
        return {"bearer": self._credential.tokens.access}

    async def refused(self, call: Call, answer: Response) -> bool:
        # What the person did not allow, a renewed token may not do either.
        if self.meaning(call, answer):
            return False
        if self._renewed_for is call:
            raise AuthExpired(
                self._credential.profile,
                f"{call.service} does not accept this sign-in, nor did a renewal change that",
            )
        renewed = await self._tokens.instead_of(self._credential)
        if renewed is None:
            return False
        self._credential, self._renewed_for = renewed, call
        return True

    def meaning(self, call: Call, answer: Response) -> tuple[str, str] | None:
        return atlassian.why_refused(self._credential, call.service, call.site, answer)

    def why_empty(self, call: Call) -> str | None:
        return atlassian.why_empty(self._credential, call.service, call.site)


@dataclass(frozen=True, slots=True)
class _ByBitbucketToken:
    """Bitbucket, by the API token that a person made there."""

    token: BitbucketToken

    @property
    def pinned(self) -> frozenset[str]:
        return self.token.hosts

    @property
    def base(self) -> str:
        return self.token.api_base

    def settled(self, call: Call) -> Call:
        return call

    def url_for(self, call: Call) -> str:
        return bitbucket.url_for(self.token, call.target)

    async def login(self) -> dict[str, Any]:
        return {"basic": (self.token.email, self.token.token)}

    async def refused(self, call: Call, answer: Response) -> bool:
        del call, answer  # it is one and the same for all reasons
        raise AuthExpired(
            self.token.profile,
            "Bitbucket does not take the stored token: it has expired, or was revoked",
            command="twg setup bitbucket --force",
        )

    def meaning(self, call: Call, answer: Response) -> tuple[str, str] | None:
        del call
        return bitbucket.why_refused(answer)

    def why_empty(self, call: Call) -> str | None:
        del call
        return bitbucket.why_empty(self.token)


@dataclass(frozen=True, slots=True)
class _ByAdminKey:
    """The Admin APIs, by an organization's key."""

    key: AdminKey

    @property
    def pinned(self) -> frozenset[str]:
        return self.key.hosts

    @property
    def base(self) -> str:
        return self.key.api_base

    def settled(self, call: Call) -> Call:
        return call

    def url_for(self, call: Call) -> str:
        return admin.url_for(self.key, call.target)

    async def login(self) -> dict[str, Any]:
        return {"bearer": self.key.key}

    async def refused(self, call: Call, answer: Response) -> bool:
        del call
        raise admin.not_accepted(self.key, answer)

    def meaning(self, call: Call, answer: Response) -> tuple[str, str] | None:
        del call, answer
        return None

    def why_empty(self, call: Call) -> str | None:
        del call
        return None


async def _bitbucket(wiring: Wiring) -> _ByBitbucketToken:
    from twg.cli.bitbucket import stored  # noqa: PLC0415 - its prompts only for Bitbucket

    return _ByBitbucketToken(await stored(wiring, await wiring.profile()))


async def _admin(wiring: Wiring) -> _ByAdminKey:
    from twg.cli import admin_keys  # noqa: PLC0415 - only for the Admin APIs

    return _ByAdminKey(await admin_keys.to_call_with(wiring))
