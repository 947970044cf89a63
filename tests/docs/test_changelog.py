"""The changelog can be made of its fragments at any time."""

from __future__ import annotations

import subprocess
import sys
import tomllib

from tests.docs.markdown import ROOT, read
from twg import __version__

FRAGMENTS = sorted((ROOT / "changelog").glob("*.md"))
TYPES = [
    each["directory"]
    for each in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["towncrier"]["type"]
]


def test_every_fragment_has_a_known_type_and_says_something() -> None:
    for fragment in FRAGMENTS:
        assert fragment.suffixes[-2].lstrip(".") in TYPES, fragment.name
        text = fragment.read_text()
        assert text.endswith(".\n"), fragment.name
        assert text.count("\n") == 1, f"{fragment.name} is one line"


def test_the_fragments_build() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "towncrier", "build", "--draft", "--date", "2026-12-01"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"## {__version__} (2026-12-01)\n\n### ")
    entries = [line for line in done.stdout.splitlines() if line.startswith("- ")]
    assert sorted(f"- {fragment.read_text()}".strip() for fragment in FRAGMENTS) == sorted(entries)


def test_there_is_a_place_for_the_next_release() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["towncrier"]
    assert read("CHANGELOG.md").text.count(settings["start_string"]) == 1
