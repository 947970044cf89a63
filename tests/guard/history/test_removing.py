"""What a removal holds to: locks, owners, links, faults, size (H-A7)."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Final

import anyio
import pytest

from guard.errors import FileUnwritable, UnsafeFile
from guard.history import locks, rewriting
from guard.history.quiet import Others, others_of
from guard.history.rewriting import Plan, swapped
from tests.guard.history.seeded import SECRET, look, names, of
from tests.rigs.parts import missing
from tests.rigs.waiting import comes_true

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from guard.history import Removal

NOBODY: Final = 65534
BEFORE: Final = f"one\ntrue {SECRET}\ntwo\n".encode()
AFTER: Final = b"one\ntwo\n"
NOT_YET: Final = 0.3
"""Seconds in which what is locked out would have happened."""
PATIENCE: Final = 30.0


class StopLookingError(Exception):
    """What a look raises that has run out of time."""


def written(home: Path, name: str = ".bash_history", data: bytes = BEFORE) -> Path:
    path = home / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(0o600)
    return path


def removed(home: Path, **environ: str) -> Removal:
    """Remove the secret from the one history there is."""
    (removal,) = of(home, **environ).remove(look)
    return removal


def needs_root() -> None:
    if os.geteuid() != 0:
        missing("only root can give files away")


# Locks


@contextlib.contextmanager
def zsh_link(path: Path) -> Iterator[None]:
    link = path.with_name(f"{path.name}.LOCK")
    link.symlink_to("/pid-1/host-elsewhere")
    yield
    link.unlink()


@contextlib.contextmanager
def zsh_record_lock(path: Path) -> Iterator[None]:
    """In a process of its own, for a process does not lock itself out."""
    script = (
        "import fcntl, sys; f = open(sys.argv[1], 'r+'); fcntl.lockf(f, fcntl.LOCK_EX);"
        "print(flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdin
        assert holder.stdout
        holder.stdout.readline()
        yield
        holder.stdin.close()


@contextlib.contextmanager
def flock(path: Path) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    yield
    os.close(descriptor)


@contextlib.contextmanager
def flock_of_directory(path: Path) -> Iterator[None]:
    with flock(path.parent):
        yield


FISH: Final = ".local/share/fish/fish_history"
LOCKS: Final = {
    "zsh's link": (".zsh_history", zsh_link),
    "zsh's record lock": (".zsh_history", zsh_record_lock),
    "fish's lock": (FISH, flock),
    "fish's lock since 4": (FISH, flock_of_directory),
}


@pytest.mark.parametrize(("name", "hold"), LOCKS.values(), ids=LOCKS)
async def test_h_a7_what_a_shell_does_under_its_lock_is_waited_for(
    name: str, hold: Callable[[Path], contextlib.AbstractContextManager[None]], tmp_path: Path
) -> None:
    """H-A7: nothing changes while it holds the lock, and what it wrote stays."""
    path = written(tmp_path, name)
    looked = Event()

    def noticed(text: str) -> Iterator[str]:
        looked.set()
        return look(text)

    async with anyio.create_task_group() as tasks:
        with hold(path):
            tasks.start_soon(anyio.to_thread.run_sync, of(tmp_path).remove, noticed)
            assert await comes_true(looked.is_set, PATIENCE)
            assert not await comes_true(lambda: path.read_bytes() != BEFORE, NOT_YET)
            path.write_bytes(b"zero\n" + BEFORE)

    assert path.read_bytes() == b"zero\n" + AFTER
    assert names(path.parent) == [path.name]


@pytest.mark.parametrize(("name", "hold"), LOCKS.values(), ids=LOCKS)
def test_a_lock_that_is_never_given_back_is_told(
    name: str,
    hold: Callable[[Path], contextlib.AbstractContextManager[None]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(locks, "PATIENCE", 0.05)
    path = written(tmp_path, name)

    with hold(path):
        removal = removed(tmp_path)

    assert removal.removed == 0
    assert isinstance(removal.problem, UnsafeFile)
    assert "kept it locked" in str(removal.problem)
    assert path.read_bytes() == BEFORE


def test_the_link_that_a_killed_zsh_left_is_taken_away(tmp_path: Path) -> None:
    path = written(tmp_path, ".zsh_history")
    link = tmp_path / ".zsh_history.LOCK"
    link.symlink_to("/pid-1/host-elsewhere")
    os.utime(link, (time.time() - 11,) * 2, follow_symlinks=False)

    assert removed(tmp_path).removed == 1
    assert path.read_bytes() == AFTER
    assert names(tmp_path) == [".zsh_history"]


def test_zsh_finds_the_link_beside_the_name_it_knows(tmp_path: Path) -> None:
    """The file may lie elsewhere, and another zsh may know it there."""
    path = written(tmp_path, "dotfiles/history")
    (tmp_path / ".zsh_history").symlink_to(path)
    with locks.zsh_locked(tmp_path / ".zsh_history", path):
        seen = {each.name for each in tmp_path.rglob("*.LOCK")}
        link = (tmp_path / ".zsh_history.LOCK").readlink()

    assert seen == {".zsh_history.LOCK", "history.LOCK"}
    assert str(link) == f"/pid-{os.getpid()}/host-{socket.gethostname()}"
    assert list(tmp_path.rglob("*.LOCK")) == []


# Writers without locks


@contextlib.contextmanager
def unknown(_: int) -> Iterator[Others]:
    """Keep nobody away, as where there are no leases."""
    yield Others.UNKNOWN


def test_h_a7_what_was_rewritten_during_the_look_is_looked_at_again(tmp_path: Path) -> None:
    """H-A7: the same length, so that only the time tells."""
    path = written(tmp_path)
    other = f"true {SECRET}\nsix\nten\n".encode()
    once = [other]

    def late(text: str) -> Iterator[str]:
        while once:
            path.write_bytes(once.pop())
        return look(text)

    of(tmp_path).remove(late)

    assert path.read_bytes() == b"six\nten\n"


def test_h_a7_what_is_put_in_its_place_during_the_look_is_looked_at_again(tmp_path: Path) -> None:
    """H-A7."""
    path = written(tmp_path)
    other = written(tmp_path, "other", BEFORE + b"three\n")

    def late(text: str) -> Iterator[str]:
        with contextlib.suppress(FileNotFoundError):
            other.replace(path)
        return look(text)

    of(tmp_path).remove(late)

    assert path.read_bytes() == AFTER + b"three\n"


def test_h_a7_what_is_put_in_its_place_in_the_last_moment_is_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """H-A7: between the last look at the name and the exchange."""
    path = written(tmp_path)
    other = written(tmp_path, "other", BEFORE + b"three\n")
    exchange = rewriting._exchange

    def late(one: Path, two: Path) -> None:
        with contextlib.suppress(FileNotFoundError):
            other.replace(path)
        exchange(one, two)

    monkeypatch.setattr(rewriting, "_exchange", late)

    assert removed(tmp_path).removed == 1
    assert path.read_bytes() == AFTER + b"three\n"
    assert names(tmp_path) == [path.name]


def test_h_a7_what_is_appended_to_the_old_file_is_carried_over(tmp_path: Path) -> None:
    """H-A7: by one that had it open before; and a secret in that is left out too."""
    path = written(tmp_path)
    line = len(b"one\n")
    plan = Plan(spans=((line, len(BEFORE) - 4),), removed=1, end=len(BEFORE), number=4)
    late = f"three\ntrue {SECRET}\n".encode()
    rest = Plan(
        spans=((len(BEFORE) + 6, len(BEFORE + late)),),
        removed=1,
        end=len(BEFORE + late),
        number=6,
    )
    descriptor = os.open(path, os.O_RDONLY)
    appender = os.open(path, os.O_WRONLY | os.O_APPEND)
    with swapped(path, descriptor, plan) as old:
        assert old
        assert path.read_bytes() == AFTER
        os.write(appender, late)
        os.close(appender)
        assert old.carry_over(lambda *_: rest) == 1
        old.destroy(mapped=False)
    os.close(descriptor)

    assert path.read_bytes() == AFTER + b"three\n"
    assert names(tmp_path) == [path.name]


def test_h_a7_of_one_that_never_closes_it_is_kept_what_it_wrote(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """H-A7: a program that zsh's locks do not keep away."""
    monkeypatch.setattr(rewriting, "PATIENCE", 0.05)
    path = written(tmp_path, ".zsh_history")
    exchange = rewriting._exchange
    with path.open("ab", buffering=0) as file:

        def late(one: Path, two: Path) -> None:
            file.write(b"three\n")
            exchange(one, two)

        monkeypatch.setattr(rewriting, "_exchange", late)
        assert removed(tmp_path).removed == 1

    assert path.read_bytes() == AFTER + b"three\n"


