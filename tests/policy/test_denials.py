"""What agents were denied: each kind is on record once in a while, and all are counted."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from twg.policy import Denial, Denials
from twg.policy.denials import QUIET, forgiving
from twg.vault.locks import ProcessLock

if TYPE_CHECKING:
    from pathlib import Path

NOW = 1_800_000_000.0


@pytest.fixture
def denials(tmp_path: Path) -> Denials:
    tmp_path.chmod(0o700)
    lock = ProcessLock(state_dir=tmp_path, name="asked", what="it", seconds=20.0)
    return Denials(tmp_path / "asked.json", lock)


def denial(what: str = "POST /a", when: float = NOW, agent: str = "codex") -> Denial:
    return Denial(
        agent=agent, access="write", service="jira", what=what, command="c", first=when, last=when
    )


def test_the_same_a_hundred_times_is_on_record_once_and_counted(denials: Denials) -> None:
    told = [denials.note(denial(when=NOW + second)) for second in range(100)]

    assert told == [0] + [None] * 99
    [one] = denials.newest_first()
    assert (one.times, one.first, one.last) == (100, NOW, NOW + 99)


def test_after_a_while_it_is_told_how_many_there_were(denials: Denials) -> None:
    for second in range(100):
        denials.note(denial(when=NOW + second))

    assert denials.note(denial(when=NOW + QUIET)) == 99
    assert denials.note(denial(when=NOW + QUIET + 1)) is None


def test_an_agent_that_asks_for_ever_more_is_not_on_record_with_all(denials: Denials) -> None:
    told = [denials.note(denial(f"POST /{number}", NOW + number / 10)) for number in range(200)]

    assert told == [0] * 10 + [None] * 190
    assert denials.newest_first()[0].what == "POST /199"
    assert len(denials.newest_first()) == 20
    assert denials.note(denial("POST /more", NOW + QUIET + 20)) == 190


def test_what_differs_is_told_apart(denials: Denials) -> None:
    for one in (denial(), denial(agent="cursor"), replace(denial(), service="confluence")):
        assert denials.note(one) == 0
    assert {one.times for one in denials.newest_first()} == {1}


def test_a_clock_that_was_set_back_keeps_nothing_off_the_record(denials: Denials) -> None:
    denials.note(denial(when=NOW))
    assert denials.note(denial(when=NOW - 86_400)) == 0


@pytest.mark.parametrize("text", ["", "[", "[]", '{"denials": [{}]}', '{"denials": 1}', "\xff"])
def test_a_list_that_was_spoilt_begins_afresh(denials: Denials, text: str) -> None:
    denials.path.touch(mode=0o600)
    denials.path.write_bytes(text.encode("latin-1"))
    assert denials.newest_first() == []
    assert denials.note(denial()) == 0
    assert len(denials.newest_first()) == 1


def test_where_nothing_can_be_counted_each_is_on_record(denials: Denials) -> None:
    denials.path.symlink_to("elsewhere")
    assert [forgiving(denials, denial()) for _ in range(2)] == [0, 0]
