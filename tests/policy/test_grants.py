"""What a grant covers, to the letter, and when it is over."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.policy.calls import asked
from twg.policy import Access, Moment, classify, left_of
from twg.policy.grants import covering, project_of
from twg.vault import Grant

if TYPE_CHECKING:
    from tests.policy.calls import Asked

NOW = Moment(1_800_000_000.0, 5_000.0, "boot-1")
HOUR = 3600.0


def granted(access: str = "write", **more: Any) -> Grant:
    made = Grant(
        id="a1",
        access=access,
        seconds=HOUR,
        granted_at=NOW.wall,
        boottime=NOW.boottime,
        boot_id=NOW.boot_id,
    )
    return replace(made, **more)


def covers(grant: Grant, call: Asked, profile: str = "default", now: Moment = NOW) -> bool:
    return covering([grant], call, classify(call), profile, now) is not None


def test_a_grant_is_good_for_its_class_alone() -> None:
    writes, deletes = (
        asked("jira POST /rest/api/3/issue"),
        asked("jira DELETE /rest/api/3/issue/A-1"),
    )
    assert covers(granted("write"), writes)
    assert not covers(granted("write"), deletes)
    assert covers(granted("delete"), deletes)
    assert not covers(granted("delete"), writes)


@pytest.mark.parametrize(
    ("words", "is_covered"),
    [
        ("jira POST /rest/api/3/issue", True),
        ("atlassian POST /ex/jira/cloud-1/rest/api/3/issue", True),
        ("confluence POST /wiki/rest/api/content", False),
        ("atlassian POST /ex/confluence/cloud-1/wiki/rest/api/content", False),
        ("graphql POST /graphql", False),
        ("jira POST /gateway/api/graphql", False),
        ("atlassian POST /something", False),
    ],
)
def test_a_grant_is_good_for_its_service_whichever_way_it_is_reached(
    words: str, *, is_covered: bool
) -> None:
    assert covers(granted(service="jira"), asked(words, "{}")) is is_covered
    assert covers(granted(), asked(words, "{}"))


def test_a_grant_is_good_for_its_site_where_that_is_known() -> None:
    grant = granted(site="one.example")
    call = asked("jira POST /rest/api/3/issue")
    assert covers(grant, replace(call, site="One.example"))
    assert not covers(grant, replace(call, site="two.example"))
    assert not covers(grant, call)
    behind = asked("atlassian POST /ex/jira/cloud-1/rest/api/3/issue")
    assert not covers(grant, replace(behind, site="one.example"))


def test_a_grant_is_good_for_its_profile() -> None:
    call = asked("jira POST /rest/api/3/issue")
    assert covers(granted(account="work"), call, profile="work")
    assert not covers(granted(account="work"), call, profile="home")


@pytest.mark.parametrize(
    ("path", "is_covered"),
    [
        ("/2.0/repositories/team/repo", True),
        ("/repositories/team/repo/pullrequests", True),
        ("/2.0/repositories/team/repo/pullrequests/1/comments", True),
        ("/2.0/repositories/team/repo2/pullrequests", False),
        ("/2.0/repositories/team", False),
        ("/2.0/repositories/team/repo/../other/pullrequests", False),
        ("/2.0/repositories/team/repo/%2e%2e/other", False),
        ("/2.0/repositories/team/repo//..;/other", False),
        ("/2.0/repositories/team/repo/a;b", False),
        ("/2.0/repositories/team/repo/", False),
    ],
)
def test_a_grant_is_good_for_paths_below_its_own(path: str, *, is_covered: bool) -> None:
    """H-F5."""
    grant = granted(service="bitbucket", path="/2.0/repositories/team/repo")
    assert covers(grant, asked(f"bitbucket PUT {path}")) is is_covered


def body(**fields: Any) -> str:
    return json.dumps({"fields": fields})


DEMO = {"key": "DEMO"}


@pytest.mark.parametrize(
    ("words", "text", "project"),
    [
        ("jira PUT /rest/api/3/issue/DEMO-1", "{}", "DEMO"),
        ("jira PUT /rest/api/3/issue/demo-1", "{}", "DEMO"),
        ("jira PUT /rest/api/3/issue/DEMO-1", body(summary="a"), "DEMO"),
        ("jira POST /rest/api/3/issue/DEMO-1/comment", '{"body": "in OTHER-1"}', "DEMO"),
        ("jira POST /rest/api/3/issue/DEMO-1/attachments", "--x\r\nnot json", "DEMO"),
        ("jira POST /rest/api/2/issue/DEMO-1/transitions", '{"transition": {"id": "1"}}', "DEMO"),
        ("jira POST /rest/servicedeskapi/request/DEMO-1/comment", "{}", "DEMO"),
        ("jira POST /rest/api/3/project/DEMO/role/1", "{}", "DEMO"),
        ("atlassian PUT /ex/jira/cloud-1/rest/api/3/issue/DEMO-1", "{}", "DEMO"),
        ("jira POST /rest/api/3/issue", body(project=DEMO, summary="a"), "DEMO"),
        ("jira POST /rest/api/3/issue", body(project=DEMO, parent={"key": "DEMO-1"}), "DEMO"),
        ("confluence POST /wiki/rest/api/space/DOCS/content", "{}", "DOCS"),
        ("confluence POST /wiki/rest/api/content", '{"space": {"key": "DOCS"}}', "DOCS"),
        # What names it by a number, not at all, twice, or not only it.
        ("jira PUT /rest/api/3/issue/10001", "{}", None),
        ("jira PUT /rest/api/3/issue/DEMO%2d1", "{}", None),
        ("jira PUT /rest/api/3/issue/DEMO-1/../OTHER-1", "{}", None),
        ("jira PUT /rest/api/3/issue/DEMO-1;x", "{}", None),
        ("jira POST /rest/api/3/issue/bulk", "{}", None),
        ("jira POST /rest/api/3/bulk/issues/move", "{}", None),
        ("jira POST /rest/api/3/project/10001/role/1", "{}", None),
        ("jira POST /rest/api/3/project/search", "{}", None),
        ("jira POST /rest/api/3/filter", "{}", None),
        ("jira PUT /rest/api/3/issue/DEMO-1", body(project={"key": "OTHER"}), None),
        ("jira PUT /rest/api/3/issue/DEMO-1", body(parent={"key": "OTHER-1"}), None),
        ("jira PUT /rest/api/3/issue/DEMO-1", body(parent={"id": "10001"}), None),
        ("jira PUT /rest/api/3/issue/DEMO-1", '{"update": {"issuelinks": [{}]}}', None),
        ("jira PUT /rest/api/3/issue/DEMO-1", '{"fields": {}, "fields": {"a": 1}}', None),
        ("jira PUT /rest/api/3/issue/DEMO-1", "not json", None),
        (
            "jira POST /rest/api/3/issue/DEMO-1/transitions",
            '{"update": {"issuelinks": [{"add": {}}]}}',
            None,
        ),
        ("jira POST /rest/api/3/issue", "{}", None),
        ("jira POST /rest/api/3/issue", body(project={"id": "10000"}), None),
        ("jira POST /rest/api/3/issue", body(project={"key": "DEMO", "id": "10001"}), None),
        ("jira POST /rest/api/3/issue", body(project={"key": ["DEMO"]}), None),
        ("jira POST /rest/api/3/issue", body(project=DEMO, parent={"key": "OTHER-1"}), None),
        ("jira POST /rest/api/3/issue", body(project=DEMO, parent="DEMO-1"), None),
        (
            "jira POST /rest/api/3/issue",
            '{"fields": {"project": {"key": "OTHER"}, "project": {"key": "DEMO"}}}',
            None,
        ),
        ("confluence PUT /wiki/api/v2/pages/1", "{}", None),
        ("confluence POST /wiki/rest/api/space/_private", "{}", None),
        ("bitbucket POST /2.0/repositories/DEMO/DEMO-1", "{}", None),
    ],
)
def test_a_project_counts_only_where_a_call_names_it_and_no_other(
    words: str, text: str, project: str | None
) -> None:
    call = asked(words, text)
    assert project_of(call) == project
    for key in ("DEMO", "DOCS", "OTHER"):
        assert covers(granted(project=key), call) is (key == project)


def test_a_grant_ends_by_the_clock_that_nobody_sets() -> None:
    """H-D6: a wall clock that is set back or ahead changes nothing."""
    grant = granted()
    for wall in (NOW.wall, NOW.wall - 86_400, NOW.wall + 86_400):
        assert left_of(grant, NOW._replace(wall=wall, boottime=5_000.0 + 3_599)) == 1.0
        assert left_of(grant, NOW._replace(wall=wall, boottime=5_000.0 + 3_600)) == 0.0


@pytest.mark.parametrize("boot", [("boot-2", 10.0), (None, None)])
def test_after_the_machine_was_started_anew_the_wall_clock_counts(
    boot: tuple[str | None, float | None],
) -> None:
    now = NOW._replace(boot_id=boot[0], boottime=boot[1])
    assert left_of(granted(), now._replace(wall=NOW.wall + 3_599)) == 1.0
    assert left_of(granted(), now._replace(wall=NOW.wall + 3_600)) == 0.0
    assert left_of(granted(), now._replace(wall=NOW.wall - 30)) > 0.0
    assert left_of(granted(), now._replace(wall=NOW.wall - 3_600)) == 0.0, "before it was granted"


def test_a_grant_ends_with_its_last_call() -> None:
    call = asked("jira POST /rest/api/3/issue")
    assert covers(granted(calls=2, used=1), call)
    assert not covers(granted(calls=2, used=2), call)


def test_of_several_grants_the_one_that_ends_first_is_used_up() -> None:
    grants = [granted(id="a"), granted(id="b", seconds=60.0), granted(id="c", project="OTHER")]
    call = asked("jira POST /rest/api/3/issue")
    found = covering(grants, call, Access.WRITE, "default", NOW)
    assert found is not None
    assert found.id == "b"
