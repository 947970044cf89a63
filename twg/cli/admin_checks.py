"""What `twg doctor` says of the Admin API keys."""

from __future__ import annotations

import time
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from guard.errors import GuardError
from twg.cli import admin_keys
from twg.cli.check import Check, Look, failed, side_by_side
from twg.cli.sign_ins import protection_in_words, why_no_keyring
from twg.errors import TwgError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twg.cli.check import Status
    from twg.cli.wiring import Wiring
    from twg.http import Http
    from twg.vault import AdminHeader, AdminKeySummary

_STORE: Final = "admin store"
_KEYS: Final = "admin"
_STATUS: Final[Mapping[str, Status]] = MappingProxyType(
    {"usable": "ok", "expiring": "note", "expired": "failed"}
)


async def checks(wiring: Wiring, *, offline: bool) -> list[Check]:
    """Look at the file of the keys, then at each key; live, unless `offline` or for an agent."""
    from twg.vault.moving import unsettled  # noqa: PLC0415 - only where a store is looked at

    store = wiring.admin_store
    try:
        header = await store.summaries()
        if header.key is None:
            return [_none()]
        await store.prove_replaceable()
        await store.open()
        if await store.unsettled_keys():
            raise unsettled(wiring.settings.admin_conf)
    except (TwgError, GuardError) as error:
        return [failed(_STORE, error)]
    if not header.profiles:
        return [_kept(wiring, header), _none()]
    return [_kept(wiring, header), *await _keys(wiring, header, offline=offline)]


async def _keys(wiring: Wiring, header: AdminHeader, *, offline: bool) -> list[Check]:
    alone = len(header.profiles) == 1
    async with wiring.http() as http:
        return await side_by_side(
            [
                [Look(name=name, find=partial(_key, wiring, http, name, summary, offline=offline))]
                for org, summary in header.profiles.items()
                for name in [_KEYS if alone else f"{_KEYS} {org[:6]}"]
            ]
        )


def _none() -> Check:
    return Check(name=_KEYS, status="note", detail="no Admin API key is kept")


def _kept(wiring: Wiring, header: AdminHeader) -> Check:
    shown = wiring.shown(wiring.settings.admin_conf)
    detail = f"{shown} opens and can be replaced; {protection_in_words(header.key, wiring)}"
    fix = why_no_keyring(header.key)
    return Check(name=_STORE, status="note" if fix else "ok", detail=detail, fix=fix)


async def _key(
    wiring: Wiring, http: Http, name: str, summary: AdminKeySummary, *, offline: bool
) -> list[Check]:
    """Return what there is to say of a key; its end is told where it is near."""
    from twg.products import admin  # noqa: PLC0415 - httpx only where it is used

    told = "not tried (--offline)"
    if not offline:
        told = "not tried, for an agent runs this"
        if wiring.agent is None:
            key = await wiring.admin_store.read(summary.org)
            if key is not None:
                await admin.try_out(http, key)
            told = "accepted"
    now = time.time()
    expiry = admin_keys.expiry_in_words(summary, now)
    detail = f"{told}; {expiry}"
    if wiring.options.verbose:
        detail = f"{admin_keys.label(summary)}: {detail}"
    status = _STATUS[admin_keys.state_of(summary, now)]
    fix = None if status == "ok" else admin_keys.renewal(summary)
    return [Check(name=name, status=status, detail=detail, fix=fix)]
