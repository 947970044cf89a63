"""Makes the reference of the audit record out of the catalogues: ``make reference`` writes it."""

from __future__ import annotations

import ast
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
CATALOGUES = ("guard/events.py", "twg/events.py")
PAGE = ROOT / "docs" / "audit.md"
SCHEMA = ROOT / "docs" / "audit.schema.json"
BEGIN, END = "<!-- made from the catalogues -->\n", "<!-- end of what is made -->\n"

_TYPES: dict[str, Any] = {
    "str": {"type": "string"},
    "int": {"type": "integer"},
    "bool": {"type": "boolean"},
    "str | None": {"type": "string"},
    "Sequence[str]": {"type": "array", "items": {"type": "string"}},
}
_WORD = {"type": "string", "maxLength": 200}
_MAC = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_ACTOR = {
    "kind": {"enum": ["human", "agent", "ci", "service"]},
    "agent": {"type": ["string", "null"]},
    "uid": {"type": ["integer", "null"]},
    "pid": {"type": "integer"},
    "ppid": {"type": "integer"},
    "tty": {"type": ["string", "null"]},
    "command": _WORD,
}
_EVERYWHERE = {
    "ts": {"type": "string", "format": "date-time", "pattern": r"\.[0-9]{6}Z$"},
    "seq": {"type": "integer", "minimum": 1},
    "event": _WORD,
    "actor": {"type": "object", "properties": _ACTOR, "required": [*_ACTOR]},
    "secret": {
        "type": "object",
        "properties": {
            "kind": _WORD,
            "fingerprint": {"type": "string", "pattern": "^[0-9a-f]{16}$"},
        },
        "required": ["kind"],
    },
    "outcome": _WORD,
    "reason": {"type": "string", "maxLength": 500},
    "host": _WORD,
    "trace": _WORD,
    "profile": _WORD,
    "details": {"type": "object"},
    "prev": _MAC,
    "mac": _MAC,
}
_ALWAYS = ["ts", "seq", "event", "actor", "outcome", "prev", "mac"]


@dataclass(frozen=True)
class Entry:
    """One event of a catalogue."""

    name: str
    function: str
    text: str
    source: str
    fields: dict[str, ast.expr]
    types: dict[str, str]

    def type_of(self, field: str) -> str:
        """Return the annotation of what a field is filled from; empty for what is fixed."""
        value = self.fields[field]
        return self.types.get(value.id, "") if isinstance(value, ast.Name) else ""

    def is_always(self, field: str) -> bool:
        """Tell whether each such record has that field."""
        return field in self.fields and "None" not in self.type_of(field)

    @property
    def outcomes(self) -> list[str]:
        """The words by which it ends; empty where they are not few."""
        value = self.fields.get("outcome", ast.Constant("ok"))
        known = self.type_of("outcome") if "outcome" in self.fields else ""
        words = ast.walk(ast.parse(known, mode="eval")) if known else ast.walk(value)
        return [w.value for w in words if isinstance(w, ast.Constant) and isinstance(w.value, str)]

    @property
    def details(self) -> dict[str, str]:
        """The details it has, each with its type."""
        value = self.fields.get("details")
        if not isinstance(value, ast.Dict):
            return {}
        pairs = zip(value.keys, value.values, strict=True)
        return {
            str(key.value): self.types[fact.id]
            for key, fact in pairs
            if isinstance(key, ast.Constant) and isinstance(fact, ast.Name)
        }

    def is_set(self, flag: str, *, default: bool) -> bool:
        """Tell a flag of `AuditLog.record`."""
        value = self.fields.get(flag, ast.Constant(default))
        assert isinstance(value, ast.Constant)
        return bool(value.value)


def entries() -> list[Entry]:
    """Return the events of both catalogues, in their order."""
    return [entry for source in CATALOGUES for entry in _entries_in(source)]


def _entries_in(source: str) -> list[Entry]:
    tree = ast.parse((ROOT / source).read_text())
    return [_entry(node, source) for node in tree.body if isinstance(node, ast.FunctionDef)]


def _entry(function: ast.FunctionDef, source: str) -> Entry:
    (call,) = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
    (name,) = call.args
    assert isinstance(name, ast.Constant)
    return Entry(
        name=str(name.value),
        function=function.name,
        text=" ".join((ast.get_docstring(function) or "").split()),
        source=source,
        fields={word.arg: word.value for word in call.keywords if word.arg},
        types={
            each.arg: ast.unparse(each.annotation)
            for each in function.args.kwonlyargs
            if each.annotation
        },
    )


def schema() -> str:
    """Return the JSON Schema of a record."""
    whole = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A record of twg's audit record: one line of audit.jsonl",
        "type": "object",
        "properties": _EVERYWHERE,
        "required": _ALWAYS,
        "additionalProperties": False,
        "oneOf": [_schema_of(entry) for entry in entries()],
    }
    return json.dumps(whole, indent=2) + "\n"


def _schema_of(entry: Entry) -> dict[str, Any]:
    properties: dict[str, Any] = {"event": {"const": entry.name}}
    if entry.outcomes:
        properties["outcome"] = {"enum": entry.outcomes}
    if entry.details:
        properties["details"] = {
            "properties": {name: _type(words) for name, words in entry.details.items()},
            "additionalProperties": False,
            "required": [name for name, words in entry.details.items() if "None" not in words],
        }
    named = [each for each in ("reason", "host", "profile", "secret") if entry.is_always(each)]
    return {
        "description": entry.text,
        "properties": properties,
        "required": [*named, *(["details"] if entry.details else [])],
    }


def _type(words: str) -> dict[str, Any]:
    if words.startswith("Literal"):
        return {"enum": list(ast.literal_eval(words.removeprefix("Literal").strip()))}
    return dict(_TYPES[words])


def table() -> str:
    """Return the part of the page that is made."""
    lines = [
        "| Event | Says | Outcome | Has | If it cannot be recorded |",
        "| --- | --- | --- | --- | --- |",
    ]
    return "\n".join([*lines, *map(_row, entries())]) + "\n"


def _row(entry: Entry) -> str:
    fields = ["secret"] if {"secret", "kind"} & {*entry.fields} else []
    fields += [each for each in ("reason", "host", "profile") if each in entry.fields]
    fields += [f"`{each}`" for each in entry.details]
    outcomes = ", ".join(entry.outcomes) or "a word"
    stops = "it is not done" if entry.is_set("vital", default=True) else "a warning"
    if entry.name.startswith("audit."):
        stops = "nothing else is, either"
    return f"| `{entry.name}` | {entry.text} | {outcomes} | {', '.join(fields)} | {stops} |"


def page(text: str) -> str:
    """Return the page with its made part made anew."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


def main() -> None:
    """Write both."""
    PAGE.write_text(page(PAGE.read_text()))
    SCHEMA.write_text(schema())


if __name__ == "__main__":
    main()
