"""The prompts at a real terminal: what is shown, what arrives, and how the terminal is left."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shlex
import signal
import struct
import subprocess
import sys
import termios
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio import to_thread

from guard.prompt import _HiddenLine
from guard.terminal import ControllingTerminal, _Hiding, _is_free
from tests.rigs.parts import program
from tests.rigs.surroundings import clean_env
from tests.rigs.terminal import Terminal
from tests.rigs.waiting import comes_true

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

PROGRAM = Path(__file__).with_name("prompting.py")
SECRET = "s3cret-T0ken-of-alice"
ASKED = "nothing of it is shown.\n>"
PATIENCE = 30.0


class Run:
    """One run of the program in a terminal.

    Attributes:
        terminal: Where it runs.
        before: The terminal's modes at the start.
    """

    def __init__(self, terminal: Terminal, notes: Path) -> None:
        self.terminal = terminal
        self.before = terminal.modes()
        self._notes = notes

    def notes(self) -> list[dict[str, Any]]:
        """What the program noted, the first first."""
        if not self._notes.exists():
            return []
        return [json.loads(line) for line in self._notes.read_text().splitlines()]

    async def asked(self, question: int = 0) -> None:
        """Wait until it asks, and hides what is typed."""
        await self.terminal.until(f"Paste the secret {question} and press Return; {ASKED}")
        assert not self.terminal.modes().echo

    async def noted(self, count: int) -> dict[str, Any]:
        """Wait until there are `count` notes; return the last one."""
        assert await comes_true(lambda: len(self.notes()) == count, PATIENCE)
        return self.notes()[-1]

    async def shows(self, text: str, times: int) -> None:
        """Wait until the transcript holds `text` so many times."""
        assert await comes_true(lambda: self.terminal.transcript().count(text) == times, PATIENCE)

    async def ended(self, status: int) -> dict[str, Any]:
        """Wait for the end; return the last note. The modes are as they were."""
        assert await self.terminal.exit_status() == status
        assert self.terminal.modes() == self.before
        return self.notes()[-1]


def arguments(path: Path, **order: Any) -> list[str]:
    return [sys.executable, str(PROGRAM), str(path), json.dumps(order)]


@asynccontextmanager
async def asking(
    tmp_path: Path,
    *,
    wrap: tuple[str, ...] = (),
    env: dict[str, str] | None = None,
    columns: int = 100,
    rows: int = 30,
    **order: Any,
) -> AsyncIterator[Run]:
    """Start the program with its order; `wrap` is a program and arguments to start it by."""
    path = tmp_path / "notes"
    argv = [*wrap, *arguments(path, **order)]
    surroundings = clean_env(tmp_path, **(env or {}))
    async with Terminal.start(argv, env=surroundings, columns=columns, rows=rows) as terminal:
        yield Run(terminal, path)


def through_shell(script: str) -> tuple[str, ...]:
    """Return what starts a program by a shell, which finds it as "$@"."""
    return ("/bin/sh", "-c", script, "sh")


def contents(directory: Path, *names: str) -> list[str]:
    """Return what stands in those of the files that are there."""
    return [(directory / name).read_text() for name in names if (directory / name).exists()]


@contextmanager
def opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def pty() -> Iterator[tuple[int, int]]:
    """Make a terminal that is nobody's; reading it does not wait."""
    master, slave = os.openpty()
    os.set_blocking(slave, False)
    try:
        yield master, slave
    finally:
        os.close(slave)
        os.close(master)


def unread(terminal: Terminal) -> int:
    """Return how many bytes wait in the terminal for whoever reads it next."""
    answer = fcntl.ioctl(terminal._slave, termios.FIONREAD, bytes(4))
    return int(struct.unpack("i", answer)[0])


# What is shown


@pytest.mark.parametrize("at_once", [True, False])
async def test_neither_a_secret_nor_its_length_is_seen(tmp_path: Path, *, at_once: bool) -> None:
    """H-B3: the same bytes go to the terminal for 10 characters and for 40."""
    raw = []
    for length in (10, 40):
        secret = ("xK9q" * 10)[:length]
        (tmp_path / str(length)).mkdir()
        async with asking(tmp_path / str(length)) as run:
            await run.asked()
            for piece in [secret] if at_once else secret:
                await run.terminal.send(piece)
            await run.terminal.send_line()
            assert (await run.ended(0))["answer"] == secret
            assert not any(piece in run.terminal.transcript() for piece in ("xK", "K9", "9q"))
            assert "> ******\n" in run.terminal.transcript()
            raw.append(bytes(run.terminal.raw))
    assert raw[0] == raw[1]


async def test_the_mask_tells_whether_there_is_anything(tmp_path: Path) -> None:
    async with asking(tmp_path) as run:
        await run.asked()
        assert run.terminal.screen().endswith("\n>")
        await run.terminal.send("abc")
        await run.terminal.until("> ******")
        await run.terminal.send("\x7f\x7f\x7f")
        assert await comes_true(lambda: run.terminal.screen().endswith("\n>"), PATIENCE)
        await run.terminal.send_line(SECRET)
        assert (await run.ended(0))["answer"] == SECRET


