"""A real authorization server that is not ours: npm's oidc-provider, one process a test."""

from __future__ import annotations

import json
import os
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import httpx

from tests.rigs.parts import missing, program
from tests.rigs.programs import line_with, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SERVER = Path(__file__).parent / "oidc_provider" / "server.mjs"
PUBLIC_CLIENT = "rig-public"
CONFIDENTIAL_CLIENT = "rig-confidential"
CLIENT_SECRET = "made-up-client-secret-of-the-rig"


@dataclass(frozen=True)
class OidcRig:
    """A running oidc-provider, and what it alone knows.

    It signs in any name with any password. Its clients `rig-public` and `rig-confidential` (secret:
    `CLIENT_SECRET`) take `http://127.0.0.1:ANY/callback`. A refresh token is given with the scope
    `offline_access` and `prompt=consent`, is used once, and its reuse ends the whole grant.
    """

    issuer: str

    async def issued(self) -> frozenset[str]:
        """Every code, token and client secret it has made so far, dead or alive."""
        return frozenset(await self._ask("GET", "/rig/issued"))

    async def active(self, token: str) -> bool:
        """Whether it still honours this token or code."""
        answer = await self._ask("POST", "/rig/active", {"token": token})
        return bool(answer["active"])

    async def stats(self) -> dict[str, Any]:
        """Requests so far: `{"routes": {name: n}, "grants": {type: {"granted": n, "refused": n}}}`.

        Routes are named `authorization`, `token`, `device_authorization`, `revocation`,
        `registration`, `userinfo`, `discovery`.
        """
        answer: dict[str, Any] = await self._ask("GET", "/rig/stats")
        return answer

    async def granted(self, grant_type: str) -> int:
        """How many token requests of this grant type it has answered with tokens."""
        grants = (await self.stats())["grants"]
        return int(grants.get(grant_type, {}).get("granted", 0))

    async def _ask(self, method: str, path: str, body: dict[str, str] | None = None) -> Any:
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.request(method, self.issuer + path, json=body)
        answer.raise_for_status()
        return answer.json()


@asynccontextmanager
async def oidc_provider(
    *, port: int = 0, access_token_ttl: int = 3600, device_code_ttl: int = 600
) -> AsyncIterator[OidcRig]:
    """Run the server on loopback for as long as the context lasts; lifetimes are in seconds.

    Skips the test where Node or the server's packages are missing.
    """
    node = await _node()
    options = {
        "port": port,
        "accessTokenTtl": access_token_ttl,
        "deviceCodeTtl": device_code_ttl,
    }
    env = {"PATH": os.environ["PATH"], "RIG_CLIENT_SECRET": CLIENT_SECRET}
    async with running([node, str(SERVER), json.dumps(options)], env) as process:
        yield OidcRig(json.loads(await line_with(process, "issuer"))["issuer"])


async def _node() -> str:
    """Return the path of a Node that can run the server, with the server's packages there."""
    node = program("node")
    if not (SERVER.parent / "node_modules").is_dir():
        missing("oidc-provider is not installed: run npm ci in tests/rigs/oidc_provider")
    # Asked for what it can do: the server needs URL.parse, which came late into Node 20.
    able = "process.exit(typeof URL.parse === 'function' ? 0 : 1)"
    if (await anyio.run_process([node, "--eval", able], check=False)).returncode:
        missing("oidc-provider needs a newer Node than the one here: 22, or a late 20")
    return node
