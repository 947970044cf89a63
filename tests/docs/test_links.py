"""Documents point to what is there, and name nothing that is nobody's business."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.docs.markdown import ROOT, documents, links_in, read

if TYPE_CHECKING:
    from tests.docs.markdown import Document

DOCUMENTS = documents()
PICTURES = [read(f"docs/{path.name}") for path in sorted((ROOT / "docs").glob("*.svg"))]

PATH = re.compile(r"(?:guard|twg|tests|docs|changelog|\.ci)/[\w./-]*|[\w-]+\.(?:md|toml|lock)")
"""A piece of code that names a file or directory of the repository."""

MADE_BY_OTHERS = {"config.toml"}

MACHINE = re.compile(r"(?<![\w~.:/])/(?:work|root|home|Users|tmp|opt|srv|mnt)/\w")
REGISTRY = re.compile(r"\b(?:py" r"pi|pythonhosted|npm" r"js|yarnpkg)\.(?:org|com)\b")


def names(document: Document) -> str:
    return document.name


@pytest.mark.parametrize("document", DOCUMENTS, ids=names)
def test_links_within_the_repository_lead_somewhere(document: Document) -> None:
    for link in document.links:
        target, _, anchor = link.partition("#")
        if "://" in target:
            assert target.startswith("https://"), link
            continue
        path = document.path.parent / target if target else document.path
        assert path.is_file(), f"{document.name} links to {link}"
        assert path.resolve().is_relative_to(ROOT), link
        if anchor:
            assert anchor in read(str(path.relative_to(ROOT))).anchors, link


def test_every_document_is_linked_from_the_readmes_end() -> None:
    told = set(links_in(read("README.md").section("More")))
    there = {one.name for one in DOCUMENTS if not one.name.startswith("changelog/")}
    assert there - {"README.md"} == {target for target in told if target.endswith(".md")}


@pytest.mark.parametrize("document", DOCUMENTS, ids=names)
def test_files_that_are_named_are_there(document: Document) -> None:
    for code in document.code:
        if PATH.fullmatch(code) and code not in MADE_BY_OTHERS:
            path = ROOT / code
            assert path.exists(), f"{document.name} names {code}"
            if code.startswith("tests/") and path.is_dir():
                assert [*path.rglob("*.py")], f"{document.name} names {code}, which is empty"


@pytest.mark.parametrize("document", [*DOCUMENTS, *PICTURES], ids=names)
def test_no_machine_and_no_package_registry_is_named(document: Document) -> None:
    assert not MACHINE.search(document.text)
    assert not REGISTRY.search(document.text)


def test_every_promise_names_who_keeps_it_and_where_it_is_shown() -> None:
    security = read("SECURITY.md")
    rows = [line for line in security.text.splitlines() if line.startswith("| ")]
    promises = [row for row in rows if not row.startswith(("| Promise", "| ---"))]
    assert len(promises) > 10
    for promise in promises:
        _, kept_by, shown_by = promise.strip("|").split(" | ")
        assert re.search(r"`(?:guard|twg)/", kept_by), promise
        for directory in re.findall(r"`([^`]+)`", shown_by):
            found = ROOT / directory
            assert found.is_file() or [*found.glob("test_*.py")], f"nothing is shown in {directory}"
        assert "`tests/" in shown_by, promise


def test_the_map_shows_the_arrows_that_are_enforced() -> None:
    from tests.test_architecture import FOUNDATION, MAY_IMPORT  # noqa: PLC0415 - walks the tree

    lines = [line for line in read("CONTRIBUTING.md").text.splitlines() if "→" in line]
    drawn = {
        source.strip(): {target.strip() for target in targets.split(",")}
        for source, targets in (line.split("→") for line in lines)
    }
    enforced = {part: set(others) - FOUNDATION for part, others in MAY_IMPORT.items()}
    enforced = {part: others - {"guard"} for part, others in enforced.items()}
    del enforced["twg.__main__"]
    assert drawn == {part: others for part, others in enforced.items() if others}