async def test_notes_stand_before_the_question(tmp_path: Path) -> None:
    notes = ["Made at https://example.com/keys", "no \x1b[31morders to\u202e the terminal"]
    async with asking(tmp_path, notes=notes) as run:
        await run.asked()
        shown = run.terminal.transcript()
        assert shown.startswith(
            "Made at https://example.com/keys\nno [31morders to the terminal\nPaste the secret 0"
        )
        assert b"\x1b[31m" not in run.terminal.raw


async def test_the_terminal_is_not_asked_anything(tmp_path: Path) -> None:
    """A terminal that does not answer where its cursor is would cost a second."""
    async with asking(tmp_path, env={"PROMPT_TOOLKIT_NO_CPR": ""}) as run:
        await run.asked()
        await run.terminal.send_line(SECRET)
        assert (await run.ended(0))["answer"] == SECRET
        assert b"\x1b[6n" not in run.terminal.raw


# What arrives


async def test_what_is_entered_goes_into_custody(tmp_path: Path) -> None:
    async with asking(tmp_path) as run:
        await run.asked()
        await run.terminal.send_line(SECRET)
        noted = await run.ended(0)
        assert noted["heard"][:2] == ["learnt client-secret", "secret.entered"]
        assert noted["mine"] == [], "signals are the caller's again"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such switch")
async def test_the_memory_is_closed_before_anything_is_typed(tmp_path: Path) -> None:
    """H-B4: not only once there is a `Secret`; before that it is in plain strings."""
    async with asking(tmp_path, memory=True) as run:
        await run.asked()
        await run.terminal.send_line(SECRET)
        await run.ended(0)
        assert run.notes()[0] == {"open": False}


ACCEPTED = {
    "plain": (SECRET, SECRET),
    "blanks around": (f"  \t{SECRET} \u00a0 ", SECRET),
    "a pasted newline": (f"{SECRET}\n", SECRET),
    "a pasted newline of Windows": (f"{SECRET}\r\n\r\n", SECRET),
    "a marked paste": (f"\x1b[200~{SECRET}\x1b[201~", SECRET),
    "a marked paste with newlines": (f"\x1b[200~\n{SECRET}\r\n\x1b[201~", SECRET),
    "two marked pastes": (f"\x1b[200~{SECRET}\x1b[201~\x1b[200~{SECRET}\x1b[201~", SECRET * 2),
    "corrected": (f"{SECRET}xx\x7f\x08", SECRET),
    "begun again by Ctrl-U": (f"wrong\x15{SECRET}", SECRET),
    "begun again by Ctrl-W": (f"wrong\x17{SECRET}", SECRET),
    "a blank within": ("two words", "two words"),
    "the shortest": ("12345678", "12345678"),
    "the longest": ("x" * 100, "x" * 100),
}


async def test_what_is_harmless_around_a_secret_is_forgiven(tmp_path: Path) -> None:
    """H-B2: blanks and newlines at the ends, pastes marked or not, and a person's corrections."""
    async with asking(tmp_path, times=len(ACCEPTED), limit=100) as run:
        for number, (name, (typed, value)) in enumerate(ACCEPTED.items()):
            await run.asked(number)
            await run.terminal.send_line(typed)
            assert (await run.noted(number + 1)).get("answer") == value, name
        await run.ended(0)
        assert SECRET not in run.terminal.transcript()


REJECTED = {
    "nothing": (b"", "nothing was entered"),
    "blanks": (b" \t ", "nothing was entered"),
    "too short": (b"1234567", "it is shorter than 8 characters"),
    "too long": (b"x" * 101, "it is longer than 100 characters"),
    "lines": (b"first-line\rsecond-line", "it is several lines"),
    "marked lines": (b"\x1b[200~first-line\nsecond-line\x1b[201~", "it is several lines"),
    "NUL": (b"abcd\0efghij", "it holds control characters"),
    "NUL at the end": (b"abcdefghij\0", "it holds control characters"),
    "marked NUL": (b"\x1b[200~abcd\0efghij\x1b[201~", "it holds control characters"),
    "marked Ctrl-Z": (b"\x1b[200~abcd\x1aefghij\x1b[201~", "it holds control characters"),
    "Ctrl-D within": (b"abcdefghij\x04", "it holds control characters"),
    "an arrow key": (b"abcdefghij\x1b[D", "it holds control characters"),
    "a colour": (b"abcd\x1b[31mefgh", "it holds control characters"),
    "an order in a paste": (
        b"\x1b[200~abcd\x1b]0;x\x07efgh\x1b[201~",
        "it holds control characters",
    ),
    "marked Ctrl-D": (b"\x1b[200~\x04\x1b[201~abcdefgh", "it holds control characters"),
    "half an escape sequence": (b"abcdefghij\x1b[", "it holds control characters"),
    "DEL in a paste": (b"\x1b[200~abcd\x7fefgh\x1b[201~", "it holds control characters"),
    "letters outside ASCII": ("gröbenzell".encode(), "it holds characters outside ASCII"),
    "invalid UTF-8": (b"abcdefgh\xff\xfe", "it holds characters outside ASCII"),
    "half a letter": ("abcdefghö".encode()[:-1], "it holds characters outside ASCII"),
    "a right-to-left override": ("abcd\u202eefgh".encode(), "it holds characters outside ASCII"),
    "a blank of no width": ("abcdefgh\u200b".encode(), "it holds characters outside ASCII"),
}


