"""`twg api`: an authenticated call, its answer, and never the credential."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import asyncclick as click

from twg.cli.again import signed_in_again
from twg.cli.command import command
from twg.errors import AuthExpired, AuthRevoked, HttpError, UsageError

if TYPE_CHECKING:
    from twg.auth.tokens import TokenManager
    from twg.cli.wiring import Wiring
    from twg.http import Http, Response
    from twg.vault import Credential

_UNAUTHORIZED: Final = 401
_FIRST_ERROR: Final = 400
_LARGEST_ANSWER: Final = 64 * 1024 * 1024
_SECONDS: Final = 60.0


@command(
    "api",
    params=[
        click.Argument(["service"], metavar="SERVICE"),
        click.Argument(["path"], metavar="PATH"),
        click.Option(["--site"], metavar="HOST", help="Call this site, not the default one."),
        click.Option(["-i", "--include"], is_flag=True, help="Show status and headers, too."),
    ],
)
async def api(wiring: Wiring, *, service: str, path: str, site: str | None, include: bool) -> None:
    """Get PATH from SERVICE: jira, confluence, atlassian (api.atlassian.com), bitbucket or admin.

    Base address, site and credential follow from the sign-in; for admin, from the organization
    that `twg admin auth switch` chose. For example: `twg api jira /rest/api/3/myself`
    """
    if service == "bitbucket":
        answer = await _from_bitbucket(wiring, path, site)
    else:
        answer = await _by_sign_in(wiring, service, path, site)
    if answer.status >= _FIRST_ERROR:
        why, remedy = await _meaning(wiring, service, site, answer)
        data = _data(answer, include=include)
        raise HttpError(answer.status, _host(answer), data, why=why, remediation=remedy)
    if wiring.output.mode == "json":
        wiring.output.result(_data(answer, include=include), [])
    else:
        wiring.output.raw(_text(answer, include=include))


async def _by_sign_in(wiring: Wiring, service: str, path: str, site: str | None) -> Response:
    try:
        return await _answer(wiring, service, path, site)
    except (AuthExpired, AuthRevoked) as ended:
        if not await signed_in_again(wiring, ended):
            raise
        return await _answer(wiring, service, path, site)


async def _from_bitbucket(wiring: Wiring, path: str, site: str | None) -> Response:
    from twg.cli.bitbucket import stored  # noqa: PLC0415 - httpx only where it is used
    from twg.products import bitbucket  # noqa: PLC0415 - likewise

    if site is not None:
        raise UsageError("--site does not go with bitbucket", "A workspace stands in the path.")
    profile = await wiring.profile()
    token = await stored(wiring, profile)
    url = bitbucket.url_for(token, path)
    _refuse_secrets(wiring, path)
    async with wiring.http() as http:
        answer = await bitbucket.get(http, token, url, limit=_LARGEST_ANSWER, deadline=_SECONDS)
    if answer.status == _UNAUTHORIZED:
        raise AuthExpired(
            profile,
            "Bitbucket does not take the stored token: it has expired, or was revoked",
            command="twg setup bitbucket --force",
        )
    return answer


async def _answer(wiring: Wiring, service: str, path: str, site: str | None) -> Response:
    if service == "admin":
        return await _admin_answer(wiring, path, site)
    async with wiring.http() as http, wiring.token_manager(http) as tokens:
        return await _call(wiring, tokens, http, service, path, site)


async def _admin_answer(wiring: Wiring, path: str, site: str | None) -> Response:
    from twg.cli import admin_keys  # noqa: PLC0415 - httpx only where it is used
    from twg.products import admin  # noqa: PLC0415 - likewise

    if site is not None:
        raise UsageError("--site does not go with admin", "Leave it out.")
    key = await admin_keys.to_call_with(wiring)
    url = admin.url_for(key, path)
    _refuse_secrets(wiring, path)
    async with wiring.http() as http:
        return await admin.get(http, key, url, limit=_LARGEST_ANSWER, deadline=_SECONDS)


async def _call(
    wiring: Wiring, tokens: TokenManager, http: Http, service: str, path: str, site: str | None
) -> Response:
    from twg.products import atlassian  # noqa: PLC0415 - httpx only where it is used

    profile = await wiring.profile()
    credential = await tokens.get(profile)
    url = atlassian.url_for(credential, service, path, site)
    _refuse_secrets(wiring, path)
    answer = await _get(http, credential, url)
    # What the person did not allow, a renewed token may not do either.
    if answer.status != _UNAUTHORIZED or atlassian.why_refused(credential, service, site, answer):
        return answer
    renewed = await tokens.instead_of(credential)
    if renewed is None:
        return answer
    answer = await _get(http, renewed, url)
    if answer.status == _UNAUTHORIZED:
        raise AuthExpired(
            profile, f"{service} does not accept this sign-in, nor did a renewal change that"
        )
    return answer


async def _meaning(
    wiring: Wiring, service: str, site: str | None, answer: Response
) -> tuple[str | None, str | None]:
    """Return what an error means for this sign-in, and what to do; None for what is not known."""
    from twg.products import atlassian  # noqa: PLC0415 - httpx only where it is used

    summary = (await wiring.store.summaries()).profiles.get(await wiring.profile())
    if summary is None or service not in atlassian.SERVICES:
        return None, None
    return atlassian.why_refused(summary, service, site, answer) or (None, None)


def _refuse_secrets(wiring: Wiring, path: str) -> None:
    """Refuse to send what holds a secret; the stored ones must have been read before."""
    route, _, query = path.partition("?")
    wiring.refuse_outgoing([("the path", route), ("the query", query)])


async def _get(http: Http, credential: Credential, url: str) -> Response:
    return await http.request(
        "GET",
        url,
        pinned=credential.hosts,
        bearer=credential.tokens.access,
        limit=_LARGEST_ANSWER,
        deadline=_SECONDS,
    )


def _host(answer: Response) -> str:
    from urllib.parse import urlsplit  # noqa: PLC0415 - only for the message

    return urlsplit(answer.url).netloc


def _data(answer: Response, *, include: bool) -> Any:
    """Return the answer as JSON values: the body where it is JSON, else its text."""
    from twg.http import BadBody  # noqa: PLC0415 - httpx only where it is used

    try:
        body = answer.json() if answer.body else None
    except BadBody:
        body = _decoded(answer)
    if not include:
        return body
    return {"status": answer.status, "headers": dict(answer.headers), "body": body}


def _text(answer: Response, *, include: bool) -> str:
    """Return the answer as it came: to parse it again would change its numbers."""
    head = [f"HTTP {answer.status}", *(f"{n}: {v}" for n, v in answer.headers.items()), ""]
    return "\n".join([*(head if include else []), _decoded(answer)])


def _decoded(answer: Response) -> str:
    return answer.body.decode("utf-8", "replace")
