"""`Consent`: a person's yes at the provider, by browser, pasted address or code, and its tokens."""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any, Never

import anyio

from guard.errors import GuardError, PromptTimedOut, SecretRejected, TerminalRequired
from twg.auth.browser import open_page
from twg.auth.clients import client_of
from twg.auth.method import Method
from twg.auth.tasks import first_of
from twg.errors import GrantRefused, ProtocolError, SignInRefused, TwgError, UsageError
from twg.oauth import LoopbackListener, Page, authorization_code, device

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
    from contextlib import AbstractAsyncContextManager

    from guard.custody import Custody
    from guard.secret import Secret
    from twg.auth.browser import Browser
    from twg.auth.method import Choice
    from twg.auth.signin import People
    from twg.http import Http
    from twg.oauth import AuthorizationRequest, TokenResponse
    from twg.vault import Account, Provider

    Answer = Mapping[str, list[str]]
    Tell = Callable[[Account | None], Awaitable[None]]


class Consent:
    """Gets persons' consent at one provider.

    Args:
        provider: Where.
        http: What requests go through.
        custody: Takes in codes and tokens.
        people: The person and their surroundings.
        wait_seconds: How long the person may take.
    """

    def __init__(
        self,
        provider: Provider,
        *,
        http: Http,
        custody: Custody,
        people: People,
        wait_seconds: float,
    ) -> None:
        self._provider = provider
        self._http = http
        self._custody = custody
        self._people = people
        self._wait_seconds = wait_seconds

    async def by_device(self, choice: Choice) -> TokenResponse | None:
        """Sign in with a code on another device (RFC 8628).

        Returns:
            The tokens, or None where the provider refuses the device grant as such.

        Raises:
            SignInRefused: The person declined, or nobody answered in time.
            GrantRefused: The provider refuses our client.
            ProtocolError: The provider broke the protocol, or has no such endpoint.
            NetworkError: The provider could not be reached.
        """
        try:
            return await self._by_device(choice)
        except GrantRefused as error:
            if not device.device_grant_refused(error):
                raise
            return None

    @asynccontextmanager
    async def by_code(self, choice: Choice) -> AsyncIterator[tuple[TokenResponse, Tell]]:
        """Sign in with an authorization code on a loopback redirect (RFC 6749, 8252).

        Yields:
            The tokens, and a function that tells the person's page that they are saved. Unless it
            was called, the page says at the end that the sign-in did not work.

        Raises:
            SignInRefused: The person declined, or nobody answered in time.
            GrantRefused: The provider refuses our client or its own code.
            ProtocolError: The provider broke the protocol.
            NetworkError: The provider could not be reached.
            ConfigError: The redirect URI cannot be listened on.
        """
        async with LoopbackListener(self._provider.redirect_uri) as listener:

            async def tell(account: Account | None) -> None:
                await listener.conclude(_done_page(account))

            try:
                yield await self._by_code(choice, listener), tell
            except BaseException as error:
                with anyio.CancelScope(shield=True):
                    await listener.conclude(_failed_page(error))
                raise

    async def _by_device(self, choice: Choice) -> TokenResponse:
        provider, narrator = self._provider, self._people.narrator
        if provider.endpoints.device is None:
            raise ProtocolError("the provider has no device authorization endpoint")
        client = client_of(provider, self._custody)
        authorization = await device.authorize(
            self._http,
            client,
            provider.endpoints.device,
            provider.scopes,
            extra=_device_parameters(provider),
        )
        narrator.say(choice.reason)
        narrator.show_code(
            authorization.verification_uri,
            authorization.verification_uri_complete,
            authorization.user_code,
        )
        left = min(authorization.expires_in, self._wait_seconds)
        with _in_time(left):
            async with narrator.waiting("Waiting for you to approve it", left):
                answer = await device.poll(self._http, client, authorization)
        return answer

    async def _by_code(self, choice: Choice, listener: LoopbackListener) -> TokenResponse:
        provider, narrator = self._provider, self._people.narrator
        request = authorization_code.start(
            authorization_endpoint=provider.endpoints.authorization,
            client_id=provider.client_id,
            issuer=provider.issuer,
            redirect_uri=listener.redirect_uri,
            scopes=provider.scopes,
            resource=provider.resource,
            extra=provider.authorize_params,
            custody=self._custody,
        )
        narrator.say(choice.reason)
        narrator.show_address(request.url)
        code = authorization_code.read_callback(
            request,
            await self._redirect(choice, listener, request),
            iss_required=provider.iss_required,
            custody=self._custody,
        )
        client = client_of(provider, self._custody)
        return await authorization_code.exchange(self._http, client, request, code)

    async def _redirect(
        self, choice: Choice, listener: LoopbackListener, request: AuthorizationRequest
    ) -> Answer:
        """Return the redirect's parameters: heard or pasted, whichever comes first."""
        ways: list[Callable[[], Awaitable[Answer]]] = [partial(listener.callback, request.state)]
        if choice.browser is not None:
            ways.append(partial(self._open, choice.browser, request.url))
        waiting: AbstractAsyncContextManager[Any]
        if choice.method is Method.PRINTED and self._people.paste is not None:
            ways.append(partial(self._pasted, self._people.paste, request))
            waiting = nullcontext()  # the prompt has the terminal
        else:
            waiting = self._people.narrator.waiting(
                "Waiting for you in the browser", self._wait_seconds
            )
        with _in_time(self._wait_seconds):
            async with waiting:
                answer = await first_of(*ways)
        return answer

    async def _open(self, browser: Browser, url: str) -> Never:
        if not await open_page(browser, url, self._people.environ):
            self._people.narrator.say(
                f"{browser.name} did not open it; open the address above yourself."
            )
        await anyio.sleep_forever()
        raise AssertionError  # pragma: no cover - it sleeps forever

    async def _pasted(
        self, paste: Callable[[], Awaitable[Secret]], request: AuthorizationRequest
    ) -> Answer:
        try:
            while True:
                try:
                    return authorization_code.parse_redirect_url(request, await paste())
                except UsageError as error:
                    self._people.narrator.say(f"That was not it: {error}. {error.remediation}")
        except (SecretRejected, TerminalRequired, PromptTimedOut) as error:
            # Nobody is asked any more, but the browser may still come by itself.
            self._people.narrator.say(f"Waiting for the browser alone: {error}")
        await anyio.sleep_forever()
        raise AssertionError  # pragma: no cover - it sleeps forever


@contextmanager
def _in_time(seconds: float) -> Iterator[None]:
    """Limit how long the person may take."""
    with anyio.move_on_after(seconds) as scope:
        yield
    if scope.cancelled_caught:
        limit = f"{seconds / 60:.0f} minutes" if seconds >= 120 else f"{seconds:.0f} seconds"  # noqa: PLR2004 - two minutes
        raise SignInRefused(
            f"nobody answered within {limit}; the sign-in was ended",
            "Run `twg login` again when you are there (`wait_seconds` in config.toml is the "
            "limit). If the page said that an admin must authorize the app, ask yours first.",
        )


def _device_parameters(provider: Provider) -> dict[str, str]:
    resource = {} if provider.resource is None else {"resource": provider.resource}
    return {**provider.authorize_params, **resource}


def _done_page(account: Account | None) -> Page:
    who = f" as {account.name}" if account is not None and account.name else ""
    return Page(
        ok=True,
        headline="Signed in",
        detail=f"You are signed in{who}. You can close this page; twg goes on alone.",
    )


def _failed_page(error: BaseException) -> Page:
    if isinstance(error, TwgError | GuardError):
        why = str(error).rstrip(".")
    elif isinstance(error, Exception):
        why = "something unexpected happened"
    else:
        why = "it was ended in the terminal"
    return Page(ok=False, headline="Not signed in", detail=f"The sign-in did not work: {why}.")
