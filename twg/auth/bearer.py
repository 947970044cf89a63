"""`BearerAuth`: lets any `httpx.AsyncClient` call with a stored sign-in, renewed as needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NoReturn

import httpx

from twg.http import bearer_header

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from twg.auth.tokens import TokenManager
    from twg.vault import Credential

_UNAUTHORIZED: Final = 401


class BearerAuth(httpx.Auth):
    """Sends a profile's access token (RFC 6750 section 2.1), to the origins it was issued for.

    Answered 401, it renews once, whatever the token's age, and sends the request once more: what
    comes then is the answer. A renewal that fails raises what `TokenManager.get` does.

    Args:
        tokens: An entered manager, of the same event loop as the client.
        profile: Whose sign-in to use.

    Raises:
        ConfigError: The request goes to another origin; it was not sent.
    """

    def __init__(self, tokens: TokenManager, profile: str = "default") -> None:
        self._tokens = tokens
        self._profile = profile

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Yield the request with the token, and again with a new one after 401."""
        await request.aread()  # so that its body can be sent a second time
        credential = await self._tokens.get(self._profile)
        answer = yield _signed(request, credential)
        if answer.status_code == _UNAUTHORIZED:
            renewed = await self._tokens.instead_of(credential)
            if renewed is not None:
                yield _signed(request, renewed)

    def sync_auth_flow(self, request: httpx.Request) -> NoReturn:
        """Refuse: renewals need an event loop."""
        del request
        raise RuntimeError("BearerAuth is for httpx.AsyncClient")


def _signed(request: httpx.Request, credential: Credential) -> httpx.Request:
    request.headers["Authorization"] = bearer_header(
        str(request.url), credential.tokens.access, credential.hosts
    )
    return request
