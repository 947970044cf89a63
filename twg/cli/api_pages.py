"""How answers of `twg api` are shown: as they came, chosen from, line by line, or as one list."""

from __future__ import annotations

import codecs
import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from anyio import to_thread

from guard.files import ensure_private_directory
from guard.scrub import SECRET_NAMES
from guard.shapes import names_secret
from twg.errors import UsageError
from twg.http import BadBody
from twg.products.paging import items_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping
    from typing import IO

    from guard.scrub import Scrubber
    from twg.cli.output import Output
    from twg.cli.wiring import Wiring
    from twg.http import Response

_IN_MEMORY: Final = 4 * 1024 * 1024
_PART: Final = 256 * 1024
_HIDDEN: Final = "‹redacted:page›"
_NESTING: Final = frozenset({dict, list})
_PRINTABLE: Final = bytes(range(0x20, 0x7F))


class Expression:
    """A JMESPath expression that an answer is put through.

    Args:
        text: The expression.

    Raises:
        UsageError: It is none.
    """

    def __init__(self, text: str) -> None:
        import jmespath  # noqa: PLC0415 - only with --query

        try:
            self._compiled = jmespath.compile(text)
        except (jmespath.exceptions.JMESPathError, RecursionError):
            raise UsageError(
                "the expression of --query is not JMESPath", "See https://jmespath.org."
            ) from None
        # Its functions let through what Python says of a value that does not fit.
        self._failures = (
            *(jmespath.exceptions.JMESPathError, RecursionError),
            *(TypeError, ValueError, ArithmeticError),
        )

    def of(self, value: Any) -> Any:
        """Return what it gives of `value`.

        Raises:
            UsageError: It does not fit the value.
        """
        try:
            return self._compiled.search(value)
        except self._failures as error:
            # Its message may quote the answer.
            raise UsageError(
                f"the expression of --query does not fit the answer ({type(error).__name__})",
                "Look at the answer without --query first.",
            ) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How answers are to be shown.

    Attributes:
        include: Status and headers, too.
        silent: Not the bodies.
        slurp: All pages as one list.
        jsonl: One line for each item.
        expression: What is shown of each page; None for all of it.
    """

    include: bool = False
    silent: bool = False
    slurp: bool = False
    jsonl: bool = False
    expression: Expression | None = None


class Page(NamedTuple):
    """An answer that was read to its end.

    Attributes:
        answer: As it came.
        value: Its JSON; None where it is none.
        is_json: Whether it is.
    """

    answer: Response
    value: Any
    is_json: bool

    @classmethod
    def of(cls, answer: Response) -> Page:
        """Return an answer with its JSON, if it is strictly that."""
        try:
            return cls(answer, answer.json(), is_json=True)
        except BadBody:
            return cls(answer, None, is_json=False)

    def data(self, manner: Manner) -> Any:
        """Return it as JSON values: the body where it is JSON, else its text; None for none."""
        body = self.value if self.is_json else decoded(self.answer) if self.answer.body else None
        if manner.expression is not None:
            body = manner.expression.of(body)
        if manner.silent:
            body = None
        if not manner.include:
            return body
        headers = dict(self.answer.headers)
        return {"status": self.answer.status, "headers": headers, "body": body}


class Sink(Protocol):
    """Where bytes go: a stream or a file, which scrub them."""

    def write(self, data: bytes) -> None:
        """Take more."""


class Shown(Protocol):
    """What pages are given to, one after another; both block."""

    def add(self, page: Page) -> None:
        """Take a page."""

    def end(self) -> None:
        """Hear that there is no more."""


class Once:
    """The one answer, as the data of the one document."""

    def __init__(self, output: Output, manner: Manner) -> None:
        self._output = output
        self._manner = manner

    def add(self, page: Page) -> None:
        """Print it."""
        self._output.result(page.data(self._manner), [])

    def end(self) -> None:
        """Do nothing: it is printed."""


class Written:
    """Pages one after another as text, or all of them as one JSON list."""

    def __init__(self, sink: Sink, manner: Manner) -> None:
        self._sink = sink
        self._manner = manner
        self._before = b"[\n"

    def add(self, page: Page) -> None:
        """Write a page."""
        if self._manner.slurp:
            self._sink.write(self._before + _element(page, self._manner))
            self._before = b",\n"
        else:
            for part in _text(page, self._manner):
                self._sink.write(part)

    def end(self) -> None:
        """Close the list, if it is one."""
        if self._manner.slurp:
            self._sink.write(b"\n]\n")


class Listed:
    """Pages as the list in the one document; kept aside until all are there, and scrubbed there.

    Args:
        output: Prints them.
        manner: How they are shown.
        scrubber: Cleans each.
        spool: Where they wait.
    """

    def __init__(
        self, output: Output, manner: Manner, scrubber: Scrubber, spool: IO[bytes]
    ) -> None:
        self._output = output
        self._manner = manner
        self._scrubber = scrubber
        self._spool = spool
        self._before = b"\n"

    def add(self, page: Page) -> None:
        """Put a page aside."""
        text = _clean(page, self._manner, self._scrubber)
        self._spool.write(self._before + text.encode())
        self._before = b",\n"

    def end(self) -> None:
        """Print all of them."""
        self._spool.seek(0)
        parts = iter(lambda: self._spool.read(_PART), b"")
        self._output.listed(codecs.iterdecode(parts, "utf-8"))


@asynccontextmanager
async def listing(wiring: Wiring, manner: Manner) -> AsyncIterator[Listed]:
    """Have pages put aside in memory, and in a file without a name once they are many."""
    state = wiring.settings.state_dir
    await to_thread.run_sync(ensure_private_directory, state)
    with SpooledTemporaryFile(max_size=_IN_MEMORY, dir=str(state)) as spool:
        yield Listed(wiring.output, manner, wiring.scrubber, spool)


def decoded(answer: Response) -> str:
    """Return an answer's body as text."""
    return answer.body.decode("utf-8", "replace")


