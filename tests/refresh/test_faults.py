"""A file system that fails at one call of a renewal, or at all from there on."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING

import anyio
import pytest

from tests.refresh.lanes import SENT, WORKS, lane, next_get, steps_of
from tests.refresh.rotating import refresh_of
from tests.refresh.workers import BESIDE
from tests.vault.samples import opened, store_at

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.refresh.lanes import Lane
    from tests.refresh.tracing import Call

pytestmark = pytest.mark.slow

LANES = 2
FAULTS = ("ENOSPC", "EIO", "EROFS", "EDQUOT")
REFUSABLE = frozenset({"openat", "write", "fsync", "rename", "renameat", "renameat2"})
NOT_YET = "could not be saved yet"
LOST = "were lost"


@dataclass(frozen=True, kw_only=True)
class Case:
    """One call that fails.

    Attributes:
        call: The call.
        error: How.
        sent: It comes after the request, in a renewal that goes through.
        for_ever: So do all calls of that name that follow.
    """

    call: Call
    error: str
    sent: bool
    for_ever: bool = False

    @property
    def of_the_store(self) -> bool:
        """Whether a renewal can do without it: marks and the record can be behind."""
        return "auth.conf" in self.call.what or self.call.what == "fsync config"

    def __str__(self) -> str:
        lasting = "from here on" if self.for_ever else "once"
        return f"{self.error:6} {lasting:12} {self.call.what:65}"


async def test_a_fault_before_sending_sends_nothing_and_one_after_it_loses_nothing(
    tmp_path: Path, print_table: Callable[[str, list[str]], None]
) -> None:
    """H-D3: and what failed once is tried again while the command lives."""
    rows: dict[int, str] = {}
    async with lane(tmp_path / "lane-0") as first:
        before = _before_sending(await steps_of(first))
        cases = list(enumerate(_cases(before, await steps_of(first, sent=True))))
        number_of_cases = len(cases)
        async with anyio.create_task_group() as tasks:
            for number in range(1, LANES):
                tasks.start_soon(_another_lane, tmp_path / f"lane-{number}", cases, rows)
            await _try_all(first, cases, rows)
    table = [rows[place] for place in sorted(rows)]
    print_table("what fails → what the renewal says → what the next get does", table)
    assert len(rows) == number_of_cases


def _cases(before: list[Call], after: list[Call]) -> list[Case]:
    """Return what is to fail: each call once, and the most important ones in every way."""
    cases = []
    errors = cycle(FAULTS)
    for sent, call in [*((False, each) for each in before), *((True, each) for each in after)]:
        if call.name not in REFUSABLE or not call.first:
            continue
        cases.append(Case(call=call, error=next(errors), sent=sent))
        if cases[-1].of_the_store:
            cases.append(Case(call=call, error=next(errors), sent=sent, for_ever=True))
        if cases[-1].of_the_store and sent:
            cases += [Case(call=call, error=error, sent=sent) for error in FAULTS]
    return cases


def _before_sending(steps: list[Call]) -> list[Call]:
    return steps[: [step.what for step in steps].index(SENT)]


async def _another_lane(
    directory: Path, cases: list[tuple[int, Case]], rows: dict[int, str]
) -> None:
    async with lane(directory) as another:
        await _try_all(another, cases, rows)


async def _try_all(one: Lane, cases: list[tuple[int, Case]], rows: dict[int, str]) -> None:
    while cases:
        place, case = cases.pop(0)
        rows[place] = f"{case}  {await _try(one, case)}"


async def _try(one: Lane, case: Case) -> str:
    root = one.fresh_root()
    plus = "+" if case.for_ever else ""
    injection = f"inject={case.call.name}:error={case.error}:when={case.call.number}{plus}"
    looked, beside = await one.look(root, "-e", injection, sent=case.sent)
    sent = [token for token in one.model.received if token.startswith("refresh-default")]
    assert looked.status == 0, looked.said
    assert looked.struck > 0

    store = store_at(root)
    assert opened(await store.read(BESIDE)) == beside
    found = await store.read("default")
    assert found is not None
    honoured = one.model.honours(refresh_of(found))
    outcome = await next_get(one, root)
    told = looked.said.replace(str(root), "…")
    assert honoured is (outcome == WORKS), told

    if case.of_the_store and not case.sent:
        assert looked.said.startswith("failed STORE_UNWRITABLE")
        assert sent == []
    if sent and looked.said.endswith("renewed"):
        assert honoured
    if sent == []:
        assert honoured
    if case.of_the_store and case.sent:
        assert NOT_YET in looked.said
        assert honoured is (LOST not in looked.said)
        assert honoured or looked.struck > 1
    return f"{told.splitlines()[0]:.60} → {outcome.partition(':')[0]}"
