"""The scrubber: what it knows it hides in each form, and what is no secret it leaves alone."""

from __future__ import annotations

import base64
import gc
import html
import json
import re
import shlex
import subprocess
import sys
import threading
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus, urlencode
from xml.sax.saxutils import escape, quoteattr

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from guard.scrub import DEEPEST, SECRET_NAMES, SHORTEST, Scrubber
from guard.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

REPOSITORY = Path(__file__).parents[2]
TOKEN = "n0t-A-r3al_token.Value~9"
ODD = """pä$$ "w0rd'/Ab<&>\\`; €+=%!"""
MARK = "‹redacted:access-token›"


def knowing(*values: str, kind: str = "access-token") -> Scrubber:
    scrubber = Scrubber()
    for value in values:
        scrubber.learn(value, kind)
    return scrubber


def lower_escapes(text: str) -> str:
    """Return URL-encoded text as those programs write it that use lower-case digits."""
    return re.sub("%..", lambda escape: escape[0].lower(), text)


WRITTEN: dict[str, Callable[[str], str]] = {
    "plain": str,
    "hex": lambda value: value.encode().hex(),
    "upper hex": lambda value: value.encode().hex().upper(),
    "url": lambda value: quote(value, safe=""),
    "url, slashes kept": quote,
    "url, as JavaScript does": lambda value: quote(value, safe="!*'()"),
    "url, lower case": lambda value: lower_escapes(quote(value, safe="")),
    "form": quote_plus,
    "url, every character": lambda value: "".join(f"%{byte:02X}" for byte in value.encode()),
    "url, every character, lower": lambda value: "".join(f"%{byte:02x}" for byte in value.encode()),
    "url twice, lower case": lambda value: lower_escapes(
        quote(lower_escapes(quote(value, safe="")), safe="")
    ),
    "url twice": lambda value: quote(quote(value, safe=""), safe=""),
    "json": lambda value: json.dumps(value)[1:-1],
    "json, utf-8": lambda value: json.dumps(value, ensure_ascii=False)[1:-1],
    "json, slashes": lambda value: json.dumps(value)[1:-1].replace("/", "\\/"),
    "json twice": lambda value: json.dumps(json.dumps(value))[3:-3],
    "json twice, utf-8": lambda value: json.dumps(
        json.dumps(value, ensure_ascii=False), ensure_ascii=False
    )[3:-3],
    "json numbers": lambda value: "".join(f"\\u{ord(each):04x}" for each in value),
    "json numbers, upper": lambda value: "".join(f"\\u{ord(each):04X}" for each in value),
    "json numbers twice": lambda value: "".join(f"\\\\u{ord(each):04x}" for each in value),
    "xml text": escape,
    "xml attribute": lambda value: html.escape(value).replace("&#x27;", "&apos;"),
    "html": html.escape,
    "xml numbers": lambda value: "".join(f"&#{ord(each)};" for each in value),
    "xml hex numbers": lambda value: "".join(f"&#x{ord(each):X};" for each in value),
    "shell": lambda value: shlex.quote(value).strip("'"),
    "shell, bash's own": lambda value: value.replace("'", "'\\''"),
    "shell, double quotes": lambda value: "".join(
        f"\\{each}" if each in '\\"$`' else each for each in value
    ),
    "python": lambda value: repr(value)[1:-1],
    "python, among quotes": lambda value: repr(f"'{value}\"")[3:-2],
    "python bytes": lambda value: repr(value.encode())[2:-1],
    "python bytes, among quotes": lambda value: repr(f"'{value}\"".encode())[4:-2],
}


