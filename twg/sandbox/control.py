"""Starts, stops and looks for the sandbox from outside; imports none of the server's packages."""

from __future__ import annotations

import contextlib
import hmac
import http.client
import json
import os
import secrets
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import anyio
from anyio import to_thread
from anyio.streams.buffered import BufferedByteReceiveStream

import twg
from guard.files import ensure_private_directory, read_private
from twg.sandbox import faults as fault_table
from twg.sandbox.context import DEFAULT_TTL, Options
from twg.sandbox.errors import (
    SandboxExtraMissing,
    SandboxFailed,
    SandboxOptionInvalid,
    SandboxPortTaken,
    SandboxRunning,
)
from twg.sandbox.people import CLIENT_ID, ORG_ID, ORGS, described

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from anyio.abc import Process

START_SECONDS: Final = 30
STOP_SECONDS: Final = 10
CALL_SECONDS: Final = 3
_KEPT_VARIABLES: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "SYSTEMROOT", "TEMP")
_LARGEST_PORT: Final = 65535
_LINE_LIMIT: Final = 65536


@dataclass(frozen=True)
class SandboxStatus:
    """A running sandbox, as seen from outside.

    Attributes:
        url: Its base address and issuer identifier.
        pid: The server's process.
        port: Where it listens on 127.0.0.1.
        started_at: RFC 3339.
        options: How it was started.
        control: The secret of its control interface; not part of `as_dict`.
    """

    url: str
    pid: int
    port: int
    started_at: str
    options: Options
    control: str

    def __repr__(self) -> str:
        """Leave the control secret out."""
        return f"SandboxStatus(url={self.url!r}, pid={self.pid})"

    def as_dict(self) -> dict[str, Any]:
        """Return what `twg sandbox status` tells."""
        return {
            "sandbox": True,
            "url": self.url,
            "pid": self.pid,
            "port": self.port,
            "started_at": self.started_at,
            "people": described(),
            "org": ORG_ID,
            "orgs": dict(ORGS),
            "client_id": CLIENT_ID,
            **self.options.as_dict(),
        }


def faults() -> dict[str, str]:
    """Return every fault's name with what it does in one sentence."""
    return {fault.name: fault.summary for fault in fault_table.FAULTS.values()}


async def start(
    state_dir: Path,
    *,
    port: int | None = None,
    ttl: int | None = None,
    leeway: int | None = None,
    auto_approve: bool = False,
    faults: Sequence[str] = (),
    foreground: bool = False,
    on_ready: Callable[[SandboxStatus], None] | None = None,
) -> SandboxStatus:
    """Start the sandbox, or return the one that runs already with the same options.

    Args:
        state_dir: Its parent directory, `TWG_STATE_DIR`.
        port: Where to listen on 127.0.0.1; None takes the last one again, else any free one.
        ttl: Lifetime of access tokens in seconds; None is an hour.
        leeway: Seconds for which a rotated refresh token is still taken; None is 0.
        auto_approve: The server plays the person.
        faults: Words for `Faults`.
        foreground: Stay until the server ends; cancelling ends it.
        on_ready: Called once it answers, which matters in the foreground.

    Raises:
        SandboxError: It did not start; the types are in `errors`.
        guard.errors.UnsafeFile: `state_dir` or what is in it is not private.
        guard.errors.FileUnwritable: `state_dir` cannot be made.
    """
    options = _checked(port, ttl, leeway, Options(auto_approve=auto_approve, faults=tuple(faults)))
    directory = state_dir / "sandbox"
    await to_thread.run_sync(_prepare, state_dir, directory)
    launch = _Launch(state_dir, directory, options, port)
    if foreground:
        return await launch.foreground(on_ready)
    found = await launch.detached()
    if on_ready is not None:
        on_ready(found)
    return found


