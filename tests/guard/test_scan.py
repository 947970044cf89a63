"""Files and directories are looked at, and what is in them is told by its place."""

from __future__ import annotations

import io
import os
import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from guard import scan as scanning
from guard.lookout import Lookout
from guard.scan import Match, scan, scan_stream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from guard.scan import Scanned

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJlLXNpZ25hdHVyZQ"
GITHUB = "ghp_" + "Example1" * 4 + "abcd"
SPANS = Lookout(shapes=True).spans


def looked_at(*paths: Path) -> dict[str, Scanned]:
    return {each.path.name: each for each in scan(paths, SPANS)}


def places(data: bytes) -> list[tuple[int, int, str]]:
    """Return line, column and kind of what is found in bytes."""
    scanned = scan_stream(io.BytesIO(data), Path("x"), SPANS)
    assert scanned.problem is None
    return [(each.line, each.column, each.kind) for each in scanned.matches]


def test_a_secret_is_told_by_line_column_and_kind_and_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "app.log"
    file.write_text(f"start\nünï {JWT} and {GITHUB}\n")

    (found,) = scan([file], SPANS)

    assert found.matches == (
        Match(line=2, column=5, kind="jwt"),
        Match(line=2, column=5 + len(JWT) + 5, kind="github-token"),
    )
    assert JWT not in repr(found)
    assert GITHUB not in repr(found)


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1"]
)
def test_a_text_is_read_in_its_encoding(encoding: str) -> None:
    assert places(f"grüße\n  {JWT}\n".encode(encoding)) == [(2, 3, "jwt")]


def test_bytes_that_are_no_text_are_looked_at_too() -> None:
    assert places(b"\x7fELF\x00\xff\xfe\n\x01\x02" + GITHUB.encode() + b"\x00\xc3") == [
        (2, 3, "github-token")
    ]


