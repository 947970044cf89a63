"""`Wiring`: everything a command depends on, made when it is first asked for and passed in."""

from __future__ import annotations

import os
import sys
import time
from functools import cached_property
from itertools import pairwise
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, TextIO

from guard import agents, intake, process
from guard.errors import GuardError, HumanRequired, SecretRefused, TerminalRequired
from twg.cli.output import Answer, Output
from twg.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from guard.agents import Agent
    from guard.audit import AuditLog
    from guard.custody import Custody
    from guard.events import Recorder
    from guard.history import Histories
    from guard.log_file import LogFile
    from guard.prompt import HiddenPrompt, VisiblePrompt
    from guard.refused import RefusedSecrets
    from guard.scrub import Scrubber
    from guard.secret import Secret
    from twg.auth.signin import Narrator, SignIn
    from twg.auth.tokens import TokenManager
    from twg.cli.output import Mode
    from twg.http import Http
    from twg.policy import Call, Denials, Limits, Moment, Policy
    from twg.settings import Settings
    from twg.vault import AdminStore, GrantStore, KeyKeeper, SealedStore


SECRET_FAMILIES: Final = ("twg", "atlassian", "jira", "confluence", "bitbucket", "acli", "bbc")
"""Words in a variable's name that make its secret one of ours."""

DECLARES_AGENT: Final = ("TWG_AGENT", "TWG_AGENT_DEFAULTS")
"""Variables by which an agent declares itself; nothing undeclares one."""

_MODES: Final[Mapping[str, Mode]] = MappingProxyType({"text": "text", "json": "json"})
_OUTPUT_OPTION: Final = r"-v*o(\w*)|--output(?:=(\w*))?"


class Options:
    """The global options, as the parser finds them."""

    __slots__ = ("output", "profile", "verbose")

    def __init__(self) -> None:
        self.output: Mode | None = None
        self.verbose = False
        self.profile: str | None = None


