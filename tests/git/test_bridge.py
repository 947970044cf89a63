"""Git through the bridge: the sandbox's repository, a real git, and no token in its hands."""

from __future__ import annotations

import os
import re
import subprocess
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import httpx
import pytest

from guard.secret import Secret
from tests.sandbox.running import running_sandbox
from tests.sandbox.visiting import Visitor
from twg.git.bridge import Bridge, Login
from twg.git.remote_http import surroundings
from twg.git.repository import Repository
from twg.http import Http, origin

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from tests.sandbox.running import SandboxHandle
    from twg.git.repository import Call

pytestmark = pytest.mark.slow

USER = "x-bitbucket-api-token-auth"
EVERYTHING = ("read:repository:bitbucket", "write:repository:bitbucket")


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """As everywhere, but for as long as the module's sandbox runs."""
    return "asyncio"


@pytest.fixture(scope="module")
async def sandbox(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[SandboxHandle]:
    async with running_sandbox(tmp_path_factory.mktemp("sandbox")) as running:
        yield running


async def made_token(sandbox: SandboxHandle, *scopes: str) -> str:
    async with Visitor(sandbox.url) as visitor:
        page = await visitor.sign_in("/account/api-tokens")
        made = await visitor.submit(page, "/account/api-tokens", label="git", scope=list(scopes))
    found = re.search(r'<code id="token">([^<]+)</code>', made.text)
    assert found is not None
    return found[1]


class Way:
    """A bridge to one of the sandbox's repositories, and what it said."""

    def __init__(self, sandbox: SandboxHandle, token: str, name: str = "tide-model") -> None:
        self._sandbox = sandbox
        self._token = token
        self._repository = Repository.at(f"{sandbox.url}/git/harbor-works/{name}")
        self.said: list[str] = []
        self.allowed: Callable[[Call], bool] = lambda _: True
        self.origins = frozenset({origin(sandbox.url)})

    @asynccontextmanager
    async def open(self) -> AsyncIterator[str]:
        async with Http() as http:
            bridge = Bridge(
                repository=self._repository,
                login=Login(USER, Secret(self._token, kind="bitbucket-token"), self.origins),
                http=http,
                refusal=self._refusal,
                failed=self.said.append,
                scrub=lambda text: text.replace(self._token, "‹bitbucket-token›"),
            )
            async with bridge.open() as address:
                yield address

    async def _refusal(self, call: Call) -> str | None:
        return None if self.allowed(call) else "only reading is allowed here"


async def git(*words: str, at: Path | None = None, **variables: str) -> str:
    """Run git without any settings of the user's; return all it said."""
    environ = {
        **surroundings(os.environ),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_SYSTEM": os.devnull,
        **variables,
    }
    with anyio.fail_after(120):
        done = await anyio.run_process(
            ["git", "-c", "user.name=Alice", "-c", "user.email=alice@sandbox.example", *words],
            cwd=at,
            env=environ,
            stdin=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            check=False,
        )
    said = done.stdout.decode("utf-8", "replace")
    return said if done.returncode == 0 else f"failed: {said}"


async def pushes_begun(sandbox: SandboxHandle) -> int:
    """Count what only a push asks for; a clone asks for the same once, at `info/refs`."""
    requests = (await sandbox.stats())["requests"]
    return int(requests.get("POST /git/{workspace}/{repo}/git-receive-pack", 0))


async def test_git_clones_fetches_and_pushes(sandbox: SandboxHandle, tmp_path: Path) -> None:
    token = await made_token(sandbox, *EVERYTHING)
    async with Way(sandbox, token).open() as address:
        assert "failed" not in await git("clone", address, "mine", at=tmp_path)
        assert "failed" not in await git("clone", address, "other", at=tmp_path)
        (tmp_path / "mine" / "new").write_bytes(os.urandom(3_000_000))
        await git("add", "new", at=tmp_path / "mine")
        await git("commit", "-m", "A large one", at=tmp_path / "mine")
        assert "main -> main" in await git("push", at=tmp_path / "mine")
        assert "failed" not in await git("pull", "--ff-only", at=tmp_path / "other")
    theirs, ours = ((tmp_path / name / "new").read_bytes() for name in ("mine", "other"))
    assert theirs == ours


async def test_git_never_sees_the_token(sandbox: SandboxHandle, tmp_path: Path) -> None:
    """H-F1: not even with every trace that git has."""
    token = await made_token(sandbox, *EVERYTHING)
    traces = {"GIT_TRACE": "1", "GIT_CURL_VERBOSE": "1", "GIT_TRACE_PACKET": "1"}
    async with Way(sandbox, token).open() as address:
        said = await git("clone", address, "traced", at=tmp_path, **traces)
    assert "info/refs" in said
    assert token not in said
    assert "authorization" not in said.lower()
    assert token.encode() not in (tmp_path / "traced" / ".git" / "config").read_bytes()


async def test_what_is_not_allowed_is_not_sent(sandbox: SandboxHandle, tmp_path: Path) -> None:
    way = Way(sandbox, await made_token(sandbox, *EVERYTHING), "quay-lights")
    way.allowed = lambda call: not call.writes
    before = await pushes_begun(sandbox)
    async with way.open() as address:
        await git("clone", address, "mine", at=tmp_path)
        await git("commit", "--allow-empty", "-m", "Mine", at=tmp_path / "mine")
        said = await git("push", at=tmp_path / "mine")
    assert "only reading is allowed here" in said
    assert await pushes_begun(sandbox) == before


@pytest.mark.parametrize(
    ("method", "below"),
    [
        ("GET", ""),
        ("GET", "/"),
        ("GET", "/HEAD"),
        ("GET", "/info/refs"),
        ("GET", "/info/refs?service=git-upload-archive"),
        ("GET", "/info/refs?service=git-upload-pack&x=1"),
        ("GET", "/../radio-bridge/info/refs?service=git-upload-pack"),
        ("GET", "/%2e%2e/radio-bridge/info/refs?service=git-upload-pack"),
        ("GET", "/objects/info/packs"),
        ("GET", "/git-upload-pack"),
        ("POST", "/info/refs?service=git-upload-pack"),
        ("POST", "/info/lfs/objects/batch"),
        ("PUT", "/git-receive-pack"),
        ("DELETE", "/git-upload-pack"),
    ],
)
async def test_nothing_else_goes_through(sandbox: SandboxHandle, method: str, below: str) -> None:
    """H-F5: the credential leaves for the few requests of git's own protocol alone."""
    way = Way(sandbox, await made_token(sandbox, *EVERYTHING))
    before = (await sandbox.stats())["requests"]
    async with way.open() as address, httpx.AsyncClient(trust_env=False) as client:
        answer = await client.request(method, f"{address}{below}")
    assert answer.status_code == 404
    after = (await sandbox.stats())["requests"]
    assert {name for name in after if after[name] != before.get(name)} <= {"GET /sandbox/stats"}


async def test_only_the_secret_path_is_served(sandbox: SandboxHandle) -> None:
    way = Way(sandbox, await made_token(sandbox, *EVERYTHING))
    async with way.open() as address, httpx.AsyncClient(trust_env=False) as client:
        wrong = address[:-1] + ("A" if address[-1] != "A" else "B")
        answer = await client.get(f"{wrong}/info/refs?service=git-upload-pack")
        right = await client.get(f"{address}/info/refs?service=git-upload-pack")
    assert (answer.status_code, right.status_code) == (404, 200)


async def test_a_token_of_another_server_stays_here(sandbox: SandboxHandle) -> None:
    way = Way(sandbox, await made_token(sandbox, *EVERYTHING))
    way.origins = frozenset({"https://bitbucket.org:443"})
    async with way.open() as address, httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(f"{address}/info/refs?service=git-upload-pack")
    assert answer.status_code == 502
    assert "nothing was sent" in way.said[0]


async def test_a_refused_token_asks_nobody_for_a_password(
    sandbox: SandboxHandle, tmp_path: Path
) -> None:
    way = Way(sandbox, "ATATT3xFfGF0made-up-and-unknown=0000AAAA")
    async with way.open() as address:
        said = await git("clone", address, "none", at=tmp_path, GIT_TERMINAL_PROMPT="1")
    assert "does not accept the stored token" in way.said[0]
    assert "does not accept the stored token" in said
    assert "Username" not in said
    assert "could not read" not in said


async def test_a_servers_own_words_come_through(sandbox: SandboxHandle, tmp_path: Path) -> None:
    way = Way(sandbox, await made_token(sandbox, "read:repository:bitbucket"))
    async with way.open() as address:
        await git("clone", address, "mine", at=tmp_path)
        await git("commit", "--allow-empty", "-m", "Mine", at=tmp_path / "mine")
        said = await git("push", at=tmp_path / "mine")
    assert "lacks the scope write:repository:bitbucket" in said


async def test_a_redirect_is_told_and_not_followed(tmp_path: Path) -> None:
    async with running_sandbox(tmp_path, faults=("redirect@resource",)) as sandbox:
        way = Way(sandbox, await made_token(sandbox, *EVERYTHING))
        async with way.open() as address, httpx.AsyncClient(trust_env=False) as client:
            answer = await client.get(f"{address}/info/refs?service=git-upload-pack")
    assert answer.status_code == 502
    assert "location" not in answer.headers
    assert "a credential does not follow" in way.said[0]


async def test_who_leaves_in_the_middle_disturbs_nobody(sandbox: SandboxHandle) -> None:
    way = Way(sandbox, await made_token(sandbox, *EVERYTHING))
    async with way.open() as address, httpx.AsyncClient(trust_env=False) as client:
        port = int(address.split(":")[2].split("/")[0])
        for words in (b"", b"GET", b"nonsense\r\n\r\n", b"POST / HTTP/1.1\r\nHost: x\r\n\r\n"):
            async with await anyio.connect_tcp("127.0.0.1", port) as stream:
                await stream.send(words or b"\r\n")
        answer = await client.get(f"{address}/info/refs?service=git-upload-pack")
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "address",
    [
        "https://bitbucket.org/",
        "https://bitbucket.org/team",
        "https://bitbucket.org/team/repo?x=1",
        "https://bitbucket.org/team/repo#x",
        "https://bitbucket.org/team/../other/repo",
        "https://bitbucket.org/team/%2e%2e/repo",
        "https://someone@bitbucket.org/team/repo",
        "http://bitbucket.org/team/repo",
        "https://bitbucket.org//team/repo",
        "ssh://git@bitbucket.org/team/repo",
        "team/repo",
    ],
)
def test_what_is_no_repository_is_refused(address: str) -> None:
    from twg.errors import ConfigError  # noqa: PLC0415

    with pytest.raises(ConfigError):
        Repository.at(address)


def test_a_repository_is_known_by_its_address() -> None:
    found = Repository.at("https://bitbucket.org/team/repo.git/")
    assert found == Repository("https://bitbucket.org:443", "/team/repo.git")
