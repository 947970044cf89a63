"""Plays the client and the person against a sandbox, over real HTTP, without a browser."""

from __future__ import annotations

import base64
import hashlib
import html
import re
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

CALLBACK = "http://127.0.0.1:8765/callback"
SCOPE = (
    "offline_access read:me read:jira-work write:jira-work"
    " read:confluence-content.all read:confluence-space.summary"
)
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


@dataclass
class Pkce:
    """A PKCE pair (RFC 7636)."""

    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))

    @property
    def challenge(self) -> str:
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


class Visitor:
    """One browser and one client, sharing a cookie jar and a PKCE pair."""

    def __init__(self, url: str, client_id: str = "twg-sandbox") -> None:
        self.url = url
        self.client_id = client_id
        self.pkce = Pkce()
        self.http = httpx.AsyncClient(base_url=url, trust_env=False, timeout=20)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.http.aclose()

    def authorize_path(self, **changes: str | None) -> str:
        """Path and query of an authorization request; a change to None leaves a parameter out."""
        asked: dict[str, str | None] = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": CALLBACK,
            "scope": SCOPE,
            "state": "state-1",
            "code_challenge": self.pkce.challenge,
            "code_challenge_method": "S256",
        }
        kept = {name: value for name, value in (asked | changes).items() if value is not None}
        return "/authorize?" + urlencode(kept)

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self.http.get(path, headers=headers)

    async def submit(self, page: httpx.Response, action: str, **fields: Any) -> httpx.Response:
        """Submit the page's form to `action` with its hidden fields and `fields`."""
        return await self.http.post(action, data=hidden_fields(page) | fields)

    async def sign_in(self, then: str, name: str = "alice") -> httpx.Response:
        """Open `then`, sign in on the way if asked to, and return what is shown there."""
        page = await self.http.get(then)
        if page.status_code == 303:
            login = await self.http.get(page.headers["location"])
            done = await self.submit(login, "/login", username=name, password=f"{name}pass")
            assert done.status_code == 303, done.text
            page = await self.http.get(done.headers["location"])
        return page

    async def authorize(
        self, name: str = "alice", site: str | None = None, decision: str = "accept", **changes: Any
    ) -> dict[str, str]:
        """Go through sign-in and consent; return the parameters of the redirect."""
        path = self.authorize_path(**changes)
        page = await self.sign_in(path, name)
        fields = {"decision": decision} | ({"site": site} if site else {})
        answer = await self.submit(page, path, **fields)
        assert answer.status_code == 303, answer.text
        return redirect_parameters(answer)

    async def token(self, **form: str) -> httpx.Response:
        return await self.http.post("/oauth/token", data={"client_id": self.client_id} | form)

    async def exchange(self, code: str, **changes: str) -> httpx.Response:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": CALLBACK,
            "code_verifier": self.pkce.verifier,
        }
        return await self.token(**(form | changes))

    async def refresh(self, refresh_token: str, **more: str) -> httpx.Response:
        return await self.token(grant_type="refresh_token", refresh_token=refresh_token, **more)

    async def tokens(self, name: str = "alice", **options: Any) -> dict[str, Any]:
        """Sign in and exchange; return the token answer."""
        parameters = await self.authorize(name, **options)
        answer = await self.exchange(parameters["code"])
        assert answer.status_code == 200, answer.text
        document: dict[str, Any] = answer.json()
        return document

    async def quick_tokens(self, **changes: str) -> httpx.Response:
        """Where the server plays the person: one redirect, one exchange."""
        answer = await self.http.get(self.authorize_path(**changes))
        return await self.exchange(redirect_parameters(answer)["code"])

    async def call(self, path: str, token: str) -> httpx.Response:
        return await self.http.get(path, headers={"Authorization": f"Bearer {token}"})

    async def device(self, **form: str) -> httpx.Response:
        asked = {"client_id": self.client_id, "scope": SCOPE}
        return await self.http.post("/oauth/device/code", data=asked | form)

    async def poll(self, device_code: str) -> httpx.Response:
        return await self.token(grant_type=DEVICE_GRANT, device_code=device_code)


def hidden_fields(page: httpx.Response) -> dict[str, str]:
    found = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page.text)
    return {name: html.unescape(value) for name, value in found}


def redirect_parameters(answer: httpx.Response) -> dict[str, str]:
    query = urlsplit(answer.headers["location"]).query
    return {name: values[0] for name, values in parse_qs(query, keep_blank_values=True).items()}