async def test_what_cannot_be_a_secret_is_told_and_asked_for_again(tmp_path: Path) -> None:
    """H-B2: none of it gets through, and none of it is repeated."""
    async with asking(tmp_path, times=len(REJECTED), limit=100) as run:
        for number, (name, (typed, reason)) in enumerate(REJECTED.items()):
            await run.asked(number)
            await run.terminal.send(typed + b"\r")
            await run.terminal.until(f"That cannot be the secret {number}: {reason}")
            await run.terminal.send_line(SECRET)
            assert (await run.noted(number + 1)).get("answer") == SECRET, name
        await run.ended(0)
        shown = run.terminal.transcript()
        assert not any(piece in shown for piece in ("abcd", "efgh", "first-line", "second", "1234"))


async def test_a_third_rejection_ends_it(tmp_path: Path) -> None:
    """H-B2: and the error keeps nothing of what was entered."""
    async with asking(tmp_path, wanted="another-secret", typed=SECRET) as run:
        await run.asked()
        for rejection in (1, 2):
            await run.terminal.send_line(SECRET)
            await run.shows("it is another", rejection)
        await run.terminal.send_line(SECRET)
        assert await run.ended(1) == {
            "error": "SecretRejected",
            "message": "that cannot be the secret 0: it is another.",
            "remedy": "Run the command again and paste the secret 0 from where it was made.",
            "leaks": [],
        }
        assert SECRET not in run.terminal.transcript()


API_TOKEN = "ATATT3xFfGF0" + "kq7Zr2Wm9" * 8 + "=1A2B3C4D"
ADMIN_KEY = "ATCTT3xFfGN0" + "kq7Zr2Wm9" * 8 + "=1A2B3C4D"
OTHER_KINDS = {
    API_TOKEN: "an Atlassian API token",
    "ghp_" + "a1B2" * 9: "a GitHub token",
    f"Basic {'YWxpY2U6aHVudGVyMg=='}": "a login for HTTP Basic authentication",
    f"token={SECRET}": "a value with a secret's name",
}


async def test_another_kind_of_secret_is_told_at_once(tmp_path: Path) -> None:
    """It says what it looks like and what was wanted, and asks again; the right kind passes."""
    accepts = ["atlassian-access-token"]
    async with asking(tmp_path, times=len(OTHER_KINDS) + 1, accepts=accepts) as run:
        for number, (typed, looks_like) in enumerate(OTHER_KINDS.items()):
            await run.asked(number)
            await run.terminal.send_line(typed)
            await run.terminal.until(
                f"That cannot be the secret {number}: it looks like {looks_like}"
            )
            await run.terminal.send_line(ADMIN_KEY)
            assert (await run.noted(number + 1)).get("answer") == ADMIN_KEY, typed
        await run.asked(len(OTHER_KINDS))
        await run.terminal.send_line(SECRET)
        assert (await run.ended(0))["answer"] == SECRET, "what looks like nothing may be anything"
        assert not any(typed in run.terminal.transcript() for typed in OTHER_KINDS)


async def test_a_third_secret_of_another_kind_ends_it(tmp_path: Path) -> None:
    async with asking(tmp_path, accepts=[], typed=API_TOKEN) as run:
        await run.asked()
        for rejection in (1, 2):
            await run.terminal.send_line(API_TOKEN)
            await run.shows("it looks like an Atlassian API token", rejection)
        await run.terminal.send_line(API_TOKEN)
        assert await run.ended(1) == {
            "error": "SecretRejected",
            "message": "that cannot be the secret 0: it looks like an Atlassian API token.",
            "remedy": "Run the command again and paste the secret 0 from where it was made.",
            "leaks": [],
        }


@pytest.mark.parametrize("columns", [30, 60])
async def test_words_are_not_broken_at_the_edge(tmp_path: Path, columns: int) -> None:
    """An address is left whole, for it is clicked or copied."""
    notes = ["It goes to https://auth.example.com/a-very-long-tenant-name and nowhere else."]
    async with asking(tmp_path, columns=columns, notes=notes, accepts=[]) as run:
        await run.terminal.until(re.compile("is\\s+shown"))
        await run.terminal.send_line(API_TOKEN)
        await run.terminal.until(re.compile("API\\s+token"))
        await run.terminal.send_line(SECRET)
        await run.ended(0)
        words = {*run.terminal.transcript().split()}
        assert {"nowhere", "Return;", "nothing", "shown.", "Atlassian", "token."} <= words
        assert b"https://auth.example.com/a-very-long-tenant-name" in run.terminal.raw


async def test_where_one_may_go_on_without_return_alone_does(tmp_path: Path) -> None:
    """And a secret is asked for, checked and taken in as everywhere."""
    async with asking(tmp_path, how="skippable", times=2, wanted=SECRET) as run:
        question = "Paste the secret {} and press Return; nothing of it is shown.\nReturn alone"
        await run.terminal.until(f"{question.format(0)} goes on without it.\n>")
        await run.terminal.send_line("   ")
        assert await run.noted(1) == {"answer": "skipped", "heard": [], "mine": []}
        await run.terminal.until(f"{question.format(1)} goes on without it.\n>")
        await run.terminal.send_line("another-secret")
        await run.terminal.until("it is another")
        await run.terminal.send_line(SECRET)
        ended = await run.ended(0)
        assert ended["answer"] == SECRET
        assert ended["heard"][:2] == ["learnt client-secret", "secret.entered"]
        assert SECRET not in run.terminal.transcript()


