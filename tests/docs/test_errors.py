"""The catalogue of errors holds each code, as the program has it."""

from __future__ import annotations

import json
import re

import pytest

from guard import errors as guarded
from tests.docs.markdown import code_in, read
from twg import errors
from twg.cli.failure import failure_of
from twg.errors import EXIT_STATUS, AuthRequired, Code

CATALOGUE = read("docs/errors.md")


EXAMPLES = (
    errors.TwgError("it"),
    errors.UsageError("it"),
    errors.ConfigError("it"),
    errors.AuthRequired("default", "it"),
    errors.AuthExpired("default", "it"),
    errors.AuthRevoked("default", "it"),
    errors.ProtocolError("it"),
    errors.NetworkError("host", "it"),
    errors.HttpError(404, "host"),
    errors.StoreCorrupt("it"),
    errors.StoreUnwritable("it"),
    errors.Busy("it", 1, 1),
    errors.PartialFailure("it", {}),
    errors.PolicyDenied("it"),
    guarded.SecretRefused("argument", "--token"),
    guarded.SecretRejected("it", "it"),
    guarded.TerminalRequired("it"),
    guarded.HumanRequired("unknown", "it"),
    KeyboardInterrupt(),
)
FAILURES = {failure.code: failure for failure in map(failure_of, EXAMPLES)}


def test_there_is_an_example_of_every_code() -> None:
    assert FAILURES.keys() == set(Code)


@pytest.mark.parametrize("code", Code)
def test_the_address_that_a_failure_tells_is_that_of_its_section(code: Code) -> None:
    path, _, anchor = FAILURES[code].as_dict()["docs"].partition("#")
    assert path == CATALOGUE.name
    assert anchor in CATALOGUE.anchors


@pytest.mark.parametrize("code", Code)
def test_a_section_tells_status_who_is_needed_when_and_what_to_do(code: Code) -> None:
    section = CATALOGUE.section(code.value)
    needed = "yes" if FAILURES[code].human_required else "no"
    assert f"Exit status: {EXIT_STATUS[code]}. Person needed: {needed}.\n" in section
    assert re.search(r"^When: .", section, re.MULTILINE)
    assert re.search(r"^What to do: .", section, re.MULTILINE)


@pytest.mark.parametrize("name", ["docs/errors.md", "README.md"])
def test_the_table_of_exit_statuses_is_the_programs(name: str) -> None:
    rows = read(name).table("Exit status")
    told = {
        code: int(status)
        for status, codes, *_ in rows
        for code in re.findall(r"[A-Z]+(?:_[A-Z]+)*", codes)
    }
    assert told == {code.value: status for code, status in EXIT_STATUS.items()}
    assert [int(status) for status, *_ in rows] == sorted({0, *EXIT_STATUS.values()})


def test_the_document_that_is_shown_is_what_the_program_prints() -> None:
    (shown,) = CATALOGUE.blocks("json")
    failure = failure_of(AuthRequired("default", "nobody is signed in on the profile 'default'"))
    assert json.loads(shown) == {"ok": False, "error": failure.as_dict()}
    told = "\n".join(CATALOGUE.blocks())
    assert f"twg: {failure.message}\n  {failure.remediation}\n" in told


def test_the_readme_lists_what_an_error_holds() -> None:
    members = FAILURES[Code.INTERNAL].as_dict()
    assert members.keys() <= set(code_in(read("README.md").section("Output")))
