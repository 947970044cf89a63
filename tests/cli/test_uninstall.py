"""`twg uninstall`: what goes, what stays, and what a person is told of both."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from tests.cli import admin_parts
from tests.cli.console import sandbox_at
from tests.cli.test_auth import AWAY
from tests.oauth.servers import document, status
from tests.rigs.terminal import Terminal
from tests.upkeep.programs import played, without
from tests.vault.samples import ACCESS, REFRESH, SECRETS, bitbucket_token, store_at
from twg.cli import uninstall
from twg.sandbox.people import ORG_ID
from twg.vault import KeyLocation
from twg.vault.moving import Journal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.cli.console import Console
    from tests.oauth.servers import Server
    from tests.sandbox.running import SandboxHandle
    from tests.upkeep.programs import Played

REVOKE = "/oauth/revoke"
QUESTION = "Remove all this, y or n"
KILLED_AT = """
import os, signal, sys
sys.argv[0] = "twg"
left = int(sys.argv.pop(1))
def kill(event, _arguments):
    global left
    if event in {"os.remove", "os.rmdir"}:
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
from twg.cli.main import main
sys.addaudithook(kill)
main()
"""
"""`twg`, killed before it removes the file of that number, from 0."""


def tree(console: Console, *, all_of_it: bool = True) -> dict[str, Any]:
    """Return what stands in twg's directories: files with contents and age, links, directories.

    The log and the note of the last failure are left out: whatever is done leaves the one, and
    whatever fails the other.

    Args:
        console: Whose.
        all_of_it: With locks and the audit record, too.
    """
    found: dict[str, Any] = {}
    for path in (*console.config.rglob("*"), *console.state.rglob("*")):
        kept = path.name not in {"last-error.json", "log", "twg.jsonl"}
        if kept and (all_of_it or not ("audit" in path.name or "locks" in str(path))):
            known = path.lstat()
            content = path.read_bytes() if path.is_file() else b""
            found[str(path.relative_to(console.root))] = (known.st_mode, known.st_mtime_ns, content)
    return found


def names_of(console: Console) -> set[str]:
    return set(tree(console))


async def uninstalled(
    console: Console, *words: str, answer: str = "y", ends: int = 0, columns: int = 300
) -> str:
    """Run `twg uninstall` in a terminal, answer its question, and return all it showed."""
    argv = ["twg", "uninstall", *words]
    async with Terminal.start(argv, env=console.env, columns=columns) as terminal:
        await terminal.until(QUESTION)
        await terminal.send_line(answer)
        found = await terminal.exit_status()
        shown = terminal.transcript()
    assert found == ends, shown
    return shown


@pytest.fixture
def crontab(console: Console) -> Played:
    """A played cron, and no other scheduler."""
    (console.root / "bin").mkdir()
    names = ("systemctl", "launchctl", "crontab", "loginctl")
    path = without(console.root / "bin", console.env["PATH"], names)
    console.more["PATH"] = path
    return played(console.root / "bin", "crontab")


def table_of(crontab: Played) -> str:
    table = crontab.state / "crontab"
    return table.read_text() if table.exists() else ""


@pytest.fixture
def lived_in(console: Console, sandbox: SandboxHandle, crontab: Played) -> Console:
    """An installation with all that twg makes, and things that it did not make in between."""
    del crontab
    usual = '[storage]\nkey = "file"\n[log]\nfile = true\n'
    console.settings(usual)
    console.sign_in(sandbox)
    console.sign_in(sandbox, "work")
    admin_parts.keep(console, sandbox.url)
    anyio.run(store_at(console.root).save_bitbucket, bitbucket_token("work"))
    console.twg("upkeep", "enable")
    console.twg("upkeep", "run")
    console.settings(f"{usual}[audit]\nfile_megabytes = 0.001\nkeep_days = 1e-9\n")
    console.twg("api", "atlassian", "/me")
    console.twg("login", "--token", ACCESS, status=64)
    console.settings(usual)
    with sandbox_at(console.root):
        pass
    objects = console.state / "sandbox" / "git" / "tide-model.git" / "objects"
    objects.mkdir(parents=True)
    (objects / "a1b2c3").touch(mode=0o400)  # as git makes them
    left = KeyLocation(location="file", id="auth-0123456789abcdef")
    Journal(console.state, "auth").write([left])
    for name in (f"state/{left.id}.key", "config/.auth.conf.0123456789ab.tmp"):
        (console.root / name).touch(mode=0o600)
    made = {path.name for path in (*console.state.iterdir(), *(console.state / "log").iterdir())}
    assert {"audit.start", "audit.jsonl.gz.lock", "twg.jsonl"} <= made
    return console


@pytest.fixture
def foreign(lived_in: Console) -> set[str]:
    """What twg did not make, some of it under names that twg could have given."""
    elsewhere = lived_in.root / "elsewhere"
    elsewhere.write_text("not twg's\n")
    (lived_in.config / "notes.txt").write_text("mine\n")
    (lived_in.config / "policy.json").symlink_to(elsewhere)
    (lived_in.state / "auth-fedcba9876543210.key").symlink_to(elsewhere)
    (lived_in.state / "audit.jsonl.old").write_text("mine\n")
    (lived_in.state / "upkeep").mkdir()
    (lived_in.state / "upkeep" / "auth.conf").write_text("mine\n")
    return {
        "config/config.toml",
        "config/notes.txt",
        "config/policy.json",
        "state/auth-fedcba9876543210.key",
        "state/audit.jsonl.old",
        "state/upkeep",
        "state/upkeep/auth.conf",
    }


async def test_all_that_twg_made_is_gone_and_nothing_else(
    lived_in: Console, foreign: set[str], sandbox: SandboxHandle, crontab: Played
) -> None:
    """H-D6: links are not followed, and what is not twg's is left and named."""
    before = await sandbox.stats()
    assert "twg" in table_of(crontab)

    shown = await uninstalled(lived_in)

    assert names_of(lived_in) == foreign
    assert (lived_in.root / "elsewhere").read_text() == "not twg's\n"
    assert "the schedule of upkeep (cron)" in shown
    assert table_of(crontab).strip() == ""
    assert "copy audit.jsonl first if you want to keep it" in shown
    assert "✔ Removed all that twg had made here." in shown
    for name in ("config.toml", "notes.txt", "policy.json", "audit.jsonl.old", "upkeep"):
        assert f"/{name}" in shown.partition("✔ Removed")[2]
    assert f"Admin API key for {ORG_ID} is good until you revoke it at {sandbox.url}/" in shown
    assert "Bitbucket token of alice@example.com is good until you revoke it at https://" in shown
    assert "pip uninstall twg-cli` removes it" in shown
    after = await sandbox.stats()
    revoked = [after["requests"].get(p, 0) - before["requests"].get(p, 0) for p in _revoking(after)]
    assert sum(revoked) == 4
    assert lived_in.traces_of(*await sandbox.issued()) == []


