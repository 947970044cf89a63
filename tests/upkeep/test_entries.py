"""What is written for each scheduler, read as that scheduler reads it."""

from __future__ import annotations

import plistlib
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.rigs.parts import program
from tests.upkeep.conftest import AWKWARD, AWKWARD_PROGRAM
from twg.errors import ConfigError
from twg.upkeep import cron, launchd, systemd
from twg.upkeep.errors import SchedulerFailed
from twg.upkeep.job import Job

if TYPE_CHECKING:
    from pathlib import Path

PLAIN = Job(interpreter="/usr/bin/python3")
PLACES = {"TWG_CONFIG_DIR": f"/a/{AWKWARD}/config", "TWG_STATE_DIR": f"/a/{AWKWARD}/state"}
AWKWARD_JOB = Job(interpreter=f"/a/{AWKWARD}/python", variables=PLACES)

paths = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=20
).map(lambda text: f"/{text}")
jobs = st.builds(
    Job,
    interpreter=paths,
    variables=st.dictionaries(st.sampled_from(sorted(PLACES)), paths),
)


def test_the_command_is_this_interpreter_and_twg_as_a_module() -> None:
    """And no module is taken from the directory that it happens to be started in."""
    assert PLAIN.argv == ("/usr/bin/python3", "-P", "-m", "twg", "upkeep", "run")


@given(jobs)
def test_each_entry_tells_the_job_that_it_was_made_of(job: Job) -> None:
    if not {'"', "'", "\\"}.intersection(job.interpreter):
        assert systemd.job_in(systemd.service_text(job)) == job
    assert launchd.job_in(launchd.plist(job)) == job
    if "\\" not in f"{job.interpreter}{job.variables}":
        assert cron.job_in(cron.line_of(job)) == job


@pytest.mark.parametrize("path", ["/a\nb", "/a\x1bb", "/a\u2028b", "python3", ""])
def test_a_path_that_no_schedule_can_hold_is_refused(path: str) -> None:
    with pytest.raises(ConfigError, match="cannot hold the path"):
        Job(interpreter=path)
    with pytest.raises(ConfigError, match="cannot hold the path"):
        Job(interpreter="/python", variables={"TWG_STATE_DIR": path})


@pytest.mark.parametrize(
    "changed",
    ["", "ExecStart=", 'ExecStart="/python" -c "evil"', 'ExecStart="/python', "[Service]\n="],
)
def test_an_entry_that_was_changed_is_not_taken_for_ours(changed: str) -> None:
    assert systemd.job_in(changed) is None
    assert launchd.job_in(changed.encode()) is None
    assert cron.job_in(f"*/12 * * * * {changed} # twg-upkeep") is None


def test_the_units_are_sound_to_systemd(tmp_path: Path) -> None:
    """It refuses a program that is not there, too, so it reads the very path that we mean."""
    analyze = program("systemd-analyze")
    interpreter = tmp_path / AWKWARD_PROGRAM
    interpreter.symlink_to(sys.executable)
    job = Job(interpreter=str(interpreter), variables=PLACES)
    for name, text in {
        systemd.SERVICE: systemd.service_text(job),
        systemd.TIMER: systemd.timer_text(),
    }.items():
        (tmp_path / name).write_text(text)
    units = [tmp_path / systemd.SERVICE, tmp_path / systemd.TIMER]

    done = subprocess.run(
        [analyze, "--user", "verify", *units],
        env={"XDG_RUNTIME_DIR": str(tmp_path), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, [line for line in done.stderr.splitlines() if "twg" in line]) == (
        0,
        [],
    )


@pytest.mark.parametrize(
    ("wanted", "told"),
    [("*:0/12", "*-*-* *:00/12:00")],
)
def test_the_times_are_understood_by_systemd(wanted: str, told: str) -> None:
    assert f"OnCalendar={wanted}\n" in systemd.timer_text()
    done = subprocess.run(
        [program("systemd-analyze"), "calendar", wanted], capture_output=True, text=True, check=True
    )
    assert told in done.stdout


def test_a_service_has_neither_specifiers_nor_variables_for_systemd() -> None:
    """`%` is doubled, `$` is put out of force, quotes and backslashes are escaped."""
    job = Job(interpreter="/a %b$c", variables={"TWG_STATE_DIR": '/f%g"h\\i'})

    lines = systemd.service_text(job).splitlines()

    assert r'Environment="TWG_STATE_DIR=/f%%g\"h\\i"' in lines
    assert 'ExecStart=:"/a %%b$c" -P -m twg upkeep run' in lines
    assert 'ExecStart="/usr/bin/python3" -P -m twg upkeep run' in systemd.service_text(PLAIN)


@pytest.mark.parametrize("name", ['a"b', "a'b", "a\\b"])
def test_a_program_that_systemd_would_not_name_is_refused(name: str) -> None:
    with pytest.raises(SchedulerFailed, match="starts no program of such a path"):
        systemd.service_text(Job(interpreter=f"/{name}"))


def test_the_property_list_is_for_launchd() -> None:
    value = plistlib.loads(launchd.plist(AWKWARD_JOB))

    assert value["ProgramArguments"] == [*AWKWARD_JOB.argv]
    assert value["EnvironmentVariables"] == PLACES
    assert (value["Label"], value["StartInterval"], value["RunAtLoad"]) == ("twg.upkeep", 720, True)
    assert "EnvironmentVariables" not in plistlib.loads(launchd.plist(PLAIN))


def test_a_line_for_cron_has_no_bare_per_cent_sign() -> None:
    line = cron.line_of(Job(interpreter="/a 50%/python"))
    assert line == (
        r"*/12 * * * * '/a 50\%/python' -P -m twg upkeep run >/dev/null 2>&1 # twg-upkeep"
    )


def test_a_backslash_is_refused_for_cron() -> None:
    with pytest.raises(SchedulerFailed, match="backslash"):
        cron.line_of(Job(interpreter="/a\\b"))


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=30)).map("\n".join))
def test_other_lines_of_a_crontab_stay_as_they_are(text: str) -> None:
    crontab = f"{text}\n"
    line = cron.line_of(AWKWARD_JOB)

    once = cron.with_ours(crontab, line)

    assert once == f"{crontab}{line}\n"
    assert cron.with_ours(once, line) == once
    assert cron.without_ours(once) == crontab


def test_a_line_of_ours_is_replaced_wherever_it_stands() -> None:
    old, new = cron.line_of(PLAIN), cron.line_of(AWKWARD_JOB)
    crontab = f"A=1\n{old}\n#{old}\n0 4 * * * backup # twg-upkeep\n0 5 * * * twg upkeep run\n"
    rest = "A=1\n0 4 * * * backup # twg-upkeep\n0 5 * * * twg upkeep run\n"

    assert cron.without_ours(crontab) == rest
    assert cron.with_ours(crontab, new) == f"{rest}{new}\n"


def test_a_last_line_without_an_end_gets_one() -> None:
    assert cron.with_ours("0 4 * * * backup", "x") == "0 4 * * * backup\nx\n"


@pytest.mark.parametrize(
    ("now", "then"), [("10:00:00", "10:12"), ("10:11:59", "10:12"), ("10:48:30", "11:00")]
)
def test_the_next_run_of_cron_is_the_next_twelfth_minute(now: str, then: str) -> None:
    found = cron.next_run(datetime.fromisoformat(f"2026-11-25T{now}").replace(tzinfo=UTC))
    assert f"{found:%H:%M:%S}" == f"{then}:00"
