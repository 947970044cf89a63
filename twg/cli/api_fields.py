"""What `twg api` is given as ``key=value``: typed, nested, from files, for a body or a query."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from twg.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator

_KEY: Final = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_PART: Final = re.compile(r"\[([^\[\]]*)\]")
_WHOLE: Final = re.compile(r"-?[0-9]{1,18}")
_WORDS: Final = {"true": True, "false": False, "null": None}
_DEEPEST: Final = 16
_TOP: Final[tuple[str, ...]] = ("query", "operationName")


async def gathered(
    raw: Iterable[str], typed: Iterable[str], read: Callable[[str], Awaitable[str]]
) -> dict[str, Any]:
    """Return what the fields make together.

    Args:
        raw: Fields whose values are texts, as they stand.
        typed: Fields whose values may be of another type, or ``@`` and the name of a file.
        read: Returns the text of a file; ``-`` is standard input.

    Raises:
        UsageError: A field is malformed, or contradicts one before it.
    """
    found: dict[str, Any] = {}
    for word in raw:
        key, value = _pair(word)
        _put(found, key, value)
    for word in typed:
        key, value = _pair(word)
        if isinstance(value, str):
            value = await read(value[1:]) if value.startswith("@") else _typed(value)
        _put(found, key, value)
    return found


def as_body(fields: dict[str, Any]) -> bytes:
    """Return fields as a JSON object."""
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()


def as_graphql(fields: dict[str, Any]) -> bytes:
    """Return fields as a GraphQL request: all but the query and the operation are variables.

    Raises:
        UsageError: There is no query among them.
    """
    if not isinstance(fields.get("query"), str):
        raise UsageError("a GraphQL call needs its query", "Give it: -f query='query { … }'.")
    request = {name: fields[name] for name in _TOP if name in fields}
    variables = {name: value for name, value in fields.items() if name not in _TOP}
    return as_body({**request, "variables": variables} if variables else request)


def as_query(fields: dict[str, Any]) -> str:
    """Return fields as a query; a list is its parameter several times.

    Raises:
        UsageError: One is nested deeper than a query can be.
    """
    return urlencode([(name, _plain(name, each)) for name, each in _flat(fields)])


def _flat(fields: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in fields.items():
        yield from ((name, each) for each in value) if isinstance(value, list) else [(name, value)]


def _plain(name: str, value: Any) -> str:
    if isinstance(value, dict | list):
        raise UsageError(f"the field {name} is nested, and a query cannot be")
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _pair(word: str) -> tuple[list[str], Any]:
    """Return the parts of a field's key, and its value: an empty list where it has none."""
    name, equals, value = word.partition("=")
    key = _KEY.fullmatch(name)
    if key is None or not (equals or name.endswith("[]")):
        raise UsageError("a field is not of the form `key=value`")
    parts = [key[1], *_PART.findall(key[2])]
    if len(parts) > _DEEPEST:
        raise UsageError(f"the field {key[1]} is nested too deep")
    return parts, value if equals else []


def _typed(value: str) -> Any:
    if value in _WORDS:
        return _WORDS[value]
    return int(value) if _WHOLE.fullmatch(value) else value


def _put(found: dict[str, Any], parts: list[str], value: Any) -> None:
    """Put a value where its key says; ``a[][b]`` goes on in the last object until it has a b."""
    place: Any = found
    for at, part in enumerate(parts[:-1]):
        place = _inside(place, part, parts[at + 1 :], parts[0])
    last = parts[-1]
    if isinstance(place, list):
        if value != []:
            place.append(value)
    elif last in place:
        raise UsageError(f"the field {parts[0]} is given twice, or both as a value and as more")
    else:
        place[last] = value


def _inside(place: Any, part: str, behind: list[str], name: str) -> Any:
    """Return what stands at `part`, made if it is not there: a list where ``[]`` comes next."""
    wanted: Any = dict if behind[0] else list
    if isinstance(place, list):
        if not (place and isinstance(place[-1], wanted)) or _is_full(place[-1], behind):
            place.append(wanted())
        return place[-1]
    inner = place.setdefault(part, wanted())
    if not isinstance(inner, wanted):
        raise UsageError(f"the field {name} is given as two different things")
    return inner


def _is_full(last: Any, behind: list[str]) -> bool:
    """Tell whether the last object of a list has the key already, so that another one begins."""
    for part in behind:
        if not part or not isinstance(last, dict):
            return False
        if part not in last:
            return False
        last = last[part]
    return True
