"""Git by `twg::` addresses: a real clone, fetch and push with a token that git never sees."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import anyio
import pytest

from tests.roads.test_bitbucket import enter, made, signs_in
from tests.roads.traveller import traveller
from tests.vault.granting import grant_now, grant_store_at

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.roads.traveller import Traveller
    from tests.sandbox.running import SandboxHandle

pytestmark = pytest.mark.slow

READ = ("read:user:bitbucket", "read:repository:bitbucket")
EVERYTHING = (*READ, "write:repository:bitbucket")
TRACES = {"GIT_TRACE": "1", "GIT_CURL_VERBOSE": "1", "GIT_TRACE_CURL": "1"}
PUSHED = "main -> main"
LARGE = 200 * 1024 * 1024
MOST_MEMORY = 120 * 1024
"""KiB: far below what passes through."""

ELSEWHERE = {
    "twg::https://bitbucket.org/team/repo": "is not at http://127.0.0.1",
    "twg::https://evil.example/harbor-works/tide-model": "is not at http://127.0.0.1",
    "twg::{url}/git/harbor-works/../../admin/x": "is not a repository's address",
    "twg::{url}/elsewhere/tide-model": "is not at http://127.0.0.1",
    "twg::tide-model": "not an absolute http(s) URL",
}

MEASURING = """\
import atexit, os, pathlib, resource
note = pathlib.Path(os.environ["PEAK"])
def noted():
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    note.write_text(str(max(peak, int(note.read_text()) if note.exists() else 0)))
atexit.register(noted)
from twg.cli.main import git_remote
git_remote()
"""
"""The helper, with a note of the most memory that any of its runs had; that of git is not in it."""


class Committer:
    """A person with a Bitbucket token who uses git."""

    def __init__(self, person: Traveller, sandbox: SandboxHandle) -> None:
        self._person = person
        self.address = f"twg::{sandbox.url}/git/harbor-works/tide-model"
        self.work = person.root / "work"
        self.work.mkdir()

    async def git(
        self,
        *words: str,
        at: str = ".",
        status: int | None = 0,
        more: Mapping[str, str] | None = None,
    ) -> str:
        """Run git without a terminal; return all that it and what it runs said."""
        with anyio.fail_after(300):
            done = await anyio.run_process(
                ["git", "-c", "user.name=Alice", "-c", "user.email=a@sandbox.example", *words],
                cwd=self.work / at,
                env=self._person.env | {"GIT_CONFIG_NOSYSTEM": "1", **(more or {})},
                stdin=subprocess.DEVNULL,
                stderr=subprocess.STDOUT,
                check=False,
            )
        said = done.stdout.decode("utf-8", "replace")
        self._person.seen.append(said)
        assert status in {None, done.returncode}, said
        return said

    async def commits(self, at: str, name: str, data: bytes) -> None:
        (self.work / at / name).write_bytes(data)
        await self.git("add", name, at=at)
        await self.git("commit", "--quiet", "-m", f"Add {name}", at=at)


async def committer(person: Traveller, sandbox: SandboxHandle, token: str) -> Committer:
    """Sign a person in, and set their Bitbucket token up."""
    await signs_in(person, sandbox, "--no-bitbucket", name="alice")
    async with person.types("setup", "bitbucket", columns=200) as terminal:
        await enter(terminal, token)
        assert await terminal.exit_status() == 0, terminal.transcript()
    return Committer(person, sandbox)


async def test_a_clone_a_fetch_and_a_push(tmp_path: Path, sandbox: SandboxHandle) -> None:
    """H-F1: the token is in nothing that git has, says or traces, and no other program gets it."""
    person = traveller(tmp_path)
    token = await made(sandbox, *EVERYTHING)
    alice = await committer(person, sandbox, token)
    said = await alice.git("clone", alice.address, "mine", more=TRACES)
    assert "info/refs" in said  # it was traced
    await alice.git("clone", "--quiet", alice.address, "other")
    await alice.commits("mine", "new.bin", os.urandom(2_000_000))
    assert PUSHED in await alice.git("push", at="mine", more=TRACES)
    await alice.git("pull", "--ff-only", at="other")
    mine, other = ((alice.work / each / "new.bin").read_bytes() for each in ("mine", "other"))
    assert mine == other
    config = (alice.work / "mine" / ".git" / "config").read_text()
    assert alice.address in config
    asked = await alice.git(
        "credential",
        "fill",
        at="mine",
        status=None,
        more={"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "true"},
    )
    assert "password=A" not in asked
    assert person.traces_of([token]) == []
    assert not [file for file in alice.work.rglob("*") if _holds(file, token)]
    assert "secret.revealed" in person.audit_events()


def _holds(file: Path, token: str) -> bool:
    return file.is_file() and token.encode() in file.read_bytes()


async def test_a_plain_address_goes_by_twg_once_git_is_told_to(
    tmp_path: Path, sandbox: SandboxHandle
) -> None:
    person = traveller(tmp_path)
    token = await made(sandbox, *READ)
    alice = await committer(person, sandbox, token)
    plain = f"{sandbox.url}/git/harbor-works/tide-model"
    no_password = {"GIT_TERMINAL_PROMPT": "0"}
    await alice.git("ls-remote", plain, status=128, more=no_password)
    assert "✔ Git takes" in await person.gets("setup", "git", "--sandbox", "--yes")

    await alice.git("clone", "--quiet", plain, "mine", more=no_password)

    assert (alice.work / "mine" / "README.md").is_file()
    assert person.traces_of([token]) == []
    assert "again" in await person.gets("setup", "git", "--sandbox", "--undo", "--yes")
    await alice.git("ls-remote", plain, status=128, more=no_password)


async def test_files_that_git_writes_are_as_open_as_git_makes_them(
    tmp_path: Path, sandbox: SandboxHandle
) -> None:
    alice = await committer(traveller(tmp_path), sandbox, await made(sandbox, *READ))
    before = os.umask(0o022)
    try:
        await alice.git("clone", "--quiet", "-c", "transfer.unpackLimit=1", alice.address, "mine")
    finally:
        os.umask(before)
    packs = list((alice.work / "mine" / ".git" / "objects" / "pack").iterdir())
    assert packs
    assert {stat.S_IMODE(pack.stat().st_mode) for pack in packs} == {0o444}


async def test_two_hundred_megabytes_in_constant_memory(
    tmp_path: Path, sandbox: SandboxHandle
) -> None:
    person = traveller(tmp_path)
    alice = await committer(person, sandbox, await made(sandbox, *EVERYTHING))
    folder = tmp_path / "measured"
    folder.mkdir()
    helper = folder / "git-remote-twg"
    helper.write_text(f"#!{sys.executable}\n{MEASURING}")
    helper.chmod(0o755)
    peak = tmp_path / "peak"
    person.more = {"PATH": f"{folder}:{person.env['PATH']}", "PEAK": str(peak)}
    await alice.git("clone", "--quiet", alice.address, "mine")
    await alice.git("config", "core.compression", "0", at="mine")
    await alice.commits("mine", "large.bin", os.urandom(LARGE))
    assert PUSHED in await alice.git("push", at="mine")
    await alice.git("clone", "--quiet", alice.address, "other")
    assert (alice.work / "other" / "large.bin").stat().st_size == LARGE
    assert 0 < int(peak.read_text()) < MOST_MEMORY


async def test_an_agent_fetches_and_pushes_only_what_is_granted(
    tmp_path: Path, sandbox: SandboxHandle
) -> None:
    """H-F4: reading is an agent's to do; a push is a write, which its person grants."""
    person = traveller(tmp_path)
    token = await made(sandbox, *EVERYTHING)
    alice = await committer(person, sandbox, token)
    person.more = {"CLAUDECODE": "1"}
    await alice.git("clone", "--quiet", alice.address, "mine")
    await alice.commits("mine", "new", b"of an agent")
    said = await alice.git("push", at="mine", status=None)
    assert "nobody has allowed agents to write at bitbucket" in said
    assert "twg policy grant write --service bitbucket --path /2.0/repositories/" in said
    assert "own terminal" in said
    assert '"ok"' not in said
    pushes = (await sandbox.stats())["requests"]
    assert "POST /git/{workspace}/{repo}/git-receive-pack" not in pushes
    assert "policy.denied" in person.audit_events()
    path = "/2.0/repositories/harbor-works/tide-model"
    await grant_now(person.root, service="bitbucket", path=path, calls=1)
    await alice.git("push", at="mine")
    await alice.commits("mine", "newer", b"of an agent")
    said = await alice.git("push", at="mine", status=None)
    assert "nobody has allowed agents to write" in said, "a push is one call"
    assert [one.used for one in await grant_store_at(person.root).all()] == [1]
    assert person.audit_events().count("agent.call") == 2, "the clone, and the push"
    assert person.traces_of([token]) == []


