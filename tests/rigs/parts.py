"""Finds the outside programs that rigs are made of, and says which one is missing."""

from __future__ import annotations

import os
import shutil
import sys
from typing import NoReturn

import pytest

REQUIRE_ALL = "TWG_TESTS_REQUIRE_ALL"
"""Set to 1 where every part must be there, as in `.ci/run`: a missing one is then a failure."""


def missing(reason: str) -> NoReturn:
    """Skip the running test for `reason`, or fail it where nothing may be missing."""
    if os.environ.get(REQUIRE_ALL) == "1":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def program(*names: str) -> str:
    """Return the path of the first of `names` that is installed; skip the test if none is."""
    found = (shutil.which(name, path=search_path()) for name in names)
    return next(filter(None, found), None) or missing(f"{' or '.join(names)} is not installed")


def search_path() -> str:
    """Return the PATH for programs under test: this interpreter's directory, then the caller's."""
    own = os.path.dirname(sys.executable)  # noqa: PTH120 - resolving would leave the environment
    return os.pathsep.join([own, os.environ.get("PATH", os.defpath)])
