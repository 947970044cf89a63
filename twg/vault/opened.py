"""An opened store: looked at as it is, changed in a copy, and sealed again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from twg.vault.credential import Credential, Provider
from twg.vault.header import Header, KeyLocation
from twg.vault.records import from_plain, to_plain
from twg.vault.sealed import corrupt, disclose, enclose

if TYPE_CHECKING:
    from pathlib import Path

    from guard.custody import Custody
    from twg.vault.sealed import Document, Sealer


class Opened:
    """An opened store: the header and the sealed records.

    Records stay plain until asked for, so that no secret is taken in that nobody wants, and
    writing one credential reveals no other. Nothing here is written by itself.

    What a process keeps of the store is never changed: changes are made to a `copy`. Each is made
    wholly or, where it raises, not at all.

    Args:
        header: The header as plain JSON values.
        records: ``{"credentials": {…}, "providers": {…}}`` as plain JSON values.
        custody: Takes in secrets that are asked for.
        path: Where the store is, for messages.
    """

    def __init__(
        self, header: dict[str, Any], records: dict[str, Any], custody: Custody, path: Path
    ) -> None:
        self._header = header
        self._credentials: dict[str, Any] = records["credentials"]
        self._providers: dict[str, Any] = records["providers"]
        self._custody = custody
        self._path = path
        self._disclosed: dict[str, Credential] = {}
        self._typed: Header | None = None
        self.changed = False

    @classmethod
    def empty(cls, key: KeyLocation, custody: Custody, path: Path) -> Opened:
        """Return a store with nothing in it."""
        header = to_plain(Header(key=key))
        return cls(header, {"credentials": {}, "providers": {}}, custody, path)

    @classmethod
    def of(cls, document: Document, sealer: Sealer, custody: Custody) -> Opened:
        """Open a document.

        Raises:
            StoreCorrupt: It was changed, or the key is another's.
        """
        records = sealer.unseal(document)
        # Authenticated by now, the header is as we wrote it: typing it all would only cost time.
        header = document.header
        if header["profiles"].keys() != records["credentials"].keys():
            raise corrupt(document.path, "header and contents do not belong together")
        return cls(header, records, custody, document.path)

    def copy(self) -> Opened:
        """Return a copy to work on. It shares the records, which are replaced, never changed."""
        header = {
            **self._header,
            "profiles": dict(self._header["profiles"]),
            "providers": dict(self._header["providers"]),
        }
        records = {"credentials": dict(self._credentials), "providers": dict(self._providers)}
        made = Opened(header, records, self._custody, self._path)
        made._disclosed = dict(self._disclosed)
        return made

    @property
    def key(self) -> KeyLocation:
        """Where the sealing key lives."""
        return from_plain(KeyLocation, self._header["key"])

    @property
    def known_header(self) -> Header | None:
        """The header, typed, if `header` was called before."""
        return self._typed

    def header(self) -> Header:
        """Return the header, typed."""
        typed = self._typed = self._typed or from_plain(Header, self._header)
        return typed

    @property
    def generation(self) -> int:
        """The store's generation."""
        return int(self._header["generation"])

    @property
    def profiles(self) -> tuple[str, ...]:
        """The names of all profiles, sorted."""
        return tuple(sorted(self._credentials))

    @property
    def provider_names(self) -> tuple[str, ...]:
        """The names of all saved providers, sorted."""
        return tuple(sorted(self._providers))

    def generation_of(self, profile: str) -> int:
        """Return the credential's generation, 0 if there is none."""
        return int(self._credentials[profile]["generation"]) if profile in self._credentials else 0

    def credential(self, profile: str) -> Credential | None:
        """Return the credential, its secrets taken in by the custody when first asked for."""
        found = self._disclosed.get(profile)
        if found is None and profile in self._credentials:
            plain = self._credentials[profile]
            found = disclose(Credential, plain, self._custody, self._path)
            self._disclosed[profile] = found
        return found

    def provider(self, name: str) -> Provider | None:
        """Return the saved provider, its client secret taken in by the custody."""
        found = self._providers.get(name)
        return None if found is None else disclose(Provider, found, self._custody, self._path)

    def put(self, credential: Credential) -> Credential:
        """Add or replace a credential; return it with its new generation."""
        profile = credential.profile
        # The store's own counter: a generation never comes back, even after `drop`.
        credential = replace(credential, generation=self.generation + 1)
        record, summary = enclose(credential), to_plain(credential.summary)
        self._count()
        self._credentials[profile] = record
        self._header["profiles"][profile] = summary
        self._header["active"] = self._header["active"] or profile
        self._disclosed[profile] = credential
        return credential

    def drop(self, profile: str) -> None:
        """Remove a credential; a sole one left over becomes the active one."""
        self._count()
        del self._credentials[profile]
        del self._header["profiles"][profile]
        self._disclosed.pop(profile, None)
        if self._header["active"] == profile:
            left = self.profiles
            self._header["active"] = left[0] if len(left) == 1 else None

    def activate(self, profile: str) -> None:
        """Make `profile` the active one."""
        if self._header["active"] != profile:
            self._count()
            self._header["active"] = profile

    def put_provider(self, provider: Provider) -> None:
        """Add or replace a saved provider."""
        record, summary = enclose(provider), to_plain(provider.summary)
        self._count()
        self._providers[provider.name] = record
        self._header["providers"][provider.name] = summary

    def drop_provider(self, name: str) -> None:
        """Remove a saved provider."""
        self._count()
        del self._providers[name]
        del self._header["providers"][name]

    def sealed(self, sealer: Sealer) -> bytes:
        """Return the bytes of the file that holds all this."""
        records = {"credentials": self._credentials, "providers": self._providers}
        return sealer.seal(self._path, self._header, records)

    def _count(self) -> None:
        # One by one, though several changes may be written at once: each has its own number.
        self._header["generation"] += 1
        self.changed = True