async def stop(state_dir: Path) -> bool:
    """End the sandbox and wait until it has let go of its state; False if none ran.

    One that does not answer, or does not end when asked, is killed: its database survives that.

    Raises:
        SandboxFailed: It does not end.
        guard.errors.UnsafeFile: Its directory or state file is not private.
    """
    directory = state_dir / "sandbox"
    state = await to_thread.run_sync(_read_state, directory)
    if state is None:
        return False
    async with _one_start(directory):
        if await to_thread.run_sync(_answers, state):
            with contextlib.suppress(OSError, http.client.HTTPException):
                await to_thread.run_sync(_call, state.port, "POST", "/sandbox/stop", state.control)
            if await to_thread.run_sync(_released, directory, STOP_SECONDS):
                return True
        elif await to_thread.run_sync(_released, directory, 0):
            return False
        # The lock is held and nobody is starting one, so the process id in the state is its own.
        with contextlib.suppress(ProcessLookupError):
            os.kill(state.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
        if not await to_thread.run_sync(_released, directory, STOP_SECONDS):
            words = f"the sandbox (process {state.pid}) does not end"
            raise SandboxFailed(words, f"End it with `kill -KILL {state.pid}`.")
    return True


async def status(state_dir: Path) -> SandboxStatus | None:
    """Return the running sandbox of `state_dir`, or None.

    The one that answers on the port must prove that it holds the control secret, which itself is
    not sent: another program may have the port by now.
    """
    state = await to_thread.run_sync(_read_state, state_dir / "sandbox")
    if state is None:
        return None
    return state if await to_thread.run_sync(_answers, state) else None


async def address(state_dir: Path) -> str | None:
    """Return the base address of the sandbox of `state_dir`, whether or not it runs now.

    Raises:
        guard.errors.UnsafeFile: Its directory or state file is not private.
    """
    state = await to_thread.run_sync(_read_state, state_dir / "sandbox")
    return None if state is None else state.url


def _checked(port: int | None, ttl: int | None, leeway: int | None, options: Options) -> Options:
    fault_table.check(options.faults)
    ttl = DEFAULT_TTL if ttl is None else ttl
    leeway = 0 if leeway is None else leeway
    if ttl < 1:
        raise SandboxOptionInvalid(
            "the lifetime must be at least a second", "Give --ttl 1 or more."
        )
    if leeway < 0:
        raise SandboxOptionInvalid("the leeway is negative", "Give --leeway 0 or more.")
    if port is not None and not 0 < port <= _LARGEST_PORT:
        raise SandboxOptionInvalid(f"{port} is no port", "Give a --port from 1 to 65535.")
    return Options(ttl, leeway, options.auto_approve, options.faults)


def _same(running: SandboxStatus, options: Options, port: int | None) -> SandboxStatus:
    wanted, has = options.as_dict(), running.options.as_dict()
    differing = [name.replace("_", "-") for name in wanted if wanted[name] != has[name]]
    if port not in {None, running.port}:
        differing.append("port")
    if differing:
        raise SandboxRunning(running.url, differing)
    return running


def _prepare(state_dir: Path, directory: Path) -> None:
    ensure_private_directory(state_dir)
    ensure_private_directory(directory)


@dataclass(frozen=True)
class _Launch:
    state_dir: Path
    directory: Path
    options: Options
    port: int | None

    async def detached(self) -> SandboxStatus:
        async with _one_start(self.directory):
            running = await status(self.state_dir)
            if running is not None:
                return _same(running, self.options, self.port)
            async with await self._process("--detach") as process:
                return await self._ready(process)

    async def foreground(self, on_ready: Callable[[SandboxStatus], None] | None) -> SandboxStatus:
        async with _one_start(self.directory):
            running = await status(self.state_dir)
            if running is not None:
                raise SandboxRunning(running.url, ["window"])
            process = await self._process()
        # Leaving the block on cancellation kills the process; asking first lets it clean up.
        async with process:
            try:
                found = await self._ready(process)
                if on_ready is not None:
                    on_ready(found)
                await process.wait()
            except BaseException:
                with contextlib.suppress(ProcessLookupError):
                    process.terminate()
                with anyio.move_on_after(STOP_SECONDS, shield=True):
                    await process.wait()
                raise
        return found

    async def _process(self, *more: str) -> Process:
        arguments = ["--directory", str(self.directory), *more]
        arguments += ["--options", json.dumps(self.options.as_dict())]
        if self.port is not None:
            arguments += ["--port", str(self.port)]
        detached = "--detach" in more
        return await anyio.open_process(
            [sys.executable, "-m", "twg.sandbox", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if detached else None,
            cwd=Path(twg.__file__).parent.parent,
            env={name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ},
            start_new_session=detached,
        )

    async def _ready(self, process: Process) -> SandboxStatus:
        said = await _first_line(process)
        found = await status(self.state_dir) if said.get("ok") else None
        if found is None:
            raise _failure(said)
        return found


@contextlib.asynccontextmanager
async def _one_start(directory: Path) -> AsyncIterator[None]:
    """Let one caller at a time look for a sandbox and start it."""
    from filelock import FileLock, Timeout  # noqa: PLC0415 - only starting needs it

    lock = FileLock(directory / "starting", START_SECONDS, mode=0o600, thread_local=False)
    try:
        await to_thread.run_sync(lock.acquire)
    except Timeout as error:
        words = "another command has been starting the sandbox for too long"
        raise SandboxFailed(words, "See what it does, end it, and try again.") from error
    try:
        yield
    finally:
        lock.release()


async def _first_line(process: Process) -> dict[str, Any]:
    if process.stdout is None:
        raise RuntimeError("the process was started without a pipe")
    output = BufferedByteReceiveStream(process.stdout)
    line = b""
    try:
        with anyio.fail_after(START_SECONDS):
            line = await output.receive_until(b"\n", _LINE_LIMIT)
        said = json.loads(line)
    except (TimeoutError, anyio.IncompleteRead, anyio.DelimiterNotFound, ValueError):
        return {"message": line.decode(errors="replace").strip()[:200]}
    return said if isinstance(said, dict) else {}


def _failure(said: dict[str, Any]) -> Exception:
    if said.get("kind") == SandboxExtraMissing.__name__:
        package = str(said["message"]).removeprefix("the sandbox needs ").partition(",")[0]
        return SandboxExtraMissing(package)
    if said.get("kind") == SandboxPortTaken.__name__:
        return SandboxPortTaken(int(said["port"]))
    words = said.get("message") or "it ended without a word"
    if said.get("reason") == "running":
        words = "one runs already, but does not answer for its state file"
    return SandboxFailed(
        f"the sandbox did not start: {words}",
        "Run `twg sandbox start --foreground` to see why, or end the process that holds its lock.",
    )


def _read_state(directory: Path) -> SandboxStatus | None:
    try:
        state = json.loads(read_private(directory / "state.json") or b"null")
        return SandboxStatus(
            url=str(state["url"]),
            pid=int(state["pid"]),
            port=int(state["port"]),
            started_at=str(state["started_at"]),
            options=Options.from_dict(state["options"]),
            control=str(state["control"]),
        )
    except (ValueError, TypeError, KeyError):
        return None


def _answers(state: SandboxStatus) -> bool:
    nonce = secrets.token_hex(16)
    try:
        answer = _call(state.port, "GET", f"/sandbox/identity?nonce={nonce}", None)
        proof = json.loads(answer)["proof"]
    except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
        return False
    expected = hmac.new(state.control.encode(), nonce.encode(), "sha256").hexdigest()
    return hmac.compare_digest(expected, str(proof))


def _call(port: int, method: str, path: str, control: str | None) -> bytes:
    headers = {"X-Sandbox-Control": control} if control else {}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=CALL_SECONDS)
    with contextlib.closing(connection):
        connection.request(method, path, headers=headers)
        return connection.getresponse().read(_LINE_LIMIT)


def _released(directory: Path, seconds: float) -> bool:
    """Tell whether the server lets go of its lock within `seconds`; its end does so by itself."""
    from filelock import FileLock, Timeout  # noqa: PLC0415 - only stopping needs it

    try:
        with FileLock(directory / "lock", timeout=seconds, mode=0o600):
            return True
    except Timeout:
        return False
