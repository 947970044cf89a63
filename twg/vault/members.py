"""JSON objects whose members stay text until they are asked for.

A store of a thousand credentials is opened to look at one and written to change one. So no more of
it is read, and none of it written anew, than is asked for or changed.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

# Made once: `json.dumps` makes one for each call.
_ENCODER: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


def dump(value: Any) -> str:
    """Return the canonical JSON of plain values: sorted, without spaces, in ASCII."""
    return _ENCODER.encode(value)


def member(name: str, value: Any) -> str:
    """Return a member as it is written, its value given as plain JSON values."""
    return f"{dump(name)}:{dump(value)}"


class Members:
    """A JSON object in canonical form, each member the text it is written as.

    Args:
        parts: By name, such as ``{"a": '"a":1'}``; members that are objects may be such again.
    """

    def __init__(self, parts: Mapping[str, str | Members] | None = None) -> None:
        self._parts = dict(parts or {})

    @classmethod
    def of(cls, text: str, *, inner: Collection[str] = ()) -> Members:
        """Take an object apart, and those of its members that `inner` names.

        Raises:
            ValueError, RecursionError: It is not an object in canonical form. What is in members
                is only seen to be JSON.
        """
        try:
            found, _end = _taken_apart(text, 0, inner)
        except IndexError:
            raise ValueError("it ends in the middle") from None
        if found.text() != text:
            raise ValueError("not in canonical form")
        return found

    @property
    def names(self) -> tuple[str, ...]:
        """The members' names, sorted."""
        return tuple(sorted(self._parts))

    def __contains__(self, name: str) -> bool:
        return name in self._parts

    def get(self, name: str) -> Any:
        """Return a member's value as plain JSON values, None if there is none."""
        part = self._parts.get(name)
        if part is None:
            return None
        return json.loads(f"{{{part}}}")[name] if isinstance(part, str) else json.loads(part.text())

    def inner(self, name: str) -> Members:
        """Return a member that was taken apart: to look at, and to change it where it is.

        Raises:
            ValueError: There is none.
        """
        part = self._parts.get(name)
        if not isinstance(part, Members):
            raise ValueError(f"it has no {name}")  # noqa: TRY004 - a matter of the text
        return part

    def put(self, name: str, part: str | Members) -> None:
        """Add or replace the member `name`, as `member` writes it."""
        self._parts[name] = part

    def drop(self, name: str) -> None:
        """Remove a member."""
        del self._parts[name]

    def copy(self) -> Members:
        """Return a copy; the texts are shared."""
        return Members(
            {
                name: part if isinstance(part, str) else part.copy()
                for name, part in self._parts.items()
            }
        )

    def text(self) -> str:
        """Return the whole object."""
        # All pieces are joined at once: texts within texts would be copied as often as they nest.
        return "".join(self.pieces())

    def pieces(self) -> Iterator[str]:
        """Yield the whole object in pieces."""
        before = "{"
        for name in sorted(self._parts):
            part = self._parts[name]
            yield before
            if isinstance(part, str):
                yield part
            else:
                yield f"{dump(name)}:"
                yield from part.pieces()
            before = ","
        yield "}" if self._parts else "{}"


def _taken_apart(text: str, at: int, inner: Collection[str]) -> tuple[Members, int]:
    """Take the object apart that begins at `at`; return where it ends, too."""
    decode = json.JSONDecoder(parse_constant=_no_constant).raw_decode
    found = Members()
    end = at + 1
    while text[end] != "}":
        start = end + (text[end] == ",")
        name, colon = decode(text, start)
        if type(name) is not str or text[colon] != ":":
            raise ValueError("it is not an object")
        if name in inner:
            part, end = _taken_apart(text, colon + 1, ())
            found.put(name, part)
        else:
            _, end = decode(text, colon + 1)
            found.put(name, text[start:end])
    return found, end + 1


def _no_constant(_word: str) -> float:
    raise ValueError("not a JSON number")
