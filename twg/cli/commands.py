"""`twg commands`: every command, its words and its answer, as one document."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any, Final

import asyncclick as click

from twg.cli.command import command
from twg.cli.manual import whole_manual

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twg.cli.wiring import Wiring

_COLUMNS: Final = 80
_GAP: Final = "  "


@command("commands")
async def commands(wiring: Wiring) -> None:
    """List every command; with `-o json`, with all its options, failures and the shape of its data.

    That document is made from the commands themselves, so it is this version's.
    """
    manual = whole_manual(click.get_current_context())
    # Public, though names in it may look like those of secrets.
    wiring.output.published(manual, _lines(manual))


def _lines(manual: Mapping[str, Any]) -> list[str]:
    told = {one["command"]: one["summary"] for one in manual["commands"]}
    width = max(map(len, told))
    room = _COLUMNS - width - len(_GAP)
    return [
        f"{path:{width}}{_GAP}{textwrap.shorten(summary, room, placeholder=' …')}"
        for path, summary in told.items()
    ]
