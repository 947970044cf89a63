"""A session bus of the test's own, with gnome-keyring on it: unlocked, stopped or absent."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

from anyio import to_thread

from tests.rigs.parts import missing, program, search_path
from tests.rigs.programs import PATIENCE, line_with, running
from tests.rigs.waiting import comes_true

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from anyio.abc import Process

T = TypeVar("T")
State = Literal["unlocked", "stopped", "absent"]

# No service directory: the bus starts nothing by itself, so that absent means absent.
BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:dir={directory}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"""
SERVICE = "org.freedesktop.secrets"


class Stored(NamedTuple):
    """One secret in the key ring, as another program of the same person sees it."""

    label: str
    attributes: dict[str, str]
    secret: bytes


@dataclass(frozen=True)
class KeyringSession:
    """A running session.

    Attributes:
        env: Variables by which a program belongs to it; add them to its environment.
    """

    env: dict[str, str]
    _daemon: Process | None

    async def secrets(self) -> list[Stored]:
        """Every secret in the login collection; the daemon must be running."""
        return await to_thread.run_sync(partial(_with_collection, self._address, _read))

    def stop_daemon(self) -> None:
        """Let the daemon hang (SIGSTOP): from now on it takes calls and answers none."""
        self._signal(signal.SIGSTOP)

    def resume_daemon(self) -> None:
        """Let it answer again, also what it was asked in between."""
        self._signal(signal.SIGCONT)

    @property
    def _address(self) -> str:
        return self.env["DBUS_SESSION_BUS_ADDRESS"]

    def _signal(self, number: signal.Signals) -> None:
        if self._daemon is None:
            raise ValueError("this session has no key ring")
        os.kill(self._daemon.pid, number)


@asynccontextmanager
async def keyring_session(state: State = "unlocked") -> AsyncIterator[KeyringSession]:
    """Run a session bus, and on it the key ring in this state, for as long as the context lasts.

    Skips the test where dbus, gnome-keyring or secretstorage are missing.
    """
    bus, daemon = program("dbus-daemon"), program("gnome-keyring-daemon")
    try:
        import_module("secretstorage")
    except ImportError:
        missing("secretstorage is not installed")
    # Not pytest's directory: the path of a socket has room for 107 bytes.
    with tempfile.TemporaryDirectory(prefix="twg-ring-") as name:
        directory = Path(name)
        (directory / "bus.conf").write_text(BUS.format(directory=directory))
        env = {"PATH": search_path(), "HOME": name, "XDG_RUNTIME_DIR": name, "LANG": "C.UTF-8"}
        argv = [bus, f"--config-file={directory}/bus.conf", "--nofork", "--print-address=1"]
        async with running(argv, env) as process:
            address = (await line_with(process, "unix:")).strip()
            joined = {"DBUS_SESSION_BUS_ADDRESS": address, "XDG_RUNTIME_DIR": name}
            if state == "absent":
                yield KeyringSession(joined, None)
                return
            async with _unlocked(daemon, env | joined) as ring:
                session = KeyringSession(joined, ring)
                if state == "stopped":
                    session.stop_daemon()
                yield session


@asynccontextmanager
async def _unlocked(daemon: str, env: dict[str, str]) -> AsyncIterator[Process]:
    """Run the daemon with its login collection made and open."""
    argv = [daemon, "--foreground", "--components=secrets", "--unlock"]
    async with running(argv, env, stderr=subprocess.DEVNULL) as process:
        if process.stdin is None:
            raise ValueError("the input is not a pipe")
        await process.stdin.send(b"made-up password of the key ring")
        await process.stdin.aclose()
        await to_thread.run_sync(_wait_for_service, env["DBUS_SESSION_BUS_ADDRESS"])
        if not await comes_true(lambda: _is_open(env["DBUS_SESSION_BUS_ADDRESS"]), PATIENCE):
            raise TimeoutError("the login collection did not open")
        try:
            yield process
        finally:
            os.kill(process.pid, signal.SIGCONT)  # a stopped process takes no SIGTERM


def _wait_for_service(address: str) -> None:
    """Return once the key ring has taken its name on the bus."""
    jeepney = import_module("jeepney")
    blocking = import_module("jeepney.io.blocking")
    rule = jeepney.MatchRule(
        type="signal", interface="org.freedesktop.DBus", member="NameOwnerChanged"
    )
    rule.add_arg_condition(0, SERVICE)
    with blocking.open_dbus_connection(address) as connection, connection.filter(rule) as changes:
        bus = blocking.Proxy(jeepney.message_bus, connection)
        bus.AddMatch(rule)
        if not bus.NameHasOwner(SERVICE)[0]:
            connection.recv_until_filtered(changes, timeout=PATIENCE)


async def _is_open(address: str) -> bool:
    return await to_thread.run_sync(
        partial(_with_collection, address, lambda collection: not collection.is_locked())
    )


def _with_collection(address: str, use: Callable[[Any], T]) -> T:
    """Return what `use` makes of the login collection."""
    secretstorage = import_module("secretstorage")
    blocking = import_module("jeepney.io.blocking")
    with blocking.open_dbus_connection(address) as connection:
        return use(secretstorage.get_default_collection(connection))


def _read(collection: Any) -> list[Stored]:
    return [
        Stored(item.get_label(), item.get_attributes(), item.get_secret())
        for item in collection.get_all_items()
    ]
