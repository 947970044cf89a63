"""The manual pages that come with twg are those of its commands, and roff takes them as such."""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.docs.man_pages import DIRECTORY, pages, roff
from tests.rigs import parts
from twg.cli.main import root
from twg.cli.manual import commands_below

PAGES = pages()
COMMANDS = [*commands_below(root(), "twg")]


def rendered(page: str) -> str:
    """Return a page as a terminal shows it, in one line; roff has to take it without a warning."""
    groff = parts.program("groff")
    done = subprocess.run(
        [groff, "-man", "-Tutf8", "-ww", "-P-cbou"],
        input=page,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return " ".join(done.stdout.split())


def test_they_are_as_the_commands_make_them() -> None:
    """Made anew by `make man`."""
    assert {path.name: path.read_text() for path in DIRECTORY.iterdir()} == PAGES


@pytest.mark.parametrize("name", sorted(PAGES.keys() - {"twg.1"}))
def test_roff_takes_a_page_and_shows_every_word_of_its_commands(name: str) -> None:
    shown = rendered(PAGES[name])
    command = name.removesuffix(".1").replace("-", " ", 1)
    told = [one for one in COMMANDS if f"{one[0]} ".startswith(f"{command} ")]
    assert told
    for path, each in told:
        words = [word for one in each.params for word in one.opts if word.startswith("-")]
        assert [word for word in [path, *words] if word not in shown] == []


def test_the_first_page_tells_of_all_the_others_and_of_each_exit_status() -> None:
    shown = rendered(PAGES["twg.1"])
    for name in PAGES.keys() - {"twg.1"}:
        assert shown.count(f"{name.removesuffix('.1')}(1)") == 2, name
    assert re.search(r"EXIT STATUS 0 done\. 1 INTERNAL: a bug in twg\. 2 USAGE", shown)
    assert "~/.config/twg/auth.conf" in shown
    assert "TWG_CONFIG_DIR, TWG_STATE_DIR" in shown


@pytest.mark.parametrize("text", [".start", "'quoted'", r"a\b", "-x ~ ^ - …", "one `two` three"])
def test_what_roff_would_take_for_its_own_is_shown_as_it_is(text: str) -> None:
    assert text.replace("`", "") in rendered(f".TH T 1\n.SH NAME\n{roff(text)}\n")
