"""Authorization code with PKCE: the request, the redirect that answers it, and the exchange.

RFC 6749 section 4.1, RFC 7636 (S256 always), RFC 9207 (`iss`), RFC 8707 (`resource`).
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, urlsplit

from twg.errors import ConfigError, ProtocolError, SignInRefused, Unavailable, UsageError
from twg.oauth.token import request_token
from twg.oauth.words import clean, clean_address, clean_code, is_visible_ascii

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from guard.custody import Custody
    from guard.secret import Secret
    from twg.http import Http
    from twg.oauth.token import Client, TokenResponse

MAX_CODE: Final = 16 * 1024
MAX_PARAMETERS: Final = 64
_FOUND: Final = 302
_OURS: Final = frozenset(
    {
        "client_id",
        "code_challenge",
        "code_challenge_method",
        "redirect_uri",
        "request",
        "request_uri",
        "resource",
        "response_mode",
        "response_type",
        "scope",
        "state",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthorizationRequest:
    """An authorization request that waits for its answer.

    Attributes:
        url: Where the person goes; holds the state, so it is not logged.
        state: What the answer must repeat.
        verifier: The PKCE code verifier.
        redirect_uri: Where the answer comes.
        issuer: Who must have answered.
        resource: The resource indicator, repeated at the exchange.
    """

    url: str = field(repr=False)
    state: str = field(repr=False)
    verifier: Secret
    redirect_uri: str
    issuer: str
    resource: str | None = None


def start(
    *,
    authorization_endpoint: str,
    client_id: str,
    issuer: str,
    redirect_uri: str,
    scopes: Sequence[str],
    custody: Custody,
    resource: str | None = None,
    extra: Mapping[str, str] | None = None,
) -> AuthorizationRequest:
    """Make an authorization request (RFC 6749 section 4.1.1) with a fresh state and verifier.

    Args:
        authorization_endpoint: Where the person goes; a query in it is kept.
        client_id: Our client there.
        issuer: The server's issuer identifier.
        redirect_uri: Where the answer comes.
        scopes: What is asked for; none for the server's default.
        custody: Takes in the verifier.
        resource: The resource indicator (RFC 8707).
        extra: Further parameters, such as ``audience`` or ``prompt``.

    Raises:
        ConfigError: `extra` has a parameter that is set here.
    """
    # Authlib costs 35 ms, and a renewal imports this package too.
    from authlib.oauth2.rfc6749.parameters import prepare_grant_uri  # noqa: PLC0415
    from authlib.oauth2.rfc7636 import create_s256_code_challenge  # noqa: PLC0415

    if taken := sorted(_OURS.intersection(extra or {})):
        raise ConfigError(f"the authorization parameter {taken[0]!r} is not to be set by hand")
    verifier = secrets.token_urlsafe(64)
    state = secrets.token_urlsafe(32)
    url = prepare_grant_uri(
        authorization_endpoint,
        client_id,
        "code",
        redirect_uri=redirect_uri,
        scope=list(scopes) or None,
        state=state,
        code_challenge=create_s256_code_challenge(verifier),
        code_challenge_method="S256",
        resource=resource,
        **(extra or {}),
    )
    return AuthorizationRequest(
        url=str(url),
        state=state,
        verifier=custody.take(verifier, "pkce-verifier"),
        redirect_uri=redirect_uri,
        issuer=issuer,
        resource=resource,
    )


def parse_redirect_url(request: AuthorizationRequest, pasted: Secret) -> dict[str, list[str]]:
    """Return the parameters of the redirect URL that a person copied from their browser.

    Raises:
        UsageError: It is something else.
    """
    text = pasted.reveal("read the pasted redirect").strip()
    prefix = f"{request.redirect_uri}{'&' if '?' in request.redirect_uri else '?'}"
    if not text.startswith(prefix) or any(character.isspace() for character in text):
        raise UsageError(
            "what was pasted is not the address that the browser was sent to",
            f"Copy the whole address that begins with {prefix} from the browser's address bar.",
        )
    try:
        return parameters_of(urlsplit(text).query)
    except ValueError:
        raise UsageError(
            "the address that was pasted is damaged", "Copy it again, to its end."
        ) from None


def parameters_of(query: str) -> dict[str, list[str]]:
    """Parse a redirect's query.

    Raises:
        ValueError: Too many parameters, or not UTF-8.
    """
    return parse_qs(query, keep_blank_values=True, max_num_fields=MAX_PARAMETERS, errors="strict")


def state_matches(state: str, parameters: Mapping[str, Sequence[str]]) -> bool:
    """Tell whether an answer repeats `state`, once; compared in constant time."""
    values = parameters.get("state", ())
    return len(values) == 1 and _same(values[0], state)


def read_callback(
    request: AuthorizationRequest,
    params: Mapping[str, list[str]],
    *,
    iss_required: bool,
    custody: Custody,
) -> Secret:
    """Check the redirect's parameters and return the code (RFC 6749 section 4.1.2).

    Args:
        request: What is answered.
        params: The redirect's query parameters, each with all its values.
        iss_required: The server's metadata promise an `iss` (RFC 9207 section 2.4).
        custody: Takes in the code.

    Raises:
        SignInRefused: The person declined, or the server did for them.
        ProtocolError: Wrong, missing or repeated `state`, `iss` or other parameters; an OAuth
            error; no code.
        Unavailable: The server cannot serve now.
    """
    if any(len(values) != 1 for values in params.values()):
        raise ProtocolError("the redirect has a parameter twice (RFC 6749 section 3.1)")
    if not state_matches(request.state, params):
        raise ProtocolError("the redirect does not belong to this sign-in: its state is wrong")
    answer = {name: values[0] for name, values in params.items()}
    _check_issuer(request, answer.get("iss"), required=iss_required)
    if "error" in answer:
        raise _refusal(request, answer)
    code = answer.get("code", "")
    if not code or len(code) > MAX_CODE or not is_visible_ascii(code):
        raise ProtocolError("the redirect holds no authorization code")
    return custody.take(code, "authorization-code")


async def exchange(
    http: Http, client: Client, request: AuthorizationRequest, code: Secret
) -> TokenResponse:
    """Exchange the code for tokens (RFC 6749 section 4.1.3, RFC 7636 section 4.5).

    Raises:
        GrantRefused: The server refuses the code.
        NetworkError: No answer, or (`Unavailable`) not now.
        ProtocolError: An answer that cannot be used.
    """
    parameters: dict[str, str | Secret] = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": request.redirect_uri,
        "code_verifier": request.verifier,
    }
    if request.resource is not None:
        parameters["resource"] = request.resource
    return await request_token(http, client, parameters)


def _check_issuer(request: AuthorizationRequest, iss: str | None, *, required: bool) -> None:
    if iss is None:
        if required:
            raise ProtocolError(
                f"the redirect does not say who sent it, which {request.issuer} promises to do "
                "(RFC 9207)"
            )
    elif not _same(iss, request.issuer):
        raise ProtocolError(
            f"the redirect came from another server ({clean_address(iss)}) than the one that was "
            f"asked ({request.issuer})"
        )


def _refusal(
    request: AuthorizationRequest, answer: Mapping[str, str]
) -> SignInRefused | ProtocolError | Unavailable:
    error, description = clean_code(answer["error"]), clean(answer.get("error_description"))
    host = urlsplit(request.issuer).netloc
    words = f": {description}" if description else ""
    if error == "access_denied":
        return SignInRefused(f"the sign-in was declined at {host}{words}")
    if error in {"server_error", "temporarily_unavailable"}:
        return Unavailable(host, f"it answered {error}{words}", status=_FOUND)
    return ProtocolError(
        f"{host} refused the sign-in ({error or 'no reason'}{words})",
        "Check the provider's settings with `twg provider show`.",
    )


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(errors="surrogatepass"), expected.encode())