@pytest.mark.parametrize("value", [TOKEN, ODD, "it's a sécret"], ids=["token", "odd", "quote"])
@pytest.mark.parametrize("form", WRITTEN)
def test_h_f1_a_secret_is_known_however_it_is_written(form: str, value: str) -> None:
    """H-F1."""
    written = WRITTEN[form](value)
    assert knowing(value).text(f"a {written} b\n{written}") == f"a {MARK} b\n{MARK}"


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("behind", range(4))
@pytest.mark.parametrize("before", range(4))
@pytest.mark.parametrize("value", [TOKEN, ODD, "12345678", "?>~?>~?>~"])
def test_h_f1_in_base64_no_character_with_a_bit_of_it_is_left(
    value: str, before: int, behind: int, encode: Callable[[bytes], bytes]
) -> None:
    """H-F1: at each offset, with padding and without."""
    encoded = encode(b"u" * before + value.encode() + b"v" * behind).decode()
    for written in (encoded, encoded.rstrip("=")):
        left, right = knowing(value).text(written).split(MARK)
        assert written.startswith(left)
        assert written.endswith(right)
        assert "=" not in right or behind
        assert len(left) == before * 8 // 6
        assert 6 * len(right.rstrip("=")) <= 8 * behind + 4


def test_a_basic_login_is_hidden_by_the_token_in_it() -> None:
    login = base64.b64encode(f"alice@example.com:{TOKEN}".encode()).decode()
    assert TOKEN[:4] not in (shown := knowing(TOKEN).text(f"x={login}."))
    assert shown.endswith(f"{MARK}.")


@pytest.mark.parametrize(
    "text",
    [
        "",
        TOKEN[: len(TOKEN) * 3 // 4 - 1],
        TOKEN[1:],
        TOKEN.swapcase(),
        "an ordinary line with key=value, 100%, \\n and &amp;",
        "commit 3f786850e387550fdab836ed7e6dc881de23001b",
        "‹redacted:access-token› and ‹something-else›, „quotes“",
        json.dumps({"accountId": "712020:0c1f2a3b-0000-4000-8000-123456789abc", "total": 17}),
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert knowing(TOKEN).text(text) == text


def test_a_value_that_is_no_proper_text_is_hidden_too() -> None:
    assert knowing("\ud800-abcdefgh").text("x \ud800-abcdefgh") == f"x {MARK}"


def test_a_value_too_short_is_not_learnt() -> None:
    scrubber = knowing("a" * (SHORTEST - 1), "   ab   ")
    assert scrubber.text("aaaaaaa    ab   ") == "aaaaaaa    ab   "
    assert knowing("a" * SHORTEST).text("aaaaaaaa") == MARK


def test_blanks_around_a_value_are_no_part_of_it() -> None:
    assert knowing(f"  {TOKEN}\n").text(f"[{TOKEN}]") == f"[{MARK}]"


def test_what_is_not_known_but_looks_like_a_secret_is_hidden() -> None:
    jwt = "eyJhbGciOiJub25lIn0.eyJleGFtcGxlIjoxfQ.ZXhhbXBsZS1leGFtcGxl"
    assert Scrubber().text(f"got {jwt}.") == "got ‹redacted:jwt›."


def test_one_that_looks_like_another_kind_is_named_as_it_was_learnt() -> None:
    assert knowing(TOKEN).text(f"client_secret={TOKEN}") == f"client_secret={MARK}"


def test_a_known_part_of_what_looks_like_a_secret_leaves_none_of_the_rest() -> None:
    assert knowing(TOKEN).text(f"password=abc{TOKEN}9xyz") == f"password={MARK}"


def test_of_two_secrets_that_overlap_nothing_is_left() -> None:
    scrubber = knowing("abcdefgh-ijklmnop")
    scrubber.learn("ijklmnop-qrstuvwxyz", "longer")
    assert scrubber.text("[abcdefgh-ijklmnop-qrstuvwxyz]") == "[‹redacted:longer›]"


def test_a_secret_that_is_a_part_of_another_does_not_break_it() -> None:
    scrubber = knowing("abcdefgh")
    scrubber.learn("xx-abcdefgh-xx", "whole")
    assert scrubber.text("xx-abcdefgh-xx abcdefgh") == f"‹redacted:whole› {MARK}"


def test_a_secret_that_overlaps_itself_is_hidden_whole() -> None:
    assert knowing("abababab").text("-ababababab-") == f"-{MARK}-"


def test_secrets_side_by_side_are_two() -> None:
    assert knowing(TOKEN).text(TOKEN * 2) == MARK * 2


LONG = "kQ7zR9mX2wT5bY8cV1dJ4fH6gL3nP0sA"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"x {LONG[:24]} y", f"x {MARK} y"),
        (f"x {LONG[:23]} y", f"x {LONG[:23]} y"),
        (f"x '{LONG[:24]}' y", f"x '{MARK}' y"),
        (f"x {LONG[:26]}, y", f"x {MARK}, y"),
        (f"x {LONG[:26]}... y", f"x {MARK}... y"),
        (f"x {LONG[:26]}~{LONG[-5:]} y", f"x {MARK} y"),
        (f"x {LONG[8:]} y", f"x {LONG[8:]} y"),
        (f"x {LONG.upper()} y", f"x {MARK} y"),
        (f"x {LONG.lower()} y", f"x {MARK} y"),
        (f"x {LONG.swapcase()} y", f"x {LONG.swapcase()} y"),
    ],
)
def test_three_quarters_are_hidden_with_what_is_left_of_the_word(text: str, shown: str) -> None:
    """H-F3: a rest that is written oddly is a part of it; a quote, a dot, a comma are not."""
    assert knowing(LONG).text(text) == shown


