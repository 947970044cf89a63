"""The second try after an answer that did not come: as careful as the first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.auth.parts import TOKEN, Clock, FullStore, credential_at, token_answer
from tests.oauth.servers import document, reset, serving
from tests.vault.samples import Ear, custody_of, store_at
from twg.auth.tokens import TokenManager
from twg.errors import StoreUnwritable
from twg.http import Http

if TYPE_CHECKING:
    from pathlib import Path

    from anyio.abc import SocketStream


async def test_a_disk_that_has_filled_since_the_first_try_ends_it_before_the_second(
    tmp_path: Path,
) -> None:
    """H-D3, H-D4: nothing is sent that could not be saved, a second time no more than a first."""
    store = FullStore(store_at(tmp_path))
    async with serving() as server, Http() as http:
        await store.save(credential_at(server.url), expected=0)

        async def fill_the_disk(stream: SocketStream) -> None:
            store.full = True
            await reset()(stream)

        server.on(TOKEN, fill_the_disk, document(token_answer(1)))
        async with TokenManager(
            store=store, http=http, custody=custody_of(Ear()), clock=Clock()
        ) as manager:
            with pytest.raises(StoreUnwritable):
                await manager.renew("default", force=True)
        assert len(server.received) == 1
