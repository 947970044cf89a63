"""What a sign-in leaves behind: plain values, with no I/O and no secret outside a `Secret`."""

from __future__ import annotations

import math
from collections.abc import Mapping  # noqa: TC003 - records.py reads these annotations at run time
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

from guard.secret import Secret  # noqa: TC001 - records.py reads these annotations at run time

DUE_AFTER: Final = 0.75
IDLE_DAYS: Final = 30.0
_SECONDS_A_DAY: Final = 86_400.0
_STEP: Final = 2.0
"""By how many seconds a wall clock is off at least that was set, and did not only drift."""
_DEFAULT_PORTS: Final = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The person, as the provider names them."""

    id: str
    name: str | None = None
    email: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A site the person consented to.

    Attributes:
        host: Such as ``example.atlassian.net``.
        cloud_id: The site's id in API paths.
        name: Its name for people.
        scopes: What was consented to there.
    """

    host: str
    cloud_id: str
    name: str | None = None
    scopes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """An authorization server's URLs (RFC 8414 section 2); None for what it does not have."""

    authorization: str
    token: str
    device: str | None = None
    revocation: str | None = None
    registration: str | None = None
    userinfo: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSummary:
    """The part of a provider that may stand in clear.

    Attributes:
        name: The name it goes by here.
        issuer: Its issuer identifier.
        client_id: Our client's id there.
        confidential: Whether there is a client secret.
        registered: The client id came by dynamic registration (RFC 7591).
        endpoints: Its URLs.
        redirect_uri: The fixed redirect URI, if it needs one.
        scopes: What is asked for.
        resource: The resource indicator (RFC 8707), if any.
        api_base: Where its API is.
    """

    name: str
    issuer: str
    client_id: str
    confidential: bool
    registered: bool
    endpoints: Endpoints
    redirect_uri: str | None
    scopes: tuple[str, ...]
    resource: str | None
    api_base: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """An OAuth 2.1 server and our client at it.

    Attributes:
        name: The name it goes by here.
        issuer: Its issuer identifier (RFC 8414 section 2).
        client_id: Our client's id there.
        client_secret: Our client's secret; None for a public client.
        endpoints: Its URLs.
        redirect_uri: The redirect URI where it compares to the letter; None for any loopback port.
        scopes: What is asked for.
        resource: The resource indicator (RFC 8707), sent at sign-in and at every renewal.
        api_base: Where its API is.
        registered: The client id came by dynamic registration (RFC 7591).
        authorize_params: Further authorization parameters, such as ``audience`` and ``prompt``.
        token_auth_method: ``none``, ``client_secret_basic`` or ``client_secret_post``.
        token_body: ``form`` (RFC 6749) or ``json``.
        iss_required: An authorization response without ``iss`` (RFC 9207) is refused.
    """

    name: str
    issuer: str
    client_id: str
    client_secret: Secret | None = None
    endpoints: Endpoints
    redirect_uri: str | None = None
    scopes: tuple[str, ...] = ()
    resource: str | None = None
    api_base: str
    registered: bool = False
    authorize_params: Mapping[str, str] = field(default_factory=dict)
    token_auth_method: str = "none"  # noqa: S105 - the name of a method
    token_body: str = "form"  # noqa: S105 - the name of an encoding
    iss_required: bool = False

    def __post_init__(self) -> None:
        frozen = MappingProxyType(dict(self.authorize_params))
        object.__setattr__(self, "authorize_params", frozen)

    @property
    def hosts(self) -> frozenset[str]:
        """The origins its tokens may go to, such as ``https://auth.example.com:443``."""
        used = (
            self.endpoints.token,
            self.endpoints.device,
            self.endpoints.revocation,
            self.endpoints.userinfo,
            self.api_base,
        )
        return frozenset(origin_of(url) for url in used if url is not None)

    @property
    def summary(self) -> ProviderSummary:
        """The part that may stand in clear."""
        return ProviderSummary(
            name=self.name,
            issuer=self.issuer,
            client_id=self.client_id,
            confidential=self.client_secret is not None,
            registered=self.registered,
            endpoints=self.endpoints,
            redirect_uri=self.redirect_uri,
            scopes=self.scopes,
            resource=self.resource,
            api_base=self.api_base,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """A token response (RFC 6749 section 5.1).

    Attributes:
        access: The access token.
        refresh: The refresh token, if there is one.
        token_type: As the server said, such as ``Bearer``.
        scopes: What was granted.
        issued_at: When it came, in Unix seconds.
        expires_in: The access token's lifetime in seconds as the server said; None if it did not.
        boot_id: The run of this machine, from its start on, during which it came, if known.
        issued_boottime: When it came on that run's clock, in seconds; nobody sets that one.

    Raises:
        ValueError: A time that is not a finite number.
    """

    access: Secret
    refresh: Secret | None = None
    token_type: str = "Bearer"  # noqa: S105 - the name of a kind
    scopes: tuple[str, ...] = ()
    issued_at: float
    expires_in: float | None = None
    boot_id: str | None = None
    issued_boottime: float | None = None

    def __post_init__(self) -> None:
        # JSON has no word for them, so they would only be noticed when the token is to be saved.
        times = (self.issued_at, self.expires_in or 0.0, self.issued_boottime or 0.0)
        if not math.isfinite(sum(times)):
            raise ValueError("a token's times must be finite numbers")

    @property
    def expires_at(self) -> float | None:
        """When the access token ends, in Unix seconds; None if the server did not say."""
        return None if self.expires_in is None else self.issued_at + self.expires_in

    @property
    def due_at(self) -> float | None:
        """When 75 % of the access token's lifetime have passed; None if it has no end."""
        return None if self.expires_in is None else self.issued_at + DUE_AFTER * self.expires_in


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialSummary:
    """What of a credential stands in the clear header: who, where, how fresh; never a secret.

    Times are Unix seconds; see `Credential` and `Tokens` for what each means.
    """

    profile: str
    provider: str
    issuer: str
    account: Account | None
    sites: tuple[Site, ...]
    site: str | None
    scopes: tuple[str, ...]
    issued_at: float
    expires_at: float | None
    due_at: float | None
    lapses_at: float | None
    signed_in_at: float
    refreshed_at: float
    generation: int
    refused: str | None
    renewable: bool
    boot_id: str | None = None
    issued_boottime: float | None = None

    def on_clock(self, wall: float, uptime: float, boot_id: str | None) -> CredentialSummary:
        """Return it with its tokens' times as this wall clock would have told them.

        Where they came during this run of the machine, the run's clock knows how old they are,
        whatever the wall clock has been set to since.

        Args:
            wall: The wall clock now, in Unix seconds.
            uptime: The clock of this run now, in seconds.
            boot_id: Names this run, if known.
        """
        born = self.issued_boottime
        if boot_id is None or boot_id != self.boot_id or born is None or born > uptime:
            return self
        step = wall - (uptime - born) - self.issued_at
        if abs(step) < _STEP:
            return self
        return replace(
            self,
            issued_at=self.issued_at + step,
            refreshed_at=self.refreshed_at + step,
            expires_at=None if self.expires_at is None else self.expires_at + step,
            due_at=None if self.due_at is None else self.due_at + step,
            lapses_at=None if self.lapses_at is None else self.lapses_at + step,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """One person's sign-in at one provider.

    Attributes:
        profile: The name it is kept under.
        provider: The provider as it was at sign-in: its endpoints are pinned here.
        tokens: What the provider issued.
        account: Who signed in; None if the provider does not say.
        sites: The sites consented to.
        site: The host of the default site.
        signed_in_at: When the person signed in, in Unix seconds.
        refreshed_at: When tokens were last issued, in Unix seconds.
        used_at: When its refresh token was last sent without the answer being saved, in Unix
            seconds; None where nothing is in doubt.
        idle_days: Days without a renewal after which the refresh token lapses; None for never.
        generation: Raised by every save and never reused by a store; 0 before the first one.
        refused: Why the provider refused this refresh token; kept for `logout`.
    """

    profile: str
    provider: Provider
    tokens: Tokens
    account: Account | None = None
    sites: tuple[Site, ...] = ()
    site: str | None = None
    signed_in_at: float
    refreshed_at: float
    used_at: float | None = None
    idle_days: float | None = IDLE_DAYS
    generation: int = 0
    refused: str | None = None

    @property
    def expires_at(self) -> float | None:
        """When the access token ends, in Unix seconds; None if the server did not say."""
        return self.tokens.expires_at

    @property
    def due_at(self) -> float | None:
        """When the access token should be renewed, in Unix seconds; None for never."""
        return self.tokens.due_at

    @property
    def lapses_at(self) -> float | None:
        """When the refresh token lapses from inactivity, in Unix seconds; None for never."""
        if self.tokens.refresh is None or self.idle_days is None:
            return None
        return self.refreshed_at + self.idle_days * _SECONDS_A_DAY

    @property
    def hosts(self) -> frozenset[str]:
        """The origins its tokens may go to."""
        return self.provider.hosts

    @property
    def summary(self) -> CredentialSummary:
        """The part that may stand in clear."""
        return CredentialSummary(
            profile=self.profile,
            provider=self.provider.name,
            issuer=self.provider.issuer,
            account=self.account,
            sites=self.sites,
            site=self.site,
            scopes=self.tokens.scopes,
            issued_at=self.tokens.issued_at,
            expires_at=self.expires_at,
            due_at=self.due_at,
            lapses_at=self.lapses_at,
            signed_in_at=self.signed_in_at,
            refreshed_at=self.refreshed_at,
            generation=self.generation,
            refused=self.refused,
            renewable=self.tokens.refresh is not None,
            boot_id=self.tokens.boot_id,
            issued_boottime=self.tokens.issued_boottime,
        )

    def with_identity(
        self, *, account: Account | None, sites: tuple[Site, ...], site: str | None
    ) -> Credential:
        """Return it with who signed in and where they may go."""
        return replace(self, account=account, sites=sites, site=site)

    def as_refused(self, why: str) -> Credential:
        """Return it marked: the provider refused this refresh token."""
        return replace(self, refused=why)


def origin_of(url: str) -> str:
    """Return scheme, host and port of `url`, the port always spelt out."""
    parts = urlsplit(url)
    name = parts.hostname or ""
    host = f"[{name}]" if ":" in name else name
    port = _DEFAULT_PORTS.get(parts.scheme) if parts.port is None else parts.port
    return f"{parts.scheme}://{host}:{port}"
