"""The lock files pin by hash alone: where packages come from is each machine's own setting."""

from __future__ import annotations

import json
import re
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def test_the_python_lock_names_no_place_and_hashes_everything() -> None:
    lock = (REPOSITORY / "requirements-dev.lock").read_text()
    assert "://" not in lock
    assert not re.search(r"^-", lock, re.MULTILINE)
    pins = re.findall(r"^[a-z0-9][^\n]*==", lock, re.MULTILINE)
    hashed = re.findall(r"^[a-z0-9][^\n]*== ?[^\n]*\\\n +--hash=sha256:", lock, re.MULTILINE)
    assert len(pins) == len(hashed) > 40


def test_the_rigs_lock_names_no_place_and_hashes_everything() -> None:
    lock = json.loads((REPOSITORY / "tests/rigs/oidc_provider/package-lock.json").read_text())
    packages = [package for name, package in lock["packages"].items() if name]
    assert len(packages) >= 40
    assert not any("resolved" in package for package in packages)
    assert all(package["integrity"].startswith("sha512-") for package in packages)