@pytest.mark.parametrize("paste", [b"%s", b"\x1b[200~%s\x1b[201~"], ids=["unmarked", "marked"])
@pytest.mark.parametrize("line", [b"pasted-text", b"pasted-text\r"], ids=["one line", "lines"])
async def test_a_huge_paste_is_rejected_and_swallowed(
    tmp_path: Path, paste: bytes, line: bytes
) -> None:
    """H-B2: of 100 kB nothing is shown, and nothing is left for the shell."""
    async with asking(tmp_path) as run:
        await run.asked()
        with anyio.fail_after(PATIENCE):
            await run.terminal.send(paste % (line * 9000) + b"\r")
        await run.terminal.until("it is longer than 16384 characters")
        await run.terminal.send_line(SECRET)
        assert (await run.ended(0))["answer"] == SECRET
        assert "pasted" not in run.terminal.transcript()
        assert not unread(run.terminal)


async def test_what_was_typed_before_the_question_does_not_count(tmp_path: Path) -> None:
    """It was echoed, so it is no secret any more."""
    async with asking(tmp_path, late=True) as run:
        await run.terminal.until("not yet")
        await run.terminal.send("typed-too-early")
        await run.terminal.until("typed-too-early")
        run.terminal.signal(signal.SIGUSR1)
        await run.asked()
        await run.terminal.send_line(SECRET)
        assert (await run.ended(0))["answer"] == SECRET


async def test_what_is_typed_too_much_is_not_left_for_the_shell(tmp_path: Path) -> None:
    async with asking(tmp_path, slow=True) as run:
        await run.asked()
        await run.terminal.send_line(SECRET)
        assert await run.noted(1) == {"checking": True}
        await run.terminal.send("too-much")
        assert await comes_true(lambda: unread(run.terminal) == len("too-much"), PATIENCE)
        run.terminal.signal(signal.SIGUSR1)
        assert (await run.ended(0))["answer"] == SECRET
        assert not unread(run.terminal)
        assert "much" not in run.terminal.transcript()


# How the terminal is left


REDIRECTIONS = [
    f"{source} {out} {err}".strip()
    for source in ("", "<script")
    for out in ("", ">out")
    for err in ("", "2>err")
]
REDIRECTIONS += ["</dev/null", "<&- >&- 2>&-"]


@pytest.mark.parametrize("redirection", REDIRECTIONS)
async def test_it_asks_at_the_terminal_wherever_the_streams_lead(
    tmp_path: Path, redirection: str
) -> None:
    """H-B1: standard input, output and error go elsewhere, in every combination."""
    (tmp_path / "script").write_text("not-a-secret\n")
    wrap = through_shell(f'cd {shlex.quote(str(tmp_path))} && exec "$@" {redirection}')
    async with asking(tmp_path, wrap=wrap) as run:
        await run.asked()
        await run.terminal.send_line(SECRET)
        assert (await run.ended(0))["answer"] == SECRET
        assert not any(SECRET in content for content in contents(tmp_path, "out", "err"))


async def test_a_dumb_terminal_gets_no_control_sequence(tmp_path: Path) -> None:
    """H-B1."""
    async with asking(tmp_path, env={"TERM": "dumb"}) as run:
        await run.asked()
        await run.terminal.send_line(SECRET)
        assert (await run.ended(0))["answer"] == SECRET
        assert b"\x1b" not in run.terminal.raw


async def test_the_terminal_marks_pastes_while_it_asks(tmp_path: Path) -> None:
    async with asking(tmp_path) as run:
        await run.asked()
        assert run.terminal.raw.count(b"\x1b[?2004h") == 1
        assert b"\x1b[?2004l" not in run.terminal.raw
        await run.terminal.send_line(SECRET)
        await run.ended(0)
        assert run.terminal.raw.count(b"\x1b[?2004l") == 1


async def test_a_tiny_window_that_changes_while_one_types(tmp_path: Path) -> None:
    """H-B1, H-B3: 20 columns, 5 rows; then other sizes."""
    async with asking(tmp_path, columns=20, rows=5) as run:
        await run.terminal.until("shown.")
        for size in [(80, 24), (10, 3), (20, 5)]:
            await run.terminal.send(SECRET[:4])
            run.terminal.resize(*size)
        await run.terminal.send_line()
        assert (await run.ended(0))["answer"] == SECRET[:4] * 3
        assert SECRET[:4] not in run.terminal.transcript()


