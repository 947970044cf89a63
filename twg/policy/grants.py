"""What a grant covers, and when it has ended, by a clock that nobody sets where there is one."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from twg.policy.classification import target_of
from twg.policy.spelling import is_plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from twg.policy.access import Access
    from twg.policy.call import Call
    from twg.policy.classification import Target
    from twg.vault import Grant

_SKEW: Final = 60.0
_KEY: Final = re.compile(r"[A-Z][A-Z0-9_]{1,}")
_ISSUE: Final = re.compile(r"([A-Z][A-Z0-9_]{1,})-[1-9][0-9]*")
_OF_ISSUE: Final = re.compile(r"/rest/(?:api/[23]|agile/1\.0)/issue/(?P<key>[^/]+)(?P<rest>/.*)?")
_OF_REQUEST: Final = re.compile(r"/rest/servicedeskapi/request/(?P<key>[^/]+)(?P<rest>/.*)?")
_OF_PROJECT: Final = re.compile(r"/rest/api/[23]/project/([^/]+)(?:/.*)?")
_NEW_ISSUE: Final = re.compile(r"/rest/api/[23]/issue")
_OF_SPACE: Final = re.compile(r"/wiki/rest/api/space/([^/]+)(?:/.*)?")
_NEW_CONTENT: Final = re.compile(r"/wiki/rest/api/content")


class Moment(NamedTuple):
    """A moment on both clocks: on the wall, and on this run's of the machine, if that is known."""

    wall: float
    boottime: float | None
    boot_id: str | None


def left_of(grant: Grant, now: Moment) -> float:
    """Return for how many seconds a grant goes on; none where it has ended, whatever for."""
    if grant.calls is not None and grant.used >= grant.calls:
        return 0.0
    if grant.boottime is not None and now.boottime is not None and grant.boot_id == now.boot_id:
        age = now.boottime - grant.boottime
    else:
        age = now.wall - grant.granted_at
        # Before it was granted: nobody knows how old it is, so it is over.
        age = grant.seconds if age < -_SKEW else age
    return max(0.0, grant.seconds - age)


def covering(
    grants: Sequence[Grant], call: Call, access: Access, profile: str, now: Moment
) -> Grant | None:
    """Return the grant that a call is to use up: of several that cover it, the one that ends first.

    Args:
        grants: All there are.
        call: The call.
        access: What it does.
        profile: The profile whose credential it takes.
        now: This moment.
    """
    target = target_of(call)
    found = [
        grant
        for grant in grants
        if left_of(grant, now) and _covers(grant, call, target, access, profile)
    ]
    return min(found, key=lambda grant: (left_of(grant, now), grant.id), default=None)


def used(grant: Grant) -> Grant:
    """Return a grant with one call more."""
    return replace(grant, used=grant.used + 1)


def project_of(call: Call) -> str | None:
    """Return the key of the one project or space that a call is about; None if that is not sure.

    Paths name it, and for what is new, bodies. What is spelt in an odd way is not sure, nor is what
    names things by numbers, nor what may reach beyond.
    """
    return _project_in(call, target_of(call))


def _covers(grant: Grant, call: Call, target: Target, access: Access, profile: str) -> bool:
    return (
        grant.access == access
        and grant.account in {None, profile}
        and grant.service in {None, target.service}
        # Behind the gateway, an ID stands for the site, which is not known here.
        and (grant.site is None or (target.direct and grant.site == _host(call)))
        and (grant.project is None or grant.project == _project_in(call, target))
        and (grant.path is None or _is_below(target.path, grant.path))
    )


def _host(call: Call) -> str | None:
    return None if call.site is None else call.site.lower()


def _is_below(path: str, prefix: str) -> bool:
    front = prefix.rstrip("/")
    return is_plain(path) and (path == front or path.startswith(f"{front}/"))


def _project_in(call: Call, target: Target) -> str | None:
    if not is_plain(target.path):
        return None
    if target.service == "jira":
        return _jira_project(call, target.path)
    if target.service == "confluence":
        return _space(call, target.path)
    return None


def _jira_project(call: Call, path: str) -> str | None:
    if _NEW_ISSUE.fullmatch(path):
        body = _json(call.body)
        key = _named(body, "fields", "project")
        return None if key is None or _reaches_out(body, key) else key
    if issue := _OF_ISSUE.fullmatch(path) or _OF_REQUEST.fullmatch(path):
        found = _ISSUE.fullmatch(issue["key"].upper())
        if found is None or (_changes_fields(issue) and _reaches_out(_json(call.body), found[1])):
            return None
        return found[1]
    project = _OF_PROJECT.fullmatch(path)
    return project[1] if project and _KEY.fullmatch(project[1]) else None


def _changes_fields(issue: re.Match[str]) -> bool:
    return issue["rest"] in {None, "/", "/transitions"}


def _space(call: Call, path: str) -> str | None:
    if _NEW_CONTENT.fullmatch(path):
        return _named(_json(call.body), "space")
    space = _OF_SPACE.fullmatch(path)
    return space[1] if space and not space[1].startswith("_") else None


def _named(body: Any, *names: str) -> str | None:
    """Return the key at these names, where it alone says which one is meant."""
    for name in names:
        body = body.get(name) if isinstance(body, dict) else None
    if not isinstance(body, dict) or body.keys() != {"key"}:
        return None
    return body["key"] if isinstance(body["key"], str) else None


def _reaches_out(body: Any, project: str) -> bool:
    """Tell whether a body, of an issue or about one, moves it or ties it to those of others."""
    return body is None or any(
        name == "issuelinks"
        or (name == "project" and value != {"key": project})
        or (name == "parent" and not _is_issue_of(project, value))
        for name, value in _members(body)
    )


def _is_issue_of(project: str, value: Any) -> bool:
    if not isinstance(value, dict) or value.keys() != {"key"} or not isinstance(value["key"], str):
        return False
    found = _ISSUE.fullmatch(value["key"])
    return found is not None and found[1] == project


def _members(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield what stands in the body's objects ``fields`` and ``update``, and the body's own."""
    if not isinstance(value, dict):
        return
    for name, inner in value.items():
        yield name, inner
        if name in {"fields", "update"} and isinstance(inner, dict):
            yield from inner.items()


def _json(body: bytes | None) -> Any:
    """Return what a body says, `{}` for none; None where two could read it differently."""
    try:
        return json.loads((body or b"{}").decode("utf-8"), object_pairs_hook=_once)
    except (ValueError, RecursionError):
        return None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found
