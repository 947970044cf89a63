"""What the sandbox remembers, in SQLite; of every secret it keeps the hash alone.

All methods block; the server calls them in worker threads. One connection is shared under a lock.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import secrets
import sqlite3
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_SCHEMA: Final = """
create table if not exists settings (name text primary key, value text not null);
create table if not exists clients (
    client_id text primary key, secret text, metadata text not null);
create table if not exists sessions (
    session text primary key, username text not null, created_at real not null);
create table if not exists grants (
    grant_id text primary key, client_id text not null, username text not null,
    sites text not null, scope text not null, revoked integer not null default 0);
create table if not exists codes (
    code text primary key, grant_id text not null, client_id text not null,
    redirect_uri text not null, explicit_redirect integer not null,
    challenge text not null, expires_at real not null,
    used integer not null default 0);
create table if not exists devices (
    device_code text primary key, user_code text not null unique, client_id text not null,
    scope text not null, expires_at real not null, polled_at real not null default 0,
    decision text, grant_id text, used integer not null default 0);
create table if not exists tokens (
    token text primary key, token_id text not null, kind text not null, grant_id text not null,
    client_id text not null, scope text not null, expires_at real not null, used_at real,
    revoked integer not null default 0);
create index if not exists tokens_by_grant on tokens (grant_id);
create table if not exists keys (
    token text primary key, kind text not null, username text not null, label text not null,
    scope text not null, expires_at real not null);
create table if not exists issues (
    cloud_id text not null, key text not null, body text not null, primary key (cloud_id, key));
"""

SESSION_SECONDS: Final = 12 * 3600


@dataclass(frozen=True)
class Grant:
    """What a person allowed a client: the root of a family of tokens."""

    grant_id: str
    client_id: str
    username: str
    sites: tuple[str, ...]
    scope: str
    revoked: bool


@dataclass(frozen=True)
class Code:
    """An authorization code; `expired` was judged when it was read."""

    grant_id: str
    client_id: str
    redirect_uri: str
    explicit_redirect: bool
    challenge: str
    expired: bool
    used: bool


@dataclass(frozen=True)
class Device:
    """A device code; `polled_at` is the time of the poll before."""

    device_code: str
    user_code: str
    client_id: str
    scope: str
    expired: bool
    polled_at: float
    decision: str | None
    grant_id: str | None
    used: bool


@dataclass(frozen=True)
class Token:
    """An access or refresh token; `live` is false once it expired or it or its grant was ended."""

    token: str
    token_id: str
    kind: str
    grant_id: str
    client_id: str
    scope: str
    used_at: float | None
    live: bool


@dataclass(frozen=True)
class Key:
    """A Bitbucket token or an organization's admin key, made on the account pages.

    Attributes:
        scope: What it is good for: a Bitbucket token's scopes, an admin key's organization.
        expires_at: When it ends; None before it is kept.
    """

    kind: str
    username: str
    label: str
    scope: str
    expires_at: float | None = None


def digest(secret: str) -> str:
    """Return the SHA-256 by which a secret is kept; they are long and random, so no salt."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


