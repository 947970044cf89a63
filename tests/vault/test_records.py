"""Records are read as they are annotated, and no looser."""

from __future__ import annotations

from typing import Any

import pytest

from guard.secret import Secret
from tests.vault.samples import credential
from twg.vault import Credential, Header, KeyLocation, Tokens
from twg.vault.credential import CredentialSummary
from twg.vault.records import from_plain, to_plain


def plain(**changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = to_plain(credential().summary)
    return {**made, **changes}


def test_a_summary_comes_back_as_it_was() -> None:
    assert from_plain(CredentialSummary, plain()) == credential().summary


@pytest.mark.parametrize(
    "changes",
    [
        {"profile": 1},
        {"profile": None},
        {"generation": True},
        {"generation": 1.0},
        {"generation": "1"},
        {"issued_at": "1"},
        {"renewable": 1},
        {"sites": {}},
        {"sites": ["x"]},
        {"scopes": "read:me"},
        {"account": {"name": "Alice"}},
        {"extra": 1},
    ],
)
def test_another_type_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"belongs|fields"):
        from_plain(CredentialSummary, plain(**changes))


def test_a_missing_field_is_refused() -> None:
    short = plain()
    del short["site"]
    with pytest.raises(ValueError, match="fields"):
        from_plain(CredentialSummary, short)


def test_a_field_that_came_later_may_be_missing() -> None:
    kept: dict[str, Any] = to_plain(credential().tokens, lambda secret: secret.kind)
    del kept["boot_id"], kept["issued_boottime"]
    assert from_plain(Tokens, kept, Secret).boot_id is None
    summary = plain()
    del summary["boot_id"], summary["issued_boottime"]
    assert from_plain(CredentialSummary, summary) == credential().summary


def test_a_whole_number_does_for_a_time() -> None:
    assert from_plain(CredentialSummary, plain(issued_at=5)).issued_at == 5.0


def test_a_secret_does_not_go_into_a_clear_record() -> None:
    with pytest.raises(TypeError, match="secret"):
        to_plain(credential())
    with pytest.raises(TypeError, match="does not belong"):
        to_plain(object())


def test_a_secret_does_not_come_out_of_a_clear_record() -> None:
    sealed = to_plain(credential(), lambda secret: secret.reveal("test"))
    with pytest.raises(ValueError, match="secret"):
        from_plain(Credential, sealed)
    sealed["tokens"]["access"]["more"] = 1
    with pytest.raises(ValueError, match="secret"):
        from_plain(Credential, sealed, Secret)


@pytest.mark.parametrize(
    ("location", "key_id"),
    [
        ("cloud", "auth-0123456789abcdef"),
        ("file", "../../../etc/auth-0123456789abcdef"),
        ("file", "auth-0123456789abcdef\n"),
        ("file", "auth"),
    ],
)
def test_a_key_location_leads_nowhere_else(location: str, key_id: str) -> None:
    """The header is read before it is authenticated: it must not choose a file."""
    with pytest.raises(ValueError, match="place"):
        from_plain(KeyLocation, {"location": location, "id": key_id, "reason": None})


def test_an_empty_header_comes_back_as_it_was() -> None:
    assert from_plain(Header, to_plain(Header())) == Header()