def test_a_second_kind_for_the_same_value_changes_nothing() -> None:
    scrubber = knowing(TOKEN)
    scrubber.learn(TOKEN, "other")
    assert scrubber.text(TOKEN) == MARK


def test_a_secret_that_is_the_name_of_its_kind_does_not_break_the_marks() -> None:
    scrubber = knowing("password", kind="password")
    assert (
        scrubber.text("password ‹redacted:password›") == "‹redacted:password› ‹redacted:password›"
    )
    assert scrubber.text(json.dumps("‹redacted:password›")) == json.dumps("‹redacted:password›")
    assert knowing("secret-2", kind="secret-2").text("secret-2") == "‹redacted:secret-2›"


def test_a_secret_made_up_as_a_mark_is_hidden_all_the_same() -> None:
    assert knowing("abcdefgh").text("‹abcdefgh›") == f"‹{MARK}›"
    assert knowing("abcdefgh").text("‹xabcdefgh›") == f"‹x{MARK}›"


def test_marks_in_a_url_and_in_json_stay() -> None:
    text = "https://user:‹redacted:access-token›@h/ https://user:\\u2039redacted:jwt\\u203a@h/"
    assert Scrubber().text(text) == text


def test_a_mark_nearby_hides_nothing() -> None:
    scrubber = knowing("abcdefgh", kind="abcdefgh")
    marked = "‹redacted:abcdefgh›"
    for text in ("{}", f"{{}}{marked}", f"{marked}{{}}", "‹{}", "{}›", "›{}‹", "‹x›{}‹x›"):
        assert scrubber.text(text.format("abcdefgh")) == text.format(marked)


def test_what_a_replacement_makes_look_like_a_secret_is_hidden_at_once() -> None:
    scrubber = knowing("<<<<>>>>")
    assert scrubber.text("x=a&lt;&lt;&lt;&lt;&gt;&gt;&gt;&gt;") == f"x=a{MARK}"
    once = scrubber.text("token=a&lt;&lt;&lt;&lt;&gt;&gt;&gt;&gt;")
    assert once == "token=‹redacted:named-secret›"
    assert scrubber.text(once) == once


def test_a_mark_may_show_a_fingerprint_and_stays_as_it_is() -> None:
    """In verbose logs a reader tells two secrets of a kind apart, and sees neither."""
    scrubber = Scrubber(fingerprint=lambda value: f"{len(value):04x}")
    scrubber.learn(TOKEN, "access-token")
    scrubber.learn("another-value", "access-token")
    shown = scrubber.text(f"{TOKEN} another-value")
    assert shown == "‹redacted:access-token#0018› ‹redacted:access-token#000d›"
    assert scrubber.text(shown) == shown
    assert scrubber.text(json.dumps(shown)) == json.dumps(shown)


