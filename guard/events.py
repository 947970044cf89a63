"""The catalogue of what the guard records: each event is a function that says all it can hold.

A program has such a file too, for what it records. Nothing is recorded that is in neither, and
`docs/audit.md` and the JSON Schema of a record are made from both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from guard.secret import Secret


class Recorder(Protocol):
    """What events are told to: `AuditLog`, or what stands in its place."""

    def record(
        self,
        event: str,
        *,
        secret: Secret | None = None,
        kind: str | None = None,
        outcome: str = "ok",
        reason: str | None = None,
        host: str | None = None,
        profile: str | None = None,
        details: Mapping[str, Any] | None = None,
        durable: bool = False,
        vital: bool = True,
    ) -> None:
        """Append one record; see `AuditLog.record`."""


def secret_entered(log: Recorder, *, secret: Secret) -> None:
    """A person entered a secret at the hidden prompt."""
    log.record("secret.entered", secret=secret)


def secret_revealed(log: Recorder, *, secret: Secret, purpose: str, host: str | None) -> None:
    """A secret is about to be used, for the purpose that is the reason."""
    log.record("secret.revealed", secret=secret, reason=purpose, host=host)


def audit_mended(log: Recorder, *, what: str) -> None:
    """The end of the record was not as it was left; what was wrong with it is the reason."""
    log.record("audit.mended", reason=what)


def audit_delayed(log: Recorder, *, what: str) -> None:
    """Records that follow could not be written when they were due; how many, is the reason."""
    log.record("audit.delayed", reason=what)


def audit_rotated(log: Recorder, *, what: str) -> None:
    """A file was full or old and was set aside; the record goes on in this one."""
    log.record("audit.rotated", reason=what)


def audit_removed(log: Recorder, *, what: str) -> None:
    """The oldest files were removed, as the settings say."""
    log.record("audit.removed", reason=what)


def audit_key_changed(log: Recorder, *, old: str, new: str, signature: str) -> None:
    """The key hands over to the next one, which has signed the MAC of the record before."""
    log.record("audit.key_changed", details={"old": old, "new": new, "signature": signature})
