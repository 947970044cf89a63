"""Hooks: what Python itself prints of errors, and what is printed past the program, scrubbed.

`install` takes over the hooks for uncaught exceptions in the main thread, in other threads and in
finalizers; the event loop and `warnings` tell `logging`, which `guard.logs` has taken over.
`ScrubbedStream` stands in for `sys.stdout` and `sys.stderr`. `faulthandler` cannot be hooked: it
writes names of files and functions only, no values.
"""

from __future__ import annotations

import codecs
import io
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from types import TracebackType

    from guard.scrub import Scrubber
    from guard.stream import Redactor


class Hooks:
    """The hooks of a process that show what is uncaught.

    Args:
        scrubber: Returns what knows the secrets, once it is needed.
        stream: Where it is shown.
        tracebacks: Tells whether tracebacks are shown, or only what happened.

    Attributes:
        lost: How often something could not be scrubbed, and so was not shown.
    """

    __slots__ = ("_scrubber", "_stream", "_tracebacks", "lost")

    def __init__(
        self,
        scrubber: Callable[[], Scrubber],
        stream: io.TextIOBase | Any,
        tracebacks: Callable[[], bool],
    ) -> None:
        self._scrubber = scrubber
        self._stream = stream
        self._tracebacks = tracebacks
        self.lost = 0

    def show(self, error: BaseException | None, where: str) -> None:
        """Show an exception that nobody caught; if it cannot be scrubbed, count it."""
        try:
            text = self._scrubber().text(self._described(error, where))
            self._stream.write(text)
            self._stream.flush()
        except Exception:  # noqa: BLE001 - whatever went wrong, nothing is shown raw
            self.lost += 1

    def _described(self, error: BaseException | None, where: str) -> str:
        import traceback  # noqa: PLC0415 - rarely needed

        if error is None:
            return f"an error without a description {where}\n"
        lines = (
            traceback.format_exception(error)
            if self._tracebacks()
            else traceback.format_exception_only(error)
        )
        return "".join([f"uncaught {where}: ", *lines])


def install(
    scrubber: Callable[[], Scrubber], *, stream: Any, tracebacks: Callable[[], bool]
) -> Hooks:
    """Take over the hooks of this process; it is for a program's entry point alone."""
    import threading  # noqa: PLC0415 - loaded anyway where threads are

    hooks = Hooks(scrubber, stream, tracebacks)

    def uncaught(
        _type: type[BaseException], error: BaseException, _traceback: TracebackType | None
    ) -> None:
        hooks.show(error, "in the program")

    def in_thread(args: threading.ExceptHookArgs) -> None:
        if not isinstance(args.exc_value, SystemExit):
            hooks.show(args.exc_value, "in a thread")

    def unraisable(args: sys.UnraisableHookArgs) -> None:
        hooks.show(args.exc_value, "in a finalizer")

    sys.excepthook = uncaught
    threading.excepthook = in_thread
    sys.unraisablehook = unraisable
    return hooks


class ScrubbedStream(io.TextIOBase):
    """Text that is printed, scrubbed: for what is printed past the program's own printer.

    It has no `buffer`, through which bytes could pass unseen.

    Args:
        stream: Where it goes.
        scrubber: Returns what knows the secrets, once something is printed.
    """

    def __init__(self, stream: Any, scrubber: Callable[[], Scrubber]) -> None:
        self._stream = stream
        self._scrubber = scrubber
        self._redactor: Redactor | None = None
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")

    @property
    def encoding(self) -> str:  # type: ignore[override]  # a plain attribute there
        """The encoding of what is behind it."""
        return str(self._stream.encoding)

    @property
    def errors(self) -> str:  # type: ignore[override]  # likewise
        """What becomes of characters that the encoding lacks."""
        return str(self._stream.errors)

    def fileno(self) -> int:
        """Return the descriptor behind it."""
        return int(self._stream.fileno())

    def isatty(self) -> bool:
        """Tell whether a terminal is behind it."""
        return bool(self._stream.isatty())

    def writable(self) -> bool:
        """Tell that it can be written to."""
        return True

    def write(self, text: str) -> int:
        """Print what of `text` cannot become a secret; the rest waits for more."""
        redactor = self._current()
        data = redactor.feed(text.encode("utf-8", "surrogateescape")) + redactor.flush()
        self._stream.write(self._decoder.decode(data))
        return len(text)

    def flush(self) -> None:
        """Print what can be, and pass on what was printed."""
        self._stream.flush()

    def finish(self) -> None:
        """Print what waits still: nothing more will come."""
        if self._redactor is not None:
            self._stream.write(self._decoder.decode(self._redactor.finish()))
            self._redactor = None
        self._stream.flush()

    def _current(self) -> Redactor:
        if self._redactor is None:
            from guard.stream import Redactor  # noqa: PLC0415 - only where something is printed

            self._redactor = Redactor(self._scrubber())
        return self._redactor
