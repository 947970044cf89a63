"""The rollback mark: how new the store has been, so that an older file put back is noticed.

A small file in the state directory, written after each write of the store and authenticated under
the sealing key. A store older than its mark was put back. A mark older than its store, or none, is
what a crash between the two writes leaves, and is fine; so whoever can remove the mark as well as
replace the store goes unnoticed.
"""

from __future__ import annotations

import hmac
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from guard.files import read_private, replace_private
from twg.errors import StoreCorrupt
from twg.vault.members import dump

if TYPE_CHECKING:
    from pathlib import Path

    from twg.vault.sealed import Sealer

_LIMIT: Final = 4096


@dataclass(frozen=True, slots=True)
class Mark:
    """The mark of the store whose key has the name `key_id`.

    Args:
        state_dir: Where marks are.
        key_id: Such as ``auth-0123456789abcdef``.
    """

    state_dir: Path
    key_id: str

    @property
    def path(self) -> Path:
        """The mark's file."""
        return self.state_dir / f"{self.key_id}.mark"

    def read(self, sealer: Sealer) -> int:
        """Return the newest generation noted, 0 if none is.

        Raises:
            StoreCorrupt: It was not written under this key.
            UnsafeFile: It is not a plain private file.
        """
        return int(self._facts(sealer).get("generation", 0))

    def pin(self, sealer: Sealer) -> tuple[int, int] | None:
        """Return what tells the very file that it was written for; None if nothing is noted.

        Raises:
            As `read`.
        """
        found = self._facts(sealer).get("pin")
        return None if found is None else (found[0], found[1])

    def write(self, generation: int, sealer: Sealer, *, pin: tuple[int, int] | None = None) -> None:
        """Note `generation`, and where wanted the very file that has it.

        Raises:
            FileUnwritable: The file system refuses.
            UnsafeFile: What stands there is not a plain private file.
        """
        facts: dict[str, Any] = {"generation": generation, "key": self.key_id}
        if pin is not None:
            facts["pin"] = list(pin)
        replace_private(self.path, self._bytes(facts, sealer))

    def _facts(self, sealer: Sealer) -> dict[str, Any]:
        data = read_private(self.path, limit=_LIMIT)
        if data is None:
            return {}
        try:
            facts = json.loads(data)
            del facts["mac"]
            if not hmac.compare_digest(data, self._bytes(facts, sealer)):
                raise self._unsound()
        except (ValueError, KeyError, TypeError, RecursionError):
            raise self._unsound() from None
        if facts["key"] != self.key_id:
            raise self._unsound()
        found: dict[str, Any] = facts
        return found

    def _bytes(self, facts: dict[str, Any], sealer: Sealer) -> bytes:
        mac = sealer.mac(dump(facts).encode()).hex()
        return f"{dump({**facts, 'mac': mac})}\n".encode()

    def _unsound(self) -> StoreCorrupt:
        return StoreCorrupt(
            f"{self.path}, which notes how new the credentials are, was changed",
            f"If you know why, remove {self.path}; else run `twg login` for new credentials.",
        )
