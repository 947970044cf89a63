"""The sealed file's format: canonical JSON with a clear header and one AEAD-sealed part.

``{"format":1,"header":{…},"sealed":"<base64url of nonce and ciphertext>"}`` and a newline. The file
equals its own canonical serialisation byte for byte; format and header, as they stand there, are
the additional data of AES-256-GCM, so whatever is changed anywhere, the file does not open.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hmac
import io
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from twg.errors import StoreCorrupt
from twg.vault.header import Header, KeyLocation
from twg.vault.members import Members
from twg.vault.records import from_plain, to_plain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    from guard.custody import Custody
    from guard.secret import Secret

T = TypeVar("T")

FORMAT: Final = 1
MAX_BYTES: Final = 16 * 1024 * 1024
# Both whole numbers of three bytes, so that the texts of their base64 can be put together.
_NONCE_BYTES: Final = 12
_PIECE: Final = 48 * 1024
_HEADER_OBJECTS: Final = ("profiles", "providers", "bitbucket")
_RECORD_OBJECTS: Final = ("credentials", "providers", "bitbucket")
_BEGINNING: Final = f'{{"format":{FORMAT},"header":'.encode()
_SEAM: Final = b',"sealed":"'
_END: Final = b'"}\n'
_UPGRADE: Final = "Upgrade twg (`pip install -U twg-cli`). The file is left exactly as it is."


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A sealed file, read but not opened.

    Attributes:
        path: Where it was read, for messages.
        clear: The additional data: format and header as they stand in the file.
        header: The header.
        sealed: Nonce and ciphertext.
    """

    path: Path
    clear: bytes
    header: Members
    sealed: bytes

    def read_header(self) -> Header:
        """Return the header, typed.

        Raises:
            StoreCorrupt: It is not one.
        """
        try:
            return from_plain(Header, json.loads(self.header.text()))
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
    clear, seam, rest = data.rpartition(_SEAM)
    if not (seam and clear.startswith(_BEGINNING) and rest.endswith(_END)):
        raise _unlike(path, data)
    try:
        header = Members.of(clear.removeprefix(_BEGINNING).decode("ascii"), inner=_HEADER_OBJECTS)
    except (ValueError, RecursionError):
        raise corrupt(path, "its header is damaged") from None
    sealed = _unarmour(path, rest.removesuffix(_END))
    return Document(path=path, clear=clear + b"}", header=header, sealed=sealed)


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

    def unseal(self, document: Document) -> Members:
        """Return the sealed records.

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
        return Members.of(plain.decode("ascii"), inner=_RECORD_OBJECTS)

    def seal(self, path: Path, header: Members, records: Members) -> bytes:
        """Return the bytes of the sealed file, under a fresh random nonce.

        Raises:
            StoreCorrupt: It would be longer than a reader accepts; nothing was written.
        """
        clear = b"".join((_BEGINNING, header.text().encode("ascii"), b"}"))
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._cipher().encrypt(nonce, records.text().encode("ascii"), clear)
        # Written together piece by piece: for a large store, each copy of the whole takes longer
        # than sealing it.
        whole = io.BytesIO()
        whole.writelines((memoryview(clear)[:-1], _SEAM))
        whole.writelines(_armoured(nonce))
        whole.writelines(_armoured(sealed))
        whole.write(_END)
        data = whole.getvalue()
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


def _unlike(path: Path, data: bytes) -> StoreCorrupt:
    """Say what bytes are that are not a sealed file of this format."""
    whole = _load(path, data)
    if _newer(whole):
        return StoreCorrupt(
            f"{path} was written by a newer twg (format {whole['format']}; this one knows "
            f"{FORMAT})",
            _UPGRADE,
        )
    if whole.keys() == {"format", "header", "sealed"} and whole["format"] == FORMAT:
        return corrupt(path, "bytes in it were changed")
    return corrupt(path, "it is not a sealed file")


def _newer(whole: dict[str, Any]) -> bool:
    written_by = whole.get("format")
    return type(written_by) is int and written_by > FORMAT


def _load(path: Path, data: bytes) -> dict[str, Any]:
    if not data:
        raise corrupt(path, "it is empty")
    try:
        whole = json.loads(data.decode("ascii"))
    except (ValueError, RecursionError):
        raise corrupt(path, "it is truncated or not JSON") from None
    if not isinstance(whole, dict):
        raise corrupt(path, "it is not a sealed file")
    return whole


def _armoured(sealed: bytes) -> Iterator[bytes]:
    """Yield base64url text, the padding left off; only what ends within three bytes has any."""
    whole = memoryview(sealed)
    for start in range(0, len(whole), _PIECE):
        yield base64.urlsafe_b64encode(whole[start : start + _PIECE]).rstrip(b"=")


def _unarmour(path: Path, text: bytes) -> bytes:
    with contextlib.suppress(binascii.Error, ValueError):
        sealed = base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
        # A decoder looks neither at the last character's spare bits nor at what is no character.
        if b"".join(_armoured(sealed)) == text:
            return sealed
    raise corrupt(path, "its sealed part is damaged")


def corrupt(path: Path, why: str) -> StoreCorrupt:
    """Return the error for a file that does not open, in words."""
    return StoreCorrupt(f"{path} cannot be opened: {why}. It is kept as it is")
