"""Starting, finding and stopping the sandbox: real processes, real files, real ports."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import httpx
import pytest

import twg
from tests.sandbox.running import running_sandbox
from twg import sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.sandbox.running import SandboxHandle

ROOT = Path(twg.__file__).parent.parent


def _ends(pid: int) -> bool:
    """Whether the process has ended, or does so within moments; waits for the event itself."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], 10)[0])
    finally:
        os.close(handle)


async def test_round_trip_leaves_private_files_and_no_process(tmp_path: Path) -> None:
    state = tmp_path / "state"
    assert await sandbox.status(state) is None
    assert not await sandbox.stop(state)
    started = await sandbox.start(state)
    found = await sandbox.status(state)
    assert found is not None
    assert (found.url, found.pid) == (started.url, started.pid)
    os.kill(found.pid, 0)
    directory = state / "sandbox"
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    names = {path.name for path in directory.iterdir()}
    assert {"state.json", "sandbox.sqlite3", "log", "lock"} <= names
    for path in directory.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert await sandbox.stop(state)
    assert _ends(found.pid)
    assert await sandbox.status(state) is None
    assert (directory / "log").read_text() == ""


async def test_status_document(tmp_path: Path) -> None:
    async with running_sandbox(tmp_path, ttl=90, faults=["reset@device:3"]) as running:
        document = running.status.as_dict()
        assert json.loads(json.dumps(document)) == document
        assert document["people"]["alice"]["password"] == "alicepass"
        assert document["people"]["bob"]["sites"] == ["harbor.sandbox.example"]
        assert len(document["people"]["alice"]["sites"]) == 2
        assert document["org"]
        assert document["client_id"] == "twg-sandbox"
        assert (document["ttl"], document["auto_approve"]) == (90, False)
        assert document["faults"] == ["reset@device:3"]
        assert running.status.control not in json.dumps(document) + repr(running.status)


async def test_started_twice_is_one_sandbox(tmp_path: Path) -> None:
    async with running_sandbox(tmp_path) as running:
        again = await sandbox.start(running.state_dir)
        assert again.pid == running.status.pid
        with pytest.raises(sandbox.SandboxRunning, match="ttl and auto-approve"):
            await sandbox.start(running.state_dir, ttl=5, auto_approve=True)


async def test_started_at_once_is_one_sandbox(tmp_path: Path) -> None:
    pids: list[int] = []

    async def begin() -> None:
        pids.append((await sandbox.start(tmp_path / "state")).pid)

    try:
        async with anyio.create_task_group() as group:
            for _ in range(4):
                group.start_soon(begin)
    finally:
        await sandbox.stop(tmp_path / "state")
    assert len(pids) == 4
    assert len(set(pids)) == 1


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


async def test_a_taken_port_is_named(tmp_path: Path, taken_port: int) -> None:
    with pytest.raises(sandbox.SandboxPortTaken, match=str(taken_port)):
        await sandbox.start(tmp_path / "state", port=taken_port)


async def test_the_last_port_taken_by_another_is_not_mistaken_for_us(tmp_path: Path) -> None:
    async with running_sandbox(tmp_path) as running:
        port = running.status.port
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        other.close()
    async with running_sandbox(tmp_path / "second", port=port):
        assert await sandbox.status(tmp_path / "state") is None
        async with running_sandbox(tmp_path) as moved:
            assert moved.status.port != port


@pytest.mark.parametrize("options", [{"ttl": 0}, {"leeway": -1}, {"port": 70000}])
async def test_senseless_options(tmp_path: Path, options: dict[str, int]) -> None:
    with pytest.raises(sandbox.SandboxOptionInvalid):
        await sandbox.start(tmp_path / "state", **options)  # type: ignore[arg-type]  # that is the point
    assert not (tmp_path / "state").exists()


async def test_unknown_fault_starts_nothing(tmp_path: Path) -> None:
    with pytest.raises(sandbox.SandboxFaultUnknown, match="no-such"):
        await sandbox.start(tmp_path / "state", faults=["no-such"])
    assert not (tmp_path / "state").exists()


async def test_a_damaged_state_file_is_no_running_sandbox(tmp_path: Path) -> None:
    async with running_sandbox(tmp_path) as running:
        file = running.state_dir / "sandbox" / "state.json"
        whole = file.read_bytes()
        file.write_bytes(b'{"url": 7')
        assert await sandbox.status(running.state_dir) is None
        file.write_bytes(whole)


async def test_a_killed_sandbox_is_not_running_and_starts_again(tmp_path: Path) -> None:
    first = await sandbox.start(tmp_path / "state")
    os.kill(first.pid, signal.SIGKILL)
    async with running_sandbox(tmp_path) as again:
        assert again.status.pid != first.pid


