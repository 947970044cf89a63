"""The permissions an application can ask for, and what the consent page calls them."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

OFFLINE_ACCESS: Final = "offline_access"

OAUTH: Final[Mapping[str, str]] = MappingProxyType(
    {
        "read:me": "See your name, e-mail address and picture",
        "read:account": "See your account’s settings",
        "read:jira-work": "See Jira projects, issues and search results",
        "read:jira-user": "See the names of people in Jira",
        "write:jira-work": "Create and change Jira issues",
        "read:confluence-content.all": "Read Confluence pages",
        "read:confluence-content.summary": "See the titles of Confluence pages",
        "read:confluence-space.summary": "See Confluence spaces",
        "read:page:confluence": "Read Confluence pages (granular)",
        "read:space:confluence": "See Confluence spaces (granular)",
        "search:confluence": "Search in Confluence",
        "write:confluence-content": "Create and change Confluence pages",
        OFFLINE_ACCESS: "Stay signed in until you sign out, or until 30 days pass without use",
    }
)

BITBUCKET: Final[Mapping[str, str]] = MappingProxyType(
    {
        "read:user:bitbucket": "See your Bitbucket account",
        "read:workspace:bitbucket": "See your workspaces",
        "read:project:bitbucket": "See projects",
        "read:repository:bitbucket": "Read repositories",
        "write:repository:bitbucket": "Change repositories",
        "read:pullrequest:bitbucket": "Read pull requests",
        "write:pullrequest:bitbucket": "Change pull requests",
    }
)

DEFAULT: Final = ("read:me",)


def in_words(scope: str) -> list[tuple[str, str]]:
    """Return `(scope value, plain words)` for each value of a scope, in the table's order."""
    asked = set(scope.split())
    return [(value, words) for value, words in OAUTH.items() if value in asked]
