"""What the commands that read the audit record share: the span of time, and reading in chunks."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, TypeVar

import asyncclick as click
from anyio import to_thread

from twg.audit.moments import moment_of, stamp_of
from twg.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

T = TypeVar("T")

_AT_ONCE: Final = 500


class Moment(click.ParamType[str]):
    """A moment, as `twg.audit.moments` reads it; its value is as the record writes it."""

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the moment, or have the parser tell that it is none."""
        try:
            return stamp_of(moment_of(str(value), datetime.now(UTC)))
        except UsageError as error:
            self.fail(f"{error}. {error.remediation}", param, ctx)


def since(words: str = "From then on", default: str | None = None) -> click.Option:
    """Return the option ``--since``.

    Args:
        words: What it does.
        default: What it is unless given.
    """
    return click.Option(
        ["--since"],
        type=Moment(),
        metavar="MOMENT",
        default=default,
        help=f"{words}: 30m, 1h, 2d, 1w ago, a day (2026-12-25), or a time (RFC 3339).",
    )


def until() -> click.Option:
    """Return the option ``--until``."""
    return click.Option(
        ["--until"], type=Moment(), metavar="MOMENT", help="Until before then, said likewise."
    )


async def chunks(values: Iterator[T]) -> AsyncIterator[list[T]]:
    """Yield what an iterator that reads files has, some at a time, read beside the event loop."""
    take = partial(_taken, values)
    while chunk := await to_thread.run_sync(take, abandon_on_cancel=True):
        yield chunk


def _taken(values: Iterator[T]) -> list[T]:
    return list(islice(values, _AT_ONCE))
