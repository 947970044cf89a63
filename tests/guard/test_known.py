"""The index of known secrets: of many it names the few that a text may hold."""

from __future__ import annotations

import secrets
import tracemalloc
from typing import Any

import pytest

from guard.forms import forms
from guard.known import GRAM, Index
from guard.readings import Reading
from guard.scrub import Scrubber

MANY = 500


def holding(values: list[str]) -> Index:
    index = Index()
    for value in values:
        index.add(value)
    return index


def named(index: Index, text: str) -> list[str]:
    return [found.value for found in index.find(Reading(text))]


def alike(count: int = MANY) -> list[str]:
    """Make secrets that begin alike, as those of one issuer do."""
    return [f"ATATT3xFfGF0-example-{number:05}-{secrets.token_hex(8)}" for number in range(count)]


def test_of_many_only_those_that_a_text_may_hold_are_named() -> None:
    values = alike()
    index = holding(values)
    assert named(index, f"the first words {values[7]} and others") == [values[7]]
    assert named(index, "a line that begins as they do: ATATT3xFfGF0-example") == []
    assert named(index, "") == []


@pytest.mark.parametrize("value", ["!?" * 8, "abc-def!", "pä$$-wörd-€", "12345678"])
def test_a_value_of_few_letters_is_found_too(value: str) -> None:
    scrubber = Scrubber()
    for each in [*alike(), value]:
        scrubber.learn(each, "k")
    for form in forms(value):
        assert "‹redacted:k›" in scrubber.text(f"x {form} y")


def test_values_whose_ends_are_alike_are_told_apart() -> None:
    values = [f"{number:05}-{'the-same-end' * 3}" for number in range(50)]
    index = holding(values)
    assert all(value in named(index, value) for value in values)


def test_what_is_known_is_found_among_many_others() -> None:
    scrubber = Scrubber()
    values = alike()
    for value in values:
        scrubber.learn(value, "k")
        assert scrubber.text(f"[{value}]") == "[‹redacted:k›]"
    assert scrubber.text(" ".join(values[:5])) == " ".join(["‹redacted:k›"] * 5)


def test_a_short_text_is_looked_up_and_no_secret_looked_for() -> None:
    """The cost is that of the text: each of its stretches is looked up once."""

    class Counted(dict[bytes, Any]):
        asked = 0

        def __contains__(self, key: object) -> bool:
            Counted.asked += 1
            return super().__contains__(key)

    index = holding(alike())
    index._entries = Counted(index._entries)
    text = (
        "a line of log with nothing in it, 100 characters or so; some of them are no letters at all"
    )
    assert named(index, text) == []
    assert Counted.asked <= len(text) - GRAM


def test_what_a_secret_costs_does_not_grow_with_its_length() -> None:
    """Beside the value itself."""

    def cost(length: int) -> float:
        values = [secrets.token_hex(length) for _ in range(MANY)]
        index = Index()
        tracemalloc.start()
        for value in values:
            index.add(value)
        taken = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        return taken / MANY

    assert cost(20) < 1500
    assert cost(2000) < 1500
