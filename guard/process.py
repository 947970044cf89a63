"""This process: closed to others from the start, with an environment that nobody can turn on it."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Final

from guard.shapes import looks_like, mentions_secret

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping, Sequence

_PRIVATE: Final = 0o077
_STANDARD_DESCRIPTORS: Final = (0, 1, 2)
_PR_SET_DUMPABLE: Final = 4
# Where the kernel keeps the bounds of the command line: proc(5), counted behind the name.
_ARGUMENTS_START: Final = 45
_ARGUMENTS_END: Final = 46

# What libraries would obey without asking; in capitals, though some read it in any case. A
# person's own choice of these things stands in the settings, where others cannot set it unseen.
_OBEYED: Final = frozenset(
    {
        # Whom to trust, or not to check at all.
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
        "OPENSSL_CONF",
        "OPENSSL_MODULES",
        "OPENSSL_ENGINES",
        "AUTHLIB_INSECURE_TRANSPORT",
        # Where to write the keys of every connection.
        "SSLKEYLOGFILE",
        # Through whom to go; HTTPS_PROXY and NO_PROXY are read on purpose.
        "HTTP_PROXY",
        "ALL_PROXY",
        "FTP_PROXY",
        # Where to find a login, or to keep one.
        "NETRC",
        "KEYCHAIN_PATH",
        "PYTHON_KEYRING_BACKEND",
        # What to run before or after the program.
        "PYTHONSTARTUP",
        "PYTHONINSPECT",
        "PYTHONBREAKPOINT",
    }
)
_OBEYED_PREFIX: Final = "KEYRING_PROPERTY_"

# Named like a secret, or near it, and needed by what is started: XDG_ACTIVATION_TOKEN lets a new
# window come to the front.
_NEEDED_PREFIX: Final = "XDG_"


def harden() -> int:
    """Close the process to others: private files, no core dump, no stray standard descriptor.

    Returns:
        The file mode creation mask as it was, for a child that writes what is the user's own.
    """
    umask = os.umask(_PRIVATE)
    _allow_no_core_dump()
    _fill_standard_descriptors()
    return umask


def hide_memory() -> None:
    """Keep other processes of this user out of this one's memory and environment (Linux).

    For a process that holds a secret: it costs the import of ctypes. Where it cannot be had,
    nothing changes.
    """
    if sys.platform != "linux":
        return
    with contextlib.suppress(Exception):  # an odd libc is no reason to fail
        import ctypes  # noqa: PLC0415 - costs 10 ms, only where a secret is

        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def hide_arguments(argv: Sequence[str]) -> None:
    """Take the arguments out of what ``ps`` and ``/proc`` tell of this process (Linux).

    For a command line that was refused: they show while the rest is cleaned up, and to whatever
    looks at all processes now and then. Nothing changes where `argv` is not this process's.

    Args:
        argv: The arguments without the program's name.
    """
    with contextlib.suppress(Exception):  # the list of processes is no reason to fail
        _overwrite_arguments(b"".join(os.fsencode(word) + b"\0" for word in argv))


def forget_variables(environ: MutableMapping[str, str]) -> None:
    """Remove the variables by which others could make a library trust, tell or run what they like.

    Secrets stay, for the caller to find and name.

    Args:
        environ: The environment; `os.environ`, to reach the libraries of this process.
    """
    for name in list(environ):
        capitals = name.upper()
        if capitals in _OBEYED or capitals.startswith(_OBEYED_PREFIX):
            del environ[name]


def clean_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return a copy for a child, without what is named like a secret or looks like one."""
    return {
        name: value
        for name, value in environ.items()
        if (name.startswith(_NEEDED_PREFIX) or not mentions_secret(name))
        and looks_like(value) is None
    }


def _overwrite_arguments(words: bytes) -> None:
    with open("/proc/self/stat", "rb") as status:  # noqa: PTH123 - the import of pathlib is not free
        fields = status.read().rpartition(b") ")[2].split()
    start, end = int(fields[_ARGUMENTS_START]), int(fields[_ARGUMENTS_END])
    # Not by /proc/self/mem, which is root's once the memory is hidden. It is this process's own,
    # and written as its own.
    import ctypes  # noqa: PLC0415 - costs 10 ms, only after a refusal

    if words and 0 < start < end and ctypes.string_at(start, end - start).endswith(b"\0" + words):
        ctypes.memset(end - len(words), 0, len(words))


def _allow_no_core_dump() -> None:
    try:
        import resource  # noqa: PLC0415 - not on Windows
    except ImportError:
        return
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _fill_standard_descriptors() -> None:
    # The next file opened would get the number of a closed one, and what is printed or logged
    # would be written into it.
    for descriptor in _STANDARD_DESCRIPTORS:
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest free number is this one, for those below are taken by now.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # noqa: FBT003 - its signature
