"""Dataclasses to plain JSON values and back, by their own annotations and nothing looser."""

from __future__ import annotations

import dataclasses
import functools
import types
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from guard.secret import Secret

T = TypeVar("T")

Conceal = Callable[[str, str], Secret]
"""Makes a secret of its value and its kind."""


def to_plain(value: Any, reveal: Callable[[Secret], str] | None = None) -> Any:
    """Return `value` (dataclasses, tuples, mappings, JSON scalars) as plain JSON values.

    Args:
        value: What to write.
        reveal: Gives a secret's value; without it, a secret inside is an error.

    Raises:
        TypeError: Something has no place in a record, such as a secret without `reveal`.
    """
    if isinstance(value, Secret):
        if reveal is None:
            raise TypeError("a secret does not belong in a clear record")
        return {"kind": value.kind, "value": reveal(value)}
    if dataclasses.is_dataclass(value):
        kind: type = type(value)
        names = _hints(kind)
        return {name: to_plain(getattr(value, name), reveal) for name in names}
    if isinstance(value, tuple):
        return [to_plain(inner, reveal) for inner in value]
    if isinstance(value, Mapping):
        return {name: to_plain(inner, reveal) for name, inner in value.items()}
    if value is None or isinstance(value, str | int | float):
        return value
    raise TypeError(f"{type(value).__name__} does not belong in a record")


def from_plain(kind: type[T], value: Any, conceal: Conceal | None = None) -> T:
    """Return the dataclass `kind` that `to_plain` made `value` of.

    Args:
        kind: The dataclass.
        value: Plain JSON values.
        conceal: Takes a secret in; without it, a secret inside is an error.

    Raises:
        ValueError: A field is missing, unknown or of another type.
    """
    found: T = _read(kind, value, conceal)
    return found


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _read(kind: Any, value: Any, conceal: Conceal | None) -> Any:
    if get_origin(kind) is not None:
        return _read_generic(kind, value, conceal)
    if kind is Secret:
        return _read_secret(value, conceal)
    if dataclasses.is_dataclass(kind):
        return _read_record(kind, value, conceal)
    return float(value) if kind is float and type(value) is int else _expect(kind, value)


def _read_generic(kind: Any, value: Any, conceal: Conceal | None) -> Any:
    origin = get_origin(kind)
    if origin in {types.UnionType, Union}:
        inner = next(option for option in get_args(kind) if option is not types.NoneType)
        return None if value is None else _read(inner, value, conceal)
    if origin is tuple:
        entries = _expect(list, value)
        return tuple(_read(get_args(kind)[0], entry, conceal) for entry in entries)
    items = _expect(dict, value).items()
    return {name: _read(get_args(kind)[1], inner, conceal) for name, inner in items}


def _read_record(kind: Any, value: Any, conceal: Conceal | None) -> Any:
    hints = _hints(kind)
    if _expect(dict, value).keys() != hints.keys():
        raise ValueError(f"{kind.__name__} has other fields")
    return kind(**{name: _read(hint, value[name], conceal) for name, hint in hints.items()})


def _read_secret(value: Any, conceal: Conceal | None) -> Secret:
    if conceal is None or _expect(dict, value).keys() != {"kind", "value"}:
        raise ValueError("a secret where none belongs")
    return conceal(_expect(str, value["value"]), _expect(str, value["kind"]))


def _expect(kind: type[T], value: Any) -> T:
    # `bool` is an `int` to isinstance, not to a reader of the file.
    if type(value) is not kind:
        raise ValueError(f"{type(value).__name__} where {kind.__name__} belongs")
    return value
