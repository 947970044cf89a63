"""`twg upkeep enable`, `status` and `disable` with each scheduler, in an awkward place."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from guard.errors import UnsafeFile
from tests.upkeep.programs import played, user_manager
from twg.upkeep import cron, launchd, record, schedule, systemd
from twg.upkeep.errors import SchedulerFailed
from twg.upkeep.job import Job
from twg.upkeep.programs import Programs
from twg.upkeep.record import Record

if TYPE_CHECKING:
    from tests.cli.console import Console
    from tests.sandbox.running import SandboxHandle
    from tests.upkeep.programs import Played

THEIRS = b"# mine\n\tSHELL=/bin/sh\n\n0 4 * * *  /usr/bin/backup --name='50\\%'  \n# \xff\xfe \n"
"""A crontab of somebody's own, with what an editor may leave in it."""


def units_of(console: Console) -> Path:
    return Path(console.env["HOME"], ".config", "systemd", "user")


def files_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


def status_of(console: Console) -> dict[str, Any]:
    data: dict[str, Any] = console.twg("upkeep", "status", "-o", "json").data
    return data


def crontab_of(console: Console, given: bytes | None = None) -> bytes:
    """Return the crontab as another program sees it, or replace it."""
    words = ["-l"] if given is None else ["-"]
    done = subprocess.run(
        [console.root / "bin" / "crontab", *words], input=given, capture_output=True, check=False
    )
    return done.stdout