@pytest.mark.parametrize("by_key", [True, False], ids=["Ctrl-Z", "SIGTSTP"])
async def test_while_stopped_the_terminal_is_as_it_was(tmp_path: Path, *, by_key: bool) -> None:
    """H-B1: and hidden again afterwards, with what was typed so far still there."""
    async with asking(tmp_path) as run:
        await run.asked()
        await run.terminal.send(SECRET[:5])
        await run.terminal.until("> ******")
        if by_key:
            await run.terminal.send("\x1a")
        else:
            run.terminal.signal(signal.SIGTSTP)
        assert await run.terminal.until_stopped() == signal.SIGTSTP
        assert run.terminal.modes() == run.before
        run.terminal.signal(signal.SIGCONT)
        await run.terminal.until_modes(lambda modes: not modes.echo)
        assert await comes_true(lambda: run.terminal.raw.count(b"\r> ******") == 2, PATIENCE)
        await run.terminal.send_line(SECRET[5:])
        assert (await run.ended(0))["answer"] == SECRET
        assert not any(piece in run.terminal.transcript() for piece in (SECRET[:5], SECRET[5:]))


async def test_stopped_twice(tmp_path: Path) -> None:
    async with asking(tmp_path) as run:
        await run.asked()
        for _ in range(2):
            await run.terminal.send("\x1a")
            await run.terminal.until_stopped()
            assert run.terminal.modes() == run.before
            run.terminal.signal(signal.SIGCONT)
            await run.terminal.until_going_on()
            await run.terminal.until_modes(lambda modes: not modes.echo)
        await run.terminal.send_line(SECRET)
        assert (await run.ended(0))["answer"] == SECRET


async def test_where_stopping_is_off_the_key_does_nothing(tmp_path: Path) -> None:
    async with asking(tmp_path, wrap=through_shell("trap '' TSTP; exec \"$@\"")) as run:
        await run.asked()
        await run.terminal.send(f"\x1a{SECRET}\r")
        assert (await run.ended(0))["answer"] == SECRET


async def test_where_nobody_can_make_it_go_on_it_does_not_stop(tmp_path: Path) -> None:
    """The kernel does not stop a job whose parents have gone; it is hidden again at once."""
    async with asking(tmp_path, wrap=through_shell('"$@" & exit 0')) as run:
        assert await comes_true(lambda: run.terminal.raw.count(b"\r> ") == 1, PATIENCE)
        await run.terminal.send("\x1a")
        assert await comes_true(lambda: run.terminal.raw.count(b"\r> ") == 2, PATIENCE)
        await run.terminal.send_line(SECRET)
        assert (await run.noted(1))["answer"] == SECRET
        assert SECRET not in run.terminal.transcript()


async def test_only_the_main_thread_of_a_process_minds_signals() -> None:
    assert _is_free(signal.SIGTSTP)
    assert not await to_thread.run_sync(_is_free, signal.SIGTSTP)


async def test_hidden_again_after_a_stop_that_nothing_announced(tmp_path: Path) -> None:
    """H-B1: after SIGSTOP a shell has set the terminal its own way."""
    async with asking(tmp_path) as run:
        await run.asked()
        hidden = termios.tcgetattr(run.terminal._slave)
        run.terminal.signal(signal.SIGSTOP)
        await run.terminal.until_stopped()
        shown = [*hidden[:3], hidden[3] | termios.ECHO | termios.ICANON, *hidden[4:]]
        termios.tcsetattr(run.terminal._slave, termios.TCSANOW, shown)
        run.terminal.signal(signal.SIGCONT)
        await run.terminal.until_modes(lambda modes: not modes.echo)
        await run.terminal.send_line(SECRET)
        assert (await run.ended(0))["answer"] == SECRET
        assert SECRET not in run.terminal.transcript()


async def test_behind_a_shell_it_waits_and_takes_nothing(tmp_path: Path) -> None:
    """H-B1: stopped, let run in the background, brought back; the shell gets what it reads."""
    shell = [program("bash"), "--norc", "--noprofile", "-i"]
    notes = tmp_path / "notes"
    async with Terminal.start(shell, env=clean_env(tmp_path, PS1="$ ")) as terminal:
        await terminal.until("$")
        await terminal.send_line(shlex.join(arguments(notes)))
        await terminal.until("press Return; nothing of it is shown.")
        await terminal.send("\x1a")
        await terminal.until("Stopped")
        await terminal.send_line("bg")
        await terminal.send_line("echo shell'-reads'")
        await terminal.until("shell-reads")
        await terminal.send_line("echo again'-reads'; fg")
        await terminal.until("again-reads")
        await terminal.until_modes(lambda modes: not modes.echo and not modes.canonical)
        assert await comes_true(lambda: terminal.screen().endswith("\n>"), PATIENCE)
        await terminal.send_line(SECRET)
        await terminal.until("the end")
        await terminal.send_line("exit 7")
        assert await terminal.exit_status() == 7
        assert SECRET not in terminal.transcript()
        assert terminal.transcript().count("Stopped") == 1, "not by reading behind the shell"
    assert json.loads(notes.read_text())["answer"] == SECRET


async def test_a_stopped_prompt_can_be_ended_behind_a_shell(tmp_path: Path) -> None:
    """H-B1: it does not wait for a terminal that is somebody else's now."""
    shell = [program("bash"), "--norc", "--noprofile", "-i"]
    notes = tmp_path / "notes"
    async with Terminal.start(shell, env=clean_env(tmp_path, PS1="$ ")) as terminal:
        await terminal.until("$")
        await terminal.send_line(shlex.join(arguments(notes)))
        await terminal.until("press Return; nothing of it is shown.")
        await terminal.send("\x1a")
        await terminal.until("Stopped")
        await terminal.send_line("kill %1")
        await terminal.until("the end")
    assert json.loads(notes.read_text()) == {"signal": "SIGTERM"}


