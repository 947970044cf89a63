"""`Members`: objects taken apart, changed in one place, and put together to the letter."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twg.vault.members import Members, dump, member

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(st.text() | st.just("\ud800"), values, max_size=6)


@settings(max_examples=150, deadline=None)
@given(objects)
def test_an_object_taken_apart_is_what_it_was(whole: dict[str, Any]) -> None:
    found = Members.of(dump(whole))

    assert found.text() == dump(whole)
    assert found.names == tuple(sorted(whole))
    assert {name: found.get(name) for name in found.names} == json.loads(dump(whole))


@settings(max_examples=100, deadline=None)
@given(objects, st.text(), values)
def test_a_member_put_or_dropped_leaves_what_would_be_written_so(
    whole: dict[str, Any], name: str, value: Any
) -> None:
    found = Members.of(dump(whole))
    before = found.copy()

    found.put(name, member(name, value))
    assert found.text() == dump({**whole, name: value})
    found.drop(name)
    assert found.text() == dump({each: whole[each] for each in whole if each != name})
    assert before.text() == dump(whole)
    assert name not in found


def test_an_object_within_is_changed_in_its_place_and_not_in_a_copy() -> None:
    whole = dump({"inner": {"b": [1], "a": {"c": None}}, "other": {"d": 1}})
    found = Members.of(whole, inner=("inner", "missing"))
    before = found.copy()

    found.inner("inner").put("b", member("b", 2))

    assert found.inner("inner").names == ("a", "b")
    assert found.get("inner") == {"a": {"c": None}, "b": 2}
    assert found.text() == dump({"inner": {"a": {"c": None}, "b": 2}, "other": {"d": 1}})
    assert before.text() == whole
    for name in ("other", "missing"):
        with pytest.raises(ValueError, match=name):
            found.inner(name)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "1",
        "{",
        "}",
        '{"a":1',
        '{"a":1,}',
        '{"a" :1}',
        '{"a":1 }',
        '{"a":1;"b":2}',
        '{"a";1}',
        "{1:1}",
        '{"a":1,2:1}',
        '{"a":1,[]:1}',
        '{"b":1,"a":2}',
        '{"a":1,"a":2}',
        '{"a":NaN}',
        "{a:1}",
        ' {"a":1}',
        '{"a":1}x',
    ],
)
def test_what_is_no_object_in_canonical_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Members.of(text, inner=("a",))
    with pytest.raises(ValueError, match=r"."):
        Members.of(f'{{"a":{text}}}', inner=("a",))


def test_depth_is_refused_too() -> None:
    with pytest.raises((ValueError, RecursionError)):
        Members.of('{"a":' + "[" * 100_000 + "}")
