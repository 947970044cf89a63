"""The clear part of a sealed file: what may be read without its key. It holds no secret."""

from __future__ import annotations

import re
from collections.abc import Mapping  # noqa: TC003 - records.py reads these annotations at run time
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal

from twg.vault.bitbucket import (
    BitbucketSummary,  # noqa: TC001 - records.py reads these annotations at run time
)
from twg.vault.credential import (  # noqa: TC001 - records.py reads these annotations at run time
    CredentialSummary,
    ProviderSummary,
)

KeyPlaceName = Literal["keyring", "file"]

_PLACES: Final = frozenset({"keyring", "file"})
_ID: Final = re.compile(r"[a-z]{1,16}-[0-9a-f]{16}")
# As canonical JSON has it; inside a name, there would be backslashes.
_NAMED: Final = re.compile(rb'"id":"([a-z]{1,16}-[0-9a-f]{16})","location":"(keyring|file)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyLocation:
    """Where the sealing key lives.

    Attributes:
        location: ``keyring`` (of the operating system) or ``file`` (in the state directory).
        id: The key's name there, such as ``auth-0123456789abcdef``.
        reason: Why it is a file where a key ring was to be preferred; None where that is no news.

    Raises:
        ValueError: Another place, or an id that could lead elsewhere as a file's name.
    """

    location: str
    id: str
    reason: str | None = None

    def __post_init__(self) -> None:
        if self.location not in _PLACES or not _ID.fullmatch(self.id):
            raise ValueError("not a place where keys are kept")


def keys_named_in(data: bytes) -> tuple[KeyLocation, ...]:
    """Return the keys that a sealed file or a journal of a move names, damaged though it may be."""
    found = {(place.decode(), key_id.decode()) for key_id, place in _NAMED.findall(data)}
    return tuple(KeyLocation(location=place, id=key_id) for place, key_id in sorted(found))


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What stands in clear: authenticated when the file is opened, believed for display before.

    Attributes:
        key: Where the sealing key lives; None where there is no store yet.
        active: The active profile, if there is one.
        profiles: Summaries by profile.
        providers: Saved providers by name, without their client secrets.
        bitbucket: Bitbucket tokens by profile, without the tokens; files from before have none.
        generation: Raised by every change of the file.
    """

    key: KeyLocation | None = None
    active: str | None = None
    profiles: Mapping[str, CredentialSummary] = field(default_factory=dict)
    providers: Mapping[str, ProviderSummary] = field(default_factory=dict)
    bitbucket: Mapping[str, BitbucketSummary] = field(default_factory=dict)
    generation: int = 0

    def __post_init__(self) -> None:
        # Handed to many: what one of them does to it must not show to another.
        for name in ("profiles", "providers", "bitbucket"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))
