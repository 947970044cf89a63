"""How fresh a sign-in is, to the second, and how that is told."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.vault.samples import credential
from twg.cli.moments import moment
from twg.cli.sign_ins import (
    freshness_in_words,
    lapse_in_words,
    protection_in_words,
    state_of,
    why_no_keyring,
)
from twg.cli.wiring import Wiring
from twg.vault import KeyLocation

if TYPE_CHECKING:
    from tests.cli.console import Console
    from twg.vault import CredentialSummary

ISSUED = 1_000_000.0
DUE = ISSUED + 2700
EXPIRED = ISSUED + 3600
LAPSED = ISSUED + 30 * 86_400
KEY = "auth-0123456789abcdef"


def summary(**changes: Any) -> CredentialSummary:
    """Return what is known of a sign-in whose token lives for an hour."""
    return replace(credential().summary, **changes)


@pytest.mark.parametrize(
    ("now", "changes", "state"),
    [
        (ISSUED, {}, "fresh"),
        (DUE - 1, {}, "fresh"),
        (DUE, {}, "due"),
        (EXPIRED - 1, {}, "due"),
        (EXPIRED, {}, "expired"),
        (LAPSED - 1, {}, "expired"),
        (LAPSED, {}, "lapsed"),
        (LAPSED, {"lapses_at": None}, "expired"),
        (DUE, {"renewable": False}, "fresh"),
        (EXPIRED, {"renewable": False}, "lapsed"),
        (LAPSED, {"expires_at": None, "due_at": None, "lapses_at": None}, "fresh"),
        (ISSUED, {"refused": "ended"}, "refused"),
        (LAPSED, {"refused": "ended"}, "refused"),
    ],
)
def test_the_state_changes_at_the_very_second(
    now: float, changes: dict[str, Any], state: str
) -> None:
    assert state_of(summary(**changes), now) == state


@pytest.mark.parametrize(
    ("now", "changes", "words"),
    [
        (ISSUED, {}, "fresh; next renewal due in 45 minutes, expires in 60 minutes"),
        (DUE, {}, "usable; a renewal is due and runs beside the next call"),
        (EXPIRED, {}, "expired; it is renewed at the next call"),
        (LAPSED, {}, "lapsed; sign in again"),
        (ISSUED, {"refused": "ended"}, "no longer accepted: ended"),
        (ISSUED, {"expires_at": None, "due_at": None}, "usable; the provider set no end"),
        (
            ISSUED,
            {"renewable": False},
            "usable for 60 minutes more; there is nothing to renew it with",
        ),
    ],
)
def test_the_state_is_told_with_what_happens_next(
    now: float, changes: dict[str, Any], words: str
) -> None:
    assert freshness_in_words(summary(**changes), now) == words


def test_it_is_told_when_a_sign_in_ends_that_is_not_used() -> None:
    known = summary()

    until = moment(LAPSED)
    assert lapse_in_words(known, ISSUED) == f"ends in 30 days if it is not used ({until})"
    assert lapse_in_words(known, LAPSED) == f"lapsed on {until}, for it was not used"
    assert lapse_in_words(summary(lapses_at=None), ISSUED) is None


def test_it_is_told_how_a_credential_is_protected(console: Console) -> None:
    wiring = Wiring((), console.env)

    assert protection_in_words(None, wiring) == "nothing is stored yet"
    in_ring = KeyLocation(location="keyring", id=KEY)
    assert "your system's key ring" in protection_in_words(in_ring, wiring)
    in_file = KeyLocation(location="file", id=KEY)
    assert str(console.state / f"{KEY}.key") in protection_in_words(in_file, wiring)


def test_it_is_told_why_a_key_is_in_a_file() -> None:
    assert why_no_keyring(None) is None
    assert why_no_keyring(KeyLocation(location="file", id=KEY)) is None
    found = why_no_keyring(KeyLocation(location="file", id=KEY, reason="it is locked"))
    assert found == "A key ring would protect the key better: it is locked."
