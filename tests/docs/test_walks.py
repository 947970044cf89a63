"""The walk-throughs: each command that they give for the sandbox is run there, in their order."""

from __future__ import annotations

import json
import re
import shlex
import sys
from typing import TYPE_CHECKING

import pytest

from tests.cli.admin_parts import made_key
from tests.docs.markdown import ROOT, code_in, read
from tests.roads.test_bitbucket import made as made_token
from tests.roads.traveller import traveller
from tests.sandbox.running import running_sandbox
from twg.products import presets
from twg.products.bitbucket import COMMON_SCOPES
from twg.sandbox.people import ALICE, ORGS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.roads.traveller import Traveller
    from tests.sandbox.running import SandboxHandle

WALKS = ("docs/sign-in.md", "docs/bitbucket.md", "docs/admin.md", "docs/container.md")
BROWSER = """\
import sys, urllib.request
urllib.request.urlopen(sys.argv[1], timeout=30).read()
"""
"""A browser whose person accepts at once, as the sandbox plays it."""
TOKEN, EMAIL, KEY = "Paste the Bitbucket API token", "E-mail address", "Paste the Admin API key"
QUESTIONS = {
    ("login",): (TOKEN,),
    ("setup", "bitbucket"): (TOKEN, EMAIL),
    ("admin", "auth", "login"): (KEY,),
}
"""What a command asks, by its words."""


@pytest.mark.parametrize("name", WALKS)
async def test_what_a_walk_through_has_one_do_works_on_the_sandbox(
    tmp_path: Path, name: str
) -> None:
    """By a person with a browser, who is asked and answers; every command ends well."""
    lines = [line for block in read(name).blocks("sh") for line in block.splitlines()]
    assert lines
    browser = tmp_path / "browser"
    browser.write_text(f"#!{sys.executable} -IS\n{BROWSER}")
    browser.chmod(0o755)
    async with running_sandbox(tmp_path, auto_approve=True) as sandbox:
        person = traveller(tmp_path, BROWSER=str(browser))
        for line in lines:
            program, *words = shlex.split(line)
            assert program == "twg", line
            await run(person, sandbox, words)
        assert person.traces_of(await sandbox.issued()) == []


async def run(person: Traveller, sandbox: SandboxHandle, words: list[str]) -> None:
    """Run a command, and answer what it asks."""
    command = tuple(word for word in words if not word.startswith("-"))
    asked = next((QUESTIONS[key] for key in QUESTIONS if command[: len(key)] == key), ())
    async with person.types(*words, columns=400) as terminal:
        for question in asked:
            await terminal.until(re.compile(rf"(?s){question}.*(?:\n> *|: ?)$"))
            await terminal.send_line(await answer(sandbox, question, words))
        assert await terminal.exit_status() == 0, terminal.transcript()


async def answer(sandbox: SandboxHandle, question: str, words: list[str]) -> str:
    """Return what the person types: what the walk-through has them fetch, or nothing."""
    if question == KEY:
        return await made_key(sandbox.url, words[words.index("--org") + 1])
    if question == TOKEN and "setup" in words:
        return await made_token(sandbox, *COMMON_SCOPES)
    return ALICE.email if question == EMAIL else ""


def test_the_containers_volumes_are_where_twg_keeps_its_files() -> None:
    """Were one elsewhere, a sign-in would be gone with the container."""
    made = (ROOT / "Containerfile").read_text()
    (volumes,) = re.findall(r"^VOLUME (.+)$", made, re.MULTILINE)
    kept = [*re.findall(r"TWG_(?:CONFIG|STATE)_DIR=(\S+)", made)]
    assert json.loads(volumes) == kept
    told = [line for block in read("docs/container.md").blocks() for line in block.splitlines()]
    mounted = [re.findall(r"-v [\w-]+:(\S+)", line) for line in told if " -v " in line]
    assert mounted == [kept] * 3
    (user,) = re.findall(r"^USER (.+)$", made, re.MULTILINE)
    assert user != "root"
    assert f"-o {user}" in made


def test_what_to_set_up_at_atlassian_is_what_twg_asks_for() -> None:
    told = read("docs/sign-in.md").section("At Atlassian, with an app of your own")
    preset = presets.load("atlassian")
    assert f"`{preset.redirect_uri}`" in told
    scopes = set(re.findall(r"`([a-z]+:[a-z.-]+)`", told))
    assert scopes == set(preset.scopes) - {"offline_access"}
    assert f"not used for {preset.idle_days:.0f} days" in told


def test_the_scopes_to_tick_are_those_that_twg_knows() -> None:
    told = set(code_in(read("docs/bitbucket.md").section("The token")))
    assert {one for one in told if one.endswith(":bitbucket")} == set(COMMON_SCOPES)


def test_the_organizations_are_the_sandboxs() -> None:
    told = re.findall(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", read("docs/admin.md").text)
    assert set(told) == set(ORGS)
