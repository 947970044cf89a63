"""`Sight`: every way in which a file can become another is seen."""

from __future__ import annotations

import errno
import os
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from twg.vault.known import Sight

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

POSIX = sys.platform != "win32"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(b"twelve bytes")
    path.chmod(0o600)
    return path


def seen(path: Path) -> Sight:
    sight = Sight.of(path)
    assert sight is not None
    return sight


def test_an_untouched_file_holds_however_often_it_is_read(file: Path) -> None:
    sight = seen(file)
    for _ in range(3):
        file.read_bytes()
        assert sight.holds()
        assert seen(file).identity == sight.identity


def replaced_by_its_like(path: Path) -> None:
    """Another file with the same bytes and, as far as they can be set, the same times."""
    before = path.stat()
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    other.chmod(0o600)
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(path)


def longer(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"!")


def open_to_others(path: Path) -> None:
    path.chmod(0o644)


def linked(path: Path) -> None:
    os.link(path, path.with_name("second"))


def gone(path: Path) -> None:
    path.unlink()


def a_link(path: Path) -> None:
    path.rename(path.with_name("real"))
    path.symlink_to("real")


def written_over_later(path: Path) -> None:
    before = path.stat()
    path.write_bytes(b"TWELVE BYTES")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))


@pytest.mark.parametrize(
    "change",
    [replaced_by_its_like, longer, open_to_others, linked, gone, a_link, written_over_later],
)
def test_a_file_that_became_another_does_not_hold(
    file: Path, change: Callable[[Path], None]
) -> None:
    """H-E2."""
    sight = seen(file)
    change(file)
    assert not sight.holds()
    again = Sight.of(file)
    assert again is None or again.identity != sight.identity


@pytest.mark.parametrize(
    "fact", ["dev", "ino", "mode", "uid", "nlink", "size", "mtime_ns", "ctime_ns"]
)
def test_each_fact_of_its_status_tells_a_file_from_another(
    file: Path, monkeypatch: pytest.MonkeyPatch, fact: str
) -> None:
    sight = seen(file)
    status = os.lstat(file)
    facts = {name: getattr(status, name) for name in dir(status) if name.startswith("st_")}
    facts[f"st_{fact}"] += 1
    monkeypatch.setattr(os, "lstat", lambda _path: SimpleNamespace(**facts))
    assert not sight.holds()


@pytest.mark.skipif(not POSIX, reason="Windows does not replace an open file")
def test_no_other_file_gets_the_inode_of_one_that_is_known(file: Path) -> None:
    """Two replacements within a tick of the clock could else bring back the same status."""
    sight = seen(file)
    inodes = set()
    for _ in range(50):
        replaced_by_its_like(file)
        inodes.add(file.stat().st_ino)
    assert sight.identity[1] not in inodes


@pytest.mark.skipif(not POSIX, reason="it is closed at once on Windows")
def test_a_sight_that_is_let_go_holds_nothing_open(file: Path) -> None:
    sight = seen(file)
    descriptor = sight._descriptor
    assert descriptor is not None
    os.fstat(descriptor)
    del sight
    with pytest.raises(OSError, match=os.strerror(errno.EBADF)):
        os.fstat(descriptor)


def test_what_cannot_be_opened_is_not_seen(file: Path) -> None:
    assert Sight.of(file.with_name("nothing")) is None
