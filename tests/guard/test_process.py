"""A process closed to others, that obeys no stray variable and passes no secret on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from guard.process import (
    clean_environment,
    forget_variables,
    harden,
    hide_arguments,
    hide_memory,
)

ROOT: Final = Path(__file__).parents[2]
TOKEN: Final = "ATATT3xFfGF0" + "kq7Zr2Wm9" * 8 + "=1A2B3C4D"
NOBODY: Final = 65534

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="prctl and /proc are Linux's")


def run(program: str, *, redirected: str = "") -> str:
    """Run `program` in a process of its own, with `redirected` streams; return its output."""
    environ = {"PATH": os.defpath, "PYTHONPATH": str(ROOT), "python": sys.executable}
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "$python" -c "$0" {redirected}', program],
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_files_are_private_whatever_the_umask_was(tmp_path: Path) -> None:
    """H-E2."""
    program = f"""
import os
from guard.process import harden
os.umask(0)
harden()
os.close(os.open({str(tmp_path / "new")!r}, os.O_CREAT | os.O_WRONLY, 0o666))
"""
    run(program)
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o600


def test_no_core_is_dumped_and_none_can_be_asked_for() -> None:
    program = """
import resource
from guard.process import harden
hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
harden()
print(resource.getrlimit(resource.RLIMIT_CORE))
"""
    assert run(program) == "(0, 0)\n"


def test_without_the_module_for_limits_it_does_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resource", None)
    before = os.umask(0o022)
    try:
        harden()
    finally:
        left = os.umask(before)
    assert left == 0o077


def test_what_is_printed_goes_into_no_file_opened_later() -> None:
    """Closed standard descriptors would be given to the next files that are opened."""
    program = """
import os, sys
from guard.process import harden
harden()
opened = os.open("/etc/passwd", os.O_RDONLY)
null = os.stat(os.devnull).st_rdev
print(opened > 2, os.fstat(0).st_rdev == null, os.fstat(2).st_rdev == null, os.get_inheritable(2))
"""
    assert run(program, redirected="<&- 2>&-") == "True True True True\n"


def test_open_standard_descriptors_stay_as_they_are() -> None:
    program = """
import os
before = [os.fstat(number) for number in range(3)]
from guard.process import harden
harden()
print([os.fstat(number).st_ino for number in range(3)] == [status.st_ino for status in before])
"""
    assert run(program) == "True\n"


WATCHED = f"""
import ctypes, os, sys
from guard.process import hide_memory
if os.getuid() == 0:
    os.setgroups([])
    os.setgid({NOBODY})
    os.setuid({NOBODY})
ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)  # as any program of that user starts
print("open", flush=True)
sys.stdin.readline()
hide_memory()
print("hidden", flush=True)
sys.stdin.readline()
"""

WATCHER = f"""
import os, sys
if os.getuid() == 0:
    os.setgroups([])
    os.setgid({NOBODY})
    os.setuid({NOBODY})
for name in "environ", "mem":
    try:
        os.close(os.open("/proc/" + sys.argv[1] + "/" + name, os.O_RDONLY))
    except PermissionError:
        print("refused")
    else:
        print("read")
"""


@on_linux
def test_another_process_of_the_same_user_sees_neither_memory_nor_environment() -> None:
    """H-A1."""
    environ = {"PATH": os.defpath, "PYTHONPATH": str(ROOT)}
    watched = subprocess.Popen(
        [sys.executable, "-c", WATCHED],
        env=environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with watched:
        assert watched.stdin
        assert watched.stdout

        def seen() -> list[str]:
            command = [sys.executable, "-c", WATCHER, str(watched.pid)]
            return subprocess.check_output(command, env=environ, text=True).split()

        assert watched.stdout.readline() == "open\n"
        assert seen()[0] == "read"
        print(file=watched.stdin, flush=True)
        assert watched.stdout.readline() == "hidden\n"
        assert seen() == ["refused", "refused"]
        watched.stdin.close()
    assert watched.returncode == 0


@on_linux
def test_hidden_it_can_still_work_with_its_own_descriptors() -> None:
    program = """
import ctypes, os
from guard.process import hide_memory
hide_memory()
print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), len(os.listdir("/proc/self/fd")) > 2)
"""
    assert run(program) == "0 True\n"


CALLED = f"""
import ctypes, os, sys
from pathlib import Path
from guard.process import hide_arguments, hide_memory
if os.getuid() == 0:
    os.setgroups([])
    os.setgid({NOBODY})
    os.setuid({NOBODY})
if "hidden" in sys.argv:
    hide_memory()
