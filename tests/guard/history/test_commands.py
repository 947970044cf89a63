"""Where a command of several lines ends, and what that means for bash's history."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.history.commands import is_whole
from tests.guard.history.seeded import SECRET, look, of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    "command",
    [
        "",
        "ls",
        "echo it\\'s",
        "echo 'a\nb'",
        'echo "a\n\\"b"',
        "# it's",
        "echo a#b",
        "curl x \\\n y",
        "a && b | c",
        "for i in 1 2\ndo echo $i\ndone",
        "while read x; do echo $x; done < file",
        "if a; then b; else c; fi",
        "case x in\n a) b;;\nesac",
        "f() {\n a\n}",
        "(\ncd x\n)",
        "cat <<EOF\nit's\nEOF",
        "cat <<-'END' | b\n`x\n\tEND",
        "cat <<<x",
        "echo $((1<<2)) ${x#y}",
        "echo for if {",
        "echo \\\\",
    ],
)
def test_a_whole_command(command: str) -> None:
    assert is_whole(command.encode())


@pytest.mark.parametrize(
    "command",
    [
        "echo 'a",
        'echo "a',
        "echo `a",
        "echo $(a",
        "curl x \\",
        "a |",
        "a &&",
        "a ||",
        "for i in 1 2",
        "for i in 1 2\ndo echo $i",
        "time while a; do",
        "if a; then",
        "if a; then\nif b; then c; fi",
        "f() {",
        "(\ncd x",
        "cat <<EOF",
        "cat <<EOF\nit's",
    ],
)
def test_a_command_that_goes_on(command: str) -> None:
    assert not is_whole(command.encode())


@given(st.binary())
def test_any_bytes_are_one_or_the_other(command: bytes) -> None:
    assert is_whole(command) in {True, False}


def test_h_a7_a_timed_command_goes_with_all_its_lines_and_those_after_it_stay(
    tmp_path: Path,
) -> None:
    """H-A7: a bash that writes no times has appended to a file with times."""
    path = tmp_path / ".bash_history"
    before = "#1700000000\nls\n#1700000001\n"
    behind = "echo it\nls -l\n#1700000002\nlast\n"
    path.write_text(f"{before}for t in a\ndo curl -d {SECRET} $t\ndone\n{behind}")

    assert [each.removed for each in of(tmp_path).remove(look)] == [1]
    assert path.read_text() == before.removesuffix("#1700000001\n") + behind


def test_h_a7_in_a_file_without_times_each_line_is_a_command(tmp_path: Path) -> None:
    """H-A7: as bash reads it; a stray quote takes no other line away."""
    path = tmp_path / ".bash_history"
    path.write_text(f"echo it's\ntrue {SECRET}\n#1700000000\necho that's\n")

    of(tmp_path).remove(look)

    assert path.read_text() == "echo it's\n#1700000000\necho that's\n"


def test_h_a7_a_quote_that_is_never_closed_takes_few_lines_away(tmp_path: Path) -> None:
    """H-A7: and the look at it does not take ever longer."""
    path = tmp_path / ".bash_history"
    lines = [f"n-{number}\n" for number in range(1000)]
    path.write_text(f"#1700000000\necho 'open\n{''.join(lines)}true {SECRET}\n")

    of(tmp_path).remove(look)

    left = path.read_text()
    assert SECRET not in left
    assert "n-700\n" in left
