"""Fields of `twg api`: what ``key=value`` makes, typed and nested, for a body or a query."""

from __future__ import annotations

import json
from typing import Any

import pytest

from twg.cli import api_fields
from twg.errors import UsageError

FILES = {"words.txt": "from a file", "true.txt": "true"}


async def read(name: str) -> str:
    return FILES[name]


async def made(*typed: str, raw: tuple[str, ...] = ()) -> dict[str, Any]:
    return await api_fields.gathered(raw, typed, read)


TYPED = {
    "true": True,
    "false": False,
    "null": None,
    "0": 0,
    "-12": -12,
    "1.5": "1.5",
    "1e3": "1e3",
    "True": "True",
    "": "",
    "a=b": "a=b",
    " 1": " 1",
    "12345678901234567890": "12345678901234567890",
    "@words.txt": "from a file",
    "@true.txt": "true",
}


@pytest.mark.parametrize("given", TYPED)
async def test_a_value_has_the_type_that_it_looks_like(given: str) -> None:
    assert await made(f"k={given}") == {"k": TYPED[given]}


@pytest.mark.parametrize("given", TYPED)
async def test_a_raw_value_is_a_text_whatever_it_looks_like(given: str) -> None:
    assert await made(raw=(f"k={given}",)) == {"k": given}


NESTED = {
    ("a[b]=1",): {"a": {"b": 1}},
    ("a[b][c]=1", "a[b][d]=x"): {"a": {"b": {"c": 1, "d": "x"}}},
    ("a[]=1", "a[]=true"): {"a": [1, True]},
    ("a[]",): {"a": []},
    ("a[b][]",): {"a": {"b": []}},
    ("a[b][]=x", "a[b][]=y"): {"a": {"b": ["x", "y"]}},
    ("a[][b]=1", "a[][c]=2", "a[][b]=3"): {"a": [{"b": 1, "c": 2}, {"b": 3}]},
    ("a[][b][]=1", "a[][b][]=2"): {"a": [{"b": [1, 2]}]},
    ("a[][]=1",): {"a": [[1]]},
    ("a[b c]=1",): {"a": {"b c": 1}},
}


@pytest.mark.parametrize("words", NESTED, ids=" ".join)
async def test_fields_nest(words: tuple[str, ...]) -> None:
    assert await made(*words) == NESTED[words]


@pytest.mark.parametrize(
    "words",
    [
        ("a",),
        ("=1",),
        ("[a]=1",),
        ("a[b=1",),
        ("a]b[=1",),
        ("a[b]c=1",),
        ("a=1", "a=2"),
        ("a=1", "a[b]=2"),
        ("a[b]=1", "a=2"),
        ("a[]=1", "a[b]=2"),
        ("a[b]=1", "a[]=2"),
        ("a[b]=1", "a[b]=2"),
        ("a" + "[b]" * 20 + "=1",),
    ],
    ids=" ".join,
)
async def test_fields_that_make_no_sense_are_refused(words: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="field"):
        await made(*words)


async def test_a_query_takes_lists_and_no_more() -> None:
    fields = await made("a=true", "b=null", "c[]=1", "c[]=x y", "d=ü&=")

    assert api_fields.as_query(fields) == "a=true&b=&c=1&c=x+y&d=%C3%BC%26%3D"
    with pytest.raises(UsageError, match="a query cannot be"):
        api_fields.as_query(await made("a[b]=1"))
    with pytest.raises(UsageError, match="a query cannot be"):
        api_fields.as_query(await made("a[][b]=1"))


async def test_graphql_has_the_query_and_the_rest_as_variables() -> None:
    fields = await made("query=query($n: Int) { x }", "operationName=q", "n=1", "m[a]=b")

    assert json.loads(api_fields.as_graphql(fields)) == {
        "query": "query($n: Int) { x }",
        "operationName": "q",
        "variables": {"n": 1, "m": {"a": "b"}},
    }
    assert json.loads(api_fields.as_graphql({"query": "{ x }"})) == {"query": "{ x }"}
    with pytest.raises(UsageError, match="needs its query"):
        api_fields.as_graphql({"n": 1})
