"""`twg commands`: every command, its words and its answer, as one document."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncclick as click

from twg.cli.command import command
from twg.cli.manual import whole_manual

if TYPE_CHECKING:
    from twg.cli.wiring import Wiring


@command("commands")
async def commands(wiring: Wiring) -> None:
    """Describe every command: its options, its failures, and the JSON Schema of its data.

    It is one JSON document, whoever asks, made from the commands themselves: so it is this
    version's. `twg --help` is for people.
    """
    wiring.options.output = "json"
    # Public, though names in it may look like those of secrets.
    wiring.output.published(whole_manual(click.get_current_context()), ())