def _revoking(stats: Mapping[str, Any]) -> list[str]:
    return [path for path in stats["requests"] if "revoke" in path]


def test_a_dry_run_shows_just_that_and_touches_nothing(
    lived_in: Console, foreign: set[str], sandbox: SandboxHandle
) -> None:
    asked = anyio.run(sandbox.stats)["requests"]
    before = tree(lived_in)

    text = lived_in.twg("uninstall", "--dry-run").out
    data = lived_in.twg("uninstall", "--dry-run", "-o", "json").data

    assert tree(lived_in) == before
    assert anyio.run(sandbox.stats)["requests"] == asked | _own_looks(
        anyio.run(sandbox.stats), asked
    )
    assert data["removed"] is False
    listed = {*data["files"], *data["directories"]}
    assert {str(lived_in.root / name) for name in before} - listed == {
        str(lived_in.root / name) for name in foreign
    }
    assert {Path(path).name for path in data["left"]} == {Path(f).name for f in foreign} - {
        "auth.conf"
    }
    assert data["schedule"] == "cron"
    assert [one["profile"] for one in data["sign_ins"]] == ["default", "work"]
    assert "This would go; nothing was touched:" in text
    assert all(path in text for path in listed)


def _own_looks(now: Mapping[str, Any], before: Mapping[str, int]) -> dict[str, int]:
    """Return the requests by which the test itself looked."""
    return {path: n for path, n in now["requests"].items() if "stats" in path or path in before}


async def test_a_provider_that_is_away_keeps_everything(console: Console) -> None:
    """H-C1: as `twg logout` does."""
    await console._save(_at(console, AWAY), 0, {})
    before = tree(console, all_of_it=False)

    shown = await uninstalled(console, ends=69)

    assert "cannot be reached" in shown
    assert "Nothing was removed. Run `twg uninstall` again" in shown
    assert tree(console, all_of_it=False) == before


@pytest.fixture
def half_away(console: Console, server: Server) -> Console:
    """An installation with a sign-in that can be ended, and one whose provider is away."""
    console.sign_in_at(server.url, "here")
    console.sign_in_at(AWAY, "away")
    server.on(REVOKE, status(200))
    return console


async def test_where_one_of_two_is_away_what_is_not_ended_is_kept(half_away: Console) -> None:
    before = names_of(half_away)

    shown = await uninstalled(half_away, ends=3)

    assert "1 of 2 sign-ins could not be ended" in shown
    assert "Nothing else was removed. Run `twg uninstall` again" in shown
    assert names_of(half_away) >= before
    header = await store_at(half_away.root).summaries()
    assert list(header.profiles) == ["away"]


def _at(console: Console, url: str, profile: str = "default") -> Any:
    from tests.auth.parts import credential_at  # noqa: PLC0415 - beside its one use

    del console
    return credential_at(url, profile)