async def test_a_hanging_sandbox_is_not_running_but_can_be_stopped(tmp_path: Path) -> None:
    started = await sandbox.start(tmp_path / "state")
    os.kill(started.pid, signal.SIGSTOP)
    assert await sandbox.status(tmp_path / "state") is None
    assert await sandbox.stop(tmp_path / "state")
    assert _ends(started.pid)
    assert not await sandbox.stop(tmp_path / "state")


async def test_foreground_ends_with_its_caller(tmp_path: Path) -> None:
    ready = anyio.Event()
    seen: list[sandbox.SandboxStatus] = []

    def on_ready(status: sandbox.SandboxStatus) -> None:
        seen.append(status)
        ready.set()

    async def run() -> None:
        await sandbox.start(tmp_path / "state", foreground=True, on_ready=on_ready)

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await ready.wait()
        assert await sandbox.status(tmp_path / "state") is not None
        group.cancel_scope.cancel()
    assert _ends(seen[0].pid)
    assert await sandbox.status(tmp_path / "state") is None


async def test_foreground_returns_when_stopped_from_elsewhere(tmp_path: Path) -> None:
    def on_ready(status: sandbox.SandboxStatus) -> None:
        headers = {"X-Sandbox-Control": status.control}
        with httpx.Client(trust_env=False) as client:
            assert client.post(f"{status.url}/sandbox/stop", headers=headers).status_code == 200

    ended = await sandbox.start(tmp_path / "state", foreground=True, on_ready=on_ready)
    assert _ends(ended.pid)


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "localhost:1", "", "[::1]:{port}"]
)
async def test_only_loopback_names_are_answered(plain: SandboxHandle, host: str) -> None:
    """DNS rebinding: a page on another name must not reach the sandbox."""
    name = host.format(port=plain.status.port)
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(f"{plain.url}/me", headers={"Host": name})
        assert answer.status_code in {400, 421}
        good = {"Host": f"localhost:{plain.status.port}"}
        assert (await client.get(f"{plain.url}/me", headers=good)).status_code == 401


async def test_it_listens_on_loopback_only(plain: SandboxHandle) -> None:
    table = await anyio.Path("/proc/net/tcp").read_text()
    port = f"{plain.status.port:04X}"
    listening = [line.split()[1] for line in table.splitlines() if line.split()[3] == "0A"]
    assert [one for one in listening if one.endswith(f":{port}")] == [f"0100007F:{port}"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/sandbox/issued"),
        ("POST", "/sandbox/expire"),
        ("POST", "/sandbox/faults"),
        ("POST", "/sandbox/stop"),
    ],
)
async def test_control_needs_its_secret(plain: SandboxHandle, method: str, path: str) -> None:
    async with httpx.AsyncClient(trust_env=False, base_url=plain.url) as client:
        for headers in ({}, {"X-Sandbox-Control": "wrong"}):
            answer = await client.request(method, path, headers=headers)
            assert answer.status_code == 403
    assert await sandbox.status(plain.state_dir) is not None


async def test_unknown_paths_say_that_it_is_a_sandbox(plain: SandboxHandle) -> None:
    async with httpx.AsyncClient(trust_env=False, base_url=plain.url) as client:
        for method, path in (("GET", "/nothing"), ("DELETE", "/oauth/token")):
            answer = await client.request(method, path)
            assert answer.status_code in {404, 405}
            assert answer.json()["sandbox"] is True


def _in_python(code: str, *flags: str) -> str:
    done = subprocess.run(
        [sys.executable, *flags, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_the_door_imports_no_server() -> None:
    code = (
        "import sys, twg.sandbox.control\n"
        "heavy = {'starlette', 'uvicorn', 'authlib', 'jinja2', 'joserfc', 'httpx', 'filelock'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    assert _in_python(code) == "[]"


async def test_a_missing_extra_names_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Python that lacks the extra: one whose site directory hides starlette."""
    hider = tmp_path / "python"
    blocked = "import sys; sys.modules['starlette'] = None; sys.modules['uvicorn'] = None"
    code = f"{blocked}; import runpy; runpy.run_module('twg.sandbox', run_name='__main__')"
    hider.write_text(f'#!/bin/sh\nshift 2\nexec "{sys.executable}" -c "{code}" "$@"\n')
    hider.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(hider))
    with pytest.raises(sandbox.SandboxExtraMissing) as caught:
        await sandbox.start(tmp_path / "state")
    assert caught.value.remedy == "Run `pip install 'twg-cli[sandbox]'`."
    assert "uvicorn" in caught.value.message
