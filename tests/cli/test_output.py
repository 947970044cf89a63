"""What is printed: one document for programs, clean words for people, secrets for nobody."""

from __future__ import annotations

import io
import json
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from guard.scrub import Scrubber
from tests.oauth.servers import body, document
from twg.cli.failure import Failure
from twg.cli.output import Output, printable
from twg.cli.wiring import Wiring
from twg.errors import Code, OutputUnwritable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TextIO

    from tests.cli.console import Console
    from tests.oauth.servers import Server
    from twg.cli.output import Mode

SECRET = 'opaque-"Zm9v\\YmFy"-0123456789'
"""One that JSON has to escape: as it is, it stands in no document."""


class Streams:
    """Both streams of an output, and what was written to them."""

    def __init__(self) -> None:
        self.stdout = io.StringIO()
        self.stderr = io.StringIO()

    @property
    def out(self) -> str:
        return self.stdout.getvalue()

    @property
    def err(self) -> str:
        return self.stderr.getvalue()

    def output(self, mode: Mode, *, colour: bool = False, secret: str | None = None) -> Output:
        scrubber = None
        if secret is not None:
            scrubber = Scrubber()
            scrubber.learn(secret, "access-token")
        return Output(
            mode, stdout=self.stdout, stderr=self.stderr, scrubber=scrubber, colour=colour
        )


@pytest.fixture
def streams() -> Streams:
    return Streams()


def failure(**changes: Any) -> Failure:
    facts: dict[str, Any] = {
        "code": Code.NETWORK,
        "message": "Example.com cannot be reached.",
        "remediation": "Try again.",
    }
    return Failure(**(facts | changes))


def test_a_result_is_one_document_ended_by_a_newline(streams: Streams) -> None:
    streams.output("json").result({"a": [1, None, "ü"]}, ["for people"])

    assert json.loads(streams.out) == {"ok": True, "data": {"a": [1, None, "ü"]}}
    assert streams.out.endswith("}\n")
    assert streams.err == ""


def test_a_failure_is_one_document_too(streams: Streams) -> None:
    streams.output("json").failure(failure())

    assert json.loads(streams.out) == {
        "ok": False,
        "error": {
            "code": "NETWORK",
            "message": "Example.com cannot be reached.",
            "remediation": "Try again.",
            "human_required": False,
            "exit_code": 69,
            "docs": "docs/errors.md#network",
        },
    }
    assert streams.out.endswith("}\n")
    assert streams.err == ""


def test_what_fails_once_the_document_is_out_is_told_beside_it(streams: Streams) -> None:
    output = streams.output("json")

    output.result({"a": 1}, [])
    output.failure(failure(), data={"b": 2})
    with pytest.raises(RuntimeError):
        output.published({"a": 2}, [])

    assert json.loads(streams.out) == {"ok": True, "data": {"a": 1}}
    assert streams.err == "twg: Example.com cannot be reached\n  Try again.\n"


def test_a_command_with_nothing_to_say_is_answered_all_the_same(streams: Streams) -> None:
    output = streams.output("json")

    output.complete()
    output.complete()
    streams.output("text").complete()

    assert json.loads(streams.out) == {"ok": True, "data": None}


def test_words_that_cannot_be_told_are_dropped_and_a_result_is_not() -> None:
    with open("/dev/full", "w") as full, open("/dev/full", "w") as other:  # noqa: PTH123 - a device
        output = Output("json", stdout=full, stderr=other)

        output.say("nobody hears this")
        with pytest.raises(OutputUnwritable, match="No space left on device") as refused:
            output.result({"a": 1}, [])

    assert "stays changed" in refused.value.remediation


def test_what_there_is_all_the_same_goes_with_a_failure(streams: Streams) -> None:
    streams.output("json").failure(failure(), data={"done": ["one"]})

    assert json.loads(streams.out)["data"] == {"done": ["one"]}


def test_for_people_results_go_to_stdout_and_the_rest_to_stderr(streams: Streams) -> None:
    output = streams.output("text")

    output.result({"not": "shown"}, ["one", "two"])
    output.say("a word")
    output.warn("beware")

    assert streams.out == "one\ntwo\n"
    assert streams.err == "a word\ntwg: warning: beware\n"


def test_an_error_in_text_begins_with_the_programs_name(streams: Streams) -> None:
    some = failure(failures={"one": "it was away"})
    streams.output("text").failure(some, data={"for": "programs"})

    assert streams.out == ""
    assert streams.err.splitlines() == [
        "twg: Example.com cannot be reached",
        "  one: it was away",
        "  Try again.",
    ]


def test_a_services_own_words_go_to_stdout_as_they_are(streams: Streams) -> None:
    streams.output("text").failure(failure(), data="No such issue\x07")

    assert streams.out == "No such issue\x07\n", "this is no terminal"
    assert streams.err.startswith("twg: ")


def test_a_services_own_document_is_shown_as_json(streams: Streams) -> None:
    streams.output("text").failure(failure(), data={"n": 9007199254740993, "who": "Ångström"})

    assert streams.out == '{\n  "n": 9007199254740993,\n  "who": "Ångström"\n}\n'


@pytest.mark.parametrize(
    "text",
    [
        "\x1b[2Jgone",
        "\x1b]0;title\x07",
        "back\x08\x08\x08\x08over",
        "line\rover",
        "two\nlines",
        "bell\x07",
        "nul\x00",
        "c1 \x9b31m",
        "left \u202e to right",
        "isolate \u2066x\u2069",
        "mark \u200f",
        "zero\u200bwidth",
        "surrogate \ud800",
        "private \ue000",
        "tag \U000e0041",
    ],
)
def test_nothing_that_steers_a_terminal_gets_into_a_line(streams: Streams, text: str) -> None:
    output = streams.output("text")

    output.result({}, [text])
    output.say(text)
    output.warn(text)
    output.failure(failure(message=text, failures={text: text}, remediation=text))

    shown = streams.out + streams.err
    assert all(line.isprintable() for line in shown.split("\n")), ascii(shown)
    assert shown.count("\n") == 6, "and no line is made of it"
    assert "�" in shown


