"""The real key ring: gnome-keyring behind a session bus of the test's own (H-E3)."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

REPOSITORY = Path(__file__).parents[2]
ID = "auth-0123456789abcdef"
SERVICE = "org.freedesktop.secrets"
PATIENCE = 60
"""Far more than any of these needs: only a hang that must not be runs into it."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not all(map(shutil.which, ("dbus-daemon", "gnome-keyring-daemon"))),
        reason="dbus-daemon or gnome-keyring-daemon is not installed",
    ),
]


@dataclass
class Session:
    """A session bus, with or without a key ring on it."""

    root: Path
    environment: dict[str, str]
    stack: ExitStack

    def start_key_ring(self, *, unlocked: bool) -> subprocess.Popen[bytes]:
        """Start the daemon and return it once it serves."""
        command = ["gnome-keyring-daemon", "--foreground", "--components=secrets"]
        daemon = self.stack.enter_context(
            subprocess.Popen(
                [*command, "--unlock"] if unlocked else command,
                env=self.environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )
        self.stack.callback(_end, daemon)
        assert daemon.stdin is not None
        if unlocked:
            daemon.stdin.write(b"made-up-password")
        daemon.stdin.close()
        _wait_for_key_ring(self.environment["DBUS_SESSION_BUS_ADDRESS"])
        return daemon

    def run(self, *arguments: object, **variables: str) -> list[str]:
        """Run a worker in this session to its end, and return what it says."""
        done = subprocess.run(
            [sys.executable, "-m", "tests.vault.workers", *map(str, arguments)],
            cwd=REPOSITORY,
            env={**self.environment, **variables},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert (done.stderr, done.returncode) == ("", 0)
        return done.stdout.splitlines()


def _wait_for_key_ring(address: str) -> None:
    """Return once the bus knows an owner of the key ring's name."""
    jeepney = import_module("jeepney")  # untyped, and only there where secretstorage is
    blocking = import_module("jeepney.io.blocking")
    changed = jeepney.MatchRule(
        type="signal", interface="org.freedesktop.DBus", member="NameOwnerChanged"
    )
    changed.add_arg_condition(0, SERVICE)
    with (
        blocking.open_dbus_connection(address) as connection,
        connection.filter(changed) as changes,
    ):
        bus = blocking.Proxy(jeepney.message_bus, connection)
        bus.AddMatch(changed)
        if not bus.NameHasOwner(SERVICE)[0]:
            connection.recv_until_filtered(changes, timeout=PATIENCE)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGCONT)
    process.kill()


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    """Start a session bus that offers nothing of this machine's."""
    home = tmp_path / "home"
    home.mkdir()
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "XDG_RUNTIME_DIR": str(runtime),
        "XDG_DATA_DIRS": str(tmp_path / "nothing"),
        "DBUS_SESSION_BUS_ADDRESS": f"unix:path={runtime}/bus",
    }
    configuration = tmp_path / "bus.conf"
    configuration.write_text(
        '<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" '
        '"http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">'
        f"<busconfig><type>session</type><listen>unix:path={runtime}/bus</listen>"
        '<policy context="default"><allow send_destination="*"/><allow receive_type="method_call"/>'
        '<allow receive_type="method_return"/><allow receive_type="error"/>'
        '<allow receive_type="signal"/><allow own="*"/></policy>'
        "</busconfig>"
    )
    with ExitStack() as stack:
        bus = stack.enter_context(
            subprocess.Popen(
                ["dbus-daemon", f"--config-file={configuration}", "--nofork", "--print-address=1"],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        )
        stack.callback(bus.kill)
        assert bus.stdout is not None
        assert bus.stdout.readline().startswith(b"unix:path=")
        yield Session(tmp_path, environment, stack)


def test_in_an_unlocked_key_ring_the_key_is_kept(session: Session) -> None:
    """H-E3: and once it is gone from there, that is told."""
    session.start_key_ring(unlocked=True)

    [told] = session.run("create-key", session.root, 30)

    place, key_id, reason = told.split(" ", 2)
    assert (place, reason) == ("keyring", "None")
    assert not (session.root / "state").exists()
    assert session.run("read-key", session.root, 30, key_id)[:2] == ["read", "read"]
    assert session.run("destroy-key", session.root, 30, key_id) == ["destroyed"]
    [lost, *_] = session.run("read-key", session.root, 30, key_id)
    assert lost.startswith("lost: ")
    assert "another machine" in lost


def test_without_a_key_ring_the_key_is_in_a_file(session: Session) -> None:
    """H-E3."""
    [told] = session.run("create-key", session.root, 30)

    place, key_id, reason = told.split(" ", 2)
    assert place == "file"
    assert "no key ring in this session" in reason
    assert (session.root / "state" / f"{key_id}.key").exists()
    [told, *_] = session.run("read-key", session.root, 30, ID)
    assert told.startswith("absent: ")


def test_with_a_stopped_key_ring_nothing_hangs_and_the_process_ends(session: Session) -> None:
    """H-E3: stopped for good, and the process must end all the same, its thread left behind."""
    session.start_key_ring(unlocked=True).send_signal(signal.SIGSTOP)

    [told] = session.run("create-key", session.root, 0.5)

    assert told.startswith("file ")
    assert told.endswith("the key ring did not answer within 0.5 seconds")
    said = session.run("read-key", session.root, 0.5, ID)
    hanging = "hanging: the key ring did not answer within 0.5 seconds"
    # The second call does not leave a second thread behind.
    assert said == [hanging, hanging, "left behind: 1"]


def test_the_environment_does_not_choose_or_change_the_key_ring(session: Session) -> None:
    session.start_key_ring(unlocked=True)

    [told] = session.run(
        "create-key",
        session.root,
        30,
        PYTHON_KEYRING_BACKEND="keyring.backends.null.Keyring",
        KEYRING_PROPERTY_SCHEME="KeePassXC",
    )

    place, key_id, _ = told.split(" ", 2)
    assert place == "keyring"
    assert session.run("read-key", session.root, 30, key_id)[:2] == ["read", "read"]


def test_a_locked_key_ring_is_told_in_words_and_loses_nothing(session: Session) -> None:
    """H-E3: nobody is at a desktop to unlock it."""
    daemon = session.start_key_ring(unlocked=True)
    [told] = session.run("create-key", session.root, 30)
    key_id = told.split()[1]
    daemon.kill()
    daemon.wait()
    daemon = session.start_key_ring(unlocked=False)

    said = session.run("read-key", session.root, 30, key_id)

    assert said[:2] == ["locked: the key ring is locked"] * 2
    daemon.kill()
    daemon.wait()
    session.start_key_ring(unlocked=True)
    assert session.run("read-key", session.root, 30, key_id)[:2] == ["read", "read"]
