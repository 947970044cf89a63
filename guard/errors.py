"""Everything that `guard` raises.

GuardError
├── SecretRefused       a secret came by a way that is not the hidden prompt
├── SecretRejected      the hidden prompt got something that cannot be that secret
├── TerminalRequired    there is no terminal of this person's own to ask at
├── HumanRequired       an AI agent asked for what only a person may do
├── PromptTimedOut      nobody answered the prompt in time
├── PromptInterrupted   the person pressed Ctrl-C or closed the terminal
├── UnsafeFile          a file or directory others could read, change or redirect
├── FileUnwritable      a private file cannot be replaced
├── AuditBusy           another process keeps the audit record locked
└── AuditBroken         the audit record cannot be written, or does not verify

Each carries facts. `str(error)` says what happened and why; `error.remedy` says what to do now.
None of them ever carries the value of a secret.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from guard.secret import Secret


class GuardError(Exception):
    """Root of all that `guard` raises."""

    remedy: str = ""


class SecretRefused(GuardError):
    """A secret came as an argument, through a pipe or in the environment, or was about to leave.

    Attributes:
        way: How it came: ``argument``, ``stdin`` or ``environment``; or would leave: ``request``.
        name: The option's or variable's name, a position such as ``argument 3``, or a part of the
            request; never a value.
        looks_like: The kind of secret the value looks like, or None if the name alone decided.
        values: What to clean up after: each secret as far as it can be told, and each word that
            holds one. Where `looks_like` is None the name alone decided, and a value may be an
            ordinary word. No pickle and no copy of this has them.
    """

    def __init__(
        self,
        way: str,
        name: str,
        looks_like: str | None = None,
        *,
        values: Sequence[Secret] = (),
    ) -> None:
        self.way = way
        self.name = name
        self.looks_like = looks_like
        self.values = tuple(values)
        super().__init__(self._wording())

    def __reduce__(self) -> tuple[type[SecretRefused], tuple[str, str, str | None]]:
        return type(self), (self.way, self.name, self.looks_like)

    def _wording(self) -> str:
        shape = f" (it looks like {self.looks_like})" if self.looks_like else ""
        if self.way == "stdin":
            return (
                "refused: standard input is a pipe or a file, and this command takes a secret. "
                "Nothing of it was read."
            )
        if self.way == "environment":
            return f"refused: the environment variable {self.name} holds a secret{shape}."
        if self.way == "request":
            return f"refused: {self.name} of the request holds a secret{shape}. Nothing was sent."
        is_field = not self.name.startswith(("-", "argument ", "the "))
        name = f"`{self.name}`" if is_field else self.name
        return f"refused: {name} carries a secret{shape}. Its value was not used."

    @property
    def remedy(self) -> str:  # type: ignore[override]  # a property of this type's facts
        """What to do now."""
        if self.way == "stdin":
            return "Run it again with the terminal as its standard input; the secret is asked for."
        if self.way == "environment":
            step = "Remove it from the environment"
            if self.name.isidentifier():
                step = f"Run `unset {self.name}`"
            return f"{step} and start again; the secret is asked for."
        if self.way == "request":
            return (
                "Take it out and send the rest: the credential is added where the request leaves. "
                "If it stands in a file, a log or a shell's history, revoke it where it was made. "
                "If it is no secret, say it in other words; nothing lets it through as it is."
            )
        return (
            "Now revoke it where it was made. Then run the command without it: a hidden prompt "
            "asks. If it is none, say it in other words; not even `--` lets it pass."
        )


class SecretRejected(GuardError):
    """A prompt got something that cannot be what it asked for.

    Attributes:
        wanted: What was asked for, in words.
        reason: Why this is not it, in words, without a part of the value.
        seen: Whether it was typed in sight.
        secret: Whether it looks like a secret all the same.
    """

    def __init__(
        self, wanted: str, reason: str, *, seen: bool = False, secret: bool = False
    ) -> None:
        self.wanted = wanted
        self.reason = reason
        self.seen = seen
        self.secret = secret
        super().__init__(f"that cannot be the {wanted}: {reason}.")

    @property
    def remedy(self) -> str:  # type: ignore[override]  # a property of this type's facts
        """What to do now."""
        if self.seen and self.secret:
            return (
                "Revoke it where it was made, for it stands on the screen now. Then run the "
                f"command again and give the {self.wanted}."
            )
        if self.seen:
            return f"Run the command again and give the {self.wanted}."
        return f"Run the command again and paste the {self.wanted} from where it was made."


class TerminalRequired(GuardError):
    """There is no terminal to ask at.

    Attributes:
        reason: What is missing, in words.
        overheard: Whether somebody else got a part of what was typed.
    """

    def __init__(self, reason: str, *, overheard: bool = False) -> None:
        self.reason = reason
        self.overheard = overheard
        super().__init__(f"this needs a terminal of your own: {reason}.")

    @property
    def remedy(self) -> str:  # type: ignore[override]  # a property of this type's facts
        """What to do now."""
        if self.overheard:
            return (
                "It has a part of what you typed: revoke that secret and make a new one, then run "
                "the command in a terminal window that nothing else reads."
            )
        return "Run it yourself in a terminal window."


class HumanRequired(GuardError):
    """An AI agent asked for what only a person may do.

    Attributes:
        agent: The agent's name out of the closed set, or ``unknown``.
        command: The command that the person should run.
    """

    def __init__(self, agent: str, command: str) -> None:
        self.agent = agent
        self.command = command
        super().__init__(f"an AI agent ({agent}) may not do this; only a person at a terminal may.")

    @property
    def remedy(self) -> str:  # type: ignore[override]  # a property of this type's facts
        """What to do now."""
        return f"Ask your person to run `{self.command}` in their own terminal, then go on."


class PromptTimedOut(GuardError):
    """Nobody answered the prompt in time.

    Attributes:
        seconds: How long it waited.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(f"the prompt ended: nothing was entered for {seconds:.0f} seconds.")

    remedy = "Run the command again when you have the secret at hand. Nothing was saved."


