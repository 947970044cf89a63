"""Faults of the way back: what the redirect to the client's callback says, and who calls first."""

from __future__ import annotations

import contextlib
import http.client
import secrets
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from twg.sandbox.clients import LOOPBACK_HOSTS
from twg.sandbox.effects import ELSEWHERE
from twg.sandbox.faults import Place

if TYPE_CHECKING:
    from collections.abc import Callable

    from twg.sandbox.authorization import Answer
    from twg.sandbox.context import Sandbox

_VISIT_SECONDS: Final = 5
_DECLINED: Final = "User did not authorize the request"
_MARKUP: Final = '<script>alert("sandbox")</script><b>denied</b>'


def tamper(sandbox: Sandbox, answer: Answer) -> Answer:
    """Change an authorization response as the faults due say; blocks, for it may call ahead."""
    if not answer.location:
        return answer
    parts = urlsplit(answer.location)
    pairs = dict(parse_qsl(parts.query, keep_blank_values=True))
    before = sandbox.observations.swap_state(pairs.get("state", ""))

    def due(name: str) -> bool:
        return sandbox.faults.take(name, [Place.AUTHORIZE])

    _change(pairs, sandbox, before, due)
    answer.location = urlunsplit(parts._replace(query=urlencode(pairs)))
    _call_ahead(answer.location, due)
    return answer


def _change(
    pairs: dict[str, str], sandbox: Sandbox, before: str | None, due: Callable[[str], bool]
) -> None:
    if due("wrong-state"):
        pairs["state"] = secrets.token_urlsafe(24)
    if due("missing-state"):
        pairs.pop("state", None)
    if before is not None and due("replayed-state"):
        pairs["state"] = before
    if due("wrong-iss"):
        pairs["iss"] = f"https://{ELSEWHERE}"
    if due("missing-iss"):
        pairs.pop("iss", None)
    if due("foreign-code"):
        pairs["code"] = _foreign_code(sandbox)
    if due("consent-denied"):
        pairs.pop("code", None)
        pairs |= {"error": "access_denied", "error_description": _DECLINED}
    if due("error-markup"):
        pairs.pop("code", None)
        pairs |= {"error": "access_denied", "error_description": _MARKUP}


def _foreign_code(sandbox: Sandbox) -> str:
    """Return a working code of a client that is not the one asking."""
    code, client_id = secrets.token_urlsafe(36), "somebody-else"
    grant_id = sandbox.storage.add_grant(client_id, "alice", (), "read:me")
    sandbox.storage.add_code(code, grant_id, client_id, ("", False), "")
    sandbox.observations.issued("code", code, "alice")
    return code


def _call_ahead(location: str, due: Callable[[str], bool]) -> None:
    if due("prefetch-callback"):
        _visit(location, "HEAD", {})
    if due("foreign-host-callback"):
        _visit(location, "GET", {"Host": ELSEWHERE})
    if due("foreign-origin-callback"):
        _visit(location, "GET", {"Origin": f"https://{ELSEWHERE}"})
    if due("replay-callback"):
        _visit(location, "GET", {})


def _visit(location: str, method: str, headers: dict[str, str]) -> None:
    """Call a loopback callback and throw the answer away, whatever it is."""
    parts = urlsplit(location)
    if parts.hostname not in LOOPBACK_HOSTS:
        return
    connection = http.client.HTTPConnection(parts.hostname, parts.port or 80, _VISIT_SECONDS)
    with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(connection):
        connection.request(method, f"{parts.path}?{parts.query}", headers=headers)
        connection.getresponse().read()
