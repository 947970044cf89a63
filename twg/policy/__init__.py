"""The policy: what each request would do, and whether an agent may; entered by this door.

`classify` tells by method, path, query and body what a `Call` does; product rules are data, a file
each in `rules/`. It knows of no credential and sends nothing.
"""

from __future__ import annotations

from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twg.policy.access import Access
    from twg.policy.call import Call, refuse_override
    from twg.policy.classification import classify

__all__ = ["Access", "Call", "classify", "refuse_override"]

_HOMES: Final[Mapping[str, str]] = MappingProxyType(
    {"Access": "access", "Call": "call", "classify": "classification", "refuse_override": "call"}
)


if not TYPE_CHECKING:  # a type checker goes by the imports above, and finds misspelt names

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)
