"""The table of dependencies names each of them, as pyproject.toml and its own metadata do."""

from __future__ import annotations

import platform
import re
import sys

from tests.docs import dependencies
from tests.docs.dependencies import HEADINGS, PAGE, declared, installed
from tests.docs.markdown import ROOT, code_in, read

FROM_PROJECT = HEADINGS[:5]
FROM_METADATA = ("Licence", "Kept by")
PERMISSIVE = {"Apache-2.0", "BSD", "BSD-3-Clause", "MIT"}

TOLD = {
    code_in(cells[0])[0]: dict(zip(HEADINGS, cells, strict=True))
    for cells in read("docs/dependencies.md").table("Package")
    if cells[0].startswith("`")
}
"""What the page says of each."""


def as_locked(name: str) -> bool:
    """Tell whether the version is installed that the lock names; another may tell another tale."""
    package = installed(name)
    lock = (ROOT / "requirements-dev.lock").read_text(encoding="utf-8")
    pinned = re.search(rf"^{_plain(name)}==([\w.+-]+)", lock, re.MULTILINE)
    assert pinned, f"{name} is not in the lock: make lock"
    return package is not None and package.version == pinned[1]


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def made_anew() -> dict[str, dict[str, str]]:
    """Return what the page is to say of each."""
    return {
        each.name: dict(zip(HEADINGS, dependencies.row(each), strict=False))
        for each in dependencies.dependencies()
    }


def test_each_dependency_is_in_the_table_and_nothing_else() -> None:
    assert [*TOLD] == [*declared()]
    assert PAGE.read_text(encoding="utf-8").count("\n| `") == len(TOLD)


def test_it_says_what_pyproject_says() -> None:
    """Made anew by `make dependencies`."""
    for name, fresh in made_anew().items():
        assert {key: fresh[key] for key in FROM_PROJECT} == {
            key: TOLD[name][key] for key in FROM_PROJECT
        }
        assert fresh["For"], name


def test_it_says_what_the_packages_say_of_themselves() -> None:
    locked = [name for name in TOLD if as_locked(name)]
    assert "anyio" in locked
    fresh = made_anew()
    for name in locked:
        assert [fresh[name][key] for key in FROM_METADATA] == [
            TOLD[name][key] for key in FROM_METADATA
        ], f"{name}: make dependencies"


def test_it_says_how_large_they_are() -> None:
    """Roughly, for each Python has files of its own; elsewhere than on Linux they differ more."""
    fresh = made_anew()
    here = sys.platform == "linux" and platform.machine() == "x86_64"
    for name in TOLD:
        told = float(TOLD[name]["Size"].removesuffix(" MB"))
        assert told > 0, name
        if here and as_locked(name):
            size = float(fresh[name]["Size"].removesuffix(" MB"))
            assert abs(size - told) <= 0.1 + 0.2 * told, f"{name}: make dependencies"


def test_all_licences_are_permissive() -> None:
    for name, cells in TOLD.items():
        assert {*re.split(r" or | OR ", cells["Licence"])} <= PERMISSIVE, name
