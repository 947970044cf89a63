"""What a person lets agents do, as it is kept: sealed, so that nobody changes it unnoticed."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - records.py reads these annotations at run time
from dataclasses import dataclass, field
from types import MappingProxyType

from twg.vault.credential import (
    ProviderSummary,  # noqa: TC001 - records.py reads these annotations at run time
)
from twg.vault.header import (
    KeyLocation,  # noqa: TC001 - records.py reads these annotations at run time
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A person's leave for agents, for a time. What is None is not restricted.

    Attributes:
        id: Its name, by which it is revoked.
        access: What it allows: ``write`` or ``delete``.
        service: The one service.
        site: The one site's host.
        project: The one project's or space's key.
        path: What paths begin with.
        account: The one profile whose sign-in is used.
        seconds: For how long.
        calls: How many calls at most.
        used: How many calls there were.
        granted_at: When, in Unix seconds.
        boottime: When, by the clock of that run of the machine; None where that is not known.
        boot_id: That run of the machine.
        generation: Raised by every save; 0 before the first one.
    """

    id: str
    access: str
    service: str | None = None
    site: str | None = None
    project: str | None = None
    path: str | None = None
    account: str | None = None
    seconds: float
    calls: int | None = None
    used: int = 0
    granted_at: float
    boottime: float | None = None
    boot_id: str | None = None
    generation: int = 0

    @property
    def profile(self) -> str:
        """The name it is kept under."""
        return self.id

    @property
    def summary(self) -> Grant:
        """The part that may stand in clear: all of it."""
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantHeader:
    """What stands in clear of the grants' file, as `Header` of the personal credentials'.

    Attributes:
        key: Where the sealing key lives; None where there is no file yet.
        active: Means nothing here: the file's format has it.
        profiles: The grants by their names.
        providers: None, ever: likewise.
        generation: Raised by every change of the file.
    """

    key: KeyLocation | None = None
    active: str | None = None
    profiles: Mapping[str, Grant] = field(default_factory=dict)
    providers: Mapping[str, ProviderSummary] = field(default_factory=dict)
    generation: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "profiles", MappingProxyType(dict(self.profiles)))