async def test_another_address_gets_nothing(tmp_path: Path, sandbox: SandboxHandle) -> None:
    """H-F5."""
    person = traveller(tmp_path)
    alice = await committer(person, sandbox, await made(sandbox, *READ))
    before = (await sandbox.stats())["requests"]
    for address, words in ELSEWHERE.items():
        said = await alice.git("ls-remote", address.format(url=sandbox.url), status=None)
        assert words in said, address
        assert (await sandbox.stats())["requests"] == before, address


async def test_without_a_token_it_says_how_to_get_one(
    tmp_path: Path, sandbox: SandboxHandle
) -> None:
    person = traveller(tmp_path)
    await signs_in(person, sandbox, "--no-bitbucket", name="alice")
    said = await Committer(person, sandbox).git(
        "ls-remote", f"twg::{sandbox.url}/git/harbor-works/tide-model", status=None
    )
    assert "there is no Bitbucket token" in said
    assert "twg setup bitbucket" in said


async def test_a_token_in_the_address_is_refused(tmp_path: Path, sandbox: SandboxHandle) -> None:
    """H-A2."""
    person = traveller(tmp_path)
    token = "ATATT3xFfGF0" + "Example1" * 8 + "=0123ABCD"
    address = f"twg::https://x-bitbucket-api-token-auth:{token}@bitbucket.org/team/repo"
    alice = Committer(person, sandbox)
    said = await alice.git("ls-remote", address, status=None)
    refusal = next(line for line in said.splitlines() if line.startswith("twg: "))
    assert "not taken from" in refusal or "refused" in refusal
    assert token not in refusal
    events = [each for each in person.audit_events() if not each.startswith("command.")]
    assert events == ["secret.refused"]
