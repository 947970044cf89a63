"""`twg changelog`: what is shipped is what towncrier would build, and is read without a network."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import twg
from twg.cli import changelog

if TYPE_CHECKING:
    from tests.cli.console import Console

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
RELEASED = """# Changelog

<!-- towncrier release notes start -->

## 0.10.0 (2027-03-01)

### Security

- A secret
  is kept.

### Added

- More of it.
- And more. (#12)

## 0.2.0 (2027-01-01)

### Fixed

- It works.
"""


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package as a wheel has it, that was built between two releases."""
    home = tmp_path / "twg"
    (home / "changelog").mkdir(parents=True)
    (home / "CHANGELOG.md").write_text(RELEASED)
    (home / "changelog" / "+new.added.md").write_text("Something new.\n")
    (home / "changelog" / "template.md.jinja").write_text("{{ versions }}")
    monkeypatch.setattr(twg, "__file__", str(home / "__init__.py"))
    monkeypatch.setattr(twg, "__version__", "0.10.0")
    return home


def test_every_version_is_told_newest_first(console: Console, shipped: Path) -> None:
    assert shipped.exists()
    assert console.twg("changelog", "-o", "json").data["releases"] == [
        {
            "version": "next",
            "date": None,
            "changes": [{"kind": "added", "text": "Something new."}],
        },
        {
            "version": "0.10.0",
            "date": "2027-03-01",
            "changes": [
                {"kind": "security", "text": "A secret is kept."},
                {"kind": "added", "text": "More of it."},
                {"kind": "added", "text": "And more. (#12)"},
            ],
        },
        {
            "version": "0.2.0",
            "date": "2027-01-01",
            "changes": [{"kind": "fixed", "text": "It works."}],
        },
    ]


def test_people_get_it_by_kind(console: Console, shipped: Path) -> None:
    (shipped / "changelog" / "+new.added.md").unlink()

    assert console.twg("changelog").out == (
        "0.10.0, 2027-03-01\n\nSecurity\n  - A secret is kept.\n\n"
        "Added\n  - More of it.\n  - And more. (#12)\n\n"
        "0.2.0, 2027-01-01\n\nFixed\n  - It works.\n"
    )


@pytest.mark.parametrize(
    ("since", "told"),
    [
        ("0.1", ["next", "0.10.0", "0.2.0"]),
        ("v0.2.0", ["next", "0.10.0"]),
        ("0.9", ["next", "0.10.0"]),
        ("0.10.0", ["next"]),
        ("1", ["next"]),
    ],
)
def test_what_came_after_a_version_is_told_alone(
    console: Console, shipped: Path, since: str, told: list[str]
) -> None:
    """By numbers: 0.10 comes after 0.9."""
    assert shipped.exists()
    found = console.twg("changelog", "--since", since, "-o", "json").data["releases"]

    assert [one["version"] for one in found] == told


def test_no_change_is_told_as_such(console: Console) -> None:
    assert console.twg("changelog", "--since", "99").out == (
        "Nothing has changed since 99, as far as this version knows.\n"
    )


@pytest.mark.parametrize("since", ["yesterday", "", "1..2", "0.1.0-rc1"])
def test_what_is_no_version_is_refused(console: Console, since: str) -> None:
    ended = console.twg("changelog", "--since", since, status=2)

    assert ended.err.startswith("twg: --since takes a version\n")


def test_a_version_that_is_not_released_is_told_as_towncrier_would() -> None:
    """This clone's own, from the same files."""
    done = subprocess.run(
        [sys.executable, "-m", "towncrier", "build", "--draft", "--date", "2027-01-01"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    (built,) = changelog._released(done.stdout)

    (ours, *_) = changelog.releases()
    assert (ours.version, ours.date) == (twg.__version__, None)
    assert sorted(ours.changes) == sorted(built.changes)


def test_the_kinds_are_towncriers_in_its_order() -> None:
    kinds = [each["directory"] for each in PYPROJECT["tool"]["towncrier"]["type"]]
    assert list(changelog.KINDS) == kinds


def test_a_wheel_has_it_where_it_is_looked_for() -> None:
    included = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert included == {"CHANGELOG.md": "twg/CHANGELOG.md", "changelog": "twg/changelog"}
    assert changelog._home() == ROOT