@pytest.mark.parametrize("key", ["\x03", "\x04", "abc\x03"], ids=["Ctrl-C", "Ctrl-D", "typed"])
async def test_a_person_can_leave(tmp_path: Path, key: str) -> None:
    """H-B1: the terminal is as it was, and what follows starts on a line of its own."""
    async with asking(tmp_path) as run:
        await run.asked()
        await run.terminal.send(key)
        assert (await run.ended(1))["error"] == "PromptInterrupted"
        assert run.terminal.screen().endswith("\nthe end")


async def test_ctrl_c_gets_out_of_a_paste_that_never_ends(tmp_path: Path) -> None:
    """H-B2: a terminal that crashed in the middle of a paste."""
    async with asking(tmp_path, typed="half-a-secret") as run:
        await run.asked()
        await run.terminal.send("\x1b[200~half-a-secret\r\x03")
        left = await run.ended(1)
        assert (left["error"], left["leaks"]) == ("PromptInterrupted", [])


@pytest.mark.parametrize(
    ("number", "status", "note"),
    [
        (signal.SIGTERM, 1, {"signal": "SIGTERM"}),
        (signal.SIGHUP, 1, {"signal": "SIGHUP"}),
        (signal.SIGINT, 130, {"error": "KeyboardInterrupt"}),
    ],
)
async def test_signals_restore_the_terminal(
    tmp_path: Path, number: signal.Signals, status: int, note: dict[str, str]
) -> None:
    """H-B1."""
    async with asking(tmp_path) as run:
        await run.asked()
        await run.terminal.send("half-a-secret")
        await run.terminal.until("> ******")
        run.terminal.signal(number)
        assert await run.ended(status) == note
        assert run.terminal.screen().endswith("> ******\nthe end")
        assert not unread(run.terminal)


@pytest.mark.parametrize("nohup", [False, True])
async def test_a_closed_terminal_ends_it(tmp_path: Path, *, nohup: bool) -> None:
    """H-B1: by SIGHUP or by what reading tells, whichever is first; by the latter alone, too."""
    async with asking(tmp_path, nohup=nohup) as run:
        await run.asked()
        run.terminal.hang_up()
        await run.terminal.exit_status()
        by_signal = run.notes()[-1] == {"signal": "SIGHUP"} and not nohup
        assert by_signal or run.notes()[-1]["error"] == "PromptInterrupted"


async def test_whatever_else_comes_first_ends_it(tmp_path: Path) -> None:
    """It runs beside a listener; the next output starts on a line of its own."""
    async with asking(tmp_path, listener=True) as run:
        await run.asked()
        run.terminal.signal(signal.SIGUSR1)
        assert await run.terminal.exit_status() == 1
        assert run.terminal.modes() == run.before
        assert run.notes() == []
        assert run.terminal.screen().endswith("\n>\nthe end")


async def test_an_idle_prompt_ends(tmp_path: Path) -> None:
    """H-B4."""
    async with asking(tmp_path, seconds=0.2) as run:
        await run.terminal.until("shown.")
        ended = await run.ended(1)
        assert ended["error"] == "PromptTimedOut"
        assert ended["message"] == "the prompt ended: nothing was entered for 0 seconds."
        assert run.terminal.screen().endswith("\nthe end")


async def test_another_reader_of_the_terminal_is_noticed(tmp_path: Path) -> None:
    """H-B4: it took away a part of what was typed."""
    async with asking(tmp_path, thief=True) as run:
        await run.asked()

        async def noticed() -> bool:
            await run.terminal.send("x")
            return bool(run.notes())

        assert await comes_true(noticed, PATIENCE)
        assert (await run.ended(1))["error"] == "TerminalRequired"
        assert "another program reads from it" in run.notes()[-1]["message"]
        assert "revoke that secret" in run.notes()[-1]["remedy"]


# Refusals


async def test_an_agent_is_refused_and_nothing_is_shown(tmp_path: Path) -> None:
    """H-B5."""
    async with asking(tmp_path, agent="codex") as run:
        ended = await run.ended(1)
        assert ended["error"] == "HumanRequired"
        assert "codex" in ended["message"]
        assert run.terminal.transcript() == "the end"


def test_without_a_terminal_it_is_refused(tmp_path: Path) -> None:
    """H-B1, H-B5: a session of its own."""
    notes = tmp_path / "notes"
    done = subprocess.run(
        arguments(notes), env=clean_env(tmp_path), start_new_session=True, check=False
    )
    assert done.returncode == 1
    assert json.loads(notes.read_text())["message"] == (
        "this needs a terminal of your own: this process has none."
    )


async def test_in_the_background_it_is_refused(tmp_path: Path) -> None:
    """H-B1: `&` in a shell; the foreground job goes on undisturbed."""
    async with asking(tmp_path, wrap=through_shell('set -m; "$@" & wait $!; exit 3')) as run:
        ended = await run.ended(3)
        assert ended["error"] == "TerminalRequired"
        assert "runs in its background" in ended["message"]


