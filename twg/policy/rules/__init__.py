"""What is known of each product's interfaces beyond the method: data, a file each here."""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

_HERE: Final = Path(__file__).parent
ANY: Final = "*"


class Rule(NamedTuple):
    """A method and a path: ``*`` stands for one part of it, any method where it is ``*``.

    Attributes:
        method: The method.
        parts: The path's parts.
        parameter: A parameter that the query must have; None for none in particular.
    """

    method: str
    parts: tuple[str, ...]
    parameter: str | None

    def fits(self, method: str, parts: tuple[str, ...]) -> bool:
        """Tell whether method and path are as it says, to the letter."""
        return (
            self.method in {ANY, method}
            and len(parts) == len(self.parts)
            and all(wanted in {ANY, part} for wanted, part in zip(self.parts, parts, strict=True))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What is known of a product.

    Attributes:
        front: Put in front of a path that does not begin with it.
        interfaces: What begins a path of a documented interface, where GET reads.
        reads: What reads, though its method says otherwise.
        writes: What writes, though its method says otherwise.
        deletes: What deletes, though its method says otherwise.
        deleting_status: Values of ``status`` in a body by which content is deleted.
    """

    front: str = ""
    interfaces: tuple[tuple[str, ...], ...]
    reads: tuple[Rule, ...] = ()
    writes: tuple[Rule, ...] = ()
    deletes: tuple[Rule, ...] = ()
    deleting_status: frozenset[str] = frozenset()


PRODUCTS: Final = ("jira", "confluence", "bitbucket", "admin", "atlassian")


@functools.cache
def rules_of(product: str) -> Rules | None:
    """Return what is known of a product; None where nothing is."""
    if product not in PRODUCTS:
        return None
    table = tomllib.loads((_HERE / f"{product}.toml").read_text(encoding="utf-8"))
    return Rules(
        front=table.get("front", ""),
        interfaces=tuple(_parts(line) for line in table["interfaces"]),
        reads=_rules(table, "reads"),
        writes=_rules(table, "writes"),
        deletes=_rules(table, "deletes"),
        deleting_status=frozenset(table.get("deleting_status", ())),
    )


def _rules(table: dict[str, Any], name: str) -> tuple[Rule, ...]:
    return tuple(_rule(line) for line in table.get(name, ()))


def _rule(line: str) -> Rule:
    method, _, rest = line.partition(" ")
    path, _, parameter = rest.partition("?")
    return Rule(method, _parts(path), parameter or None)


def _parts(path: str) -> tuple[str, ...]:
    return tuple(path.strip().strip("/").split("/"))
