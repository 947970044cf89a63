"""What is known beforehand of some authorization servers: data, a file each in this directory."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping  # noqa: TC003 - the fields are looked at when a file is read
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

ATLASSIAN: Final = "atlassian"
ROVO_MCP: Final = "rovo-mcp"

_HERE: Final = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """A server that a person need only name.

    Attributes:
        name: The name it goes by here, which is its file's.
        title: What people call it.
        issuer: Its issuer identifier (RFC 8414 section 2).
        api_base: Where its API is.
        scopes_by_product: What is asked for, by what it is for; nothing for the server's usual.
        app_console: Where a person makes an OAuth app; None where clients register (RFC 7591).
        client_secret_kinds: What an app's secret may look like, beside nothing; None for anything.
        redirect_uri: A fixed one, for a server that compares it to the letter.
        resource: RFC 8707, sent at sign-in and at every refresh.
        endpoints: Kind to URL, for what discovery does not list or lists elsewhere.
        authorize_parameters: Further parameters of the authorization request.
        token_body: ``form``, or ``json`` for servers that want that.
        idle_days: Days without use after which a refresh token lapses; None where that is unknown.
    """

    name: str
    title: str
    issuer: str
    api_base: str
    scopes_by_product: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    app_console: str | None = None
    client_secret_kinds: frozenset[str] | None = None
    redirect_uri: str | None = None
    resource: str | None = None
    endpoints: Mapping[str, str] = field(default_factory=dict)
    authorize_parameters: Mapping[str, str] = field(default_factory=dict)
    token_body: str = "form"  # noqa: S105 - the name of an encoding
    idle_days: float | None = None

    @property
    def command(self) -> str:
        """What a person runs to add it."""
        app = " --client-id ID --confidential" if self.app_console is not None else ""
        return f"twg provider add {self.name}{app}"

    @property
    def scopes(self) -> tuple[str, ...]:
        """All that is asked for."""
        return tuple(scope for some in self.scopes_by_product.values() for scope in some)


def names() -> tuple[str, ...]:
    """Return the names of all presets, sorted."""
    return tuple(sorted(path.stem for path in _HERE.glob("*.toml")))


def named(name: str) -> Preset | None:
    """Return the preset of that name, or None."""
    return load(name) if name in names() else None


def for_issuer(issuer: str) -> Preset | None:
    """Return the preset of the server `issuer`, a slash at its end or not, or None."""
    found = (load(name) for name in names())
    return next((one for one in found if one.issuer == issuer.rstrip("/")), None)


@functools.cache
def load(name: str) -> Preset:
    """Return a preset that is known to be there."""
    table: dict[str, Any] = tomllib.loads((_HERE / f"{name}.toml").read_text(encoding="utf-8"))
    scopes = {product: tuple(some) for product, some in table.pop("scopes", {}).items()}
    kinds = table.pop("client_secret_kinds", None)
    for member in ("endpoints", "authorize_parameters"):
        table[member] = MappingProxyType(table.get(member, {}))
    return Preset(
        name=name,
        scopes_by_product=MappingProxyType(scopes),
        client_secret_kinds=None if kinds is None else frozenset(kinds),
        **table,
    )
