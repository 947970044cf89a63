"""`twg skills`: what coding agents are told of twg, where, and what is never overwritten for it."""

from __future__ import annotations

import json
import os
import re
import shlex
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from guard import agents as detected
from guard.errors import UnsafeFile
from tests.cli.test_uninstall import uninstalled
from tests.docs.markdown import ROOT, Document, code_in, read
from tests.sandbox.visiting import Visitor
from tests.vault.samples import Ear, custody_of
from twg.cli import skills
from twg.sandbox.people import ALICE
from twg.skills import agents, placing

if TYPE_CHECKING:
    from tests.cli.console import Console
    from tests.sandbox.running import SandboxHandle

TEXT = (ROOT / "twg" / "skills" / "SKILL.md").read_text()
PLACES = {
    "claude-code": ".claude/skills/twg/SKILL.md",
    "codex": ".agents/skills/twg/SKILL.md",
    "cursor": ".cursor/skills/twg/SKILL.md",
    "gemini-cli": ".gemini/skills/twg/SKILL.md",
    "rovo-dev": ".rovodev/skills/twg/SKILL.md",
}
DIRECTORIES = (".claude", ".codex", ".cursor", ".gemini", ".rovodev")


@pytest.fixture
def home(console: Console) -> Path:
    return Path(console.env["HOME"])


@pytest.fixture
def everyone(home: Path) -> Path:
    """A home with the directory of each agent."""
    for name in DIRECTORIES:
        (home / name).mkdir()
    return home


def skills_in(home: Path) -> set[str]:
    """Return what is named as a skill in a home, links followed."""
    return {str(path.relative_to(home)) for path in home.glob(".*/skills/*/*")}


def test_each_agent_that_is_found_gets_the_instructions(console: Console, everyone: Path) -> None:
    out = console.twg("skills", "install").out

    assert skills_in(everyone) == set(PLACES.values())
    assert all((everyone / place).read_text() == TEXT for place in PLACES.values())
    assert all(f"(~/{place})." in out for place in PLACES.values())


def test_an_agent_that_is_not_found_gets_them_only_if_it_is_named(
    console: Console, home: Path
) -> None:
    (home / ".codex").mkdir()
    assert [one["agent"] for one in _installed(console)] == ["codex"]
    assert skills_in(home) == {PLACES["codex"]}

    named = _installed(console, "--agent", "claude", "--agent", "rovodev", "--agent", "claude-code")

    assert [one["agent"] for one in named] == ["claude-code", "rovo-dev"]
    assert skills_in(home) == {PLACES[name] for name in ("codex", "claude-code", "rovo-dev")}