async def test_a_no_removes_nothing(console: Console) -> None:
    await console._save(_at(console, AWAY), 0, {})
    before = tree(console)

    for answer in ("n", "", "yo"):
        assert "Nothing was removed." in await uninstalled(console, answer=answer)

    assert tree(console) == before


@pytest.fixture
def refusing(console: Console, server: Server) -> Server:
    """A provider with a sign-in that it does not end."""
    console.sign_in_at(server.url)
    server.on(REVOKE, document({"error": "unauthorized_client"}, 401))
    return server


async def test_a_token_that_is_not_revoked_is_told_and_all_is_removed(
    console: Console, refusing: Server
) -> None:
    shown = await uninstalled(console, "-o", "json", ends=3)

    told = json.loads(shown[shown.index("{") :])
    assert told["error"]["code"] == "PARTIAL"
    assert "lives until 2" in told["data"]["failures"]["default"]
    assert told["data"]["removed"] is True
    assert [one.form["token"] for one in refusing.to(REVOKE)] == [REFRESH, ACCESS]
    assert names_of(console) == {"config/config.toml"}


@pytest.fixture
def keyless(console: Console) -> Console:
    """An installation whose sealing key is lost for good."""
    console.sign_in_at(AWAY)
    for key in console.state.glob("auth-*.key"):
        key.unlink()
    return console


async def test_sign_ins_that_will_never_open_go_and_their_provider_is_told(
    keyless: Console,
) -> None:
    shown = await uninstalled(keyless, ends=3)

    assert f"Revoke twg at {AWAY}" in shown
    assert names_of(keyless) == {"config/config.toml"}


@pytest.fixture
def of_an_ended_sandbox(console: Console) -> Console:
    with sandbox_at(console.root) as running:
        console.sign_in(running)
    return console


async def test_a_sign_in_at_the_sandbox_goes_with_it(of_an_ended_sandbox: Console) -> None:
    """It does not run, so its tokens are good for nothing."""
    await uninstalled(of_an_ended_sandbox)

    assert names_of(of_an_ended_sandbox) == {"config/config.toml"}


@pytest.mark.slow
@pytest.mark.parametrize("number", [0, 1, 3, 6, 9])
async def test_killed_in_the_middle_the_next_run_finishes(
    lived_in: Console, foreign: set[str], number: int
) -> None:
    """H-D2."""
    argv = [sys.executable, "-c", KILLED_AT, str(number), "uninstall"]
    async with Terminal.start(argv, env=lived_in.env, columns=300) as terminal:
        await terminal.until(QUESTION)
        await terminal.send_line("y")
        assert await terminal.exit_status() == -signal.SIGKILL
    assert names_of(lived_in) > foreign

    await uninstalled(lived_in)

    assert names_of(lived_in) == foreign


def test_where_nothing_is_nobody_is_asked(console: Console) -> None:
    (console.config / "config.toml").unlink()
    console.config.rmdir()

    assert console.twg("uninstall").out.startswith("There is nothing of twg's here.\n")
    assert not console.state.exists()


def test_without_a_terminal_nothing_is_removed(console: Console, refusing: Server) -> None:
    before = tree(console)

    ended = console.apart("uninstall", "-o", "json", status=79)

    assert ended.error["code"] == "TTY_REQUIRED"
    assert (tree(console), refusing.received) == (before, [])


@pytest.mark.parametrize("words", [[], ["--dry-run"]])
def test_an_agent_is_told_what_its_person_is_to_do(console: Console, words: list[str]) -> None:
    """H-B5."""
    ended = console.twg("uninstall", *words, status=79, CLAUDECODE="1")

    assert ended.error["code"] == "HUMAN_REQUIRED"
    assert "`twg uninstall`" in ended.error["remediation"]


def test_a_directory_that_is_a_link_is_refused(console: Console, tmp_path: Path) -> None:
    """H-D6."""
    console.sign_in_at(AWAY)
    real = tmp_path / "real"
    console.config.rename(real)
    console.config.symlink_to(real)
    before = tree(console)

    assert console.twg("uninstall", "-o", "json", status=78).error["code"] == "CONFIG"
    assert tree(console) == before
    assert (real / "auth.conf").exists()
    assert console.traces_of(*SECRETS) == []


@pytest.mark.parametrize(
    ("mark", "command"),
    [
        ("pipx_metadata.json", "pipx uninstall twg-cli"),
        ("uv-receipt.toml", "uv tool uninstall twg-cli"),
        (None, f"{sys.executable} -m pip uninstall twg-cli"),
    ],
)
def test_the_program_is_left_to_what_installed_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mark: str | None, command: str
) -> None:
    if mark is not None:
        (tmp_path / mark).touch()
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert uninstall._pip_command() == command
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    assert uninstall._pip_command() == "pip uninstall twg-cli"
