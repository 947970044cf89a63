"""A renewal killed at every system call that changes something, and the next one after it."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio
import pytest

from guard.audit import load_or_create_key, verify
from tests.refresh.lanes import SAVED, SENT, SIGN_IN_AGAIN, WORKS, lane, next_get, steps_of
from tests.refresh.rotating import LIFETIME, refresh_of
from tests.refresh.workers import BESIDE
from tests.vault.samples import opened, store_at

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.refresh.lanes import Lane
    from tests.refresh.tracing import Call

pytestmark = pytest.mark.slow

LANES = 2


@dataclass(frozen=True, kw_only=True)
class Row:
    """What came of one kill.

    Attributes:
        place: Which of the calls it was, from 0.
        call: The call that was not made any more.
        honoured: The server still honoured the refresh token on disk.
        outcome: What the next `get` said.
    """

    place: int
    call: Call
    honoured: bool
    outcome: str

    def __str__(self) -> str:
        return f"{self.place + 1:3}  {self.call.what:65}  {self.outcome}"


async def test_a_renewal_killed_at_any_system_call_is_gone_on_with(
    tmp_path: Path, print_table: Callable[[str, list[str]], None]
) -> None:
    """H-D2: without a person whenever the server still honours the token on disk."""
    rows: list[Row] = []
    async with lane(tmp_path / "lane-0") as first:
        steps = await steps_of(first)
        waiting = list(enumerate(steps))
        async with anyio.create_task_group() as tasks:
            for number in range(1, LANES):
                tasks.start_soon(_another_lane, tmp_path / f"lane-{number}", waiting, rows)
            await _kill_all(first, waiting, rows)
    rows.sort(key=lambda row: row.place)
    table = [str(row) for row in rows]
    print_table("killed before this call → what the next get does", table)
    (tmp_path / "kill-matrix.txt").write_text("\n".join(table))

    assert len(rows) == len(steps)
    assert [str(row) for row in rows if row.honoured is not (row.outcome == WORKS)] == []
    in_doubt = [row.place for row in rows if row.outcome.startswith(SIGN_IN_AGAIN)]
    last_sent = max(place for place, step in enumerate(steps) if step.what == SENT)
    saved = max(place for place, step in enumerate(steps) if step.what == SAVED)
    assert [str(row) for row in rows if row.place not in in_doubt and not row.honoured] == []
    assert in_doubt == list(range(last_sent + 1, saved + 1))


async def test_where_the_server_takes_a_token_twice_for_a_while_no_kill_needs_a_person(
    tmp_path: Path,
) -> None:
    """H-D2: the token on disk is tried again, as long as nobody has refused it."""
    rows: list[Row] = []
    async with lane(tmp_path, leeway=LIFETIME) as one:
        steps = await steps_of(one)
        last_sent = max(place for place, step in enumerate(steps) if step.what == SENT)
        answered = steps[last_sent + 1 :: 4]
        await _kill_all(one, list(enumerate(answered)), rows)
    assert [row.outcome for row in rows] == [WORKS] * len(answered)


async def _another_lane(directory: Path, waiting: list[tuple[int, Call]], rows: list[Row]) -> None:
    async with lane(directory) as another:
        await _kill_all(another, waiting, rows)


async def _kill_all(one: Lane, waiting: list[tuple[int, Call]], rows: list[Row]) -> None:
    while waiting:
        place, call = waiting.pop(0)
        rows.append(await _kill_at(one, place, call))


async def _kill_at(one: Lane, place: int, call: Call) -> Row:
    root = one.fresh_root()
    looked, beside = await one.kill(root, call)
    assert (looked.status, looked.said) == (-signal.SIGKILL, "")
    return await _gone_on_with(one, place, call, root, beside)


def _temporaries(root: Path) -> list[Path]:
    return [*root.rglob("*.tmp")]


async def _save_beside(root: Path) -> None:
    store = store_at(root)
    found = await store.read(BESIDE)
    assert found is not None
    await store.save(found, expected=found.generation)


async def _gone_on_with(one: Lane, place: int, call: Call, root: Path, beside: object) -> Row:
    """Be the next process; check all that must hold, and tell what it got."""
    found = {each.profile: each for each in await store_at(root).read_all()}
    assert opened(found[BESIDE]) == beside
    token = refresh_of(found["default"])
    honoured = one.model.honours(token)
    outcome = await next_get(one, root)

    assert opened(await store_at(root).read(BESIDE)) == beside
    # The record goes on too: a torn line was mended, none is missing.
    assert verify(root / "state" / "audit.jsonl", load_or_create_key(root / "state" / "audit.key"))
    assert honoured or token in one.model.reused
    await _save_beside(root)
    assert _temporaries(root) == []
    return Row(place=place, call=call, honoured=honoured, outcome=outcome)
