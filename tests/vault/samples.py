"""Made-up credentials and stores for the vault's tests."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from guard.custody import Custody
from twg.vault import (
    Account,
    BitbucketToken,
    Credential,
    Endpoints,
    KeyKeeper,
    Provider,
    SealedStore,
    Site,
    Tokens,
)
from twg.vault.records import to_plain

if TYPE_CHECKING:
    from pathlib import Path

    from guard.secret import Secret

ACCESS = "access-Zm9vYmFy-0123456789abcdefghij"
REFRESH = "refresh-YmFyZm9v-9876543210zyxwvutsr"
CLIENT_SECRET = "client-secret-c2VjcmV0-5555555555"
BITBUCKET = "ATATT3xFfGF0bWFkZS11cA-0123456789=0123ABCD"
SECRETS = (ACCESS, REFRESH, CLIENT_SECRET)


@dataclass
class Ear:
    """Hears what a scrubber learns and what an audit record notes."""

    learnt: dict[str, str] = field(default_factory=dict)
    records: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def learn(self, value: str, kind: str) -> None:
        self.learnt[value] = kind

    def record(self, event: str, **facts: Any) -> None:
        self.records.append((event, facts))

    def prove(self) -> None:
        """Show that it could note something."""

    def afterwards(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    def events(self, event: str) -> list[dict[str, Any]]:
        return [facts for name, facts in self.records if name == event]


def custody_of(ear: Ear) -> Custody:
    return Custody(cast("Any", ear), cast("Any", ear))


def store_at(root: Path, *, ear: Ear | None = None, lock_seconds: float = 30.0) -> SealedStore:
    """Return a store whose key is in a file, as a process of its own would make it."""
    custody = custody_of(ear or Ear())
    return SealedStore(
        root / "config" / "auth.conf",
        state_dir=root / "state",
        keys=KeyKeeper(root / "state", custody=custody, preferred="file"),
        custody=custody,
        lock_seconds=lock_seconds,
    )


def provider(custody: Custody | None = None, name: str = "acme") -> Provider:
    custody = custody or custody_of(Ear())
    return Provider(
        name=name,
        issuer="https://auth.example.com",
        client_id="client-1",
        client_secret=custody.take(CLIENT_SECRET, "client-secret"),
        endpoints=Endpoints(
            authorization="https://auth.example.com/authorize",
            token="https://auth.example.com/token",
            device="https://device.example.com/code",
            revocation="https://Auth.example.com:443/revoke",
            userinfo="http://127.0.0.1:8080/me",
        ),
        redirect_uri="http://127.0.0.1:9/callback",
        scopes=("read:me", "offline_access"),
        resource="https://api.example.com/",
        api_base="https://api.example.com",
        authorize_params={"audience": "api.example.com", "prompt": "consent"},
        token_auth_method="client_secret_post",
        token_body="json",
        iss_required=True,
    )


def credential(profile: str = "default", **changes: Any) -> Credential:
    custody = custody_of(Ear())
    made = Credential(
        profile=profile,
        provider=provider(custody),
        tokens=Tokens(
            access=custody.take(ACCESS, "access-token"),
            refresh=custody.take(REFRESH, "refresh-token"),
            scopes=("read:me",),
            issued_at=1_000_000.0,
            expires_in=3600.0,
        ),
        account=Account(id="acc-1", name="Alice Ångström", email="alice@example.com"),
        sites=(Site(host="one.example.net", cloud_id="c1", name="One", scopes=("read:me",)),),
        site="one.example.net",
        signed_in_at=999_000.0,
        refreshed_at=1_000_000.0,
    )
    return replace(made, **changes)


def bitbucket_token(profile: str = "default", **changes: Any) -> BitbucketToken:
    """Return a Bitbucket token that nobody issued."""
    made = BitbucketToken(
        profile=profile,
        token=custody_of(Ear()).take(BITBUCKET, "bitbucket-token"),
        email="alice@example.com",
        account_id="acc-1",
        name="Alice Ångström",
        scopes=("read:user:bitbucket",),
        api_base="https://bitbucket.example.com",
        saved_at=1_000_000.0,
    )
    return replace(made, **changes)


def with_access(known: Credential, value: str) -> Credential:
    """Return the credential with another access token."""
    access = custody_of(Ear()).take(value, "access-token")
    return replace(known, tokens=replace(known.tokens, access=access))


def opened(value: Any) -> Any:
    """Return the value with its secrets in clear, for comparing."""

    def reveal(secret: Secret) -> str:
        return secret.reveal("compare in a test")

    return to_plain(value, reveal)
