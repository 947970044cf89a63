"""Holds every document that a test sees to the schemas that are shipped, and no member is left."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator

from twg import schemas
from twg.cli import main, manual

if TYPE_CHECKING:
    from collections.abc import Sequence

    from twg.cli.command import Command

_WITH_A_VALUE = {"-o", "--output", "--profile"}


@functools.cache
def commands() -> dict[str, Command]:
    """Return every command by the words that call it."""
    return dict(manual.commands_below(main.root(), "twg"))


def check(words: Sequence[str], status: int, out: str) -> None:
    """Check what a command has printed, if that is a document of the envelope.

    Args:
        words: The command line without the program's name.
        status: The exit status.
        out: What stood on standard output.

    Raises:
        AssertionError: The document is not what its schema says, or the failure is not listed.
    """
    try:
        document = json.loads(out)
    except ValueError:
        return
    if not isinstance(document, dict) or "ok" not in document:
        return  # a service's own, or a log
    _hold(document, "envelope")
    assert document["ok"] is (status == 0), out
    path = path_of(words)
    if path not in schemas.names() or "--version" in words:
        return
    if not {"-h", "--help"}.isdisjoint(words):
        path = "help"
    if document["ok"]:
        _hold(document["data"], path)
    else:
        _hold_failure(document, path)


def path_of(words: Sequence[str]) -> str | None:
    """Return the words that call the command on a command line; None if there is no such."""
    own: list[str] = []
    skip = False
    for word in words:
        if not (skip or word.startswith("-")):
            own.append(word)
        skip = word in _WITH_A_VALUE
    paths = (" ".join(["twg", *own[:length]]) for length in range(len(own), 0, -1))
    return next((path for path in paths if path in commands()), None)


def _hold_failure(document: dict[str, Any], path: str) -> None:
    if path == "help":
        return
    code = document["error"]["code"]
    assert code in manual.codes_of(path, commands()[path]), (
        f"{path} is not said to fail with {code}"
    )
    data = document.get("data")
    if code == "PARTIAL" and data is not None:
        _hold(data, f"{path} in part")
    elif code == "SECRET_REFUSED" and data is not None:
        _hold(data, "a refusal")


def _hold(data: Any, what: str) -> None:
    problems = [
        f"{what}: {each.json_path}: {each.message}" for each in _validator(what).iter_errors(data)
    ]
    assert problems == [], "\n".join(problems)


@functools.cache
def _validator(what: str) -> Draft202012Validator:
    return Draft202012Validator(closed(_schema(what)))


def _schema(what: str) -> dict[str, Any]:
    if what == "envelope":
        return schemas.envelope()
    if what == "a refusal":
        return schemas.refusal()
    if what == "help":
        return schemas.manual()
    if what.endswith(" in part"):
        return schemas.partial(what.removesuffix(" in part"))
    return schemas.result(what)


def closed(schema: dict[str, Any]) -> dict[str, Any]:
    """Return `schema` with no member left to chance, wherever members are named at all."""
    shared = {name: _inside_closed(each) for name, each in schema.get("$defs", {}).items()}
    inner = _inside_closed({key: value for key, value in schema.items() if key != "$defs"})
    return _shut(inner) | ({"$defs": shared} if shared else {})


def _inside_closed(schema: Any) -> Any:
    """Return `schema` with what its members hold closed, but open itself: it may be extended."""
    if not isinstance(schema, dict):
        return schema
    found = dict(schema)
    for name in ("items", "additionalProperties"):
        if isinstance(found.get(name), dict):
            found[name] = _shut(_inside_closed(found[name]))
    if "properties" in found:
        members = found["properties"].items()
        found["properties"] = {name: _shut(_inside_closed(each)) for name, each in members}
    for name in ("anyOf", "oneOf"):
        if name in found:
            found[name] = [_inside_closed(each) for each in found[name]]
    return found


def _shut(schema: dict[str, Any]) -> dict[str, Any]:
    if {"properties", "$ref", "anyOf", "oneOf"}.isdisjoint(schema):
        return schema
    return schema | {"unevaluatedProperties": False}
