"""The measured programs: the peers' environment, the server, and each job in its process."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.bench import meter

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PEERS = (
    "Authlib",
    "httpx",
    "requests",
    "google-auth",
    "msal",
    "requests-oauthlib",
    "pyahocorasick",
    "detect-secrets",
)
HOME = ROOT / ".make" / "peers"
"""An environment of the peers' own, out of reach of ours."""
REPEATS = 3
LONG = 10.0
"""Seconds after which once is enough."""
LIMIT = 120.0
"""Seconds after which nobody waits any more."""

VERSIONS = """
import sys
from importlib.metadata import version
print(*(f"{name} {version(name)}" for name in sys.argv[1:]), sep="\\n")
"""

Found = dict[str, float]


@dataclass(frozen=True)
class Peers:
    """The peers' environment.

    Attributes:
        python: Its interpreter; None if it could not be made.
        versions: What is in it, or why there is nothing.
    """

    python: str | None
    versions: tuple[str, ...]

    @classmethod
    def installed(cls) -> Peers:
        """Return the environment, made if it is not there yet."""
        python = str(HOME / "bin" / "python")
        try:
            if not Path(python).exists():
                _run(sys.executable, "-m", "venv", str(HOME))
            _run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PEERS)
            said = _run(python, "-c", VERSIONS, *PEERS)
        except (OSError, subprocess.SubprocessError):
            return cls(None, ("the peers cannot be installed here, so twg stands alone",))
        return cls(python, tuple(said.split("\n")))

    def found(self, url: str, peer: str, job: str, *arguments: object) -> Found | None:
        """Run one job of a peer's; None if there is no peer, or it took too long."""
        if self.python is None:
            return None
        return _found(url, self.python, "-m", "tests.bench.theirs", peer, job, url, *arguments)

    def redaction(self, peer: str, folder: Path) -> Found | None:
        """Let a peer redact the log in `folder`; None if there is no peer, or it took too long."""
        if self.python is None:
            return None
        try:
            said = _run(self.python, "-m", "tests.bench.redactors", peer, str(folder))
        except subprocess.TimeoutExpired:
            return None
        found: Found = json.loads(said.rpartition("\n")[2])
        return found


def ours(url: str, job: str, *arguments: object) -> Found | None:
    """Run one job of twg's; None if it took too long."""
    return _found(url, sys.executable, "-m", "tests.bench.ours", job, url, *arguments)


@contextmanager
def serving(delay: float) -> Iterator[str]:
    """Run the token server in a process of its own; yield its address."""
    argv = [sys.executable, "-m", "tests.bench.tokens_server", str(delay)]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.kill()


def _found(url: str, *argv: object) -> Found | None:
    """Run a program several times, unless it takes long; return the medians of what it tells."""
    runs: list[dict[str, Any]] = []
    while len(runs) < REPEATS and not any(run.get("seconds", 0) > LONG for run in runs):
        meter.ask(url, "/reset")
        try:
            said = _run(*map(str, argv))
        except subprocess.TimeoutExpired:
            return None
        except subprocess.CalledProcessError as error:
            sys.stderr.write(error.stderr)
            raise
        runs.append(json.loads(said.rpartition("\n")[2]))
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def _run(*argv: str) -> str:
    done = subprocess.run(
        argv,
        cwd=ROOT,
        check=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
    return done.stdout.strip()
