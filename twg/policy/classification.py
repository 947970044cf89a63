"""What a request does: read, write or delete. What is not known to read writes.

Paths are read twice. What says that a POST only reads must fit the path to the letter, with nothing
encoded, doubled or left over. What says that it does more fits in whatever way a server could read
the path: decoded again and again, in any case, with or without slashes and parameters too many.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from twg.policy.access import Access, worst
from twg.policy.call import parameters
from twg.policy.rules import rules_of
from twg.policy.spelling import is_plain, readings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from twg.policy.call import Call
    from twg.policy.rules import Rule, Rules

GRAPHQL: Final = "graphql"
_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_KNOWN: Final = _READING | {"POST", "PUT", "PATCH"}
_DELETING: Final = re.compile(r"(?:bulk[-_]?)?(?:delete|remove|purge|trash|destroy|erase|wipe)")
# Where a verb stands in a path, if one does: `…/bulk/issues/delete`, `…/mapping/remove`.
_VERB_PARTS: Final = 2


@dataclass(frozen=True, slots=True)
class Target:
    """Whose interface a call reaches in the end.

    Attributes:
        service: ``jira``, ``confluence``, ``bitbucket``, ``admin``, ``graphql`` or ``atlassian``.
        path: Below that product's base.
        direct: Whether the call names that service itself; else its site is not known.
    """

    service: str
    path: str
    direct: bool


def target_of(call: Call) -> Target:
    """Tell whose interface a call reaches: ``api.atlassian.com`` passes most on to others."""
    if call.service == GRAPHQL or _ends_in_graphql(call.path):
        return Target(GRAPHQL, "/graphql", call.service == GRAPHQL)
    if call.service != "atlassian":
        return Target(call.service, path_at(call.service, call.path), direct=True)
    match call.path.split("/"):
        case ["", "ex", "jira" | "confluence" | "bitbucket" as product, _, *rest] if rest:
            return Target(product, path_at(product, "/" + "/".join(rest)), direct=False)
        case ["", "admin" | "scim" | "users" | "v1" | "v2", *_]:
            return Target("admin", call.path, direct=False)
    return Target("atlassian", call.path, direct=True)


def classify(call: Call) -> Access:
    """Return what a call does. What is not known to read writes."""
    target = target_of(call)
    if target.service == GRAPHQL:
        from twg.policy.graphql import access_of  # noqa: PLC0415 - only for its own calls

        return access_of(call)
    if call.method.upper() == "DELETE":
        return Access.DELETE
    rules = rules_of(target.service)
    if rules is None or call.method not in _KNOWN:
        return worst([Access.WRITE, *_by_verb(target)])
    return worst([_by_method(call, target, rules), *_raised(call, target, rules)])


def _by_method(call: Call, target: Target, rules: Rules) -> Access:
    """Return the least that it is taken for."""
    if call.method in _READING:
        reads = not call.body and _is_documented(target.path, rules)
    else:
        plain = tuple(target.path.split("/")[1:])
        reads = is_plain(target.path) and any(rule.fits(call.method, plain) for rule in rules.reads)
    return Access.READ if reads else Access.WRITE


def _raised(call: Call, target: Target, rules: Rules) -> Iterable[Access]:
    """Yield what else it does, by whatever reading of its path."""
    found = readings(target.path)
    if found is None:
        yield Access.DELETE
        return
    names = {name for name, _ in parameters(call)}
    if _any_fits(rules.writes, call.method, found, names):
        yield Access.WRITE
    if _any_fits(rules.deletes, call.method, found, names):
        yield Access.DELETE
    if call.method not in _READING:
        yield from _by_verb(target)
        if rules.deleting_status & set(_statuses(call.body)):
            yield Access.DELETE


def _any_fits(
    rules: Iterable[Rule], method: str, found: list[tuple[str, ...]], names: set[str]
) -> bool:
    method = "GET" if method == "HEAD" else method
    return any(
        rule.fits(method, parts) and (rule.parameter is None or rule.parameter in names)
        for rule in rules
        for parts in found
    )


def _by_verb(target: Target) -> Iterable[Access]:
    """Yield that it deletes, where the path ends in words that say so."""
    for parts in readings(target.path) or [("delete",)]:
        if any(_DELETING.match(part) for part in parts[-_VERB_PARTS:]):
            yield Access.DELETE


def _is_documented(path: str, rules: Rules) -> bool:
    """Tell whether every reading of a path is below a documented interface, where GET reads."""
    found = readings(path)
    return found is not None and all(
        any(parts[: len(front)] == front for front in rules.interfaces) for parts in found
    )


def path_at(service: str, path: str) -> str:
    """Return a path as it is below the service's base, whether or not its front was left out."""
    rules = rules_of(service)
    front = "" if rules is None else rules.front
    return path if not front or path.startswith(f"{front}/") else f"{front}{path}"


def _ends_in_graphql(path: str) -> bool:
    return any(parts[-1:] == (GRAPHQL,) for parts in readings(path) or [])


def _statuses(body: bytes | None) -> Iterable[str]:
    """Yield every ``status`` in a JSON body, however deep, twice-named ones too."""
    found: list[str] = []

    def note(pairs: list[tuple[str, Any]]) -> None:
        found.extend(value for name, value in pairs if name == "status" and isinstance(value, str))

    try:
        json.loads(body or b"null", object_pairs_hook=note)
    except (ValueError, RecursionError):
        return ()
    return found
