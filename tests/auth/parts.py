"""What the tests of sign-ins are made of: credentials, servers that wait, and a person."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit

import anyio
import httpx

from tests.rigs.parts import search_path
from tests.sandbox.running import SandboxHandle
from tests.sandbox.visiting import Visitor
from tests.vault.samples import Ear, custody_of
from twg.auth.ages import Uptime
from twg.auth.signin import Identity, People, SignIn
from twg.errors import StoreUnwritable
from twg.products import atlassian, presets
from twg.sandbox.people import CLIENT_ID
from twg.vault import Credential, Endpoints, Provider, Tokens

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from anyio.abc import SocketStream

    from guard.custody import Custody
    from guard.secret import Secret
    from tests.oauth.servers import Reply
    from twg.http import Http
    from twg.vault import CredentialStore, SealedStore

LIFETIME = 3600.0
NOW = 1_900_000_000.0
"""A moment at which the tests' clock stands; the servers' own clocks play no part."""
FRESH = NOW + 0.74 * LIFETIME
DUE = NOW + 0.76 * LIFETIME
EXPIRED = NOW + LIFETIME
TOKEN = "/oauth/token"


@dataclass(frozen=True)
class Sandbox(SandboxHandle):
    """A sandbox that many tests share; each sees only what came of its own doing.

    Attributes:
        before: Secrets it had handed out before this test.
        renewals_before: Renewals it had granted before.
    """

    before: frozenset[str]
    renewals_before: int

    @classmethod
    async def as_it_is(cls, handle: SandboxHandle) -> Sandbox:
        """Return the sandbox for a test that begins now."""
        before = frozenset(await handle.issued())
        return cls(handle.status, handle.state_dir, before, await _renewals(handle))

    async def issued(self, kind: str | None = None) -> list[str]:
        return [value for value in await super().issued(kind) if value not in self.before]

    async def renewals(self) -> int:
        """How many renewals it granted in this test."""
        return await _renewals(self) - self.renewals_before

    async def living(self) -> set[str]:
        """Return the tokens of this test that it still takes."""
        issued = [*await self.issued("access"), *await self.issued("refresh")]
        return {token for token in issued if await self.token_active(token)}


async def _renewals(handle: SandboxHandle) -> int:
    return int((await handle.stats())["grants"].get("refresh_token", 0))


def provider_at(url: str, **changes: Any) -> Provider:
    """Return a provider whose endpoints are where the sandbox has them, at `url`."""
    provider = Provider(
        name="sandbox",
        issuer=url,
        client_id=CLIENT_ID,
        endpoints=Endpoints(
            authorization=f"{url}/authorize",
            token=f"{url}/oauth/token",
            device=f"{url}/oauth/device/code",
            revocation=f"{url}/oauth/revoke",
            userinfo=f"{url}/userinfo",
        ),
        scopes=presets.load("atlassian").scopes,
        api_base=url,
        iss_required=True,
    )
    return replace(provider, **changes)


def credential_at(url: str, profile: str = "default", **changes: Any) -> Credential:
    """Return a credential with made-up tokens of `provider_at(url)`, issued at `NOW`."""
    custody = custody_of(Ear())
    credential = Credential(
        profile=profile,
        provider=provider_at(url),
        tokens=Tokens(
            access=custody.take("access-made-up-0", "access-token"),
            refresh=custody.take("refresh-made-up-0", "refresh-token"),
            scopes=("read:me",),
            issued_at=NOW,
            expires_in=LIFETIME,
        ),
        signed_in_at=NOW,
        refreshed_at=NOW,
    )
    return replace(credential, **changes)


async def issued_by(sandbox: SandboxHandle, profile: str = "default") -> Credential:
    """Return a credential with tokens that the sandbox has just issued, as of `NOW`."""
    async with Visitor(sandbox.url) as visitor:
        answer = (await visitor.quick_tokens()).json()
    custody = custody_of(Ear())
    tokens = Tokens(
        access=custody.take(answer["access_token"], "access-token"),
        refresh=custody.take(answer["refresh_token"], "refresh-token"),
        scopes=tuple(answer["scope"].split()),
        issued_at=NOW,
        expires_in=float(answer["expires_in"]),
    )
    return credential_at(sandbox.url, profile, tokens=tokens)


def token_answer(number: int, **changes: Any) -> dict[str, Any]:
    """Return a token endpoint's answer, its tokens numbered."""
    answer = {
        "access_token": f"access-made-up-{number}",
        "refresh_token": f"refresh-made-up-{number}",
        "token_type": "Bearer",
        "expires_in": LIFETIME,
    }
    return answer | changes


def both_tokens(credential: Credential) -> set[str]:
    """Return the values of a credential's tokens."""
    return {plain(credential.tokens.access), plain(credential.tokens.refresh)}


def access_of(credential: Credential) -> str:
    return plain(credential.tokens.access)


