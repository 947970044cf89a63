"""A real sandbox for a test: its own process, its own state, an ephemeral port, gone at the end."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from secrets import token_urlsafe
from threading import Thread
from typing import TYPE_CHECKING, Any

import httpx
from anyio import to_thread

from guard.files import ensure_private_directory, replace_private
from twg import sandbox
from twg.sandbox import server
from twg.sandbox.context import Options

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@dataclass(frozen=True)
class SandboxHandle:
    """A running sandbox and what a test may ask it.

    Attributes:
        status: As `twg sandbox status` sees it.
        state_dir: What the program under test would have as `TWG_STATE_DIR`.
    """

    status: sandbox.SandboxStatus
    state_dir: Path

    @property
    def url(self) -> str:
        """Base address and issuer."""
        return self.status.url

    async def stats(self) -> dict[str, Any]:
        """What the server counted so far."""
        return await self._get("/sandbox/stats")

    async def issued(self, kind: str | None = None) -> list[str]:
        """Every secret handed out since the start, oldest first; only those of `kind` if given.

        Kinds: access, refresh, code, device_code, client_secret, bitbucket, admin.
        """
        answer = await self._get("/sandbox/issued")
        return [one["value"] for one in answer["issued"] if kind in {None, one["kind"]}]

    async def token_active(self, token: str) -> bool:
        """Whether the server would still take this very token."""
        answer = await self._post("/sandbox/token-status", {"token": token})
        return bool(answer["active"])

    async def expire(self, kind: str = "access") -> int:
        """Let every token of `kind` expire now; return how many did."""
        answer = await self._post("/sandbox/expire", {"kind": kind})
        return int(answer["expired"])

    async def misbehave(self, *faults: str) -> None:
        """Let it show these faults from now on, and no others; none at all without any."""
        await self._post("/sandbox/faults", {"faults": " ".join(faults)})

    async def _get(self, path: str) -> dict[str, Any]:
        return await self._ask("GET", path, None)

    async def _post(self, path: str, form: dict[str, str]) -> dict[str, Any]:
        return await self._ask("POST", path, form)

    async def _ask(self, method: str, path: str, form: dict[str, str] | None) -> dict[str, Any]:
        headers = {"X-Sandbox-Control": self.status.control}
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.request(method, self.url + path, data=form, headers=headers)
        answer.raise_for_status()
        document: dict[str, Any] = answer.json()
        return document


@asynccontextmanager
async def running_sandbox(tmp_path: Path, **options: Any) -> AsyncIterator[SandboxHandle]:
    """Run a sandbox in `tmp_path / "state"`; `options` are those of `twg.sandbox.start`."""
    state_dir = tmp_path / "state"
    status = await sandbox.start(state_dir, **options)
    try:
        yield SandboxHandle(status, state_dir)
    finally:
        await sandbox.stop(state_dir)


@asynccontextmanager
async def threaded_sandbox(tmp_path: Path, **options: Any) -> AsyncIterator[SandboxHandle]:
    """Run a sandbox in `tmp_path / "state"`, in a thread, for a test that asks only the server.

    The import of the server, which is here already, is most of what a process takes to start.
    """
    state_dir = tmp_path / "state"
    directory = state_dir / "sandbox"
    ensure_private_directory(state_dir)
    ensure_private_directory(directory)
    with closing(server.open_socket(None, None)) as listener:
        port, database = listener.getsockname()[1], directory / "sandbox.sqlite3"
        opened = server.open_sandbox(database, Options(**options), port, token_urlsafe())
        described = server.describe(opened) | {"started_at": datetime.now(UTC).isoformat()}
        replace_private(directory / "state.json", json.dumps(described).encode())
        serving = server.Serving(opened, listener)
        with closing(opened.storage):
            thread = Thread(target=serving.run)
            thread.start()
            try:
                status = await sandbox.status(state_dir)
                assert status is not None
                yield SandboxHandle(status, state_dir)
            finally:
                serving.stop()
                await to_thread.run_sync(thread.join)