async def test_where_the_system_cannot_wait_for_a_terminal_it_is_looked_at(tmp_path: Path) -> None:
    """As on macOS; here it is a file that the event loop does not take."""
    (tmp_path / "typed").write_bytes(b"abc")
    with opened(tmp_path / "typed") as descriptor:
        assert await ControllingTerminal(descriptor, descriptor, plain=True).read() == b"abc"


async def test_what_cannot_be_read_is_gone(tmp_path: Path) -> None:
    """Here it is a directory."""
    with opened(tmp_path) as descriptor:
        assert await ControllingTerminal(descriptor, descriptor, plain=True).read() == b""


@pytest.mark.parametrize("how", ["stopped", "behind"])
async def test_what_a_shell_read_meanwhile_was_not_stolen(how: str) -> None:
    """Its turn at the terminal was announced by a stop, or this process was behind it."""
    looks = []

    class Disturbed(ControllingTerminal):
        async def _readable(self) -> bool:
            looks.append("look")
            if len(looks) > 1:
                os.write(master, b"abc\n")
                await anyio.wait_readable(self.source)
            elif how == "stopped":
                self.disturb()
            return True

        def in_foreground(self) -> bool:
            return bool(looks) or how == "stopped"

    with pty() as (master, slave):
        assert await Disturbed(slave, slave, plain=True).read() == b"abc\n"
    assert len(looks) == 2


async def test_nothing_is_read_behind_a_shell() -> None:
    """What is typed there is the shell's, and reading it would stop this process."""
    looks = []

    class Behind(ControllingTerminal):
        def in_foreground(self) -> bool:
            looks.append("look")
            return len(looks) > 3

    with pty() as (master, slave):
        os.write(master, b"abc\n")
        assert await Behind(slave, slave, plain=True).read() == b"abc\n"
    assert len(looks) == 4


async def test_nothing_is_hidden_any_more_after_the_end() -> None:
    """A prompt that was ended behind a shell leaves no look at the terminal for later."""

    class Behind(ControllingTerminal):
        def in_foreground(self) -> bool:
            return False

    with pty() as (_, slave):
        terminal = Behind(slave, slave, plain=True)
        hiding = _Hiding(terminal, lambda: None, termios.tcgetattr(slave))
        hiding._go_on()
        assert not terminal._undisturbed
        later = hiding._later
        hiding.end()
    assert later is not None
    assert later.cancelled()


async def test_a_stop_however_long_does_not_count_as_idle() -> None:
    """Except for the moment after Return, when waiting anew would be waiting for nothing."""
    anew: list[bool] = []

    class Fake(ControllingTerminal):
        def write(self, text: str) -> None:
            del text

        async def read(self) -> bytes:
            line._patience.deadline = anyio.current_time() + 1e-3
            line.draw()
            anew.append(line._patience.deadline - anyio.current_time() > 1)
            await anyio.sleep(0 if len(anew) == 1 else PATIENCE)
            return SECRET.encode() + b"\r"

    line = _HiddenLine(Fake(-1, -1, plain=True), "secret", seconds=PATIENCE, limit=100)
    assert await line.ask() == SECRET
    assert anew == [True, False]


async def test_no_more_is_kept_than_can_be_of_use() -> None:
    kept = []

    class Fake(ControllingTerminal):
        def write(self, text: str) -> None:
            del text

        async def read(self) -> bytes:
            kept.append(len(line._typed))
            await anyio.sleep(0 if len(kept) < 4 else PATIENCE)
            return b"x" * 1000 if len(kept) < 3 else b"\r"

    line = _HiddenLine(Fake(-1, -1, plain=True), "secret", seconds=PATIENCE, limit=100)
    assert await line.ask() == "x" * 200
    assert kept == [0, 200, 200, 201]


# In sight


async def test_a_visible_question(tmp_path: Path) -> None:
    async with asking(tmp_path, how="visible") as run:
        await run.terminal.until("Answer:")
        await run.terminal.send_line("  alice@example.com ")
        assert (await run.ended(0))["answer"] == "alice@example.com"
        assert run.terminal.screen().startswith("Answer:   alice@example.com\n")


async def test_an_empty_answer_is_the_default(tmp_path: Path) -> None:
    async with asking(tmp_path, how="visible", default="one.example.net") as run:
        await run.terminal.until("Answer [one.example.net]:")
        await run.terminal.send_line()
        assert (await run.ended(0))["answer"] == "one.example.net"


async def test_a_default_may_be_empty(tmp_path: Path) -> None:
    async with asking(tmp_path, how="visible", default="", wanted="something") as run:
        await run.terminal.until("Answer:")
        await run.terminal.send_line()
        assert (await run.ended(0))["answer"] == ""


async def test_what_is_no_answer_is_asked_for_again(tmp_path: Path) -> None:
    answers = [("", "nothing was entered"), ("a\x1b[Db", "control or invisible"), ("c", "another")]
    async with asking(tmp_path, how="visible", wanted="yes") as run:
        await run.terminal.until("Answer:")
        for answer, reason in answers:
            await run.terminal.send_line(answer)
            await run.terminal.until(reason) if reason != "another" else None
        ended = await run.ended(1)
        assert ended["message"] == "that cannot be the answer: it is another."
        assert ended["remedy"] == "Run the command again and give the answer."


