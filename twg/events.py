"""The catalogue of what twg records, beside that of the guard: each event has a function.

It is apart from the guard's because the guard knows nothing of sign-ins. `docs/audit.md` and the
JSON Schema of a record are made from both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from guard.events import Recorder
    from guard.secret import Secret


def command_started(
    log: Recorder,
    *,
    recognised_by: str | None,
    user: str | None,
    ancestors: Sequence[str],
    directory: str | None,
    version: str,
    python: str,
    platform: str,
) -> None:
    """A command is about to have its first record. What follows with its trace belongs to it."""
    log.record(
        "command.started",
        details={
            "recognised_by": recognised_by,
            "user": user,
            "ancestors": ancestors,
            "directory": directory,
            "version": version,
            "python": python,
            "platform": platform,
        },
        vital=False,
    )


def command_ended(
    log: Recorder,
    *,
    outcome: Literal["ok", "failed", "refused", "interrupted"],
    arguments: Sequence[str],
    command_name: str,
    command_family: str,
    command_type: Literal["read", "write", "delete"],
    status_code: int,
    invocation_source: Literal["user", "agent"],
    agent_runtime: str | None,
    permissions_used: Sequence[str],
    cli_version: str,
    duration_ms: int,
    manually_interrupted: bool,
    trace_id: str,
) -> None:
    """A command that recorded anything ended.

    Its details but the arguments have the names that they have in Atlassian's own audit log.
    `status_code` is the exit status.
    """
    log.record(
        "command.ended",
        outcome=outcome,
        details={
            "arguments": arguments,
            "command_name": command_name,
            "command_family": command_family,
            "command_type": command_type,
            "status_code": status_code,
            "invocation_source": invocation_source,
            "agent_runtime": agent_runtime,
            "permissions_used": permissions_used,
            "cli_version": cli_version,
            "duration_ms": duration_ms,
            "manually_interrupted": manually_interrupted,
            "trace_id": trace_id,
        },
        vital=False,
    )


def secret_refused(log: Recorder, *, kind: str | None, what: str) -> None:
    """A secret came where none may: how, and under which name, is the reason."""
    log.record("secret.refused", kind=kind, outcome="refused", reason=what, vital=False)


def secret_ignored(log: Recorder, *, what: str) -> None:
    """A variable of the environment holds a secret, and was not read."""
    log.record("secret.ignored", reason=what, vital=False)


def agent_call(
    log: Recorder,
    *,
    access: str,
    service: str,
    method: str,
    path: str,
    under: str | None,
    host: str | None,
    profile: str,
) -> None:
    """An agent was let call a service. Unless it only reads, the reason names the grant."""
    log.record(
        "agent.call",
        reason=under,
        host=host,
        profile=profile,
        details={"access": access, "service": service, "method": method, "path": path},
        vital=False,
    )


def policy_denied(log: Recorder, *, what: str) -> None:
    """An agent asked for what no person has granted it."""
    log.record("policy.denied", outcome="refused", reason=what, vital=False)


def policy_granted(log: Recorder, *, what: str) -> None:
    """A person is about to grant agents something, for a time."""
    log.record("policy.granted", reason=what, durable=True)


def policy_revoked(log: Recorder, *, what: str) -> None:
    """A person took back what agents were granted."""
    log.record("policy.revoked", reason=what, vital=False)


def token_issued(
    log: Recorder, *, secret: Secret, reason: str | None, host: str, profile: str
) -> None:
    """A person signed in, and the provider issued tokens."""
    log.record(
        "token.issued", secret=secret, reason=reason, host=host, profile=profile, vital=False
    )


def token_refreshed(
    log: Recorder, *, secret: Secret, reason: str | None, host: str, profile: str
) -> None:
    """The provider renewed tokens. Where the new ones are not saved yet, the reason says why."""
    log.record(
        "token.refreshed",
        secret=secret,
        outcome="ok" if reason is None else "not saved",
        reason=reason,
        host=host,
        profile=profile,
        vital=False,
    )


def token_refresh_failed(
    log: Recorder, *, secret: Secret, reason: str | None, host: str, profile: str
) -> None:
    """A renewal did not come about; the tokens are as they were."""
    log.record(
        "token.refresh_failed",
        secret=secret,
        outcome="failed",
        reason=reason,
        host=host,
        profile=profile,
        vital=False,
    )


def token_revoked(
    log: Recorder, *, secret: Secret, reason: str | None, host: str, profile: str
) -> None:
    """The provider was asked to revoke tokens. Where it did not, the reason says why."""
    log.record(
        "token.revoked",
        secret=secret,
        outcome="ok" if reason is None else "failed",
        reason=reason,
        host=host,
        profile=profile,
        vital=False,
    )


def credential_removed(
    log: Recorder, *, secret: Secret, reason: str | None, host: str, profile: str
) -> None:
    """A credential was removed here and lives on where it was issued."""
    log.record(
        "credential.removed",
        secret=secret,
        outcome="not revoked",
        reason=reason,
        host=host,
        profile=profile,
        vital=False,
    )


def session_expired(
    log: Recorder, *, secret: Secret, reason: str | None, host: str, profile: str
) -> None:
    """The provider no longer accepts a sign-in; a person has to sign in anew."""
    log.record(
        "session.expired", secret=secret, reason=reason, host=host, profile=profile, vital=False
    )


def store_opened(log: Recorder, *, file: str) -> None:
    """A file of credentials was opened with its key."""
    log.record("store.opened", reason=file, vital=False)


def store_written(log: Recorder, *, file: str) -> None:
    """A file of credentials was sealed and replaced."""
    log.record("store.written", reason=file, vital=False)


def key_moved(log: Recorder, *, what: str) -> None:
    """A sealing key was moved: a new one is in use, in another place."""
    log.record("key.moved", reason=what, vital=False)


def key_destroyed(log: Recorder, *, what: str) -> None:
    """A sealing key that is not in use any more was destroyed."""
    log.record("key.destroyed", reason=what, vital=False)


def history_scrubbed(log: Recorder, *, outcome: Literal["ok", "partial"], what: str) -> None:
    """Entries with secrets in them were removed from shells' histories."""
    log.record("history.scrubbed", outcome=outcome, reason=what, vital=False)


def upkeep_enabled(log: Recorder, *, scheduler: str) -> None:
    """A schedule that renews sign-ins was made."""
    log.record("upkeep.enabled", reason=scheduler, vital=False)


def upkeep_disabled(log: Recorder, *, schedulers: str) -> None:
    """The schedule that renews sign-ins was removed."""
    log.record("upkeep.disabled", reason=schedulers, vital=False)


def upkeep_run(log: Recorder, *, outcome: str, what: str) -> None:
    """The schedule renewed sign-ins, or failed to."""
    log.record("upkeep.run", outcome=outcome, reason=what, vital=False)


def uninstall_begun(log: Recorder) -> None:
    """A person has twg remove all that it made."""
    log.record("uninstall.begun", vital=False)
