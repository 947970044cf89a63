"""`twg audit show`: what was done, by whom and with which secret."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import anyio
import asyncclick as click
from anyio import to_thread

from guard.audit_reading import Follower, lines_backwards, lines_between
from twg.audit.filters import Filter
from twg.cli.audit_rows import Rows
from twg.cli.audit_span import chunks, since, until
from twg.cli.command import command
from twg.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from twg.cli.wiring import Wiring

    Record = dict[str, Any]

USUALLY: Final = 50
_BEFORE_FOLLOWING: Final = 10
_LOOK_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """What is to be shown.

    Attributes:
        filter: Which records are meant.
        since: The first moment; None for the beginning.
        until: The moment after the last one; None for the end.
        last: How many at most, the newest ones; None for all.
        before: Only records before this one; None for all.
    """

    filter: Filter
    since: str | None
    until: str | None
    last: int | None
    before: int | None = None


@command(
    "show",
    params=[
        since(),
        until(),
        click.Option(
            ["--event", "events"],
            metavar="EVENT",
            multiple=True,
            help="This event; 'token.*' for all that begin so; repeatable.",
        ),
        click.Option(["--actor"], metavar="WHO", help="human, agent, ci, service, or an agent."),
        click.Option(["--fingerprint"], metavar="F", help="About the secret of this fingerprint."),
        click.Option(["--trace"], metavar="ID", help="Of the run of this trace."),
        click.Option(
            ["-n", "--last"], type=click.IntRange(min=1), metavar="N", help="The newest N."
        ),
        click.Option(
            ["-f", "--follow"], is_flag=True, help="Go on with what is added, until Ctrl-C."
        ),
        click.Option(["--jsonl"], is_flag=True, help="Print each record as a line of JSON."),
    ],
)
async def show(
    wiring: Wiring,
    *,
    since: str | None,
    until: str | None,
    events: tuple[str, ...],
    actor: str | None,
    fingerprint: str | None,
    trace: str | None,
    last: int | None,
    follow: bool,
    jsonl: bool,
) -> None:
    """Show what was done, by whom and with which secret; no secret is in it.

    Without --since, --until and --last it shows the newest 50 of what is meant. Of --profile, what
    concerns that profile. With -o json it prints one document; with --jsonl, and with -o json and
    --follow, a document a line. Nothing is proven here: see `twg audit verify`.
    """
    if follow and until is not None:
        raise UsageError("--follow goes on, and --until ends: both cannot be")
    if last is None and since is None and until is None:
        last = _BEFORE_FOLLOWING if follow else USUALLY
    meant = Filter(
        events=events,
        actor=actor,
        profile=wiring.options.profile,
        fingerprint=fingerprint,
        trace=trace,
    )
    wanted = _Wanted(filter=meant, since=since, until=until, last=last)
    teller = _Teller(wiring, jsonl=jsonl or (follow and wiring.output.mode == "json"))
    if follow:
        await _follow(wiring, wanted, teller)
    elif wiring.output.mode == "json" and not jsonl:
        await _show_document(wiring, wanted)
    else:
        async for chunk in chunks(_found(wiring, wanted)):
            teller.tell(chunk)
        teller.end()


class _Teller:
    """Prints records as they come.

    Args:
        wiring: What commands depend on.
        jsonl: Whether as lines of JSON.
    """

    def __init__(self, wiring: Wiring, *, jsonl: bool) -> None:
        self._output = wiring.output
        self._jsonl = jsonl
        self._rows = Rows(self._output.columns)
        self._any = False

    def tell(self, records: Sequence[Record]) -> None:
        """Print some records."""
        self._any = self._any or bool(records)
        if self._jsonl:
            self._output.documents(map(json.dumps, records))
        else:
            self._output.parts(self._rows.of(records))

    def end(self) -> None:
        """Say so where there were none."""
        if self._jsonl:
            self._output.documents(())
        elif not self._any:
            self._output.say("Nothing of that is on record.")


async def _show_document(wiring: Wiring, wanted: _Wanted) -> None:
    records: list[Record] = []
    async for chunk in chunks(_found(wiring, wanted)):
        records += chunk
    wiring.output.result({"records": records, "count": len(records)}, ())


def _found(wiring: Wiring, wanted: _Wanted) -> Iterator[Record]:
    directory = wiring.settings.state_dir
    if wanted.last is None:
        lines = lines_between(directory, wanted.since, wanted.until)
        yield from _before(wanted.filter.records(lines), wanted.before)
        return
    lines = lines_backwards(directory, wanted.since, wanted.until)
    newest: list[Record] = []
    for record in _before(wanted.filter.records(lines), wanted.before):
        newest.append(record)
        if len(newest) == wanted.last:
            break
    yield from reversed(newest)


def _before(records: Iterator[Record], seq: int | None) -> Iterator[Record]:
    return (each for each in records if seq is None or each.get("seq", 0) <= seq)


async def _follow(wiring: Wiring, wanted: _Wanted, teller: _Teller) -> None:
    follower = Follower(wiring.settings.state_dir)
    try:
        before = await to_thread.run_sync(follower.start)
        async for chunk in chunks(_found(wiring, _until_there(wanted, before))):
            teller.tell(chunk)
        while True:
            async for chunk in chunks(wanted.filter.records(follower.added())):
                teller.tell(chunk)
            await anyio.sleep(_LOOK_SECONDS)
    finally:
        follower.close()


def _until_there(wanted: _Wanted, seq: int) -> _Wanted:
    # What is added meanwhile is what is followed.
    return _Wanted(
        filter=wanted.filter, since=wanted.since, until=None, last=wanted.last, before=seq
    )