@pytest.mark.parametrize(
    "answer", ["ghp_" + "a1B2" * 9, "https://x-token-auth:ATBB" + "a1B2" * 7 + "@bitbucket.org/w/r"]
)
async def test_a_secret_is_no_answer_to_a_visible_question(tmp_path: Path, answer: str) -> None:
    async with asking(tmp_path, how="visible") as run:
        await run.terminal.until("Answer:")
        await run.terminal.send_line(answer)
        ended = await run.ended(1)
        assert ended["error"] == "SecretRejected"
        assert "it looks like" in ended["message"]
        assert ended["remedy"].startswith(
            "Revoke it where it was made, for it stands on the screen"
        )
        assert "give the answer" in ended["remedy"]
        assert answer not in f"{ended}"


@pytest.mark.parametrize(
    ("how", "key", "status", "error"),
    [
        ("visible", "\x03", 130, "KeyboardInterrupt"),
        ("visible", "\x04", 1, "PromptInterrupted"),
        ("visible", "half\x03", 130, "KeyboardInterrupt"),
        ("visible", "", 1, "PromptTimedOut"),
        ("choose", "\x03", 1, "PromptInterrupted"),
        ("choose", "\x04", 1, "PromptInterrupted"),
        ("choose", "", 1, "PromptTimedOut"),
    ],
)
async def test_a_visible_question_can_be_left(
    tmp_path: Path, how: str, key: str, status: int, error: str
) -> None:
    """H-B1, H-B4: by a key, or by doing nothing."""
    seconds = PATIENCE if key else 0.2
    async with asking(tmp_path, how=how, seconds=seconds, options=["one", "two"]) as run:
        await run.terminal.until("Answer:" if how == "visible" else "2. two")
        await run.terminal.send(key)
        assert (await run.ended(status))["error"] == error
        assert run.terminal.screen().endswith("\nthe end")
        assert not unread(run.terminal)


async def test_lines_after_the_answer_are_not_left_for_the_shell(tmp_path: Path) -> None:
    async with asking(tmp_path, how="visible") as run:
        await run.terminal.until("Answer:")
        await run.terminal.send("first\rsecond\r")
        assert (await run.ended(0))["answer"] == "first"
        assert not unread(run.terminal)


async def test_a_visible_question_outlives_a_stop(tmp_path: Path) -> None:
    async with asking(tmp_path, how="visible") as run:
        await run.terminal.until("Answer:")
        await run.terminal.send("\x1a")
        await run.terminal.until_stopped()
        run.terminal.signal(signal.SIGCONT)
        await run.terminal.until_going_on()
        await run.terminal.send_line("yes")
        assert (await run.ended(0))["answer"] == "yes"


OPTIONS = ["one.example.net", "two.example.net", "three.\x1b[31mexample.net"]


@pytest.mark.parametrize(
    ("keys", "chosen"), [("\r", 0), ("\x1b[B\r", 1), ("\x1b[B\x1b[B\r", 2), ("2\r", 1)]
)
async def test_choosing_by_arrow_keys_or_number(tmp_path: Path, keys: str, chosen: int) -> None:
    """The terminal is asked nothing, and what an option's name holds is no order to it."""
    surroundings = {"PROMPT_TOOLKIT_NO_CPR": ""}
    async with asking(tmp_path, how="choose", options=OPTIONS, env=surroundings) as run:
        await run.terminal.until("3. three.[31mexample.net")
        await run.terminal.send(keys)
        assert (await run.ended(0))["answer"] == chosen
        assert b"\x1b[6n" not in run.terminal.raw


async def test_choosing_outlives_a_stop(tmp_path: Path) -> None:
    """H-B1: the terminal is sane meanwhile."""
    async with asking(tmp_path, how="choose", options=OPTIONS) as run:
        await run.terminal.until("3. three")
        await run.terminal.send("\x1b[B\x1a")
        await run.terminal.until_stopped()
        assert run.terminal.echo_is_on()
        run.terminal.signal(signal.SIGCONT)
        await run.terminal.until_modes(lambda modes: not modes.echo)
        await run.terminal.send_line()
        assert (await run.ended(0))["answer"] == 1


@pytest.mark.parametrize(
    ("term", "columns", "rows"),
    [("dumb", 80, 24), ("xterm", 20, 24), ("xterm", 80, 5), ("xterm", 20, 5)],
)
async def test_choosing_by_number_where_there_is_no_room(
    tmp_path: Path, term: str, columns: int, rows: int
) -> None:
    """H-B1."""
    surroundings = {"TERM": term}
    order = asking(
        tmp_path, how="choose", options=OPTIONS, env=surroundings, columns=columns, rows=rows
    )
    async with order as run:
        for question, answer in enumerate(["4", "²", "3"], 1):
            await run.shows("Number [1]:", question)
            await run.terminal.send_line(answer)
        assert (await run.ended(0))["answer"] == 2
        assert b"\x1b" not in run.terminal.raw


@pytest.mark.parametrize("how", ["visible", "choose"])
async def test_an_agent_is_not_asked_in_sight_either(tmp_path: Path, how: str) -> None:
    """H-B5."""
    async with asking(tmp_path, how=how, options=OPTIONS, agent="codex") as run:
        assert (await run.ended(1))["error"] == "HumanRequired"
        assert run.terminal.transcript() == "the end"