def test_h_a7_one_that_opened_it_and_had_to_wait_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """H-A7: it has the old file, and writes once that is out of its place."""
    path = written(tmp_path)

    def append() -> None:
        with path.open("ab") as file:
            file.write(b"three\n")

    writer = Thread(target=append)
    exchange = rewriting._exchange

    def late(one: Path, two: Path) -> None:
        writer.start()
        while writer.is_alive() and "BREAKING" not in Path("/proc/locks").read_text():
            pass  # until it waits for the lease
        exchange(one, two)

    monkeypatch.setattr(rewriting, "_exchange", late)

    assert removed(tmp_path).removed == 1
    writer.join()
    assert path.read_bytes() == AFTER + b"three\n"


def test_h_a7_a_look_that_is_given_up_in_the_middle_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """H-A7: whoever looks may run out of time while what others wrote is carried over."""
    path = written(tmp_path)
    exchange = rewriting._exchange

    def late(one: Path, two: Path) -> None:
        with path.open("ab") as file:
            file.write(b"three\n")
        exchange(one, two)

    def given_up(text: str) -> Iterator[str]:
        if "three" in text:
            raise StopLookingError
        return look(text)

    monkeypatch.setattr("guard.history.removing.kept_quiet", unknown)
    monkeypatch.setattr(rewriting, "_exchange", late)
    with pytest.raises(StopLookingError):
        of(tmp_path).remove(given_up)

    assert path.read_bytes() == AFTER + b"three\n"
    assert names(tmp_path) == [path.name]


