"""`twg guard scan`: finds secrets in files and histories, and shows none."""

from __future__ import annotations

import json
import os
import select
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import asyncclick as click
from anyio import to_thread

from guard.scan import scan, scan_stream
from twg.cli import leaks
from twg.cli.command import command
from twg.cli.findings import counted, in_file, in_history, table
from twg.errors import PartialFailure

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from guard.lookout import Lookout
    from guard.scan import Scanned, Spans
    from twg.cli.findings import Found
    from twg.cli.wiring import Wiring

_STDIN: Final = Path("-")
_LOOK_SECONDS: Final = 0.2
_IN_HISTORY: Final = (
    "Revoke each where it was made. `twg guard scrub-history` removes those in histories."
)
_IN_FILES: Final = (
    "Revoke each where it was made, then take it out of the file, and out of its past versions."
)


@dataclass(slots=True)
class _Report:
    """What was found so far."""

    found: list[Found] = field(default_factory=list)
    skipped: dict[Path, str] = field(default_factory=dict)
    unreadable: dict[Path, str] = field(default_factory=dict)
    files: int = 0
    histories: int = 0

    def add(self, scanned: Scanned) -> None:
        """Take in what became of a file."""
        self.found += in_file(scanned)
        if scanned.skipped is not None:
            self.skipped[scanned.path] = scanned.skipped
        if scanned.problem is not None:
            self.unreadable[scanned.path] = scanned.problem
        else:
            self.files += 1

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "findings": [each.as_dict() for each in self.found],
            "files": self.files,
            "histories": self.histories,
            "skipped": {str(path): why for path, why in self.skipped.items()},
        }


@command(
    "scan",
    params=[
        click.Argument(["paths"], nargs=-1, metavar="[PATH]..."),
        click.Option(["--history"], is_flag=True, help="Look into the histories of shells, too."),
        click.Option(
            ["--format", "as_sarif"],
            type=click.Choice(["sarif"]),
            help="Print a SARIF 2.1.0 log, for code hosts and editors.",
        ),
    ],
)
async def scan_command(
    wiring: Wiring, *, paths: tuple[str, ...], history: bool, as_sarif: str | None
) -> None:
    """Find secrets in files, in directories with all below, and in histories.

    Without PATH and --history, it looks below the current directory; `-` is standard input. Each
    finding is a file, a line and a kind, never a value. Ends with 0 where there is none, and with
    3 where there is one or something could not be read.
    """
    look = await leaks.lookout_for_all(wiring)
    report = _Report()
    if history:
        await _look_into_histories(wiring, look, report)
    wanted = [Path(path) for path in paths] or ([] if history else [Path()])
    await _look_into_files(wanted, look, report)
    if as_sarif:
        _print_sarif(wiring, report)
    elif wiring.output.mode == "text" or not (report.found or report.unreadable):
        wiring.output.result(report.as_dict(), _lines(wiring, report))
    _fail_if_found(report)


async def _look_into_histories(wiring: Wiring, look: Lookout, report: _Report) -> None:
    found, unreadable = await leaks.find(wiring, look)
    report.found += map(in_history, found)
    report.unreadable |= {path: str(why).rstrip(".") for path, why in unreadable.items()}
    report.histories = len(await to_thread.run_sync(wiring.histories.files)) - len(unreadable)


async def _look_into_files(paths: Iterable[Path], look: Lookout, report: _Report) -> None:
    with leaks.Patience() as patience:
        steps = _scanned(paths, patience.within(look.spans), patience)
        while scanned := await to_thread.run_sync(next, steps, None, abandon_on_cancel=True):
            report.add(scanned)


def _scanned(paths: Iterable[Path], spans: Spans, patience: leaks.Patience) -> Iterator[Scanned]:
    for path in paths:
        if path == _STDIN:
            yield scan_stream(_StandardInput(patience), path, spans)
        else:
            yield from scan([path], spans)


class _StandardInput:
    """Standard input, which is waited for only as long as somebody waits for us."""

    def __init__(self, patience: leaks.Patience) -> None:
        self._patience = patience

    def read(self, size: int) -> bytes:
        """Return what there is; nothing at the end."""
        # Windows has no such waiting for a pipe.
        while sys.platform != "win32" and not select.select([0], [], [], _LOOK_SECONDS)[0]:
            self._patience.check()
        return os.read(0, size)


def _print_sarif(wiring: Wiring, report: _Report) -> None:
    from twg.cli.sarif import log_of  # noqa: PLC0415 - seldom asked for

    # The log is the one document on standard output; what else there is to say goes beside it.
    wiring.options.output = "text"
    log = log_of(report.found, skipped=report.skipped, unreadable=report.unreadable)
    wiring.output.raw(json.dumps(log, indent=2))


def _lines(wiring: Wiring, report: _Report) -> list[str]:
    lines = table(wiring, report.found)
    lines += [f"· {wiring.shown(path)}: {why}" for path, why in report.skipped.items()]
    if not report.found:
        lines.append(f"✔ No secret in {_looked_at(report)}.")
    return lines


def _looked_at(report: _Report) -> str:
    files = "1 file" if report.files == 1 else f"{report.files} files"
    histories = "1 history" if report.histories == 1 else f"{report.histories} histories"
    if report.histories and report.files:
        return f"{histories} and {files}"
    return histories if report.histories else files


def _fail_if_found(report: _Report) -> None:
    unreadable = {str(path): why for path, why in report.unreadable.items()}
    if report.found:
        in_histories = any(each.shell for each in report.found)
        remedy = _IN_HISTORY if in_histories else _IN_FILES
        raise PartialFailure(
            f"found {counted(report.found)}", unreadable, remedy, done=report.as_dict()
        )
    if unreadable:
        told = f"{len(unreadable)} of what was to be looked at cannot be read"
        raise PartialFailure(told, unreadable, done=report.as_dict())
