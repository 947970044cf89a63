"""Reads the part of GraphQL the sandbox answers: one query of fields, arguments, variables."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final

_TOKEN: Final = re.compile(
    r'\s*(?:,|#[^\n]*|("(?:[^"\\\n]|\\.)*")|(-?\d+)|(\w+)|([{}()\[\]:$!=@.]))'
)
_DEEPEST: Final = 12


class GraphqlError(Exception):
    """The query cannot be answered; `classification` is how the gateway would file it."""

    def __init__(self, message: str, classification: str) -> None:
        super().__init__(message)
        self.classification = classification


@dataclass(frozen=True)
class Field:
    """A selected field, named `alias` in the answer."""

    alias: str
    name: str
    arguments: dict[str, Any]
    fields: list[Field]


def parse(query: str, variables: dict[str, Any]) -> list[Field]:
    """Return the fields the query selects.

    Raises:
        GraphqlError: It is no query, or goes beyond what is understood.
    """
    reader = _Reader(_tokens(query), variables)
    reader.skip_head()
    fields = reader.selection(0)
    reader.end()
    return fields


def _tokens(text: str) -> list[str]:
    found, position = [], 0
    text = text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise _invalid(text[position : position + 10].strip())
        position = match.end()
        if match.group().strip().strip(",") and not match.group().lstrip().startswith("#"):
            found.append(match.group().strip())
    return found


def _invalid(token: str) -> GraphqlError:
    return GraphqlError(f"Invalid syntax: offending token '{token}'", "InvalidSyntax")


class _Reader:
    def __init__(self, tokens: list[str], variables: dict[str, Any]) -> None:
        self._tokens = tokens
        self._variables = variables
        self._next = 0

    def _peek(self) -> str:
        return self._tokens[self._next] if self._next < len(self._tokens) else "<EOF>"

    def _take(self, wanted: str | None = None) -> str:
        token = self._peek()
        if self._next >= len(self._tokens) or wanted not in {None, token}:
            raise _invalid(token)
        self._next += 1
        return token

    def _name(self) -> str:
        token = self._take()
        if not token.isidentifier():
            raise _invalid(token)
        return token

    def skip_head(self) -> None:
        """Read `query Name($variable: Type = default)`, which may be missing."""
        if self._peek() in {"mutation", "subscription"}:
            raise GraphqlError(f"The sandbox answers no {self._peek()}.", "ValidationError")
        if self._peek() != "query":
            return
        while self._peek() != "{":
            self._take()

    def selection(self, depth: int) -> list[Field]:
        """Read `{ field … }`."""
        if depth > _DEEPEST:
            raise GraphqlError("The query is too deep.", "ValidationError")
        self._take("{")
        fields = [self._field(depth)]
        while self._peek() != "}":
            fields.append(self._field(depth))
        self._take("}")
        return fields

    def _field(self, depth: int) -> Field:
        if self._peek() == ".":
            raise GraphqlError("The sandbox understands no fragments.", "ValidationError")
        alias = name = self._name()
        if self._peek() == ":":
            self._take(":")
            name = self._name()
        arguments = self._arguments() if self._peek() == "(" else {}
        fields = self.selection(depth + 1) if self._peek() == "{" else []
        return Field(alias, name, arguments, fields)

    def _arguments(self) -> dict[str, Any]:
        self._take("(")
        found = {}
        while self._peek() != ")":
            name = self._name()
            self._take(":")
            found[name] = self._value()
        self._take(")")
        return found

    def _value(self) -> Any:
        token = self._take()
        if token == "$":
            return self._variables.get(self._name())
        if token == "[":
            values = []
            while self._peek() != "]":
                values.append(self._value())
            self._take("]")
            return values
        if token in {"true", "false", "null"} or token[0] in '"-0123456789':
            return json.loads(token)
        if not token.isidentifier():
            raise _invalid(token)
        return token

    def end(self) -> None:
        """Expect nothing more."""
        if self._next < len(self._tokens):
            raise _invalid(self._peek())
