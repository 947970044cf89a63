"""From any exception to the one failure that is reported: the only place where they are mapped."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from guard import errors as guarded
from twg.errors import EXIT_STATUS, Code, PartialFailure, TwgError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_DOCS: Final = "docs/errors.md"

_GUARD_CODES: Final[dict[type[guarded.GuardError], Code]] = {
    guarded.SecretRefused: Code.SECRET_REFUSED,
    guarded.SecretRejected: Code.SECRET_REJECTED,
    guarded.TerminalRequired: Code.TTY_REQUIRED,
    guarded.HumanRequired: Code.HUMAN_REQUIRED,
    guarded.PromptTimedOut: Code.INTERRUPTED,
    guarded.PromptInterrupted: Code.INTERRUPTED,
    guarded.UnsafeFile: Code.CONFIG,
    guarded.FileUnwritable: Code.STORE_UNWRITABLE,
    guarded.AuditBusy: Code.BUSY,
    guarded.AuditBroken: Code.STORE_CORRUPT,
}

_NEEDS_A_PERSON: Final = (
    guarded.TerminalRequired,
    guarded.HumanRequired,
    guarded.SecretRefused,
    guarded.SecretRejected,
)


class Failure(NamedTuple):
    """What is reported of a failure.

    Attributes:
        code: The stable word.
        message: What happened and why.
        remediation: What to do now.
        human_required: Only a person can go on.
        failures: Of several, what failed and why.
    """

    code: Code
    message: str
    remediation: str
    human_required: bool = False
    failures: Mapping[str, str] = MappingProxyType({})

    @property
    def exit_status(self) -> int:
        """The exit status that goes with the code."""
        return EXIT_STATUS[self.code]

    def as_dict(self) -> dict[str, Any]:
        """Return the envelope's error object."""
        return {
            "code": self.code.value,
            "message": self.message,
            "remediation": self.remediation,
            "human_required": self.human_required,
            "exit_code": self.exit_status,
            "docs": docs_of(self.code),
        }


def docs_of(code: Code) -> str:
    """Return where a code is explained."""
    return f"{_DOCS}#{code.value.lower()}"


def failure_of(error: BaseException) -> Failure:
    """Return the failure to report for `error`, whatever it is."""
    error = _telling(error)
    match error:
        case TwgError():
            return Failure(
                code=error.code,
                message=str(error),
                remediation=error.remediation,
                human_required=error.human_required,
                failures=error.failures if isinstance(error, PartialFailure) else {},
            )
        case guarded.GuardError():
            return Failure(
                code=next(c for t, c in _GUARD_CODES.items() if isinstance(error, t)),
                message=str(error).rstrip("."),
                remediation=error.remedy,
                human_required=isinstance(error, _NEEDS_A_PERSON),
            )
        case KeyboardInterrupt():
            return Failure(
                code=Code.INTERRUPTED,
                message="interrupted; nothing is half-saved",
                remediation="Run the command again to start over.",
            )
    return _of_the_parser(error) or _of_the_sandbox(error) or _bug(error)


def _telling(error: BaseException) -> BaseException:
    """Return the exception that says most: of a task group's several, one that we know."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    leaves = list(_leaves(error))
    known = [leaf for leaf in leaves if isinstance(leaf, TwgError | guarded.GuardError)]
    return (known or leaves)[0]


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for inner in group.exceptions:
        if isinstance(inner, BaseExceptionGroup):
            yield from _leaves(inner)
        else:
            yield inner


def _of_the_parser(error: BaseException) -> Failure | None:
    from asyncclick import Abort, ClickException, UsageError  # noqa: PLC0415 - late

    if isinstance(error, Abort):
        return failure_of(KeyboardInterrupt())
    if not isinstance(error, ClickException):
        return None
    context = error.ctx if isinstance(error, UsageError) else None
    path = context.command_path if context else "twg"
    return Failure(
        code=Code.USAGE,
        message=_unquoted(error.format_message()).rstrip("."),
        remediation=f"Run `{path} --help`.",
    )


def _unquoted(message: str) -> str:
    # What nobody asked for may be a password: such words are not repeated.
    return message.partition(" (")[0] if message.startswith("Got unexpected extra") else message


def _of_the_sandbox(error: BaseException) -> Failure | None:
    from twg.sandbox.errors import SandboxError  # noqa: PLC0415 - light, but rarely needed

    if not isinstance(error, SandboxError):
        return None
    return Failure(code=Code.CONFIG, message=error.message, remediation=error.remedy)


def _bug(error: BaseException) -> Failure:
    return Failure(
        code=Code.INTERNAL,
        # The type only: a message of somebody else's exception may quote anything.
        message=f"an unexpected error ({type(error).__name__})",
        remediation=TwgError.default_remediation,
    )
