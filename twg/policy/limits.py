"""`Limits`: what agents may not do whatever is granted, by a person's settings and a machine's.

A machine-wide file narrows what `config.toml` allows, and never widens it. It counts only if nobody
but its owner, the administrator, can change it; one that others can is an error, not passed over.
"""

from __future__ import annotations

import os
import stat
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from twg.errors import ConfigError
from twg.policy.access import Access

if TYPE_CHECKING:
    from collections.abc import Mapping

MACHINE_WIDE: Final = Path("/etc/twg/policy.toml")
SERVICES: Final = ("jira", "confluence", "atlassian", "graphql", "bitbucket", "admin")
SETTINGS: Final = frozenset({"admin", "deny", "read_only", "longest_grant"})
LONGEST: Final = 30 * 86400.0
EVERY: Final = "*"
DEFAULT: Final = "default"

_ROOT: Final = 0
_LARGEST: Final = 1 << 20
_OTHERS: Final = stat.S_IWGRP | stat.S_IWOTH
_UNITS: Final = {"m": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What agents may not do.

    Attributes:
        where: What says so; `DEFAULT` where nothing does.
        admin: Whether they may use the Admin APIs; None where nothing is said.
        deny: Services that they may not use.
        read_only: Profiles with which they only read; `EVERY` for all.
        longest: For how many seconds at most a grant is good.
    """

    where: str
    admin: bool | None = None
    deny: frozenset[str] = frozenset()
    read_only: frozenset[str] = frozenset()
    longest: float = LONGEST

    @property
    def says(self) -> str:
        """What says so, to end a sentence with."""
        return "by default" if self.where == DEFAULT else f"says {self.where}"

    def refusal(self, service: str, access: Access, profile: str) -> str | None:
        """Return why an agent may not do this, whatever is granted; None if it may."""
        if service in self.deny:
            return f"agents may not use {service}, {self.says}"
        if service == "admin" and self.admin is False:
            return f"agents may not use the Admin APIs, {self.says}"
        if access is not Access.READ and self.read_only & {profile, EVERY}:
            return f"agents may only read with the profile {profile}, {self.says}"
        return None


def all_limits(settings: Mapping[str, Any], where: str, machines: Limits | None) -> list[Limits]:
    """Return what limits agents: an administrator's word, a person's settings, and the default.

    Args:
        settings: The person's.
        where: Where they are, in words.
        machines: The administrator's; None if there are none.

    Raises:
        ConfigError: A setting is none that is known, or has no value that it may have.
    """
    own = of_settings(settings, where)
    default = Limits(where=DEFAULT, admin=own.admin is True)
    return [each for each in (machines, own, default) if each is not None]


def of_settings(table: Mapping[str, Any], where: str) -> Limits:
    """Return the limits that a table of settings sets.

    Args:
        table: The settings, by `SETTINGS`' names.
        where: What says so, in words.

    Raises:
        ConfigError: A setting is none that is known, or has no value that it may have.
    """
    for name in table:
        if name not in SETTINGS:
            known = ", ".join(sorted(SETTINGS))
            raise ConfigError(f"{where} has an unknown setting {name!r}", f"Known are {known}.")
    allowed = table.get("admin")
    if allowed is not None and not isinstance(allowed, bool):
        raise ConfigError(f"{where}: admin is neither true nor false")
    deny = _words(table, "deny", where)
    if not deny <= set(SERVICES):
        raise ConfigError(f"{where}: deny names a service that there is not")
    longest = table.get("longest_grant")
    return Limits(
        where=where,
        admin=allowed,
        deny=deny,
        read_only=_words(table, "read_only", where),
        longest=LONGEST if longest is None else _longest(longest, where),
    )


def machine_wide(path: Path = MACHINE_WIDE, *, owner: int = _ROOT) -> Limits | None:
    """Return the limits of the whole machine; None where its administrator has set none.

    Args:
        path: The file.
        owner: Who it must belong to.

    Raises:
        ConfigError: Others can change the file, or it makes no sense. It is for the administrator
            to mend.
    """
    remedy = f"Ask whoever administers this machine to mend {path}."
    try:
        data = _trusted(path, owner)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", remedy) from error
    if data is None:
        return None
    try:
        return of_settings(tomllib.loads(data.decode()), str(path))
    except (ValueError, RecursionError):
        raise ConfigError(f"{path} is not valid TOML", remedy) from None


def seconds_of(text: str) -> float | None:
    """Return how long a time such as ``30m``, ``1h`` or ``2d`` is; None if it is none."""
    number, unit = text[:-1], _UNITS.get(text[-1:])
    if unit is None or not number.isascii() or not number.isdecimal() or len(number) > 6:  # noqa: PLR2004 - years
        return None
    return int(number) * unit or None


def _trusted(path: Path, owner: int) -> bytes | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except (FileNotFoundError, NotADirectoryError):
        return None
    with os.fdopen(descriptor, "rb") as file:
        for each in (os.fstat(descriptor), path.parent.stat()):
            if each.st_uid != owner or each.st_mode & _OTHERS:
                raise ConfigError(
                    f"others than the administrator can change {path}, so it cannot be believed",
                    "Ask whoever administers this machine: the file and its directory must belong "
                    "to root, and be writable by nobody else.",
                )
        return file.read(_LARGEST)


def _words(table: Mapping[str, Any], name: str, where: str) -> frozenset[str]:
    found = table.get(name, [])
    if not isinstance(found, list) or not all(isinstance(word, str) for word in found):
        raise ConfigError(f"{where}: {name} is not a list of words")
    return frozenset(found)


def _longest(value: Any, where: str) -> float:
    seconds = seconds_of(value) if isinstance(value, str) else None
    if seconds is None or seconds > LONGEST:
        raise ConfigError(
            f"{where}: longest_grant is not a time up to 30 days", 'For example: "8h".'
        )
    return seconds
