"""Logging: silent unless asked, and no secret on it whichever way it came."""

from __future__ import annotations

import io
import logging
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import structlog

from guard import logs
from guard.scrub import Scrubber
from guard.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

REPOSITORY = Path(__file__).parents[2]
TOKEN = "n0t-A-r3al_token.Value~9"
ODD = """pä$$ "w0rd'/Ab<&>\\`; €+=%!"""
MARK = "‹redacted:access-token›"
LIBRARY = logging.getLogger("some.library")


class Shown(io.StringIO):
    """A stream that shows the log while a `with` statement lasts.

    Not a fixture: the test runner adds handlers of its own once those are set up.
    """

    def __init__(self, secret: str = TOKEN) -> None:
        super().__init__()
        self._scrubber = Scrubber()
        self._scrubber.learn(secret, "access-token")

    def __enter__(self) -> Self:
        logs.show(self._scrubber, stream=self)
        return self

    def __exit__(self, *_: object) -> None:
        logs.reset()

    def lines(self) -> list[str]:
        """Return what was shown, a line each, without the times."""
        return [re.sub(r"^\S+Z ", "", line) for line in self.getvalue().splitlines()]


def test_a_line_has_time_level_name_event_and_facts() -> None:
    with Shown() as shown:
        log = logs.get("twg.http").bind(host="h")
        log.info("request sent", status=200, empty="", path="/a b", none=None, equal="a=b")
    when, _, rest = shown.getvalue().partition(" ")
    assert datetime.fromisoformat(when).tzinfo == UTC
    assert rest == (
        'info twg.http request sent host=h status=200 empty="" path="/a b" none=null equal="a=b"\n'
    )


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_own_records_of_every_level_are_shown(level: str) -> None:
    with Shown() as shown:
        getattr(logs.get("twg.x"), level)("event")
    assert shown.lines() == [f"{level} twg.x event"]


def test_facts_of_one_logger_are_not_those_of_another() -> None:
    with Shown() as shown:
        log = logs.get("twg.x")
        log.bind(a=1).bind(b=2).info("both")
        log.info("none")
    assert shown.lines() == ["info twg.x both a=1 b=2", "info twg.x none"]


def test_facts_may_be_named_as_what_logging_has_itself() -> None:
    with Shown() as shown:
        logs.get("twg.x").bind(args=1, method=2).info("e", msg=3, name=4, exc="x")
    assert shown.lines() == ["info twg.x e args=1 method=2 msg=3 name=4 exc=x"]


def test_library_records_are_shown_from_info_up() -> None:
    """Below that, some show whole headers."""
    with Shown() as shown:
        LIBRARY.debug("detail")
        LIBRARY.info("step %s of %d", "one", 2, extra={"more": [1]})
        LIBRARY.warning("odd")
    assert shown.lines() == [
        "info some.library step one of 2 more=[1]",
        "warning some.library odd",
    ]


async def test_the_addresses_that_httpx_logs_are_scrubbed() -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200))
    with Shown() as shown:
        async with httpx.AsyncClient(transport=transport) as client:
            await client.get("https://example.com/", params={"x": TOKEN, "y": "1"})
    assert shown.lines() == [
        f'info httpx HTTP Request: GET https://example.com/?x={MARK}&y=1 "HTTP/1.1 200 OK"'
    ]


def fail(value: str) -> None:
    """Raise an exception that has the value in its text, its cause, a note and its parts."""
    cause = KeyError(value)
    cause.add_note(f"a note: {value}")
    raise ExceptionGroup(value, [OSError(1, value, value)]) from cause


def log_it_everywhere(value: str) -> None:
    """Pass a value to the log in every way there is."""
    log = logs.get("twg.x")
    event = f"event {value}"
    log.info(event, fact=value, nested={"a": [(value, {value: value.encode()})]})
    log.bind(bound=value, secret=Secret(value, "access-token")).debug("e", error=ValueError(value))
    LIBRARY.info(event)
    LIBRARY.info("in its arguments %s %r %s", value, [value], {"k": value.encode()})
    LIBRARY.info("by name %(one)s", {"one": value})
    LIBRARY.info("extra", extra={"field": value, "deep": {"x": {"y": value}}})
    LIBRARY.info(ValueError(value))
    LIBRARY.info("wrong number of arguments %s %s", value)
    LIBRARY.info("wrong kind of argument %d", value)
    LIBRARY.info("stack", stack_info=True)
    try:
        fail(value)
    except ExceptionGroup:
        log.exception("failed", value=value)
        LIBRARY.exception("failed")


