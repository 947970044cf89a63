"""The vault's door: what it offers, and what a look through it costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import twg.vault

REPOSITORY = Path(__file__).parents[2]


def test_all_is_sorted_and_every_name_is_there() -> None:
    assert sorted(twg.vault.__all__) == twg.vault.__all__ == dir(twg.vault)
    for name in twg.vault.__all__:
        found = getattr(twg.vault, name)
        assert name in {"KeyPlaceName", found.__name__}
    with pytest.raises(AttributeError):
        _ = twg.vault.Nothing  # type: ignore[attr-defined]  # that is what is tried


def test_reading_a_header_imports_nothing_heavy() -> None:
    script = """
import asyncio, pathlib, sys
from guard.custody import Custody
from twg.vault import KeyKeeper, SealedStore
root = pathlib.Path("/nowhere/at/all")
custody = Custody(None)
keys = KeyKeeper(root, custody=custody)
store = SealedStore(root / "auth.conf", state_dir=root, keys=keys, custody=custody)
asyncio.run(store.summaries())
heavy = {"cryptography", "keyring", "filelock", "httpx", "secretstorage"}
print(sorted(heavy & sys.modules.keys()))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")
