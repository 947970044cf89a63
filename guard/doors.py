"""The doors of packages: what each offers is imported when it is first asked for, not before."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping


def door(
    package: str, offered: Collection[str], homes: Mapping[str, str], rest: str = ""
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return what a package calls `__getattr__` and `__dir__` (PEP 562).

    Args:
        package: Its name.
        offered: What it offers: its `__all__`.
        homes: In which of its modules each name is.
        rest: In which the others are.
    """

    def find(name: str) -> Any:
        if name not in offered:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{homes.get(name, rest)}"), name)

    return find, lambda: [*offered]
