"""Makes tokens that look like the real ones: JWT-shaped OAuth tokens and prefixed API tokens."""

from __future__ import annotations

import secrets
import time
import zlib
from typing import Final

from joserfc import jwt
from joserfc.jwk import OctKey

BITBUCKET_PREFIX: Final = "ATATT3xFfGF0"
ADMIN_PREFIX: Final = "ATCTT3xFfGN0"


class Mint:
    """Signs OAuth tokens with the sandbox's own key.

    The server itself looks tokens up by their hash; the signature is there for the shape.

    Args:
        key: Hexadecimal, from the sandbox's settings.
        issuer: The sandbox's issuer identifier.
    """

    def __init__(self, key: str, issuer: str) -> None:
        self._key = OctKey.import_key(bytes.fromhex(key))
        self._issuer = issuer

    def oauth_token(self, kind: str, account_id: str, seconds: float) -> str:
        """Return a new token of `kind` access or refresh; its `jti` holds 256 random bits."""
        now = int(time.time())
        claims: dict[str, str | int] = {
            "jti": secrets.token_hex(32),
            "iss": self._issuer,
            "aud": "sandbox",
            "sub": account_id,
            "iat": now,
            "exp": now + int(seconds),
            "sandbox_token_type": kind,
        }
        return jwt.encode({"alg": "HS256", "typ": "JWT"}, claims, self._key)


def api_token(prefix: str) -> str:
    """Return a new API token: prefix, 171 random characters, `=` and eight hex digits."""
    body = prefix + secrets.token_urlsafe(129)[:171]
    return f"{body}={zlib.crc32(body.encode()):08X}"
