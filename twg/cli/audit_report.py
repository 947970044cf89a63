"""`twg audit report`: what the record comes to, as text or as a page to look at."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

import asyncclick as click
from anyio import to_thread

from guard.audit_reading import lines_between
from guard.errors import AuditBroken, GuardError
from twg.audit.filters import Filter
from twg.audit.summary import Summary
from twg.cli.audit_proof import proof_of
from twg.cli.audit_span import chunks, since, until
from twg.cli.command import command
from twg.cli.moments import day, duration, stamp
from twg.cli.output import printable
from twg.errors import TwgError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twg.audit.summary import Happening
    from twg.cli.wiring import Wiring

    Kept = list[tuple[str, str, float]]

_MOST_IN_TEXT: Final = 5


@command(
    "report",
    params=[
        click.Option(
            ["--html"],
            type=click.Path(dir_okay=False, path_type=Path),
            metavar="FILE",
            help="Write a page to look at and to print; it needs no network.",
        ),
        since("Of what was since then", default="30d"),
        until(),
    ],
)
async def report(
    wiring: Wiring, *, html: Path | None, since: str | None, until: str | None
) -> None:
    """Sum up who used which credential, renewals, refusals, what agents did, and grants.

    By default of the last 30 days; of --profile, what concerns that profile. It says whether the
    record is whole, and how old the credentials are that are kept now.
    """
    summary = Summary()
    meant = Filter(profile=wiring.options.profile)
    lines = lines_between(wiring.settings.state_dir, since, until)
    async for chunk in chunks(meant.records(lines)):
        summary.add(chunk)
    chain = await to_thread.run_sync(_chain, wiring, abandon_on_cancel=True)
    kept = await _kept(wiring)
    data = {
        "since": since,
        "until": until,
        "chain": {"whole": chain[0], "words": chain[1]},
        "kept": [
            {"kind": kind, "whose": whose, "since": stamp(when)} for kind, whose, when in kept
        ],
        "page": None if html is None else str(html),
        **summary.as_dict(),
    }
    if html is None:
        wiring.output.result(data, _lines(summary, chain, kept))
        return
    await to_thread.run_sync(_write, html, _page(summary, (since, until), chain, kept))
    wiring.output.result(data, [f"✔ Written to {wiring.shown(html)}; open it in a browser."])


def _page(
    summary: Summary, span: tuple[str | None, str | None], chain: tuple[bool, str], kept: Kept
) -> str:
    from twg.audit.page import Page  # noqa: PLC0415 - only for a page

    begin = datetime.fromisoformat(span[0] or summary.first)
    end = datetime.now(UTC) if span[1] is None else datetime.fromisoformat(span[1])
    return Page(printable).of(summary, span=(begin, end), chain=chain, oldest=kept)


def _write(path: Path, page: str) -> None:
    """Write the page where it is wanted, for its owner alone: it says who did what."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_CLOEXEC", 0)
    try:
        with os.fdopen(os.open(path, flags, 0o600), "w", encoding="utf-8") as file:
            file.write(page)
    except OSError as error:
        words = error.strerror or type(error).__name__
        raise UsageError(
            f"the page cannot be written to {path}: {words}", "Name another file."
        ) from error


def _chain(wiring: Wiring) -> tuple[bool, str]:
    """Return whether the chain is whole, and in words."""
    try:
        proof = proof_of(wiring.settings.state_dir)
    except AuditBroken as error:
        return False, f"The record is not whole: {error.problem} ({error.path.name})"
    if not proof.count:
        return True, "Nothing is recorded yet"
    return True, f"The record is whole: {proof.count:,} records, all in their chain"


async def _kept(wiring: Wiring) -> Kept:
    """Return the credentials kept now, the oldest first; none of them is opened."""
    found: Kept = []
    try:
        header = await wiring.store.summaries()
        found += [("sign-in", name, one.signed_in_at) for name, one in header.profiles.items()]
        found += [("Bitbucket token", name, one.saved_at) for name, one in header.bitbucket.items()]
        keys = (await wiring.admin_store.summaries()).profiles
        found += [("Admin API key", one.name or name, one.saved_at) for name, one in keys.items()]
    except (TwgError, GuardError) as error:
        wiring.output.warn(f"what is kept now is not told: {error}")
    return sorted(found, key=lambda each: each[2])


def _lines(summary: Summary, chain: tuple[bool, str], kept: Kept) -> Iterator[str]:
    yield f"{'✔' if chain[0] else '✘'} {chain[1]}."
    yield f"Records    {summary.records:,}"
    yield f"Renewals   {summary.renewed:,}; {summary.counts['failures']:,} failed or lapsed"
    for each in kept[:1]:
        age = duration(max(0.0, time.time() - each[2]))
        yield f"Oldest     {each[0]} {each[1]}, since {day(each[2])} ({age})"
    yield from _table(
        "Credentials used",
        [
            (
                f"{each.kind} {each.fingerprint}",
                _counted(len(each.uses), "use"),
                ", ".join(f"{name} {count:,}" for name, count in each.by.most_common()),
                ", ".join(each.hosts),
            )
            for each in summary.used()
        ],
    )
    yield from _table(
        "Who",
        [
            (
                each.name,
                _counted(each.uses, "use"),
                _counted(each.calls, "call"),
                f"{each.denied:,} denied",
            )
            for each in summary.actors.values()
        ],
    )
    yield from _table("Refusals", [(what, f"{n:,}") for what, n in summary.refusals.most_common()])
    yield from _happenings("Denied to agents", summary.denials, summary.counts["denials"])
    yield from _happenings("Granted to agents", summary.grants, summary.counts["grants"])
    yield from _happenings("Failed or lapsed", summary.failures, summary.counts["failures"])


def _counted(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def _table(title: str, rows: list[tuple[str, ...]]) -> Iterator[str]:
    if not rows:
        return
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    yield ""
    yield title
    for row in rows:
        cells = (f"{cell:{width}}" for cell, width in zip(row, widths, strict=True))
        yield f"  {'  '.join(cells).rstrip()}"


def _happenings(title: str, happenings: list[Happening], count: int) -> Iterator[str]:
    shown = happenings[: -_MOST_IN_TEXT - 1 : -1]
    rows: list[tuple[str, ...]] = [
        (each.when[:16].replace("T", " "), each.event, each.who, each.what) for each in shown
    ]
    more = "" if count == len(shown) else f", the newest {len(shown)} of {count:,}"
    yield from _table(f"{title} (UTC{more})", rows)
