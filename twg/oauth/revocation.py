"""Ending a token at its server (RFC 7009)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twg.errors import GrantRefused
from twg.oauth.answers import check_success, document_of, is_page, object_or_empty
from twg.oauth.token import post

if TYPE_CHECKING:
    from guard.secret import Secret
    from twg.http import Http
    from twg.oauth.token import Client


async def revoke(
    http: Http, client: Client, endpoint: str, token: Secret, *, hint: str | None = None
) -> None:
    """End `token`; returns once it is dead, also where it was already (RFC 7009 section 2.2).

    Args:
        http: What the request goes through.
        client: Whose token it is.
        endpoint: The revocation endpoint.
        token: The access or refresh token.
        hint: ``access_token`` or ``refresh_token``.

    Raises:
        GrantRefused: The server refuses, for instance to public clients, or with
            ``unsupported_token_type`` for this kind of token. It lives on.
        NetworkError: No answer, or (`Unavailable`) not now. Whether it lives is unknown.
        ProtocolError: A redirect, or a body that is too long.
        ConfigError: The endpoint is not among the client's pinned origins; nothing was sent.
    """
    parameters: dict[str, str | Secret] = {"token": token}
    if hint is not None:
        parameters["token_type_hint"] = hint
    answer = await post(http, client, endpoint, parameters)
    try:
        check_success(answer)
        # A client ignores the body of a success (section 2.2), save where it shows that this was
        # none: an error that was sent with status 200, or a page from something in between.
        if is_page(answer) or "error" in object_or_empty(answer):
            document_of(answer)
    except GrantRefused as error:
        # Section 2.2: an invalid token is no error, and these servers say so all the same.
        if error.error != "invalid_token":
            raise
