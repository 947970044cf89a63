"""Everything that `twg` raises, its wording, and the one table of exit codes.

TwgError
├── UsageError            wrong words on the command line
├── ConfigError           a setting is wrong or was tampered with
├── AuthError             a person must sign in
│   ├── AuthRequired      nobody has signed in
│   ├── AuthExpired       the sign-in lapsed
│   └── AuthRevoked       the sign-in was ended at the provider
├── AdminKeyError         a person must enter another Admin API key
│   ├── AdminKeyRequired  there is none for this organization
│   ├── AdminKeyRefused   what was entered is none for this organization
│   └── AdminKeyExpired   it was one, and is no longer accepted
├── TokenRefused          a service does not take a token that a person made there
├── SignInRefused         the person, or the provider for them, said no
├── ProtocolError         the provider broke the protocol
├── GrantRefused          the token endpoint answered an OAuth error (callers branch on `.error`)
├── NetworkError          provider or service unreachable
│   └── Unavailable       it answered, but that it cannot serve now; try again
├── HttpError             the service answered 4xx or 5xx to `twg api`
├── StoreError
│   ├── StoreCorrupt      credentials cannot be opened
│   │   └── KeyUnavailable their key is not to be had, for now or for good
│   ├── StoreUnwritable   the store cannot be replaced
│   └── StoreConflict     another process changed the credential meanwhile
├── Busy                  another process holds a lock for too long
├── PartialFailure        some of several did not work
├── PolicyDenied          an agent asked for more than a person has granted
├── OutputUnwritable      the result cannot be written where it is to go
└── Interrupted           Ctrl-C or a signal

Each error carries facts. `str(error)` says what happened and why; `remediation` what to do now;
`code` is the stable word of the contract. Nothing here prints or exits.
"""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from collections.abc import Mapping


class Code(StrEnum):
    """The stable words by which scripts and agents tell failures apart."""

    INTERNAL = "INTERNAL"
    USAGE = "USAGE"
    PARTIAL = "PARTIAL"
    HTTP_ERROR = "HTTP_ERROR"
    SECRET_REFUSED = "SECRET_REFUSED"  # noqa: S105 - a code's name
    SECRET_REJECTED = "SECRET_REJECTED"  # noqa: S105 - a code's name
    NETWORK = "NETWORK"
    STORE_UNWRITABLE = "STORE_UNWRITABLE"
    STORE_CORRUPT = "STORE_CORRUPT"
    BUSY = "BUSY"
    PROTOCOL = "PROTOCOL"
    AUTH_REQUIRED = "AUTH_REQUIRED"
    AUTH_EXPIRED = "AUTH_EXPIRED"
    AUTH_REVOKED = "AUTH_REVOKED"
    CONFIG = "CONFIG"
    TTY_REQUIRED = "TTY_REQUIRED"
    HUMAN_REQUIRED = "HUMAN_REQUIRED"
    POLICY_DENIED = "POLICY_DENIED"
    INTERRUPTED = "INTERRUPTED"


EXIT_STATUS: Final[Mapping[Code, int]] = MappingProxyType(
    {
        Code.INTERNAL: 1,
        Code.USAGE: 2,
        Code.PARTIAL: 3,
        Code.HTTP_ERROR: 4,
        Code.SECRET_REFUSED: 64,
        Code.SECRET_REJECTED: 65,
        Code.NETWORK: 69,
        Code.STORE_UNWRITABLE: 73,
        Code.STORE_CORRUPT: 74,
        Code.BUSY: 75,
        Code.PROTOCOL: 76,
        Code.AUTH_REQUIRED: 77,
        Code.AUTH_EXPIRED: 77,
        Code.AUTH_REVOKED: 77,
        Code.CONFIG: 78,
        Code.TTY_REQUIRED: 79,
        Code.HUMAN_REQUIRED: 79,
        Code.POLICY_DENIED: 80,
        Code.INTERRUPTED: 130,
    }
)


class TwgError(Exception):
    """Root of all that `twg` raises.

    Args:
        summary: What happened and why, for a person; no secret, no full stop needed.
        remediation: What to do now; where None, the type's own.
    """

    code: Code = Code.INTERNAL
    human_required: bool = False
    default_remediation: str = (
        "This is a bug in twg. Run the command again with --verbose and report what it shows."
    )

    def __init__(self, summary: str, remediation: str | None = None) -> None:
        super().__init__(summary)
        self.remediation = remediation or self.default_remediation


class UsageError(TwgError):
    """The words on the command line are wrong."""

    code = Code.USAGE
    default_remediation = "Run the command with --help."


class ConfigError(TwgError):
    """A setting is wrong or was tampered with."""

    code = Code.CONFIG
    default_remediation = "Correct the setting, then run the command again."