@pytest.mark.parametrize("before", [0, 1, 37, 1000, 5000])
def test_a_secret_on_the_edge_of_two_blocks_is_found_once(
    before: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanning, "_BLOCK", 64)
    monkeypatch.setattr(scanning, "_OVERLAP", 128)
    lines = b"x" * 9 + b"\n"
    data = (
        lines * (before // 10) + b"y" * (before % 10) + b" " + GITHUB.encode() + b"\n" + lines * 50
    )
    data += JWT.encode() + b" " * 300 + JWT.encode()

    row = before // 10 + 1
    assert places(data) == [
        (row, before % 10 + 2, "github-token"),
        (row + 51, 1, "jwt"),
        (row + 51, 1 + len(JWT) + 300, "jwt"),
    ]


@pytest.mark.parametrize("before", range(2000, 4200, 150))
def test_a_long_secret_over_the_edge_is_found_once(
    before: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though its second half would pass for one."""
    monkeypatch.setattr(scanning, "_BLOCK", 4096)
    monkeypatch.setattr(scanning, "_OVERLAP", 1024)
    data = b"-" * before + b"a" * 900 + b"-" * 8000

    def spans(text: str) -> Iterator[tuple[int, int, str]]:
        return ((*each.span(), "made-up") for each in re.finditer("a{5,}", text))

    found = scan_stream(io.BytesIO(data), Path("x"), spans)

    assert found.matches == (Match(line=1, column=before + 1, kind="made-up"),)


def test_a_stream_that_comes_bit_by_bit_is_one_text() -> None:
    class Trickle(io.RawIOBase):
        def __init__(self, data: bytes) -> None:
            self.data = data

        def read(self, size: int = -1) -> bytes:
            piece, self.data = self.data[: min(7, size)], self.data[min(7, size) :]
            return piece

    scanned = scan_stream(Trickle(f"a\n{JWT}\n".encode()), Path("-"), SPANS)

    assert scanned.matches == (Match(line=2, column=1, kind="jwt"),)


def test_what_breaks_off_is_told_with_what_was_found_before() -> None:
    class Broken:
        def __init__(self) -> None:
            self.pieces = [f"{JWT}\n".encode() + b"-" * 100_000]

        def read(self, _size: int) -> bytes:
            if not self.pieces:
                raise OSError(5, "Input/output error")
            return self.pieces.pop()

    scanned = scan_stream(Broken(), Path("x"), SPANS)

    assert scanned.problem == "input/output error"
    assert scanned.matches == (Match(line=1, column=1, kind="jwt"),)


def test_of_one_file_a_bounded_number_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanning, "MOST", 3)

    scanned = scan_stream(io.BytesIO(f"{JWT}\n".encode() * 5), Path("x"), SPANS)

    assert len(scanned.matches) == 3
    assert scanned.skipped == "only its first 3 findings are listed"


def test_all_below_a_directory_is_looked_at_in_order(tmp_path: Path) -> None:
    for name in ("b/two.txt", "a.bin", "b/c/three"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(JWT)

    assert [str(each.path.relative_to(tmp_path)) for each in scan([tmp_path], SPANS)] == [
        "a.bin",
        "b/two.txt",
        "b/c/three",
    ]


def test_no_link_is_followed_in_a_directory_but_one_that_is_named(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text(JWT)
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "to-directory").symlink_to(outside)
    (inside / "to-file").symlink_to(outside / "secret.txt")
    (inside / "to-itself").symlink_to(inside)

    assert looked_at(inside) == {}
    assert looked_at(inside / "to-file")["to-file"].matches
    assert looked_at(inside / "to-directory")["secret.txt"].matches


def test_a_link_put_in_a_files_place_meanwhile_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "file")
    (tmp_path / "file").write_text(JWT)

    assert scanning._file(tmp_path / "link", SPANS).problem is not None


def test_the_objects_of_git_are_passed_over_and_that_is_told(tmp_path: Path) -> None:
    (tmp_path / ".git" / "objects" / "ab").mkdir(parents=True)
    (tmp_path / ".git" / "objects" / "ab" / "cd").write_bytes(JWT.encode())
    (tmp_path / ".git" / "config").write_text(f"url = https://x-token-auth:{GITHUB}@example.com\n")
    (tmp_path / "objects").mkdir()
    (tmp_path / "objects" / "mine").write_text(JWT)

    found = looked_at(tmp_path)

    assert found.keys() == {"objects", "config", "mine"}
    assert "git" in str(found["objects"].skipped)
    assert found["config"].matches
    assert found["mine"].matches


def test_the_kernels_directories_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some of what looks like a file there never ends, or waits for ever."""

    def walk(top: Path, **_: object) -> Iterator[tuple[str, list[str], list[str]]]:
        folders = ["dev", "home", "proc", "sys"]
        yield str(top), folders, []
        assert folders == ["home"]
        yield f"{top}home", ["proc"], []

    monkeypatch.setattr(os, "walk", walk)

    found = list(scan([Path("/")], SPANS))

    assert [str(each.path) for each in found] == ["/dev", "/proc", "/sys"]
    assert all(each.skipped for each in found)


def test_what_cannot_be_read_is_told_and_the_rest_is_looked_at(tmp_path: Path) -> None:
    file = tmp_path / "here"
    file.write_text(JWT)

    found = looked_at(tmp_path / "missing", file, Path(os.devnull))

    assert found["missing"].problem == "no such file or directory"
    assert found["null"].problem == "it is neither a file nor a directory"
    assert found["here"].matches


def test_a_directory_that_cannot_be_read_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    (tmp_path / "here").write_text(JWT)
    scandir = os.scandir

    def failing(path: str) -> object:
        if str(path).endswith("gone"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", failing)

    found = looked_at(tmp_path)

    assert found["gone"].problem == "permission denied"
    assert found["here"].matches


def test_what_is_no_file_in_a_directory_stops_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        (tmp_path / "here").write_text(JWT)

        assert looked_at(tmp_path).keys() == {"here"}


def test_a_pipe_that_is_named_is_read_to_its_end() -> None:
    """As a shell's `<(command)` makes one."""
    reading, writing = os.pipe()
    os.write(writing, JWT.encode())
    os.close(writing)

    (found,) = scan([Path(f"/dev/fd/{reading}")], SPANS)

    os.close(reading)
    assert found.matches == (Match(line=1, column=1, kind="jwt"),)
