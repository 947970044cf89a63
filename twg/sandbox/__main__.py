"""The sandbox's server process: opens its state, says that it is ready, serves until stopped.

It is started by `twg.sandbox.control` and speaks one line of JSON on standard output.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import secrets
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from guard.files import read_private, replace_private
from twg.sandbox.context import Options
from twg.sandbox.errors import SandboxError, SandboxExtraMissing

if TYPE_CHECKING:
    from collections.abc import Callable


def main() -> int:
    """Run the server; the exit status is 0 unless it could not start."""
    asked = _arguments()
    os.umask(0o077)
    if asked.detach and hasattr(os, "fork") and os.fork():
        # The parent ends at once, so that the server has no starter to wait for it.
        os._exit(0)
    directory = Path(asked.directory)
    lock = FileLock(directory / "lock", timeout=0, mode=0o600)
    try:
        lock.acquire()
        _serve(directory, asked)
    except Timeout:
        _say({"ok": False, "reason": "running"})
        return 1
    except SandboxError as error:
        facts = {"message": error.message, "remedy": error.remedy, "kind": type(error).__name__}
        _say({"ok": False, "reason": "error", "port": asked.port, **facts})
        return 1
    # The lock goes with the process: whoever gets it next knows that nothing of us is left.
    os._exit(0)


def _serve(directory: Path, asked: argparse.Namespace) -> None:
    try:
        from twg.sandbox import server  # noqa: PLC0415 - the extra may be missing
    except ModuleNotFoundError as error:
        raise SandboxExtraMissing(error.name or "its extra") from error
    options = Options.from_dict(json.loads(asked.options))
    listener = server.open_socket(asked.port, _last_port(directory))
    port = listener.getsockname()[1]
    control = secrets.token_urlsafe(32)
    database = directory / "sandbox.sqlite3"
    with contextlib.closing(listener):
        sandbox = server.open_sandbox(database, options, port, control)
        serving = server.Serving(sandbox, listener)
        state = server.describe(sandbox) | {"started_at": datetime.now(UTC).isoformat()}
        replace_private(directory / "state.json", json.dumps(state).encode())
        _ready(asked, directory, state)
        with contextlib.closing(sandbox.storage):
            _quietly(serving.run)


def _ready(asked: argparse.Namespace, directory: Path, state: dict[str, Any]) -> None:
    """Say that connections are taken (the socket listens already), then let go of the pipe."""
    _say({"ok": True, "url": state["url"]})
    if asked.detach:
        log = os.open(directory / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(log)


def _quietly(run: Callable[[], None]) -> None:
    with contextlib.suppress(KeyboardInterrupt):
        run()


def _say(document: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):
        os.write(1, json.dumps(document).encode() + b"\n")


def _last_port(directory: Path) -> int | None:
    try:
        port = json.loads(read_private(directory / "state.json") or b"{}").get("port")
    except ValueError:
        return None
    return port if isinstance(port, int) and 0 < port < 1 << 16 else None


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="twg-sandbox", allow_abbrev=False)
    parser.add_argument("--directory", required=True)
    parser.add_argument("--options", required=True)
    parser.add_argument("--port", type=int)
    parser.add_argument("--detach", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
