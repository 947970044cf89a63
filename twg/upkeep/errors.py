"""What goes wrong between `twg` and the system's schedulers."""

from __future__ import annotations

from twg.errors import ConfigError


class SchedulerFailed(ConfigError):
    """A scheduler of the system's cannot be used, or did not do what it was asked for.

    Args:
        scheduler: Which one.
        why: The reason, in its own words where it has some.
        remediation: What to do now.
    """

    def __init__(self, scheduler: str, why: str, remediation: str | None = None) -> None:
        self.scheduler = scheduler
        self.why = why
        super().__init__(f"{scheduler} cannot be used: {why}", remediation)

    default_remediation = (
        "Have any scheduler run `twg upkeep run` every 12 minutes; or go without, for each call "
        "renews what it needs."
    )
