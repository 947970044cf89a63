"""The sealed file's format: canonical JSON with a clear header and one AEAD-sealed part.

``{"format":1,"header":{…},"sealed":"<base64url of nonce and ciphertext>"}`` and a newline. The file
equals its own canonical serialisation byte for byte; format and header are the additional data of
AES-256-GCM, so whatever is changed anywhere, the file does not open.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from twg.errors import StoreCorrupt
from twg.vault.header import Header, KeyLocation
from twg.vault.records import from_plain, to_plain

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    from guard.custody import Custody
    from guard.secret import Secret

T = TypeVar("T")

FORMAT: Final = 1
MAX_BYTES: Final = 16 * 1024 * 1024
_NONCE_BYTES: Final = 12
_UPGRADE: Final = "Upgrade twg (`pip install -U twg-cli`). The file is left exactly as it is."


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A sealed file, read but not opened.

    Attributes:
        path: Where it was read, for messages.
        clear: The additional data: the canonical bytes of format and header.
        header: The header as plain JSON values.
        sealed: Nonce and ciphertext.
    """

    path: Path
    clear: bytes
    header: dict[str, Any]
    sealed: bytes

    def read_header(self) -> Header:
        """Return the header, typed.

        Raises:
            StoreCorrupt: It is not one.
        """
        try:
            return from_plain(Header, self.header)
        except (TypeError, ValueError) as error:
            raise corrupt(self.path, f"its header is damaged ({error})") from None

    def key(self) -> KeyLocation:
        """Return where its key lives.

        Raises:
            StoreCorrupt: It does not say.
        """
        try:
            return from_plain(KeyLocation, self.header.get("key"))
        except ValueError:
            raise corrupt(self.path, "it does not say where its key is") from None


def parse(path: Path, data: bytes) -> Document:
    """Read a sealed file's bytes strictly, without its key.

    Raises:
        StoreCorrupt: A newer twg wrote it, or it is truncated or not in canonical form.
    """
    if len(data) > MAX_BYTES:
        raise corrupt(path, f"it is {len(data)} bytes long")
    whole = _load(path, data)
    written_by = whole.get("format")
    if _newer(whole):
        raise StoreCorrupt(
            f"{path} was written by a newer twg (format {written_by}; this one knows {FORMAT})",
            _UPGRADE,
        )
    header, sealed = whole.get("header"), whole.get("sealed")
    if written_by != FORMAT or not isinstance(header, dict) or not isinstance(sealed, str):
        raise corrupt(path, "it is not a sealed file")
    clear = _clear(path, header)
    document = Document(path=path, clear=clear, header=header, sealed=_unarmour(path, sealed))
    if _join(document.clear, document.sealed) != data:
        raise corrupt(path, "bytes in it were changed")
    return document


def is_newer(path: Path, data: bytes) -> bool:
    """Tell whether a newer twg wrote these bytes: they are sound then, and not ours to move."""
    try:
        return _newer(_load(path, data))
    except StoreCorrupt:
        return False


class Sealer:
    """Opens and seals under one key; made for one operation, and gone with it.

    Args:
        key: The sealing key: 32 bytes as base64url.
    """

    __slots__ = ("__root",)

    def __init__(self, key: Secret) -> None:
        self.__root = base64.urlsafe_b64decode(_reveal(key, "seal or open the store"))

    def unseal(self, document: Document) -> dict[str, Any]:
        """Return the sealed records as plain JSON values.

        Raises:
            StoreCorrupt: The file was changed, or the key is another's.
        """
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - only where one is opened

        nonce, ciphertext = document.sealed[:_NONCE_BYTES], document.sealed[_NONCE_BYTES:]
        try:
            plain = self._cipher().decrypt(nonce, ciphertext, document.clear)
        except (InvalidTag, ValueError):
            raise corrupt(
                document.path,
                "its header or contents were changed, or it was sealed by another key",
            ) from None
        records: dict[str, Any] = json.loads(plain)
        return records

    def seal(self, path: Path, header: dict[str, Any], records: dict[str, Any]) -> bytes:
        """Return the bytes of the sealed file, under a fresh random nonce.

        Raises:
            StoreCorrupt: It would be longer than a reader accepts; nothing was written.
        """
        clear = _clear(path, header)
        nonce = os.urandom(_NONCE_BYTES)
        data = _join(clear, nonce + self._cipher().encrypt(nonce, dump(records), clear))
        if len(data) > MAX_BYTES:
            raise corrupt(path, f"it would become {len(data)} bytes long")
        return data

    def mac(self, data: bytes) -> bytes:
        """Return the authentication code of `data` (HMAC-SHA-256)."""
        return hmac.digest(self._subkey(b"mark"), data, "sha256")

    def _cipher(self) -> AESGCM:
        from cryptography.hazmat.primitives.ciphers.aead import (  # noqa: PLC0415 - as in `unseal`
            AESGCM,
        )

        return AESGCM(self._subkey(b"seal"))

    def _subkey(self, purpose: bytes) -> bytes:
        return hmac.digest(self.__root, b"twg vault 1 " + purpose, "sha256")


def enclose(record: Any) -> Any:
    """Return a dataclass with secrets in it as plain JSON values, about to be sealed."""
    return to_plain(record, lambda secret: _reveal(secret, "seal in the store"))


def disclose(kind: type[T], plain: Any, custody: Custody, path: Path) -> T:
    """Return the dataclass that `enclose` was given, its secrets taken in by the custody.

    Raises:
        StoreCorrupt: It is not such a record.
    """
    try:
        return from_plain(kind, plain, custody.take)
    except (TypeError, ValueError) as error:
        raise corrupt(path, f"a record in it is not sound ({error})") from None


def _reveal(secret: Secret, purpose: str) -> str:
    return secret.reveal(purpose)


def _newer(whole: dict[str, Any]) -> bool:
    written_by = whole.get("format")
    return type(written_by) is int and written_by > FORMAT


def _load(path: Path, data: bytes) -> dict[str, Any]:
    if not data:
        raise corrupt(path, "it is empty")
    try:
        whole = json.loads(
            data.decode("ascii"), object_pairs_hook=_unique, parse_constant=_no_constant
        )
    except (ValueError, RecursionError):
        raise corrupt(path, "it is truncated or not JSON") from None
    if not isinstance(whole, dict):
        raise corrupt(path, "it is not a sealed file")
    return whole


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def _no_constant(_word: str) -> float:
    raise ValueError("not a JSON number")


def _clear(path: Path, header: dict[str, Any]) -> bytes:
    try:
        return dump({"format": FORMAT, "header": header})
    except (ValueError, RecursionError):
        raise corrupt(path, "its header is damaged") from None


def _join(clear: bytes, sealed: bytes) -> bytes:
    armoured = base64.urlsafe_b64encode(sealed).rstrip(b"=")
    return clear[:-1] + b',"sealed":"' + armoured + b'"}\n'


def _unarmour(path: Path, text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise corrupt(path, "its sealed part is damaged") from None


def dump(value: Any) -> bytes:
    """Return the canonical JSON of plain values."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def corrupt(path: Path, why: str) -> StoreCorrupt:
    """Return the error for a file that does not open, in words."""
    return StoreCorrupt(f"{path} cannot be opened: {why}. It is kept as it is")
