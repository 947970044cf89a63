"""What the README shows exists: commands, options, variables, settings, addresses."""

from __future__ import annotations

import inspect
import json
import re
import shlex
import subprocess
import tomllib
from typing import TYPE_CHECKING

import asyncclick as click
import pytest

from tests.docs.markdown import ROOT, code_in, documents, read
from tests.rigs.surroundings import clean_env
from twg import settings
from twg.cli.command import Group, global_options
from twg.cli.main import root
from twg.errors import ConfigError
from twg.products import admin, atlassian, presets
from twg.sandbox.people import PEOPLE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

README = read("README.md")
GLOBAL = {name for option in global_options() for name in option.opts} | {"-h", "--help"}


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """Yield every command with its words."""
    context = click.Context(group)
    if isinstance(group, Group) and group.alone is not None:
        yield " ".join(["twg", *path]), group.alone
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        assert found is not None
        if isinstance(found, click.Group):
            yield from commands(found, (*path, name))
        elif not found.hidden:
            yield " ".join(["twg", *path, name]), found


COMMANDS = dict(commands(root()))


def shown_code() -> list[str]:
    """Return every piece of code in a document's prose, and every line of its blocks of code."""
    found: list[str] = []
    for document in documents():
        blocks = "\n".join(document.blocks()).splitlines()
        found += [*document.code, *(line.partition("#")[0].strip() for line in blocks)]
    return found


def shown_commands() -> list[str]:
    """Return every command line of twg in the documents, each once."""
    lines = (code.removeprefix("$ ") for code in shown_code())
    # But for the map's arrows, whose first part is named like the command.
    shown = {line for line in lines if re.match(r"(?:\S*/)?twg(?: |$)", line)}
    return sorted(line for line in shown if "→" not in line)


def own_options(command: click.Command) -> set[str]:
    """Return the long names of a command's own options."""
    names = {name for each in command.params for name in each.opts if name.startswith("--")}
    return names - GLOBAL


@pytest.mark.parametrize("line", shown_commands())
async def test_a_command_that_is_shown_can_be_run(line: str) -> None:
    _, *words = shlex.split(line)
    command: click.Command = root()
    context = click.Context(command)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(context, words[0])
        assert found is not None, f"there is no {line!r}"
        command, words = found, words[1:]
    if isinstance(command, click.Group) and not words:
        return  # the group is meant, as in "`twg sandbox` runs"
    _, rest, _ = await command.make_parser(click.Context(command)).parse_args(words)
    assert rest == [], line


def test_the_table_of_commands_is_complete() -> None:
    rows = README.table("Command")
    told = {
        re.sub(r"( [A-Z]+)+$", "", code_in(command)[0]): {
            option.split()[0] for option in code_in(options)
        }
        for command, _, options in rows
    }
    assert told == {line: own_options(command) for line, command in COMMANDS.items()}


def test_the_arguments_in_the_table_are_those_of_the_commands() -> None:
    for command, *_ in README.table("Command"):
        words = code_in(command)[0].split()
        given = [word for word in words if word.isupper()]
        line = " ".join(word for word in words if not word.isupper())
        taken = [each for each in COMMANDS[line].params if isinstance(each, click.Argument)]
        assert len(given) == len(taken), command


def test_an_options_value_is_told_where_there_is_one() -> None:
    for command, _, options in README.table("Command"):
        line = re.sub(r"( [A-Z]+)+$", "", code_in(command)[0])
        by_name = {name: each for each in COMMANDS[line].params for name in each.opts}
        for option in code_in(options):
            name, *value = option.split()
            found = by_name[name]
            assert isinstance(found, click.Option)
            assert bool(value) == (not found.is_flag), option


def test_the_words_for_all_commands_are_options_of_all() -> None:
    (line,) = [line for line in README.text.splitlines() if line.startswith("All take ")]
    assert {code.split()[0] for code in code_in(line)} <= GLOBAL


def test_what_to_set_up_at_atlassian_is_what_twg_asks_for() -> None:
    told = read("README.md").section("Sign in at Atlassian")
    preset = presets.load("atlassian")
    assert f"`{preset.redirect_uri}`" in told
    assert all(f"`{scope}`" in told for scope in preset.scopes)
    assert len(re.findall(r"`[a-z]+:[a-z.-]+`", told)) == len(preset.scopes) - 1


