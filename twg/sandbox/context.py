"""What every part of the running server is given."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from twg.sandbox.faults import Faults
    from twg.sandbox.minting import Mint
    from twg.sandbox.observations import Observations
    from twg.sandbox.storage import Storage

REFRESH_IDLE_SECONDS: Final = 30 * 24 * 3600
DEFAULT_TTL: Final = 3600


@dataclass(frozen=True)
class Options:
    """How a sandbox was asked to behave.

    Attributes:
        ttl: Lifetime of access tokens in seconds.
        leeway: For how many seconds a rotated refresh token is still taken.
        auto_approve: The server plays the person.
        faults: The words given to `--fault`.
    """

    ttl: int = DEFAULT_TTL
    leeway: int = 0
    auto_approve: bool = False
    faults: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the options as JSON."""
        return {
            "ttl": self.ttl,
            "leeway": self.leeway,
            "auto_approve": self.auto_approve,
            "faults": list(self.faults),
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Options:
        """Read what `as_dict` wrote."""
        return cls(
            ttl=int(document["ttl"]),
            leeway=int(document["leeway"]),
            auto_approve=bool(document["auto_approve"]),
            faults=tuple(document["faults"]),
        )


@dataclass(frozen=True)
class Sandbox:
    """One running sandbox: its address, options, state and what it has seen.

    Attributes:
        repositories: Where its git server keeps them.
        control: The secret that opens `/sandbox/issued`, `/sandbox/expire`, `/sandbox/faults` and
            `/sandbox/stop`.
    """

    port: int
    options: Options
    storage: Storage
    repositories: Path
    faults: Faults
    mint: Mint
    control: str = field(repr=False)
    observations: Observations

    @property
    def issuer(self) -> str:
        """The issuer identifier, which is also the base of every endpoint."""
        return f"http://127.0.0.1:{self.port}"
