"""Logging: one road for the program and its libraries, on which the scrubber stands.

Records of `get` and of every library's `logging` pass the same processors: the secrets in them are
replaced, control characters are escaped, and tracebacks come without local variables. Nothing is
shown unless that was asked for.

The state lives where `logging` and `structlog` keep theirs, so `show` and `silence` are for a
program's entry point alone; `reset` undoes them. structlog is imported once there is something to
show.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, MutableMapping, Sequence

    from structlog.typing import EventDict, Processor, WrappedLogger

    from guard.log_file import LogFile
    from guard.scrub import Scrubber

_INDENT: Final = "  "
_MULTILINE: Final = ("exception", "stack")


class Log:
    """A logger with a name and some facts that each of its records carries.

    It may be made and used at any time; before `show`, and where nothing is to be shown, it
    does nothing.

    Args:
        name: Where the records come from, such as ``twg.http``.
        facts: What they carry.
    """

    __slots__ = ("_facts", "_name")

    def __init__(self, name: str, facts: dict[str, Any] | None = None) -> None:
        self._name = name
        self._facts = facts or {}

    def bind(self, **facts: Any) -> Log:
        """Return a logger whose records carry these facts too."""
        return Log(self._name, self._facts | facts)

    def debug(self, event: str, **facts: Any) -> None:
        """Note a detail."""
        self._note(logging.DEBUG, event, facts)

    def info(self, event: str, **facts: Any) -> None:
        """Note a step."""
        self._note(logging.INFO, event, facts)

    def warning(self, event: str, **facts: Any) -> None:
        """Note something odd."""
        self._note(logging.WARNING, event, facts)

    def error(self, event: str, **facts: Any) -> None:
        """Note a failure."""
        self._note(logging.ERROR, event, facts)

    def exception(self, event: str, **facts: Any) -> None:
        """Note a failure, and the traceback of the exception that is being handled."""
        self._note(logging.ERROR, event, {"exc_info": True, **facts})

    def is_shown(self) -> bool:
        """Tell whether what is noted is shown anywhere."""
        return any(isinstance(handler, _Shown) for handler in logging.getLogger().handlers)

    def _note(self, level: int, event: str, facts: dict[str, Any]) -> None:
        if not self.is_shown():
            return
        import structlog  # noqa: PLC0415 - slow to load, and rarely needed

        structlog.stdlib.get_logger(self._name).bind(**self._facts, **facts).log(level, event)


def get(name: str) -> Log:
    """Return the logger of that name."""
    return Log(name)


def show(
    scrubber: Scrubber,
    *,
    stream: TextIO | None = None,
    file: LogFile | None = None,
    facts: Mapping[str, str] | None = None,
) -> None:
    """Show all records, scrubbed.

    Libraries are shown from the level INFO up; below it some write out whole headers, with values
    that nobody has told the scrubber.

    Args:
        scrubber: Replaces the secrets.
        stream: Where to show them as lines of text.
        file: Where to keep them as lines of JSON.
        facts: What each of them carries.
    """
    _take_over(lambda former: _handlers(scrubber, stream, file, facts or {}, former), logging.DEBUG)


def silence() -> None:
    """Show no record, warnings of libraries included."""
    _take_over(lambda former: [_Silence(former)], None)


def _take_over(
    handlers_for: Callable[[_Former], Sequence[logging.Handler]], level: int | None
) -> None:
    """Put ours in place of all other handlers, which would show records as they are."""
    reset()
    root = logging.getLogger()
    former = _Former(root.level, root.handlers[:])
    for handler in former.handlers:
        root.removeHandler(handler)
    for handler in handlers_for(former):
        root.addHandler(handler)
    logging.captureWarnings(capture=True)
    if level is not None:
        root.setLevel(level)


def reset() -> None:
    """Undo `show` and `silence`."""
    root = logging.getLogger()
    ours = [each for each in root.handlers if isinstance(each, _Shown | _Silence)]
    for handler in ours:
        root.removeHandler(handler)
    for handler in ours[:1]:
        root.setLevel(handler.former.level)
        logging.captureWarnings(capture=False)
        for other in handler.former.handlers:
            root.addHandler(other)
    if structlog := sys.modules.get("structlog"):
        structlog.reset_defaults()


def lost() -> int:
    """Return how many records could not be scrubbed or shown since `show`, and so were dropped."""
    return sum(
        handler.lost for handler in logging.getLogger().handlers if isinstance(handler, _Shown)
    )


class _Former(NamedTuple):
    """How the root logger was before."""

    level: int
    handlers: list[logging.Handler]


class _Silence(logging.NullHandler):
    """Shows nothing; without any handler, `logging` would show warnings."""

    def __init__(self, former: _Former) -> None:
        super().__init__()
        self.former = former


class _Shown(logging.StreamHandler[Any]):
    """Shows records; where one cannot be shown, it says no more than that, and counts it."""

    def __init__(self, stream: TextIO | LogFile, former: _Former) -> None:
        super().__init__(stream)
        self.former = former
        self.lost = 0
        self.addFilter(_is_worth_showing)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name it overrides
        """Say that a record was lost, without its words, which `logging` would print raw."""
        error = sys.exc_info()[0] or Exception
        self.lost += 1
        with contextlib.suppress(Exception):
            self.stream.write(f"a log record of {record.name} was lost: {error.__name__}\n")


def _is_worth_showing(record: logging.LogRecord) -> bool:
    # What comes from `Log` has an attribute that structlog adds.
    return record.levelno >= logging.INFO or hasattr(record, "_logger")


def _handlers(
    scrubber: Scrubber,
    stream: TextIO | None,
    file: LogFile | None,
    facts: Mapping[str, str],
    former: _Former,
) -> Sequence[_Shown]:
    gather = _gathering(facts)
    handlers = []
    if stream is not None:
        handlers.append(_shown(stream, former, gather, _Renderer(scrubber)))
    if file is not None:
        handlers.append(_shown(file, former, gather, _JsonRenderer(scrubber)))
    return handlers


def _gathering(facts: Mapping[str, str]) -> Sequence[Processor]:
    """Set structlog up, and return what gathers what each record carries."""
    import structlog  # noqa: PLC0415 - slow to load, and rarely needed

    def carry(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return {**facts, **event}

    gather: Sequence[Processor] = (
        structlog.contextvars.merge_contextvars,
        carry,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,  # plain tracebacks: no local variables
    )
    structlog.configure(
        processors=[*gather, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    return gather


def _shown(
    stream: TextIO | LogFile, former: _Former, gather: Sequence[Processor], render: Processor
) -> _Shown:
    import structlog  # noqa: PLC0415 - slow to load, and rarely needed

    formatter = structlog.stdlib.ProcessorFormatter
    handler = _Shown(stream, former)
    handler.setFormatter(
        formatter(
            foreign_pre_chain=[*gather, structlog.stdlib.ExtraAdder()],
            processors=[formatter.remove_processors_meta, render],
        )
    )
    return handler


class _Renderer:
    """Makes a line of a record: time, level, name and event, then ``key=value`` of each fact.

    A traceback follows on lines of its own, indented, so that none of them passes for a record.
    """

    def __init__(self, scrubber: Scrubber) -> None:
        self._scrubber = scrubber

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> str:
        # Before anything is escaped, for escapes can hide a secret; and what has become of it,
        # for what only the whole shows.
        return self._scrubber.text(_rendered(self._scrubber.data(event)))


class _JsonRenderer:
    """Makes a line of JSON of a record."""

    def __init__(self, scrubber: Scrubber) -> None:
        self._scrubber = scrubber

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> str:
        line = json.dumps(self._scrubber.data(event), default=str)
        scrubbed = self._scrubber.text(line)
        if scrubbed != line:
            json.loads(scrubbed)  # a secret over several values took what is between them, too
        return scrubbed


def _rendered(event: MutableMapping[str, Any]) -> str:
    blocks = [event.pop(name) for name in _MULTILINE if name in event]
    start = [str(event.pop(name, "-")) for name in ("timestamp", "level", "logger", "event")]
    words = [_visible(word) for word in start]
    words += [f"{_visible(str(key))}={_value(value)}" for key, value in event.items()]
    lines = [" ".join(words)]
    for block in blocks:
        lines += [_INDENT + _visible(line) for line in str(block).split("\n")]
    return "\n".join(lines)


def _value(value: Any) -> str:
    plain = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if isinstance(value, str) and (not value or any(each in value for each in ' "=')):
        plain = json.dumps(value, ensure_ascii=False)
    return _visible(plain)


def _visible(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )
