"""`Repository`: what a remote's address means, and the three things git asks of it over HTTP."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import urlsplit

from twg.errors import ConfigError
from twg.http import origin

FETCH: Final = "git-upload-pack"
PUSH: Final = "git-receive-pack"

Service = Literal["git-upload-pack", "git-receive-pack"]

# A workspace and a repository, as Bitbucket allows their names; so no `..` and nothing encoded.
_PATH: Final = re.compile(r"(?:/[A-Za-z0-9_.-]+)*/[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+?(?:\.git)?/?")


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository at a git server.

    Attributes:
        origin: Scheme, host and port, such as ``https://bitbucket.org:443``.
        path: Where it is there, such as ``/team/repo``, without a slash at its end.
    """

    origin: str
    path: str

    @classmethod
    def at(cls, address: str) -> Repository:
        """Read an address such as ``https://bitbucket.org/team/repo``.

        Raises:
            ConfigError: It is not the https address of a repository.
        """
        at = origin(address)
        parts = urlsplit(address)
        names = parts.path.split("/")
        if parts.query or parts.fragment or not _PATH.fullmatch(parts.path) or ".." in names:
            raise ConfigError(
                f"{address} is not a repository's address, which looks like "
                "https://bitbucket.org/WORKSPACE/REPOSITORY"
            )
        return cls(at, parts.path.rstrip("/"))

    def is_below(self, base: str) -> bool:
        """Tell whether a server's repositories, which are all below `base`, may include it."""
        return self.url.startswith(f"{origin(base)}{urlsplit(base).path}/")

    def name_below(self, base: str) -> str:
        """Return what its server calls it, such as ``team/repo``, where it is below `base`."""
        return self.url.removeprefix(f"{origin(base)}{urlsplit(base).path}/").removesuffix(".git")

    @property
    def url(self) -> str:
        """Its whole address."""
        return f"{self.origin}{self.path}"


@dataclass(frozen=True, slots=True)
class Call:
    """A request of git's smart HTTP protocol (gitprotocol-http).

    Attributes:
        service: What it is about.
        method: GET to begin, POST to go on.
        path: Below the repository.
    """

    service: Service
    method: str
    path: str

    @property
    def writes(self) -> bool:
        """Whether it may change the repository, or begins what does."""
        return self.service == PUSH


CALLS: Final = (
    Call(FETCH, "GET", f"/info/refs?service={FETCH}"),
    Call(PUSH, "GET", f"/info/refs?service={PUSH}"),
    Call(FETCH, "POST", f"/{FETCH}"),
    Call(PUSH, "POST", f"/{PUSH}"),
)
"""All that git asks; whatever is none of these goes nowhere."""


def call_of(method: str, path: str) -> Call | None:
    """Return which call a request is; None if it is none."""
    return next((call for call in CALLS if (call.method, call.path) == (method, path)), None)
