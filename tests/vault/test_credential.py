"""What a credential says of itself."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from guard.secret import Secret
from tests.vault.samples import SECRETS, credential, provider
from twg.vault import Account, Provider, Site, Tokens


def test_its_tokens_go_to_the_pinned_origins_and_the_api_only() -> None:
    assert credential().hosts == {
        "https://auth.example.com:443",
        "https://device.example.com:443",
        "http://127.0.0.1:8080",
        "https://api.example.com:443",
    }


def test_an_ipv6_origin_keeps_its_brackets() -> None:
    assert (
        "http://[::1]:9000" in dataclasses.replace(provider(), api_base="http://[::1]:9000").hosts
    )


def test_it_is_due_at_three_quarters_of_the_lifetime() -> None:
    known = credential()
    assert (known.due_at, known.expires_at) == (1_002_700.0, 1_003_600.0)


def test_a_token_without_a_lifetime_is_never_due() -> None:
    tokens = Tokens(access=Secret("a"), issued_at=1.0)
    known = credential(tokens=tokens)
    assert (known.due_at, known.expires_at, known.lapses_at) == (None, None, None)


def test_it_lapses_after_thirty_idle_days_from_the_last_renewal() -> None:
    assert credential().lapses_at == 1_000_000.0 + 30 * 86_400
    assert credential(idle_days=None).lapses_at is None


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_lifetime_that_could_not_be_saved_is_refused_at_once(bad: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        Tokens(access=Secret("a"), issued_at=1.0, expires_in=bad)
    with pytest.raises(ValueError, match="finite"):
        Tokens(access=Secret("a"), issued_at=bad)


def test_identity_and_refusal_are_noted_on_a_copy() -> None:
    known = credential(account=None, sites=(), site=None)
    site = Site(host="two.example.net", cloud_id="c2")
    told = known.with_identity(account=Account(id="7"), sites=(site,), site=site.host)
    assert (told.account, told.sites, told.site) == (Account(id="7"), (site,), "two.example.net")
    assert known.as_refused("revoked by its owner").refused == "revoked by its owner"
    assert known.account is None


def test_a_provider_is_not_changed_through_the_mapping_it_was_given() -> None:
    given = {"prompt": "consent"}
    made = dataclasses.replace(provider(), authorize_params=given)
    given["prompt"] = "none"
    assert made.authorize_params == {"prompt": "consent"}


def test_no_summary_and_no_repr_shows_a_secret() -> None:
    known = credential()
    shown = repr((known, known.summary, known.provider, known.provider.summary))
    assert not [secret for secret in SECRETS if secret in shown]
    assert known.summary.renewable
    assert known.provider.summary.confidential
    assert not dataclasses.replace(known.provider, client_secret=None).summary.confidential


BORN: dict[str, Any] = {"boot_id": "this-run", "issued_boottime": 500.0}


def test_a_summary_is_dated_by_the_clock_that_nobody_sets() -> None:
    known = dataclasses.replace(credential().summary, **BORN)
    assert (known.expires_at, known.due_at) == (1_003_600.0, 1_002_700.0)

    # 100 seconds old, whatever the wall clock says of it.
    told = known.on_clock(5_000_100.0, 600.0, "this-run")

    assert (told.issued_at, told.refreshed_at) == (5_000_000.0, 5_000_000.0)
    assert (told.due_at, told.expires_at) == (5_002_700.0, 5_003_600.0)
    assert told.lapses_at == 5_000_000.0 + 30 * 86_400
    assert told.signed_in_at == known.signed_in_at
    endless = dataclasses.replace(known, expires_at=None, due_at=None, lapses_at=None)
    found = endless.on_clock(5_000_100.0, 600.0, "this-run")
    assert (found.expires_at, found.due_at, found.lapses_at) == (None, None, None)


@pytest.mark.parametrize(
    ("changes", "wall", "uptime", "boot_id"),
    [
        ({}, 1_000_101.0, 600.0, "this-run"),
        ({}, 5_000_000.0, 600.0, "another-run"),
        ({}, 5_000_000.0, 600.0, None),
        ({"boot_id": None}, 5_000_000.0, 600.0, None),
        ({"issued_boottime": None}, 5_000_000.0, 600.0, "this-run"),
        ({}, 5_000_000.0, 400.0, "this-run"),
    ],
    ids=["only drift", "another run", "unnamed", "both unnamed", "undated", "from the future"],
)
def test_where_that_clock_does_not_tell_the_wall_clock_is_believed(
    changes: dict[str, Any], wall: float, uptime: float, boot_id: str | None
) -> None:
    known = dataclasses.replace(credential().summary, **{**BORN, **changes})
    assert known.on_clock(wall, uptime, boot_id) is known


def test_values_are_frozen_and_keyword_only() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        credential().profile = "other"  # type: ignore[misc]  # that is what is tried
    with pytest.raises(TypeError):
        Provider("acme")  # type: ignore[call-arg]  # likewise
