"""The steps of `twg setup`: each looks whether it is done, tells what it will do, and asks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from anyio import to_thread

from guard.errors import GuardError, PromptInterrupted, PromptTimedOut, TerminalRequired
from twg.cli import login, sandbox_provider, setup_git
from twg.errors import TwgError, UsageError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from twg.cli.check import Check
    from twg.cli.wiring import Wiring
    from twg.http import Http
    from twg.vault import BitbucketSummary, Credential, Provider

Outcome = Literal["done", "kept", "skipped", "left out", "failed"]

_LEAVES: Final = (PromptInterrupted, PromptTimedOut, TerminalRequired)
"""What ends all of it: there is nobody to ask any more."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A step that was taken, or was not.

    Attributes:
        outcome: ``done`` now; ``kept``, for it was done before; ``skipped`` by the person;
            ``left out``, for there is nothing to do; or ``failed``.
        detail: What there is to say, in a line without a full stop.
        later: The command that does it another time.
        told: Whether the person knows already, for the step itself has said so.
    """

    outcome: Outcome
    detail: str
    later: str | None = None
    told: bool = False

    def as_dict(self, name: str) -> dict[str, str | None]:
        """Return it as JSON values."""
        return {
            "step": name,
            "outcome": self.outcome.replace(" ", "_"),
            "detail": self.detail,
            "later": self.later,
        }


@dataclass(slots=True, kw_only=True)
class Walk:
    """One way through all steps, and how far it has come.

    Attributes:
        wiring: What commands depend on.
        http: What requests go through.
        profile: Which profile is set up.
        sandbox: Whether the local sandbox is wanted.
        yes: Whether what needs no answer of the person's own is not asked.
        taken: The steps so far, by name.
        checks: What the doctor found, once it was there.
    """

    wiring: Wiring
    http: Http
    profile: str
    sandbox: bool
    yes: bool
    taken: dict[str, Taken] = field(default_factory=dict)
    checks: list[Check] = field(default_factory=list)
    _provider: Provider | None = None
    _credential: Credential | None = None

    async def go(self) -> None:
        """Take all steps, one after the other; one that fails keeps none of the others.

        Raises:
            GuardError: There is nobody to ask any more.
            UsageError: The profile is signed in elsewhere than at the sandbox.
        """
        before = (await self.wiring.store.summaries()).profiles.get(self.profile)
        if self.sandbox and before is not None and before.provider != sandbox_provider.NAME:
            raise UsageError(
                f"the profile {self.profile!r} is signed in at {before.provider!r}, "
                "not at the sandbox",
                "Use another profile: `twg setup --sandbox --profile NAME`.",
            )
        steps: dict[str, tuple[str, Callable[[], Awaitable[Taken]]]] = {
            "provider": ("where to sign in", self._choose_provider),
            "sign-in": ("sign in", self._sign_in),
            "bitbucket": ("Bitbucket", self._set_up_bitbucket),
            "git": ("plain Bitbucket addresses in git", self._rewrite),
            "upkeep": ("renewals by a schedule", self._switch_on_upkeep),
            "skills": ("what coding agents are told", self._teach),
            "checks": ("the doctor's checks", self._check),
        }
        for number, (name, (title, step)) in enumerate(steps.items(), 1):
            self._say("", f"{number}/{len(steps)} {title[:1].upper()}{title[1:]}")
            self.taken[name] = await _taken(step)
            if not self.taken[name].told:
                self._tell(self.taken[name])

    async def _choose_provider(self) -> Taken:
        header = await self.wiring.store.summaries()
        before = header.profiles.get(self.profile)
        if self.sandbox or (before is not None and before.provider == sandbox_provider.NAME):
            return await self._start_sandbox()
        if before is not None:
            self._provider = await self._as_before(before.provider)
            return Taken("kept", f"Sign-ins go to {before.provider} ({before.issuer})")
        names = sorted(header.providers)
        if len(names) > 1:
            chosen = await self.wiring.questions.choose("Sign in at", names)
            names = [names[chosen]]
        if names:
            self._provider = await self.wiring.store.provider(names[0])
            return Taken("kept", f"Sign-ins go to {names[0]} ({header.providers[names[0]].issuer})")
        return await self._first_provider()

    async def _as_before(self, name: str) -> Provider | None:
        provider = await self.wiring.store.provider(name)
        if provider is not None:
            return provider
        credential = await self.wiring.store.read(self.profile)
        return credential.provider if credential is not None else None

    async def _start_sandbox(self) -> Taken:
        from twg import sandbox  # noqa: PLC0415 - only where it is used

        running = await sandbox.status(self.wiring.settings.state_dir)
        outcome: Outcome = "kept"
        if running is None:
            self._say("The local sandbox would be started: a process of yours, on this machine.")
            if not await self._agrees("start it"):
                return Taken("skipped", "The sandbox was not started", "twg sandbox start")
            running, _ = await sandbox_provider.started(self.wiring.settings.state_dir)
            outcome = "done"
        self._provider = await sandbox_provider.provider_of(running, self.http, self.wiring.custody)
        return Taken(outcome, f"Sign-ins go to the sandbox, which runs at {running.url}")

    async def _first_provider(self) -> Taken:
        from twg.cli import first_run  # noqa: PLC0415 - once in an installation's life

        self._say(
            "You choose a server to sign in at. What is to be known of it is kept in "
            f"{self._auth_conf}, and the secret of an app of yours sealed."
        )
        if not await self._agrees("choose it now"):
            return Taken("skipped", "No server was chosen", "twg provider add")
        self._provider = await first_run.guide(self.wiring, self.http)
        return Taken("done", f"Sign-ins go to {self._provider.name} ({self._provider.issuer})")

    async def _sign_in(self) -> Taken:
        command = self._on_profile("twg login")
        credential = await login.kept(self.wiring, self.http, self.profile)
        if credential is not None:
            self._credential = credential
            return Taken("kept", f"Already signed in{_as(credential)}")
        if self._provider is None:
            return Taken("left out", "There is no server to sign in at yet", command)
        self._say(
            f"You sign in at {self._provider.issuer}, in your browser if there is one here. "
            f"The tokens that come of it are kept sealed in {self._auth_conf}."
        )
        if not await self._agrees("sign in now"):
            return Taken("skipped", "Nobody was signed in", command)
        self._credential = await login.sign_in_at(
            self.wiring, self.http, self._provider, self.profile
        )
        return Taken("done", f"Signed in{_as(self._credential)}", told=True)

    async def _set_up_bitbucket(self) -> Taken:
        from twg.cli import bitbucket  # noqa: PLC0415 - httpx only where it is used
        from twg.products.bitbucket import has_bitbucket  # noqa: PLC0415 - likewise

        command = bitbucket.command_for(self.profile)
        stored = await self._bitbucket_token()
        if stored is not None:
            return Taken("kept", f"The Bitbucket token of {stored.email} is there already")
        credential = self._credential
        if credential is None:
            return Taken("left out", "That comes after a sign-in", command)
        place = bitbucket.place_for(credential.provider.name, credential.provider.issuer)
        if place is None or await has_bitbucket(self.http, credential) is False:
            return Taken("left out", "There is no Bitbucket with this sign-in")
        self._say(
            "A Bitbucket API token, which you make, is kept sealed beside the sign-in. How to "
            "make it is shown next."
        )
        if not await self._agrees("set Bitbucket up now"):
            return Taken("skipped", "There is no Bitbucket token", command)
        email = credential.account.email if credential.account else None
        wish = bitbucket.Wish(profile=self.profile, place=place, email=email, skippable=True)
        token = await bitbucket.ask_and_keep(self.wiring, self.http, wish)
        if token is None:
            return Taken("skipped", "There is no Bitbucket token", command)
        told = bitbucket.kept_in_words(token)
        self._say(*told)
        return Taken("done", told[0].removeprefix("✔ ").rstrip("."), told=True)

    async def _rewrite(self) -> Taken:
        from twg.git.rewriting import Rewriting  # noqa: PLC0415 - only where it is used
        from twg.products import bitbucket  # noqa: PLC0415 - httpx only where it is used

        config = setup_git.config_of(self.wiring)
        stored = await self._bitbucket_token()
        if not config.finds("git"):
            return Taken("left out", "There is no git on the PATH")
        if stored is None:
            return Taken("left out", "That comes after Bitbucket", "twg setup git")
        rewriting = Rewriting(bitbucket.place_of(stored.api_base).git_base)
        if rewriting in await config.rewritings():
            return Taken("kept", f"Git takes {rewriting.value} addresses to twg already")
        self._say(
            f"Git can take {rewriting.value} addresses to twg, which adds the token.",
        )
        if not (self.yes or await setup_git.agreed(self.wiring, rewriting)):
            return Taken("skipped", "Git's configuration stays as it is", "twg setup git")
        await config.add(rewriting)
        return Taken("done", f"Git takes {rewriting.value} addresses to twg from now on")

    async def _switch_on_upkeep(self) -> Taken:
        from twg.cli import upkeep  # noqa: PLC0415 - only where it is used

        command = "twg upkeep enable"
        found = await upkeep.switched_on_before(self.wiring)
        if found is not None:
            return Taken("kept", upkeep.in_words(self.wiring, found))
        if self._credential is None:
            return Taken("left out", "That comes after a sign-in", command)
        self._say(
            "A schedule of your own would run `twg upkeep run`: a timer of systemd's, a "
            "LaunchAgent, or a line in your crontab. It renews sign-ins before they are due, so "
            "that no agent has to."
        )
        if not await self._agrees("make it"):
            return Taken("skipped", "No schedule renews sign-ins; calls do", command)
        enabled = await upkeep.switched_on(self.wiring)
        self._say(*(f"  {hint}" for hint in enabled.found.hints))
        return Taken("done", upkeep.in_words(self.wiring, enabled.found))

    async def _teach(self) -> Taken:
        from twg.cli import skills  # noqa: PLC0415 - only where it is used
        from twg.skills import placing  # noqa: PLC0415 - likewise

        command = "twg skills install"
        found = await to_thread.run_sync(placing.found, self.wiring.home)
        if not found:
            return Taken("left out", "No coding agent was found", command)
        there = await to_thread.run_sync(placing.installed, self.wiring.home)
        old = await to_thread.run_sync(placing.outdated, there)
        told = {path.resolve() for path in there} - {path.resolve() for path in old}
        places = {each: placing.place_of(each, self.wiring.home) for each in found}
        wanted = [each for each in found if places[each].resolve() not in told]
        if not wanted:
            names = ", ".join(each.title for each in found)
            return Taken("kept", f"{names}: told already")
        self._say("Instructions for a safe use of twg would be written for:")
        self._say(*(f"  {each.title}: {self.wiring.shown(places[each])}" for each in wanted))
        if not await self._agrees("write them"):
            return Taken("skipped", "Coding agents were not told of twg", command)
        done, failed = await skills.teach(self.wiring, wanted)
        if failed:
            why = "; ".join(f"{name}: {error}" for name, error in failed.items())
            return Taken("failed", why, command)
        names = ", ".join(one.agent.title for one in done)
        return Taken("done", f"{names}: told. `{command}` shows what their sandboxes need")

    async def _check(self) -> Taken:
        from twg.cli import doctor  # noqa: PLC0415 - only where it is used

        self.checks = await doctor.examined(self.wiring, offline=False)
        if self.wiring.output.mode == "text":
            for line in (line for check in self.checks for line in check.lines()):
                self.wiring.output.line(line)
        wrong = len(doctor.failures_of(self.checks))
        if wrong:
            return Taken("failed", f"{wrong} of {len(self.checks)} checks failed", "twg doctor")
        return Taken("done", f"{len(self.checks)} checks, and none failed")

    async def _bitbucket_token(self) -> BitbucketSummary | None:
        return (await self.wiring.store.summaries()).bitbucket.get(self.profile)

    async def _agrees(self, question: str) -> bool:
        return self.yes or await self.wiring.questions.agrees(f"{question}, y or n", usually=True)

    def _on_profile(self, command: str) -> str:
        return command if self.profile == "default" else f"{command} --profile {self.profile}"

    @property
    def _auth_conf(self) -> str:
        return self.wiring.shown(self.wiring.settings.auth_conf)

    def _say(self, *lines: str) -> None:
        for line in lines:
            self.wiring.output.say(line)

    def _tell(self, taken: Taken) -> None:
        mark = {"done": "✔", "kept": "✔", "failed": "✘"}.get(taken.outcome, "·")
        later = f": `{taken.later}`" if taken.later and mark != "✔" else ""
        self._say(f"{mark} {taken.detail}{later}.")


async def _taken(step: Callable[[], Awaitable[Taken]]) -> Taken:
    try:
        return await step()
    except _LEAVES:
        raise
    except (TwgError, GuardError) as error:
        from twg.cli.failure import failure_of  # noqa: PLC0415 - only where something failed

        failure = failure_of(error)
        return Taken("failed", f"{failure.message}. {failure.remediation}".rstrip("."))


def _as(credential: Credential) -> str:
    account = credential.account
    name = (account.name or account.email or account.id) if account else None
    site = f" on {credential.site}" if credential.site else ""
    return f"{f' as {name}' if name else ''}{site}"
