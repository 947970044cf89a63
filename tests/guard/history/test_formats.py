"""Every format: what is an entry, what stands in it, and that nothing else is touched (H-A7)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.guard.history.seeded import SECRET, look, of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TIME: Final = 1_700_000_000


def bash_timed(command: str) -> bytes:
    return f"#{TIME}\n{command}\n".encode("utf-8", "surrogateescape")


def zsh(command: str) -> bytes:
    """Write as zsh does: line ends escaped, a backslash at the end followed by a blank."""
    data = command.encode("utf-8", "surrogateescape")
    data = b"".join(
        b"\x83" + bytes((byte ^ 32,)) if byte == 0 or 0x83 <= byte <= 0xA2 else bytes((byte,))
        for byte in data
    )
    data = data.replace(b"\n", b"\\\n")
    return data + (b" \n" if re.search(rb"\\ *\Z", data) else b"\n")


def zsh_extended(command: str) -> bytes:
    return f": {TIME}:0;".encode() + zsh(command)


def zsh_plain(command: str) -> bytes:
    return (b"\\" if command.startswith(":") else b"") + zsh(command)


def fish(command: str) -> bytes:
    data = command.encode("utf-8", "surrogateescape")
    data = data.replace(b"\\", b"\\\\").replace(b"\n", b"\\n")
    return b"- cmd: " + data + f"\n  when: {TIME}\n  paths:\n    - some/path\n".encode()


def powershell(command: str) -> bytes:
    return command.replace("\n", "`\n").encode("utf-8", "surrogateescape") + b"\n"


def a_line(command: str) -> bytes:
    return command.encode("utf-8", "surrogateescape") + b"\n"


def psql(command: str) -> bytes:
    return a_line(command.replace("\n", "\x01"))


def python(command: str) -> bytes:
    return a_line(command.replace("\n", "\r\n"))


def node(command: str) -> bytes:
    return a_line(command.replace("\n", "\r"))


def libedit(command: str) -> bytes:
    data = command.encode("utf-8", "surrogateescape")
    return re.sub(rb"[\\\s]", lambda found: b"\\%03o" % ord(found[0]), data) + b"\n"


def less(command: str) -> bytes:
    return a_line(f'"{command}')


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A history and how an entry stands in it.

    Attributes:
        file: Its name.
        write: Writes an entry.
        head: What stands at the file's start.
        several: A command may have several lines.
        timed: Its entries have times.
    """

    file: str
    write: Callable[[str], bytes]
    head: bytes = b""
    several: bool = True
    timed: bool = False


