"""From the words of `twg api` to the `Call` that they make."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from twg.cli import api_fields
from twg.errors import UsageError
from twg.http import BadBody, strict_json
from twg.products import atlassian
from twg.products.call import GRAPHQL, GRAPHQL_PATH, SAFE, Call, checked_headers, checked_method

if TYPE_CHECKING:
    from twg.cli.api import Options
    from twg.cli.api_input import Brought

_JSON: Final = "application/json"


async def call_of(options: Options, brought: Brought) -> Call:
    """Return the call that options make.

    Args:
        options: What was asked for.
        brought: Reads the files among it.

    Raises:
        UsageError: They make none.
        SecretRefused: A file is none to be sent.
    """
    path, _, query = _target(options).partition("?")
    service = _service(options.service, path)
    headers = checked_headers(options.header)
    fields = await api_fields.gathered(options.raw_field, options.field, brought.read_text)
    body = None if options.input is None else await brought.read(options.input)
    method = _method(options, service, has_more=bool(fields) or body is not None)
    if body is not None and service == GRAPHQL:
        _check_graphql(body, fields)
    if fields and (method in SAFE or body is not None):
        query = "&".join(filter(None, (query, api_fields.as_query(fields))))
    elif service == GRAPHQL and body is None:
        body = api_fields.as_graphql(fields)
    elif fields:
        body = api_fields.as_body(fields)
    if body is not None:
        headers.setdefault("content-type", _JSON)
    return Call(
        service=service,
        method=method,
        path=path,
        query=query,
        headers=headers,
        body=body,
        site=options.site,
    )


def _target(options: Options) -> str:
    target = options.path
    if target is None:
        if options.service != GRAPHQL:
            raise UsageError("a path is missing", "For example: /rest/api/3/myself")
        target = GRAPHQL_PATH
    atlassian.check_path(target)
    return target


def _service(name: str, path: str) -> str:
    """Return the service; GraphQL is that, whichever name it is called by."""
    return GRAPHQL if name == "atlassian" and path == GRAPHQL_PATH else name


def _method(options: Options, service: str, *, has_more: bool) -> str:
    default = "POST" if has_more or service == GRAPHQL else "GET"
    method = checked_method(options.method or default)
    if service == GRAPHQL and method != "POST":
        raise UsageError("GraphQL is called by POST", "Leave --method out.")
    if options.input is not None and method in SAFE:
        raise UsageError(f"{method} has no body, so --input does not go with it")
    if options.paginate and method != "GET" and service != GRAPHQL:
        raise UsageError(
            "--paginate goes with GET and with GraphQL only",
            "Add -X GET: fields go to the query then.",
        )
    return method


def _check_graphql(body: bytes, fields: dict[str, Any]) -> None:
    """Refuse a body that is no GraphQL request: nobody could tell what it does."""
    if fields:
        raise UsageError("with --input, a GraphQL call takes no fields", "Put them into the file.")
    try:
        request = strict_json(body)
    except BadBody:
        request = None
    if not isinstance(request, dict) or not isinstance(request.get("query"), str):
        raise UsageError(
            "the input is not a GraphQL request", 'It is one object: {"query": "…", "variables": …}'
        )
