"""What the products' answers have in common."""

from __future__ import annotations

import pytest

from twg.errors import Unavailable
from twg.http import Response
from twg.products.answers import check_available, email_fault, words_in


@pytest.mark.parametrize(
    "value",
    ["", "alice", "alice@", "@x", "a b@x.org", "a b@example.com", "a@b@c", "a:b@c", "a:b@x.org"],
)
def test_what_is_no_address_is_told(value: str) -> None:
    assert email_fault(value) == "it is not an e-mail address"
    assert email_fault("alice@example.com") is None
    assert email_fault("alice+work@example.com") is None


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_answers_later_is_told_from_a_refusal(status: int) -> None:
    with pytest.raises(Unavailable, match=f"HTTP {status}"):
        check_available(answered(status))


@pytest.mark.parametrize("status", [200, 302, 401, 404, 428, 499])
def test_any_other_answer_is_one(status: int) -> None:
    check_available(answered(status))
    assert answered(status).status == status


def test_what_could_steer_a_terminal_is_left_out() -> None:
    assert words_in("A\x1b[31mlice\u202e") == "A[31mlice"
    assert [words_in(value) for value in ("", "\x07", None, 5)] == [None] * 4


def answered(status: int) -> Response:
    return Response(status=status, headers={}, body=b"", url="https://api.example.com/x")
