"""The key-ring rig through the `keyring` package, each look from a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest

from tests.rigs.keyring_session import keyring_session
from tests.rigs.surroundings import clean_env
from tests.rigs.terminal import Terminal

if TYPE_CHECKING:
    import subprocess

pytestmark = pytest.mark.slow

BACKEND = "from keyring.backends.SecretService import Keyring\n"
SET = BACKEND + "Keyring().set_password('twg', 'alice', 'made-up-key'); print('set')"
GET = BACKEND + "print('asking', flush=True); print(Keyring().get_password('twg', 'alice'))"


async def run(program: str, env: dict[str, str]) -> subprocess.CompletedProcess[bytes]:
    with anyio.fail_after(60):
        return await anyio.run_process([sys.executable, "-c", program], env=env, check=False)


async def test_a_stored_secret_comes_back_and_is_seen(tmp_path: Path) -> None:
    async with keyring_session() as session:
        env = clean_env(tmp_path, **session.env)
        assert (await run(SET, env)).stdout == b"set\n"
        assert (await run(GET, env)).stdout == b"asking\nmade-up-key\n"
        (stored,) = await session.secrets()
        assert stored.secret == b"made-up-key"
        assert stored.attributes["username"] == "alice"


async def test_a_stopped_daemon_hangs_and_goes_on(tmp_path: Path) -> None:
    """H-E3: what hangs is the real call, not a stand-in."""
    async with keyring_session() as session:
        env = clean_env(tmp_path, **session.env)
        await run(SET, env)
        session.stop_daemon()
        async with Terminal.start([sys.executable, "-c", GET], env=env) as terminal:
            await terminal.until("asking")
            with pytest.raises(AssertionError, match="no its end within 3 s"):
                await terminal.exit_status(timeout=3)
            session.resume_daemon()
            await terminal.until("made-up-key")
            assert await terminal.exit_status() == 0


async def test_it_can_be_stopped_from_the_start(tmp_path: Path) -> None:
    async with keyring_session("stopped") as session:
        env = clean_env(tmp_path, **session.env)
        async with Terminal.start([sys.executable, "-c", GET], env=env) as terminal:
            await terminal.until("asking")
            with pytest.raises(AssertionError, match="no its end"):
                await terminal.exit_status(timeout=3)


async def test_without_a_daemon_the_call_fails(tmp_path: Path) -> None:
    async with keyring_session("absent") as session:
        done = await run(GET, clean_env(tmp_path, **session.env))
        assert done.returncode == 1
        assert b"keyring.errors." in done.stderr
        with pytest.raises(ValueError, match="no key ring"):
            session.stop_daemon()


@pytest.mark.parametrize("state", ["unlocked", "stopped", "absent"])
async def test_nothing_of_it_is_left(state: str) -> None:
    async with keyring_session(state) as session:  # type: ignore[arg-type] # a literal of the list above
        directory = session.env["XDG_RUNTIME_DIR"]
        assert _processes_with(directory)
    assert not _processes_with(directory)
    assert not await anyio.Path(directory).exists()


def _processes_with(text: str) -> list[Path]:
    """Return the processes whose arguments or environment hold `text`."""
    kept = [*Path("/proc").glob("[0-9]*/cmdline"), *Path("/proc").glob("[0-9]*/environ")]
    return [file for file in kept if text.encode() in _content(file)]


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:  # it has ended meanwhile, or is another person's
        return b""
