"""`twg doctor`: a line a check, and what to do about each that failed."""

from __future__ import annotations

import contextlib
import os
import re
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import asyncclick as click

from guard.errors import GuardError
from twg.cli import local_checks
from twg.cli.check import Look, side_by_side
from twg.cli.command import command
from twg.errors import PartialFailure, TwgError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from pathlib import Path

    from twg.cli.check import Check
    from twg.cli.wiring import Wiring
    from twg.vault import AdminHeader, Header

_EMAIL: Final = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")


@command(
    "doctor",
    params=[
        click.Option(["--offline"], is_flag=True, help="Look at this device only."),
        click.Option(
            ["--fix"],
            is_flag=True,
            help="First mend what is safe to mend: modes, and what killed commands have left.",
        ),
    ],
)
async def doctor(wiring: Wiring, *, offline: bool, fix: bool) -> None:
    """Check this installation: files, key, audit record, provider, sign-in, surroundings.

    Ends with 0 only where nothing failed. What it prints can be shown to anybody: no secret is in
    it, and no name, address or site, unless with --verbose.
    """
    mended: list[str] = []
    if fix:
        from twg.cli.mending import mend  # noqa: PLC0415 - only to mend

        mended = await mend(wiring)
        for line in mended:
            wiring.output.say(line)
    checks = await examined(wiring, offline=offline)
    data: dict[str, Any] = {"checks": [check.as_dict() for check in checks]}
    if fix:
        data["mended"] = mended
    failures = failures_of(checks)
    if wiring.output.mode == "text" or not failures:
        wiring.output.result(data, [line for check in checks for line in check.lines()])
    if failures:
        raise PartialFailure(
            f"{sum(check.status == 'failed' for check in checks)} of {len(checks)} checks failed",
            failures,
            "Mend these, then run `twg doctor` again.",
            done=data,
        )


async def examined(wiring: Wiring, *, offline: bool) -> list[Check]:
    """Look at everything at once, and return what was found, fit to be shown to anybody.

    Args:
        wiring: What commands depend on.
        offline: Whether to ask nobody.

    Raises:
        ConfigError: The settings cannot be used, so that nobody knows what to look at.
    """
    from twg.cli import admin_checks, live_checks  # noqa: PLC0415 - only where they are used

    _ = wiring.settings
    local, live = partial(_look, wiring), partial(_look, wiring, offline=offline)
    checks = await side_by_side(
        [
            [local("python", local_checks.python)],
            # The look at the store is on record before the record is looked at.
            [local("store", local_checks.storage), local("audit", local_checks.audit)],
            [live("provider", live_checks.provider)],
            [live("sign-in", live_checks.sign_in)],
            [live("bitbucket", live_checks.bitbucket)],
            [live("admin", admin_checks.checks)],
            [local("environment", local_checks.variables)],
            [local("history", local_checks.histories)],
            [local("agent", local_checks.agent)],
            [local("skills", local_checks.skills)],
            [local("git", local_checks.git)],
            [local("policy", local_checks.policy)],
        ]
    )
    if wiring.options.verbose:
        return checks
    private = await _private_words(wiring)
    return [_discreet(check, private, wiring.home) for check in checks]


def failures_of(checks: Sequence[Check]) -> dict[str, str]:
    """Return what failed, by name, with what to do."""
    return {check.name: check.with_fix for check in checks if check.status == "failed"}


def _look(
    wiring: Wiring, name: str, find: Callable[..., Awaitable[list[Check]]], **options: bool
) -> Look:
    return Look(name=name, find=partial(find, wiring, **options))


def _discreet(check: Check, private: Mapping[str, str], home: Path) -> Check:
    """Return a check without the words that are not for everybody; a home has a person's name."""

    def told(text: str) -> str:
        text = text.replace(f"{home}{os.sep}", f"~{os.sep}")
        for word, mark in private.items():
            text = re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", mark, text, flags=re.IGNORECASE)
        return _EMAIL.sub("‹e-mail›", text)

    return replace(check, detail=told(check.detail), fix=check.fix and told(check.fix))


async def _private_words(wiring: Wiring) -> dict[str, str]:
    """Return what tells who somebody is or where, each with what stands for it; long ones first."""
    found: dict[str, str] = {}
    with contextlib.suppress(TwgError, GuardError):
        found |= _of_people(await wiring.store.summaries())
    with contextlib.suppress(TwgError, GuardError):
        found |= _of_organizations(await wiring.admin_store.summaries())
    return {word: found[word] for word in sorted(found, key=len, reverse=True) if word}


def _of_people(header: Header) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in header.profiles.values():
        found |= {site.host: "‹site›" for site in one.sites}
        found |= {site.name: "‹site›" for site in one.sites if site.name}
        if one.account is not None:
            found |= {one.account.name or "": "‹name›", one.account.email or "": "‹e-mail›"}
    for token in header.bitbucket.values():
        found |= {token.name or "": "‹name›", token.email: "‹e-mail›"}
    return found


def _of_organizations(header: AdminHeader) -> dict[str, str]:
    found: dict[str, str] = {}
    for one in header.profiles.values():
        found |= {one.name or "": "‹organization›", one.email or "": "‹e-mail›"}
    return found
