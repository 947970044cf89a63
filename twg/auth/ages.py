"""How old access tokens are, by a clock that nobody sets; the wall clock is the last resort."""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from twg.auth.safekeeping import same
from twg.vault.credential import DUE_AFTER

if TYPE_CHECKING:
    from collections.abc import Callable

    from guard.secret import Secret
    from twg.vault import Credential, CredentialSummary

_SKEW: Final = 60.0
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_SLEEP_COUNTS: Final = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))
"""The clock that goes on while the machine sleeps, Linux's or macOS's; None if there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Uptime:
    """The clock of this run of the machine: it counts its sleep too, and nobody sets it.

    Attributes:
        now: Seconds since some moment of this run.
        boot_id: Names the run, so that another process knows it for the same; None if unknown.
    """

    now: Callable[[], float]
    boot_id: str | None

    def dated(self, summary: CredentialSummary, wall: float) -> CredentialSummary:
        """Return a summary with its times as a wall clock that says `wall` would have told them."""
        return summary.on_clock(wall, self.now(), self.boot_id)


@functools.cache
def this_uptime() -> Uptime:
    """Return this machine's."""
    if _SLEEP_COUNTS is None:
        return Uptime(now=time.monotonic, boot_id=None)
    return Uptime(now=functools.partial(time.clock_gettime, _SLEEP_COUNTS), boot_id=_boot_id())


def _boot_id() -> str | None:
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip() or None
    except (OSError, ValueError):
        return None


class Stamp(NamedTuple):
    """A moment on both clocks: on the wall, and on this run's of the machine."""

    wall: float
    uptime: float
    boot_id: str | None

    @property
    def boottime(self) -> float | None:
        """The uptime, where another process can tell which run it is of."""
        return None if self.boot_id is None else self.uptime


class Ages:
    """Tells fresh tokens from due and expired ones.

    Each token is dated once, when it is first seen; from then on only the uptime counts.

    Args:
        wall: The wall clock, in Unix seconds.
        uptime: The clock that nobody sets.
    """

    def __init__(self, wall: Callable[[], float], uptime: Uptime) -> None:
        self._wall = wall
        self._uptime = uptime
        self._births: dict[str, tuple[Secret, float | None]] = {}

    def stamp(self) -> Stamp:
        """Return this moment."""
        return Stamp(self._wall(), self._uptime.now(), self._uptime.boot_id)

    def is_expired(self, credential: Credential) -> bool:
        """Tell whether the access token's lifetime is over."""
        lifetime, age = credential.tokens.expires_in, self._age(credential)
        return lifetime is not None and age is not None and age >= lifetime

    def is_due(self, credential: Credential) -> bool:
        """Tell whether the access token should be renewed and there is something to do it with."""
        lifetime = credential.tokens.expires_in
        if lifetime is None or credential.tokens.refresh is None:
            return False
        age = self._age(credential)
        # Nobody knows how old: then it is handed out, and renewed beside.
        return age is None or age >= DUE_AFTER * lifetime

    def issued(self, access: Secret, profile: str, when: Stamp) -> None:
        """Remember that the profile's access token came at `when`."""
        self._births[profile] = (access, when.uptime)

    def _age(self, credential: Credential) -> float | None:
        access = credential.tokens.access
        dated, birth = self._births.get(credential.profile, (None, None))
        if dated is not access:
            if not same(dated, access):
                birth = self._birth(credential)
            self._births[credential.profile] = (access, birth)
        return None if birth is None else self._uptime.now() - birth

    def _birth(self, credential: Credential) -> float | None:
        """Return when it was issued, on the uptime; None if it seems to be from the future."""
        tokens, now = credential.tokens, self.stamp()
        told = tokens.issued_boottime
        if told is not None and now.boot_id == tokens.boot_id is not None and told <= now.uptime:
            return told
        age = now.wall - tokens.issued_at
        # Issued in the future: the clock was set back since, so nobody knows how old it is.
        return None if age < -_SKEW else now.uptime - age
