"""Asks a running sandbox what it has seen and done: the other side's view, for demo and tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twg.http import Http
    from twg.sandbox.control import SandboxStatus


class Observer:
    """What only the server knows.

    Args:
        running: The sandbox.
        http: What requests go through.
    """

    def __init__(self, running: SandboxStatus, http: Http) -> None:
        self._url = running.url
        self._headers = {"X-Sandbox-Control": running.control}
        self._http = http

    async def granted(self, grant_type: str) -> int:
        """Return how many token requests of this grant type were answered with tokens."""
        return int((await self._ask("GET", "/sandbox/stats"))["grants"].get(grant_type, 0))

    async def issued(self, kind: str | None = None) -> list[str]:
        """Return every secret handed out since the start, oldest first; only of `kind` if given."""
        found = (await self._ask("GET", "/sandbox/issued"))["issued"]
        return [one["value"] for one in found if kind in {None, one["kind"]}]

    async def is_active(self, token: str) -> bool:
        """Tell whether the server would still take this very token."""
        return bool((await self._ask("POST", "/sandbox/token-status", {"token": token}))["active"])

    async def expire(self) -> int:
        """Let every access token expire now; return how many did."""
        return int((await self._ask("POST", "/sandbox/expire", {"kind": "access"}))["expired"])

    async def _ask(self, method: str, path: str, form: Mapping[str, str] | None = None) -> Any:
        answer = await self._http.request(
            method, self._url + path, headers=self._headers, form=form, limit=16 * 1024 * 1024
        )
        return answer.json()
