"""The core's door: what it offers, and what a look through it costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import twg.auth

REPOSITORY = Path(__file__).parents[2]


def test_all_is_sorted_and_every_name_is_there() -> None:
    assert sorted(twg.auth.__all__) == twg.auth.__all__ == dir(twg.auth)
    for name in twg.auth.__all__:
        assert getattr(twg.auth, name).__name__ == name
    with pytest.raises(AttributeError):
        _ = twg.auth.Nothing  # type: ignore[attr-defined]  # that is what is tried


def test_a_manager_imports_nothing_heavy() -> None:
    script = """
import sys
from twg.auth import TokenManager
print(sorted({"authlib", "cryptography", "httpx", "keyring"} & sys.modules.keys()))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")
