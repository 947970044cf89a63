"""Which provider a sign-in goes to: one decision in one place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from twg.cli import sandbox_provider
from twg.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from twg.cli.wiring import Wiring
    from twg.http import Http
    from twg.vault import Provider

ADD_ONE: Final = (
    "Run `twg login` in a terminal to be led through it, or `twg provider add NAME --issuer URL`, "
    "or try the sandbox: `twg login --sandbox`."
)


async def choose(
    wiring: Wiring, http: Http, *, profile: str, named: str | None, sandbox: bool
) -> Provider:
    """Return the provider to sign in at.

    The order: 1. ``--sandbox``; 2. ``--provider``; 3. where the profile is signed in already;
    4. the only provider there is; 5. what a person at a terminal chooses.

    Args:
        wiring: What commands depend on.
        http: What discovery goes through.
        profile: The profile to sign in on.
        named: The value of ``--provider``.
        sandbox: Whether ``--sandbox`` was given.

    Raises:
        UsageError: Both options.
        ConfigError: No such provider, several to choose from, or none and nobody to ask.
    """
    if sandbox and named not in {None, sandbox_provider.NAME}:
        raise UsageError("--sandbox and --provider exclude each other", "Leave one of them out.")
    if sandbox or named == sandbox_provider.NAME:
        return await _sandbox(wiring, http)
    if named is not None:
        return await _saved(wiring, named)
    if (before := await wiring.store.read(profile)) is not None:
        return await _as_before(wiring, http, before.provider)
    header = await wiring.store.summaries()
    if len(header.providers) == 1:
        return await _saved(wiring, next(iter(header.providers)))
    if header.providers:
        known = ", ".join(sorted(header.providers))
        raise ConfigError(
            f"there are several providers: {known}", "Name one: `twg login --provider NAME`."
        )
    return await _first(wiring, http)


async def _as_before(wiring: Wiring, http: Http, before: Provider) -> Provider:
    """Return the provider of the sign-in before, as it is set up now."""
    if before.name == sandbox_provider.NAME:
        return await _sandbox(wiring, http)
    return await wiring.store.provider(before.name) or before


async def _first(wiring: Wiring, http: Http) -> Provider:
    if not wiring.may_ask:
        raise ConfigError("no provider to sign in at is set up yet", ADD_ONE)
    from twg.cli import first_run  # noqa: PLC0415 - once in an installation's life

    return await first_run.guide(wiring, http)


async def _sandbox(wiring: Wiring, http: Http) -> Provider:
    running = await sandbox_provider.running_for(wiring)
    return await sandbox_provider.provider_of(running, http, wiring.custody)


async def _saved(wiring: Wiring, name: str) -> Provider:
    provider = await wiring.store.provider(name)
    if provider is None:
        known = ", ".join(sorted((await wiring.store.summaries()).providers)) or "none"
        raise ConfigError(f"there is no provider {name!r} (known: {known})", ADD_ONE)
    return provider
