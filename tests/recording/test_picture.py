"""The picture in the README: it shows what twg says, and everybody can read it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from tests.recording import picture, session
from tests.recording.__main__ import PICTURE

if TYPE_CHECKING:
    from pathlib import Path

SVG = "{http://www.w3.org/2000/svg}"


def parsed(text: str) -> ET.Element:
    return ET.fromstring(text)  # noqa: S314 - it is our own


def drawn(raw: bytes) -> ET.Element:
    lines = picture.shown(raw, columns=20, rows=5)
    text = picture.drawn(lines, columns=20, title="A <title>", description="What & how")
    return parsed(text)


def text_in(root: ET.Element) -> str:
    return "\n".join("".join(line.itertext()) for line in root.iter(f"{SVG}text"))


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def words_of(text: str) -> str:
    """Return the text without what differs from one time to the next, and without line breaks."""
    changing = (
        (r"127\.0\.0\.1(:|%3A)\d+", "ADDRESS"),
        (r"(state|code_challenge)=[\w-]+", r"\1=RANDOM"),
        (r"\d{4}-\d\d-\d\d\d\d:\d\d", "DATE"),
        (r"in\d+minutes", "SOON"),
    )
    text = re.sub(r"\s", "", text)
    for pattern, word in changing:
        text = re.sub(pattern, word, text)
    return text


def test_text_stands_where_the_terminal_has_it() -> None:
    root = drawn(b"one\r\n\r\n  two  \x1b[32mgreen\x1b[0m \x1b[1;91mred\x1b[0m  \r\n")
    one, two = root.iter(f"{SVG}text")
    assert text_in(root) == "one\n  two  green red"
    assert float(two.attrib["y"]) - float(one.attrib["y"]) == 2 * picture._ROW
    plain, green, _, red = two
    assert (plain.attrib.get("fill"), plain.attrib.get("font-weight")) == (None, None)
    assert green.attrib["fill"] == picture._COLOURS["green"]
    assert float(green.attrib["x"]) == pytest.approx(picture._PADDING + 7 * picture._COLUMN)
    assert float(green.attrib["textLength"]) == pytest.approx(5 * picture._COLUMN)
    assert (red.attrib["fill"], red.attrib["font-weight"]) == (picture._COLOURS["red"], "bold")


def test_blanks_are_kept() -> None:
    (line,) = drawn(b"a   b").iter(f"{SVG}text")
    assert line.attrib["{http://www.w3.org/XML/1998/namespace}space"] == "preserve"
    assert line.attrib["style"] == "white-space:pre"


def test_it_can_be_read_aloud() -> None:
    root = drawn(b"<&>")
    named = {each.attrib["id"]: each.text for each in root if "id" in each.attrib}
    assert root.attrib["role"] == "img"
    assert [named[each] for each in root.attrib["aria-labelledby"].split()] == [
        "A <title>",
        "What & how",
    ]
    assert text_in(root) == "<&>"


def test_empty_lines_around_are_left_out() -> None:
    assert picture.text_of(picture.shown(b"\r\n\r\na\r\n\r\n", columns=9, rows=9)) == "a"
    assert picture.shown(b"", columns=9, rows=9) == []


def test_what_does_not_fit_is_an_error() -> None:
    with pytest.raises(ValueError, match="more than 2 rows"):
        picture.shown(b"1\r\n2\r\n3", columns=9, rows=2)


@pytest.mark.parametrize("name", picture._COLOURS)
def test_colours_stand_out_from_the_background(name: str) -> None:
    light, dark = luminance(picture._COLOURS[name]), luminance(picture._BACKGROUND)
    assert (light + 0.05) / (dark + 0.05) >= 7


def test_the_picture_is_small_and_shows_each_command() -> None:
    assert PICTURE.stat().st_size < 40_000
    text = text_in(parsed(PICTURE.read_text()))
    assert re.findall(r"^\$ (.*)", text, re.MULTILINE) == list(session.TYPED)


@pytest.mark.slow
async def test_the_picture_shows_what_twg_says_now(tmp_path: Path) -> None:
    """If not, `make picture` records it anew."""
    raw = await session.record(tmp_path)
    now = picture.text_of(picture.shown(raw, columns=session.COLUMNS, rows=session.ROWS))
    then = text_in(parsed(PICTURE.read_text()))
    assert words_of(then) == words_of(now).removesuffix("$")
