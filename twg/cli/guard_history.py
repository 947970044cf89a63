"""`twg guard scrub-history`: removes from histories what holds a secret, and no other entry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import asyncclick as click
from anyio import to_thread

from twg.cli import leaks
from twg.cli.command import command
from twg.cli.findings import counted, in_history, table
from twg.errors import PartialFailure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from guard.errors import GuardError
    from guard.history import Removal
    from twg.cli.wiring import Wiring


@command(
    "scrub-history",
    human_only=True,
    params=[click.Option(["--yes"], is_flag=True, help="Do not ask first.")],
)
async def scrub_history(wiring: Wiring, *, yes: bool) -> None:
    """Remove from the histories of shells and other programs what holds a secret.

    It shows which entries those are, without the secret, and asks. All others stay as they are,
    byte for byte. What a shell that still runs holds in its memory is told, and how it forgets it.
    Revoke each secret all the same: a backup may have it.
    """
    look = await leaks.lookout_for_all(wiring)
    found, unreadable = await leaks.find(wiring, look)
    shown = [in_history(each) for each in found]
    if not found:
        _done(wiring, [], unreadable)
        return
    wiring.output.say(f"{counted(shown)}:")
    for line in table(wiring, shown):
        wiring.output.say(f"  {line}")
    if not (yes or await _agreed(wiring, len({(each.path, each.line) for each in found}))):
        wiring.output.result({"removed": {}, "agreed": False}, ["Nothing was removed."])
        return
    removals = await leaks.remove(wiring, look)
    await to_thread.run_sync(leaks.record_removal, wiring, removals)
    _done(wiring, removals, unreadable)


async def _agreed(wiring: Wiring, entries: int) -> bool:
    what = "this entry" if entries == 1 else f"these {entries} entries"
    return await wiring.questions.agrees(f"remove {what}? (y/n)")


def _done(
    wiring: Wiring, removals: Sequence[Removal], unreadable: Mapping[Path, GuardError]
) -> None:
    problems = dict(unreadable)
    problems |= {each.path: each.problem for each in removals if each.problem is not None}
    failures = {wiring.shown(path): _reason(error) for path, error in problems.items()}
    removed = [each for each in removals if each.removed]
    data = {
        "removed": {str(each.path): each.removed for each in removed},
        "agreed": True,
        "live": {each.shell: _live(each) for each in removed},
    }
    if wiring.output.mode == "text" or not failures:
        wiring.output.result(data, _lines(wiring, removed, failures))
    if failures:
        told = "1 history" if len(failures) == 1 else f"{len(failures)} histories"
        raise PartialFailure(f"{told} could not be cleaned", failures, done=data)


def _lines(wiring: Wiring, removed: Sequence[Removal], failures: Mapping[str, str]) -> list[str]:
    if not removed:
        return [] if failures else ["✔ No history holds a secret."]
    lines = []
    for each in removed:
        entries = "1 entry" if each.removed == 1 else f"{each.removed} entries"
        lines.append(f"✔ Removed {entries} from {wiring.shown(each.path)}.")
    lines.append("A program that still runs holds what was typed into it:")
    for shell, live in {each.shell: each.live for each in removed}.items():
        lines.append(f"  {shell}: `{live.command}` {live.effect}.")
    return [*lines, "Revoke what stood there, too: others may have read it, and backups keep it."]


def _live(removal: Removal) -> dict[str, Any]:
    return {"command": removal.live.command, "effect": removal.live.effect}


def _reason(error: GuardError) -> str:
    return f"{str(error).rstrip('.')}. {error.remedy}".strip()
