"""The authorization server: Authlib's grants, wired to the sandbox's storage.

Everything here blocks and is called in a worker thread, one request in one transaction.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from authlib.oauth2.rfc6749 import (
    AuthorizationServer,
    InvalidGrantError,
    InvalidRequestError,
    OAuth2Payload,
    OAuth2Request,
)
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant, RefreshTokenGrant
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc8628 import DeviceCodeGrant
from authlib.oauth2.rfc9207 import IssuerParameter

from twg.sandbox import scopes
from twg.sandbox.clients import AUTH_METHODS, find_client
from twg.sandbox.context import REFRESH_IDLE_SECONDS
from twg.sandbox.faults import Place
from twg.sandbox.people import PEOPLE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from twg.sandbox.clients import Client
    from twg.sandbox.context import Sandbox
    from twg.sandbox.people import Person
    from twg.sandbox.storage import Code, Device, Token

DEVICE_INTERVAL_SECONDS: Final = 1
NO_GRANT: Final = "Unknown or invalid refresh token."


@dataclass
class Wire:
    """An HTTP request as the authorization server sees it.

    Attributes:
        pairs: The parameters, of the query at the authorization endpoint, else of the body.
        document: The JSON body at the registration endpoint.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    pairs: Sequence[tuple[str, str]] = ()
    document: dict[str, Any] = field(default_factory=dict)


@dataclass
class Answer:
    """An HTTP response as the authorization server makes it."""

    status: int
    body: Any
    headers: dict[str, str]

    @property
    def location(self) -> str:
        """The redirect's target, empty where it is none; Authlib adds `iss` to it."""
        return self.headers.get("Location", "")

    @location.setter
    def location(self, value: str) -> None:
        self.headers["Location"] = value


@dataclass(frozen=True)
class Approval:
    """Who allowed what: the user in Authlib's terms."""

    person: Person
    sites: tuple[str, ...]


class _Payload(OAuth2Payload):  # type: ignore[misc]  # Authlib ships no types
    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        self._pairs = pairs

    @property
    def data(self) -> dict[str, str]:
        return dict(self._pairs)

    @property
    def datalist(self) -> dict[str, list[str]]:
        values: dict[str, list[str]] = {}
        for name, value in self._pairs:
            values.setdefault(name, []).append(value)
        return values


class _Request(OAuth2Request):  # type: ignore[misc]  # Authlib ships no types
    def __init__(self, wire: Wire) -> None:
        # Authlib asks for https or loopback; older releases know loopback by this name only.
        super().__init__(wire.method, f"http://localhost{wire.path}", headers=wire.headers)
        self.payload = _Payload(wire.pairs)

    @property
    def args(self) -> dict[str, str]:
        return dict(self.payload.data)

    @property
    def form(self) -> dict[str, str]:
        return dict(self.payload.data)


