"""Where a store does not open: what is entered next starts another one, and this one is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twg.errors import StoreCorrupt

if TYPE_CHECKING:
    from twg.cli.wiring import Wiring
    from twg.vault import AdminStore, SealedStore


async def put_aside_if_it_does_not_open(
    wiring: Wiring, store: SealedStore | AdminStore, name: str, what: str
) -> None:
    """Put a store aside that does not open, and tell where it is.

    Args:
        wiring: What commands depend on.
        store: The store.
        name: What is about to be entered into it is kept under this name.
        what: What that is, in words.

    Raises:
        StoreCorrupt: A newer twg wrote it, or its key may come back.
        TwgError: It cannot be looked at or moved.
    """
    try:
        await store.read(name)
    except StoreCorrupt as error:
        moved = await store.set_aside()
        if moved is None:
            raise
        wiring.output.warn(f"{error}. It was put aside as {moved}; {what} starts afresh")
