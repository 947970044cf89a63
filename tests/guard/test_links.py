"""The form of a line, and who may hand a key over."""

from __future__ import annotations

import json
from typing import Any

import pytest

from guard.links import (
    BEGINNING,
    HANDED_OVER,
    Start,
    fragment,
    hand_over,
    key_name,
    line_of,
    link_at_end,
    link_in,
    prev_in,
    sealed,
    start_of,
    unsealed,
)

OLD, NEW = bytes(32), bytes(range(32))
KEYS = [OLD, NEW]


def line(details: dict[str, Any] | None = None) -> bytes:
    facts = {"event": HANDED_OVER, "actor": {}, "outcome": "ok", "details": details}
    return line_of(fragment(facts), BEGINNING, KEYS)[0]


def test_a_line_is_one_object_that_ends_in_its_chain() -> None:
    written, link = line_of(fragment({"event": "e"}), BEGINNING, KEYS)
    record = json.loads(written)
    assert list(record) == ["ts", "seq", "event", "prev", "mac"]
    assert (record["seq"], record["prev"], record["mac"]) == (1, BEGINNING.mac, link.mac)
    assert prev_in(written) == BEGINNING.mac
    assert start_of(written) == Start(record["ts"], 1)
    assert start_of(b"no line") is None


def test_a_key_is_handed_over_by_both() -> None:
    sound = hand_over(BEGINNING, KEYS)
    assert sound["old"] == key_name(OLD)
    assert sound["new"] == key_name(NEW)
    found = link_in(line(sound), KEYS, 0)
    assert found is not None
    assert found.epoch == 1


@pytest.mark.parametrize("signature", ["0" * 64, hand_over(BEGINNING, [NEW, OLD])["signature"]])
def test_h_g2_what_the_newer_key_has_not_signed_hands_nothing_over(signature: str) -> None:
    """H-G2: who has the older key alone names no successor."""
    found = link_in(line(hand_over(BEGINNING, KEYS) | {"signature": signature}), KEYS, 0)
    assert found is not None
    assert found.epoch == 0


def test_where_there_is_no_newer_key_nothing_is_handed_over() -> None:
    found = link_in(line(hand_over(BEGINNING, KEYS)), [OLD], 0)
    assert found is not None
    assert found.epoch == 0


def test_the_last_line_is_known_under_whichever_key_it_has() -> None:
    old, link = line_of(fragment({"event": "e"}), BEGINNING, KEYS)
    new, _ = line_of(fragment({"event": "e"}), link._replace(epoch=1), KEYS)
    assert [getattr(link_at_end(each, KEYS), "epoch", None) for each in (old, new)] == [0, 1]
    assert link_at_end(new, [OLD]) is None


def test_a_note_is_sealed_for_its_purpose() -> None:
    link = BEGINNING._replace(seq=7, epoch=1)
    note = sealed("head", link, KEYS)
    assert unsealed("head", note, KEYS) == link
    assert unsealed("start", note, KEYS) is None
    assert unsealed("head", note, [OLD]) is None
