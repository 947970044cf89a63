"""Tables that these tests make, printed after pytest's own summary."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

TABLES = pytest.StashKey[dict[str, list[str]]]()


@pytest.fixture
def print_table(request: pytest.FixtureRequest) -> Callable[[str, list[str]], None]:
    """Return what has a table printed at the end, under a title."""
    tables = request.config.stash.setdefault(TABLES, {})

    def keep(title: str, lines: list[str]) -> None:
        tables[title] = lines

    return keep


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the tables."""
    for title, lines in terminalreporter.config.stash.get(TABLES, {}).items():
        terminalreporter.section(title)
        for line in lines:
            terminalreporter.write_line(line)
