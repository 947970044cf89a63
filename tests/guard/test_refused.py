"""The file that keeps in mind what was refused."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from guard import refused
from guard.errors import FileUnwritable, UnsafeFile
from guard.refused import RefusedSecrets

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "refused.json"


def test_what_was_refused_is_known_again(path: Path) -> None:
    RefusedSecrets(path).add(["aa", "bb"], "jwt")
    RefusedSecrets(path).add(["cc"], "refused-secret", alone=False)

    found = RefusedSecrets(path).load()

    assert [(each.fingerprint, each.kind, each.alone) for each in found] == [
        ("aa", "jwt", True),
        ("bb", "jwt", True),
        ("cc", "refused-secret", False),
    ]
    assert all(each.when.endswith("Z") for each in found)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_what_is_known_already_is_not_written_again(path: Path) -> None:
    RefusedSecrets(path).add(["aa"], "jwt")
    before = path.stat().st_ino

    RefusedSecrets(path).add(["aa"], "other")

    assert path.stat().st_ino == before
    assert [each.kind for each in RefusedSecrets(path).load()] == ["jwt"]


def test_the_oldest_are_forgotten(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(refused, "MOST", 3)
    for fingerprint in ("a", "b", "c", "d", "e"):
        RefusedSecrets(path).add([fingerprint], "jwt")

    assert [each.fingerprint for each in RefusedSecrets(path).load()] == ["c", "d", "e"]
    assert len(json.loads(path.read_text())["refused"]) == 3


def test_before_the_first_one_there_is_none_and_looking_makes_nothing(path: Path) -> None:
    assert RefusedSecrets(path).load() == ()
    assert not path.parent.exists()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"refused": 1}',
        '{"refused": [1, {}, {"fingerprint": 1, "kind": "k", "alone": true, "when": "w"}]}',
        '{"refused": [{"fingerprint": "f", "kind": "'
        + "k" * 99
        + '", "alone": true, "when": ""}]}',
        "[" * 100_000,
    ],
)
def test_a_damaged_file_is_as_none_and_the_next_one_replaces_it(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o700)
    path.touch(mode=0o600)
    path.write_text(text)

    assert RefusedSecrets(path).load() == ()
    RefusedSecrets(path).add(["aa"], "jwt")
    assert len(json.loads(path.read_text())["refused"]) == 1


def test_a_file_that_others_may_read_is_refused(path: Path) -> None:
    RefusedSecrets(path).add(["aa"], "jwt")
    path.chmod(0o644)

    with pytest.raises(UnsafeFile):
        RefusedSecrets(path).load()
    with pytest.raises(UnsafeFile):
        RefusedSecrets(path).add(["bb"], "jwt")


def test_whoever_keeps_it_locked_is_not_waited_for_for_ever(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refused, "_PATIENCE", 0.01)
    one = RefusedSecrets(path)
    one.add(["aa"], "jwt")

    with one._locked(), pytest.raises(FileUnwritable, match="locked"):
        RefusedSecrets(path).add(["bb"], "jwt")


def test_a_lock_that_cannot_be_made_is_told(path: Path) -> None:
    path.with_name("refused.json.lock").mkdir(parents=True)
    path.parent.chmod(0o700)

    with pytest.raises(FileUnwritable, match="directory"):
        RefusedSecrets(path).add(["aa"], "jwt")


def test_several_processes_lose_nothing_of_each_other(path: Path) -> None:
    program = (
        "import sys, pathlib; from guard.refused import RefusedSecrets\n"
        "file = RefusedSecrets(pathlib.Path(sys.argv[1]))\n"
        "for n in range(20): file.add([f'{sys.argv[2]}-{n}'], 'jwt')\n"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", program, str(path), name], env=dict(os.environ))
        for name in ("a", "b", "c")
    ]

    assert [each.wait() for each in writers] == [0, 0, 0]
    assert len({each.fingerprint for each in RefusedSecrets(path).load()}) == 60
