"""All that `twg` prints.

The rules: results go to stdout, everything else to stderr. With json, stdout gets exactly one
document, success or failure; what fails once it is out is told on stderr. An error line starts with
`twg: ` in lower case and without a full stop; what to do now follows on a line of its own. No
control character of anybody else's reaches the terminal, and whatever is known to be secret is
scrubbed on the way out. A result that cannot be written is a failure; words beside it that cannot
be are dropped, for the work matters more.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, TextIO

from twg.errors import OutputUnwritable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from io import TextIOBase

    from guard.scrub import Scrubber
    from twg.cli.failure import Failure
    from twg.cli.streamed import Streamed

Mode = Literal["text", "json"]

_NARROWEST: Final = 40
_GREEN: Final = "\x1b[32m"
_PLAIN: Final = "\x1b[0m"
_STYLES: Final = MappingProxyType(
    {"dim": "\x1b[2m", "red": "\x1b[31m", "green": _GREEN, "yellow": "\x1b[33m", "bold": "\x1b[1m"}
)
_HIDDEN: Final = "‹redacted:result›"


def printable(text: str) -> str:
    """Return `text` without control characters and without marks that reorder what is shown.

    Terminal escape sequences and bidirectional overrides in a name or a server's message would
    otherwise draw what they like.
    """
    if text.isprintable():
        return text
    import unicodedata  # noqa: PLC0415 - rarely needed

    return "".join(
        character
        if character == "\t" or not unicodedata.category(character).startswith("C")
        else "�"
        for character in text
    )


def give_up(stream: TextIO | TextIOBase) -> None:
    """Let the rest of what is written to `stream` go nowhere; Python tries once more at its end."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


