"""A look-alike of the GraphQL gateway: a small, honest part of the language and of the schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twg.sandbox.bodies import Malformed, read_json
from twg.sandbox.faults import Place
from twg.sandbox.gateway import caller_of, unauthorized
from twg.sandbox.graphql_language import GraphqlError, parse
from twg.sandbox.web import json_response, route

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    from twg.sandbox.context import Sandbox
    from twg.sandbox.gateway import Caller
    from twg.sandbox.graphql_language import Field


def routes(sandbox: Sandbox) -> list[Route]:
    """Return the route of the GraphQL gateway."""

    async def graphql(request: Request) -> Response:
        caller = await caller_of(sandbox, request)
        if caller is None:
            return unauthorized()
        try:
            document = await read_json(request)
            fields = parse(_query(document), _variables(document))
            return json_response(200, {"data": _resolved(_root(caller, fields), fields)})
        except Malformed as error:
            return _refused(400, str(error), "BAD_REQUEST")
        except GraphqlError as error:
            return _refused(200, str(error), error.classification)

    return [route(sandbox, "POST", "/graphql", graphql, Place.RESOURCE)]


def _refused(status: int, message: str, classification: str) -> Response:
    error = {"message": message, "extensions": {"classification": classification}}
    return json_response(status, {"errors": [error], "data": None})


def _query(document: dict[str, Any]) -> str:
    query = document.get("query")
    if not isinstance(query, str) or not query.strip():
        raise Malformed("query is required")
    return query


def _variables(document: dict[str, Any]) -> dict[str, Any]:
    variables = document.get("variables") or {}
    if not isinstance(variables, dict):
        raise Malformed("variables must be an object")
    return variables


def _root(caller: Caller, fields: list[Field]) -> dict[str, Any]:
    person = caller.person
    root: dict[str, Any] = {"__typename": "Query", "sandbox": True}
    names = {field.name for field in fields}
    if "me" in names:
        if not caller.scopes & {"read:me", "read:account"}:
            raise GraphqlError("me needs the scope read:me", "FORBIDDEN")
        user = {
            "__typename": "AtlassianAccountUser",
            "accountId": person.account_id,
            "name": person.name,
            "email": person.email,
            "picture": "https://avatars.sandbox.example/person.png",
        }
        root["me"] = {"__typename": "AuthenticationContext", "user": user}
    for field in fields:
        if field.name == "tenantContexts":
            root["tenantContexts"] = _tenants(caller, field.arguments)
    return root


def _tenants(caller: Caller, arguments: dict[str, Any]) -> list[dict[str, Any]]:
    hosts, cloud_ids = arguments.get("hostNames"), arguments.get("cloudIds")
    return [
        {
            "__typename": "TenantContext",
            "cloudId": site.cloud_id,
            "hostName": site.host,
            "orgId": None,
        }
        for site in caller.sites
        if (hosts is None or site.host in hosts)
        and (cloud_ids is None or site.cloud_id in cloud_ids)
    ]


def _resolved(value: Any, fields: list[Field]) -> Any:
    if isinstance(value, list):
        return [_resolved(one, fields) for one in value]
    if not isinstance(value, dict):
        if fields:
            raise GraphqlError("A scalar has no fields to select.", "ValidationError")
        return value
    if not fields:
        raise GraphqlError("An object needs a selection of fields.", "ValidationError")
    return {field.alias: _member(value, field) for field in fields}


def _member(value: dict[str, Any], field: Field) -> Any:
    if field.name not in value:
        kind = value.get("__typename", "Query")
        words = f"Field '{field.name}' in type '{kind}' is undefined"
        raise GraphqlError(words, "ValidationError")
    return _resolved(value[field.name], field.fields)
