"""Private files: nobody else's, nobody else's to read, and replaced whole or not at all (H-E2)."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from guard.errors import FileUnwritable, UnsafeFile
from guard.files import (
    check_private_directory,
    check_private_file,
    create_private,
    ensure_private_directory,
    prove_replaceable,
    read_private,
    remove_private,
    replace_private,
    sweep_temporaries,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT: Final = Path(__file__).parents[2]
NOBODY: Final = 65534


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A private directory."""
    path = tmp_path / "private"
    path.mkdir(mode=0o700)
    return path


@pytest.fixture(params=[0o000, 0o022, 0o077, 0o277], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    """Whatever umask a person has."""
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def private(path: Path, data: bytes = b"old") -> Path:
    path.write_bytes(data)
    path.chmod(0o600)
    return path


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


# What stands in the file's place


def a_link(path: Path) -> None:
    path.symlink_to(private(path.with_name("target")))


def a_dangling_link(path: Path) -> None:
    path.symlink_to(path.with_name("nowhere"))


def a_hard_link(path: Path) -> None:
    path.hardlink_to(private(path.with_name("target")))


def a_pipe(path: Path) -> None:
    os.mkfifo(path, 0o600)


def a_directory(path: Path) -> None:
    path.mkdir(mode=0o700)


def a_socket(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # a socket's path is short
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path.name)
    finally:
        os.chdir(here)
    path.chmod(0o600)


def readable_by_the_group(path: Path) -> None:
    private(path).chmod(0o640)


def readable_by_all(path: Path) -> None:
    private(path).chmod(0o604)


def writable_by_all(path: Path) -> None:
    private(path).chmod(0o602)


REPLACED: Final[dict[Callable[[Path], None], str]] = {
    a_link: "symbolic link",
    a_dangling_link: "symbolic link",
    a_hard_link: "second name",
    a_pipe: "not a regular file",
    a_directory: "not a regular file",
    a_socket: "",
    readable_by_the_group: "0640",
    readable_by_all: "0604",
    writable_by_all: "0602",
}


@pytest.mark.parametrize("put", REPLACED, ids=lambda put: put.__name__)
@pytest.mark.parametrize(
    "use",
    [
        read_private,
        check_private_file,
        lambda path: replace_private(path, b"new"),
        lambda path: prove_replaceable(path, 10),
    ],
    ids=["read", "check", "replace", "prove"],
)
def test_what_stands_in_the_files_place_is_refused_and_left(
    home: Path, put: Callable[[Path], None], use: Callable[[Path], object]
) -> None:
    """H-E2: opening a pipe does not wait for a writer either."""
    path = home / "auth.conf"
    put(path)
    before = [(name, (home / name).lstat().st_ino) for name in names(home)]
    with pytest.raises(UnsafeFile) as caught:
        use(path)
    assert REPLACED[put] in caught.value.problem
    assert str(path) in caught.value.remedy
    assert [(name, (home / name).lstat().st_ino) for name in names(home)] == before


def foreign(tmp_path: Path, kind: str) -> Path:
    """Return a file or directory of another owner's with a private mode, or near it."""
    path = tmp_path / kind
    if os.geteuid() != 0:
        return Path("/etc/passwd" if kind == "file" else "/etc")
    path.mkdir(mode=0o700) if kind == "directory" else private(path)
    os.chown(path, NOBODY, NOBODY)
    return path


@pytest.mark.parametrize(
    ("kind", "check"), [("file", check_private_file), ("directory", check_private_directory)]
)
def test_what_belongs_to_another_is_refused(
    tmp_path: Path, kind: str, check: Callable[[Path], object]
) -> None:
    """H-E2."""
    with pytest.raises(UnsafeFile, match="belongs to another user"):
        check(foreign(tmp_path, kind))


@pytest.mark.parametrize("wanted", [0o770, 0o705, 0o701, 0o720])
def test_a_directory_open_to_others_is_refused_with_the_fix(home: Path, wanted: int) -> None:
    """H-E2."""
    home.chmod(wanted)
    for use in (check_private_directory, ensure_private_directory):
        with pytest.raises(UnsafeFile) as caught:
            use(home)
        assert caught.value.remedy == f"Run `chmod 700 {home}`."
    assert mode(home) == wanted


def test_a_link_to_a_private_directory_is_refused(home: Path, tmp_path: Path) -> None:
    """H-E2."""
    (tmp_path / "link").symlink_to(home)
    for use in (check_private_directory, ensure_private_directory):
        with pytest.raises(UnsafeFile, match="symbolic link"):
            use(tmp_path / "link")


def test_a_file_is_no_directory(home: Path) -> None:
    private(home / "file")
    for use in (check_private_directory, ensure_private_directory):
        with pytest.raises(UnsafeFile, match="not a directory"):
            use(home / "file")


def test_a_missing_directory_is_told_or_made(tmp_path: Path, umask: int) -> None:
    """H-E2: made private whatever the umask, and found so again."""
    path = tmp_path / "a" / "b"
    with pytest.raises(FileNotFoundError):
        check_private_directory(path)
    if umask == 0o277:
        path.parent.mkdir()
        path.parent.chmod(0o700)
    ensure_private_directory(path)
    ensure_private_directory(path)
    assert mode(path) == 0o700 & ~umask


def test_a_directory_that_cannot_be_made_is_told(home: Path) -> None:
    private(home / "file")
    with pytest.raises(FileUnwritable, match="Not a directory"):
        ensure_private_directory(home / "file" / "below")


# Reading


def test_what_was_written_is_read(home: Path, umask: int) -> None:
    """H-E2."""
    path = home / "auth.conf"
    replace_private(path, b"one")
    assert mode(path) == 0o600 & ~umask
    assert read_private(path) == b"one"
    replace_private(path, b"")
    assert read_private(path) == b""


def test_a_long_file_is_read_whole(home: Path) -> None:
    data = os.urandom(3 * 1024 * 1024 + 7)
    assert read_private(private(home / "f", data)) == data


def test_no_file_is_none_and_no_error(home: Path) -> None:
    assert read_private(home / "f") is None
    assert not check_private_file(home / "f")
    assert not remove_private(home / "f")


def test_a_file_is_noticed(home: Path) -> None:
    assert check_private_file(private(home / "f"))


def test_a_file_that_is_too_long_is_refused_unread(home: Path) -> None:
    path = private(home / "f", b"12345")
    assert read_private(path, limit=5) == b"12345"
    with pytest.raises(UnsafeFile, match="5 bytes long"):
        read_private(path, limit=4)


def test_no_descriptor_is_left_open(home: Path) -> None:
    lowest = os.open(os.devnull, os.O_RDONLY)
    os.close(lowest)
    replace_private(home / "f", b"one")
    read_private(home / "f")
    with pytest.raises(UnsafeFile):
        read_private(home / "f", limit=1)
    create_private(home / "g", b"two")
    again = os.open(os.devnull, os.O_RDONLY)
    os.close(again)
    assert again == lowest


# Replacing


def test_nothing_but_the_file_is_left(home: Path) -> None:
    replace_private(home / "f", b"one")
    replace_private(home / "f", b"two")
    create_private(home / "g", b"three")
    create_private(home / "g", b"four")
    prove_replaceable(home / "f", 100)
    assert names(home) == ["f", "g"]


def test_a_reader_that_has_it_open_keeps_what_it_opened(home: Path) -> None:
    """The file is not written over: another takes its name."""
    path = private(home / "f", b"one")
    with path.open("rb") as reader:
        replace_private(path, b"two")
        assert reader.read() == b"one"
    assert path.read_bytes() == b"two"


def test_a_proof_changes_nothing(home: Path) -> None:
    path = private(home / "f", b"one")
    before = path.stat()
    prove_replaceable(path, 1_000_000)
    prove_replaceable(home / "g", 10)
    assert path.stat().st_ino == before.st_ino
    assert path.read_bytes() == b"one"
    assert names(home) == ["f"]


def test_only_the_first_creates(home: Path) -> None:
    assert create_private(home / "f", b"one")
    assert not create_private(home / "f", b"two")
    assert read_private(home / "f") == b"one"
    assert mode(home / "f") == 0o600


def test_of_many_creators_one_wins_and_all_read_its_bytes(home: Path) -> None:
    """H-D1: none is refused for the second name that a file has while it is made."""
    path = home / "f"
    start = threading.Barrier(16)

    def create(number: int) -> tuple[bool, bytes | None]:
        start.wait()
        return create_private(path, b"%d" % number), read_private(path)

    with ThreadPoolExecutor(16) as threads:
        results = list(threads.map(create, range(16)))
    winners = [number for number, (won, _) in enumerate(results) if won]
    assert len(winners) == 1
    assert {data for _, data in results} == {b"%d" % winners[0]}
    assert names(home) == ["f"]


KILLED = """
import os, signal, sys
from pathlib import Path
from guard.files import create_private
Path.unlink = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
create_private(Path(sys.argv[1]), b"one")
"""


def test_a_creator_that_was_killed_leaves_a_file_that_can_be_used(home: Path) -> None:
    """H-D2: it had the second name still."""
    path = home / "f"
    command = [sys.executable, "-c", KILLED, str(path)]
    done = subprocess.run(command, env={"PYTHONPATH": str(ROOT)}, check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(names(home)) == 2
    assert read_private(path) == b"one"
    assert names(home) == ["f"]


def test_the_temporary_file_of_another_is_left(home: Path) -> None:
    path = private(home / "f", b"one")
    private(home / ".f.0123456789ab.tmp", b"another")
    (home / "keep.tmp").hardlink_to(path)
    with pytest.raises(UnsafeFile, match="second name"):
        read_private(path)
    assert names(home) == [".f.0123456789ab.tmp", "f", "keep.tmp"]


WRITING = """
import sys
from pathlib import Path
from guard import files
def wait(path, *_):
    print(path.name, flush=True)
    sys.stdin.readline()
    return path
Path.replace = wait
getattr(files, sys.argv[1])(Path(sys.argv[2]), eval(sys.argv[3]))
"""


def writing(call: str, path: Path, what: str) -> subprocess.Popen[str]:
    """Return a process that stops before it renames its temporary file, until it is told to go."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITING, call, str(path), what],
        env={"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline().endswith(".tmp\n")
    return process


@pytest.mark.parametrize(
    ("call", "what"), [("replace_private", "b'new'"), ("prove_replaceable", "9")]
)
def test_only_a_dead_writers_temporary_file_is_swept(home: Path, call: str, what: str) -> None:
    """H-D2: however long a live one takes, and however young a dead one's is."""
    with writing(call, home / "f", what) as alive, writing(call, home / "f", what) as killed:
        assert len(names(home)) == 2
        assert sweep_temporaries(home) == 0
        killed.kill()
        killed.wait()

        assert sweep_temporaries(home) == 1

        assert len(names(home)) == 1
        alive.communicate("go\n")
    assert alive.returncode == 0


def test_nothing_but_temporary_files_of_ours_is_swept(home: Path) -> None:
    kept = {".f.tmp", "f.0123456789ab.tmp", ".f.0123456789abc.tmp", ".f.0123456789ab.tmp~"}
    for name in kept:
        private(home / name)
    private(home / ".open.0123456789ab.tmp").chmod(0o644)
    (home / ".link.0123456789ab.tmp").symlink_to(home / ".f.tmp")
    (home / ".directory.0123456789ab.tmp").mkdir(mode=0o700)
    os.mkfifo(home / ".fifo.0123456789ab.tmp", 0o600)
    kept = set(names(home))
    private(home / ".ours.0123456789ab.tmp")

    assert sweep_temporaries(home) == 1

    assert set(names(home)) == kept
    assert sweep_temporaries(home / "nowhere") == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_another_users_temporary_file_is_not_swept(home: Path) -> None:
    os.chown(private(home / ".f.0123456789ab.tmp"), NOBODY, NOBODY)
    assert sweep_temporaries(home) == 0


def test_a_writer_whose_file_was_swept_before_it_was_locked_takes_another(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    swept: list[int] = []

    def open_late(path: Path, flags: int, mode: int = 0o777) -> int:
        descriptor = opening(path, flags, mode)
        if flags & os.O_EXCL and not swept:
            swept.append(sweep_temporaries(home))
        return descriptor

    opening = os.open
    monkeypatch.setattr(os, "open", open_late)
    replace_private(home / "f", b"new")

    assert swept == [1]
    assert (home / "f").read_bytes() == b"new"
    assert names(home) == ["f"]


def test_a_link_in_its_place_is_not_followed_by_creation(home: Path) -> None:
    """H-E2."""
    (home / "f").symlink_to(home / "elsewhere")
    assert not create_private(home / "f", b"one")
    assert names(home) == ["f"]


def test_what_was_removed_is_gone(home: Path) -> None:
    assert remove_private(private(home / "f"))
    assert names(home) == []


# Failures of the file system


def test_where_the_directory_is_missing_it_is_told(home: Path) -> None:
    """H-D3."""
    path = home / "missing" / "f"
    for write in (
        replace_private,
        create_private,
        lambda path, data: prove_replaceable(path, len(data)),
    ):
        with pytest.raises(FileUnwritable, match="No such file or directory") as caught:
            write(path, b"one")
        assert f"Make {path.parent} writable" in caught.value.remedy


def test_the_first_failure_is_the_one_told(home: Path) -> None:
    """H-D3: cleaning up fails where writing did."""
    private(home / "file")
    with pytest.raises(FileUnwritable, match="Not a directory"):
        create_private(home / "file" / "f", b"one")
    with pytest.raises(FileUnwritable):
        remove_private(home / "file" / "f")


# A limit on the size of files is a full disk that needs no disk.
FULL: Final = """
import resource, signal, sys
from pathlib import Path
from guard.errors import FileUnwritable
from guard.files import *
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
path = Path(sys.argv[1])
try:
    {}
except FileUnwritable as error:
    print(error.problem)
"""


@pytest.mark.parametrize(
    ("call", "name"),
    [
        ("replace_private(path, bytes(10_000))", "f"),
        ("prove_replaceable(path, 10_000)", "f"),
        ("create_private(path, bytes(10_000))", "g"),
    ],
)
def test_on_a_full_disk_the_old_file_stays_and_no_other(home: Path, call: str, name: str) -> None:
    """H-D3."""
    private(home / "f", b"one")
    done = subprocess.run(
        [sys.executable, "-c", FULL.format(call), str(home / name)],
        env={"PATH": os.defpath, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "File too large\n"
    assert names(home) == ["f"]
    assert (home / "f").read_bytes() == b"one"
