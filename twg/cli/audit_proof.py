"""Proving the record of this installation, with the key that is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from guard.audit import load_or_create_key
from guard.audit_files import NAME
from guard.errors import AuditBroken, Fault
from guard.files import check_private_file
from guard.verifying import Proof, is_begun, prove

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def proof_of(
    state_dir: Path, *, told: Callable[[int, int], None] = lambda _done, _all: None
) -> Proof:
    """Check the whole record; nothing is made there.

    Args:
        state_dir: Where the record and its key are.
        told: Hears now and then how many records are checked, of how many.

    Raises:
        AuditBroken: Naming the first that is wrong.
        AuditBusy: Another process has kept it locked for too long.
        UnsafeFile: Others have access to a file, or something else stands in its place.
    """
    path, key = state_dir / NAME, state_dir / "audit.key"
    if not is_begun(path):
        return Proof(first=0, last=0, files=0)
    if not check_private_file(key):
        words = "its key is missing, and without it nothing can be proven"
        raise AuditBroken(key, words, Fault(kind="key", file=key))
    return prove(path, load_or_create_key(key), told=told)
