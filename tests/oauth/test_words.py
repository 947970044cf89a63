"""What a server says is shown as harmless words, whatever it says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twg.oauth.words import MAX_WORDS, clean, clean_address, clean_code


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Unknown or invalid refresh token.", "Unknown or invalid refresh token."),
        ("grant_type is not enabled for client", "grant_type is not enabled for client"),
        ("unsupported_response_type_for_client", "unsupported_response_type_for_client"),
        ("a\r\nb\tc", "a b c"),
        ("\x1b[31mred\x1b[0m", "[31mred[0m"),
        ("left\u202eright\u2066\u200b", "leftright"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("the token ATATT3xFfGF0abcdefghijklmnop is bad", "the token […] is bad"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "[…]"),
        ("Grüße, 世界", "Grüße, 世界"),
        (None, ""),
        (7, ""),
        (["a"], ""),
    ],
)
def test_clean(text: object, expected: str) -> None:
    assert clean(text) == expected


def test_a_token_goes_before_the_text_is_cut() -> None:
    """No part of it stays at the edge."""
    assert "Abcdef1" not in clean("x " * 145 + "Abcdef1" * 20)


@given(st.text(max_size=2000))
def test_clean_is_always_one_bounded_printable_line(text: str) -> None:
    shown = clean(text)
    assert len(shown) <= MAX_WORDS
    assert shown.isprintable()


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("invalid_grant", "invalid_grant"),
        ("", ""),
        ("a b", ""),
        ("a\x1b", ""),
        ("a" * 65, ""),
        (None, ""),
        (["a"], ""),
    ],
)
def test_clean_code(code: object, expected: str) -> None:
    assert clean_code(code) == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://a.example/tenant/4711aB", "https://a.example/tenant/4711aB"),
        (None, "no address"),
        ("", "no address"),
        ("https://a\x1b", "something unreadable"),
        (7, "something unreadable"),
    ],
)
def test_clean_address(url: object, expected: str) -> None:
    assert clean_address(url) == expected
