"""The policy: what each request would do, and whether an agent may; entered by this door.

`classify` tells by method, path, query and body what a `Call` does; product rules are data, a file
each in `rules/`. `Policy` lets an agent's call through by `Limits`, which a person or a machine's
administrator sets, and by the grants that a person gave. It knows of no credential and sends
nothing.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from guard.doors import door

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twg.policy.access import Access
    from twg.policy.call import Call, refuse_override
    from twg.policy.classification import classify, path_at
    from twg.policy.denials import Denial, Denials
    from twg.policy.grants import Moment, left_of
    from twg.policy.limits import (
        EVERY,
        LONGEST,
        MACHINE_WIDE,
        SERVICES,
        Limits,
        all_limits,
        machine_wide,
        seconds_of,
    )
    from twg.policy.policy import Policy
    from twg.policy.spelling import is_plain

__all__ = [
    "EVERY",
    "LONGEST",
    "MACHINE_WIDE",
    "SERVICES",
    "Access",
    "Call",
    "Denial",
    "Denials",
    "Limits",
    "Moment",
    "Policy",
    "all_limits",
    "classify",
    "is_plain",
    "left_of",
    "machine_wide",
    "path_at",
    "refuse_override",
    "seconds_of",
]

_HOMES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Access": "access",
        "Call": "call",
        "Denial": "denials",
        "Denials": "denials",
        "Moment": "grants",
        "Policy": "policy",
        "classify": "classification",
        "is_plain": "spelling",
        "left_of": "grants",
        "path_at": "classification",
        "refuse_override": "call",
    }
)

if not TYPE_CHECKING:  # a type checker goes by the imports above, and finds misspelt names
    __getattr__, __dir__ = door(__name__, __all__, _HOMES, rest="limits")