def test_h_a7_a_look_that_is_given_up_at_once_leaves_all_as_it_was(tmp_path: Path) -> None:
    """H-A7: and no temporary file."""
    path = written(tmp_path)

    def given_up(text: str) -> Iterator[str]:
        raise StopLookingError(text)

    with pytest.raises(StopLookingError):
        of(tmp_path).remove(given_up)

    assert path.read_bytes() == BEFORE
    assert names(tmp_path) == [path.name]


def test_h_a7_a_program_that_keeps_it_open_goes_on_in_the_same_file(tmp_path: Path) -> None:
    """H-A7."""
    path = written(tmp_path)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
    os.write(descriptor, b"three\n")

    assert removed(tmp_path).removed == 1
    os.write(descriptor, b"four\n")
    os.close(descriptor)

    assert path.read_bytes() == AFTER + b"three\nfour\n"


def test_it_is_known_what_others_have_a_file_open_for(tmp_path: Path) -> None:
    path = written(tmp_path)
    descriptor = os.open(path, os.O_RDONLY)
    assert others_of(descriptor) is Others.NOTHING
    with path.open("rb"):
        assert others_of(descriptor) is Others.READING
    with path.open("ab"):
        assert others_of(descriptor) is Others.WRITING
    assert others_of(descriptor) is Others.NOTHING
    os.close(descriptor)


# What the file is, and stays