def test_the_sandboxs_persons_are_told() -> None:
    told = README.section("The first sign-in")
    for person in PEOPLE.values():
        assert {person.username, person.password} <= set(code_in(told))


def test_the_services_of_api_are_told() -> None:
    (row,) = [row for row in README.table("Command") if row[0] == "`twg api SERVICE PATH`"]
    assert code_in(row[1]) == [*atlassian.SERVICES, "bitbucket", admin.SERVICE]


def loaded(home: Path, toml: str, mode: int = 0o600) -> settings.Settings:
    """Return the settings that a `config.toml` makes."""
    file = home / "config.toml"
    file.touch(mode)
    file.chmod(mode)
    file.write_text(toml)
    return settings.load({"HOME": str(home), "TWG_CONFIG_DIR": str(home)})


def test_the_settings_that_are_shown_are_all_there_are(tmp_path: Path) -> None:
    (shown,) = README.blocks("toml")
    told = {section: set(values) for section, values in tomllib.loads(shown).items()}
    assert told == {section: set(names) for section, names in settings._KNOWN.items()}
    found = loaded(tmp_path, shown)
    assert found.ca_bundle == tmp_path / "corporate-ca.pem"
    assert found.proxy == "http://proxy.example.com:3128"
    assert found.no_proxy == ("example.com", ".internal.example")
    assert (found.key_place, found.keyring_seconds, found.wait_seconds) == ("file", 8, 300)


@pytest.mark.parametrize(
    ("toml", "mode", "problem"),
    [
        ("[network]\nverify = false\n", 0o600, "unknown setting 'verify'"),
        ("[tokens]\n", 0o600, "unknown section 'tokens'"),
        (f'[network]\nproxy = "http://me:{"example1"}@proxy.example"\n', 0o600, "holds a secret"),
        ("", 0o640, "others have access"),
        ("", 0o602, "others have access"),
    ],
)
def test_no_other_settings_are_taken(tmp_path: Path, toml: str, mode: int, problem: str) -> None:
    """H-A5: as SECURITY.md promises."""
    with pytest.raises(ConfigError, match=problem) as refused:
        loaded(tmp_path, toml, mode)
    assert "example1" not in f"{refused.value} {refused.value.remediation}"


def test_variables_that_are_read_occur_in_the_code() -> None:
    sources = [path for package in ("guard", "twg") for path in (ROOT / package).rglob("*.py")]
    code = "\n".join(path.read_text() for path in sources)
    for variables, _ in README.table("Read"):
        for variable in code_in(variables):
            assert f'"{variable}"' in code, variable


def commands_for_persons() -> list[str]:
    """Return the commands that the README says are refused to an agent."""
    told = set(code_in(README.section("What an agent gets"))) & COMMANDS.keys()
    return sorted(told - {"twg api"})


def test_the_commands_for_persons_alone_are_told() -> None:
    marked = [
        line
        for line, command in COMMANDS.items()
        if inspect.getclosurevars(command.callback).nonlocals["human_only"]  # type: ignore[arg-type]  # each has one
    ]
    assert commands_for_persons() == sorted(marked)
    assert set(marked) <= set(read("SECURITY.md").code)
    assert set(marked) <= set(code_in(read("docs/errors.md").section("HUMAN_REQUIRED")))


@pytest.mark.parametrize("line", commands_for_persons())
def test_an_agent_is_told_what_to_tell_its_person(tmp_path: Path, line: str) -> None:
    """H-B5: and nothing is made for it."""
    arguments = [each for each in COMMANDS[line].params if isinstance(each, click.Argument)]
    done = subprocess.run(
        [*line.split(), *map(_word_for, arguments)],
        env=clean_env(tmp_path, TWG_AGENT="1"),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    error = json.loads(done.stdout)["error"]
    assert (done.returncode, error["code"]) == (79, "HUMAN_REQUIRED")
    assert f"`{line}`" in error["remediation"]
    assert not (tmp_path / "config").exists()


def _word_for(argument: click.Argument) -> str:
    return argument.type.choices[0] if isinstance(argument.type, click.Choice) else "name"


def test_targets_of_make_are_there() -> None:
    targets = {found[1] for line in shown_code() if (found := re.match(r"make (\w+)", line))}
    assert {"demo", "test", "check"} <= targets
    for target in targets:
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE), target
