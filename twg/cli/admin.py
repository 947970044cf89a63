"""`twg admin`: the Admin API keys of organizations, apart from all personal sign-ins."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import asyncclick as click

from twg.cli import admin_keys
from twg.cli.afresh import put_aside_if_it_does_not_open
from twg.cli.command import Group, command, stored
from twg.cli.sign_ins import protection_in_words, why_no_keyring
from twg.errors import AdminKeyRefused, AdminKeyRequired, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from twg.cli.wiring import Wiring
    from twg.products.admin import Place
    from twg.vault import AdminHeader, AdminKey, AdminKeySummary

_TRIES: Final = 3


@command(
    "login",
    human_only=True,
    takes_secret=True,
    short="Enter an organization's Admin API key.",
    params=[
        click.Option(["--email"], metavar="EMAIL", help="Your account's e-mail address."),
        click.Option(["--org"], metavar="ID", help="The organization's ID."),
        click.Option(["--sandbox"], is_flag=True, help="An organization of the local sandbox."),
    ],
)
async def login(wiring: Wiring, *, email: str | None, org: str | None, sandbox: bool) -> None:
    """Enter an organization's Admin API key; it is tried, then kept sealed.

    An organization admin makes it at admin.atlassian.com, under Settings > API keys. A key that
    is kept already stays until the new one has proven good.
    """
    from twg.products import admin as product  # noqa: PLC0415 - httpx only where it is used
    from twg.products.answers import email_fault  # noqa: PLC0415 - likewise

    email = await _given_or_asked(wiring, email, "--email", "account e-mail", email_fault)
    org = await _given_or_asked(wiring, org, "--org", "organization ID", product.org_fault)
    await put_aside_if_it_does_not_open(wiring, wiring.admin_store, org, "this key")
    await wiring.admin_store.prove_replaceable()
    key = await _entered(wiring, await _place(wiring, sandbox=sandbox), org=org, email=email)
    before = (await wiring.admin_store.summaries()).profiles.get(key.org)
    saved = await wiring.admin_store.save(key)
    header = await wiring.admin_store.summaries()
    _tell_saved(wiring, header, saved, replaced=before is not None)


@command("status")
async def status(wiring: Wiring) -> None:
    """Show whose Admin API keys are kept, how, and when they end.

    Looks at this device only: nothing is sent and no secret is opened.
    """
    header = await wiring.admin_store.summaries()
    if not header.profiles:
        raise AdminKeyRequired
    now = time.time()
    known = {org: admin_keys.as_data(header, one, now) for org, one in header.profiles.items()}
    active = known.get(header.active or "", {"org": None})
    wiring.output.result(
        active
        | {
            "organizations": list(known.values()),
            "store": admin_keys.store_as_data(header, wiring),
        },
        _status_lines(wiring, header, now),
    )
    if wiring.output.mode == "text":  # else each stands with its organization
        for one in header.profiles.values():
            if (warning := admin_keys.warning(one, now)) is not None:
                wiring.output.warn(warning)


@command("switch", params=[click.Argument(["org"], metavar="ID", shell_complete=stored("org"))])
async def switch(wiring: Wiring, *, org: str) -> None:
    """Make ID the organization that `twg api admin` calls."""
    summary = _of(await wiring.admin_store.summaries(), org)
    await wiring.admin_store.activate(summary.org)
    wiring.output.result(
        {"org": summary.org, "name": summary.name},
        [f"✔ {admin_keys.label(summary)} is the active organization now."],
    )


@command(
    "logout",
    human_only=True,
    params=[
        click.Option(
            ["--org"], metavar="ID", shell_complete=stored("org"), help="The organization's ID."
        )
    ],
)
async def logout(wiring: Wiring, *, org: str | None) -> None:
    """Remove an organization's Admin API key from this device.

    It stays good for whoever has it: no API revokes such keys, an organization admin does.
    """
    from twg.products import admin as product  # noqa: PLC0415 - httpx only where it is used

    header = await wiring.admin_store.summaries()
    if org is None:
        known = ", ".join(sorted(header.profiles)) or "none"
        raise UsageError(f"--org is missing (a key is kept for: {known})", "Add --org ID.")
    summary = _of(header, org)
    await wiring.admin_store.remove(summary.org)
    page = product.place_of(summary.api_base).keys_page
    wiring.output.result(
        {"org": summary.org, "name": summary.name, "revoked": False, "revoke_at": page},
        [
            f"✔ Removed the Admin API key for {admin_keys.label(summary)} from this device.",
            "  That does not revoke it, and no API can. An organization admin does it at",
            f"  {page}.",
        ],
    )


async def _given_or_asked(
    wiring: Wiring,
    given: str | None,
    option: str,
    what: str,
    fault: Callable[[str], str | None],
) -> str:
    if given is None:
        return await wiring.questions.ask(what, check=fault)
    why = fault(given)
    if why is not None:
        raise UsageError(f"the value of {option} cannot be used: {why}")
    return given


async def _place(wiring: Wiring, *, sandbox: bool) -> Place:
    from twg.products import admin as product  # noqa: PLC0415 - see login

    if not sandbox:
        return product.ATLASSIANS
    from twg.cli import sandbox_provider  # noqa: PLC0415 - only for the sandbox

    return product.place_of((await sandbox_provider.running_to_ask_for(wiring)).url)


async def _entered(wiring: Wiring, place: Place, *, org: str, email: str) -> AdminKey:
    """Ask for the key until one is accepted, three times at most."""
    from twg.products import admin as product  # noqa: PLC0415 - see login

    notes: Sequence[str] = _notes(wiring, place, org)
    async with wiring.http() as http:
        for tries_left in reversed(range(_TRIES)):
            key = await wiring.prompt.ask(
                product.SECRET_KIND, what=product.WHAT, notes=notes, accepts=product.LOOKS
            )
            try:
                return await product.checked(
                    http, place, org=org, email=email, key=key, now=time.time()
                )
            except AdminKeyRefused as error:
                if not tries_left:
                    raise
                notes = [f"{error}.", error.remediation]
    raise AssertionError  # pragma: no cover - the last try returns or raises


def _notes(wiring: Wiring, place: Place, org: str) -> list[str]:
    return [
        f"An Admin API key lets twg call the Admin APIs of the organization {org}.",
        f"It goes to {place.api_base} alone, and is kept sealed",
        f"in {wiring.shown(wiring.settings.admin_conf)}, apart from your sign-ins.",
        f"An organization admin makes one at {place.keys_page}.",
    ]


def _of(header: AdminHeader, org: str) -> AdminKeySummary:
    for known, summary in header.profiles.items():
        if known.lower() == org.lower():
            return summary
    raise AdminKeyRequired(org)


def _tell_saved(wiring: Wiring, header: AdminHeader, key: AdminKey, *, replaced: bool) -> None:
    from twg.products import admin as product  # noqa: PLC0415 - see login

    now = time.time()
    expiry = admin_keys.expiry_in_words(key, now)
    lines = [
        f"✔ The key works for {admin_keys.label(key)}.",
        f"✔ Saved to {wiring.shown(wiring.settings.admin_conf)}",
        f"  It is {protection_in_words(header.key, wiring)}.",
    ]
    if why_no_keyring(header.key) is not None:
        lines.append("  No key ring could be used, which would protect it better: `twg doctor`.")
    lines.append(f"  It {expiry}.")
    if replaced:
        lines += [
            "  The key that was kept before is replaced, but not revoked: do that at",
            f"  {product.place_of(key.api_base).keys_page}.",
        ]
    if header.active != key.org:
        lines.append(f"  To call with it from now on: `twg admin auth switch {key.org}`.")
    data = admin_keys.as_data(header, key.summary, now) | {
        "replaced": replaced,
        "store": admin_keys.store_as_data(header, wiring),
    }
    wiring.output.result(data, lines)


def _status_lines(wiring: Wiring, header: AdminHeader, now: float) -> list[str]:
    lines: list[str] = []
    for org, one in header.profiles.items():
        rows = {
            "Organization": one.name or "(name not told)",
            "ID": org + (" (active)" if org == header.active else ""),
            "Key": admin_keys.expiry_in_words(one, now),
            "Entered by": one.email,
            "API": f"{one.api_base}/admin",
        }
        lines += [*_columns(rows), ""]
    rows = {
        "Stored in": wiring.shown(wiring.settings.admin_conf),
        "Protection": protection_in_words(header.key, wiring),
    }
    return [*lines, *_columns(rows)]


def _columns(rows: dict[str, Any]) -> list[str]:
    return [f"{name:13} {text}" for name, text in rows.items()]


auth = Group(
    "auth",
    help="Enter, look at, choose and remove Admin API keys.",
    commands=[login, status, switch, logout],
)
admin = Group(
    "admin",
    help="Keep the Admin API keys of organizations, apart from all sign-ins.",
    commands=[auth],
)