def test_h_a7_mode_owner_times_and_attributes_stay(tmp_path: Path) -> None:
    """H-A7."""
    path = written(tmp_path)
    path.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(path, 0, NOBODY)
    os.setxattr(path, "user.colour", b"green")
    os.utime(path, ns=(10**18 + 1, 10**18 + 2))
    before = path.stat()

    assert removed(tmp_path).problem is None

    after = path.stat()
    assert path.read_bytes() == AFTER
    assert after.st_ino != before.st_ino
    assert stat.S_IMODE(after.st_mode) == 0o640
    assert (after.st_uid, after.st_gid) == (before.st_uid, before.st_gid)
    assert after.st_mtime_ns == before.st_mtime_ns
    assert os.getxattr(path, "user.colour") == b"green"


def test_the_old_bytes_are_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path)
    seen = []
    unlink = Path.unlink

    def noticed(self: Path, *, missing_ok: bool = False) -> None:
        if self.exists():
            seen.append(self.read_bytes())
        unlink(self, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", noticed)
    removed(tmp_path)

    assert path.read_bytes() == AFTER
    assert seen == [bytes(len(BEFORE))]


def test_what_a_fish_still_has_mapped_does_not_change_under_it(tmp_path: Path) -> None:
    path = written(tmp_path, FISH)
    with path.open("rb") as reading:
        assert removed(tmp_path).removed == 1
        assert reading.read() == BEFORE

    assert path.read_bytes() == AFTER
    assert names(path.parent) == [path.name]


def test_a_linked_history_is_cleaned_where_it_lies(tmp_path: Path) -> None:
    target = written(tmp_path, "dotfiles/bash/history")
    link = tmp_path / ".bash_history"
    link.symlink_to("dotfiles/bash/history")

    removal = removed(tmp_path)

    assert (removal.path, removal.removed) == (link, 1)
    assert link.is_symlink()
    assert target.read_bytes() == AFTER


@pytest.mark.parametrize("shell", [".bash_history", ".zsh_history", FISH])
def test_a_history_in_a_linked_directory_is_cleaned(shell: str, tmp_path: Path) -> None:
    path = written(tmp_path / "real", shell)
    (tmp_path / "home").symlink_to("real")
    link = path.with_name("link")
    path.replace(link)
    path.symlink_to(link.name)

    assert removed(tmp_path / "home").problem is None
    assert link.read_bytes() == AFTER
    assert names(path.parent) == sorted([path.name, "link"])


def anothers(path: Path) -> None:
    needs_root()
    os.chown(path, NOBODY, NOBODY)


def anothers_link(path: Path) -> None:
    needs_root()
    path.replace(path.with_name("target"))
    path.symlink_to("target")
    os.chown(path, NOBODY, NOBODY, follow_symlinks=False)


def a_hard_link(path: Path) -> None:
    path.with_name("second").hardlink_to(path)


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def a_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


REFUSED: Final[dict[Callable[[Path], None], str]] = {
    anothers: "belongs to another user",
    anothers_link: "another user made this symbolic link",
    a_hard_link: "second name",
    a_pipe: "not a regular file",
    a_directory: "not a regular file",
    a_device: "not a regular file",
}


@pytest.mark.parametrize(
    ("spoil", "words"), REFUSED.items(), ids=[each.__name__ for each in REFUSED]
)
def test_what_is_no_history_of_this_persons_is_refused_and_the_others_are_cleaned(
    spoil: Callable[[Path], None], words: str, tmp_path: Path
) -> None:
    path = written(tmp_path)
    spoil(path)
    other = written(tmp_path, ".python_history")
    told = []

    findings = list(of(tmp_path).find(look, unreadable=lambda *those: told.append(str(those[1]))))
    removals = {each.shell: each for each in of(tmp_path).remove(look)}

    assert [found.path for found in findings] == [other]
    assert words in told[0]
    assert words in str(removals["bash"].problem)
    assert removals["bash"].problem
    assert removals["bash"].problem.remedy
    assert removals["bash"].removed == 0
    assert removals["python"].removed == 1
    assert other.read_bytes() == AFTER


# Faults


@pytest.mark.parametrize("call", ["write", "fsync", "fchmod"])
@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_a_disk_that_refuses_leaves_the_file_as_it_was(
    call: str, fault: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path)

    def refusing(*_: object) -> None:
        raise OSError(fault, os.strerror(fault))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, refusing)
        removal = removed(tmp_path)

    assert isinstance(removal.problem, FileUnwritable)
    assert os.strerror(fault) in str(removal.problem)
    assert removal.removed == 0
    assert path.read_bytes() == BEFORE
    assert names(tmp_path) == [path.name]


