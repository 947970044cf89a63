"""Admin API keys for tests: made on the sandbox's page, or kept as if they had been entered."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio

from tests.sandbox.visiting import Visitor
from tests.vault.samples import Ear, custody_of
from twg.sandbox.people import ORG_ID
from twg.vault import AdminKey, AdminStore, KeyKeeper

if TYPE_CHECKING:
    from tests.cli.console import Console

DAY = 86_400.0
EMAIL = "alice@sandbox.example"
KEY = "ATCTT3xFfGN0" + "q7Zr2Wm9k" * 9 + "=1A2B3C4D"
"""Has the looks, and is good for nothing but a server that a test scripts."""


async def made_key(url: str, org: str = ORG_ID) -> str:
    """Make a key on the sandbox's page, as Alice."""
    async with Visitor(url) as visitor:
        page = await visitor.sign_in("/admin/api-keys")
        made = await visitor.submit(page, "/admin/api-keys", label="test", org=org)
    found = re.search(r'<code id="token">([^<]+)</code>', made.text)
    assert found, made.text
    return found[1]


def admin_store(console: Console) -> AdminStore:
    """Return the store of an installation's keys, as a process of its own would make it."""
    custody = custody_of(Ear())
    return AdminStore(
        console.config / "admin.conf",
        state_dir=console.state,
        keys=KeyKeeper(console.state, custody=custody, preferred="file"),
        custody=custody,
    )


def keep(console: Console, url: str, *, org: str = ORG_ID, key: str = KEY, **changes: Any) -> None:
    """Have a key kept, as if it had been entered now; for tests that are not async."""
    anyio.run(kept, console, url, org, key, changes)


async def kept(console: Console, url: str, org: str, key: str, changes: dict[str, Any]) -> None:
    """Have a key kept, as if it had been entered now."""
    record = AdminKey(
        org=org,
        key=custody_of(Ear()).take(key, "admin-api-key"),
        name="Harbor Works",
        email=EMAIL,
        api_base=url,
        saved_at=time.time(),
        expires_at=time.time() + 30 * DAY,
    )
    await admin_store(console).save(replace(record, **changes))
