"""`twg audit export`: the record in the formats of what companies collect with."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import asyncclick as click

from guard.audit_reading import lines_between
from twg import __version__
from twg.audit.cef import line_of
from twg.audit.ecs import event_of
from twg.audit.filters import Filter
from twg.audit.otel import logs_of
from twg.cli.audit_span import chunks, since, until
from twg.cli.command import command

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from twg.cli.wiring import Wiring

FORMATS: Final[Mapping[str, Callable[[Mapping[str, Any], str], Any]]] = {
    "ecs": event_of,
    "otel": logs_of,
    "cef": line_of,
}


@command(
    "export",
    params=[
        click.Option(
            ["--format", "form"],
            type=click.Choice([*FORMATS]),
            required=True,
            help="Elastic Common Schema, OpenTelemetry logs (OTLP JSON), Common Event Format.",
        ),
        since(),
        until(),
    ],
)
async def export(wiring: Wiring, *, form: str, since: str | None, until: str | None) -> None:
    """Print the record in another program's format, a line a record, oldest first.

    Of --profile, what concerns that profile. With -o json, one document holds all of them under
    "records". Nothing is proven here: see `twg audit verify`.
    """
    meant = Filter(profile=wiring.options.profile)
    lines = lines_between(wiring.settings.state_dir, since, until)
    told: list[Any] = []
    async for chunk in chunks(meant.records(lines)):
        converted = [FORMATS[form](record, __version__) for record in chunk]
        if wiring.output.mode == "json":
            told += converted
        else:
            wiring.output.documents(map(_line, converted))
    if wiring.output.mode == "json":
        wiring.output.result({"format": form, "records": told}, ())


def _line(converted: Any) -> str:
    return converted if isinstance(converted, str) else json.dumps(converted)
