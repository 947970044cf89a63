"""The terminal rig on small programs: what it shows, sends, restores and cuts off."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
from typing import TYPE_CHECKING

import anyio
import pytest

from tests.rigs.parts import missing
from tests.rigs.surroundings import clean_env, fake_browser
from tests.rigs.terminal import Terminal

if TYPE_CHECKING:
    from pathlib import Path

ANCESTORS = """
import json, os
found, pid = [], os.getpid()
while pid:
    pid = int(open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()[1])
    found.append(pid)
print(json.dumps(found))
"""
HIDDEN = """
import getpass, sys
print("got", len(getpass.getpass("Secret: ")))
"""
RAW = """
import sys, tty
tty.setraw(0)
print("raw now", end="\\r\\n", flush=True)
if sys.stdin.read(1) == "!":
    raise SystemExit(7)
"""
CURSOR = """
import os, sys, tty
tty.setcbreak(0)
os.write(1, b"abc\\x1b[6n")
answer = b""
while not answer.endswith(b"R"):
    answer += os.read(0, 16)
print(repr(answer))
"""
HEARS_HANG_UP = """
import pathlib, signal, sys
print("ready", flush=True)
number = signal.sigwait({signal.SIGHUP})
pathlib.Path(sys.argv[1]).write_text(signal.Signals(number).name)
"""
SIZES = """
import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGWINCH})
print(*os.get_terminal_size(), flush=True)
signal.sigwait({signal.SIGWINCH})
print(*os.get_terminal_size(), flush=True)
"""


def python(program: str, *arguments: object) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", program, *map(str, arguments)]


async def test_it_shows_what_a_person_sees(tmp_path: Path) -> None:
    program = "print('\\x1b[31mred\\x1b[0m wo\\rWO')"
    async with Terminal.start(python(program), env=clean_env(tmp_path)) as terminal:
        assert await terminal.exit_status() == 0
        assert terminal.screen() == "WOd wo"
        assert b"\x1b[31mred" in terminal.raw


async def test_scroll_back_is_kept_whole(tmp_path: Path) -> None:
    program = "for n in range(500): print('line', n)"
    async with Terminal.start(python(program), env=clean_env(tmp_path), rows=5) as terminal:
        assert await terminal.exit_status() == 0
        lines = re.findall(r"line (\d+)", terminal.transcript())
        assert lines == [str(number) for number in range(500)]
        assert "line 0" not in terminal.screen()


async def test_a_hidden_prompt_hides_and_restores_the_modes(tmp_path: Path) -> None:
    """H-B1, H-B3: the modes as they were, also after the program has ended."""
    async with Terminal.start(python(HIDDEN), env=clean_env(tmp_path)) as terminal:
        before = terminal.modes()
        await terminal.until("Secret:")
        await terminal.until_modes(lambda modes: not modes.echo)
        await terminal.send_line("hunter2-hunter2")
        await terminal.until("got 15")
        assert await terminal.exit_status() == 0
        assert "hunter2" not in terminal.transcript()
        assert terminal.modes() == before
        assert terminal.echo_is_on()


async def test_modes_that_were_not_restored_are_seen(tmp_path: Path) -> None:
    """The kernel would reset them if the program itself led the session."""
    async with Terminal.start(python(RAW), env=clean_env(tmp_path)) as terminal:
        before = terminal.modes()
        await terminal.until("raw now")
        await terminal.send("!")
        assert await terminal.exit_status() == 7
        assert terminal.modes() != before
        assert not terminal.echo_is_on()
        assert not terminal.modes().canonical


async def test_ctrl_c_comes_through_the_terminal(tmp_path: Path) -> None:
    async with Terminal.start(["cat"], env=clean_env(tmp_path)) as terminal:
        await terminal.send_line("hello")
        await terminal.until(re.compile("hello\nhello"))
        await terminal.interrupt()
        assert await terminal.exit_status() == -signal.SIGINT


async def test_a_hang_up_reaches_the_program(tmp_path: Path) -> None:
    note = tmp_path / "heard"
    block = "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})\n"
    argv = python(block + HEARS_HANG_UP, note)
    async with Terminal.start(argv, env=clean_env(tmp_path)) as terminal:
        await terminal.until("ready")
        terminal.hang_up()
        assert await terminal.exit_status() == 0
    assert note.read_text() == "SIGHUP"


async def test_stop_and_go_on(tmp_path: Path) -> None:
    async with Terminal.start(["cat"], env=clean_env(tmp_path)) as terminal:
        await terminal.send("\x1a")
        assert await terminal.until_stopped() == signal.SIGTSTP
        terminal.signal(signal.SIGCONT)
        await terminal.until_going_on()
        await terminal.send_line("awake")
        await terminal.until(re.compile("awake\nawake"))


async def test_resizing(tmp_path: Path) -> None:
    async with Terminal.start(python(SIZES), env=clean_env(tmp_path), columns=80) as terminal:
        await terminal.until("80 30")
        terminal.resize(20, 5)
        await terminal.until("20 5")


async def test_it_answers_where_the_cursor_is(tmp_path: Path) -> None:
    async with Terminal.start(python(CURSOR), env=clean_env(tmp_path)) as terminal:
        await terminal.until(r"b'\x1b[1;4R'")


async def test_a_long_paste_arrives_whole(tmp_path: Path) -> None:
    program = "import sys, tty; tty.setraw(0); print('go', end='\\r\\n', flush=True)\n"
    program += "print('read', len(sys.stdin.buffer.read(100_000)))"
    async with Terminal.start(python(program), env=clean_env(tmp_path)) as terminal:
        await terminal.until("go")
        await terminal.send("x" * 100_000)
        await terminal.until("read 100000")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("detached", [True, False])
async def test_no_ancestor_is_the_test_runners(tmp_path: Path, detached: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """H-B5, H-F4: an agent is found by its ancestors, so tests must not pass theirs on."""
    env = clean_env(tmp_path)
    argv = python(ANCESTORS)
    async with Terminal.start(argv, env=env, columns=500, detached=detached) as terminal:
        await terminal.exit_status()
        ancestors = json.loads(terminal.screen())
    assert (os.getpid() in ancestors) is not detached


async def test_only_what_is_given_is_inherited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLAUDECODE", "1")
    monkeypatch.setenv("TWG_TOKEN", "made-up")
    env = clean_env(tmp_path, EXTRA="yes")
    program = "import json, os; print(json.dumps(dict(os.environ)))"
    async with Terminal.start(python(program), env=env, columns=9999) as terminal:
        await terminal.exit_status()
        seen = json.loads(terminal.screen())
    assert seen.pop("LC_CTYPE", "C.UTF-8") == "C.UTF-8"  # Python's own doing
    assert seen == env
    assert env["EXTRA"] == "yes"


async def test_the_terminal_is_its_own_and_in_front(tmp_path: Path) -> None:
    program = "import os; t = os.open('/dev/tty', os.O_RDWR)\n"
    program += "print(os.tcgetpgrp(t) == os.getpgrp(), os.isatty(0), os.getsid(0) != os.getpid())"
    async with Terminal.start(python(program), env=clean_env(tmp_path)) as terminal:
        await terminal.until("True True True")


async def test_a_failure_shows_the_terminal(tmp_path: Path) -> None:
    async with Terminal.start(["echo", "something else"], env=clean_env(tmp_path)) as terminal:
        with pytest.raises(AssertionError, match="something else"):
            await terminal.until("never said")


async def test_an_unknown_program_is_named(tmp_path: Path) -> None:
    async with Terminal.start(["no-such-program"], env=clean_env(tmp_path)) as terminal:
        assert await terminal.exit_status() == 127
        assert "no-such-program: No such file" in terminal.screen()


async def test_nothing_outlives_it(tmp_path: Path) -> None:
    program = "import signal, time\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
    program += "print('stubborn', flush=True)\nwhile True: signal.pause()"
    async with Terminal.start(python(program), env=clean_env(tmp_path)) as terminal:
        await terminal.until("stubborn")
        pid = terminal.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_the_fake_browser_notes_the_address(tmp_path: Path) -> None:
    browser = fake_browser(tmp_path)
    for url in ("http://127.0.0.1/?a=b&c='d'%0A", "http://127.0.0.1/2"):
        await anyio.run_process([browser.path, url])
    assert await browser.opened_url() == "http://127.0.0.1/?a=b&c='d'%0A"
    assert len(browser.opened_urls()) == 2


async def test_a_shell_with_jobs_runs_in_it(tmp_path: Path) -> None:
    shell = shutil.which("bash") or missing("bash is not installed")
    env = clean_env(tmp_path, PS1="$ ")
    async with Terminal.start([shell, "--norc", "-i"], env=env) as terminal:
        await terminal.until("$ ")
        await terminal.send_line("cat")
        await terminal.until_modes(lambda modes: modes.canonical)  # bash has let go of the keys
        await terminal.send_line("started")
        await terminal.until(re.compile("started\nstarted"))
        await terminal.send("\x1a")
        await terminal.until(re.compile(r"\[1\]\+  Stopped +cat"))
        await terminal.until_modes(lambda modes: not modes.canonical)
        await terminal.send_line("fg")
        await terminal.until_modes(lambda modes: modes.canonical)
        await terminal.send_line("in front")
        await terminal.until(re.compile("in front\nin front"))
        await terminal.interrupt()
        await terminal.until_modes(lambda modes: not modes.canonical)
        await terminal.send_line("exit 3")
        assert await terminal.exit_status() == 3
