"""A server that rotates refresh tokens: each works once, and its reuse ends the whole sign-in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.auth.parts import TOKEN, credential_at, plain
from tests.oauth.servers import document
from tests.vault.samples import Ear, custody_of
from twg.vault import Tokens

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyio.abc import SocketStream

    from tests.oauth.servers import Server
    from twg.vault import Credential

LIFETIME = 3600.0


@dataclass
class Family:
    """All tokens of one sign-in.

    Attributes:
        living: Refresh tokens that work.
        spent: Those that were used, and when.
        issued: How many were made.
        ended: Nothing of it works any more.
    """

    living: set[str] = field(default_factory=set)
    spent: dict[str, float] = field(default_factory=dict)
    issued: int = 0
    ended: bool = False


@dataclass
class RotatingServer:
    """What the server knows, without any network.

    Attributes:
        clock: Its own clock.
        leeway: Seconds for which a spent token is taken once more.
        lifetime: Of access tokens, in seconds.
        reused: Spent tokens that came again after the leeway, each the end of its family.
        received: Every refresh token that came, in order.
    """

    clock: Callable[[], float]
    leeway: float = 0.0
    lifetime: float = LIFETIME
    reused: list[str] = field(default_factory=list)
    received: list[str] = field(default_factory=list)
    _families: dict[str, Family] = field(default_factory=dict)
    _owners: dict[str, str] = field(default_factory=dict)

    def sign_in(self, owner: str) -> dict[str, Any]:
        """Begin a family, whose name is `owner`'s and a number; return its first tokens."""
        name = f"{owner}-{len(self._families)}"
        self._families[name] = Family()
        return self._issue(name)

    def renew(self, token: str) -> tuple[int, dict[str, Any]]:
        """Answer a renewal as RFC 6749 section 5 and 6 have it, rotating."""
        self.received.append(token)
        name = self._owners.get(token)
        if name is None or not self.honours(token):
            if name is not None:
                self._reuse(name, token)
            return 400, {"error": "invalid_grant", "error_description": "unknown or used"}
        family = self._families[name]
        family.living.discard(token)
        family.spent.setdefault(token, self.clock())
        return 200, self._issue(name)

    def honours(self, token: str) -> bool:
        """Tell whether a renewal with `token` would be granted now."""
        family = self._families[self._owners[token]]
        if family.ended:
            return False
        used = family.spent.get(token)
        return token in family.living or (
            self.leeway > 0 and used is not None and self.clock() - used <= self.leeway
        )

    def revoke(self, token: str) -> None:
        """End the family of `token`."""
        self._families[self._owners[token]].ended = True

    def _reuse(self, name: str, token: str) -> None:
        family = self._families[name]
        if not family.ended:
            self.reused.append(token)
        family.ended = True

    def _issue(self, name: str) -> dict[str, Any]:
        family = self._families[name]
        family.issued += 1
        refresh = f"refresh-{name}-{family.issued}"
        family.living.add(refresh)
        self._owners[refresh] = name
        return {
            "access_token": f"access-{name}-{family.issued}",
            "refresh_token": refresh,
            "token_type": "Bearer",
            "expires_in": self.lifetime,
        }

    async def reply_on(self, server: Server, stream: SocketStream) -> None:
        """Answer the request that `server` has just received."""
        code, answer = self.renew(server.received[-1].form["refresh_token"])
        await document(answer, code)(stream)

    def serve_on(self, server: Server) -> None:
        """Be the token endpoint of `server`."""

        async def reply(stream: SocketStream) -> None:
            await self.reply_on(server, stream)

        server.on(TOKEN, reply)


def signed_in(model: RotatingServer, url: str, profile: str, now: float) -> Credential:
    """Return a credential that the server at `url` has just issued."""
    answer = model.sign_in(profile)
    custody = custody_of(Ear())
    tokens = Tokens(
        access=custody.take(answer["access_token"], "access-token"),
        refresh=custody.take(answer["refresh_token"], "refresh-token"),
        scopes=("read:me",),
        issued_at=now,
        expires_in=float(answer["expires_in"]),
    )
    return credential_at(url, profile, tokens=tokens, signed_in_at=now, refreshed_at=now)


def refresh_of(credential: Credential) -> str:
    """Return the value of the credential's refresh token."""
    return plain(credential.tokens.refresh)
