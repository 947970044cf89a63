"""A pytest plugin: where `TWG_TESTS_REQUIRE_ALL=1`, a skipped test is a failed test."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.rigs.parts import REQUIRE_ALL

if TYPE_CHECKING:
    from collections.abc import Generator


def _redden(report: pytest.TestReport | pytest.CollectReport) -> None:
    expected_failure = hasattr(report, "wasxfail")  # strict by configuration, and no skip
    if report.outcome == "skipped" and not expected_failure and os.environ.get(REQUIRE_ALL) == "1":
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{reason}\n(and nothing may be skipped: {REQUIRE_ALL}=1)"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a test's skip into a failure."""
    report = yield
    _redden(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Turn the skip of a whole module into a failure."""
    report = yield
    _redden(report)
    return report
