"""The page about the parts holds: the picture is the code's, and what is named is there."""

from __future__ import annotations

import re

import pytest

from tests.docs import architecture
from tests.docs.architecture import PICTURE, PLACES, arrows, picture
from tests.docs.markdown import ROOT, read
from tests.test_architecture import MAY_IMPORT, tree_of

PAGE = read("docs/architecture.md")


def test_the_picture_is_drawn_of_the_code_as_it_is() -> None:
    """Drawn anew by `make map`."""
    assert picture() == PICTURE.read_text(encoding="utf-8")


def test_every_part_is_in_the_picture() -> None:
    drawn = picture()
    for part in set(MAY_IMPORT) - architecture.NOT_DRAWN:
        assert re.search(rf">{re.escape(part)}[<:]", drawn), part


def test_an_import_that_is_new_is_a_new_arrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """And one for which there is no room is told, instead of being left out."""
    before, found = picture(), arrows()
    monkeypatch.setattr(architecture, "arrows", lambda: found)
    found["twg.auth"].add("twg.products")
    assert picture().count("<line") == before.count("<line") + 1
    found["twg.auth"].discard("twg.products")
    found["twg.policy"].add("twg.oauth")
    with pytest.raises(AssertionError, match=r"no way from twg\.policy to twg\.oauth"):
        picture()


def test_no_arrow_crosses_another_part() -> None:
    places = sorted(PLACES.values())
    for part, other in architecture._lines(
        {part: others for part, others in arrows().items() if part in PLACES}
    ):
        column = architecture._column(part, other)
        crossed = [
            place
            for place in places
            if PLACES[part].row < place.row < PLACES[other].row
            and place.left < column < place.right
        ]
        assert crossed == [], (part, other)


def test_words_fit_into_their_boxes() -> None:
    for part, place in PLACES.items():
        assert len(part) * 7.5 < (place.right - place.left) * architecture.UNIT, part


def test_what_the_page_names_is_there() -> None:
    named = set(PAGE.code)
    assert {each for each in named if each.startswith("twg.")} <= set(MAY_IMPORT)
    methods = {each for each in named if re.fullmatch(r"[A-Z]\w+\.\w+", each)}
    assert methods
    defined = {
        f"{node.name}.{method.name}"
        for path in (ROOT / "twg" / "auth").glob("*.py")
        for node in tree_of(path).body
        if hasattr(node, "name") and hasattr(node, "body")
        for method in node.body
        if hasattr(method, "name")
    }
    assert methods <= defined
