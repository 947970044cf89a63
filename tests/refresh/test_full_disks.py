"""Disks that are really full, really read-only, or not there: a small one, mounted for the test."""

from __future__ import annotations

import contextlib
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.auth.parts import TOKEN, Clock, access_of, stored
from tests.oauth.servers import serving
from tests.refresh.rotating import LIFETIME, RotatingServer, refresh_of, signed_in
from tests.rigs.parts import missing, program
from tests.vault.samples import Ear, custody_of, store_at
from twg.auth.tokens import TokenManager
from twg.errors import AuthRequired, StoreUnwritable
from twg.http import Http

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from anyio.abc import SocketStream

    from tests.oauth.servers import Server
    from twg.vault import SealedStore

    Fault = Callable[[Path], contextlib.AbstractContextManager[None]]

SMALL = "size=1m,nr_inodes=64,mode=0700"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a small disk where the credentials are."""
    place = tmp_path / "config"
    place.mkdir()
    _mount("-t", "tmpfs", "-o", SMALL, "tmpfs", str(place))
    try:
        yield place
    finally:
        subprocess.run([program("umount"), "--lazy", str(place)], check=True)


@contextlib.contextmanager
def full(disk: Path) -> Iterator[None]:
    """Fill the disk to its last byte."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    try:
        yield
    finally:
        filler.unlink()


@contextlib.contextmanager
def without_inodes(disk: Path) -> Iterator[None]:
    """Fill the disk's table of files."""
    names = (disk / f"filler-{number}" for number in range(10_000))
    made = []
    with contextlib.suppress(OSError):
        for name in names:
            name.touch()
            made.append(name)
    try:
        yield
    finally:
        for name in made:
            name.unlink()


@contextlib.contextmanager
def read_only(disk: Path) -> Iterator[None]:
    """Allow no writing."""
    _mount("-o", "remount,ro", str(disk))
    try:
        yield
    finally:
        _mount("-o", "remount,rw", str(disk))


def _mount(*arguments: str) -> None:
    done = subprocess.run([program("mount"), *arguments], capture_output=True, check=False)
    if done.returncode:
        missing(f"no disk can be mounted here: {done.stderr.decode().strip()}")


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as running:
        yield running


@pytest.fixture
def model(server: Server) -> RotatingServer:
    rotating = RotatingServer(time.time)
    rotating.serve_on(server)
    return rotating


@pytest.fixture
async def store(tmp_path: Path, disk: Path, server: Server, model: RotatingServer) -> SealedStore:
    """Sign in; the credentials are on the small disk, locks and keys are not."""
    del disk  # mounted before anything is written there
    store = store_at(tmp_path)
    await store.save(signed_in(model, server.url, "default", time.time()), expected=0)
    return store


faults = pytest.mark.parametrize("fault", [full, without_inodes, read_only])


@faults
async def test_before_sending_nothing_is_sent_and_the_token_works_afterwards(
    fault: Fault, disk: Path, store: SealedStore, model: RotatingServer
) -> None:
    """H-D3: 73, and not a word to the server."""
    before = refresh_of(await stored(store))
    async with Http() as http, _manager(store, http, []) as manager:
        with fault(disk):
            with pytest.raises(StoreUnwritable):
                await manager.get("default")
            assert model.received == []
            assert refresh_of(await stored(store)) == before
        assert model.honours(refresh_of(await manager.get("default")))


@faults
async def test_after_sending_the_new_token_is_kept_told_of_and_saved_as_soon_as_it_can_be(
    fault: Fault, disk: Path, store: SealedStore, server: Server, model: RotatingServer
) -> None:
    """H-D3: the disk gives up while the answer is on its way."""
    told: list[str] = []
    before = refresh_of(await stored(store))
    async with contextlib.AsyncExitStack() as broken:

        async def break_the_disk(stream: SocketStream) -> None:
            broken.enter_context(fault(disk))
            await model.reply_on(server, stream)

        server.on(TOKEN, break_the_disk)
        async with Http() as http, _manager(store, http, told) as manager:
            renewed = await manager.get("default")
            assert access_of(renewed) == access_of(await manager.get("default"))
            assert refresh_of(await stored(store)) == before
            assert ["could not be saved yet" in line for line in told] == [True]

            await broken.aclose()
            assert access_of(await manager.get("default")) == access_of(renewed)
            assert refresh_of(await stored(store)) == refresh_of(renewed)
    assert model.honours(refresh_of(await stored(store)))
    assert len(model.received) == len(told) == 1


async def test_a_missing_directory_sends_nothing_and_loses_nothing(
    tmp_path: Path, server: Server, model: RotatingServer
) -> None:
    """H-D3: such as a home that is not mounted yet; it is there again, and all goes on."""
    store = store_at(tmp_path)
    await store.save(signed_in(model, server.url, "default", time.time()), expected=0)
    away = (tmp_path / "config").rename(tmp_path / "away")
    async with Http() as http, _manager(store, http, []) as manager:
        with pytest.raises(AuthRequired):
            await manager.get("default")
        assert model.received == []
        away.rename(tmp_path / "config")
        assert model.honours(refresh_of(await manager.get("default")))


def _manager(store: SealedStore, http: Http, told: list[str]) -> TokenManager:
    """Return a manager for which every token of now has expired, and a new one has not."""
    return TokenManager(
        store=store,
        http=http,
        custody=custody_of(Ear()),
        clock=Clock(time.time() + LIFETIME),
        warn=told.append,
    )