class AuthError(TwgError):
    """A person must sign in.

    Args:
        profile: The profile concerned.
        why: What happened, in words.
        command: What a person runs to go on.
    """

    human_required = True

    def __init__(self, profile: str, why: str, *, command: str = "twg login") -> None:
        self.profile = profile
        option = "" if profile == "default" else f" --profile {profile}"
        super().__init__(why, f"Run `{command}{option}` in a terminal.")


class AuthRequired(AuthError):
    """Nobody has signed in on this profile."""

    code = Code.AUTH_REQUIRED

    @classmethod
    def nobody(cls, profile: str) -> Self:
        """Return the error for a profile without a sign-in."""
        return cls(profile, f"nobody is signed in on the profile {profile!r}")


class AuthExpired(AuthError):
    """The sign-in lapsed and cannot be renewed without a person."""

    code = Code.AUTH_EXPIRED


class AuthRevoked(AuthError):
    """The sign-in was ended at the provider."""

    code = Code.AUTH_REVOKED


class AdminKeyError(TwgError):
    """A person must enter another Admin API key.

    Args:
        org: The organization's ID; None where none is known yet.
        why: What happened, in words.
        remediation: What to do now; where None, to enter another.
    """

    human_required = True

    def __init__(self, org: str | None, why: str, remediation: str | None = None) -> None:
        self.org = org
        option = f" --org {org}" if org else ""
        super().__init__(why, remediation or f"Run `twg admin auth login{option}` in a terminal.")


class AdminKeyRequired(AdminKeyError):
    """There is no Admin API key for the organization, or for any."""

    code = Code.AUTH_REQUIRED

    def __init__(self, org: str | None = None) -> None:
        whose = f"the organization {org}" if org else "any organization"
        super().__init__(org, f"no Admin API key for {whose} is kept here")


class AdminKeyRefused(AdminKeyError):
    """What was entered is no Admin API key for the organization, by the service's word."""

    code = Code.SECRET_REJECTED


class AdminKeyExpired(AdminKeyError):
    """The Admin API key is no longer accepted."""

    code = Code.AUTH_EXPIRED


class TokenRefused(TwgError):
    """A service does not take the token that a person made there, or it is not of use here.

    Args:
        host: Who said so.
        why: What it said, in words.
        remediation: What to do now.
    """

    code = Code.SECRET_REJECTED
    human_required = True

    def __init__(self, host: str, why: str, remediation: str) -> None:
        self.host = host
        super().__init__(f"{host} does not take this token: {why}", remediation)


class SignInRefused(TwgError):
    """The person declined or did not answer in time, or the provider refused for them."""

    code = Code.AUTH_REQUIRED
    human_required = True
    default_remediation = "Run `twg login` again and accept, or ask your administrator for access."


class ProtocolError(TwgError):
    """The provider broke the protocol; nothing it sent was used."""

    code = Code.PROTOCOL
    default_remediation = (
        "Do not go on with this provider until its operator has explained it. "
        "`twg provider show NAME` lists what twg knows of it."
    )


class GrantRefused(TwgError):
    """The token, device, revocation or registration endpoint answered an OAuth error.

    Args:
        error: The error code (RFC 6749 section 5.2, RFC 8628 section 3.5), or ``""`` if none came.
        description: The provider's own words, control characters removed; may be empty.
        status: The HTTP status.
        host: Who said so.
    """

    code = Code.PROTOCOL

    def __init__(self, error: str, description: str, status: int, host: str) -> None:
        self.error = error
        self.description = description
        self.status = status
        self.host = host
        words = f"{error}: {description}" if error and description else error or description
        super().__init__(f"{host} refused the request ({words or f'HTTP {status}, no reason'})")

    default_remediation = (
        "If its client ID or secret has changed, run `twg provider add` anew, then "
        "`twg login --force`. `twg provider show NAME` tells what is set."
    )


class NetworkError(TwgError):
    """The provider or service could not be reached.

    Args:
        host: Who was called.
        why: The reason in words.
        remediation: What to do now.
        sent: The request may have reached the server; False where there was no connection to send
            it on, so that it can be sent again as if for the first time.
    """

    code = Code.NETWORK
    default_remediation = "Check the network, then run the command again; nothing was lost."

    def __init__(
        self, host: str, why: str, remediation: str | None = None, *, sent: bool = True
    ) -> None:
        self.host = host
        self.sent = sent
        super().__init__(self._wording(why), remediation)

    def _wording(self, why: str) -> str:
        return f"{self.host} cannot be reached: {why}"