# Structures


@pytest.mark.parametrize(
    ("data", "scrubbed"),
    [
        (TOKEN, MARK),
        (TOKEN.encode(), MARK),
        (bytearray(b"\xff" + TOKEN.encode()), f"\\xff{MARK}"),
        ([TOKEN, 1, 1.5, True, None], [MARK, 1, 1.5, True, None]),
        ((TOKEN, [TOKEN]), (MARK, [MARK])),
        ({"a": {TOKEN: [TOKEN]}, 1: 2, None: ()}, {"a": {MARK: [MARK]}, 1: 2, None: ()}),
        (OrderedDict(a=TOKEN), {"a": MARK}),
        (Secret("x", "device-code"), "‹redacted:device-code›"),
        (ValueError(TOKEN), f"ValueError('{MARK}')"),
        (Path("/x") / TOKEN, f"PosixPath('/x/{MARK}')"),
        ({TOKEN}, f"{{'{MARK}'}}"),
    ],
)
def test_structures_keep_their_shape_and_lose_their_secrets(data: Any, scrubbed: Any) -> None:
    found = knowing(TOKEN).data(data)
    assert found == scrubbed
    assert type(found) is type(scrubbed)


@pytest.mark.parametrize(
    ("data", "scrubbed"),
    [
        ({"access_token": "x"}, {"access_token": "‹redacted:access-token›"}),
        ({"Refresh-Token": b"x"}, {"Refresh-Token": "‹redacted:refresh-token›"}),
        ({"clientSecret": {"value": ["x"]}}, {"clientSecret": "‹redacted:clientsecret›"}),
        ({"password": 1234}, {"password": "‹redacted:password›"}),
        ({b"set-cookie": ["x"]}, {b"set-cookie": "‹redacted:set-cookie›"}),
        ({"device_code": ValueError("x")}, {"device_code": "‹redacted:device-code›"}),
        (
            {"code_verifier": Secret("x", "pkce-verifier")},
            {"code_verifier": "‹redacted:pkce-verifier›"},
        ),
        ({"bitbucket_token": "x"}, {"bitbucket_token": "‹redacted:named-secret›"}),
        ({f"{TOKEN}_password": "x"}, {f"{MARK}_password": "‹redacted:named-secret›"}),
        ({"id_token": None, "password": False}, {"id_token": None, "password": False}),
        ({"nextPageToken": "x", "token_type": "y"}, {"nextPageToken": "x", "token_type": "y"}),
        ({"secret": {"kind": "k"}, "code": "x"}, {"secret": {"kind": "k"}, "code": "x"}),
        ({"error": {"code": "SECRET_REFUSED"}}, {"error": {"code": "SECRET_REFUSED"}}),
    ],
)
def test_what_stands_under_a_secret_s_name_is_hidden_whatever_it_is(
    data: Any, scrubbed: Any
) -> None:
    found = knowing(TOKEN).data(data)
    assert {str(key): value for key, value in found.items()} == {
        str(key.decode() if isinstance(key, bytes) else key): value
        for key, value in scrubbed.items()
    }


@pytest.mark.parametrize("name", sorted(SECRET_NAMES))
def test_each_name_of_a_secret_hides_a_structure(name: str) -> None:
    assert Scrubber().data({name.upper(): {"a": ["x"]}}) == {name.upper(): f"‹redacted:{name}›"}


def test_a_structure_without_end_is_cut_off() -> None:
    endless: list[Any] = []
    endless.append(endless)
    found = Scrubber().data(endless)
    for _ in range(DEEPEST - 1):
        (found,) = found
    assert found == ["‹too-deep›"]


def test_what_cannot_be_described_is_hidden() -> None:
    class Broken:
        def __repr__(self) -> str:
            raise ValueError(TOKEN)

    assert Scrubber().data([Broken()]) == ["‹unprintable›"]


