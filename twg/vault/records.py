"""Dataclasses to plain JSON values and back, by their own annotations and nothing looser."""

from __future__ import annotations

import dataclasses
import functools
import math
import types
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar, Union, get_args, get_origin, get_type_hints

from guard.secret import Secret

T = TypeVar("T")

Conceal = Callable[[str, str], Secret]
"""Makes a secret of its value and its kind."""

_Reader = Callable[[Any, Conceal | None], Any]

_SCALARS: Final = frozenset({type(None), str, bool, int, float})


def to_plain(value: Any, reveal: Callable[[Secret], str] | None = None) -> Any:
    """Return `value` (dataclasses, tuples, mappings, JSON scalars) as plain JSON values.

    Args:
        value: What to write.
        reveal: Gives a secret's value; without it, a secret inside is an error.

    Raises:
        TypeError: Something has no place in a record, such as a secret without `reveal`.
    """
    if value is None or isinstance(value, str | int | float):
        return value
    if isinstance(value, Secret):
        if reveal is None:
            raise TypeError("a secret does not belong in a clear record")
        return {"kind": value.kind, "value": reveal(value)}
    if dataclasses.is_dataclass(value):
        kind: Any = type(value)
        # Most fields are scalars: to call for each of them would take twice as long.
        return {
            name: inner
            if type(inner := getattr(value, name)) in _SCALARS
            else to_plain(inner, reveal)
            for name in _hints(kind)
        }
    if isinstance(value, tuple):
        return [to_plain(inner, reveal) for inner in value]
    if isinstance(value, Mapping):
        return {name: to_plain(inner, reveal) for name, inner in value.items()}
    raise TypeError(f"{type(value).__name__} does not belong in a record")


def from_plain(kind: type[T], value: Any, conceal: Conceal | None = None) -> T:
    """Return the dataclass `kind` that `to_plain` made `value` of.

    Args:
        kind: The dataclass.
        value: Plain JSON values.
        conceal: Takes a secret in; without it, a secret inside is an error.

    Raises:
        ValueError: A field is unknown or of another type, or one without a default is missing.
    """
    wanted: Any = kind
    found: T = _reader(wanted)(value, conceal)
    return found


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


@functools.cache
def _required(kind: Any) -> frozenset[str]:
    """Return the fields that a record must have; others came later, and older files lack them."""
    return frozenset(
        field.name
        for field in dataclasses.fields(kind)
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    )


@functools.cache
def _reader(kind: Any) -> _Reader:
    """Return what reads values of `kind`; its annotations are looked at once only."""
    if get_origin(kind) is not None:
        return _generic_reader(kind)
    if kind is Secret:
        return _read_secret
    if dataclasses.is_dataclass(kind):
        return _record_reader(kind)
    if kind is float:
        return _read_number
    return lambda value, _conceal: _expect(kind, value)


def _generic_reader(kind: Any) -> _Reader:
    origin = get_origin(kind)
    if origin in {types.UnionType, Union}:
        some = _reader(next(each for each in get_args(kind) if each is not types.NoneType))
        return lambda value, conceal: None if value is None else some(value, conceal)
    if origin is tuple:
        each = _reader(get_args(kind)[0])
        return lambda value, conceal: tuple([each(one, conceal) for one in _expect(list, value)])
    inner = _reader(get_args(kind)[1])
    return lambda value, conceal: {
        name: inner(one, conceal) for name, one in _expect(dict, value).items()
    }


def _record_reader(kind: Any) -> _Reader:
    readers = {name: _reader(hint) for name, hint in _hints(kind).items()}
    required = _required(kind)

    def read(value: Any, conceal: Conceal | None) -> Any:
        names = _expect(dict, value).keys()
        if not required <= names <= readers.keys():
            raise ValueError(f"{kind.__name__} has other fields")
        return kind(**{name: readers[name](value[name], conceal) for name in names})

    return read


def _read_secret(value: Any, conceal: Conceal | None) -> Secret:
    if conceal is None or _expect(dict, value).keys() != {"kind", "value"}:
        raise ValueError("a secret where none belongs")
    return conceal(_expect(str, value["value"]), _expect(str, value["kind"]))


def _read_number(value: Any, _conceal: Conceal | None) -> float:
    number = float(value) if type(value) is int else _expect(float, value)
    if not math.isfinite(number):
        raise ValueError("a number beyond all bounds")
    return number


def _expect(kind: type[T], value: Any) -> T:
    # `bool` is an `int` to isinstance, not to a reader of the file.
    if type(value) is not kind:
        raise ValueError(f"{type(value).__name__} where {kind.__name__} belongs")
    return value
