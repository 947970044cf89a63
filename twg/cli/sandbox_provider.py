"""The sandbox as a provider to sign in at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

    from guard.custody import Custody
    from twg.cli.wiring import Wiring
    from twg.http import Http
    from twg.sandbox import SandboxStatus
    from twg.vault import Provider

NAME: Final = "sandbox"


async def started(state_dir: Path) -> tuple[SandboxStatus, bool]:
    """Return the running sandbox and whether it had to be started for that.

    Raises:
        SandboxError: It does not start.
    """
    from twg import sandbox  # noqa: PLC0415 - slow to load, and most sign-ins are elsewhere

    running = await sandbox.status(state_dir)
    if running is not None:
        return running, False
    return await sandbox.start(state_dir), True


async def running_for(wiring: Wiring) -> SandboxStatus:
    """Return the running sandbox; one that had to be started for that is told of.

    Raises:
        SandboxError: It does not start.
    """
    running, now = await started(wiring.settings.state_dir)
    if now:
        wiring.output.say(f"Started the sandbox at {running.url} (`twg sandbox stop` ends it).")
    return running


async def running_to_ask_for(wiring: Wiring) -> SandboxStatus:
    """Return the same, for a secret of it that is about to be asked for.

    Raises:
        TerminalRequired: There is no terminal to ask at, so nothing is started.
        SandboxError: It does not start.
    """
    from guard.terminal import controlling_terminal  # noqa: PLC0415 - only for who asks

    with controlling_terminal():
        pass  # it is opened again once the question is ready
    return await running_for(wiring)


async def provider_of(running: SandboxStatus, http: Http, custody: Custody) -> Provider:
    """Return the provider that a running sandbox is."""
    from twg.auth import providers  # noqa: PLC0415 - Authlib only where it is used
    from twg.products import atlassian, presets  # noqa: PLC0415 - likewise
    from twg.sandbox.people import CLIENT_ID  # noqa: PLC0415 - see `started`

    wish = providers.Wish(
        name=NAME,
        issuer=running.url,
        client_id=CLIENT_ID,
        api_base=atlassian.api_base(running.url),
        scopes=presets.load(presets.ATLASSIAN).scopes,
    )
    return await providers.found(http, custody, wish)