KINDS: Final = {
    "bash": Kind(file=".bash_history", write=a_line, several=False),
    "bash, timed": Kind(file=".bash_history", write=bash_timed, timed=True),
    "zsh": Kind(file=".zsh_history", write=zsh_plain),
    "zsh, extended": Kind(file=".zsh_history", write=zsh_extended, timed=True),
    "fish": Kind(file=".local/share/fish/fish_history", write=fish, timed=True),
    "powershell": Kind(
        file=".local/share/powershell/PSReadLine/ConsoleHost_history.txt", write=powershell
    ),
    "python": Kind(file=".python_history", write=python),
    "python, libedit": Kind(file=".python_history", write=libedit, head=b"_HiStOrY_V2_\n"),
    "node": Kind(file=".node_repl_history", write=node),
    "psql": Kind(file=".psql_history", write=psql),
    "mysql": Kind(file=".mysql_history", write=libedit, head=b"_HiStOrY_V2_\n"),
    "sqlite": Kind(file=".sqlite_history", write=a_line, several=False),
    "less": Kind(
        file=".lesshst", write=less, head=b".less-history-file:\n.search\n", several=False
    ),
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Each kind of history."""
    return KINDS[request.param]


def written(kind: Kind, home: Path, *commands: str) -> Path:
    """Write a history with these commands."""
    path = home / kind.file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(kind.head + b"".join(kind.write(command) for command in commands))
    return path


def test_h_a7_an_entry_goes_with_all_its_lines_and_nothing_else(kind: Kind, tmp_path: Path) -> None:
    """H-A7: with its time and its continued lines."""
    secret = f"curl \\\n -H 'Bearer {SECRET}' \\\n x" if kind.several else f"x {SECRET}"
    path = written(kind, tmp_path, "one", secret, "two \\\\", "three ü")

    (found,) = of(tmp_path).find(look)
    (removal,) = of(tmp_path).remove(look)

    assert found.line == len((kind.head + kind.write("one")).splitlines()) + 1
    assert found.when == (datetime.fromtimestamp(TIME, UTC) if kind.timed else None)
    assert (found.shell, found.path, found.kind) == (removal.shell, path, "made-up")
    assert (removal.removed, removal.problem) == (1, None)
    assert path.read_bytes() == kind.head + b"".join(
        map(kind.write, ("one", "two \\\\", "three ü"))
    )


def test_h_a7_a_secret_is_seen_through_the_formats_escapes(kind: Kind, tmp_path: Path) -> None:
    """H-A7: as it was typed, whatever the file has in its place."""
    odd = "pÄss\\word àÀ" + (" \n of two lines" if kind.several else "")
    path = written(kind, tmp_path, "one", f"x '{odd}'", "two")

    removals = of(tmp_path).remove(lambda text: ["odd"] if odd in text else [])

    assert [each.removed for each in removals] == [1]
    assert path.read_bytes() == kind.head + kind.write("one") + kind.write("two")


@pytest.mark.parametrize("command", [": colon", "ends in \\", "ends in \\ ", "'", "späte ‹ሴ 𝄞›"])
def test_who_looks_sees_the_command_as_it_was_typed(
    command: str, kind: Kind, tmp_path: Path
) -> None:
    written(kind, tmp_path, command, "last")
    seen = []

    def noticed(text: str) -> list[str]:
        seen.append(text)
        return []

    assert list(of(tmp_path).find(noticed)) == []
    assert command in seen


def test_who_looks_sees_what_stands_in_the_file_too(tmp_path: Path) -> None:
    """An older version may have escaped less."""
    path = written(KINDS["fish"], tmp_path, "one")
    path.write_bytes(path.read_bytes() + b"- cmd: x tok\\new\n")

    (found,) = of(tmp_path).find(lambda text: ["raw"] if "tok\\new" in text else [])

    assert found.line == 5


def test_h_a7_what_fish_noted_as_a_path_is_seen(tmp_path: Path) -> None:
    """H-A7: with its escapes undone."""
    path = written(KINDS["fish"], tmp_path, "one")
    path.write_bytes(path.read_bytes() + b"- cmd: ls\n  when: 1\n  paths:\n    - a\\\\b\n")

    (removal,) = of(tmp_path).remove(lambda text: ["path"] if text == "a\\b" else [])

    assert removal.removed == 1
    assert path.read_bytes() == KINDS["fish"].write("one")


@pytest.mark.parametrize("lines", [3, 3000])
@pytest.mark.parametrize("name", ["python", "psql", "sqlite", "zsh", "bash"])
def test_h_a7_an_editors_carriage_returns_take_no_other_line_away(
    name: str, lines: int, tmp_path: Path
) -> None:
    """H-A7."""
    path = written(KINDS[name], tmp_path)
    before = b"one\r\n" * lines
    path.write_bytes(before + f"true {SECRET}\r\n".encode() + b"two\r\n")

    assert [each.removed for each in of(tmp_path).remove(look)] == [1]
    assert path.read_bytes() == before + b"two\r\n"


@pytest.mark.parametrize(
    ("name", "line"), [("zsh", b"a\\\n"), ("powershell", b"a`\n"), ("fish", b"\n")]
)
def test_what_goes_on_without_end_is_no_single_entry(
    name: str, line: bytes, tmp_path: Path
) -> None:
    path = written(KINDS[name], tmp_path)
    path.write_bytes((b" " + b"a" * 9999 + line) * 1000 + SECRET.encode() + b"\n")

    assert [each.removed for each in of(tmp_path).remove(look)] == [1]
    assert path.stat().st_size > 1 << 20


def test_headings_stay_whatever_is_looked_for(kind: Kind, tmp_path: Path) -> None:
    path = written(kind, tmp_path, "one", "two")

    assert [each.removed for each in of(tmp_path).remove(lambda _: ["all"])] == [2]
    assert path.read_bytes() == kind.head


def test_h_a7_a_secret_on_both_sides_of_a_continued_line_is_seen(tmp_path: Path) -> None:
    """H-A7: the shell takes the backslash out."""
    split = f"true --token {SECRET[:9]}\\\n{SECRET[9:]}"
    path = written(KINDS["zsh"], tmp_path, "one", split)

    assert [each.removed for each in of(tmp_path).remove(look)] == [1]
    assert path.read_bytes() == b"one\n"


@given(
    name=st.sampled_from(sorted(KINDS)),
    commands=st.lists(
        st.tuples(
            st.text(
                st.characters(
                    codec="utf-8", exclude_characters="\r\x00\x01\x0b\x0c\x1c\x1d\x1e\x85"
                )
            ),
            st.booleans(),
            st.integers(0, 9),
        ),
        max_size=8,
    ),
)
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60
)
def test_h_a7_whatever_is_removed_the_rest_is_byte_for_byte_the_same(
    name: str, commands: list[tuple[str, bool, int]], tmp_path: Path
) -> None:
    """H-A7: any commands, any of them with the secret anywhere in it."""
    kind = KINDS[name]
    texts = []
    for text, secret, place in commands:
        # Where a bash command ends, its own tests say.
        several = kind.several and kind.file != ".bash_history"
        one = text if several else text.replace("\n", " ")
        # What these are in their format is not part of a command.
        one = "c" + one.rstrip("`\\ ") + "."
        texts.append((one[:place] + SECRET + one[place:] if secret else one, secret))
    path = written(kind, tmp_path, *(text for text, _ in texts))

    of(tmp_path).remove(look)

    rest = b"".join(kind.write(text) for text, secret in texts if not secret)
    assert path.read_bytes() == kind.head + rest


@given(data=st.binary(), name=st.sampled_from(sorted(KINDS)))
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60
)
def test_any_bytes_are_read_and_kept_when_nothing_is_in_them(
    data: bytes, name: str, tmp_path: Path
) -> None:
    path = tmp_path / KINDS[name].file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)

    assert of(tmp_path).remove(look) == []
    assert path.read_bytes() == data


@example(before=b".", behind=b"", name="less")
@given(before=st.binary(), behind=st.binary(), name=st.sampled_from(sorted(KINDS)))
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60
)
def test_h_a7_among_any_bytes_no_secret_is_left_and_other_lines_stay(
    before: bytes, behind: bytes, name: str, tmp_path: Path
) -> None:
    """H-A7: what is left is a part of what was, whole lines of it, and the secret is not."""
    path = tmp_path / KINDS[name].file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(before + SECRET.encode() + behind)

    of(tmp_path).remove(look)

    left = path.read_bytes()
    assert SECRET.encode() not in left
    lines = iter((before + SECRET.encode() + behind).splitlines(keepends=True))
    assert all(line in lines for line in left.splitlines(keepends=True))
