"""An opened store: the working copy that is looked at, changed, and sealed again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from twg.vault.credential import Credential, Provider
from twg.vault.header import Header
from twg.vault.records import to_plain
from twg.vault.sealed import corrupt, disclose, enclose

if TYPE_CHECKING:
    from pathlib import Path

    from guard.custody import Custody
    from twg.vault.header import KeyLocation
    from twg.vault.sealed import Document, Sealer


class Opened:
    """An opened store: a working copy of the header and of the sealed records.

    Records stay plain until asked for, so that no secret is taken in that nobody wants, and
    writing one credential reveals no other. Nothing here is written by itself.

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
        """Return the credential, its secrets taken in by the custody."""
        found = self._credentials.get(profile)
        return None if found is None else disclose(Credential, found, self._custody, self._path)

    def provider(self, name: str) -> Provider | None:
        """Return the saved provider, its client secret taken in by the custody."""
        found = self._providers.get(name)
        return None if found is None else disclose(Provider, found, self._custody, self._path)

    def put(self, credential: Credential) -> Credential:
        """Add or replace a credential; return it with its new generation."""
        # The store's own counter: a generation never comes back, even after `drop`.
        credential = replace(credential, generation=self._touch())
        self._credentials[credential.profile] = enclose(credential)
        self._header["profiles"][credential.profile] = to_plain(credential.summary)
        self._header["active"] = self._header["active"] or credential.profile
        return credential

    def drop(self, profile: str) -> None:
        """Remove a credential; a sole one left over becomes the active one."""
        self._touch()
        del self._credentials[profile]
        del self._header["profiles"][profile]
        if self._header["active"] == profile:
            left = self.profiles
            self._header["active"] = left[0] if len(left) == 1 else None

    def activate(self, profile: str) -> None:
        """Make `profile` the active one."""
        if self._header["active"] != profile:
            self._touch()
            self._header["active"] = profile

    def put_provider(self, provider: Provider) -> None:
        """Add or replace a saved provider."""
        self._touch()
        self._providers[provider.name] = enclose(provider)
        self._header["providers"][provider.name] = to_plain(provider.summary)

    def drop_provider(self, name: str) -> None:
        """Remove a saved provider."""
        self._touch()
        del self._providers[name]
        del self._header["providers"][name]

    def sealed(self, sealer: Sealer) -> bytes:
        """Return the bytes of the file that holds all this."""
        records = {"credentials": self._credentials, "providers": self._providers}
        return sealer.seal(self._path, self._header, records)

    def _touch(self) -> int:
        if not self.changed:
            self._header["generation"] += 1
            self.changed = True
        return self.generation
