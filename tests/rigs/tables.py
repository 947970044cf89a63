"""A pytest plugin: tables that tests make, printed after pytest's own summary."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

_PROPERTY: Final = "table"


@pytest.fixture
def print_table(request: pytest.FixtureRequest) -> Callable[[str, list[str]], None]:
    """Return what has a table printed at the end, under a title."""

    # It goes with the test's report, which is all that comes out of a worker's process.
    def keep(title: str, lines: list[str]) -> None:
        request.node.user_properties.append((_PROPERTY, [title, lines]))

    return keep


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the tables."""
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            for name, value in report.user_properties:
                if name == _PROPERTY:
                    _print(terminalreporter, *value)


def _print(terminal: pytest.TerminalReporter, title: str, lines: list[str]) -> None:
    terminal.section(title)
    for line in lines:
        terminal.write_line(line)
