"""The package's door, what stands behind it, and what each part costs to import."""

from __future__ import annotations

import subprocess
import sys

import pytest

import twg.oauth


def test_the_door_is_sorted_and_complete() -> None:
    assert twg.oauth.__all__ == sorted(twg.oauth.__all__, key=lambda name: (name.islower(), name))
    assert set(dir(twg.oauth)) == set(twg.oauth._HOMES)
    for name in twg.oauth.__all__:
        assert getattr(twg.oauth, name).__name__ == name


def test_a_misspelt_name() -> None:
    with pytest.raises(AttributeError, match="Refresh"):
        twg.oauth.Refresh  # type: ignore[attr-defined]  # noqa: B018 - the point of the test


@pytest.mark.parametrize(
    ("module", "costly"),
    [
        ("twg.oauth", {"authlib", "h11", "httpx", "anyio"}),
        ("twg.oauth.token", {"authlib", "joserfc"}),
        ("twg.oauth.registration", {"joserfc", "cryptography"}),
        ("twg.oauth.metadata", {"authlib"}),
    ],
)
def test_importing_a_part_costs_no_more_than_it_must(module: str, costly: set[str]) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not costly & set(loaded)