def head_of(status: int, headers: Mapping[str, str]) -> bytes:
    """Return status and headers as they are shown above a body."""
    lines = [f"HTTP {status}", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\n".join(lines).encode("utf-8", "replace")


def _text(page: Page, manner: Manner) -> Iterator[bytes]:
    if manner.include:
        yield head_of(page.answer.status, page.answer.headers)
    if manner.silent:
        return
    if manner.jsonl:
        yield from (_compact(item) + b"\n" for item in _items(page, manner))
    elif manner.expression is not None:
        found = manner.expression.of(page.value)
        text = found if isinstance(found, str) else json.dumps(found, indent=2, ensure_ascii=False)
        yield text.encode("utf-8", "replace") + b"\n"
    elif page.answer.body:
        yield page.answer.body
        yield b"" if page.answer.body.endswith(b"\n") else b"\n"


def _items(page: Page, manner: Manner) -> list[Any]:
    if manner.expression is not None:
        found = manner.expression.of(page.value)
        return found if isinstance(found, list) else [found]
    if not page.is_json:
        return [decoded(page.answer)] if page.answer.body else []
    listed = items_of(page.value)
    return [page.value] if listed is None else listed


def _element(page: Page, manner: Manner) -> bytes:
    """Return a page as a part of a JSON list: as it came, for to parse it changes its numbers."""
    if manner.include or manner.silent or not page.is_json:
        return _compact(page.data(manner))
    return page.answer.body.strip()


def _compact(value: Any) -> bytes:
    # Escaped beyond ASCII, so that a line is a line for everybody.
    return json.dumps(value, separators=(",", ":")).encode()


def _clean(page: Page, manner: Manner, scrubber: Scrubber) -> str:
    """Return a page as JSON without its secrets.

    As `Output.result` does it, but that takes ten times longer: so it is done only where the text
    shows a secret, or a name that would hide what stands under it.
    """
    value = page.data(manner)
    text = _as_it_came(page) if value is page.value else None
    text = json.dumps(value) if text is None else text
    if not any(map(_hides, _names_in(value))) and scrubber.text(text) == text:
        return text
    clean = scrubber.text(json.dumps(scrubber.data(value)))
    try:
        json.loads(clean)
    except ValueError:
        # A mark has taken the place of what holds the page together.
        return json.dumps(_HIDDEN)
    return clean


def _as_it_came(page: Page) -> str | None:
    """Return a page's own text if it is as good as written anew; None if it is not."""
    body = page.answer.body.strip()
    # Beyond printable ASCII it would draw on a terminal; an escape for what needs none may hide
    # something.
    if not page.is_json or body.translate(None, _PRINTABLE):
        return None
    escaped = b"\\" in body and (b"\\u" in body or b"\\/" in body)
    return None if escaped else body.decode("ascii")


def _names_in(value: Any) -> set[str]:
    """Return the names of all members, at any depth."""
    names: set[str] = set()
    level = [value]
    while level:
        names.update(*(outer for outer in level if isinstance(outer, dict)))
        level = [
            inner
            for outer in level
            if type(outer) in _NESTING
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if type(inner) in _NESTING  # exact, and so quick: neither JSON nor JMESPath has others
        ]
    return names


@cache
def _hides(name: str) -> bool:
    flat = name.lower().replace("-", "").replace("_", "")
    return flat in SECRET_NAMES or names_secret(name)
