"""Calls to classify, made of few words."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - a dataclass's annotations
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A call as `twg.policy.Call` has it."""

    service: str
    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    site: str | None = None


def asked(words: str, body: bytes | str | None = None, **headers: str) -> Asked:
    """Return the call of words such as ``jira POST /rest/api/3/issue?a=b``."""
    service, method, target = words.split(" ")
    path, _, query = target.partition("?")
    return Asked(
        service=service,
        method=method,
        path=path,
        query=query,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        body=body.encode() if isinstance(body, str) else body,
    )