class Storage:
    """The sandbox's state.

    Args:
        connection: Opened with `check_same_thread=False` and no implicit transactions.
        clock: Seconds since the epoch.
    """

    def __init__(self, connection: sqlite3.Connection, clock: Callable[[], float]) -> None:
        self._connection = connection
        self._clock = clock
        self._lock = threading.RLock()
        self._depth = 0

    @classmethod
    def open(cls, path: Path, clock: Callable[[], float] = time.time) -> Storage:
        """Open or create the file at `path`; the caller has set a umask of 077."""
        connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        connection.execute("pragma journal_mode = wal")
        # A sandbox may lose its last second in a power cut; it may not be slow.
        connection.execute("pragma synchronous = off")
        connection.executescript(_SCHEMA)
        return cls(connection, clock)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Make everything inside happen at once, or not at all; may be nested."""
        with self._lock:
            if self._depth == 0:
                self._connection.execute("begin immediate")
            self._depth += 1
            try:
                yield
            except BaseException:
                if self._depth == 1:
                    self._connection.execute("rollback")
                raise
            else:
                if self._depth == 1:
                    self._connection.execute("commit")
            finally:
                self._depth -= 1

    def setting(self, name: str, default: str) -> str:
        """Return the setting `name`, storing `default` when it has none yet."""
        with self.transaction():
            self._run("insert or ignore into settings values (?, ?)", name, default)
            return str(self._one("select value from settings where name = ?", name)[0])

    # Clients

    def add_client(self, client_id: str, secret: str | None, metadata: dict[str, Any]) -> None:
        """Remember a registered client; `secret` is None for a public one."""
        hashed = digest(secret) if secret else None
        self._run("insert into clients values (?, ?, ?)", client_id, hashed, json.dumps(metadata))

    def client(self, client_id: str) -> tuple[str | None, dict[str, Any]] | None:
        """Return `(hash of the secret, metadata)` of a registered client, or None."""
        row = self._maybe("select secret, metadata from clients where client_id = ?", client_id)
        return (row[0], json.loads(row[1])) if row else None

    # Browser sessions

    def add_session(self, session: str, username: str) -> None:
        """Remember that the browser holding `session` is signed in as `username`."""
        self._run("insert into sessions values (?, ?, ?)", digest(session), username, self._clock())

    def session(self, session: str) -> str | None:
        """Return who is signed in with `session`, or None."""
        row = self._maybe(
            "select username from sessions where session = ? and created_at > ?",
            digest(session),
            self._clock() - SESSION_SECONDS,
        )
        return str(row[0]) if row else None

    def end_session(self, session: str) -> None:
        """Forget `session`."""
        self._run("delete from sessions where session = ?", digest(session))

    # Grants and authorization codes

    def add_grant(self, client_id: str, username: str, sites: tuple[str, ...], scope: str) -> str:
        """Remember what was allowed, and return the new grant's id."""
        grant_id = secrets.token_hex(8)
        self._run(
            "insert into grants values (?, ?, ?, ?, ?, 0)",
            grant_id,
            client_id,
            username,
            json.dumps(sites),
            scope,
        )
        return grant_id

    def grant(self, grant_id: str) -> Grant:
        """Return a grant by its id."""
        row = self._one("select * from grants where grant_id = ?", grant_id)
        return Grant(row[0], row[1], row[2], tuple(json.loads(row[3])), row[4], bool(row[5]))

    def revoke_grant(self, grant_id: str) -> None:
        """End a grant and with it every token of its family."""
        self._run("update grants set revoked = 1 where grant_id = ?", grant_id)

    def add_code(
        self, code: str, grant_id: str, client_id: str, redirect: tuple[str, bool], challenge: str
    ) -> None:
        """Remember an authorization code for a minute; `redirect` is (URI, was in the request)."""
        self._run(
            "insert into codes values (?, ?, ?, ?, ?, ?, ?, 0)",
            digest(code),
            grant_id,
            client_id,
            redirect[0],
            redirect[1],
            challenge,
            self._clock() + 60,
        )

    def spend_code(self, code: str) -> Code | None:
        """Return the code as it was, marking it used."""
        hashed = digest(code)
        with self.transaction():
            row = self._maybe("select * from codes where code = ?", hashed)
            self._run("update codes set used = 1 where code = ?", hashed)
        if row is None:
            return None
        expired = row[6] <= self._clock()
        return Code(row[1], row[2], row[3], bool(row[4]), row[5], expired, bool(row[7]))

    # Device codes

    def add_device(
        self, device_code: str, user_code: str, client_id: str, scope: str, seconds: float
    ) -> None:
        """Remember a device code and the code its person types."""
        self._run(
            "insert into devices (device_code, user_code, client_id, scope, expires_at)"
            " values (?, ?, ?, ?, ?)",
            digest(device_code),
            user_code,
            client_id,
            scope,
            self._clock() + seconds,
        )

    def device(self, device_code: str) -> Device | None:
        """Return what is known of a device code, or None."""
        return self._device("device_code", digest(device_code))

    def device_by_user_code(self, user_code: str) -> Device | None:
        """Return what is known of a user code, or None."""
        return self._device("user_code", user_code)

    def _device(self, column: str, value: str) -> Device | None:
        row = self._maybe(f"select * from devices where {column} = ?", value)  # noqa: S608 - column is one of two literals above
        if row is None:
            return None
        expired = row[4] <= self._clock()
        return Device(row[0], row[1], row[2], row[3], expired, row[5], row[6], row[7], bool(row[8]))

    def device_polled(self, device: Device) -> float:
        """Remember that a device asked; return the seconds since it last did."""
        now = self._clock()
        self._run("update devices set polled_at = ? where device_code = ?", now, device.device_code)
        return now - device.polled_at

    def decide_device(self, user_code: str, decision: str, grant_id: str | None) -> bool:
        """Store the person's decision (`accept` or `deny`); False if one was made before."""
        changed = self._run(
            "update devices set decision = ?, grant_id = ?"
            " where user_code = ? and decision is null",
            decision,
            grant_id,
            user_code,
        )
        return changed == 1

    def spend_device(self, device: Device) -> None:
        """Mark a device code as exchanged."""
        self._run("update devices set used = 1 where device_code = ?", device.device_code)

    # Tokens

    def add_token(
        self, token: str, kind: str, grant_id: str, client_id: str, scope: str, seconds: float
    ) -> None:
        """Remember a token of `kind` access or refresh; one that is known stays as it is."""
        self._run(
            "insert or ignore into tokens"
            " (token, token_id, kind, grant_id, client_id, scope, expires_at)"
            " values (?, ?, ?, ?, ?, ?, ?)",
            digest(token),
            secrets.token_hex(6),
            kind,
            grant_id,
            client_id,
            scope,
            self._clock() + seconds,
        )

    def token(self, token: str) -> Token | None:
        """Return what is known of a token, or None."""
        row = self._maybe(
            "select t.token, t.token_id, t.kind, t.grant_id, t.client_id, t.scope, t.used_at,"
            " t.revoked = 0 and g.revoked = 0 and t.expires_at > ?"
            " from tokens t join grants g on g.grant_id = t.grant_id where t.token = ?",
            self._clock(),
            digest(token),
        )
        if row is None:
            return None
        token, token_id, kind, grant_id, client_id, scope, used_at, live = row
        return Token(token, token_id, kind, grant_id, client_id, scope, used_at, bool(live))

    def use_token(self, token: Token) -> None:
        """Mark a refresh token as rotated; the first time counts."""
        self._run(
            "update tokens set used_at = coalesce(used_at, ?) where token = ?",
            self._clock(),
            token.token,
        )

    def seconds_since_use(self, token: Token) -> float | None:
        """Return how long ago a refresh token was rotated, or None if it was not."""
        return None if token.used_at is None else self._clock() - token.used_at

    def revoke_token(self, token: Token) -> None:
        """End one token; a refresh token ends its whole grant (RFC 7009 section 2.1)."""
        if token.kind == "refresh":
            self.revoke_grant(token.grant_id)
        self._run("update tokens set revoked = 1 where token = ?", token.token)

    def expire_tokens(self, kind: str, token_id: str | None) -> int:
        """Let all tokens of `kind`, or the one with `token_id`, expire now; return how many."""
        now = self._clock()
        return self._run(
            "update tokens set expires_at = ?"
            " where kind = ? and (? is null or token_id = ?) and expires_at > ?",
            now,
            kind,
            token_id,
            token_id,
            now,
        )

    # Bitbucket tokens and admin keys

    def add_key(self, token: str, key: Key, seconds: float) -> None:
        """Remember a token made on an account page."""
        self._run(
            "insert into keys values (?, ?, ?, ?, ?, ?)",
            digest(token),
            key.kind,
            key.username,
            key.label,
            key.scope,
            self._clock() + seconds,
        )

    def key(self, token: str, kind: str) -> Key | None:
        """Return the live key of `kind` that is `token`, or None."""
        row = self._maybe(
            "select kind, username, label, scope, expires_at from keys"
            " where token = ? and kind = ? and expires_at > ?",
            digest(token),
            kind,
            self._clock(),
        )
        return Key(*row) if row else None

    # Issues people created

    def add_issue(self, cloud_id: str, key: str, body: dict[str, Any]) -> None:
        """Remember a created Jira issue."""
        self._run("insert into issues values (?, ?, ?)", cloud_id, key, json.dumps(body))

    def issues(self, cloud_id: str) -> list[dict[str, Any]]:
        """Return the Jira issues created on a site, oldest first."""
        with self._lock:
            rows = self._connection.execute(
                "select body from issues where cloud_id = ? order by rowid", (cloud_id,)
            ).fetchall()
        return [json.loads(row[0]) for row in rows]

    def _run(self, sql: str, *values: Any) -> int:
        with self._lock:
            return self._connection.execute(sql, values).rowcount

    def _maybe(self, sql: str, *values: Any) -> tuple[Any, ...] | None:
        with self._lock:
            row: tuple[Any, ...] | None = self._connection.execute(sql, values).fetchone()
        return row

    def _one(self, sql: str, *values: Any) -> tuple[Any, ...]:
        row = self._maybe(sql, *values)
        if row is None:
            raise LookupError(sql)
        return row
