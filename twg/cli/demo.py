"""`twg demo`: the whole story on the sandbox; each step says what was done and what was seen."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import tempfile
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import anyio
from anyio import to_thread

from twg.auth.tasks import unbroken
from twg.cli.command import command
from twg.cli.wiring import Wiring
from twg.errors import PartialFailure

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from twg.http import Http
    from twg.sandbox import SandboxStatus
    from twg.sandbox.observer import Observer

_CALLERS: Final = 10
_PROFILE: Final = "default"
_ISSUES: Final = "/rest/api/3/search/jql?jql=project%20%3D%20HAR&maxResults=3&fields=summary"


@command("demo")
async def demo(wiring: Wiring) -> None:
    """Show the whole story on the sandbox, in half a minute: no browser, no terminal needed.

    Signs in, calls, lets the token expire, renews, refuses a secret, signs out; and asks the
    server each time whether it is true. Nothing of it stays.
    """
    # Its own folder, key file included: a person's own sign-ins and key ring are not touched.
    with tempfile.TemporaryDirectory(prefix="twg-demo-") as folder:
        async with AsyncExitStack() as stack:
            story = await _opened(wiring, Path(folder), stack)
            steps = [step async for step in story.steps()]
    wiring.output.result(
        {"steps": steps},
        ["", f"✔ All {len(steps)} steps went as they should. `twg login --sandbox` is yours now."],
    )


@dataclass(frozen=True, slots=True)
class Run:
    """A `twg` command that was run.

    Attributes:
        status: Its exit status.
        out: Its standard output.
        err: Its standard error.
    """

    status: int
    out: str
    err: str

    @property
    def failure(self) -> str:
        """What there is to say where it failed."""
        return f"exit status {self.status}: {self.err}{self.out}"

    @property
    def data(self) -> Any:
        """What its JSON document holds."""
        return json.loads(self.out)["data"]


async def _opened(wiring: Wiring, folder: Path, stack: AsyncExitStack) -> _Story:
    from twg import sandbox  # noqa: PLC0415 - only here is it needed
    from twg.sandbox.observer import Observer  # noqa: PLC0415 - likewise

    inner = await to_thread.run_sync(_inner, wiring, folder)
    # Before it is started, for a Ctrl-C may come while it starts.
    stack.push_async_callback(unbroken, partial(sandbox.stop, inner.settings.state_dir))
    running = await sandbox.start(inner.settings.state_dir, auto_approve=True)
    http = await stack.enter_async_context(inner.http())
    return _Story(wiring, inner, running, http, Observer(running, http))


def _inner(wiring: Wiring, folder: Path) -> Wiring:
    """Return a wiring whose files are all in `folder`."""
    config, state = folder / "config", folder / "state"
    config.mkdir(mode=0o700)
    settings = config / "config.toml"
    settings.touch(mode=0o600)
    settings.write_text('[storage]\nkey = "file"\n')
    kept = {name: text for name, text in wiring.environ.items() if name != "TWG_PROFILE"}
    environ = kept | {"TWG_CONFIG_DIR": str(config), "TWG_STATE_DIR": str(state)}
    return Wiring(("demo",), environ, stdout=wiring.stdout, stderr=wiring.stderr)


class _Story:
    def __init__(
        self,
        outer: Wiring,
        inner: Wiring,
        running: SandboxStatus,
        http: Http,
        server: Observer,
    ) -> None:
        self._outer = outer
        self._inner = inner
        self._running = running
        self._http = http
        self._server = server
        self._said: list[str] = []

    async def steps(self) -> AsyncIterator[dict[str, str]]:
        """Take the steps in turn; the first that goes wrong ends it."""
        steps: list[tuple[str, Callable[[], Awaitable[str]]]] = [
            ("A local Atlassian", self._sandbox),
            ("Sign in: authorization code with PKCE", self._sign_in),
            ("Who am I?", self._who),
            ("List issues", self._issues),
            ("The token expires and is renewed silently", self._expiry),
            (f"{_CALLERS} commands at once need one renewal", self._crowd),
            ("A token as an argument is refused", self._refusal),
            ("What was kept, and what leaked", self._search),
            ("Sign out", self._sign_out),
            ("Is the token dead?", self._dead),
        ]
        for number, (title, take) in enumerate(steps, 1):
            self._tell("")
            self._tell(f"{number:2}. {title}")
            try:
                seen = await take()
            except _Unexpected as wrong:
                raise PartialFailure(
                    f"step {number} ({title}) did not go as it should",
                    {f"step {number}": str(wrong)},
                    "Run `twg demo --verbose` and report what it shows.",
                ) from wrong
            self._tell(f"    ✔ {seen}")
            yield {"title": title, "seen": seen}

    async def _sandbox(self) -> str:
        self._did("twg sandbox start --auto-approve")
        return f"it answers at {self._running.url}; its persons and data are made up"

    async def _sign_in(self) -> str:
        from twg.auth.browser import Browser  # noqa: PLC0415 - only here is it needed
        from twg.auth.method import Choice, Method  # noqa: PLC0415 - likewise
        from twg.cli import sandbox_provider  # noqa: PLC0415 - likewise
        from twg.cli.narrator import SilentNarrator  # noqa: PLC0415 - likewise

        self._did("twg login --sandbox   (the sandbox plays the person and the browser)")
        provider = await sandbox_provider.provider_of(
            self._running, self._http, self._inner.custody
        )
        visitor = Browser((sys.executable, "-m", "twg.sandbox.visitor"))
        outcome = await self._inner.sign_in(self._http, SilentNarrator()).run(
            provider,
            Choice(Method.BROWSER, "", visitor),
            profile=_PROFILE,
            without_device=lambda choice: choice,
        )
        granted = await self._server.granted("authorization_code")
        _expect(granted == 1, f"the server granted {granted} codes, not one")
        account = outcome.credential.account
        who = account.name if account else "nobody"
        return f"the server exchanged 1 code; {who} on {outcome.credential.site}"

    async def _who(self) -> str:
        run = await self._twg("api", "atlassian", "/me", "-o", "json")
        _expect(run.status == 0, run.failure)
        return f"{run.data['name']} <{run.data['email']}>"

    async def _issues(self) -> str:
        shown = f"twg api jira {_ISSUES.partition('?')[0]}?jql=…"
        run = await self._twg("api", "jira", _ISSUES, "-o", "json", shown=shown)
        _expect(run.status == 0, run.failure)
        issues = run.data["issues"]
        _expect(bool(issues), "there were none")
        return "; ".join(f"{one['key']} {one['fields']['summary']}" for one in issues)

    async def _expiry(self) -> str:
        before = await self._server.granted("refresh_token")
        expired = await self._server.expire()
        run = await self._twg("api", "jira", "/rest/api/3/myself", "-o", "json")
        _expect(run.status == 0, run.failure)
        renewals = await self._server.granted("refresh_token") - before
        _expect(renewals == 1, f"the server saw {renewals} renewals, not one")
        return f"the server let {expired} token expire, saw 1 renewal, and answered the call"

    async def _crowd(self) -> str:
        before = await self._server.granted("refresh_token")
        await self._server.expire()
        runs: list[Run] = []

        async def one() -> None:
            runs.append(await self._quietly("api", "jira", "/rest/api/3/myself", "-o", "json"))

        self._did(f"twg api jira /rest/api/3/myself   ({_CALLERS} processes, token expired)")
        async with anyio.create_task_group() as tasks:
            for _ in range(_CALLERS):
                tasks.start_soon(one)
        served = sum(run.status == 0 for run in runs)
        renewals = await self._server.granted("refresh_token") - before
        _expect(served == _CALLERS, f"only {served} of {_CALLERS} were served")
        _expect(renewals == 1, f"the server saw {renewals} renewals, not one")
        return f"all {served} were served; the server saw 1 renewal"

    async def _refusal(self) -> str:
        # Made up here and of no use anywhere; it only looks like one of Atlassian's.
        token = f"ATATT3xFfGF0{secrets.token_urlsafe(48)}=0A1B2C3D"
        run = await self._twg("login", "--token", token, shown="twg login --token ATATT3x…")
        _expect(run.status == 64, f"exit status {run.status}, not 64")  # noqa: PLR2004 - the contract's
        _expect(token not in run.out + run.err, "the token was repeated")
        return "exit status 64, and nothing of it was repeated"

    async def _search(self) -> str:
        from guard import audit  # noqa: PLC0415 - only here is it needed

        issued = await self._server.issued()
        _expect(len(issued) > 1, "the server says it issued nothing")
        files = await to_thread.run_sync(self._files)
        leaks = await to_thread.run_sync(_leaks, issued, [*files.values(), *self._said])
        _expect(not leaks, f"{leaks} places hold a token")
        state = self._inner.settings.state_dir
        record = state / "audit.jsonl"
        key = await to_thread.run_sync(audit.load_or_create_key, state / "audit.key")
        count = await to_thread.run_sync(audit.verify, record, key)
        events = Counter(
            json.loads(line)["event"] for line in files[record].splitlines() if line.strip()
        )
        _expect(events["token.refreshed"] == 2, f"{events['token.refreshed']} renewals recorded")  # noqa: PLR2004 - steps 5 and 6
        return (
            f"the server issued {len(issued)} secrets; none stands in {len(files)} files or in "
            f"any output. The record has {count} entries in an unbroken chain: "
            f"{events['secret.revealed']} uses of a secret, {events['token.refreshed']} renewals, "
            f"{events['secret.refused']} refusal"
        )

    async def _sign_out(self) -> str:
        from twg.auth.signout import SignOut  # noqa: PLC0415 - only here is it needed

        self._did("twg logout")
        sign_out = SignOut(store=self._inner.store, http=self._http, custody=self._inner.custody)
        outcome = await sign_out.run(_PROFILE)
        _expect(outcome is not None and outcome.revoked, "the server did not revoke the tokens")
        return "revoked at the server, then removed here"

    async def _dead(self) -> str:
        for kind in ("access", "refresh"):
            newest = (await self._server.issued(kind))[-1]
            _expect(not await self._server.is_active(newest), f"the {kind} token still lives")
        run = await self._twg("api", "jira", "/rest/api/3/myself")
        _expect(run.status == 77, f"exit status {run.status}, not 77")  # noqa: PLR2004 - the contract's
        return "the server takes neither token any more, and twg asks for a sign-in (77)"

    async def _twg(self, *words: str, shown: str | None = None) -> Run:
        plain = " ".join(word for word in words if word not in {"-o", "json"})
        self._did(shown or f"twg {plain}")
        return await self._quietly(*words)

    async def _quietly(self, *words: str) -> Run:
        """Run `twg` as a process of its own, with the demo's folder."""
        done = await anyio.run_process(
            [sys.executable, "-m", "twg", *words],
            check=False,
            stdin=subprocess.DEVNULL,
            env=dict(self._inner.environ),
        )
        run = Run(done.returncode, done.stdout.decode(), done.stderr.decode())
        self._said += [run.out, run.err]
        return run

    def _files(self) -> dict[Path, str]:
        """Return every file below the demo's folders, but the sandbox's own database."""
        settings = self._inner.settings
        return {
            path: path.read_bytes().decode("latin-1")
            for folder in (settings.config_dir, settings.state_dir)
            for path in folder.rglob("*")
            if path.is_file()
        }

    def _did(self, what: str) -> None:
        self._tell(f"    $ {what}")

    def _tell(self, line: str) -> None:
        if self._outer.output.mode == "json":
            self._outer.output.say(line)
        else:
            self._outer.output.line(line)


class _Unexpected(Exception):
    """What was seen is not what should be; never leaves this module."""


def _expect(seen: bool, otherwise: str) -> None:  # noqa: FBT001 - an assertion
    if not seen:
        raise _Unexpected(otherwise)


def _leaks(secrets_: list[str], places: list[str]) -> int:
    """Count the places that hold a secret, plain or in any form that the scrubber knows."""
    from guard.forms import forms  # noqa: PLC0415 - only here is it needed

    wanted = {form for value in secrets_ for form in forms(value)}
    return sum(any(text in place for text in wanted) for place in places)
