"""An opened store: looked at as it is, changed in a copy, and sealed again."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from twg.vault.bitbucket import BitbucketToken
from twg.vault.credential import Credential, Provider
from twg.vault.header import KeyLocation
from twg.vault.members import Members, member
from twg.vault.records import from_plain, to_plain
from twg.vault.sealed import corrupt, disclose, enclose

if TYPE_CHECKING:
    from pathlib import Path

    from guard.custody import Custody
    from twg.vault.admin_key import AdminHeader, AdminKey
    from twg.vault.grant import Grant, GrantHeader
    from twg.vault.header import Header
    from twg.vault.sealed import Document, Sealer


R = TypeVar("R", Credential, "AdminKey", "Grant")
"""What a store keeps by name: one kind only, each in a file of its own."""

H = TypeVar("H", "Header", "AdminHeader", "GrantHeader")


class Opened:
    """An opened store: the header and the sealed records.

    Records stay text until asked for, so that no secret is taken in that nobody wants, writing one
    credential reveals no other, and neither takes longer for their number. Nothing here is written
    by itself.

    What a process keeps of the store is never changed: changes are made to a `copy`. Each is made
    wholly or, where it raises, not at all.

    Args:
        header: The header.
        records: The sealed records: ``credentials``, ``providers`` and, where there are such
            tokens, ``bitbucket``.
        custody: Takes in secrets that are asked for.
        path: Where the store is, for messages.
    """

    def __init__(self, header: Members, records: Members, custody: Custody, path: Path) -> None:
        self._header = header
        self._records = records
        self._custody = custody
        self._path = path
        self._disclosed: dict[str, Any] = {}
        self._typed: Any = None
        # As values too: each change of many asks for them, and raises the one.
        self._generation: int = header.get("generation") or 0
        self._active: str | None = header.get("active")
        self.changed = False

    @classmethod
    def empty(cls, key: KeyLocation, custody: Custody, path: Path) -> Opened:
        """Return a store with nothing in it."""
        header = Members({"key": member("key", to_plain(key)), "profiles": Members()})
        header.put("providers", Members())
        records = Members({"credentials": Members(), "providers": Members()})
        opened = cls(header, records, custody, path)
        opened._set(generation=0, active=None)
        return opened

    @classmethod
    def of(cls, document: Document, sealer: Sealer, custody: Custody) -> Opened:
        """Open a document.

        Raises:
            StoreCorrupt: It was changed, or the key is another's.
        """
        # Authenticated by now, all is as we wrote it: to look at it closer would only cost time.
        opened = cls(document.header, sealer.unseal(document), custody, document.path)
        pairs = [(opened._summaries, opened._credentials), opened._bitbucket]
        if any(told.names != kept.names for told, kept in pairs):
            raise corrupt(document.path, "header and contents do not belong together")
        return opened

    def copy(self) -> Opened:
        """Return a copy to work on; the records' texts are shared."""
        made = Opened(self._header.copy(), self._records.copy(), self._custody, self._path)
        made._disclosed = dict(self._disclosed)
        return made

    @property
    def key(self) -> KeyLocation:
        """Where the sealing key lives."""
        return from_plain(KeyLocation, self._header.get("key"))

    @property
    def known_header(self) -> Any:
        """The header, typed, if `header` was called before; else None."""
        return self._typed

    def header(self, kind: type[H]) -> H:
        """Return the header, typed: as the one kind of header that this store has."""
        typed: H = self._typed or from_plain(kind, json.loads(self._header.text()))
        self._typed = typed
        return typed

    @property
    def generation(self) -> int:
        """The store's generation."""
        return self._generation

    @property
    def profiles(self) -> tuple[str, ...]:
        """The names of all profiles, sorted."""
        return self._credentials.names

    @property
    def provider_names(self) -> tuple[str, ...]:
        """The names of all saved providers, sorted."""
        return self._records.inner("providers").names

    def generation_of(self, profile: str) -> int:
        """Return the credential's generation, 0 if there is none."""
        summary = self._summaries.get(profile)
        return 0 if summary is None else int(summary["generation"])

    def credential(self, profile: str) -> Credential | None:
        """Return the credential, as `record` does."""
        return self.record(Credential, profile)

    def record(self, kind: type[R], name: str) -> R | None:
        """Return what is kept under `name`, its secrets taken in when it is first asked for."""
        found: R | None = self._disclosed.get(name)
        if found is None and name in self._credentials:
            plain = self._credentials.get(name)
            found = disclose(kind, plain, self._custody, self._path)
            self._disclosed[name] = found
        return found

    def provider(self, name: str) -> Provider | None:
        """Return the saved provider, its client secret taken in by the custody."""
        found = self._records.inner("providers").get(name)
        return None if found is None else disclose(Provider, found, self._custody, self._path)

    def put(self, record: R) -> R:
        """Add or replace a record; return it with its new generation."""
        name = record.profile
        # The store's own counter: a generation never comes back, even after `drop`.
        record = replace(record, generation=self.generation + 1)
        sealed = member(name, enclose(record))
        summary = member(name, to_plain(record.summary))
        self._credentials.put(name, sealed)
        self._summaries.put(name, summary)
        self._disclosed[name] = record
        self._count(active=self._active or name)
        return record

    def drop(self, profile: str) -> None:
        """Remove a credential; a sole one left over becomes the active one."""
        self._credentials.drop(profile)
        self._summaries.drop(profile)
        self._disclosed.pop(profile, None)
        active = self._active
        if active == profile:
            left = self.profiles
            active = left[0] if len(left) == 1 else None
        self._count(active=active)

    def activate(self, profile: str) -> None:
        """Make `profile` the active one."""
        if self._active != profile:
            self._count(active=profile)

    def put_provider(self, provider: Provider) -> None:
        """Add or replace a saved provider."""
        record = member(provider.name, enclose(provider))
        summary = member(provider.name, to_plain(provider.summary))
        self._records.inner("providers").put(provider.name, record)
        self._header.inner("providers").put(provider.name, summary)
        self._count(active=self._active)

    def drop_provider(self, name: str) -> None:
        """Remove a saved provider."""
        self._records.inner("providers").drop(name)
        self._header.inner("providers").drop(name)
        self._count(active=self._active)

    def bitbucket(self, profile: str) -> BitbucketToken | None:
        """Return the profile's Bitbucket token, taken in by the custody."""
        found = self._bitbucket[1].get(profile)
        return None if found is None else disclose(BitbucketToken, found, self._custody, self._path)

    def put_bitbucket(self, token: BitbucketToken) -> None:
        """Add or replace a profile's Bitbucket token."""
        record = member(token.profile, enclose(token))
        summary = member(token.profile, to_plain(token.summary))
        told, kept = self._bitbucket
        told.put(token.profile, summary)
        kept.put(token.profile, record)
        self._header.put("bitbucket", told)
        self._records.put("bitbucket", kept)
        self._count(active=self._active)

    def drop_bitbucket(self, profile: str) -> None:
        """Remove a profile's Bitbucket token."""
        told, kept = self._bitbucket
        told.drop(profile)
        kept.drop(profile)
        self._count(active=self._active)

    def rekey(self, key: KeyLocation) -> None:
        """Say where the key lives that it will be sealed with."""
        self._header.put("key", member("key", to_plain(key)))
        self._count(active=self._active)

    def sealed(self, sealer: Sealer) -> bytes:
        """Return the bytes of the file that holds all this."""
        return sealer.seal(self._path, self._header, self._records)

    @property
    def _summaries(self) -> Members:
        return self._header.inner("profiles")

    @property
    def _credentials(self) -> Members:
        return self._records.inner("credentials")

    @property
    def _bitbucket(self) -> tuple[Members, Members]:
        """Their summaries and their records; files from before they were kept have neither."""
        return _inner(self._header, "bitbucket"), _inner(self._records, "bitbucket")

    def _count(self, *, active: str | None) -> None:
        # One by one, though several changes may be written at once: each has its own number.
        self._set(generation=self.generation + 1, active=active)
        self.changed = True

    def _set(self, *, generation: int, active: str | None) -> None:
        self._generation, self._active = generation, active
        self._header.put("generation", member("generation", generation))
        self._header.put("active", member("active", active))


def _inner(members: Members, name: str) -> Members:
    return members.inner(name) if name in members else Members()
