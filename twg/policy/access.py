"""`Access`: the three kinds of what a request does."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class Access(StrEnum):
    """What a request does, from the least to the worst."""

    READ = "read"
    WRITE = "write"
    DELETE = "delete"


def worst(found: Iterable[Access]) -> Access:
    """Return the worst of these; what is none of them reads."""
    order = list(Access)
    return max(found, key=order.index, default=Access.READ)