def test_what_people_write_stays_as_it_is() -> None:
    written = "Zoë Ångström\t日本語 🙂 — “quoted”"

    assert printable(written) == written


def test_a_servers_words_are_whole_in_a_document_and_steer_nothing(
    console: Console, server: Server
) -> None:
    console.sign_in_at(server.url)
    server.on("/me", document({"message": "\x1b[2J\u202egone"}, 404))

    answer = console.twg("api", "atlassian", "/me", "-o", "json", status=4)

    assert answer.document["data"] == {"message": "\x1b[2J\u202egone"}
    assert answer.out.isascii()
    assert "\x1b" not in answer.out


def test_a_servers_words_steer_no_terminal_but_go_into_a_file_as_they_are(
    console: Console, server: Server
) -> None:
    console.sign_in_at(server.url)
    sent = "one\r\n\x1b[2Jtwo\u202e\n"
    server.on("/page", body(sent.encode()))

    with terminal() as (stdout, shown):
        Wiring(("api",), console.env, stdout=stdout).output.raw(sent)
        assert shown(2) == "one\r\n�[2Jtwo�\r\n"
    assert console.twg("api", "atlassian", "/page").out == sent


@contextmanager
def terminal() -> Iterator[tuple[TextIO, Callable[[int], str]]]:
    """Yield a terminal's stream to write to, and what reads so many lines of what is shown."""
    ours, theirs = os.openpty()

    def shown(lines: int) -> str:
        drawn = b""
        while drawn.count(b"\n") < lines:
            drawn += os.read(ours, 4096)
        return drawn.decode()

    with open(theirs, "w", encoding="utf-8") as stream:  # noqa: PTH123 - a descriptor
        yield stream, shown
    os.close(ours)


def test_a_secret_is_scrubbed_before_it_is_serialised(streams: Streams) -> None:
    """Escaped by JSON, it would not be known again."""
    streams.output("json", secret=SECRET).result({"echo": [f"got {SECRET}!"]}, [])

    assert "Zm9v" not in streams.out
    assert json.loads(streams.out)["data"] == {"echo": ["got ‹redacted:access-token›!"]}


def test_what_stands_under_a_secrets_name_is_scrubbed_before_it_is_serialised(
    streams: Streams,
) -> None:
    """As text it would be a word like any other."""
    streams.output("json", secret=SECRET).result({"access_token": {"parts": ["opaque"]}}, [])

    assert json.loads(streams.out)["data"] == {"access_token": "‹redacted:access-token›"}


def test_a_secret_is_scrubbed_after_it_is_serialised(streams: Streams) -> None:
    """A part of it in each of two values: only the whole shows it."""
    document = 'two",\n    "three'
    streams.output("json", secret=document).result({"one": "two", "three": 3}, [])

    assert document not in streams.out
    assert json.loads(streams.out) == {"ok": True, "data": "‹redacted:result›"}, "it is whole"


@pytest.mark.parametrize("mode", ["text", "json"])
def test_a_secret_is_scrubbed_wherever_it_would_be_printed(streams: Streams, mode: Mode) -> None:
    output = streams.output(mode, secret=SECRET)

    output.result({SECRET: SECRET}, [SECRET])
    output.line(SECRET)
    output.raw(SECRET)
    output.say(SECRET)
    output.warn(SECRET)
    output.value({"a": SECRET})
    output.value(SECRET)
    output.failure(failure(message=SECRET, remediation=SECRET), data={"body": SECRET})
    output.failure(failure(failures={SECRET: SECRET}))

    assert "Zm9v" not in streams.out + streams.err
    assert (streams.out + streams.err).count("access-token") >= 10


def test_what_looks_like_a_secret_is_scrubbed_unless_it_is_published(streams: Streams) -> None:
    people = {"people": {"alice": {"password": "alicepass"}}}

    streams.output("json", secret=SECRET).result(people, [])
    assert "alicepass" not in streams.out

    streams.output("json", secret=SECRET).published(people, [])
    assert "alicepass" in streams.out


def test_marks_are_green_on_request_only(streams: Streams) -> None:
    streams.output("text", colour=True).result({}, ["✔ done", "  and ✔ more"])
    streams.output("text", colour=False).result({}, ["✔ done"])

    assert streams.out == "\x1b[32m✔\x1b[0m done\n  and ✔ more\n✔ done\n"


@pytest.mark.parametrize(
    ("environ", "on_terminal", "colour"),
    [
        ({}, False, False),
        ({}, True, True),
        ({"TERM": "dumb"}, True, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),  # no-color.org: only when not empty
        ({"FORCE_COLOR": "1"}, False, True),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, False, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, True, False),
    ],
)
def test_colour_is_for_terminals_unless_told_otherwise(
    console: Console, environ: dict[str, str], *, on_terminal: bool, colour: bool
) -> None:
    file = io.StringIO()
    with terminal() as (stream, shown):
        stdout = stream if on_terminal else file
        wiring = Wiring(("auth",), console.env | environ, stdout=stdout, stderr=io.StringIO())
        wiring.output.result({}, ["✔ done"])
        written = shown(1) if on_terminal else file.getvalue()

    assert ("\x1b[32m" in written) is colour


def test_a_document_has_no_colour(streams: Streams) -> None:
    streams.output("json", colour=True).result("✔ done", [])

    assert "\x1b" not in streams.out
