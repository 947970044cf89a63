"""`Policy`: lets an agent's call through, or refuses it and says what its person is to run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from anyio import to_thread

from twg import events
from twg.errors import ConfigError, KeyUnavailable, PolicyDenied, StoreCorrupt
from twg.policy.access import Access
from twg.policy.call import refuse_override
from twg.policy.classification import classify, target_of
from twg.policy.denials import Denial, forgiving
from twg.policy.grants import covering, project_of, used
from twg.policy.spelling import is_plain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from guard.audit import AuditLog
    from twg.policy.call import Call
    from twg.policy.denials import Denials
    from twg.policy.grants import Moment
    from twg.policy.limits import Limits
    from twg.vault import Grant, GrantStore

_LONGEST_SHOWN: Final = 160
_USUAL_SECONDS: Final = 3600.0
_REPOSITORY_PARTS: Final = 5  # "", "2.0", "repositories", workspace, repository


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What one agent may do.

    Attributes:
        agent: Its name.
        limits: What it may not do, whatever is granted.
        grants: What was granted.
        denials: What was denied.
        audit: Where both are recorded.
        now: Tells the time.
        scrub: Cleans what is kept of a request that was denied.
    """

    agent: str
    limits: Sequence[Limits]
    grants: GrantStore
    denials: Denials
    audit: AuditLog
    now: Callable[[], Moment]
    scrub: Callable[[str], str]

    async def permit(self, call: Call, profile: str) -> None:
        """Let a call be sent, which uses a grant up unless it reads, or refuse it.

        A call of a grant is counted durably before this returns, whatever comes of the call.

        Args:
            call: The request.
            profile: The profile whose credential it takes.

        Raises:
            PolicyDenied: It may not be sent.
            UsageError: It asks for another method than its own.
            StoreUnwritable: A grant covers it, and cannot be counted.
            KeyUnavailable: What is granted cannot be seen for now.
            Busy: Another process has the grants for too long.
        """
        refuse_override(call)
        access, service = classify(call), target_of(call).service
        await self._refuse_by_limits(service, access, profile, _words(call))
        if access is Access.READ:
            self._note_call(call, access, service, profile, None)
            return
        grant, trouble = await self._use(call, access, profile)
        if grant is None:
            raise await self._denied(call, access, profile, trouble)
        of = "" if grant.calls is None else f" of {grant.calls}"
        under = f"{access} {service} {_words(call)}: call {grant.used}{of} of grant {grant.id}"
        self._note_call(call, access, service, profile, under)

    def _note_call(
        self, call: Call, access: Access, service: str, profile: str, under: str | None
    ) -> None:
        events.agent_call(
            self.audit,
            access=access,
            service=service,
            method=call.method,
            path=call.path,
            under=under,
            host=call.site,
            profile=profile,
        )

    async def permit_service(self, service: str, profile: str) -> None:
        """Refuse a service that agents may not use at all, before its credential is opened.

        Raises:
            PolicyDenied: It is one.
        """
        await self._refuse_by_limits(service, Access.READ, profile, "")

    async def _refuse_by_limits(
        self, service: str, access: Access, profile: str, what: str
    ) -> None:
        whys = (limits.refusal(service, access, profile) for limits in self.limits)
        why = next(filter(None, whys), None)
        if why is not None:
            await self._note(service, access, what, None)
            raise PolicyDenied(why)

    async def _use(
        self, call: Call, access: Access, profile: str
    ) -> tuple[Grant | None, Exception | None]:
        """Use a grant up; return it, or what keeps the grants from counting."""
        found: list[Grant] = []

        def count(grants: Sequence[Grant]) -> Sequence[Grant]:
            grant = covering(grants, call, access, profile, self.now())
            if grant is None:
                return grants
            found[:] = [used(grant)]
            return [used(one) if one is grant else one for one in grants]

        try:
            await self.grants.change(count)
        except KeyUnavailable as error:
            if error.why != "lost":
                raise  # to grant anew would not help
            return None, error
        except (StoreCorrupt, ConfigError) as error:
            return None, error
        return (found[0] if found else None), None

    async def _denied(
        self, call: Call, access: Access, profile: str, trouble: Exception | None
    ) -> PolicyDenied:
        service = target_of(call).service
        command = command_for(call, access, profile, self._longest)
        await self._note(service, access, _words(call), command)
        project = project_of(call)
        where = f"{service}, project {project}" if project else service
        why = f"nobody has allowed agents to {access} at {where} ({_words(call)})"
        return PolicyDenied(f"{why}; {trouble}" if trouble else why, command)

    @property
    def _longest(self) -> float:
        return min(limits.longest for limits in self.limits)

    async def _note(self, service: str, access: Access, what: str, command: str | None) -> None:
        now = self.now().wall
        denial = Denial(
            agent=self.agent,
            access=access,
            service=service,
            what=self.scrub(what),
            command=command and self.scrub(command),
            first=now,
            last=now,
        )
        silent = await to_thread.run_sync(forgiving, self.denials, denial)
        if silent is None:
            return
        more = f"; {silent} more were not recorded one by one" if silent else ""
        reason = f"{access} {service} {denial.what}".strip() + more
        events.policy_denied(self.audit, what=reason)


def command_for(call: Call, access: Access, profile: str, longest: float) -> str:
    """Return what a person runs to allow a call, and as little else as can be said in words."""
    target = target_of(call)
    words = [f"twg policy grant {access} --service {target.service}"]
    if project := project_of(call):
        words.append(f"--project {project}")
    elif target.service == "bitbucket" and is_plain(target.path):
        parts = target.path.split("/")
        if parts[2] == "repositories" and len(parts) >= _REPOSITORY_PARTS:
            words.append(f"--path {'/'.join(parts[:_REPOSITORY_PARTS])}")
    if profile != "default":
        words.append(f"--profile {profile}")
    words.append(f"--for {time_in_words(min(longest, _USUAL_SECONDS))}")
    return " ".join(words)


def time_in_words(seconds: float) -> str:
    """Return a time as ``--for`` takes it, such as ``90m``; never less than a minute."""
    for unit, length in (("d", 86400), ("h", 3600)):
        if seconds >= length and seconds % length == 0:
            return f"{seconds // length:.0f}{unit}"
    return f"{max(1, seconds // 60):.0f}m"


def _words(call: Call) -> str:
    """Return method and path, fit for a line: an agent could write anything there."""
    text = f"{call.method} {call.path}"
    plain = "".join(character if "!" <= character <= "~" else " " for character in text)
    return plain[:_LONGEST_SHOWN]
