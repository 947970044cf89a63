"""`Streamed`: bytes that a service sends, printed as they come, scrubbed, in constant memory."""

from __future__ import annotations

import codecs
import unicodedata
from typing import TYPE_CHECKING, Any, TextIO

from guard.stream import Redactor
from twg.cli.output import Answer, writing

if TYPE_CHECKING:
    from guard.scrub import Scrubber


class Streamed:
    """Prints what it is given, byte for byte but for secrets.

    On a terminal, without control characters: an answer would draw there what it likes.

    Args:
        stdout: Where it goes.
        scrubber: Knows the secrets; None where there can be none.
        answer: Hears that something has been printed.
    """

    def __init__(
        self, stdout: TextIO, scrubber: Scrubber | None, answer: Answer | None = None
    ) -> None:
        stdout.flush()  # what was printed before comes before
        self._stdout = stdout
        self._answer = answer or Answer()
        self._redactor = None if scrubber is None else Redactor(scrubber)
        self._terminal = stdout.isatty()
        self._bytes: Any = None if self._terminal else getattr(stdout, "buffer", None)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""
        self._last = b"\n"

    def write(self, data: bytes) -> None:
        """Print more; what could be the beginning of a secret waits for what comes next.

        Raises:
            BrokenPipeError: Nobody reads it any more.
            OutputUnwritable: It takes nothing: a full disk, for example.
        """
        if not data:
            return
        self._answer.is_out = True
        self._last = data[-1:]
        if self._redactor is not None:
            data = self._redactor.feed(data)
            if self._terminal:  # a person waits for it
                data += self._redactor.flush()
        self._put(data)

    def stop(self) -> None:
        """Print what can be of the rest: no more will come, though there should have been more.

        What could be a part of a secret stays unsaid.
        """
        self._put(b"" if self._redactor is None else self._redactor.flush(), final=True)

    def finish(self, *, line: bool) -> None:
        """Print the rest: all has come.

        Args:
            line: It is a text, whose last line ends even if the service did not end it.
        """
        self._put(b"" if self._redactor is None else self._redactor.finish(), final=True)
        if line and self._last != b"\n":
            self._put(b"\n", final=True)

    def _put(self, data: bytes, *, final: bool = False) -> None:
        with writing(self._stdout):
            if self._bytes is not None:
                self._bytes.write(data)
            else:
                self._stdout.write(self._text(data, final=final))
            if final:
                self._stdout.flush()

    def _text(self, data: bytes, *, final: bool) -> str:
        text = self._held + self._decoder.decode(data, final)
        # Half of a line's end says nothing yet.
        self._held = "\r" if text.endswith("\r") and not final else ""
        text = text.removesuffix("\r") if self._held else text
        return _drawn(text) if self._terminal else text


def _drawn(text: str) -> str:
    return "".join(
        character
        if character in "\n\t" or not unicodedata.category(character).startswith("C")
        else "�"
        for character in text.replace("\r\n", "\n")
    )
