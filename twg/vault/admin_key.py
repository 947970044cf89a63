"""An organization's Admin API key as it is kept: in a file of its own, beside no sign-in."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - records.py reads these annotations at run time
from dataclasses import dataclass, field
from types import MappingProxyType

from guard.secret import Secret  # noqa: TC001 - records.py reads these annotations at run time
from twg.vault.credential import (
    ProviderSummary,  # noqa: TC001 - records.py reads these annotations at run time
    origin_of,
)
from twg.vault.header import (
    KeyLocation,  # noqa: TC001 - records.py reads these annotations at run time
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminKeySummary:
    """The part that may stand in clear; see `AdminKey` for what each means."""

    org: str
    name: str | None
    email: str
    api_base: str
    saved_at: float
    expires_at: float | None
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminKey:
    """An API key that an organization admin made, and the organization that it is good for.

    Attributes:
        org: The organization's ID.
        key: The key itself.
        name: What the organization is called.
        email: Who entered it; no part of what is sent.
        api_base: Where it was checked; it goes to that origin and to no other.
        saved_at: When it was entered here, in Unix seconds.
        expires_at: When it ends, in Unix seconds; None where that was not told.
        generation: Raised by every save and never reused by a store; 0 before the first one.
    """

    org: str
    key: Secret
    name: str | None = None
    email: str
    api_base: str
    saved_at: float
    expires_at: float | None = None
    generation: int = 0

    @property
    def profile(self) -> str:
        """The name it is kept under."""
        return self.org

    @property
    def hosts(self) -> frozenset[str]:
        """The origin that it may go to, such as ``https://api.atlassian.com:443``."""
        return frozenset({origin_of(self.api_base)})

    @property
    def summary(self) -> AdminKeySummary:
        """The part that may stand in clear."""
        return AdminKeySummary(
            org=self.org,
            name=self.name,
            email=self.email,
            api_base=self.api_base,
            saved_at=self.saved_at,
            expires_at=self.expires_at,
            generation=self.generation,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminHeader:
    """What stands in clear of the admin keys' file, as `Header` of the personal credentials'.

    Attributes:
        key: Where the sealing key lives; None where there is no file yet.
        active: The ID of the organization that is used, if there is one.
        profiles: Summaries by organization.
        providers: None, ever: the file's format has them.
        generation: Raised by every change of the file.
    """

    key: KeyLocation | None = None
    active: str | None = None
    profiles: Mapping[str, AdminKeySummary] = field(default_factory=dict)
    providers: Mapping[str, ProviderSummary] = field(default_factory=dict)
    generation: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "profiles", MappingProxyType(dict(self.profiles)))
