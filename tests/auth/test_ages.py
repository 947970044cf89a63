"""How old tokens are taken to be, whatever the clock on the wall says."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from tests.auth.parts import LIFETIME, NOW, credential_at
from tests.vault.samples import with_access
from twg.auth.ages import Ages, Uptime, this_uptime

if TYPE_CHECKING:
    from twg.vault import Credential

DAY = 86_400.0
BOOT = "boot-1"


@dataclass
class Machine:
    """A machine whose clocks are set by hand.

    Attributes:
        wall: What the clock on the wall shows.
        up: For how long it has run, asleep or not.
        boot_id: Which run it is.
    """

    wall: float = NOW
    up: float = 1000.0
    boot_id: str | None = BOOT

    def process(self) -> Ages:
        """Return what a new process knows."""
        return Ages(lambda: self.wall, Uptime(now=lambda: self.up, boot_id=self.boot_id))

    def passes(self, seconds: float) -> None:
        self.wall += seconds
        self.up += seconds


def issued_here(machine: Machine) -> Credential:
    """Return a credential whose tokens come just now."""
    made = credential_at("https://auth.example.com")
    tokens = replace(
        made.tokens, issued_at=machine.wall, boot_id=machine.boot_id, issued_boottime=machine.up
    )
    return replace(made, tokens=tokens)


def state(ages: Ages, credential: Credential) -> str:
    if ages.is_expired(credential):
        return "expired"
    return "due" if ages.is_due(credential) else "fresh"


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.mark.parametrize("lifetime", [1.0, LIFETIME])
def test_a_token_is_due_after_three_quarters_and_expired_at_its_end(
    machine: Machine, lifetime: float
) -> None:
    """H-D6: lifetimes of a second, too."""
    credential = issued_here(machine)
    credential = replace(credential, tokens=replace(credential.tokens, expires_in=lifetime))
    ages, told = machine.process(), []
    for step in (0.7, 0.1, 0.15, 0.1):
        machine.passes(step * lifetime)
        told.append(state(ages, credential))
    assert told == ["fresh", "due", "due", "expired"]


@pytest.mark.parametrize("step", [-DAY, DAY])
def test_a_step_of_the_wall_clock_while_running_changes_nothing(
    machine: Machine, step: float
) -> None:
    """H-D6: neither then nor at the next look; and time goes on."""
    machine.boot_id = None
    credential, ages = issued_here(machine), machine.process()
    assert state(ages, credential) == "fresh"
    machine.wall += step
    assert state(ages, credential) == "fresh"
    machine.passes(LIFETIME)
    assert state(ages, credential) == "expired"


@pytest.mark.parametrize("step", [-DAY, DAY])
def test_another_process_of_the_same_boot_does_not_look_at_the_wall(
    machine: Machine, step: float
) -> None:
    """H-D6."""
    credential = issued_here(machine)
    machine.passes(10)
    machine.wall += step
    assert state(machine.process(), credential) == "fresh"
    machine.passes(LIFETIME)
    assert state(machine.process(), credential) == "expired"


def test_a_week_asleep_counts(machine: Machine) -> None:
    """H-D6: suspended, the clock on the wall not set right yet."""
    credential, ages = issued_here(machine), machine.process()
    assert state(ages, credential) == "fresh"
    machine.up += 7 * DAY
    assert state(ages, credential) == "expired"
    assert state(machine.process(), credential) == "expired"


def test_after_another_start_of_the_machine_only_the_wall_is_left(machine: Machine) -> None:
    credential = issued_here(machine)
    machine.up, machine.boot_id = 5.0, "boot-2"
    assert state(machine.process(), credential) == "fresh"
    machine.wall += LIFETIME
    assert state(machine.process(), credential) == "expired"


def test_a_copied_moment_that_this_run_has_not_reached_yet_is_not_believed(
    machine: Machine,
) -> None:
    """A container or a clone may have the name of another run."""
    credential = issued_here(machine)
    machine.up = 10.0
    machine.wall += LIFETIME
    assert state(machine.process(), credential) == "expired"


def test_a_token_from_the_future_is_due_and_never_expired(machine: Machine) -> None:
    """H-D6: nobody knows its age; so it is used, and renewed beside."""
    machine.boot_id = None
    credential = issued_here(machine)
    machine.wall -= DAY
    ages = machine.process()
    assert state(ages, credential) == "due"
    machine.passes(DAY)
    assert state(ages, credential) == "due"


def test_a_little_ahead_is_no_future(machine: Machine) -> None:
    machine.boot_id = None
    credential = issued_here(machine)
    machine.wall -= 30
    assert state(machine.process(), credential) == "fresh"


def test_another_token_is_dated_anew(machine: Machine) -> None:
    machine.boot_id = None
    credential, ages = issued_here(machine), machine.process()
    machine.passes(LIFETIME)
    assert state(ages, credential) == "expired"
    newer = with_access(issued_here(machine), "another-access-token")
    assert state(ages, newer) == "fresh"


def test_the_same_token_read_again_keeps_its_date(machine: Machine) -> None:
    machine.boot_id = None
    credential, ages = issued_here(machine), machine.process()
    assert state(ages, credential) == "fresh"
    machine.wall += DAY
    assert state(ages, issued_here(Machine(boot_id=None))) == "fresh"


def test_a_token_that_comes_now_is_dated_by_this_run_alone(machine: Machine) -> None:
    machine.boot_id = None
    credential, ages = issued_here(machine), machine.process()
    ages.issued(credential.tokens.access, credential.profile, ages.stamp())
    machine.wall += DAY
    assert state(ages, credential) == "fresh"


def test_two_processes_of_this_machine_agree_on_its_uptime() -> None:
    mine = this_uptime()
    script = "from twg.auth.ages import this_uptime as up; print(up().now(), up().boot_id)"
    before = mine.now()
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    now, boot_id = done.stdout.split()
    assert boot_id == str(mine.boot_id)
    assert before <= float(now) <= mine.now()
    if hasattr(time, "CLOCK_BOOTTIME"):
        assert mine.now() >= time.clock_gettime(time.CLOCK_MONOTONIC) - 1
