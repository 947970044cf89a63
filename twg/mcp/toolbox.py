"""What the server offers: each tool's name, what it is for and what it takes, as data.

No tool takes a secret and none returns one. Names, descriptions and schemas are read by a model, so
they say what to do and what comes, and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

SERVICES: Final = ("jira", "confluence", "bitbucket", "atlassian")
"""What agents may call; GraphQL has a tool of its own, and the Admin APIs are for persons."""

LARGEST_SEARCH: Final = 100

_SITE: Final = {
    "type": "string",
    "description": "The site's host, such as team.atlassian.net; the default site if left out.",
}
_PATH: Final = {
    "type": "string",
    "pattern": "^/",
    "description": "The API's path, such as /rest/api/3/issue/DEMO-1.",
}
_SERVICE: Final = {"type": "string", "enum": list(SERVICES)}
_SCALAR: Final = {"type": ["string", "number", "boolean"]}
_PARAMETERS: Final = {
    "type": "object",
    "description": "Parameters of the query; a list repeats its name.",
    "additionalProperties": {"anyOf": [_SCALAR, {"type": "array", "items": _SCALAR}]},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """One tool.

    Attributes:
        title: Its name for people.
        description: What it does and returns.
        properties: What it takes, as JSON Schemas by name.
        required: Which of these it cannot do without.
        reads: It changes nothing, whatever it is given.
        asks: It asks a service; else it looks at this device alone.
    """

    title: str
    description: str
    properties: Mapping[str, Any] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    reads: bool = True
    asks: bool = True

    @property
    def schema(self) -> dict[str, Any]:
        """The JSON Schema (2020-12) of its arguments."""
        return {
            "type": "object",
            "properties": dict(self.properties),
            "required": list(self.required),
            "additionalProperties": False,
        }


TOOLS: Final[Mapping[str, Tool]] = MappingProxyType(
    {
        "whoami": Tool(
            title="Who is signed in",
            description=(
                "Tells the signed-in account, its sites and its default site. Looks at this device "
                "only."
            ),
            asks=False,
        ),
        "status": Tool(
            title="State of the sign-in",
            description=(
                "Tells how fresh the sign-in is, when it lapses, and whether a Bitbucket token is "
                "kept. Looks at this device only."
            ),
            asks=False,
        ),
        "search": Tool(
            title="Search issues or pages",
            description=(
                "Finds Jira issues by JQL or Confluence content by CQL, and returns one page of "
                "results. For the next page, pass on its nextPageToken (Jira) or the cursor in its "
                "_links.next (Confluence) as `after`."
            ),
            properties={
                "product": {"type": "string", "enum": ["jira", "confluence"]},
                "query": {
                    "type": "string",
                    "minLength": 1,
                    "description": "JQL for jira, CQL for confluence.",
                },
                "limit": {"type": "integer", "minimum": 1, "maximum": LARGEST_SEARCH},
                "fields": {
                    "type": "array",
                    "items": {"type": "string"},
                    "description": "Jira only: which fields of each issue.",
                },
                "after": {"type": "string", "description": "Where the last page ended."},
                "site": _SITE,
            },
            required=("product", "query"),
        ),
        "api_get": Tool(
            title="Read from an API",
            description=(
                "Sends a GET request to Jira, Confluence, Bitbucket or api.atlassian.com with the "
                "person's sign-in, and returns the JSON answer."
            ),
            properties={
                "service": _SERVICE,
                "path": _PATH,
                "parameters": _PARAMETERS,
                "site": _SITE,
            },
            required=("service", "path"),
        ),
        "graphql_read": Tool(
            title="Query GraphQL",
            description=(
                "Sends a query to Atlassian's GraphQL gateway. Mutations are refused whatever has "
                "been granted."
            ),
            properties={
                "query": {"type": "string", "minLength": 1},
                "variables": {"type": "object"},
                "operation_name": {"type": "string"},
            },
            required=("query",),
        ),
        "api_write": Tool(
            title="Change something by an API",
            description=(
                "Sends a POST, PUT, PATCH or DELETE request. Works only while the person has "
                "granted it; a POLICY_DENIED answer has the command to tell the person. Do not "
                "look for a way around it."
            ),
            properties={
                "service": _SERVICE,
                "method": {"type": "string", "enum": ["POST", "PUT", "PATCH", "DELETE"]},
                "path": _PATH,
                "parameters": _PARAMETERS,
                "body": {"description": "The JSON body; none if left out."},
                "site": _SITE,
            },
            required=("service", "method", "path"),
            reads=False,
        ),
    }
)
