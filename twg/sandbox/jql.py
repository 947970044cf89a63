"""A small, honest part of JQL: field = value, joined by AND, with an ORDER BY."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twg.sandbox.people import Person

_ORDER: Final = re.compile(r"(?i)(?:^|\s+)order\s+by\s+(\w+)(?:\s+(asc|desc))?\s*$")
_CLAUSE: Final = re.compile(
    r"""(?ix)^\s*(\w+)\s*(=|!=|~|in)\s*("[^"]*"|'[^']*'|\([^()]*\)|[\w.@:-]+(?:\(\))?)\s*$"""
)
_FIELDS: Final = frozenset({"project", "status", "assignee", "key", "issuetype", "type", "summary"})
_ORDERS: Final = frozenset({"key", "created", "updated", "summary", "status"})


class JqlError(Exception):
    """The query is not one this Jira understands; the text is for the person."""


def select(issues: list[dict[str, Any]], query: str, person: Person) -> list[dict[str, Any]]:
    """Return the issues that `query` selects, in its order.

    Raises:
        JqlError: The query goes beyond the part that is understood.
    """
    order = _ORDER.search(query)
    where = query[: order.start()] if order else query
    for clause in clauses(where, person):
        if clause.field not in _FIELDS:
            raise JqlError(
                f"Field '{clause.field}' does not exist or you do not have permission to view it."
            )
        issues = [issue for issue in issues if clause.fits(_values(issue, clause.field))]
    return _ordered(issues, order.group(1).lower(), order.group(2)) if order else issues


class Clause(NamedTuple):
    """A field, how it is compared, and with which words, all in lower case."""

    field: str
    operator: str
    wanted: frozenset[str]

    def fits(self, found: set[str]) -> bool:
        """Tell whether a field with these values passes."""
        if self.operator == "~":
            return any(word in value for word in self.wanted for value in found)
        return bool(found & self.wanted) != (self.operator == "!=")


def clauses(where: str, person: Person) -> Iterator[Clause]:
    """Yield the clauses that a query joins by AND; CQL has such, too.

    Raises:
        JqlError: One goes beyond the part that is understood.
    """
    for text in re.split(r"(?i)\s+and\s+", where) if where.strip() else []:
        match = _CLAUSE.match(text)
        if match is None:
            raise JqlError(f"Error in the JQL Query: this sandbox does not understand '{text}'.")
        words = match.group(3)
        parts = words[1:-1].split(",") if words.startswith("(") else [words]
        wanted = frozenset(_value(part, person) for part in parts)
        yield Clause(match.group(1).lower(), match.group(2).lower(), wanted)


def _value(text: str, person: Person) -> str:
    plain = text.strip().strip("\"'")
    return (person.account_id if plain.lower() == "currentuser()" else plain).lower()


def _values(issue: dict[str, Any], field: str) -> set[str]:
    fields = issue["fields"]
    assignee = fields["assignee"] or {}
    found = {
        "project": [fields["project"]["key"], fields["project"]["name"], fields["project"]["id"]],
        "status": [fields["status"]["name"]],
        "assignee": [assignee.get("accountId", ""), assignee.get("emailAddress", "")],
        "key": [issue["key"], issue["id"]],
        "summary": [fields["summary"]],
    }.get(field, [fields["issuetype"]["name"]])
    return {value.lower() for value in found}


def _ordered(
    issues: list[dict[str, Any]], field: str, direction: str | None
) -> list[dict[str, Any]]:
    if field not in _ORDERS:
        raise JqlError(f"Not able to sort using field '{field}'.")

    def rank(issue: dict[str, Any]) -> tuple[str, int]:
        project, _, number = issue["key"].rpartition("-")
        if field == "key":
            return project, int(number)
        value = issue["fields"][field]
        return str(value["name"] if field == "status" else value), int(number)

    return sorted(issues, key=rank, reverse=(direction or "").lower() == "desc")
