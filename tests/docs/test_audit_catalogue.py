"""What is recorded is what the catalogues say, and so does the reference that is made from them."""

from __future__ import annotations

import ast

from tests.docs import audit_catalogue
from tests.docs.audit_catalogue import CATALOGUES, PAGE, ROOT, SCHEMA, entries


def sources() -> dict[str, ast.Module]:
    """Return the code of both packages by its file, but for the catalogues."""
    paths = [path for package in ("guard", "twg") for path in (ROOT / package).rglob("*.py")]
    names = {str(path.relative_to(ROOT)): path for path in paths}
    return {
        name: ast.parse(path.read_text()) for name, path in names.items() if name not in CATALOGUES
    }


def test_nothing_is_recorded_that_is_not_in_a_catalogue() -> None:
    """Events are recorded by the catalogues' functions alone."""
    found = [
        f"{name}:{node.lineno}"
        for name, tree in sources().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "record"
        and node.args
        and isinstance(node.args[0], ast.Constant | ast.JoinedStr)
    ]
    assert found == []


def test_each_event_of_the_catalogues_is_recorded_somewhere() -> None:
    used = {
        node.attr
        for tree in sources().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "events"
    }
    assert {entry.function for entry in entries()} == used


def test_an_event_is_there_once_and_its_function_is_named_after_it() -> None:
    names = [entry.name for entry in entries()]
    assert len(names) == len(set(names))
    assert [name.replace(".", "_") for name in names] == [each.function for each in entries()]
    assert all(entry.text for entry in entries())


def test_the_page_and_the_schema_are_as_the_catalogues_make_them() -> None:
    """Made anew by `make reference`."""
    assert audit_catalogue.page(PAGE.read_text()) == PAGE.read_text()
    assert audit_catalogue.schema() == SCHEMA.read_text()
