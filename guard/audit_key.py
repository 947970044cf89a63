"""The key of the audit record: a private file, a line for each key, the oldest first."""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING, Final

from guard.errors import AuditBroken
from guard.files import (
    check_private_file,
    create_private,
    ensure_private_directory,
    read_private,
    replace_private,
)
from guard.links import KEY_BYTES
from guard.locks import LockFile
from guard.pen import at_the_edge, locked

if TYPE_CHECKING:
    from pathlib import Path

_PATIENCE: Final = 30.0


def load_or_create_key(path: Path) -> bytes:
    """Return the key in the file `path`, which is made if it is missing.

    Each line is one key of `guard.links`, oldest first.

    Raises:
        AuditBroken: The file holds no such key.
        UnsafeFile: Others have access to it, or something else stands in its place.
        FileUnwritable: It cannot be made.
    """
    ensure_private_directory(path.parent)
    if not check_private_file(path):
        # Of several that make it, one wins; all read what that one made.
        create_private(path, _new_key())
    lines = (read_private(path) or b"").split()
    try:
        keys = [base64.b64decode(line, altchars=b"-_", validate=True) for line in lines]
    except ValueError:
        keys = []
    if not keys or any(len(key) != KEY_BYTES for key in keys):
        raise AuditBroken(path, "this is not the key that it was written with")
    return b"".join(keys)


def add_key(path: Path) -> None:
    """Add a new key to the file `path`. With the next record the older one hands over to it.

    Raises:
        AuditBroken: The file holds no key.
        UnsafeFile: Others have access to it, or something else stands in its place.
        FileUnwritable: It cannot be replaced.
    """
    load_or_create_key(path)
    lock = LockFile(path.with_name(f"{path.name}.lock"))
    with at_the_edge(path), locked(lock, path, _PATIENCE):
        replace_private(path, (read_private(path) or b"") + _new_key())


def _new_key() -> bytes:
    return base64.urlsafe_b64encode(os.urandom(KEY_BYTES)) + b"\n"