def plain(secret: Secret | None) -> str:
    """Return a secret's value, for comparing."""
    return "" if secret is None else secret.reveal("compare in a test")


async def stored(store: CredentialStore, profile: str = "default") -> Credential:
    """Return the credential that is in the store; fail if there is none."""
    credential = await store.read(profile)
    assert credential is not None
    return credential


@dataclass
class Gate:
    """A reply that waits: it tells when the request is there, and goes on when it is let.

    Attributes:
        reply: What is replied then.
    """

    reply: Reply
    arrived: anyio.Event = field(default_factory=anyio.Event)
    opened: anyio.Event = field(default_factory=anyio.Event)

    async def reached(self) -> None:
        """Wait until the request is there."""
        with anyio.fail_after(60):
            await self.arrived.wait()

    async def __call__(self, stream: SocketStream) -> None:
        self.arrived.set()
        await self.opened.wait()
        await self.reply(stream)


class FullStore:
    """A real store whose saving can be made to fail, as on a disk that has just become full.

    Args:
        store: The real one.
    """

    def __init__(self, store: SealedStore) -> None:
        self._store = store
        self.full = False
        self.peek = store.peek
        self.read = store.read
        self.remove = store.remove
        self.lease = store.lease

    async def save(self, credential: Credential, *, expected: int | None) -> Credential:
        if self.full:
            raise StoreUnwritable("no space left on device")
        return await self._store.save(credential, expected=expected)

    async def prove_replaceable(self) -> None:
        if self.full:
            raise StoreUnwritable("no space left on device")
        await self._store.prove_replaceable()


class Clock:
    """A wall clock that is set by hand.

    Attributes:
        now: What it shows; setting it lets as much time pass.
        wrong: How far it is ahead of the truth; setting this lets no time pass.
    """

    def __init__(self, now: float = NOW) -> None:
        self.now = now
        self.wrong = 0.0

    def __call__(self) -> float:
        return self.now + self.wrong

    @property
    def uptime(self) -> Uptime:
        """The uptime that goes with it, of a run of the machine without a name."""
        return Uptime(now=lambda: self.now, boot_id=None)


@dataclass
class Told:
    """A narrator that remembers what it told, and whom tests can wait for."""

    lines: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)
    codes: list[tuple[str, str | None, str]] = field(default_factory=list)
    waits: list[tuple[str, float]] = field(default_factory=list)
    address_shown: anyio.Event = field(default_factory=anyio.Event)
    code_shown: anyio.Event = field(default_factory=anyio.Event)

    def say(self, line: str) -> None:
        self.lines.append(line)

    def show_address(self, url: str) -> None:
        self.addresses.append(url)
        self.address_shown.set()

    def show_code(self, uri: str, complete: str | None, code: str) -> None:
        self.codes.append((uri, complete, code))
        self.code_shown.set()

    @asynccontextmanager
    async def waiting(self, what: str, seconds: float) -> AsyncIterator[None]:
        self.waits.append((what, seconds))
        yield

    async def address(self) -> str:
        """Return the first address, once there is one."""
        with anyio.fail_after(30):
            await self.address_shown.wait()
        return self.addresses[0]

    async def code(self) -> tuple[str, str | None, str]:
        """Return the first code with its addresses, once there is one."""
        with anyio.fail_after(30):
            await self.code_shown.wait()
        return self.codes[0]


async def identify(http: Http, provider: Provider, access: Secret) -> Identity:
    return Identity(
        account=await atlassian.account_of(http, provider, access),
        sites=await atlassian.sites_of(http, provider, access),
    )


def sign_in_of(
    store: CredentialStore,
    http: Http,
    custody: Custody,
    told: Told,
    *,
    paste: Callable[[], Awaitable[Secret]] | None = None,
    identify: Callable[[Http, Provider, Secret], Awaitable[Identity]] = identify,
    wait_seconds: float = 60.0,
) -> SignIn:
    """Return a sign-in whose person is the test."""
    return SignIn(
        store=store,
        http=http,
        custody=custody,
        people=People(narrator=told, paste=paste, environ={"PATH": search_path()}),
        identify=identify,
        wait_seconds=wait_seconds,
        clock=lambda: NOW,
    )


async def come_back(told: Told, **parameters: str) -> httpx.Response:
    """Go to the redirect address with a made-up code, as a server without pages would send one."""
    asked = parse_qs(urlsplit(await told.address()).query)
    answer = urlencode({"code": "made-up-code", "state": asked["state"][0]} | parameters)
    return await walk(f"{asked['redirect_uri'][0]}?{answer}")


async def walk(url: str) -> httpx.Response:
    """Open `url` as a browser does and go where it is sent; return the last page."""
    async with httpx.AsyncClient(trust_env=False, timeout=30, follow_redirects=True) as browser:
        return await browser.get(url)