def test_where_the_system_cannot_exchange_names_it_is_done_in_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rewriting, "_system_exchange", lambda *_: False)
    path = written(tmp_path)

    assert removed(tmp_path).removed == 1
    assert path.read_bytes() == AFTER
    assert names(tmp_path) == [path.name]


def test_where_the_system_knows_no_leases_it_is_watched_for_a_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("guard.history.quiet._lease", lambda *_, **__: Others.UNKNOWN)
    path = written(tmp_path)

    assert removed(tmp_path).removed == 1
    assert path.read_bytes() == AFTER


def test_what_a_killed_process_left_is_destroyed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rewriting, "_FORGOTTEN", -1.0)
    written(tmp_path, ".bash_history", AFTER)
    written(tmp_path, ".bash_history.0123456789ab.tmp")
    written(tmp_path, "..bash_history.0123456789ab.tmp")

    assert of(tmp_path).remove(look) == []
    assert names(tmp_path) == [".bash_history", ".bash_history.0123456789ab.tmp"]


KILLED: Final = """
import os, signal, sys
from pathlib import Path
from guard.history import rewriting
from tests.guard.history.seeded import look, of

exchange = rewriting._exchange

def killed(one, other):
    if sys.argv[2] == "after":
        exchange(one, other)
    os.kill(os.getpid(), signal.SIGKILL)

rewriting._exchange = killed
of(Path(sys.argv[1])).remove(look)
"""


@pytest.mark.parametrize(("when", "left"), [("before", BEFORE), ("after", AFTER)])
def test_h_a7_a_removal_that_is_killed_leaves_a_whole_file(
    when: str, left: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """H-A7: and the next one destroys what it left beside it."""
    path = written(tmp_path)

    argv = [sys.executable, "-c", KILLED, str(tmp_path), when]
    killed = subprocess.run(argv, cwd=Path(__file__).parents[3], check=False)

    assert killed.returncode == -signal.SIGKILL
    assert path.read_bytes() == left
    monkeypatch.setattr(rewriting, "_FORGOTTEN", -1.0)
    of(tmp_path).remove(look)
    assert path.read_bytes() == AFTER
    assert names(tmp_path) == [path.name]


def test_once_removed_nothing_is_written_again(tmp_path: Path) -> None:
    path = written(tmp_path)
    removed(tmp_path)
    before = path.stat()

    assert of(tmp_path).remove(look) == []
    after = path.stat()
    assert (after.st_ino, after.st_ctime_ns) == (before.st_ino, before.st_ctime_ns)


def test_a_line_without_end_is_refused_and_told(tmp_path: Path) -> None:
    path = written(tmp_path)
    with path.open("ab") as file:
        file.truncate(64 << 20)

    assert "longer than" in str(removed(tmp_path).problem)
    assert path.read_bytes()[: len(BEFORE)] == BEFORE


def test_a_huge_history_is_cleaned_in_little_memory(tmp_path: Path) -> None:
    path = written(tmp_path, ".zsh_history", b"")
    page = b": 1700000000:0;echo " + b"x" * 4000 + b"\n"
    with path.open("wb") as file:
        for _ in range(50):
            file.write(page * 500)  # 100 MB in all
            file.write(f"true {SECRET}\n".encode())
    script = (
        "import resource, sys; from pathlib import Path;"
        "from tests.guard.history.seeded import look, of;"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss;"
        "(one,) = of(Path(sys.argv[1])).remove(look);"
        "print(one.removed, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )

    said = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        check=True,
        text=True,
    ).stdout

    number, kilobytes = map(int, said.split())
    assert number == 50
    assert kilobytes < 32 * 1024
    assert path.stat().st_size == len(page) * 25_000