def test_what_was_scrubbed_once_stays_as_it_is() -> None:
    scrubber = knowing(TOKEN)
    once = scrubber.data({"access_token": TOKEN, "url": f"https://u:{TOKEN}@h/?token={TOKEN}"})
    assert scrubber.data(once) == once
    assert scrubber.text(json.dumps(once)) == json.dumps(once)


# Any secret, anywhere

VISIBLE = st.characters(min_codepoint=0x21, max_codepoint=0x7E)
VALUES = st.text(VISIBLE, min_size=SHORTEST, max_size=40)
SURROUNDINGS = st.text(st.characters(codec="utf-8", exclude_characters="‹›"), max_size=20)


@given(value=VALUES, form=st.sampled_from(sorted(WRITTEN)), before=SURROUNDINGS, after=SURROUNDINGS)
def test_no_secret_is_seen_in_any_text_in_any_form(
    value: str, form: str, before: str, after: str
) -> None:
    """H-F1."""
    assume(value not in "‹redacted:k›")
    written = WRITTEN[form](value)
    scrubber = knowing(value, kind="k")
    shown = scrubber.text(before + written + after)
    assert written not in shown
    assert value not in shown
    assert scrubber.text(shown) == shown


@given(values=st.lists(VALUES, min_size=1, max_size=4), data=st.data())
def test_of_many_secrets_in_one_text_none_is_seen(values: list[str], data: st.DataObject) -> None:
    assume(not any(value in "‹redacted:k›" for value in values))
    scrubber = knowing(*values, kind="k")
    parts = data.draw(st.lists(st.sampled_from(values) | SURROUNDINGS, max_size=8))
    shown = scrubber.text("".join(parts))
    assert not [value for value in values if value in shown]
    assert scrubber.text(shown) == shown


@given(value=VALUES)
def test_no_secret_is_seen_in_serialised_structures(value: str) -> None:
    assume(value not in "‹redacted:k›")
    scrubber = knowing(value, kind="k")
    nested = json.dumps({"body": json.dumps({"x": [value, {value: 1}]}), value: value})
    query = urlencode({"q": value, "a b": "c"})
    for text in (nested, query, f"<a href={quoteattr(value)}>{escape(value)}</a>"):
        assert value not in scrubber.text(text)
        assert json.dumps(value)[1:-1] not in scrubber.text(text)


# Threads and cost


def test_threads_may_learn_and_scrub_at_the_same_time() -> None:
    scrubber = Scrubber()
    leaks: list[str] = []

    def work(number: int) -> None:
        for turn in range(20):
            value = f"value-{number}-{turn}-{TOKEN}"
            scrubber.learn(value, "k")
            if scrubber.text(value) != "‹redacted:k›":
                leaks.append(value)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert leaks == []


def test_a_finalizer_that_takes_a_secret_does_not_lock_it_up() -> None:
    scrubber = Scrubber()
    taken: list[str] = []

    def take(*_: object) -> None:
        if threading.current_thread() is thread:
            taken.append("another-value")
            scrubber.learn("another-value", "k")

    def work() -> None:
        scrubber.learn(TOKEN, "k")
        scrubber.text("text")

    thread = threading.Thread(target=work, daemon=True)
    threshold = gc.get_threshold()
    gc.callbacks.append(take)
    gc.set_threshold(1)
    try:
        thread.start()
        thread.join(30)
    finally:
        gc.set_threshold(*threshold)
        gc.callbacks.remove(take)
    assert not thread.is_alive()
    assert taken
    assert scrubber.text(f"{TOKEN} another-value") == "‹redacted:k› ‹redacted:k›"


def test_its_import_is_light_and_so_is_learning() -> None:
    code = (
        "import sys; from guard.scrub import Scrubber; Scrubber().learn('x' * 20, 'k');"
        "print(*{'base64', 'json', 'guard.shapes', 'urllib.parse'} & {*sys.modules})"
    )
    command = [sys.executable, "-c", code]
    loaded = subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True, text=True)
    assert loaded.stdout == "\n"
