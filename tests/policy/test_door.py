"""The policy's door: what it offers, and what a look through it costs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import twg.policy

REPOSITORY = Path(__file__).parents[2]


def test_every_name_is_there() -> None:
    assert sorted(twg.policy.__all__) == dir(twg.policy)
    for name in twg.policy.__all__:
        assert getattr(twg.policy, name) is not None
    with pytest.raises(AttributeError):
        _ = twg.policy.Nothing  # type: ignore[attr-defined]  # that is what is tried


def test_a_call_that_is_not_of_graphql_needs_no_parser_of_it() -> None:
    script = """
import sys
from tests.policy.calls import asked
from twg.policy import classify
from twg.policy.policy import Policy
print(classify(asked("jira POST /rest/api/3/search")))
heavy = {"graphql", "cryptography", "keyring", "httpx"}
print(sorted(heavy & sys.modules.keys()))
classify(asked("graphql POST /graphql", '{"query": "{ a }"}'))
print("graphql" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert (done.stdout.splitlines(), done.stderr) == (["read", "[]", "True"], "")
