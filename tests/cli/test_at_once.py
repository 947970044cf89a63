"""Commands that make, renew, use and end one sign-in, all at the same moment."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import anyio
from anyio import to_thread

from tests.auth.parts import plain, provider_at
from tests.vault.samples import store_at
from twg.sandbox.people import CLIENT_ID

if TYPE_CHECKING:
    from tests.cli.console import Console, Ended
    from tests.sandbox.running import SandboxHandle

COMMANDS = [
    "api atlassian /me",
    "api atlassian /me",
    "auth refresh --force",
    "auth refresh --force",
    "login --force --device",
    "logout",
]


def test_api_refresh_login_and_logout_at_the_same_moment_leave_no_stray_token(
    console: Console, sandbox: SandboxHandle
) -> None:
    """H-D1: whoever comes first, none breaks, and what the server still takes is what is kept."""
    words = ["provider", "add", "box", "--issuer", sandbox.url, "--client-id", CLIENT_ID]
    console.twg(*words, "--scope", "read:me", "--scope", "offline_access")
    before = set(anyio.run(sandbox.issued, "refresh"))
    console.sign_in(sandbox, age=7200, provider=provider_at(sandbox.url, name="box"))

    ended = anyio.run(at_once, console)

    for command, each in zip(COMMANDS, ended, strict=True):
        assert each.status in {0, 77}, (command, each)
    assert ended[4].status == 0
    living = anyio.run(living_tokens, sandbox, before)
    kept = anyio.run(store_at(console.root).read, "default")
    assert living == (set() if kept is None else {plain(kept.tokens.refresh)})


async def at_once(console: Console) -> list[Ended]:
    ended: dict[int, Ended] = {}

    async def run(number: int, command: str) -> None:
        argv = [*command.split(), "-o", "json"]
        ended[number] = await to_thread.run_sync(partial(console.apart, *argv, status=None))

    async with anyio.create_task_group() as tasks:
        for number, command in enumerate(COMMANDS):
            tasks.start_soon(run, number, command)
    return [ended[number] for number in range(len(COMMANDS))]


async def living_tokens(sandbox: SandboxHandle, before: set[str]) -> set[str]:
    issued = [token for token in await sandbox.issued("refresh") if token not in before]
    return {token for token in issued if await sandbox.token_active(token)}
