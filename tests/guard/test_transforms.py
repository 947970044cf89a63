"""Each way to write a secret that is listed is caught, whole and in any two chunks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guard.scrub import Scrubber
from guard.stream import Redactor
from tests.guard.transforms import MISSED, MORE, TRANSFORMS, traces

ALL = {**TRANSFORMS, **MORE}
TOKENS = ["n0t-A-r3al_token.Value~9Qx7pLm2Zr", "ATATT3xFfGF0Kq7Zr9Lm2Xw5Tb8Yc1Vd4=0A1B2C3D"]
# Letters, digits and the signs of tokens; enough letters in a row to be told from words.
VALUES = st.from_regex(
    r"[A-Za-z][A-Za-z0-9]{11}[A-Za-z0-9._~+/=-]{8,40}[A-Za-z0-9]{4}", fullmatch=True
)


def knowing(value: str) -> Scrubber:
    scrubber = Scrubber()
    scrubber.learn(value, "k")
    return scrubber


def test_there_are_as_many_as_in_the_fields_comparisons() -> None:
    assert len(TRANSFORMS) == 32
    assert MORE.keys() >= MISSED


@pytest.mark.parametrize("value", TOKENS)
@pytest.mark.parametrize("name", ALL)
def test_h_f1_a_secret_is_caught_whatever_was_done_to_it(name: str, value: str) -> None:
    """H-F1: and what is not is listed as such."""
    written = ALL[name](value)
    shown = knowing(value).text(f"before {written} after")
    assert bool(traces(written, shown)) == (name in MISSED)
    assert shown.startswith("before ")
    assert shown.endswith(" after")


@pytest.mark.parametrize("name", TRANSFORMS)
def test_h_f1_split_over_any_two_chunks_it_is_caught_too(name: str) -> None:
    """H-F1: with a pause between them."""
    value = TOKENS[0]
    written = TRANSFORMS[name](value)
    data = f"a {written} b\n".encode()
    scrubber = knowing(value)
    for cut in range(len(data) + 1):
        redactor = Redactor(scrubber)
        chunks = [redactor.feed(data[:cut]), redactor.flush(), redactor.feed(data[cut:])]
        shown = b"".join([*chunks, redactor.finish()]).decode()
        assert traces(written, shown) == [], cut
        assert shown.startswith("a ")
        assert shown.endswith(" b\n")


@given(value=VALUES, name=st.sampled_from(sorted(ALL.keys() - MISSED)), around=st.text(max_size=9))
def test_h_f1_any_token_is_caught(value: str, name: str, around: str) -> None:
    """H-F1."""
    written = ALL[name](value)
    shown = knowing(value).text(f"{around} {written} {around}")
    assert traces(written, shown.replace(around, "") if around else shown) == []