def as_cron_runs(line: str, home: str) -> int:
    """Run a line's command as cron does: up to a bare per cent sign, by `sh`, in a bare world."""
    command = line.split(maxsplit=5)[5]
    assert "%" not in command.replace(r"\%", "")
    done = subprocess.run(
        ["/bin/sh", "-c", command.replace(r"\%", "%")],
        env={"HOME": home, "LOGNAME": "alice", "SHELL": "/bin/sh", "PATH": "/usr/bin:/bin"},
        cwd=home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == (b"", b"")
    return done.returncode


def test_systemd_has_a_timer_until_it_is_disabled(
    console: Console, systemctl: Played, interpreter: Path
) -> None:
    home = Path(console.env["HOME"])
    units = units_of(console)
    units.mkdir(parents=True)
    (units / "theirs.timer").write_text("[Timer]\n")

    enabled = console.twg("upkeep", "enable", "-o", "json").data
    assert (enabled["scheduler"], enabled["loaded"], enabled["instead_of"]) == ("systemd", True, {})
    assert systemctl.calls[-2:-1] == [["systemctl", "--user", "is-active", "twg-upkeep.timer"]]
    made = {"twg-upkeep.service", "twg-upkeep.timer", "timers.target.wants/twg-upkeep.timer"}
    assert files_in(units) == made | {"theirs.timer"}
    service = (units / "twg-upkeep.service").read_text()
    assert systemd.job_in(service) == Job(
        interpreter=str(interpreter),
        variables={"TWG_CONFIG_DIR": str(console.config), "TWG_STATE_DIR": str(console.state)},
    )

    found = status_of(console)
    assert (found["enabled"], found["loaded"], found["problems"]) == (True, True, [])
    assert found["next_run"] == "2026-11-25T10:36:34Z"
    assert found["command"] == [str(interpreter), "-P", "-m", "twg", "upkeep", "run"]

    gone = console.twg("upkeep", "disable", "-o", "json").data
    assert gone == {"enabled": False, "removed_from": ["systemd"]}
    assert files_in(home) == {".config/systemd/user/theirs.timer"}
    assert status_of(console)["enabled"] is False
    assert console.happened() == ["upkeep.enabled", "upkeep.disabled"]


def test_a_real_systemd_renews_what_is_due(
    console: Console, sandbox: SandboxHandle, interpreter: Path
) -> None:
    """The whole of it, by the manager that a person's session has."""
    directory = console.root / "bin"
    control = [str(directory / "systemctl"), "--user"]
    console.sign_in(sandbox, age=3000)
    before = anyio.run(sandbox.stats)["grants"].get("refresh_token", 0)

    with user_manager(directory, Path(console.env["HOME"])) as joined:
        console.more |= joined
        env = console.env
        for _ in range(2):
            assert console.twg("upkeep", "enable", "-o", "json").data["scheduler"] == "systemd"
        subprocess.run([*control, "start", systemd.SERVICE], env=env, check=True)
        found = status_of(console)
        console.twg("upkeep", "disable")
        asked = [*control, "is-active", systemd.TIMER]
        active = subprocess.run(asked, env=env, capture_output=True, check=False).stdout

    assert anyio.run(sandbox.stats)["grants"]["refresh_token"] - before == 1
    assert (found["loaded"], found["problems"]) == (True, [])
    assert found["command"][0] == str(interpreter)
    assert found["last_run"]["profiles"]["default"]["outcome"] == "renewed"
    left = datetime.fromisoformat(found["next_run"]) - datetime.now(UTC)
    assert timedelta(minutes=-1) < left <= timedelta(minutes=14)
    assert console.records("upkeep.run")[0]["actor"]["kind"] == "service"
    assert active == b"inactive\n"
    assert files_in(Path(console.env["HOME"])) == set()


@pytest.mark.usefixtures("systemctl")
def test_enabling_twice_is_enabling_once(console: Console) -> None:
    console.twg("upkeep", "enable")
    before = {path: path.read_bytes() for path in units_of(console).glob("*.*r")}
    console.twg("upkeep", "enable")
    assert {path: path.read_bytes() for path in units_of(console).glob("*.*r")} == before
    assert all((path.stat().st_mode & 0o777) == 0o600 for path in before)
    console.twg("upkeep", "disable")
    assert "There was no schedule." in console.twg("upkeep", "disable").out


@pytest.mark.usefixtures("crontab")
def test_cron_has_one_line_until_it_is_disabled(console: Console, interpreter: Path) -> None:
    crontab_of(console, THEIRS)

    console.twg("upkeep", "enable")
    console.twg("upkeep", "enable")
    lines = crontab_of(console).removeprefix(THEIRS).decode().splitlines()
    assert len(lines) == 1
    assert cron.is_ours(lines[0])

    found = console.twg("upkeep", "status", "-o", "json").data
    assert (found["scheduler"], found["loaded"], found["problems"]) == ("cron", True, [])
    due = datetime.fromisoformat(found["next_run"]) - datetime.now(UTC)
    assert timedelta(minutes=-1) < due <= timedelta(minutes=12)

    assert found["last_run"] is None
    line = cron.line_of(Job(interpreter=str(interpreter), variables=status_variables(console)))
    assert as_cron_runs(line, console.env["HOME"]) == 0
    assert as_cron_runs(lines[0], console.env["HOME"]) == 0
    ran = console.twg("upkeep", "status", "-o", "json").data["last_run"]
    assert (ran["outcome"], ran["profiles"]) == ("ok", {})

    console.twg("upkeep", "disable")
    assert crontab_of(console) == THEIRS


def status_variables(console: Console) -> dict[str, str]:
    return {"TWG_CONFIG_DIR": str(console.config), "TWG_STATE_DIR": str(console.state)}


@pytest.mark.usefixtures("crontab")
def test_a_crontab_that_was_not_there_is_not_there_afterwards(console: Console) -> None:
    assert crontab_of(console) == b""
    console.twg("upkeep", "enable")
    assert crontab_of(console) != b""
    console.twg("upkeep", "disable")
    done = subprocess.run(
        [console.root / "bin" / "crontab", "-l"], capture_output=True, check=False
    )
    assert done.returncode == 1


async def test_launchd_has_an_agent_until_it_is_disabled(
    console: Console, launchctl: Played
) -> None:
    home = Path(console.env["HOME"])
    job = Job(interpreter=sys.executable, variables=status_variables(console))
    schedulers = schedule.schedulers_of("darwin", console.env, home)
    target = f"gui/{os.getuid()}/twg.upkeep"
    plist = home / "Library" / "LaunchAgents" / "twg.upkeep.plist"

    for _ in range(2):
        enabled = await schedule.enable(job, schedulers)
        assert (enabled.found.scheduler, enabled.found.loaded) == ("launchd", True)
    assert ["launchctl", "bootstrap", f"gui/{os.getuid()}", str(plist)] in launchctl.calls
    assert launchctl.calls[-1] == ["launchctl", "print", target]
    assert launchd.job_in(plist.read_bytes()) == job

    found = await schedule.find(schedulers)
    assert found is not None
    last = Record(started_at=1000.0, finished_at=1001.0, outcome="ok")
    assert schedule.with_next_run(found, last).next_run == 1720.0
    assert schedule.problems_of(found, job, last, 1002.0) == []

    assert await schedule.disable(schedulers) == ["launchd"]
    assert (files_in(home), await schedule.find(schedulers)) == (set(), None)
    assert launchctl.calls[-1][1:] == ["bootout", target]


async def test_an_agent_that_launchd_does_not_take_is_not_left_behind(
    console: Console, launchctl: Played
) -> None:
    launchctl.refuse("Bootstrap failed: 125: Domain does not support specified action")
    home = Path(console.env["HOME"])

    with pytest.raises(SchedulerFailed, match="125: Domain does not support") as refused:
        await schedule.enable(
            Job(interpreter=sys.executable), schedule.schedulers_of("darwin", console.env, home)
        )

    assert "cron: it is not installed" in str(refused.value)
    assert files_in(home) == set()


@pytest.mark.parametrize(
    ("platform", "name", "why"),
    [
        ("linux", "systemctl", "twg-upkeep.timer was started and is not active"),
        ("darwin", "launchctl", "twg.upkeep was loaded and is not there"),
        ("freebsd", "crontab", "`crontab -l` does not show what was put in"),
    ],
)
async def test_what_a_scheduler_says_is_proven(
    console: Console, platform: str, name: str, why: str
) -> None:
    played(console.root / "bin", name).be_deaf()
    home = Path(console.env["HOME"])
    schedulers = schedule.schedulers_of(platform, console.env, home)

    with pytest.raises(SchedulerFailed, match=why):
        await schedule.enable(Job(interpreter=sys.executable), schedulers)

    assert files_in(home) == set()


async def test_a_system_without_a_scheduler_is_told_so(console: Console) -> None:
    schedulers = schedule.schedulers_of("win32", console.env, Path(console.env["HOME"]))
    with pytest.raises(SchedulerFailed, match="twg knows no scheduler of this system"):
        await schedule.enable(Job(interpreter=sys.executable), schedulers)


def test_cron_serves_where_systemd_does_not(console: Console, systemctl: Played) -> None:
    played(console.root / "bin", "crontab")
    systemctl.refuse("Failed to connect to bus: No medium found")

    ended = console.twg("upkeep", "enable")

    assert "cron renews every 12 minutes" in ended.out
    assert "systemd cannot be used (Failed to connect to bus: No medium found)" in ended.err
    assert files_in(Path(console.env["HOME"])) == set()

    systemctl.refuse(None)
    assert "systemd renews every 12 minutes" in console.twg("upkeep", "enable").out
    assert crontab_of(console) == b"", "it does not run twice"


def test_where_nothing_serves_the_command_to_run_is_told(
    console: Console, systemctl: Played
) -> None:
    systemctl.refuse("Failed to connect to bus: No medium found")

    ended = console.twg("upkeep", "enable", "-o", "json", status=78)

    assert ended.error["code"] == "CONFIG"
    assert "Failed to connect to bus: No medium found" in ended.error["message"]
    assert "cron: it is not installed" in ended.error["message"]
    assert "`loginctl enable-linger`" in ended.error["remediation"]


def test_where_systemd_is_gone_the_files_are_removed_all_the_same(
    console: Console, systemctl: Played
) -> None:
    console.twg("upkeep", "enable")
    systemctl.refuse("Failed to connect to bus: No medium found")

    assert "Removed from systemd" in console.twg("upkeep", "disable").out

    assert files_in(Path(console.env["HOME"])) == set()


@pytest.mark.usefixtures("systemctl")
def test_who_may_not_use_cron_can_disable_a_timer(console: Console) -> None:
    console.twg("upkeep", "enable")
    played(console.root / "bin", "crontab").refuse("You are not allowed to use this program")

    assert "Removed from systemd" in console.twg("upkeep", "disable").out
    assert "You are not allowed" in console.twg("upkeep", "disable", status=78).err


@pytest.mark.usefixtures("systemctl")
def test_a_timer_that_goes_on_is_told(console: Console) -> None:
    console.twg("upkeep", "enable")
    (console.root / "bin" / "systemctl").write_text("#!/bin/sh\necho active\n")

    ended = console.twg("upkeep", "disable", status=78)

    assert "it goes on until it is stopped" in ended.err
    assert "Run `systemctl --user stop twg-upkeep.timer`." in ended.err


def test_a_crontab_that_cannot_be_read_is_not_replaced(console: Console) -> None:
    crontab = played(console.root / "bin", "crontab")
    crontab.refuse("You (alice) are not allowed to use this program (crontab)")

    ended = console.twg("upkeep", "enable", status=78)

    assert "You (alice) are not allowed to use this program" in ended.err
    assert [call[1:] for call in crontab.calls] == [["-l"]]


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_a_unit_of_somebody_elses_stays(console: Console, systemctl: Played, mode: int) -> None:
    units = units_of(console)
    units.mkdir(parents=True)
    (units / "twg-upkeep.service").write_text("[Service]\nExecStart=/bin/true\n")
    (units / "twg-upkeep.service").chmod(mode)

    ended = console.twg("upkeep", "enable", status=78)
    assert "twg did not make it" in ended.err
    assert "There was no schedule." in console.twg("upkeep", "disable").out

    assert (units / "twg-upkeep.service").read_text() == "[Service]\nExecStart=/bin/true\n"
    assert systemctl.calls == []


async def test_a_link_in_the_place_of_a_unit_is_not_followed(
    console: Console, tmp_path: Path
) -> None:
    units = units_of(console)
    units.mkdir(parents=True)
    theirs = tmp_path / "theirs"
    theirs.write_text("theirs")
    (units / "twg-upkeep.timer").symlink_to(theirs)
    played(console.root / "bin", "systemctl")

    with pytest.raises(UnsafeFile):
        await schedule.enable(
            Job(interpreter=sys.executable),
            schedule.schedulers_of("linux", console.env, Path(console.env["HOME"])),
        )

    assert theirs.read_text() == "theirs"
    assert files_in(units) == {"twg-upkeep.timer"}


@pytest.mark.usefixtures("systemctl")
def test_status_tells_that_the_interpreter_is_gone(console: Console, interpreter: Path) -> None:
    console.twg("upkeep", "enable")
    interpreter.unlink()

    (problem,) = status_of(console)["problems"]

    assert (
        problem == f"{interpreter} is gone, so nothing can run; `twg upkeep enable` sets it right."
    )
    assert f"✘ {interpreter} is gone" in console.twg("upkeep", "status").out


def test_status_tells_that_the_timer_is_not_active(console: Console, systemctl: Played) -> None:
    console.twg("upkeep", "enable")
    (systemctl.state / "active").unlink()

    found = status_of(console)

    assert (found["enabled"], found["loaded"]) == (True, False)
    assert found["problems"] == [
        "systemd does not have it loaded; `twg upkeep enable` sets it right."
    ]


@pytest.mark.usefixtures("systemctl")
def test_status_tells_that_it_runs_for_other_directories(console: Console, tmp_path: Path) -> None:
    console.twg("upkeep", "enable")

    (problem,) = console.twg(
        "upkeep", "status", "-o", "json", TWG_STATE_DIR=str(tmp_path / "elsewhere")
    ).data["problems"]

    assert problem.startswith("it runs for another installation or other directories")


@pytest.mark.usefixtures("systemctl")
def test_status_tells_that_a_unit_was_changed(console: Console) -> None:
    console.twg("upkeep", "enable")
    service = units_of(console) / "twg-upkeep.service"
    service.write_text(service.read_text().replace("upkeep run", "upkeep runs"))

    (problem,) = status_of(console)["problems"]

    assert problem.startswith("what stands in ")


@pytest.mark.usefixtures("systemctl")
async def test_status_tells_that_it_has_not_run_for_long(console: Console) -> None:
    await console.apart_async("upkeep", "enable")
    await record.keep(console.state, Record(started_at=1.0, finished_at=2.0, outcome="ok"))

    (problem,) = (await console.apart_async("upkeep", "status", "-o", "json")).data["problems"]

    assert problem.startswith("it has not run for long. Was the machine off?")


@pytest.mark.usefixtures("systemctl")
def test_who_is_logged_out_is_told_of_lingering(console: Console) -> None:
    loginctl = played(console.root / "bin", "loginctl")

    ended = console.twg("upkeep", "enable")

    assert "`loginctl enable-linger` has it run always" in ended.out
    assert loginctl.calls[0][:3] == ["loginctl", "show-user", str(os.getuid())]
    loginctl.refuse("no")
    assert "linger" not in console.twg("upkeep", "status").out


def test_a_directory_that_xdg_names_is_told_to_the_schedule(
    console: Console, tmp_path: Path
) -> None:
    played(console.root / "bin", "crontab")
    console.more |= {"TWG_CONFIG_DIR": "", "XDG_CONFIG_HOME": str(tmp_path / "xdg")}
    console.more["TWG_STATE_DIR"] = ""

    console.twg("upkeep", "enable")

    job = cron.job_in(crontab_of(console).decode().strip())
    assert job is not None
    assert job.variables == {"TWG_CONFIG_DIR": str(tmp_path / "xdg" / "twg")}


async def test_a_program_that_hangs_is_ended(tmp_path: Path) -> None:
    hanging = tmp_path / "systemctl"
    hanging.write_text('#!/bin/sh\necho $$ > "$0.pid"\nexec sleep 600\n')
    hanging.chmod(0o755)
    programs = Programs(environ={"PATH": f"{tmp_path}:/usr/bin:/bin"}, seconds=1.0)

    with pytest.raises(SchedulerFailed, match="did not answer within 1 seconds"):
        await programs.run("systemctl")

    pid = int((tmp_path / "systemctl.pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_a_program_gets_no_secret_and_nothing_that_makes_it_run_code(tmp_path: Path) -> None:
    env = tmp_path / "env"
    env.write_text("#!/bin/sh\nexec /usr/bin/env\n")
    env.chmod(0o755)
    environ = {"PATH": f".:{tmp_path}", "HOME": "/h", "LD_PRELOAD": "x", "TWG_TOKEN": "x"}

    answer = await Programs(environ=environ).run("env")

    names = {line.partition("=")[0] for line in answer.out.splitlines()} - {"PWD", "SHLVL", "_"}
    assert names == {"PATH", "HOME", "LC_ALL", "TZ"}


def test_a_program_is_not_taken_from_where_one_happens_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "crontab").write_text("#!/bin/sh\n")
    (tmp_path / "crontab").chmod(0o755)
    monkeypatch.chdir(tmp_path)

    assert Programs(environ={"PATH": ":."}).path_of("crontab") is None
    assert Programs(environ={"PATH": str(tmp_path)}).path_of("crontab") is not None


@pytest.mark.parametrize("word", ["enable", "disable"])
def test_an_agent_may_not_change_the_schedule(
    console: Console, systemctl: Played, word: str
) -> None:
    """H-B5, H-F1."""
    ended = console.twg("upkeep", word, status=79, CLAUDECODE="1")

    assert ended.error["code"] == "HUMAN_REQUIRED"
    assert f"`twg upkeep {word}`" in ended.error["remediation"]
    assert systemctl.calls == []


@pytest.mark.usefixtures("systemctl")
def test_an_agent_may_look_at_it(console: Console) -> None:
    assert console.twg("upkeep", "status", CLAUDECODE="1").data["enabled"] is False