class Unavailable(NetworkError):
    """The provider answered that it cannot serve now: 429, 5xx, or a web page in between.

    Args:
        host: Who was called.
        why: The reason in words.
        status: The HTTP status.
        retry_after: Seconds it asked to wait (RFC 9110 section 10.2.3), or None.
    """

    def __init__(
        self, host: str, why: str, *, status: int, retry_after: float | None = None
    ) -> None:
        self.status = status
        self.retry_after = retry_after
        super().__init__(host, why)

    def _wording(self, why: str) -> str:
        return f"{self.host} cannot serve this now: {why}"

    default_remediation = "Wait a little, then run the command again; nothing was lost."


class HttpError(TwgError):
    """The service answered `twg api` with 4xx or 5xx.

    Args:
        status: The HTTP status.
        host: Who answered.
        data: The body, parsed where it is JSON, else as text; None if empty.
        why: What the status means here, in words, if that is known.
        remediation: What to do now.
    """

    code = Code.HTTP_ERROR
    default_remediation = "Read the service's answer; check the path and your permissions there."

    def __init__(
        self,
        status: int,
        host: str,
        data: Any = None,
        *,
        why: str | None = None,
        remediation: str | None = None,
    ) -> None:
        self.status = status
        self.host = host
        self.data = data
        told = f": {why}" if why else ""
        super().__init__(f"{host} answered HTTP {status}{told}", remediation)


class StoreError(TwgError):
    """The credential store has a problem."""


class StoreCorrupt(StoreError):
    """Credentials cannot be opened; the file is kept."""

    code = Code.STORE_CORRUPT
    default_remediation = "Run `twg doctor` to see why; then `twg login` to start afresh."


class KeyUnavailable(StoreCorrupt):
    """The sealing key is not to be had; the credentials themselves may be sound.

    Args:
        why: ``absent`` (no key ring here), ``locked``, ``hanging``, ``failed``, or ``lost``: the
            place answers, and the key is not in it. Only ``lost`` is for good.
        summary: What happened, in words.
        remediation: What to do now.
    """

    def __init__(self, why: str, summary: str, remediation: str | None = None) -> None:
        self.why = why
        super().__init__(summary, remediation)


class StoreUnwritable(StoreError):
    """The store cannot be replaced atomically; nothing was sent."""

    code = Code.STORE_UNWRITABLE
    default_remediation = (
        "Make the directory writable, or run the command in a terminal outside a sandbox."
    )


class StoreConflict(StoreError):
    """The credential changed between reading and writing; read it again."""

    code = Code.BUSY
    default_remediation = "Run the command again."


class Busy(TwgError):
    """Another process holds the lock for too long.

    Args:
        what: What is locked, in words.
        holder: The holder's process id, if known.
        seconds: How long was waited.
    """

    code = Code.BUSY

    def __init__(self, what: str, holder: int | None, seconds: float) -> None:
        self.holder = holder
        who = f"process {holder}" if holder else "another process"
        super().__init__(
            f"{who} has held {what} for more than {seconds:.0f} seconds",
            f"Wait for it, or look what it does (`ps -p {holder}`); then run the command again."
            if holder
            else "Run the command again.",
        )


class PartialFailure(TwgError):
    """Some of several did not work.

    Args:
        summary: How many of what failed.
        failures: Name to reason, each listed to the person.
        remediation: What to do now.
        done: What did work, for programs.
    """

    code = Code.PARTIAL

    def __init__(
        self,
        summary: str,
        failures: Mapping[str, str],
        remediation: str | None = None,
        *,
        done: Mapping[str, Any] | None = None,
    ) -> None:
        self.failures = dict(failures)
        self.data = {"failures": self.failures, **(done or {})}
        super().__init__(summary, remediation or "See the reason beside each, then try again.")


class PolicyDenied(TwgError):
    """An agent asked for more than a person has granted.

    Args:
        why: What it may not do, in words.
        command: What its person runs to allow it; None where nobody can by a command.
    """

    code = Code.POLICY_DENIED
    human_required = True
    default_remediation = "Ask your person to run the command in their own terminal."

    def __init__(self, why: str, command: str | None = None) -> None:
        self.command = command
        super().__init__(
            f"{why}; nothing was sent",
            f"Ask your person to run `{command}` in their own terminal, then run yours again."
            if command
            else None,
        )


class OutputUnwritable(TwgError):
    """Standard output does not take the result: its disk is full, for example.

    Args:
        error: What the system said.
    """

    default_remediation = (
        "Send it elsewhere, or make room there. What the command has changed stays changed."
    )

    def __init__(self, error: OSError) -> None:
        super().__init__(f"standard output cannot be written to: {error.strerror or 'it is gone'}")


class Interrupted(TwgError):
    """Ctrl-C or a signal; nothing is half-saved.

    Attributes:
        data: What was done before, for programs; None where that is not told.
    """

    code = Code.INTERRUPTED
    data: Mapping[str, Any] | None = None
    default_remediation = "Run the command again to start over."
