"""`Custody`: where every secret of a process is entered, so that none goes unheard of."""

from __future__ import annotations

import contextlib
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from guard.audit import AuditLog
    from guard.scrub import Scrubber
    from guard.secret import Secret
    from guard.settling import Settling


class Custody:
    """Makes secrets; teaches each to the scrubber and notes each use in the audit record.

    Args:
        scrubber: Learns every value, so that no log or output repeats it.
        audit: Notes entry and use; None for a program that keeps no record.
    """

    _hidden = False

    def __init__(self, scrubber: Scrubber, audit: AuditLog | None = None) -> None:
        self._parts: Callable[[], tuple[Scrubber, AuditLog | None]] = lambda: (scrubber, audit)

    @cached_property
    def scrubber(self) -> Scrubber:
        """What learns every value."""
        return self._parts()[0]

    @cached_property
    def audit(self) -> AuditLog | None:
        """What notes entry and use; None where no record is kept."""
        return self._parts()[1]

    @cached_property
    def _settling(self) -> Settling:
        from guard.settling import Settling  # noqa: PLC0415 - only where a secret is

        return Settling(self._sync)

    def take(self, value: str, kind: str) -> Secret:
        """Return `value`, which came from a store or a server, as a `Secret` answered for here."""
        from guard.secret import Secret  # noqa: PLC0415 - only where one is

        return Secret(value, kind, self)

    def enter(self, value: str, kind: str) -> Secret:
        """Return `value`, which a person entered at the hidden prompt, and note that they did.

        Raises:
            AuditBroken: That cannot be recorded; and what else `AuditLog.record` raises.
        """
        secret = self.take(value, kind)
        if self.audit is not None:
            from guard import events  # noqa: PLC0415 - only where there is a record

            events.secret_entered(self.audit, secret=secret)
        return secret

    def afterwards(self) -> AbstractContextManager[None]:
        """Note what this thread does in a block at its end; see `AuditLog.afterwards`."""
        return contextlib.nullcontext() if self.audit is None else self.audit.afterwards()

    async def settle(self) -> None:
        """Wait until what was noted is on the disk: before what was revealed leaves the process.

        Raises:
            AuditBroken: It cannot be; and what else `AuditLog.settle` raises.
        """
        if self.audit is not None and not self.audit.is_settled:
            await self._settling.settle()

    def _sync(self) -> None:
        if self.audit is not None:
            self.audit.settle()

    def entered(self, secret: Secret, value: str) -> None:
        """Teach the scrubber a secret's value; the first one closes this process's memory too."""
        if not self._hidden:
            from guard.process import hide_memory  # noqa: PLC0415 - only where a secret is

            hide_memory()
            self._hidden = True
        self.scrubber.learn(value, secret.kind)

    def revealed(self, secret: Secret, purpose: str, host: str | None) -> None:
        """Note that a secret is used, before it is."""
        if self.audit is not None:
            from guard import events  # noqa: PLC0415 - only where there is a record

            events.secret_revealed(self.audit, secret=secret, purpose=purpose, host=host)


class LateCustody(Custody):
    """A custody for a program that may come to no secret.

    Args:
        parts: Makes the scrubber and the record, once there is something to learn or to note.
    """

    def __init__(self, parts: Callable[[], tuple[Scrubber, AuditLog | None]]) -> None:
        self._parts = parts