before = Path("/proc/self/cmdline").read_bytes()
hide_arguments(sys.argv[1:] if sys.argv[1] == "login" else ["login", "--token", "opaque"])
after = Path("/proc/self/cmdline").read_bytes()
print(len(after) == len(before), after.rstrip(bytes(1)).split(bytes(1))[3:], sys.argv[1:])
"""


@on_linux
@pytest.mark.parametrize(
    ("argv", "left"),
    [
        (["login", "--token", "opaque"], "[]"),
        (["login", "", "--token=opaque \udc80"], "[]"),
        (["login", "--token", "opaque", "hidden"], "[]"),
        # Somebody else's command line, such as that of the program that runs us as a library.
        (["serve", "--token", "opaque"], "[b'serve', b'--token', b'opaque']"),
    ],
)
def test_refused_arguments_are_taken_out_of_the_process_list(argv: list[str], left: str) -> None:
    """H-A1: the program's own copies stay, for what is told of the refusal."""
    done = subprocess.run(
        [sys.executable, "-c", CALLED, *argv],
        env={"PATH": os.defpath, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"True {left} {argv}\n"


def test_without_a_process_table_nothing_is_taken_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object, **__: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr("builtins.open", missing)
    hide_arguments(["login"])


def test_where_memory_cannot_be_hidden_nothing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ctypes", None)
    hide_memory()
    monkeypatch.setattr(sys, "platform", "darwin")
    hide_memory()


@pytest.mark.parametrize(
    "name",
    [
        "SSLKEYLOGFILE",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
        "OPENSSL_CONF",
        "AUTHLIB_INSECURE_TRANSPORT",
        "HTTP_PROXY",
        "http_proxy",
        "Http_Proxy",
        "ALL_PROXY",
        "all_proxy",
        "NETRC",
        "KEYCHAIN_PATH",
        "PYTHON_KEYRING_BACKEND",
        "KEYRING_PROPERTY_KEYCHAIN",
        "PYTHONINSPECT",
    ],
)
def test_a_variable_that_libraries_would_obey_is_forgotten(name: str) -> None:
    environ = {name: "x", "HOME": "/home/alice"}
    forget_variables(environ)
    assert environ == {"HOME": "/home/alice"}


def test_settings_and_secrets_stay_for_the_caller() -> None:
    """The proxy for https is read on purpose; secrets are found, named and refused later."""
    environ = {"HTTPS_PROXY": "x", "https_proxy": "x", "NO_PROXY": "x", "TWG_TOKEN": "x"}
    before = dict(environ)
    forget_variables(environ)
    assert environ == before


def test_libraries_do_not_see_a_forgotten_variable() -> None:
    """Real ones: Python's own TLS would write every connection's keys into that file."""
    program = """
import os
os.environ.update(SSLKEYLOGFILE="/nowhere/keys", http_proxy="http://h:1", ALL_PROXY="http://h:1")
from guard.process import forget_variables
forget_variables(os.environ)
import ssl, urllib.request
print(ssl.create_default_context().keylog_filename, urllib.request.getproxies_environment())
"""
    assert run(program) == "None {}\n"


SECRETS: Final = {
    "TWG_TOKEN": "x",
    "github_token": "x",
    "AWS_SECRET_ACCESS_KEY": "x",
    "DB_PASSWORD": "x",
    "OPENAI_API_KEY": "x",
    "GOOGLE_APPLICATION_CREDENTIALS": "x",
    "MY_TOKEN_OLD_ONE": "x",
    "NOTE": f"mine: {TOKEN}",
    "DATABASE_URL": "postgres://app:s3cr3t@db.example/app",
    "XDG_NOTE": TOKEN,
}
NEEDED: Final = {
    "DISPLAY": ":0",
    "WAYLAND_DISPLAY": "wayland-0",
    "XAUTHORITY": "/home/alice/.Xauthority",
    "XDG_RUNTIME_DIR": "/run/user/1000",
    "XDG_SESSION_ID": "3",
    "XDG_ACTIVATION_TOKEN": "gnome-shell/Terminal/2049-0_TIME12345",
    "DBUS_SESSION_BUS_ADDRESS": "unix:path=/run/user/1000/bus",
    "HOME": "/home/alice",
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "PWD": "/home/alice",
    "OLDPWD": "/",
    "LANG": "en_GB.UTF-8",
    "SSH_AUTH_SOCK": "/run/user/1000/keyring/ssh",
    "SSH_ASKPASS": "/usr/bin/ssh-askpass",
    "HTTPS_PROXY": "http://proxy.example:3128",
    "BROWSER": "firefox",
    "TERM": "xterm-256color",
}


def test_a_child_gets_no_secret_and_all_that_a_browser_needs() -> None:
    """H-A1."""
    given = SECRETS | NEEDED
    before = dict(given)
    assert clean_environment(given) == NEEDED
    assert given == before
