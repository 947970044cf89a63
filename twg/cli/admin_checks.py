"""What `twg doctor` says of the Admin API keys."""

from __future__ import annotations

import time
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from guard.errors import GuardError
from twg.cli import admin_keys
from twg.cli.doctor import Check
from twg.cli.failure import failure_of
from twg.cli.sign_ins import protection_in_words, why_no_keyring
from twg.errors import TwgError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from twg.cli.doctor import Status
    from twg.cli.wiring import Wiring
    from twg.http import Http
    from twg.vault import AdminHeader, AdminKeySummary

_STORE: Final = "admin store"
_KEYS: Final = "admin"
_STATUS: Final[Mapping[str, Status]] = MappingProxyType(
    {"usable": "ok", "expiring": "note", "expired": "failed"}
)


async def checks(wiring: Wiring, *, offline: bool) -> AsyncIterator[Check]:
    """Look at the file of the keys, then at each key; live, unless `offline` or for an agent."""
    from twg.vault.moving import unsettled  # noqa: PLC0415 - only where a store is looked at

    store = wiring.admin_store
    try:
        header = await store.summaries()
        if header.key is None:
            yield Check(name=_KEYS, status="note", detail="no Admin API key is kept")
            return
        await store.prove_replaceable()
        await store.open()
        if await store.unsettled_keys():
            raise unsettled(wiring.settings.admin_conf)
    except (TwgError, GuardError) as error:
        yield _failure(_STORE, error)
        return
    yield _kept(wiring, header)
    if not header.profiles:
        yield Check(name=_KEYS, status="note", detail="no Admin API key is kept")
        return
    alone = len(header.profiles) == 1
    async with wiring.http() as http:
        for org, summary in header.profiles.items():
            name = _KEYS if alone else f"{_KEYS} {org[:6]}"
            yield await _key(wiring, http, name, summary, offline=offline)


def _kept(wiring: Wiring, header: AdminHeader) -> Check:
    shown = wiring.shown(wiring.settings.admin_conf)
    detail = f"{shown} opens and can be replaced; {protection_in_words(header.key, wiring)}"
    fix = why_no_keyring(header.key)
    return Check(name=_STORE, status="note" if fix else "ok", detail=detail, fix=fix)


def _failure(name: str, error: TwgError | GuardError) -> Check:
    failure = failure_of(error)
    return Check(name=name, status="failed", detail=failure.message, fix=failure.remediation)


async def _key(
    wiring: Wiring, http: Http, name: str, summary: AdminKeySummary, *, offline: bool
) -> Check:
    """Return what there is to say of a key; its end is told where it is near."""
    from twg.products import admin  # noqa: PLC0415 - httpx only where it is used

    told = "not tried (--offline)"
    if not offline:
        told = "not tried, for an agent runs this"
        if wiring.agent is None:
            try:
                key = await wiring.admin_store.read(summary.org)
                if key is not None:
                    await admin.try_out(http, key)
            except (TwgError, GuardError) as error:
                return _failure(name, error)
            told = "accepted"
    now = time.time()
    expiry = admin_keys.expiry_in_words(summary, now)
    detail = f"{admin_keys.label(summary)}: {told}; {expiry}"
    status = _STATUS[admin_keys.state_of(summary, now)]
    fix = None if status == "ok" else admin_keys.renewal(summary)
    return Check(name=name, status=status, detail=detail, fix=fix)
