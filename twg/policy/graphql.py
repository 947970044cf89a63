"""What a GraphQL request does, by the operations in it; one that cannot be read writes."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from twg.policy.access import Access, worst
from twg.policy.call import header, parameters

if TYPE_CHECKING:
    from collections.abc import Iterable

    from graphql.language import DocumentNode, FieldNode

    from twg.policy.call import Call

_LONGEST: Final = 1024 * 1024
_MOST_TOKENS: Final = 50_000
_JSON: Final = re.compile(
    r"application/(?:graphql\+)?json(?:\s*;\s*charset=\"?utf-8\"?)?", re.IGNORECASE
)
_DELETING: Final = re.compile(r"delete|remove|purge|trash|destroy|erase|wipe", re.IGNORECASE)
# What names an operation that the server keeps, or another document than the one in the body.
_ELSEWHERE: Final = frozenset(
    {
        *("query", "mutation", "extensions", "id", "doc_id", "docid", "documentid", "queryid"),
        *("hash", "sha256hash", "operations", "map", "persistedquery", "operationid"),
    }
)
_BODY: Final = frozenset({"query", "operationName", "variables", "extensions"})


class _Twice(ValueError):
    """A name stands twice in one object: each server takes another one of the two."""


def access_of(call: Call) -> Access:
    """Return what the operations of a call do, the worst of several.

    A subscription, an operation that the server keeps, and whatever cannot be read writes.
    """
    if call.method != "POST" or not call.body or len(call.body) > _LONGEST:
        return Access.WRITE
    kind = header(call, "content-type")
    if kind is not None and not _JSON.fullmatch(kind.strip()):
        return Access.WRITE
    if header(call, "content-encoding") or _ELSEWHERE & {name for name, _ in parameters(call)}:
        return Access.WRITE
    try:
        asked = json.loads(call.body.decode("utf-8"), object_pairs_hook=_once)
    except (ValueError, RecursionError):
        return Access.WRITE
    batch = asked if isinstance(asked, list) else [asked]
    return worst(map(_of_one, batch)) if batch else Access.WRITE


def _of_one(asked: Any) -> Access:
    if not isinstance(asked, dict) or not asked.keys() <= _BODY:
        return Access.WRITE
    query = asked.get("query")
    if not isinstance(query, str) or asked.get("extensions"):
        return Access.WRITE
    return _of_document(query)


def _of_document(query: str) -> Access:
    from graphql import GraphQLError  # noqa: PLC0415 - it takes a tenth of a second
    from graphql.language import OperationDefinitionNode, parse  # noqa: PLC0415 - likewise

    try:
        document = parse(query, no_location=True, max_tokens=_MOST_TOKENS)
    except (GraphQLError, RecursionError):
        return Access.WRITE
    kinds = {
        one.operation.value
        for one in document.definitions
        if isinstance(one, OperationDefinitionNode)
    }
    if kinds == {"query"}:
        return Access.READ
    if "mutation" in kinds and any(_DELETING.search(name) for name in _field_names(document)):
        return Access.DELETE
    return Access.WRITE


def _field_names(document: DocumentNode) -> Iterable[str]:
    """Yield the names of all fields, in fragments too: mutations stand in namespaces."""
    from graphql.language import Visitor, visit  # noqa: PLC0415 - likewise

    found: list[str] = []

    class Names(Visitor):
        def enter_field(self, node: FieldNode, *_: Any) -> None:
            found.append(node.name.value)

    visit(document, Names())
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Twice
    return found
