"""The sandbox's Jira projects and issues: made up, the same at every start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, overload

from twg.sandbox.people import ALICE, BOB, HARBOR, ORCHARD

if TYPE_CHECKING:
    from twg.sandbox.people import Person, Site


@dataclass(frozen=True)
class Project:
    """A Jira project of a site, with the subjects its issues are about."""

    number: int
    key: str
    name: str
    cloud_id: str
    issues: int
    subjects: tuple[str, ...]


PROJECTS: Final = (
    Project(
        10001,
        "HAR",
        "Harbour renewal",
        HARBOR.cloud_id,
        36,
        ("quay lights", "berth plan", "pilot roster", "crane sensor", "tide gauge", "ferry slip"),
    ),
    Project(
        10002,
        "OPS",
        "Operations",
        HARBOR.cloud_id,
        24,
        ("backup job", "build queue", "pager rota", "log retention", "certificate"),
    ),
    Project(
        10003,
        "ORC",
        "Orchard planning",
        ORCHARD.cloud_id,
        12,
        ("irrigation", "grafting rota", "cider press", "frost alarm"),
    ),
)
TIDE: Final = Project(
    10004,
    "TIDE",
    "Tide log",
    HARBOR.cloud_id,
    100_000,
    ("high water", "low water", "slack water"),
)
"""For lists that are long: its issues are made up as they are asked for, where it is named."""

_TASKS: Final = (
    "Replace the {}",
    "Document the {}",
    "Test the {} under load",
    "Agree on an owner for the {}",
    "Find out why the {} fails at night",
)
_STATUSES: Final = (("To Do", "new"), ("In Progress", "indeterminate"), ("Done", "done"))
_TYPES: Final = ("Task", "Bug", "Story")
_PRIORITIES: Final = ("Medium", "High", "Low")
_START: Final = datetime(2026, 9, 1, 8, 0, tzinfo=UTC)


def visible_projects(site: Site, person: Person) -> list[Project]:
    """Return the projects of `site` that `person` may browse."""
    return [p for p in PROJECTS if p.cloud_id == site.cloud_id and p.key in person.projects]


def built_in_issues(site: Site, project: Project) -> list[dict[str, Any]]:
    """Return the issues a project starts with, oldest first."""
    return [_issue(site, project, number) for number in range(1, project.issues + 1)]


class MadeUp(Sequence[dict[str, Any]]):
    """The issues of a project, none of which is there before it is looked at.

    Args:
        site: Where the project is.
        project: Whose they are.
    """

    def __init__(self, site: Site, project: Project) -> None:
        self._site = site
        self._project = project

    def __len__(self) -> int:
        return self._project.issues

    @overload
    def __getitem__(self, at: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, at: slice) -> list[dict[str, Any]]: ...
    def __getitem__(self, at: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        numbers = range(1, len(self) + 1)[at]
        if isinstance(numbers, int):
            return _issue(self._site, self._project, numbers)
        return [_issue(self._site, self._project, number) for number in numbers]


def _issue(site: Site, project: Project, number: int) -> dict[str, Any]:
    subject = project.subjects[number % len(project.subjects)]
    created = _START + timedelta(hours=19 * number)
    return issue_document(
        site,
        project,
        number,
        summary=_TASKS[number % len(_TASKS)].format(subject),
        status=_STATUSES[number % len(_STATUSES)],
        issue_type=_TYPES[number % len(_TYPES)],
        assignee=ALICE if number % 2 else BOB,
        created=created,
    )


def issue_document(
    site: Site,
    project: Project,
    number: int,
    *,
    summary: str,
    status: tuple[str, str],
    issue_type: str,
    assignee: Person | None,
    created: datetime,
) -> dict[str, Any]:
    """Return an issue as Jira's REST interface writes it."""
    identifier = str(project.number * 1000 + number)
    moment = created.strftime("%Y-%m-%dT%H:%M:%S.000+0000")
    return {
        "expand": "renderedFields,names,schema",
        "id": identifier,
        "self": f"https://api.sandbox.example/ex/jira/{site.cloud_id}/rest/api/3/issue/{identifier}",
        "key": f"{project.key}-{number}",
        "fields": {
            "summary": summary,
            "status": {"name": status[0], "statusCategory": {"key": status[1]}},
            "issuetype": {"name": issue_type, "subtask": False},
            "priority": {"name": _PRIORITIES[number % len(_PRIORITIES)]},
            "project": {"id": str(project.number), "key": project.key, "name": project.name},
            "assignee": user_document(assignee) if assignee else None,
            "created": moment,
            "updated": moment,
        },
    }


def user_document(person: Person) -> dict[str, Any]:
    """Return a person as Jira's REST interface writes them."""
    return {
        "accountId": person.account_id,
        "accountType": "atlassian",
        "emailAddress": person.email,
        "displayName": person.name,
        "active": True,
        "timeZone": "Europe/Paris",
    }
