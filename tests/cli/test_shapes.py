"""The schemas that are shipped: one for each command, sound, and held to what commands print."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from tests.cli import shapes
from twg import __version__, schemas
from twg.cli import manual
from twg.cli.command import global_options
from twg.errors import EXIT_STATUS, Code

if TYPE_CHECKING:
    from tests.cli.console import Console
    from tests.sandbox.running import SandboxHandle

OK = {"ok": True, "data": {"active": None, "profiles": []}}


def test_every_command_has_a_schema_and_none_is_left_over() -> None:
    assert schemas.names() == sorted(shapes.commands())


@pytest.mark.parametrize("command", schemas.names())
def test_a_schema_is_sound_and_refers_to_nothing_outside(command: str) -> None:
    for schema in (schemas.result(command), schemas.partial(command)):
        Draft202012Validator.check_schema(schema)
        assert schema["$schema"] == schemas.DIALECT
        assert schema["title"] == command
        assert "shared.json" not in json.dumps(schema)
        assert all(f'"{name}"' in json.dumps(schema) for name in schema.get("$defs", {}))


@pytest.mark.parametrize("schema", [schemas.envelope(), schemas.manual(), schemas.refusal()])
def test_what_belongs_to_no_command_is_sound_too(schema: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(schema)


def test_nothing_that_schemas_share_is_left_over() -> None:
    folder = Path(schemas.__file__).parent
    texts = "".join(path.read_text() for path in folder.glob("*.json"))
    shared = json.loads((folder / "shared.json").read_text())["$defs"]

    unused = [name for name in shared if f'#/$defs/{name}"' not in texts]
    assert unused == ["history"], "which goes with no command, but with a refusal of any"


def test_the_envelopes_codes_are_the_programs() -> None:
    _, failure = schemas.envelope()["oneOf"]
    assert failure["properties"]["error"]["properties"]["code"]["enum"] == [*Code]


def test_an_answer_that_is_not_described_may_be_anything() -> None:
    assert schemas.result("twg shared") == {"$schema": schemas.DIALECT, "title": "twg shared"}
    assert schemas.codes("twg shared") == ()


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (OK | {"more": 1}, "envelope"),
        ({"ok": True}, "envelope"),
        ({"ok": False, "error": {}}, "envelope"),
        (OK | {"ok": 1}, "envelope"),
        (OK | {"data": {"active": None}}, "'profiles' is a required property"),
        (OK | {"data": {"active": 3, "profiles": []}}, "3 is not of type"),
        (OK | {"data": {"active": None, "profiles": [], "new": 1}}, "'new' was unexpected"),
        (OK | {"data": {"active": None, "profiles": [{}]}}, "is a required property"),
    ],
)
def test_what_the_tests_see_is_held_to_them(document: dict[str, Any], problem: str) -> None:
    """The check that every command of every test passes fails where it should."""
    words = ["-o", "json", "auth", "list", "-v"]
    shapes.check(words, 0, json.dumps(OK))

    with pytest.raises(AssertionError, match=problem):
        shapes.check(words, 0, json.dumps(document))


def test_what_shared_parts_hold_is_held_to_them_too(
    console: Console, sandbox: SandboxHandle
) -> None:
    console.sign_in(sandbox)
    document = console.twg("auth", "status", "-o", "json").document
    document["data"]["store"]["new"] = 1

    with pytest.raises(AssertionError, match="'new' was unexpected"):
        shapes.check(["auth", "status"], 0, json.dumps(document))


def test_a_failure_that_is_not_listed_is_found(console: Console) -> None:
    ended = console.twg("auth", "switch", "x", "-o", "json", status=77)
    shown = ended.out.replace("AUTH_REQUIRED", "HTTP_ERROR")

    with pytest.raises(AssertionError, match="twg auth switch is not said to fail with HTTP_ERROR"):
        shapes.check(["auth", "switch", "x"], 77, shown)


def test_the_manual_tells_every_command_its_words_and_its_answer(console: Console) -> None:
    """H-F1: an agent gets it as it is."""
    told = console.twg("commands", TWG_AGENT="1").data

    assert told["version"] == __version__
    assert [one["command"] for one in told["commands"]] == [*shapes.commands()]
    for one in told["commands"]:
        assert one["result"] == schemas.result(one["command"])
    assert told["envelope"] == schemas.envelope()
    assert {each["code"]: each["exit_code"] for each in told["errors"]} == EXIT_STATUS
    assert [each["names"] for each in told["global_options"]] == [
        each.opts for each in global_options()
    ]


def test_the_manual_tells_what_a_word_takes(console: Console) -> None:
    by_path = {
        one["command"]: one for one in console.twg("commands", "-o", "json").data["commands"]
    }
    start = {each["names"][0]: each for each in by_path["twg sandbox start"]["options"]}

    assert start["--port"] == {
        "names": ["--port"],
        "value": "N",
        "type": "integer",
        "choices": None,
        "default": None,
        "repeatable": False,
        "required": False,
        "help": "Listen there; else any free port.",
    }
    assert start["--fault"]["repeatable"] is True
    assert start["--foreground"]["type"] == "boolean"
    assert start["--foreground"]["value"] is None
    assert start["--foreground"]["default"] is False
    assert by_path["twg auth storage"]["arguments"] == [
        {
            "name": "PLACE",
            "type": "string",
            "choices": ["keyring", "file"],
            "default": None,
            "repeatable": False,
            "required": False,
        }
    ]
    assert by_path["twg guard scan"]["arguments"][0]["repeatable"] is True
    assert by_path["twg auth switch"]["arguments"][0]["required"] is True
    login = by_path["twg login"]
    assert (login["persons_only"], login["takes_secret"]) == (True, True)
    assert "HUMAN_REQUIRED" in login["codes"]
    assert "SECRET_REJECTED" in login["codes"]
    status = by_path["twg auth status"]
    assert (status["persons_only"], status["takes_secret"]) == (False, False)
    assert status["codes"] == [
        code.value for code in Code if code in manual._ALWAYS or code is Code.AUTH_REQUIRED
    ]


@pytest.mark.parametrize(
    ("words", "paths"),
    [
        ([], [*shapes.commands()]),
        (["auth"], [path for path in shapes.commands() if path.startswith("twg auth ")]),
        (["admin", "auth", "login"], ["twg admin auth login"]),
    ],
)
def test_help_is_the_manual_of_what_it_is_asked_about(
    console: Console, words: list[str], paths: list[str]
) -> None:
    told = console.twg(*words, "--help", "-o", "json").data

    assert [one["command"] for one in told["commands"]] == paths
    for one in told["commands"]:
        assert ("result" in one) is (len(paths) == 1), "of one command alone, for they are long"


def test_whoever_asks_for_the_commands_gets_one_document(console: Console) -> None:
    """As text, too: it is for programs, and people have `--help`."""
    asked = console.twg("commands", "-o", "text")

    assert asked.data == console.twg("commands", "-o", "json").data