class PromptInterrupted(GuardError):
    """The person ended the prompt by Ctrl-C, Ctrl-D or by closing the terminal."""

    def __init__(self) -> None:
        super().__init__("the prompt was cancelled. Nothing was saved.")

    remedy = "Run the command again to start over."


class UnsafeFile(GuardError):
    """A file or directory that others could read, change or redirect.

    Attributes:
        path: The file concerned.
        problem: What is wrong with it, in words.
        fix: The command or step that mends it.
    """

    def __init__(self, path: Path, problem: str, fix: str) -> None:
        self.path = path
        self.problem = problem
        self.fix = fix
        super().__init__(f"{path} is not safe to use: {problem}.")

    @property
    def remedy(self) -> str:  # type: ignore[override]  # a property of this type's facts
        """What to do now."""
        return self.fix


class FileUnwritable(GuardError):
    """A private file cannot be replaced.

    Attributes:
        path: The file concerned.
        problem: The system's reason, in words.
    """

    def __init__(self, path: Path, problem: str) -> None:
        self.path = path
        self.problem = problem
        super().__init__(f"{path} cannot be replaced: {problem}.")

    @property
    def remedy(self) -> str:  # type: ignore[override]  # a property of this type's facts
        """What to do now."""
        return (
            f"Make {self.path.parent} writable (and not full) and run the command again; or run it "
            "outside of what forbids it, such as an agent's sandbox."
        )


class AuditBusy(GuardError):
    """Another process has kept the audit record locked for too long.

    Attributes:
        path: The record's file.
        holder: The process, if it is known.
        seconds: How long it was waited for.
    """

    def __init__(self, path: Path, holder: int | None, seconds: float) -> None:
        self.path = path
        self.holder = holder
        self.seconds = seconds
        who = "another process" if holder is None else f"process {holder}"
        super().__init__(f"{who} has kept the audit record {path} locked for {seconds:g} seconds.")

    @property
    def remedy(self) -> str:  # type: ignore[override]  # a property of this type's facts
        """What to do now."""
        if self.holder is None:
            return "Try again in a moment."
        return f"See what it does (`ps -fp {self.holder}`), end it if it hangs, and try again."


class Fault(NamedTuple):
    """The first thing that is wrong with an audit record.

    Attributes:
        kind: ``changed``, ``removed``, ``inserted``, ``swapped``, ``moved``, ``duplicated``,
            ``cut off`` or ``unfinished``, of a record; ``head``, ``start`` or ``key``, of what is
            beside it.
        file: Where it is.
        line: The line, from 1, if it is one.
        seq: The number of the record concerned, if it is one.
    """

    kind: str
    file: Path
    line: int | None = None
    seq: int | None = None


class AuditBroken(GuardError):
    """The audit record cannot be written, or does not verify.

    Attributes:
        path: The record's file.
        problem: What is wrong, in words.
        fault: The same for programs, where it was verified.
        data: What a program is told of it besides, if anything.
    """

    data: dict[str, object] | None = None

    def __init__(self, path: Path, problem: str, fault: Fault | None = None) -> None:
        self.path = path
        self.problem = problem
        self.fault = fault
        super().__init__(f"the audit record {path} is not sound: {problem}.")

    remedy = "Keep the file as it is and look at it before anything else writes to it."
