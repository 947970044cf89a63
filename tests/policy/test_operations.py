"""The products' published operations, each classed by what its description says it does."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from tests.policy.calls import asked
from twg.policy import classify

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
VALUES = {"projectIdOrKey": "DEMO", "issueIdOrKey": "DEMO-1", "key": "DEMO"}


def lines_of(name: str) -> Iterator[tuple[str, str]]:
    for line in (HERE / name).read_text().splitlines():
        if line and not line.startswith("#"):
            access, _, rest = line.partition(" ")
            yield access, rest


def filled(template: str) -> str:
    """Return the path with a value for each name in braces."""
    return re.sub(r"{([^}]*)}", lambda found: VALUES.get(found[1], "1"), template)


def misclassed(name: str, *, worse: tuple[str, ...]) -> list[str]:
    """Name the operations that do one thing and are taken for another."""
    found = []
    for access, words in lines_of(name):
        service, method, path = words.split(" ")
        taken = str(classify(asked(f"{service} {method} {filled(path)}")))
        if taken != access and access in worse:
            found.append(f"{words} does {access} and is taken for {taken}")
    return found


def test_no_published_operation_that_writes_or_deletes_is_taken_for_one_that_reads() -> None:
    """H-F5: of well over three hundred, in five products."""
    published = [words for _, words in lines_of("operations.txt")]

    assert len(published) >= 1300
    assert {words.split(" ")[0] for words in published} == {
        *("jira", "confluence", "bitbucket", "admin", "atlassian"),
    }
    assert misclassed("operations.txt", worse=("write", "delete")) == []


def test_published_operations_that_read_are_open_to_agents() -> None:
    assert misclassed("operations.txt", worse=("read",)) == []


def test_operations_of_graphql_are_classed_by_their_names() -> None:
    """H-F5."""
    found = list(lines_of("graphql_operations.txt"))
    taken = [
        str(classify(asked("graphql POST /graphql", json.dumps({"query": query}))))
        for _, query in found
    ]

    assert len(found) >= 25
    assert taken == [access for access, _ in found]