class Server(AuthorizationServer):  # type: ignore[misc]  # Authlib ships no types
    """Authlib's server on the sandbox's storage.

    Args:
        sandbox: The sandbox it answers for.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__(scopes_supported=list(scopes.OAUTH))
        self.sandbox = sandbox
        self.register_token_generator("default", self._new_token)
        self.register_grant(_CodeGrant, [_S256Only(required=True)])
        self.register_grant(_RefreshGrant)
        self.register_grant(_DeviceGrant)
        self.register_extension(_Issuer(sandbox.issuer))

    def token_response(self, wire: Wire) -> Answer:
        """Answer a token request (RFC 6749 section 3.2) in one transaction."""
        with self.sandbox.storage.transaction():
            answer: Answer = self.create_token_response(wire)
        return answer

    def endpoint_response(self, name: str, wire: Wire) -> Answer:
        """Answer the registered endpoint `name` in one transaction."""
        with self.sandbox.storage.transaction():
            answer: Answer = self.create_endpoint_response(name, wire)
        return answer

    def query_client(self, client_id: str) -> Client | None:
        """Return the client, or None."""
        return find_client(self.sandbox.storage, client_id)

    def create_oauth2_request(self, request: Wire) -> _Request:
        """Translate a request for Authlib."""
        return request if isinstance(request, _Request) else _Request(request)

    def handle_response(self, status: int, body: Any, headers: Sequence[tuple[str, str]]) -> Answer:
        """Translate a response of Authlib's."""
        return Answer(status, body, dict(headers))

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Authlib's signals have no listener here."""

    def save_token(self, token: dict[str, Any], request: _Request) -> None:
        """Remember what was issued, and count it."""
        sandbox = self.sandbox
        source = request.authorization_code or request.refresh_token or request.credential
        username = request.user.person.username
        lifetimes = {"access": sandbox.options.ttl, "refresh": REFRESH_IDLE_SECONDS}
        for kind, seconds in lifetimes.items():
            value = token.get(f"{kind}_token")
            if value:
                sandbox.storage.add_token(
                    value, kind, source.grant_id, request.client.client_id, token["scope"], seconds
                )
                sandbox.observations.issued(kind, value, username)
        sandbox.observations.grant(request.payload.grant_type.rpartition(":")[2])

    def _new_token(
        self,
        grant_type: str,
        client: Client,
        user: Approval,
        scope: str,
        expires_in: int | None = None,
        *,
        include_refresh_token: bool = True,
    ) -> dict[str, Any]:
        del grant_type, client, expires_in
        mint, seconds = self.sandbox.mint, self.sandbox.options.ttl
        account_id = user.person.account_id
        token: dict[str, Any] = {
            "access_token": mint.oauth_token("access", account_id, seconds),
            "expires_in": seconds,
            "token_type": "Bearer",
            "scope": scope,
        }
        if include_refresh_token and scopes.OFFLINE_ACCESS in scope.split():
            token["refresh_token"] = mint.oauth_token("refresh", account_id, REFRESH_IDLE_SECONDS)
        return token

    def approval(self, grant_id: str) -> Approval | None:
        """Return who is behind a grant, or None once it was ended."""
        grant = self.sandbox.storage.grant(grant_id)
        return None if grant.revoked else Approval(PEOPLE[grant.username], grant.sites)


class _Issuer(IssuerParameter):  # type: ignore[misc]  # Authlib ships no types
    def __init__(self, issuer: str) -> None:
        self._issuer = issuer

    def get_issuer(self) -> str:
        return self._issuer


class _S256Only(CodeChallenge):  # type: ignore[misc]  # Authlib ships no types
    """PKCE for every client, confidential ones too, by S256 alone (OAuth 2.1 section 7.5)."""

    SUPPORTED_CODE_CHALLENGE_METHOD = ("S256",)

    def validate_code_challenge(self, grant: _CodeGrant, redirect_uri: str) -> None:
        data = grant.request.payload.data
        if not data.get("code_challenge"):
            raise InvalidRequestError("code_challenge is required")
        if data.get("code_challenge_method") != "S256":
            raise InvalidRequestError("code_challenge_method must be S256")
        super().validate_code_challenge(grant, redirect_uri)

    def get_authorization_code_challenge(self, authorization_code: _SpentCode) -> str:
        return authorization_code.code.challenge

    def get_authorization_code_challenge_method(self, authorization_code: _SpentCode) -> str:
        del authorization_code
        return "S256"


@dataclass(frozen=True)
class _SpentCode:
    code: Code
    scope: str

    @property
    def grant_id(self) -> str:
        return self.code.grant_id

    def get_redirect_uri(self) -> str:
        return self.code.redirect_uri if self.code.explicit_redirect else ""

    def get_scope(self) -> str:
        return self.scope


class _CodeGrant(AuthorizationCodeGrant):  # type: ignore[misc]  # Authlib ships no types
    TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS

    def save_authorization_code(self, code: str, request: _Request) -> None:
        sandbox: Sandbox = self.server.sandbox
        approval: Approval = request.user
        client_id = request.client.client_id
        username = approval.person.username
        grant_id = sandbox.storage.add_grant(client_id, username, approval.sites, request.scope)
        asked = request.payload.redirect_uri
        redirect = (asked or request.client.get_default_redirect_uri(), asked is not None)
        challenge = request.payload.data["code_challenge"]
        sandbox.storage.add_code(code, grant_id, client_id, redirect, challenge)
        sandbox.observations.issued("code", code, username)

    def query_authorization_code(self, code: str, client: Client) -> _SpentCode | None:
        storage = self.server.sandbox.storage
        found = storage.spend_code(code)
        if found is None:
            return None
        # RFC 6749 section 4.1.2: a code seen twice ends what the first use gave.
        if found.used:
            storage.revoke_grant(found.grant_id)
        if found.used or found.expired or found.client_id != client.client_id:
            return None
        return _SpentCode(found, storage.grant(found.grant_id).scope)

    def delete_authorization_code(self, authorization_code: _SpentCode) -> None:
        """Nothing to do: a code is spent the moment it is looked up."""

    def authenticate_user(self, authorization_code: _SpentCode) -> Approval | None:
        approval: Approval | None = self.server.approval(authorization_code.grant_id)
        return approval


