"""`Wiring.permit`: who may do what."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.policy.calls import asked
from tests.rigs.surroundings import clean_env
from twg.cli.wiring import Wiring
from twg.errors import PolicyDenied, UsageError

if TYPE_CHECKING:
    from pathlib import Path

READS = asked("jira GET /rest/api/3/myself")
WRITES = asked("jira POST /rest/api/3/issue", "{}")


def wiring(root: Path, **more: str) -> Wiring:
    return Wiring([], clean_env(root) | more)


async def test_a_person_may_do_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    person = wiring(tmp_path)
    monkeypatch.setattr(person, "agent", None)
    await person.permit(READS)
    await person.permit(WRITES)


async def test_an_agent_reads_and_does_no_more(tmp_path: Path) -> None:
    agent = wiring(tmp_path, CLAUDECODE="1")
    await agent.permit(READS)
    with pytest.raises(PolicyDenied, match="write"):
        await agent.permit(WRITES)
    with pytest.raises(UsageError, match="another method"):
        await agent.permit(asked("jira GET /rest/api/3/myself?_method=DELETE"))
