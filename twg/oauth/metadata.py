"""What a server says of itself (RFC 8414, OpenID Connect Discovery 1.0), checked before it is used.

Both documents are looked at: what the first lacks is taken from the second, and what a person gave
by hand wins over both. A document is refused as a whole when anything in it is unsound.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from twg.errors import ConfigError, GrantRefused, ProtocolError, Unavailable
from twg.http import BadBody, origin
from twg.oauth.answers import check_success, checked_address, host_of, is_page
from twg.oauth.words import clean, clean_address, is_visible_ascii

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twg.http import Http, Response

MAX_DOCUMENT: Final = 256 * 1024
ENDPOINT_OF: Final[Mapping[str, str]] = MappingProxyType(
    {
        "authorization": "authorization_endpoint",
        "token": "token_endpoint",
        "device": "device_authorization_endpoint",
        "revocation": "revocation_endpoint",
        "registration": "registration_endpoint",
        "userinfo": "userinfo_endpoint",
    }
)
"""From the kinds of ``--endpoint KIND=URL`` to the names in the documents."""

# What Authlib checks for us. Not its whole `validate`: that refuses servers for fields which twg
# never reads, such as a wrongly spelt interface language.
_AUTHLIB_CHECKS: Final = (
    "scopes_supported",
    "grant_types_supported",
    "token_endpoint_auth_methods_supported",
    "code_challenge_methods_supported",
    "authorization_endpoint",
    "token_endpoint",
    "registration_endpoint",
    "revocation_endpoint",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerMetadata:
    """An authorization server (RFC 8414 section 2); its URLs are checked.

    Attributes:
        issuer: Its issuer identifier, exactly as asked for.
        authorization_endpoint: RFC 6749 section 3.1.
        token_endpoint: RFC 6749 section 3.2.
        device_authorization_endpoint: RFC 8628 section 4.
        revocation_endpoint: RFC 7009.
        registration_endpoint: RFC 7591.
        userinfo_endpoint: OpenID Connect Core section 5.3.
        scopes_supported: Empty where it does not say; likewise the next three.
        grant_types_supported: RFC 6749, RFC 8628.
        code_challenge_methods_supported: RFC 7636; holds ``S256`` or nothing.
        token_endpoint_auth_methods_supported: RFC 7591 section 2.
        iss_parameter_supported: It promises an `iss` in every redirect (RFC 9207).
    """

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    device_authorization_endpoint: str | None = None
    revocation_endpoint: str | None = None
    registration_endpoint: str | None = None
    userinfo_endpoint: str | None = None
    scopes_supported: tuple[str, ...] = ()
    grant_types_supported: tuple[str, ...] = ()
    code_challenge_methods_supported: tuple[str, ...] = ()
    token_endpoint_auth_methods_supported: tuple[str, ...] = ()
    iss_parameter_supported: bool = False


async def discover(
    http: Http, issuer: str, *, overrides: Mapping[str, str] | None = None
) -> ServerMetadata:
    """Find out about the server `issuer`.

    Every endpoint must be https (or plain http on loopback, for an issuer that is there itself) and
    on the issuer's own origin. One elsewhere is honest at some servers and the very shape of an
    attack at others, so a person has to name it, in `overrides`.

    Args:
        http: What the requests go through.
        issuer: The issuer identifier, compared to the letter, a slash at its end included
            (RFC 8414 section 3.3).
        overrides: Kind (a key of `ENDPOINT_OF`) to URL. With an authorization and a token endpoint
            no document is needed.

    Raises:
        ConfigError: `issuer` or an override is not a URL to use.
        ProtocolError: A document is unsound, there is none, or it lacks a needed endpoint.
        NetworkError: The server cannot be reached, or (`Unavailable`) not now.
    """
    _check_issuer(issuer)
    given = _checked_overrides(overrides or {})
    found: dict[str, Any] = {}
    missing: list[str] = []
    for address in _document_addresses(issuer):
        answer = await http.request("GET", address, limit=MAX_DOCUMENT)
        why_not = _why_absent(answer)
        if why_not:
            missing.append(f"{address}: {why_not}")
            continue
        document = _checked_document(answer, issuer, given)
        found = document | found
        if all(found.get(name) for name in ENDPOINT_OF.values()):
            break
    return _metadata(issuer, found | given, missing)


def _document_addresses(issuer: str) -> tuple[str, str]:
    # RFC 8414 section 3 puts the issuer's path behind the well-known part, OpenID Connect
    # Discovery section 4 before it; both drop a slash at its end first.
    from authlib.oauth2.rfc8414 import get_well_known_url  # noqa: PLC0415 - 35 ms, only needed here

    bare = issuer.rstrip("/")
    return get_well_known_url(bare, external=True), f"{bare}/.well-known/openid-configuration"


def _check_issuer(issuer: str) -> None:
    origin(issuer)
    if "?" in issuer or "#" in issuer or not is_visible_ascii(issuer):
        raise ConfigError("an issuer is a URL without query and fragment (RFC 8414 section 2)")


def _checked_overrides(overrides: Mapping[str, str]) -> dict[str, str]:
    for kind, url in overrides.items():
        if kind not in ENDPOINT_OF:
            raise ConfigError(
                f"{kind!r} is not a kind of endpoint", f"Known are {', '.join(ENDPOINT_OF)}."
            )
        origin(url)
        if "#" in url or not is_visible_ascii(url):
            raise ConfigError(f"the {kind} endpoint must be plain ASCII without a fragment")
    return {ENDPOINT_OF[kind]: url for kind, url in overrides.items()}


def _why_absent(answer: Response) -> str:
    """Say why there is no document here, or ``""`` where there is one to judge.

    A web page with status 200 counts as absent: single-page applications answer so to every path.
    """
    try:
        check_success(answer)
    except GrantRefused:
        return f"HTTP {answer.status}"
    except Unavailable:
        # One document may say what the other leaves out, such as where to revoke: to go on with
        # half of it for a moment's trouble would pin that half into the credential.
        if not is_page(answer) or answer.status not in range(400, 500):
            raise
        return f"HTTP {answer.status}"
    return "a web page" if is_page(answer) else ""


def _checked_document(answer: Response, issuer: str, given: dict[str, str]) -> dict[str, Any]:
    host = host_of(answer)
    try:
        document = answer.json()
    except BadBody as error:
        raise ProtocolError(f"the metadata of {host} cannot be used: {error}") from None
    if not isinstance(document, dict):
        raise ProtocolError(f"the metadata of {host} are not a JSON object")
    known = {name: value for name, value in document.items() if value is not None}
    if known.get("issuer") != issuer:
        shown = clean_address(known.get("issuer"))
        raise ProtocolError(
            f"the metadata of {issuer} name another issuer: {shown}",
            "If that is the right server, run the command again with just that name as --issuer.",
        )
    for kind, name in ENDPOINT_OF.items():
        if name in known and name not in given:
            _check_endpoint(kind, known[name], issuer)
    _check_by_authlib(known | given, host)
    _check_pkce(known, host)
    return known


def _check_endpoint(kind: str, url: Any, issuer: str) -> None:
    checked_address(url, f"{kind} endpoint", issuer)
    if "#" in url:
        raise ProtocolError(f"the {kind} endpoint of {issuer} has a fragment")
    if origin(url) != origin(issuer):
        raise ProtocolError(
            f"the {kind} endpoint of {issuer} is on another host: {urlsplit(url).netloc}",
            f"If that is right, say so yourself: --endpoint {kind}=URL.",
        )


def _check_by_authlib(document: Mapping[str, Any], host: str) -> None:
    from authlib.oauth2 import rfc8414, rfc9207  # noqa: PLC0415 - 35 ms, only needed here

    checks = rfc8414.AuthorizationServerMetadata(document)
    try:
        for name in _AUTHLIB_CHECKS:
            # A document may lack an endpoint that the other one has: that is judged at the end.
            if name in document:
                getattr(checks, f"validate_{name}")()
        iss = rfc9207.AuthorizationServerMetadata(document)
        iss.validate_authorization_response_iss_parameter_supported()
    except (ValueError, TypeError) as error:
        raise ProtocolError(f"the metadata of {host} are unsound: {clean(str(error))}") from None


def _check_pkce(document: Mapping[str, Any], host: str) -> None:
    methods = document.get("code_challenge_methods_supported")
    # RFC 8414 section 2 reads absence as "no PKCE", but OpenID documents often leave it out of
    # servers that have it. It is sent in any case, and a server that ignores it is no worse.
    if methods is not None and "S256" not in methods:
        raise ProtocolError(f"{host} does not support PKCE with S256 (RFC 7636)")


def _metadata(issuer: str, found: Mapping[str, Any], missing: list[str]) -> ServerMetadata:
    for name in ("authorization_endpoint", "token_endpoint"):
        if name not in found:
            kind = name.partition("_")[0]
            why = f" ({'; '.join(missing)})" if missing else ""
            raise ProtocolError(
                f"{issuer} does not tell its {kind} endpoint{why}",
                f"Check --issuer, or give it yourself: --endpoint {kind}=URL.",
            )
    return ServerMetadata(
        issuer=issuer,
        **{name: found[name] for name in ENDPOINT_OF.values() if name in found},
        scopes_supported=_strings(found, "scopes_supported"),
        grant_types_supported=_strings(found, "grant_types_supported"),
        code_challenge_methods_supported=_strings(found, "code_challenge_methods_supported"),
        token_endpoint_auth_methods_supported=_strings(
            found, "token_endpoint_auth_methods_supported"
        ),
        iss_parameter_supported=found.get("authorization_response_iss_parameter_supported") is True,
    )


def _strings(found: Mapping[str, Any], name: str) -> tuple[str, ...]:
    values = found.get(name, ())
    if not all(isinstance(value, str) and is_visible_ascii(value) for value in values):
        raise ProtocolError(f"{name} in the server's metadata is not a list of words")
    return tuple(values)