@dataclass(frozen=True)
class _PresentedToken:
    token: Token

    @property
    def grant_id(self) -> str:
        return self.token.grant_id

    def check_client(self, client: Client) -> bool:
        return self.token.client_id == client.client_id

    def get_scope(self) -> str:
        return self.token.scope


class _RefreshGrant(RefreshTokenGrant):  # type: ignore[misc]  # Authlib ships no types
    TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS
    INCLUDE_NEW_REFRESH_TOKEN = True
    keeps_old = False

    def authenticate_refresh_token(self, refresh_token: str) -> _PresentedToken:
        sandbox: Sandbox = self.server.sandbox
        token = sandbox.storage.token(refresh_token)
        if token is None or token.kind != "refresh" or not token.live:
            raise InvalidGrantError(NO_GRANT)
        since = sandbox.storage.seconds_since_use(token)
        # Within the leeway a retry is served; later, somebody else may hold it: end the family.
        if since is not None and since >= sandbox.options.leeway:
            sandbox.observations.refresh_reused()
            sandbox.storage.revoke_grant(token.grant_id)
            raise InvalidGrantError(NO_GRANT)
        return _PresentedToken(token)

    def authenticate_user(self, refresh_token: _PresentedToken) -> Approval | None:
        approval: Approval | None = self.server.approval(refresh_token.grant_id)
        return approval

    def issue_token(self, user: Approval, refresh_token: _PresentedToken) -> dict[str, Any]:
        token: dict[str, Any] = super().issue_token(user, refresh_token)
        faults = self.server.sandbox.faults
        if faults.take("refresh-no-refresh-token", [Place.REFRESH]):
            self.keeps_old = True
            del token["refresh_token"]
        elif faults.take("refresh-same-token", [Place.REFRESH]):
            self.keeps_old = True
            token["refresh_token"] = self.request.form["refresh_token"]
        return token

    def revoke_old_credential(self, refresh_token: _PresentedToken) -> None:
        if not self.keeps_old:
            self.server.sandbox.storage.use_token(refresh_token.token)


@dataclass(frozen=True)
class _PolledDevice:
    device: Device

    @property
    def grant_id(self) -> str | None:
        return self.device.grant_id

    def get_client_id(self) -> str:
        return self.device.client_id

    def get_user_code(self) -> str:
        return self.device.user_code

    def get_scope(self) -> str:
        return self.device.scope

    def is_expired(self) -> bool:
        return self.device.expired


class _DeviceGrant(DeviceCodeGrant):  # type: ignore[misc]  # Authlib ships no types
    TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS

    def query_device_credential(self, device_code: str) -> _PolledDevice:
        device = self.server.sandbox.storage.device(device_code)
        if device is None or device.used:
            raise InvalidGrantError("Unknown or used device code.")
        return _PolledDevice(device)

    def query_user_grant(self, user_code: str) -> tuple[Approval | None, bool] | None:
        device = self.server.sandbox.storage.device_by_user_code(user_code)
        if device.decision is None:
            return None
        if device.decision == "deny":
            return None, False
        return self.server.approval(device.grant_id), True

    def should_slow_down(self, credential: _PolledDevice) -> bool:
        since: float = self.server.sandbox.storage.device_polled(credential.device)
        # Half the interval is grace for clocks and networks; hammering is what must be slowed.
        return since < DEVICE_INTERVAL_SECONDS / 2

    def create_token_response(self) -> tuple[int, Any, Any]:
        response: tuple[int, Any, Any] = super().create_token_response()
        if response[0] == HTTPStatus.OK:
            self.server.sandbox.storage.spend_device(self.request.credential.device)
        return response
