"""The words of the glossary mean one thing everywhere, and no other words are used for them."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

import asyncclick as click
import pytest

from tests.docs.markdown import ROOT, documents, read
from tests.docs.test_readme import COMMANDS

if TYPE_CHECKING:
    from collections.abc import Iterator

GLOSSARY = read("docs/glossary.md")
ROWS = [row for row in GLOSSARY.table("Word") if row[0] != "---"]
AVOIDED = [word for row in ROWS for word in row[2].split(", ") if word.strip("| ")]

SAY_WHAT_OTHERS_SAY = {"docs/glossary.md", "docs/faq.md"}
MESSAGES = (ROOT / "guard" / "errors.py", ROOT / "twg" / "errors.py")


@cache
def told() -> list[tuple[str, str]]:
    """Return all prose that people meet, and where: documents, help texts, errors' wordings."""
    return [(place, " ".join(text.split())) for place, text in _told()]


def _told() -> Iterator[tuple[str, str]]:
    for document in documents():
        if document.name not in SAY_WHAT_OTHERS_SAY:
            yield document.name, re.sub(r"`[^`]*`", "", document.prose)
    for line, command in COMMANDS.items():
        options = [each for each in command.params if isinstance(each, click.Option)]
        yield line, " ".join([command.help or "", *(each.help or "" for each in options)])
    for path in (*MESSAGES, *sorted((ROOT / "twg" / "schemas").glob("*.json"))):
        yield path.name, path.read_text(encoding="utf-8")


def places_of(word: str) -> list[str]:
    """Return where a word is used, in the plural too."""
    pattern = re.compile(rf"\b{re.escape(word)}s?\b", re.IGNORECASE)
    return [place for place, text in told() if pattern.search(text)]


def test_there_are_twelve_in_order() -> None:
    words = [row[0] for row in ROWS]
    assert words == sorted(words)
    assert len(words) == 12
    assert all(row[1] for row in ROWS)


@pytest.mark.parametrize("word", [row[0] for row in ROWS])
def test_a_word_that_is_explained_is_used(word: str) -> None:
    assert len(places_of(word)) > 3


@pytest.mark.parametrize("word", AVOIDED)
def test_no_other_word_is_used_for_it(word: str) -> None:
    assert places_of(word) == []