def _installed(console: Console, *words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = console.twg("skills", "install", *words, "-o", "json").data[
        "skills"
    ]
    return found


def test_a_name_that_could_be_two_agents_is_none(console: Console, home: Path) -> None:
    console.twg("skills", "install", "--agent", "c", status=2)
    console.twg("skills", "install", "--agent", "", status=2)
    assert skills_in(home) == set()


def test_where_no_agent_is_one_is_told_how_to_name_it(console: Console, home: Path) -> None:
    out = console.twg("skills", "install").out

    assert out.startswith("No coding agent that twg knows is here.\n")
    assert all(name in out for name in PLACES)
    assert list(home.iterdir()) == []


def test_once_more_changes_nothing_and_an_older_version_is_replaced(
    console: Console, home: Path
) -> None:
    path = home / PLACES["claude-code"]
    assert [one["outcome"] for one in _installed(console, "--agent", "claude")] == ["written"]
    before = path.stat()
    assert [one["outcome"] for one in _installed(console)] == ["unchanged"]
    after = path.stat()
    assert (after.st_ino, after.st_ctime_ns) == (before.st_ino, before.st_ctime_ns)

    path.write_text(TEXT.replace("# twg", "# twg, an older one"))
    path.chmod(0o644)
    left = path.with_name(".SKILL.md.0123456789ab.tmp")
    left.touch(mode=0o600)

    assert [one["outcome"] for one in _installed(console)] == ["replaced"]
    assert path.read_text() == TEXT
    assert skills_in(home) == {PLACES["claude-code"]}


def test_a_file_that_twg_did_not_write_stays_and_is_told(console: Console, everyone: Path) -> None:
    own = everyone / PLACES["cursor"]
    own.parent.mkdir(parents=True)
    own.write_text("mine\n")

    ended = console.twg("skills", "install", "-o", "json", status=3)

    assert ended.error["code"] == "PARTIAL"
    assert "twg did not write it" in ended.document["data"]["failures"]["cursor"]
    assert len(ended.document["data"]["skills"]) == 4
    assert own.read_text() == "mine\n"
    assert skills_in(everyone) == set(PLACES.values())


def test_where_all_stands_in_the_way_the_code_says_so(console: Console, home: Path) -> None:
    own = home / PLACES["claude-code"]
    own.parent.mkdir(parents=True)
    # What somebody made theirs by taking the mark away.
    own.write_text(re.sub("<!--.*-->\n", "", TEXT))

    ended = console.twg("skills", "install", "-o", "json", status=78)

    assert ended.error["code"] == "CONFIG"
    assert f"Move {own} away" in ended.error["remediation"]


@pytest.mark.parametrize("at", [PLACES["claude-code"], ".claude/skills/twg"])
def test_a_link_where_twgs_own_is_to_be_is_not_followed(
    console: Console, home: Path, at: str
) -> None:
    """H-D6: not even to a file of twg's own, an older one."""
    console.twg("skills", "install", "--agent", "codex")
    real = home / PLACES["codex"]
    real.write_text(TEXT + "older\n")
    (home / at).parent.mkdir(parents=True)
    (home / at).symlink_to(real if at.endswith(".md") else real.parent)

    console.twg("skills", "install", "--agent", "claude", status=78)

    assert (home / at).is_symlink()
    assert real.read_text().endswith("older\n")
    assert placing.installed(home) == (real,)
    placing.remove(home / PLACES["claude-code"])
    assert real.exists()


@pytest.mark.parametrize("at", [PLACES["claude-code"], ".claude/skills/twg", ".claude"])
def test_a_link_to_nowhere_makes_nothing_there(console: Console, home: Path, at: str) -> None:
    """H-D6."""
    (home / at).parent.mkdir(parents=True, exist_ok=True)
    (home / at).symlink_to(home / "nowhere")

    assert console.twg("skills", "install", "--agent", "claude", status=None).status in {73, 78}

    assert not (home / "nowhere").exists()


def test_an_agents_directory_may_be_a_link_of_the_persons(console: Console, home: Path) -> None:
    """As those have it who keep such files in a repository."""
    real = home / "dotfiles" / "claude"
    real.mkdir(parents=True)
    (home / ".claude").symlink_to(real)

    _installed(console)

    assert (real / "skills" / "twg" / "SKILL.md").read_text() == TEXT
    (home / ".agents").symlink_to(real)
    assert placing.installed(home) == (home / PLACES["claude-code"],)


@pytest.mark.parametrize("stranger", ["mode", "owner"])
def test_what_others_can_change_is_not_written_to(
    home: Path, stranger: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = home / ".claude" / "skills"
    directory.mkdir(parents=True)
    if stranger == "mode":
        directory.chmod(0o777)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: directory.stat().st_uid + 1)

    with pytest.raises(UnsafeFile, match=r"anybody can write|another user"):
        placing.install(home / PLACES["claude-code"])

    assert list(directory.iterdir()) == []


def test_a_file_in_place_of_a_directory_is_told(console: Console, home: Path) -> None:
    (home / ".claude").touch()
    assert console.twg("skills", "install", "--agent", "claude", status=None).status in {73, 78}
    (home / ".claude").unlink()
    (home / ".claude" / "skills").mkdir(parents=True)
    (home / ".claude" / "skills" / "twg").touch()
    console.twg("skills", "install", "--agent", "claude", status=78)


def test_the_settings_of_sandboxes_are_shown_and_nothing_of_them_is_written(
    console: Console, everyone: Path
) -> None:
    out = console.twg("skills", "install").out
    boxes = {one["agent"]: one["sandbox"] for one in _installed(console)}

    state = str(console.state)
    settings = {name: box["setting"] for name, box in boxes.items() if box}
    assert json.loads(settings["claude-code"])["sandbox"]["filesystem"]["allowWrite"] == [state]
    codex = tomllib.loads(settings["codex"])
    assert codex["permissions"][codex["default_permissions"]]["filesystem"] == {state: "write"}
    assert json.loads(settings["cursor"])["additionalReadwritePaths"] == [state]
    (mounts,) = shlex.split(settings["gemini-cli"])
    assert mounts == f"SANDBOX_MOUNTS={console.config}:{console.config}:ro,{state}:{state}:rw"
    assert boxes["rovo-dev"] is None
    assert all(line in out for each in settings.values() for line in each.splitlines())
    assert "`twg upkeep enable`" in out
    assert f"Let no agent write to {console.config}:" in out
    files = {str(path.relative_to(everyone)) for path in everyone.rglob("*") if path.is_file()}
    assert files == set(PLACES.values())


def test_show_prints_what_install_writes(console: Console) -> None:
    assert console.twg("skills", "show").out == TEXT
    assert console.twg("skills", "show", "-o", "json").data == {"name": "twg", "text": TEXT}


def test_an_agent_may_look_and_have_itself_told(console: Console, home: Path) -> None:
    assert console.twg("skills", "show", TWG_AGENT="1").data["text"] == TEXT
    console.twg("skills", "install", "--agent", "codex", TWG_AGENT="1")
    assert skills_in(home) == {PLACES["codex"]}


def test_the_instructions_are_a_skill_as_agents_read_it() -> None:
    """agentskills.io: the name is the directory's; both fields have a limit."""
    head = TEXT.split("---\n")[1]
    fields = dict(line.split(": ", 1) for line in head.splitlines())
    assert fields.keys() == {"name", "description"}
    assert fields["name"] == placing.NAME
    assert len(fields["description"]) < 1024
    assert ": " not in fields["description"]
    assert [line for line in TEXT.splitlines() if line.startswith(placing.MARK)]
    assert len(TEXT.splitlines()) < 60


def test_the_instructions_say_what_keeps_an_agent_safe() -> None:
    told = " ".join(TEXT.split())
    for status in ("77", "79", "80", "64"):
        assert f"| {status} (" in told
    assert "Tell the person the command in `remediation`, and wait." in told
    assert "The same error twice: stop" in told
    assert "Never ask for a token" in told
    assert "Never put one in an argument, a file, a pipe or a variable" in told


async def _bitbucket_token(url: str) -> str:
    """Make a token on the sandbox's page, as Alice."""
    async with Visitor(url) as visitor:
        page = await visitor.sign_in("/account/api-tokens")
        fields = {"label": "test", "scope": ["read:user:bitbucket"]}
        made = await visitor.submit(page, "/account/api-tokens", **fields)
    found = re.search(r'<code id="token">([^<]+)</code>', made.text)
    assert found, made.text
    return found[1]


def test_each_example_works_for_an_agent(console: Console, sandbox: SandboxHandle) -> None:
    console.sign_in(sandbox)
    token = custody_of(Ear()).take(anyio.run(_bitbucket_token, sandbox.url), "bitbucket-token")
    console.keep_bitbucket(sandbox.url, token=token, email=ALICE.email)
    lines = "\n".join(Document(Path(), TEXT).blocks()).splitlines()

    answers = [console.twg(*shlex.split(line)[1:], TWG_AGENT="1").data for line in lines]

    assert len(answers) == 6
    assert all(answers)


def test_the_readme_tells_every_place() -> None:
    told = {row[0]: code_in(row[1]) for row in read("README.md").table("Agent")}
    assert told == {each.title: [f"~/{placing.place_of(each, Path())}"] for each in agents.AGENTS}
    assert [f"~/{place}" for place in PLACES.values()] == [one for (one,) in told.values()]


def test_agents_are_named_as_elsewhere() -> None:
    assert skills._NAMES == tuple(agents.BY_NAME) == tuple(PLACES)
    assert agents.BY_NAME.keys() - {"rovo-dev"} <= detected.NAMES


def test_the_doctor_notes_what_another_version_told(console: Console, home: Path) -> None:
    assert _doctors_line(console) is None
    console.twg("skills", "install", "--agent", "codex")
    path = home / PLACES["codex"]

    line = _doctors_line(console)
    assert line is not None
    assert (line["status"], line["fix"]) == ("ok", None)
    path.write_text(TEXT + "older\n")
    line = _doctors_line(console)
    assert line is not None
    assert (line["status"], line["fix"]) == ("note", "Run `twg skills install`.")
    assert f"~/{PLACES['codex']}" in line["detail"]

    console.twg("skills", "install")
    assert path.read_text() == TEXT


def _doctors_line(console: Console) -> dict[str, Any] | None:
    checks = console.twg("doctor", "--offline", "-o", "json").data["checks"]
    return next((check for check in checks if check["name"] == "skills"), None)


@pytest.mark.parametrize("more", ["", "changed by hand\n"])
async def test_uninstall_removes_what_was_installed_and_nothing_else(
    console: Console, everyone: Path, more: str
) -> None:
    installed = await console.apart_async("skills", "install")
    assert installed.status == 0
    (everyone / PLACES["cursor"]).write_text("mine\n")
    (everyone / PLACES["gemini-cli"]).with_name("notes.md").write_text("mine\n")
    (everyone / PLACES["claude-code"]).write_text(TEXT + more)

    dry = (await console.apart_async("uninstall", "--dry-run", "-o", "json")).data
    shown = await uninstalled(console)

    kept = {PLACES["cursor"], ".gemini/skills/twg/notes.md"}
    assert skills_in(everyone) == kept
    assert set(dry["skills"]) == {
        str(everyone / place) for name, place in PLACES.items() if name != "cursor"
    }
    assert f"what agents were told of twg, ~/{PLACES['codex']}" in shown
    assert not (everyone / ".agents" / "skills" / "twg").exists()


def test_a_group_without_a_command_shows_what_there_is(console: Console) -> None:
    assert "show " in console.twg("skills").out
    assert console.twg("skills", "-o", "json", status=2).error["code"] == "USAGE"