@contextmanager
def writing(stream: TextIO) -> Iterator[None]:
    """Say it as a failure of ours where `stream`, standard output, does not take what is written.

    Raises:
        OutputUnwritable: Its disk is full, for example.
        BrokenPipeError: Nobody reads it any more.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        give_up(stream)
        raise OutputUnwritable(error) from error


class Part(NamedTuple):
    """A part of a line.

    Attributes:
        text: What it says.
        style: How it looks where there are colours: ``dim``, ``bold`` or a colour.
    """

    text: str
    style: str = ""


class Answer:
    """What a run has answered a program so far.

    Attributes:
        is_out: Its one document has been printed, or was tried to be; or a stream has begun.
    """

    __slots__ = ("is_out",)

    def __init__(self) -> None:
        self.is_out = False


class Output:
    """Prints results, messages and errors.

    Args:
        mode: ``text`` or ``json``.
        stdout: Where results go.
        stderr: Where everything else goes.
        scrubber: Cleans all that is printed; None where nothing secret can be.
        colour: Whether marks are coloured.
        answer: What the run has answered so far; None for a run of its own.
    """

    def __init__(
        self,
        mode: Mode,
        *,
        stdout: TextIO,
        stderr: TextIO,
        scrubber: Scrubber | None = None,
        colour: bool = False,
        answer: Answer | None = None,
    ) -> None:
        self.mode = mode
        self._stdout = stdout
        self._stderr = stderr
        self._scrubber = scrubber
        self._colour = colour
        self._answer = answer or Answer()

    def result(self, data: Any, lines: Iterable[str]) -> None:
        """Print a command's result: `data` with json, `lines` with text."""
        if self.mode == "json":
            self._document({"ok": True, "data": data})
        else:
            for line in lines:
                self._write(self._stdout, line)

    def published(self, data: Any, lines: Iterable[str]) -> None:
        """Print a result as it is: all of it is public, though it may look like a secret.

        For what the sandbox publishes: the names and passwords of its made-up persons.
        """
        plain = Output(
            self.mode,
            stdout=self._stdout,
            stderr=self._stderr,
            colour=self._colour,
            answer=self._answer,
        )
        plain.result(data, lines)

    @property
    def has_answered(self) -> bool:
        """Whether a result is printed, or the beginning of one."""
        return self._answer.is_out

    def complete(self) -> None:
        """Answer a program that nothing else has been told."""
        if self.mode == "json" and not self._answer.is_out:
            self.result(None, ())

    def line(self, line: str) -> None:
        """Print one line of a result that comes bit by bit."""
        self._write(self._stdout, line)

    def parts(self, lines: Iterable[Sequence[Part]]) -> None:
        """Print lines of a result, their parts in colours where there are any."""
        drawn = "".join(f"{self._drawn(line)}\n" for line in lines)
        if drawn:
            self._put(drawn)

    def documents(self, lines: Iterable[str]) -> None:
        """Print JSON documents, one a line: all that a program gets of this command."""
        # What fails from now on is told beside it.
        self._answer.is_out = True
        written = "".join(f"{self._scrub(line)}\n" for line in lines)
        if written:
            self._put(written)

    @property
    def columns(self) -> int | None:
        """How wide the terminal is that results go to; None where they go elsewhere."""
        return _columns_of(self._stdout)

    def raw(self, text: str) -> None:
        """Print a service's own text, scrubbed; on a terminal without control characters."""
        if self._stdout.isatty():
            text = "\n".join(printable(line) for line in text.splitlines())
        text = self._scrub(text)
        self._put(text if text.endswith("\n") else f"{text}\n")

    def stream(self) -> Streamed:
        """Return what prints a service's own bytes as they come, as `raw` prints a text."""
        from twg.cli.streamed import Streamed  # noqa: PLC0415 - only for `twg api`

        return Streamed(self._stdout, self._scrubber, self._answer)

    def listed(self, parts: Iterable[str]) -> None:
        """Print one document whose data is a list, written and scrubbed already, part by part."""
        if self._answer.is_out:
            raise RuntimeError("there is a document on standard output")
        self._answer.is_out = True
        self._put('{\n  "ok": true,\n  "data": [')
        for part in parts:
            self._put(part)
        self._put("\n  ]\n}\n")

    def progress(self, words: str) -> None:
        """Show on one line of the person's terminal how far it is; with no words, clear it."""
        self._tell(f"\r\x1b[K{self._scrub(printable(words))}")

    def say(self, line: str) -> None:
        """Tell the person something beside the result."""
        self._write(self._stderr, line)

    def warn(self, line: str) -> None:
        """Warn the person."""
        self._write(self._stderr, f"twg: warning: {line}")

    def failure(self, failure: Failure, data: Any = None) -> None:
        """Print why the command failed and what to do now; `data` is what it has all the same."""
        if self.mode == "json" and not self._answer.is_out:
            document: dict[str, Any] = {"ok": False, "error": failure.as_dict()}
            if data is not None:
                document["data"] = data
            self._document(document)
            return
        if self.mode == "json":
            data = None
        # What worked in part has printed what there is, or it is listed below.
        if data is not None and failure.code != "PARTIAL" and not failure.failures:
            self.value(data)
        self._write(self._stderr, f"twg: {failure.message.rstrip('.')}")
        for name, why in failure.failures.items():
            self._write(self._stderr, f"  {name}: {why}")
        if failure.remediation:
            self._write(self._stderr, f"  {failure.remediation}")

    def value(self, data: Any) -> None:
        """Print what a service sent, with text: words as they are, anything else as JSON."""
        self.raw(data if isinstance(data, str) else _pretty(self._clean(data)))

    def _document(self, document: dict[str, Any]) -> None:
        if self._answer.is_out:
            raise RuntimeError("there is a document on standard output")
        import json  # noqa: PLC0415 - not for a person's text

        # Scrubbed before it is serialised, for escapes would hide a secret, and after it, for what
        # only the whole shows. Escaped beyond ASCII: no terminal control gets through either.
        written = json.dumps(self._clean(document), indent=2)
        scrubbed = self._scrub(written)
        if scrubbed != written and not _is_json(scrubbed):
            # A mark has taken the place of what holds the document together.
            kept = {name: document[name] for name in ("ok", "error") if name in document}
            scrubbed = self._scrub(json.dumps(self._clean(kept) | {"data": _HIDDEN}, indent=2))
        self._answer.is_out = True
        self._put(scrubbed + "\n")

    def _clean(self, data: Any) -> Any:
        return data if self._scrubber is None else self._scrubber.data(data)

    def _scrub(self, text: str) -> str:
        return text if self._scrubber is None else self._scrubber.text(text)

    def _write(self, stream: TextIO, line: str) -> None:
        text = _folded(self._scrub(printable(line)), stream)
        if self._colour and text.startswith("✔"):
            text = f"{_GREEN}✔{_PLAIN}{text[1:]}"
        if stream is self._stdout:
            self._put(text + "\n")
        else:
            self._tell(text + "\n")

    def _drawn(self, parts: Sequence[Part]) -> str:
        plain = printable("".join(part.text for part in parts))
        scrubbed = self._scrub(plain)
        if not self._colour or scrubbed != plain:
            return scrubbed
        return "".join(
            f"{_STYLES[part.style]}{printable(part.text)}{_PLAIN}"
            if part.style
            else printable(part.text)
            for part in parts
        )

    def _put(self, text: str) -> None:
        with writing(self._stdout):
            self._stdout.write(text)
            self._stdout.flush()

    def _tell(self, text: str) -> None:
        try:
            self._stderr.write(text)
            self._stderr.flush()
        except OSError:
            give_up(self._stderr)


def _folded(line: str, stream: TextIO) -> str:
    """Return `line` folded between words for a terminal that is narrower; addresses stay whole."""
    if len(line) <= _NARROWEST or (columns := _columns_of(stream)) is None:
        return line
    import re  # noqa: PLC0415 - only for a terminal
    import textwrap  # noqa: PLC0415 - likewise

    # Blanks, a mark, and a name with its column: what is folded goes on below what it belongs to.
    before = re.match(r" *(?:[✔✘·] )?(?:\S+(?: \S+)? {2,})?", line)
    indent = before.end() if before else 0
    return textwrap.fill(
        line,
        columns,
        subsequent_indent=" " * min(indent, columns // 3),
        break_long_words=False,
        break_on_hyphens=False,
        replace_whitespace=False,
        drop_whitespace=bool(line.strip()),
    )


def _columns_of(stream: TextIO) -> int | None:
    if not stream.isatty():
        return None
    try:
        return max(_NARROWEST, os.get_terminal_size(stream.fileno()).columns)
    except (OSError, ValueError):
        return None


def _is_json(text: str) -> bool:
    import json  # noqa: PLC0415 - likewise

    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _pretty(data: Any) -> str:
    import json  # noqa: PLC0415 - likewise

    return json.dumps(data, indent=2, ensure_ascii=False)