class Wiring:
    """What commands depend on.

    `machine_policy` and `administrator` say where the machine-wide limits are and whom they must
    belong to; nothing that a user sets changes either.

    Args:
        argv: The command line without the program's name.
        environ: The environment as it was at the start.
        stdout: Where results go.
        stderr: Where everything else goes.
        umask: The file mode creation mask of whoever started us, for what is written for them.
    """

    machine_policy: Path | None = None
    administrator: int = 0

    def __init__(
        self,
        argv: Sequence[str],
        environ: Mapping[str, str],
        *,
        stdout: TextIO | None = None,
        stderr: TextIO | None = None,
        umask: int = 0o077,
    ) -> None:
        self.argv = tuple(argv)
        self.umask = umask
        self.environ = environ
        self.options = Options()
        self.stdout = stdout or sys.stdout
        self.stderr = stderr or sys.stderr
        self.command_path = "twg"
        self._answer = Answer()
        self.has_refused = False
        self.used: set[Literal["read", "write", "delete"]] = {"read"}
        self._began = time.monotonic()
        self._managers: list[TokenManager] = []

    def begin(self, command_path: str, *, takes_secret: bool, human_only: bool) -> None:
        """Guard the command that is about to run.

        Raises:
            HumanRequired: An agent asked for what only a person may do.
            SecretRefused: A secret stands in the environment or may come through a pipe.
        """
        self.command_path = command_path
        if human_only:
            self.used.add("write")
        self._show_log()
        if human_only:
            self.refuse_agent(self.human_command)
        try:
            self._guard_ways_in(takes_secret=takes_secret)
        except SecretRefused as error:
            self.note_refusal(error)
            raise

    def serve_agent(self) -> None:
        """Count whoever this run is for as an agent, though nothing may mark it as one."""
        if self.agent is None:
            self.agent = agents.Agent(name=agents.UNKNOWN, sign="served")

    def _show_log(self) -> None:
        from guard import logs  # noqa: PLC0415 - not for `--version`

        stream, file = self.stderr if self.options.verbose else None, self._log_file()
        if stream is None and file is None:
            logs.silence()
        else:
            logs.show(self.scrubber, stream=stream, file=file, facts={"trace": self.trace})

    def _log_file(self) -> LogFile | None:
        try:
            settings = self.settings
        except ConfigError:
            return None  # who needs the settings tells of it
        if not settings.log_file:
            return None
        from guard.log_file import LogFile  # noqa: PLC0415 - only where it was asked for

        most = int(settings.log_file_megabytes * (1 << 20))
        return LogFile(settings.state_dir / "log" / "twg.jsonl", most)

    def refuse_agent(self, command: str) -> None:
        """Refuse an agent what only a person may do.

        Args:
            command: What the person is to run instead.

        Raises:
            HumanRequired: An agent runs this.
        """
        if self.agent is not None:
            raise HumanRequired(self.agent.name, command)

    async def permit(self, call: Call) -> None:
        """Let a call be sent, or refuse it: a person may do all, an agent may read.

        To be asked once for every request, right before it is sent.

        Args:
            call: The request, less its credential.

        Raises:
            PolicyDenied: An agent asked for what no person has granted.
            UsageError: The call asks for another method than its own.
            StoreUnwritable: A grant covers it, and cannot be counted.
            Busy: Another process has the grants for too long.
        """
        self.used.add(_as_http_has_it(call.method))
        if self.agent is not None:
            await self.policy.permit(call, await self.profile())

    def _guard_ways_in(self, *, takes_secret: bool) -> None:
        if takes_secret:
            intake.refuse_environment(self.environ, families=SECRET_FAMILIES)
            intake.refuse_stdin()
        elif found := intake.secrets_in_environment(self.environ, families=SECRET_FAMILIES):
            names = ", ".join(sorted(finding.name for finding in found))
            self.output.warn(f"{names} in the environment holds a secret; it was not read")
            from twg import events  # noqa: PLC0415 - rarely needed

            events.secret_ignored(self.audit, what=f"environment: {names}")

    def refuse_outgoing(self, parts: Iterable[tuple[str, str | bytes]]) -> None:
        """Refuse to send what holds a secret, and record that.

        Args:
            parts: Name and content of each part of a request, less the credential.

        Raises:
            SecretRefused: A part holds one that is known in this run, or by its looks.
        """
        from guard.outgoing import refuse_outgoing  # noqa: PLC0415 - only where something is sent

        try:
            refuse_outgoing(parts, scrubber=self.scrubber)
        except SecretRefused as error:
            process.hide_arguments(self.argv)
            self.note_refusal(error)
            raise

    def note_refusal(self, error: SecretRefused) -> None:
        """Record that a secret was turned away."""
        self.has_refused = True
        from twg import events  # noqa: PLC0415 - only where there was a secret

        events.secret_refused(self.audit, kind=error.looks_like, what=f"{error.way}: {error.name}")

    @property
    def human_command(self) -> str:
        """The command for a person to run: what was asked for, less what could be anything."""
        return self.command_path

    @cached_property
    def agent(self) -> Agent | None:
        """The AI agent that runs us, or None."""
        return agents.detect(self.environ, declared=DECLARES_AGENT)

    @cached_property
    def settings(self) -> Settings:
        """The settings of this run."""
        from twg import settings  # noqa: PLC0415 - not for `--version`

        return settings.load(self.environ)

    @property
    def output(self) -> Output:
        """The printer, in the mode asked for so far."""
        mode = self.options.output or self.environ.get("TWG_OUTPUT")
        if mode not in {"text", "json"}:
            mode = "text" if self.agent is None else "json"
        return Output(
            "json" if mode == "json" else "text",
            stdout=self.stdout,
            stderr=self.stderr,
            scrubber=self._active_scrubber(),
            colour=self._colour(),
            answer=self._answer,
        )

    def settle_output(self) -> None:
        """Look for ``--output`` where the parser ended before it came to it, or has not begun."""
        if self.options.output is None:
            import re  # noqa: PLC0415 - only for these

            for word, after in pairwise((*self.argv, "")):
                if option := re.fullmatch(_OUTPUT_OPTION, word):
                    asked = option[1] or option[2] or after
                    self.options.output = _MODES.get(asked, self.options.output)

    @cached_property
    def scrubber(self) -> Scrubber:
        """The scrubber that knows all secrets of this run; in a verbose one it tells them apart."""
        from guard.scrub import Scrubber  # noqa: PLC0415 - only where something is scrubbed

        return Scrubber(self._fingerprint if self.options.verbose else None)

    def _fingerprint(self, value: str) -> str:
        try:
            return self.audit.fingerprint(value)
        except (GuardError, OSError):
            return ""  # without the key there is none

    @cached_property
    def audit(self) -> AuditLog:
        """The audit record."""
        from guard import audit  # noqa: PLC0415 - only commands that handle secrets
        from guard.syslog import SystemLog  # noqa: PLC0415 - likewise

        settings = self.settings
        state = settings.state_dir
        return audit.AuditLog(
            state / "audit.jsonl",
            key=lambda: audit.load_or_create_key(state / "audit.key"),
            actor=audit.Actor.of_this_process(
                agent=self.agent.name if self.agent else None,
                command=self.command_path,
                environ=self.environ,
            ),
            trace=self.trace,
            scrubber=self.scrubber,
            warn=self.output.warn,
            on_failure=settings.audit_on_failure,
            keeping=audit.Keeping(
                bytes_a_file=int(settings.audit_file_megabytes * (1 << 20)),
                days_a_file=settings.audit_file_days,
                days=settings.audit_keep_days,
            ),
            preface=self._started,
            mirror=SystemLog("twg") if settings.audit_syslog else None,
        )

    def _started(self, log: Recorder) -> None:
        from twg.cli.command_record import started  # noqa: PLC0415 - only where it is recorded

        started(log, self)

    def finish(self, status: int) -> None:
        """Record how the command ended, if it recorded anything.

        Args:
            status: The exit status.
        """
        # What has removed the record is not to leave a new one.
        if "audit" not in self.__dict__ or not (self.audit.has_begun and self.audit.path.exists()):
            return
        from twg.cli.command_record import ended  # noqa: PLC0415 - only where it is recorded

        ended(self.audit, self, status=status, seconds=time.monotonic() - self._began)
        self.audit.finish()

    @cached_property
    def refused(self) -> RefusedSecrets:
        """The secrets that were refused here before."""
        from guard.refused import RefusedSecrets  # noqa: PLC0415 - only to look for them

        return RefusedSecrets(self.settings.state_dir / "refused.json")

    @cached_property
    def histories(self) -> Histories:
        """What shells and other programs remember of what was typed."""
        from guard.history import Histories  # noqa: PLC0415 - only to look into them

        return Histories(environ=self.environ, home=self.home)

    @cached_property
    def home(self) -> Path:
        """The person's home directory."""
        from pathlib import Path  # noqa: PLC0415 - its import is not free

        return Path(self.environ.get("HOME") or Path.home())

    @cached_property
    def trace(self) -> str:
        """What ties together all that is noted of this run: a trace id of W3C Trace Context."""
        # As `secrets` has it, which imports `random` and its arithmetic.
        return os.urandom(16).hex()

    @cached_property
    def custody(self) -> Custody:
        """Where secrets are entered."""
        from guard.custody import LateCustody  # noqa: PLC0415 - likewise

        # What only looks at a store comes to no secret.
        return LateCustody(lambda: (self.scrubber, self.audit))

    @cached_property
    def store(self) -> SealedStore:
        """The personal credentials."""
        from twg.vault import SealedStore  # noqa: PLC0415 - not for `--version`

        settings = self.settings
        return SealedStore(
            settings.auth_conf,
            state_dir=settings.state_dir,
            keys=self.key_keeper(),
            custody=self.custody,
        )

    @cached_property
    def admin_store(self) -> AdminStore:
        """The organizations' Admin API keys."""
        from twg.vault import AdminStore  # noqa: PLC0415 - not for `--version`

        settings = self.settings
        return AdminStore(
            settings.admin_conf,
            state_dir=settings.state_dir,
            keys=self.key_keeper(),
            custody=self.custody,
        )

    @cached_property
    def grants(self) -> GrantStore:
        """What agents are granted."""
        from twg.vault import GrantStore  # noqa: PLC0415 - not for `--version`

        settings = self.settings
        return GrantStore(
            settings.policy_json,
            state_dir=settings.state_dir,
            keys=self.key_keeper(),
            custody=self.custody,
        )

    @cached_property
    def denials(self) -> Denials:
        """What agents were denied."""
        from twg.policy import Denials  # noqa: PLC0415 - not for `--version`
        from twg.vault.locks import ProcessLock  # noqa: PLC0415 - likewise

        state = self.settings.state_dir
        lock = ProcessLock(
            state_dir=state, name="asked", what="the list of what agents asked for", seconds=5.0
        )
        return Denials(state / "asked.json", lock)

    @cached_property
    def limits(self) -> list[Limits]:
        """What agents may not do whatever is granted: by the machine's word, and the person's."""
        from twg.policy import (  # noqa: PLC0415 - not for `--version`
            MACHINE_WIDE,
            all_limits,
            machine_wide,
        )

        path = self.machine_policy or MACHINE_WIDE
        machines = machine_wide(path, owner=self.administrator)
        where = f"[policy] in {self.shown(self.settings.config_toml)}"
        return all_limits(self.settings.policy, where, machines)

    @cached_property
    def policy(self) -> Policy:
        """What the agent that runs us may do."""
        from twg.policy import Policy  # noqa: PLC0415 - for agents only

        return Policy(
            agent=self.agent.name if self.agent else "",
            limits=self.limits,
            grants=self.grants,
            denials=self.denials,
            audit=self.audit,
            now=moment,
            scrub=self.scrubber.text,
        )

    def key_keeper(self) -> KeyKeeper:
        """Return what makes, keeps and destroys sealing keys."""
        from twg.vault import KeyKeeper  # noqa: PLC0415 - not for `--version`

        settings = self.settings
        return KeyKeeper(
            settings.state_dir,
            custody=self.custody,
            preferred=settings.key_place,
            keyring_seconds=settings.keyring_seconds,
        )

    def http(self, **waits: float) -> Http:
        """Return a new HTTP client, to be used as an async context manager.

        Args:
            waits: Other time limits than the usual ones; see `Http`.
        """
        from twg import __version__  # noqa: PLC0415 - httpx only for commands that call out
        from twg.http import Http  # noqa: PLC0415 - likewise

        settings = self.settings
        return Http(
            ca_bundle=settings.ca_bundle,
            proxy=settings.proxy,
            no_proxy=settings.no_proxy,
            user_agent=f"twg/{__version__}",
            settle=self._settle,
            **waits,
        )

    async def _settle(self) -> None:
        # Who never took a secret revealed none.
        if "custody" in self.__dict__:
            await self.custody.settle()

    @cached_property
    def prompt(self) -> HiddenPrompt:
        """The hidden prompt."""
        from guard.prompt import HiddenPrompt  # noqa: PLC0415 - only where something is asked

        return HiddenPrompt(custody=self.custody, agent=self.agent, command=self.human_command)

    @cached_property
    def questions(self) -> VisiblePrompt:
        """Questions whose answers may be seen."""
        from guard.prompt import VisiblePrompt  # noqa: PLC0415 - only where something is asked

        return VisiblePrompt(agent=self.agent, command=self.human_command)

    def token_manager(
        self, http: Http, *, warn: Callable[[str], None] | None = None
    ) -> TokenManager:
        """Return what hands out usable access tokens, to be used as an async context manager.

        Args:
            http: What requests go through.
            warn: Tells the person one line; None for a warning at once.
        """
        from twg.auth.tokens import TokenManager  # noqa: PLC0415 - not for what stays local

        manager = TokenManager(
            store=self.store, http=http, custody=self.custody, warn=warn or self.output.warn
        )
        self._managers.append(manager)
        return manager

    @property
    def awaited(self) -> tuple[str, ...]:
        """What cannot be cut short now, in words."""
        return tuple(words for manager in self._managers for words in manager.awaited)

    def sign_in(self, http: Http, narrator: Narrator | None = None) -> SignIn:
        """Return what signs a person in.

        Args:
            http: What requests go through.
            narrator: Tells the person what happens; None for one on this terminal.
        """
        from twg.auth.signin import People, SignIn  # noqa: PLC0415 - only to sign in
        from twg.cli.identity import identify  # noqa: PLC0415 - likewise
        from twg.cli.narrator import TerminalNarrator  # noqa: PLC0415 - likewise

        people = People(
            narrator=narrator or TerminalNarrator(self.output, self.stderr, self.environ),
            paste=self._paste_redirect if self.may_ask else None,
            environ=self.environ,
        )
        return SignIn(
            store=self.store,
            http=http,
            custody=self.custody,
            people=people,
            identify=identify,
            wait_seconds=self.settings.wait_seconds,
        )

    async def _paste_redirect(self) -> Secret:
        return await self.prompt.ask(
            "redirect-url",
            what="address that your browser was sent to",
            notes=[
                "Signed in, but the browser shows an error? It is on another machine, then.",
                "Copy the address it shows and paste it here; it is hidden, for it holds a code.",
                "The code goes to the server that sent you there, once, and is not kept.",
            ],
            seconds=self.settings.wait_seconds,
        )

    @cached_property
    def may_ask(self) -> bool:
        """Whether there is a person at a terminal of their own to ask."""
        from guard.terminal import controlling_terminal  # noqa: PLC0415 - only for who asks

        if self.agent is not None:
            return False
        try:
            with controlling_terminal():
                return True
        except TerminalRequired:
            return False

    def shown(self, path: Path) -> str:
        """Return a path as people write it, with ``~`` for their home."""
        home = self.environ.get("HOME", "")
        text = str(path)
        inside = len(home) > 1 and text.startswith(f"{home.rstrip('/')}/")
        return f"~{text[len(home.rstrip('/')) :]}" if inside else text

    async def profile(self) -> str:
        """Return the profile to use: 1. ``--profile``, 2. ``TWG_PROFILE``, 3. the active one."""
        if self.options.profile:
            from twg.settings import check_profile_name  # noqa: PLC0415 - read already

            return check_profile_name(self.options.profile)
        if self.settings.profile:
            return self.settings.profile
        return (await self.store.summaries()).active or "default"

    def _active_scrubber(self) -> Scrubber | None:
        # Made where there is something to scrub: an agent that reads, or a secret that was opened.
        if self.agent is not None or "scrubber" in self.__dict__:
            return self.scrubber
        return None

    def _colour(self) -> bool:
        if self.environ.get("NO_COLOR") or self.agent is not None:
            return False
        return bool(self.environ.get("FORCE_COLOR")) or (
            self.stdout.isatty() and self.environ.get("TERM") != "dumb"
        )


def moment() -> Moment:
    """Return this moment, on the clock that nobody sets too, if this machine has one."""
    import time  # noqa: PLC0415 - not for `--version`

    from twg.auth.ages import this_uptime  # noqa: PLC0415 - likewise
    from twg.policy import Moment  # noqa: PLC0415 - likewise

    uptime = this_uptime()
    boottime = None if uptime.boot_id is None else uptime.now()
    return Moment(time.time(), boottime, uptime.boot_id)


def _as_http_has_it(method: str) -> Literal["read", "write", "delete"]:
    if method in {"GET", "HEAD", "OPTIONS"}:
        return "read"
    return "delete" if method == "DELETE" else "write"
