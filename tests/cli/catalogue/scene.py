"""Where a situation is made: an installation and a sandbox, and what can be wrong with either."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import anyio
from anyio.from_thread import start_blocking_portal

from tests.cli.admin_parts import kept, made_key
from tests.oauth.servers import serving
from tests.rigs.keyring_session import keyring_session
from tests.rigs.parts import missing, program
from tests.rigs.surroundings import fake_browser
from twg.sandbox.people import CLIENT_ID, ORG_ID

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractAsyncContextManager, ExitStack
    from pathlib import Path

    from tests.cli.console import Console
    from tests.oauth.servers import Server
    from tests.rigs.keyring_session import KeyringSession
    from tests.sandbox.running import SandboxHandle

T = TypeVar("T")
DAY = 86_400.0
BROWSING = """\
import contextlib, sys, urllib.error, urllib.request
with contextlib.suppress(urllib.error.HTTPError):
    urllib.request.urlopen(sys.argv[1], timeout=30).read()
"""
IMPATIENT = """\
import sys
from twg.cli.main import main
from twg.vault.file_store import FileStore
FileStore.__init__.__kwdefaults__["lock_seconds"] = 1.0
del sys.argv[0]
main()
"""
NOWHERE = "http://127.0.0.1:1"
"""Where no server is."""


class Entered(NamedTuple):
    """What a person types once the terminal shows `after`."""

    after: str
    text: str


@dataclass
class Scene:
    """One installation at one sandbox.

    Attributes:
        console: The installation; nothing is signed in yet.
        sandbox: Shared by all; it behaves again once the situation is over.
        ending: What is undone then.
        typed: What the person types, where there is one; with none, there is no terminal.
        under: What runs the command, if not the shell.
        apart: It works in a process of its own alone.
    """

    console: Console
    sandbox: SandboxHandle
    ending: ExitStack
    typed: Sequence[Entered] = ()
    apart: bool = False
    under: Sequence[str] = ()

    def faulty(self, *faults: str) -> None:
        """Let the sandbox misbehave until the end."""
        self.ending.callback(anyio.run, self.sandbox.misbehave)
        anyio.run(self.sandbox.misbehave, *faults)

    def signed_in(self, **changes: Any) -> None:
        """Have Alice signed in at the sandbox."""
        self.console.sign_in(self.sandbox, **changes)

    def at_home(self) -> None:
        """Make the sandbox the one that `--sandbox` finds."""
        own = self.console.state / "sandbox"
        for directory in (self.console.state, own):
            directory.mkdir(mode=0o700, exist_ok=True)
        shutil.copy2(self.sandbox.state_dir / "sandbox" / "state.json", own)

    def as_provider(self, *scopes: str, url: str | None = None) -> None:
        """Have the sandbox, or a server at `url`, set up as the one provider."""
        words = ["provider", "add", "box", "--issuer", url or self.sandbox.url]
        words += ["--client-id", CLIENT_ID]
        words += [word for scope in scopes for word in ("--scope", scope)]
        run = self.console.apart if self.apart else self.console.twg
        run(*words)

    def with_browser(self) -> None:
        """Have a browser that goes nowhere."""
        self.console.more["BROWSER"] = str(fake_browser(self.console.root).path)

    def with_browser_that_goes_there(self) -> None:
        """Have a browser whose person does at once what the sandbox plays."""
        path = self.console.root / "browser"
        path.write_text(f"#!{sys.executable} -IS\n{BROWSING}")
        path.chmod(0o755)
        self.console.more["BROWSER"] = str(path)

    def serving(self) -> Server:
        """Return a server that says what the situation has it say."""
        return self._meanwhile(serving())

    def keyring(self) -> KeyringSession:
        """Return an unlocked key ring of the person's own."""
        session = self._meanwhile(keyring_session("unlocked"))
        self.console.more |= session.env
        self.apart = True
        return session

    def _meanwhile(self, context: AbstractAsyncContextManager[T]) -> T:
        portal = self.ending.enter_context(start_blocking_portal())
        return self.ending.enter_context(portal.wrap_async_context_manager(context))

    def with_agent(self) -> None:
        """Have an agent run the command."""
        self.console.more["TWG_AGENT"] = "1"

    def with_admin_key(self, **changes: Any) -> None:
        """Have a key of the sandbox's first organization kept."""
        anyio.run(kept, self.console, self.sandbox.url, ORG_ID, self.key_for(ORG_ID), changes)

    def key_for(self, org: str) -> str:
        """Return a key that the sandbox made for an organization."""
        return anyio.run(made_key, self.sandbox.url, org)

    def hold_lock(self, name: str) -> None:
        """Hold a lock until the end, against a twg that has less patience than usual."""
        locks = self.console.state / "locks"
        grip = os.open(locks / f"{name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        self.ending.callback(os.close, grip)
        fcntl.flock(grip, fcntl.LOCK_EX)
        self.under = [sys.executable, "-c", IMPATIENT]
        self.apart = True

    def read_only(self, directory: Path) -> None:
        """Allow no writing below a directory until the end."""
        directory.mkdir(mode=0o700, exist_ok=True)
        if os.geteuid() != 0:
            self.ending.callback(directory.chmod, 0o700)
            directory.chmod(0o500)
            return
        # Nothing keeps root from writing but the file system itself.
        _mount("--bind", str(directory), str(directory))
        self.ending.callback(subprocess.run, ["umount", "--lazy", str(directory)], check=True)
        _mount("-o", "remount,ro,bind", str(directory))


def _mount(*arguments: str) -> None:
    done = subprocess.run([program("mount"), *arguments], capture_output=True, check=False)
    if done.returncode:
        missing(f"nothing can be mounted here: {done.stderr.decode().strip()}")
