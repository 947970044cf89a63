"""What both packages promise to other programs is there, and costs nothing until it is used."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import guard
import twg

if TYPE_CHECKING:
    from types import ModuleType

ROOT = Path(__file__).parents[2]
PACKAGES = pytest.mark.parametrize("package", [guard, twg], ids=lambda package: package.__name__)


@PACKAGES
def test_every_name_that_is_promised_is_there(package: ModuleType) -> None:
    assert package.__all__ == sorted(set(package.__all__))
    assert dir(package) == package.__all__
    for name in {*package.__all__} - {"__version__"}:
        assert getattr(package, name).__name__ == name


@PACKAGES
def test_a_name_that_is_not_promised_is_an_error_that_names_it(package: ModuleType) -> None:
    with pytest.raises(AttributeError, match=f"module '{package.__name__}' has no .* 'nothing'"):
        _ = package.nothing


@PACKAGES
def test_type_checkers_are_shown_each_of_them_in_use(package: ModuleType) -> None:
    """By mypy as strict as it is over all the rest; `make check` runs it."""
    used = {
        node.attr
        for node in ast.walk(ast.parse((ROOT / "tests/typing/api.py").read_text()))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == package.__name__
    }
    assert used == set(package.__all__) - {"__version__"}
    assert (ROOT / package.__name__ / "py.typed").read_bytes() == b""


def test_a_promise_imports_nothing_before_it_is_used() -> None:
    code = (
        "import sys, guard, twg; "
        "print(*sorted(n for n in sys.modules if n.partition('.')[0] in {'guard', 'twg'}))"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["guard", "guard.doors", "twg"]
