"""What the server has seen and issued since it started: counted for people, searched by tests.

Issued values live in memory only, so that no file of the sandbox holds a token.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Issued:
    """One secret that was handed out."""

    kind: str
    value: str
    username: str


class Observations:
    """Counters and the list of issued secrets; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[str] = Counter()
        self._grants: Counter[str] = Counter()
        self._issued: list[Issued] = []
        self._refresh_reuse = 0
        self._revocations = 0
        self._last_state: str | None = None

    def request(self, endpoint: str) -> None:
        """Count a request to `endpoint`, as in `POST /oauth/token`."""
        with self._lock:
            self._requests[endpoint] += 1

    def grant(self, grant_type: str) -> None:
        """Count tokens issued for `grant_type`."""
        with self._lock:
            self._grants[grant_type] += 1

    def issued(self, kind: str, value: str, username: str) -> None:
        """Remember that `value` was handed out."""
        with self._lock:
            self._issued.append(Issued(kind, value, username))

    def refresh_reused(self) -> None:
        """Count a rotated refresh token that was presented again."""
        with self._lock:
            self._refresh_reuse += 1

    def revoked(self) -> None:
        """Count a revocation that was asked for and done."""
        with self._lock:
            self._revocations += 1

    def swap_state(self, state: str) -> str | None:
        """Return the `state` of the authorization before, remembering this one."""
        with self._lock:
            before, self._last_state = self._last_state, state
        return before

    def stats(self) -> dict[str, Any]:
        """Return the counters as the JSON document of `/sandbox/stats`."""
        with self._lock:
            return {
                "sandbox": True,
                "requests": dict(sorted(self._requests.items())),
                "grants": dict(sorted(self._grants.items())),
                "refresh_reuse": self._refresh_reuse,
                "revocations": self._revocations,
            }

    def all_issued(self) -> list[dict[str, str]]:
        """Return every secret handed out since the server started, oldest first."""
        with self._lock:
            return [
                {"kind": one.kind, "value": one.value, "person": one.username}
                for one in self._issued
            ]
