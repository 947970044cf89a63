"""`twg` at a test's hands: run in this process, or as an orphan without a terminal."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import jsonschema
from anyio import to_thread

from guard import audit
from tests.auth.parts import credential_at, issued_by
from tests.cli import orphanage, shapes
from tests.docs.audit_catalogue import SCHEMA
from tests.rigs.surroundings import FakeBrowser, clean_env
from tests.roads.traveller import Traveller, forms
from tests.sandbox.running import SandboxHandle
from tests.vault import samples
from twg import sandbox as sandboxes
from twg.cli.main import run
from twg.sandbox.people import ALICE, HARBOR
from twg.vault import Account, Site

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from twg.vault import Credential

ORPHANAGE = Path(orphanage.__file__)
ALICE_THERE: dict[str, Any] = {
    "account": Account(id=ALICE.account_id, name=ALICE.name, email=ALICE.email),
    "sites": (Site(host=HARBOR.host, cloud_id=HARBOR.cloud_id, name=HARBOR.name),),
    "site": HARBOR.host,
}
"""Who the sandbox plays, and the site that it chooses for her."""
HOST = "one.example.net"
SITES = (
    Site(host=HOST, cloud_id="c1", name="One"),
    Site(host="two.example.net", cloud_id="c2", name="Two"),
)


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that has ended.

    Attributes:
        status: Its exit status.
        out: Its standard output.
        err: Its standard error.
    """

    status: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on standard output."""
        found: dict[str, Any] = json.loads(self.out)
        assert self.out.endswith("}\n"), self.out
        return found

    @property
    def data(self) -> Any:
        """What a command with `-o json` gave."""
        assert self.document["ok"] is True, self.out
        return self.document["data"]

    @property
    def error(self) -> dict[str, Any]:
        """Why a command with `-o json` failed."""
        assert self.document["ok"] is False, self.out
        found: dict[str, Any] = self.document["error"]
        assert found["exit_code"] == self.status
        return found


@dataclass
class Console:
    """A person's installation, and `twg` run on it.

    Attributes:
        root: Home, configuration and state stand below it.
        more: Further variables of the environment.
        ended: All commands so far.
        signed_in_with: The tokens of all sign-ins that a test has put there.
    """

    root: Path
    more: dict[str, str] = field(default_factory=dict)
    ended: list[Ended] = field(default_factory=list)
    signed_in_with: list[str] = field(default_factory=list)

    @property
    def env(self) -> dict[str, str]:
        return clean_env(self.root) | self.more

    @property
    def config(self) -> Path:
        return self.root / "config"

    @property
    def state(self) -> Path:
        return self.root / "state"

    def twg(self, *words: str, status: int | None = 0, **more: str) -> Ended:
        """Run `twg` in this process; it must end with `status` unless that is None."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            found = run(words, self.env | more)
        return self._checked(words, Ended(found, out.getvalue(), err.getvalue()), status)

    def apart(
        self,
        *words: str,
        status: int | None = 0,
        stdin: int = subprocess.DEVNULL,
        stdout: int = subprocess.PIPE,
        under: Sequence[str] = (),
        **more: str,
    ) -> Ended:
        """Run `twg` as an orphan that has no terminal.

        Args:
            words: The command line.
            status: The exit status it must end with; None for any.
            stdin: Its standard input.
            stdout: Its standard output; unless it is a pipe, nothing is known of it later.
            under: A program that is given the command line to run, and its first arguments.
            more: Further variables.
        """
        done = subprocess.run(
            [sys.executable, "-I", "-S", ORPHANAGE, *under, "twg", *words],
            env=self.env | more,
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.PIPE,
            check=False,
            timeout=2 * orphanage.LONGEST_LIFE,
        )
        out, err = ((each or b"").decode() for each in (done.stdout, done.stderr))
        return self._checked(words, Ended(done.returncode, out, err), status)

    async def apart_async(self, *words: str) -> Ended:
        """Do `apart` in a test that has a terminal to watch at the same time."""
        return await to_thread.run_sync(partial(self.apart, *words))

    def _checked(self, words: Sequence[str], ended: Ended, status: int | None) -> Ended:
        self.ended.append(ended)
        assert status in {None, ended.status}, ended
        shapes.check(words, ended.status, ended.out)
        verbose = {"-v", "--verbose"} & set(words)
        assert verbose or "Traceback" not in ended.err
        return ended

    def settings(self, text: str) -> None:
        """Write `config.toml`."""
        self.config.mkdir(mode=0o700, exist_ok=True)
        path = self.config / "config.toml"
        path.touch(mode=0o600)
        path.write_text(text)

    def records(self, event: str | None = None) -> list[dict[str, Any]]:
        """Return the audit record, or what it has of one event.

        Its chain must be whole, and each record as the schema says.
        """
        path = self.state / "audit.jsonl"
        audit.verify(path, audit.load_or_create_key(self.state / "audit.key"))
        lines = path.read_text().splitlines() if path.exists() else []
        records = [json.loads(line) for line in lines]
        validator = jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text()))
        for record in records:
            validator.validate(record)
        return [one for one in records if event in {None, one["event"]}]

    def happened(self) -> list[str]:
        """Return the events of the audit record, less what frames each command."""
        events = [record["event"] for record in self.records()]
        return [event for event in events if not event.startswith("command.")]

    def traces_of(self, *secrets: str) -> list[str]:
        """Name every file and output that holds one of `secrets`, as it is or encoded."""
        seen = [text for ended in self.ended for text in (ended.out, ended.err)]
        person = Traveller(self.root, FakeBrowser(self.root, self.root), seen=seen)
        return person.traces_of(secrets)

    def logged_secrets(self) -> list[str]:
        """Return which secrets stand in the log: the samples', and those signed in with."""
        log = b"".join(path.read_bytes() for path in self.state.glob("log/*.jsonl"))
        known = (*samples.SECRETS, samples.BITBUCKET, *self.signed_in_with)
        return [one for one in known if any(form in log for form in forms(one))]

    def sign_in(
        self, sandbox: SandboxHandle, profile: str = "default", *, age: float = 0, **changes: Any
    ) -> Credential:
        """Have Alice signed in at the sandbox, `age` seconds ago."""
        credential = replace(anyio.run(issued_by, sandbox, profile), **ALICE_THERE)
        for token in (credential.tokens.access, credential.tokens.refresh):
            if token is not None:
                self.signed_in_with.append(token.reveal("look for it in the log"))
        return anyio.run(self._save, credential, age, changes)

    def sign_in_at(
        self,
        url: str,
        profile: str = "default",
        *,
        age: float = 0,
        renewable: bool = True,
        **changes: Any,
    ) -> Credential:
        """Have somebody signed in at a server that a test scripts, with `samples.SECRETS`."""
        sample = samples.credential(profile)
        refresh = sample.tokens.refresh if renewable else None
        credential = credential_at(
            url,
            profile,
            tokens=replace(sample.tokens, refresh=refresh),
            account=sample.account,
            sites=SITES,
            site=HOST,
        )
        return anyio.run(self._save, credential, age, changes)

    def keep_bitbucket(self, url: str, profile: str = "default", **changes: Any) -> None:
        """Have `samples.BITBUCKET` kept for the Bitbucket at `url`, since now."""
        token = samples.bitbucket_token(profile, api_base=url, saved_at=time.time())
        anyio.run(samples.store_at(self.root).save_bitbucket, replace(token, **changes))

    async def _save(
        self, credential: Credential, age: float, changes: dict[str, Any]
    ) -> Credential:
        issued_at = time.time() - age
        dated = replace(
            credential,
            tokens=replace(credential.tokens, issued_at=issued_at),
            signed_in_at=issued_at,
            refreshed_at=issued_at,
        )
        return await samples.store_at(self.root).save(replace(dated, **changes), expected=None)


@contextlib.contextmanager
def standard_input(descriptor: int) -> Iterator[None]:
    """Have this process's standard input be `descriptor` for a while."""
    kept = os.dup(0)
    os.dup2(descriptor, 0)
    try:
        yield
    finally:
        os.dup2(kept, 0)
        os.close(kept)


@contextlib.contextmanager
def sandbox_at(folder: Path, **options: Any) -> Iterator[SandboxHandle]:
    """Run a sandbox that plays the person in `folder / "state"`, for tests that are not async."""
    state_dir = folder / "state"
    status = anyio.run(partial(sandboxes.start, state_dir, auto_approve=True, **options))
    try:
        yield SandboxHandle(status, state_dir)
    finally:
        anyio.run(sandboxes.stop, state_dir)


def request_count(sandbox: SandboxHandle) -> int:
    """Return how many requests the sandbox has seen so far, the test's own look not counted."""
    requests: Iterable[int] = anyio.run(sandbox.stats)["requests"].values()
    return sum(requests)
