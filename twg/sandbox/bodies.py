"""How request bodies are read: bounded, as a form or as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from starlette.requests import Request

BODY_LIMIT: Final = 1024 * 1024
MAX_FIELDS: Final = 200


class Malformed(Exception):
    """The request's body is too long, or is not what its content type says."""


async def read_body(request: Request) -> bytes:
    """Return the body.

    Raises:
        Malformed: It is longer than 1 MiB.
    """
    length = request.headers.get("content-length", "0")
    if len(length) <= len(str(BODY_LIMIT)):
        body = await request.body()
        if len(body) <= BODY_LIMIT:
            return body
    raise Malformed("the body is too long")


async def read_json(request: Request) -> dict[str, Any]:
    """Return the JSON object in the body.

    Raises:
        Malformed: The body is not one.
    """
    try:
        document = json.loads(await read_body(request))
    except (ValueError, RecursionError) as error:
        raise Malformed("the body is not JSON") from error
    if not isinstance(document, dict):
        raise Malformed("the body is not a JSON object")
    return document


async def read_pairs(request: Request) -> list[tuple[str, str]]:
    """Return the parameters of a form or, as Atlassian takes them, of a JSON object.

    Raises:
        Malformed: The body is neither.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip() == "application/json":
        document = await read_json(request)
        return [(name, value) for name, value in document.items() if isinstance(value, str)]
    try:
        text = (await read_body(request)).decode()
        return parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise Malformed("the body is not a form") from error


async def read_form(request: Request) -> dict[str, str]:
    """Return a page's form; a field given twice counts once.

    Raises:
        Malformed: The body is not a form.
    """
    return dict(await read_pairs(request))
