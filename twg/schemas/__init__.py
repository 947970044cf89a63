"""The shape of every command's answer: JSON Schemas (2020-12), a file each in this directory."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

_HERE: Final = Path(__file__).parent
_SHARED: Final = "shared"
_ENVELOPE: Final = "envelope"
_CODES: Final = "x-codes"
"""What of failures is told beside the shape of a result: the codes that only some commands have."""
_REFERENCE: Final = "shared.json#/$defs/"


def names() -> list[str]:
    """Return the commands whose answers are described, such as ``twg auth status``."""
    stems = {path.stem for path in _HERE.glob("*.json")} - {_SHARED, _ENVELOPE}
    return [f"twg {stem.replace('.', ' ')}" for stem in sorted(stems)]


def envelope() -> dict[str, Any]:
    """Return the schema of every document."""
    return _read(_ENVELOPE)


def result(command: str) -> dict[str, Any]:
    """Return the schema of a command's ``data``, whole: it refers to nothing outside.

    Args:
        command: The words that call it; of one that is not described, it may be anything.
    """
    schema = _whole(_described(command))
    del schema[_CODES]
    return schema


def codes(command: str) -> tuple[str, ...]:
    """Return the codes of failures that this command has, beside those of all.

    Args:
        command: The words that call it.
    """
    return tuple(_described(command)[_CODES])


def partial(command: str) -> dict[str, Any]:
    """Return the schema of ``data`` where some of several did not work: what did, and why not.

    Args:
        command: The words that call it.
    """
    schema = result(command)
    reasons = {"type": "object", "additionalProperties": {"type": "string"}}
    return schema | {
        "properties": schema.get("properties", {}) | {"failures": reasons},
        "required": ["failures"],
    }


def refusal() -> dict[str, Any]:
    """Return the schema of ``data`` where a secret was refused: what became of histories."""
    history = {"$ref": f"{_REFERENCE}history"}
    return _whole({"$schema": DIALECT, "type": "object", "properties": {"history": history}})


def manual() -> dict[str, Any]:
    """Return the schema of what ``--help`` gives a program."""
    return _whole({"$schema": DIALECT, "$ref": f"{_REFERENCE}manual"})


def _described(command: str) -> dict[str, Any]:
    if command not in names():
        return {"$schema": DIALECT, "title": command, _CODES: []}
    return _read(command.removeprefix("twg ").replace(" ", "."))


@functools.cache
def _text(stem: str) -> str:
    return (_HERE / f"{stem}.json").read_text(encoding="utf-8")


def _read(stem: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(_text(stem))
    return found


def _whole(schema: dict[str, Any]) -> dict[str, Any]:
    """Return `schema` with what it shares with others inside it."""
    shared = _read(_SHARED)["$defs"]
    needed: dict[str, Any] = {}
    asked = [*_shared_in(schema)]
    while asked:
        name = asked.pop()
        if name not in needed:
            needed[name] = shared[name]
            asked += _shared_in(shared[name])
    whole = schema | ({"$defs": dict(sorted(needed.items()))} if needed else {})
    found: dict[str, Any] = json.loads(json.dumps(whole).replace(_REFERENCE, "#/$defs/"))
    return found


def _shared_in(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        for name, value in schema.items():
            if name == "$ref":
                yield value.removeprefix(_REFERENCE)
            else:
                yield from _shared_in(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _shared_in(value)
