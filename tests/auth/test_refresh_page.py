"""The page about renewals holds: the tests that it names are there, and its example runs."""

from __future__ import annotations

import ast
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from tests.auth.parts import issued_by
from tests.docs.markdown import ROOT, read
from tests.vault.samples import with_access
from twg.sandbox.people import ALICE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.auth.parts import Sandbox
    from twg.vault import SealedStore

PAGE = read("docs/refresh.md")


def test_every_test_it_names_is_there() -> None:
    there = {
        node.name
        for path in (ROOT / "tests").rglob("*.py")
        if "node_modules" not in path.parts
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    named = {code for code in PAGE.code if code.startswith("test_")}
    assert len(named) > 20
    assert named - there == set()


def test_every_invariant_is_shown_by_a_test() -> None:
    invariants = PAGE.section("The invariants").split("\n\nPut together")[0]
    for number in range(1, 11):
        after = invariants.partition(f"\n{number}. **")[2].partition(f"\n{number + 1}. **")[0]
        assert "Shown by `test_" in after, number


async def test_its_example_runs(sandbox: Sandbox, store: SealedStore, tmp_path: Path) -> None:
    """And again with a token that the server does not take any more."""
    [example] = PAGE.blocks("python")
    names: dict[str, Any] = {}
    exec(example, names)  # noqa: S102 - it is ours
    who_am_i = partial(
        names["who_am_i"], tmp_path / "config", tmp_path / "state", "work", sandbox.url
    )
    signed_in = await issued_by(sandbox, "work")
    now = replace(signed_in.tokens, issued_at=time.time())
    saved = await store.save(replace(signed_in, tokens=now), expected=0)
    assert await who_am_i() == ALICE.name
    assert await sandbox.renewals() == 0
    spoilt = with_access(saved, "no-token-of-the-sandbox")
    await store.save(spoilt, expected=saved.generation)
    assert await who_am_i() == ALICE.name
    assert await sandbox.renewals() == 1