@pytest.mark.parametrize("value", [TOKEN, ODD], ids=["token", "odd"])
def test_no_secret_is_shown_whichever_way_it_came(
    value: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with Shown(value) as shown:
        log_it_everywhere(value)
    assert value not in shown.getvalue()
    # A part of the odd one, which no escaping changes.
    assert "w0rd" not in shown.getvalue()
    assert shown.getvalue().count("‹") == 27
    assert "".join(capfd.readouterr()) == ""


def test_a_secret_that_only_the_whole_line_shows_is_hidden() -> None:
    with Shown("shared=12345678") as shown:
        logs.get("twg.x").info("e", shared=12345678)
    assert shown.lines() == [f"info twg.x e {MARK}"]


def test_what_stands_under_a_secret_s_name_is_not_shown() -> None:
    with Shown() as shown:
        logs.get("twg.x").info("e", refresh_token="unknown", headers={"Authorization": ["unknown"]})
        LIBRARY.info("e", extra={"password": "unknown"})
    assert "unknown" not in shown.getvalue()
    assert "refresh_token=‹redacted:refresh-token›" in shown.getvalue()


def test_a_library_record_that_cannot_be_made_is_lost_without_its_words(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with Shown() as shown:
        LIBRARY.info("%d", "unknown")
        assert logs.lost() == 1
    assert shown.lines() == ["a log record of some.library was lost: TypeError"]
    assert "".join(capfd.readouterr()) == ""


def test_a_closed_stream_is_no_failure(capfd: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    logs.show(Scrubber(), stream=stream)
    stream.close()
    try:
        logs.get("twg.x").info("event")
        LIBRARY.info("event")
    finally:
        logs.reset()
    assert "".join(capfd.readouterr()) == ""


def test_tracebacks_are_indented_and_show_no_local_variable() -> None:
    def burst(hidden: str) -> None:
        raise ValueError(hidden[:0] + "first\nsecond\x1b[31m")

    with Shown() as shown:
        try:
            burst("a local value")
        except ValueError:
            logs.get("twg.x").exception("failed")
    lines = shown.lines()
    assert lines[:2] == ["error twg.x failed", "  Traceback (most recent call last):"]
    assert lines[-2:] == ["  ValueError: first", "  second\\x1b[31m"]
    assert all(line.startswith("  ") for line in lines[1:])
    assert [line for line in lines if "a local value" in line] == ['      burst("a local value")']


@pytest.mark.parametrize(
    "character", ["\n", "\r", "\x1b", "\x00", "\x85", "\u2028", "\u202e", "\u200b", "\ud800"]
)
def test_no_control_character_gets_through(character: str) -> None:
    text = f"a{character}b"
    with Shown() as shown:
        logs.get(text).info(text, **{text: text}, listed=[text], quoted=f"{text} c")
        LIBRARY.info("%s", text)
    first, second = shown.getvalue().removesuffix("\n").split("\n")
    assert character not in first + second


# Silence


def nothing() -> None:
    pass


def quiet() -> None:
    logs.silence()


def undone() -> None:
    logs.show(Scrubber(), stream=sys.stderr)
    logs.reset()


@pytest.mark.parametrize("prepare", [nothing, quiet, undone])
def test_unless_asked_for_nothing_is_shown(
    prepare: Callable[[], None], capfd: pytest.CaptureFixture[str]
) -> None:
    prepare()
    log = logs.get("twg.x").bind(a=1)
    try:
        fail("x")
    except ExceptionGroup:
        log.exception("event")
    log.error("event")
    logs.reset()
    assert "".join(capfd.readouterr()) == ""


def test_no_other_handler_shows_records_as_they_are() -> None:
    other = io.StringIO()
    handler = logging.StreamHandler(other)
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        with Shown() as shown:
            LIBRARY.warning("first")
        LIBRARY.warning("second")
    finally:
        root.removeHandler(handler)
    assert shown.lines() == ["warning some.library first"]
    assert other.getvalue() == "second\n"


def run(code: str) -> Any:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True)


def test_a_quiet_program_shows_no_warning_of_a_library_and_loads_no_structlog() -> None:
    done = run(
        "import logging, sys; from guard import logs; from guard.scrub import Scrubber;"
        "logs.get('early').error('event');"
        "logs.silence();"
        "logging.getLogger('asyncio').error('event'); logs.get('x').error('event');"
        "print('structlog' in sys.modules)"
    )
    assert (done.stdout, done.stderr) == ("False\n", "")


def test_a_verbose_program_needs_no_rich() -> None:
    done = run(
        "import sys; from guard import logs; from guard.scrub import Scrubber;"
        "logs.show(Scrubber(), stream=sys.stderr);"
        "logs.get('x').error('event'); print('rich' in sys.modules)"
    )
    assert done.stdout == "False\n"
    assert done.stderr.endswith(" error x event\n")


def test_configuring_again_replaces_what_was() -> None:
    with Shown() as first, Shown() as second:
        logs.get("twg.x").info("event")
    assert first.lines() == []
    assert second.lines() == ["info twg.x event"]


@pytest.mark.parametrize("verbose", [True, False])
def test_a_reset_leaves_logging_as_it_was(*, verbose: bool) -> None:
    root = logging.getLogger()
    before = (root.level, root.handlers[:])
    for _ in range(2):
        if verbose:
            logs.show(Scrubber(), stream=io.StringIO())
        else:
            logs.silence()
    assert root.handlers != before[1]
    assert (root.level == logging.DEBUG) == verbose
    logs.reset()
    assert (root.level, root.handlers) == before
    assert not structlog.is_configured()
