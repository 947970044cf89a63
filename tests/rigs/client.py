"""An OAuth client written by hand, so that the rigs' tests prove the rigs and not the product."""

from __future__ import annotations

import base64
import hashlib
import secrets
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import anyio
import httpx
from anyio.abc import SocketAttribute

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from anyio.abc import SocketStream

DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


@dataclass
class Client:
    """A client of the server `issuer`; `secret` None means a public one."""

    issuer: str
    client_id: str
    redirect_uri: str = "http://127.0.0.1:9/callback"
    secret: str | None = None
    scope: str = "openid offline_access email"
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))
    state: str = field(default_factory=lambda: secrets.token_urlsafe(16))

    def authorize_url(self, endpoint: str = "/auth", **changes: str) -> str:
        """Return the address of an authorization request with PKCE S256 (RFC 6749, 7636)."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        parameters = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": self.scope,
            "state": self.state,
            "prompt": "consent",
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        return f"{self.issuer}{endpoint}?{urlencode(parameters | changes)}"

    async def exchange(self, code: str) -> httpx.Response:
        """Ask for tokens with an authorization code."""
        return await self.token(
            "authorization_code",
            code=code,
            code_verifier=self.verifier,
            redirect_uri=self.redirect_uri,
        )

    async def refresh(self, refresh_token: str) -> httpx.Response:
        """Ask for tokens with a refresh token."""
        return await self.token("refresh_token", refresh_token=refresh_token)

    async def token(self, grant_type: str, **parameters: str) -> httpx.Response:
        """Send a token request."""
        return await self.post("/token", grant_type=grant_type, **parameters)

    async def post(self, path: str, **form: str) -> httpx.Response:
        """Post a form as this client (RFC 6749 section 2.3.1)."""
        auth = None if self.secret is None else (self.client_id, self.secret)
        body = form if auth else {"client_id": self.client_id, **form}
        async with httpx.AsyncClient(trust_env=False) as http:
            if auth is None:
                return await http.post(self.issuer + path, data=body)
            return await http.post(self.issuer + path, data=body, auth=auth)

    async def me(self, access_token: str) -> httpx.Response:
        """Ask who the access token stands for."""
        headers = {"authorization": f"Bearer {access_token}"}
        async with httpx.AsyncClient(trust_env=False) as http:
            return await http.get(self.issuer + "/me", headers=headers)


@asynccontextmanager
async def callback_listener() -> AsyncIterator[str]:
    """Answer every request on a free loopback port; yields the redirect address."""

    async def answer(stream: SocketStream) -> None:
        async with stream:
            await stream.receive()
            await stream.send(
                b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nback"
            )

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        port = listener.extra(SocketAttribute.local_port)  # noqa: S610 - no Django here
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, answer)
            yield f"http://127.0.0.1:{port}/callback"
            tasks.cancel_scope.cancel()


def parameters_of(url: str) -> dict[str, Any]:
    """Return the query of an address as names and values."""
    return dict(parse_qsl(urlsplit(url).query))
